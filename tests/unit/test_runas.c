/* lib/stack: giving a service's folders to its user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/runas.h"

static uid_t owner(const char *dir, const char *name)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

static void links_are_given_and_not_what_they_name(void **state)
{
	char dir[] = "/tmp/sutra-runas-XXXXXX", path[300];
	struct sutra_err err;

	if (geteuid())
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/theirs/a/b", dir);
	assert_int_equal(sutra_mkdirs(path, 0700, &err), 0);
	snprintf(path, sizeof(path), "%s/theirs/a/b/file", dir);
	assert_int_equal(sutra_file_write(path, "", 0, 0600, &err), 0);
	snprintf(path, sizeof(path), "%s/ours", dir);
	assert_int_equal(sutra_mkdirs(path, 0700, &err), 0);
	snprintf(path, sizeof(path), "%s/ours/file", dir);
	assert_int_equal(sutra_file_write(path, "", 0, 0600, &err), 0);
	snprintf(path, sizeof(path), "%s/theirs/link", dir);
	assert_int_equal(symlink("../ours", path), 0);
	snprintf(path, sizeof(path), "%s/theirs", dir);
	assert_int_equal(sutra_runas_give(path, "nobody", &err), 0);
	assert_int_not_equal(owner(dir, "theirs"), 0);
	assert_int_not_equal(owner(dir, "theirs/a/b/file"), 0);
	assert_int_not_equal(owner(dir, "theirs/link"), 0);
	assert_int_equal(owner(dir, "ours"), 0);
	assert_int_equal(owner(dir, "ours/file"), 0);
	snprintf(path, sizeof(path), "%s/theirs/link", dir);
	assert_int_equal(sutra_runas_give(path, "nobody", &err), 0);
	assert_int_equal(owner(dir, "ours"), 0);
	assert_int_equal(sutra_remove_tree(dir, &err), 0);
}

static void a_folder_deeper_than_the_limit_is_an_error(void **state)
{
	char dir[] = "/tmp/sutra-runas-XXXXXX", path[300];
	struct sutra_err err;
	size_t n;

	if (geteuid())
		skip();
	assert_non_null(mkdtemp(dir));
	n = (size_t)snprintf(path, sizeof(path), "%s", dir);
	for (int i = 0; i < 65; i++, n += 2)
		memcpy(path + n, "/d", 3);
	assert_int_equal(sutra_mkdirs(path, 0700, &err), 0);
	assert_int_not_equal(sutra_runas_give(dir, "nobody", &err), 0);
	assert_int_equal(sutra_remove_tree(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(links_are_given_and_not_what_they_name),
					    cmocka_unit_test(a_folder_deeper_than_the_limit_is_an_error) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
