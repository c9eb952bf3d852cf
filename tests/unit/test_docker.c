/* The container runtime's words to Compose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "runtime/runtime.h"

enum { MANY = 150 };

static char dir[] = "/tmp/sutra-docker-XXXXXX";

/* A compose that writes its words, each a line, into $WORDS. */
static void own_compose(const char *words)
{
	static const char script[] = "#!/bin/sh\n[ \"$2\" = version ] || printf '%s\\n' \"$@\" >\"$WORDS\"\n";
	char *program = xasprintf("%s/docker", dir), *path = xasprintf("%s:/usr/bin:/bin", dir);

	assert_int_equal(sutra_file_write(program, script, strlen(script), 0755, NULL), 0);
	setenv("PATH", path, 1);
	setenv("WORDS", words, 1);
	sutra_free(program);
	sutra_free(path);
}

static void a_wave_of_any_number_is_started_whole(void **state)
{
	char file[] = "f.yml";
	struct sutra_compose selected = { 0 };
	struct sutra_desired desired = { .file = file, .selected = &selected };
	struct sutra_awaited wave[MANY] = { 0 };
	struct sutra_unit all[MANY] = { 0 };
	struct sutra_scene scene = { .state_dir = dir, .desired = &desired };
	json_t *none = json_object();
	char *words = xasprintf("%s/words", dir), *said;
	struct sutra_err err;

	own_compose(words);
	sutra_strv_add(&desired.profiles, "cache");
	assert_int_equal(sutra_config_restore(none, &scene.config, &err), 0);
	for (int i = 0; i < MANY; i++) {
		all[i].name = xasprintf("web-%d", i);
		wave[i].unit = &all[i];
	}
	if (sutra_docker.start(&scene, wave, MANY, &err))
		fail_msg("%s", err.message);
	assert_int_equal(sutra_file_read(words, 1 << 20, &said, NULL, &err), 0);
	assert_non_null(strstr(said, "\n--profile\ncache\nup\n"));
	assert_non_null(strstr(said, "\nweb-0\n"));
	assert_true(sutra_str_ends(said, "\nweb-149\n"));
	for (int i = 0; i < MANY; i++)
		sutra_free(all[i].name);
	sutra_free(said);
	sutra_free(words);
	sutra_strv_release(&desired.profiles);
	sutra_config_free(scene.config);
	json_decref(none);
}

static int setup(void **state) { return mkdtemp(dir) ? 0 : -1; }

static int teardown(void **state) { return sutra_remove_tree(dir, NULL); }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wave_of_any_number_is_started_whole),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
