/*
 * weightsum - the SHA-256 of a weight file, kept in a file beside it.
 *
 * Digesting 90 MB takes a third of a second, and three replicas start at once; so the digest
 * is kept in <file without .safetensors>.sha256 (model.sha256), which `sha256sum -c` reads too:
 *
 *	# model.safetensors 90868376 1763689154.123456789
 *	<64 hex digits>  model.safetensors
 *
 * The comment holds size and modification time of the file when it was hashed; the digest is valid
 * only while both are unchanged. Two writers write the same bytes.
 */
#ifndef SUTRA_BASE_WEIGHTSUM_H
#define SUTRA_BASE_WEIGHTSUM_H

#include "base/digest.h"
#include "base/err.h"

/* The recorded digest: 0, or SUTRA_E_NOTFOUND (none, or for another size or time). */
int sutra_weightsum_read(const char *path, char ret_hex[SUTRA_SHA256_HEX], struct sutra_err *err);
/* Records hex as the digest of the file as it is now. */
int sutra_weightsum_write(const char *path, const char *hex, struct sutra_err *err);
/* The recorded digest, else the computed one, which is recorded if the folder can be written. */
int sutra_weightsum(const char *path, char ret_hex[SUTRA_SHA256_HEX], struct sutra_err *err);

#endif
