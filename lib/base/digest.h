/* digest - SHA-256, hexadecimal, base64 and random bytes, by libsodium. */
#ifndef SUTRA_BASE_DIGEST_H
#define SUTRA_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SUTRA_SHA256_LEN 32
#define SUTRA_SHA256_HEX 65	/* with the NUL */

void sutra_sha256(const void *data, size_t n, uint8_t out[SUTRA_SHA256_LEN]);
/* The digest of a file, read in pieces. 0, SUTRA_E_NOTFOUND or SUTRA_E_IO. */
int sutra_sha256_file(const char *path, uint8_t out[SUTRA_SHA256_LEN], struct sutra_err *err);
/* 2n lower-case digits and a NUL. */
void sutra_hex(const uint8_t *data, size_t n, char *out);
/* n bytes from 2n digits; 0 or SUTRA_E_SYNTAX. */
int sutra_unhex(const char *hex, uint8_t *out, size_t n);
/* Standard base64 with padding: 4 * ((n + 2) / 3) characters and a NUL. */
void sutra_base64(const void *data, size_t n, char *out);
/* n random bytes from the kernel. */
void sutra_random(void *out, size_t n);

#endif
