/* lib/base/replace: what a write may replace, what it writes through, and what a failure leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

static char folder[] = "/tmp/sutra-file.XXXXXX";

static int make_folder(void **state) { return !mkdtemp(folder) || chmod(folder, 0755); }

static int remove_folder(void **state) { return sutra_remove_tree(folder, NULL); }

/* One of four that take turns. */
static char *in_folder(const char *name)
{
	static char paths[4][300];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static size_t count_files(const char *word)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += strstr(e->d_name, word) != NULL;
	closedir(d);
	return n;
}

static void assert_holds(const char *path, const char *text)
{
	char *data;

	assert_int_equal(sutra_file_read(path, 100, &data, NULL, NULL), 0);
	assert_string_equal(data, text);
	sutra_free(data);
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int write_text(const char *path, const char *text)
{
	struct sutra_err err = { .message = "" };
	int rc = sutra_file_write(path, text, strlen(text), 0644, &err);

	if (rc)
		print_message("# %s\n", err.message);
	return rc;
}

static void a_file_is_replaced_and_keeps_its_mode(void **state)
{
	char *path = in_folder("plain");
	struct stat before, after;
	int old;

	assert_int_equal(write_text(path, "one"), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0644);
	assert_int_equal(chmod(path, 0640), 0);
	old = open(path, O_RDONLY);
	assert_int_equal(write_text(path, "two"), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_mode & 07777, 0640);
	assert_true(before.st_ino != after.st_ino);
	assert_holds(path, "two");
	assert_int_equal(pread(old, (char[4]){ 0 }, 4, 0), 3);	/* a reader of the old one has it whole */
	close(old);
	assert_int_equal(count_files(".tmp"), 0);
}

static void links_are_followed_and_stay(void **state)
{
	char *link = in_folder("link"), *target = in_folder("target"), to[300];

	put(target, "old", 0600);
	assert_int_equal(symlink("target", link), 0);
	assert_int_equal(write_text(link, "through"), 0);
	assert_true(readlink(link, to, sizeof(to)) == 6);
	assert_holds(target, "through");
	assert_int_equal(unlink(target), 0);
	assert_int_equal(write_text(link, "anew"), 0);	/* a link to nothing */
	assert_true(readlink(link, to, sizeof(to)) == 6);
	assert_holds(target, "anew");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("link", link), 0);
	assert_int_not_equal(write_text(link, "round"), 0);
	assert_int_equal(count_files(".tmp"), 0);
}

static void a_fifo_is_written_through(void **state)
{
	char *path = in_folder("fifo"), got[16] = "";
	struct stat st;
	int reader;

	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_int_equal(write_text(path, "piped"), 0);
	assert_int_equal(read(reader, got, sizeof(got)), 5);
	assert_string_equal(got, "piped");
	close(reader);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
}

