/*
 * replay - drives a fuzz entry without a fuzzing engine: every file of
 * tests/fuzz/corpus/<name>/, then MUTATIONS deterministic mutations of each
 * (bit flips, truncations, splices, length edits). Prints TAP. A crash is the failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 2000, MAX_SEED = 1 << 16 };

static uint64_t state = 88172645463325252u;

static uint64_t next(void)	/* xorshift64, Marsaglia 2003 */
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static size_t mutate(uint8_t *p, size_t n)
{
	unsigned edits = 1 + (unsigned)(next() % 4);

	while (edits-- && n) {
		size_t at = next() % n;

		switch (next() % 5) {
		case 0:
			p[at] ^= (uint8_t)(1u << next() % 8);
			break;
		case 1:
			p[at] = (uint8_t)next();
			break;
		case 2:
			n = at;
			break;
		case 3:
			p[at] = next() % 2 ? 0xFF : 0;
			break;
		default:
			if (n < MAX_SEED) {
				memmove(p + at + 1, p + at, n - at);
				n++;
			}
		}
	}
	return n;
}

static void run_file(const char *path)
{
	static uint8_t seed[MAX_SEED + 1];
	uint8_t *copy;
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return;
	n = fread(seed, 1, MAX_SEED, f);
	fclose(f);
	for (int i = 0; i <= MUTATIONS; i++) {
		uint8_t *exact;
		size_t len = n;

		copy = malloc(MAX_SEED + 1);
		memcpy(copy, seed, n);
		if (i)
			len = mutate(copy, n);
		exact = malloc(len ? len : 1);	/* exact size: overreads are seen */
		memcpy(exact, copy, len);
		free(copy);
		LLVMFuzzerTestOneInput(exact, len);
		free(exact);
	}
}

int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/'), *name = base ? base + 1 : argv[0];
	char dir[512], path[1024];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "tests/fuzz/corpus/%s", name + strlen("fuzz_"));
	d = argc > 1 ? NULL : opendir(dir);
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		run_file(path);
		printf("ok %d - %s %s and %d mutations\n", ++n, name, e->d_name, MUTATIONS);
		fflush(stdout);
	}
	if (d)
		closedir(d);
	if (!n && argc == 1)
		printf("not ok 1 - %s has no corpus in %s\n", name, dir);
	return n || argc > 1 ? 0 : 1;
}
