/* file - whole files, safe replacement, folders. Paths are plain strings. */
#ifndef SUTRA_BASE_FILE_H
#define SUTRA_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"

/* The whole file, NUL-terminated, freed with sutra_free; SUTRA_E_TOOBIG above max. */
int sutra_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len,
		    struct sutra_err *err);
/* The same for a text that an operator wrote: without the byte-order mark that some editors write. */
int sutra_file_read_text(const char *path, size_t max, char **ret_data, size_t *ret_len, struct sutra_err *err);
/* Reads the next line of such a text, without its end (LF or CRLF); the first also without a byte-order
 * mark. *number, 0 at the start, counts the lines. Returns 1; 0 at the end of the file; SUTRA_E_TOOBIG when
 * the line is longer than line->max, its rest unread; SUTRA_E_IO. */
int sutra_file_line(FILE *f, struct sutra_buf *line, size_t *number);
/* Replaces a regular file atomically and syncs it: readers see the old or the new file, a failure changes
 * nothing. Links are followed and kept; an existing file keeps its mode and owner (mode is for a new one).
 * A device, a FIFO, or a file whose owner could not be kept is overwritten in place. */
int sutra_file_write(const char *path, const void *data, size_t n, mode_t mode,
		     struct sutra_err *err);
/* The same for n parts, written one after the other. */
int sutra_file_write_parts(const char *path, const struct iovec *parts, size_t n, mode_t mode,
			   struct sutra_err *err);
int sutra_mkdirs(const char *path, mode_t mode, struct sutra_err *err);	/* mkdir -p */
/* Copies a file with its mode, completely or not at all; replaces a file at `to`. */
int sutra_copy_file(const char *from, const char *to, struct sutra_err *err);
/* cp -r of folders and of regular files of at most max bytes; names that begin with a dot are left out. */
int sutra_copy_tree(const char *from, const char *to, size_t max, struct sutra_err *err);
/* rm -r; follows no links; a missing path is no error. */
int sutra_remove_tree(const char *path, struct sutra_err *err);
bool sutra_is_dir(const char *path);
bool sutra_is_file(const char *path);
/* The folder of the running program (readlink of /proc/self/exe); x-allocated. */
char *sutra_program_dir(void);

/* $HOME, else the home folder of the user in the password file, else "/nonexistent". */
const char *sutra_home(void);
/* The user's folders for sutra: $XDG_STATE_HOME/sutra, else ~/.local/state/sutra; $XDG_DATA_HOME/sutra,
 * else ~/.local/share/sutra. x-allocated. */
char *sutra_home_state(void);
char *sutra_home_data(void);

#endif