static void a_device_stays_a_device(void **state)
{
	char *null = in_folder("null"), *full = in_folder("full"), *link = in_folder("to-null");
	struct stat st;

	if (mknod(null, S_IFCHR | 0666, makedev(1, 3)) || mknod(full, S_IFCHR | 0666, makedev(1, 7)) ||
	    access(null, W_OK))
		skip();	/* not root, or a folder without devices */
	assert_int_equal(symlink("null", link), 0);
	assert_int_equal(write_text(null, "gone"), 0);
	assert_int_equal(write_text(link, "gone"), 0);
	assert_int_equal(write_text(full, "gone"), SUTRA_E_FULL);
	assert_int_equal(lstat(null, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(lstat(full, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void a_socket_and_a_folder_are_refused(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_not_equal(write_text(at.sun_path, "x"), 0);
	assert_int_equal(lstat(at.sun_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	close(fd);
	assert_int_not_equal(write_text(folder, "x"), 0);
	assert_int_not_equal(write_text(in_folder("absent/file"), "x"), 0);
	assert_int_not_equal(write_text("", "x"), 0);
}

/* Runs in a child without root's rights, as user 65534. */
static int as_nobody(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(99);
		_exit(run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int fail_twice(void)
{
	return write_text(in_folder("kept"), "new") && write_text(in_folder("other"), "new");
}

static void a_folder_without_rights_keeps_what_it_has(void **state)
{
	put(in_folder("kept"), "old", 0644);
	assert_int_equal(chmod(folder, 0555), 0);
	assert_int_equal(as_nobody(fail_twice), 1);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_holds(in_folder("kept"), "old");
	assert_int_equal(access(in_folder("other"), F_OK), -1);
	assert_int_equal(count_files(".tmp"), 0);
}

static int write_foreign(void) { return write_text(in_folder("foreign"), "in place") != 0; }

static void another_owner_is_kept(void **state)
{
	char *path = in_folder("foreign");
	struct stat before, after;

	if (geteuid())
		skip();
	put(path, "old", 0666);
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(as_nobody(write_foreign), 0);	/* who cannot give a file to root writes it in place */
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino == after.st_ino && !after.st_uid);
	assert_holds(path, "in place");
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(write_text(path, "replaced"), 0);	/* root can */
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_uid, 65534);
	assert_int_equal(after.st_mode & 07777, 0666);
	assert_holds(path, "replaced");
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(count_files(".tmp"), 0);
}

static int write_too_much(void)
{
	struct rlimit tiny = { 2, 2 };

	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &tiny) ? 99 : write_text(in_folder("limited"), "longer") != 0;
}

static void a_failed_write_leaves_the_old_and_nothing_else(void **state)
{
	int status;

	put(in_folder("limited"), "old", 0600);
	if (!fork())
		_exit(write_too_much());
	assert_true(wait(&status) > 0);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_holds(in_folder("limited"), "old");
	assert_int_equal(count_files(".tmp"), 0);
}

/* A killed writer's file goes with the next write; that of a living one, and what only looks alike,
 * stays. A name planted by others is never written through. */
static void leftovers_go_and_nothing_else(void **state)
{
	const char *dead = ".out.0123456789abcdef.tmp", *held = ".out.fedcba9876543210.tmp", *alike = ".out.0123.tmp";
	char planted[300];
	int living;

	put(in_folder(dead), "half", 0600);
	put(in_folder(held), "half", 0600);
	put(in_folder(alike), "mine", 0600);
	put(in_folder("victim"), "precious", 0600);
	living = open(in_folder(held), O_RDONLY);
	assert_int_equal(flock(living, LOCK_EX), 0);
	snprintf(planted, sizeof(planted), "%s/out.%ld.tmp", folder, (long)getpid());
	assert_int_equal(symlink("victim", planted), 0);
	assert_int_equal(write_text(in_folder("out"), "whole"), 0);
	assert_holds(in_folder("victim"), "precious");
	assert_holds(in_folder("out"), "whole");
	assert_int_equal(access(in_folder(dead), F_OK), -1);
	assert_int_equal(access(in_folder(held), F_OK), 0);
	assert_int_equal(access(in_folder(alike), F_OK), 0);
	close(living);
	assert_int_equal(write_text(in_folder("out"), "again"), 0);
	assert_int_equal(access(in_folder(held), F_OK), -1);
	assert_int_equal(unlink(in_folder(alike)), 0);
	assert_int_equal(unlink(planted), 0);
}

static void writers_at_once_leave_one_whole_file(void **state)
{
	enum { WRITERS = 4, ROUNDS = 50 };
	char name[256], *path, *data;
	int status;

	memset(name, 'n', 255);	/* the longest name there is */
	name[255] = '\0';
	for (int w = 0; w < WRITERS; w++) {
		if (!fork()) {
			char text[2] = { (char)('a' + w), '\0' };
			int bad = 0;

			for (int i = 0; i < ROUNDS; i++)
				bad |= write_text(in_folder(name), text) != 0;
			_exit(bad);
		}
	}
	for (int w = 0; w < WRITERS; w++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	path = in_folder(name);
	assert_int_equal(sutra_file_read(path, 10, &data, NULL, NULL), 0);
	assert_int_equal(strlen(data), 1);
	sutra_free(data);
	assert_int_equal(count_files(".tmp"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_replaced_and_keeps_its_mode),
		cmocka_unit_test(links_are_followed_and_stay),
		cmocka_unit_test(a_fifo_is_written_through),
		cmocka_unit_test(a_device_stays_a_device),
		cmocka_unit_test(a_socket_and_a_folder_are_refused),
		cmocka_unit_test(a_folder_without_rights_keeps_what_it_has),
		cmocka_unit_test(another_owner_is_kept),
		cmocka_unit_test(a_failed_write_leaves_the_old_and_nothing_else),
		cmocka_unit_test(leftovers_go_and_nothing_else),
		cmocka_unit_test(writers_at_once_leave_one_whole_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
