#include "base/digest.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

void sutra_sha256(const void *data, size_t n, uint8_t out[SUTRA_SHA256_LEN])
{
	crypto_hash_sha256(out, data, n);
}

int sutra_sha256_file(const char *path, uint8_t out[SUTRA_SHA256_LEN], struct sutra_err *err)
{
	crypto_hash_sha256_state state;
	unsigned char chunk[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	crypto_hash_sha256_init(&state);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		crypto_hash_sha256_update(&state, chunk, (size_t)n);
	if (n < 0)
		rc = sutra_fail_errno(err, "cannot read %s", path);
	else
		crypto_hash_sha256_final(&state, out);
	close(fd);
	return rc;
}

void sutra_hex(const uint8_t *data, size_t n, char *out) { sodium_bin2hex(out, 2 * n + 1, data, n); }

int sutra_unhex(const char *hex, uint8_t *out, size_t n)
{
	size_t len = strlen(hex);

	return len == 2 * n && !sodium_hex2bin(out, n, hex, len, NULL, &len, NULL) ? 0 : SUTRA_E_SYNTAX;
}

void sutra_random(void *out, size_t n) { randombytes_buf(out, n); }

void sutra_base64(const void *data, size_t n, char *out)
{
	sodium_bin2base64(out, sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL), data, n,
			  sodium_base64_VARIANT_ORIGINAL);
}
