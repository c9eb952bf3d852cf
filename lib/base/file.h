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
/* The same of a text that an operator wrote: without the byte-order mark of some editors. */
int sutra_file_read_text(const char *path, size_t max, char **ret_data, size_t *ret_len, struct sutra_err *err);
/* The next line of such a text into line, without its end (LF or CRLF) and, of the first, without a
 * byte-order mark; *number counts from 0. 1; 0 at the end; SUTRA_E_TOOBIG, and the rest of the line is
 * still to come, when it is longer than line may be; SUTRA_E_IO. */
int sutra_file_line(FILE *f, struct sutra_buf *line, size_t *number);
/* A regular file is replaced at once, synced: readers see the old or the new, a failure changes
 * nothing. Links are followed and stay; mode and owner of what is there stay (mode: of a new file).
 * A device, FIFO, or file whose owner could not be kept is written through. */
int sutra_file_write(const char *path, const void *data, size_t n, mode_t mode,
		     struct sutra_err *err);
/* The same of n parts, one after the other. */
int sutra_file_write_parts(const char *path, const struct iovec *parts, size_t n, mode_t mode,
			   struct sutra_err *err);
int sutra_mkdirs(const char *path, mode_t mode, struct sutra_err *err);	/* mkdir -p */
/* A copy with the same mode, whole or not at all; what was at `to` is replaced. */
int sutra_copy_file(const char *from, const char *to, struct sutra_err *err);
/* cp -r of regular files of at most max bytes and of folders; what begins with a dot stays behind. */
int sutra_copy_tree(const char *from, const char *to, size_t max, struct sutra_err *err);
/* rm -r; follows no links; a path that is not there is no error. */
int sutra_remove_tree(const char *path, struct sutra_err *err);
bool sutra_is_dir(const char *path);
bool sutra_is_file(const char *path);
/* Folder of the running program (readlink of /proc/self/exe); x-allocated. */
char *sutra_program_dir(void);

/* $HOME, else the home folder of the user in the password file, else "/nonexistent". */
const char *sutra_home(void);
/* The user's folders for sutra: $XDG_STATE_HOME/sutra, else ~/.local/state/sutra; $XDG_DATA_HOME/sutra,
 * else ~/.local/share/sutra. x-allocated. */
char *sutra_home_state(void);
char *sutra_home_data(void);

#endif
