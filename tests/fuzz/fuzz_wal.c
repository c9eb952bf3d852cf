/* A segment of the log, as a file: read for check, then opened as a store and written to. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "store/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/sutra-fuzz-wal-XXXXXX";

static void remove_dir(void) { sutra_remove_tree(dir, NULL); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = 8 };
	struct sutra_wal_report report;
	struct sutra_engine *e;
	static int made;
	char path[64];
	int fd;

	if (!made && mkdtemp(dir)) {
		made = 1;
		atexit(remove_dir);
	}
	snprintf(path, sizeof(path), "%s/000002.wal", dir);	/* replay leaves a younger one behind */
	unlink(path);
	snprintf(path, sizeof(path), "%s/000001.wal", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd))
		abort();
	if (sutra_wal_replay(dir, 0, NULL, NULL, &report, NULL))
		abort();
	if (sutra_engine_open(&o, &e, &report, NULL))
		abort();
	sutra_engine_close(e);
	return 0;
}
