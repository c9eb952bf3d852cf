/* The container runtime's words to Compose, and what it asks of the engine. */
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
#include "net/fetch.h"
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

/* --- an engine that has the containers of web-1 and web-2 --- */

static int lists, inspections;
static bool gone;

int __wrap_sutra_fetch_one(struct sutra_fetch *f, struct sutra_err *err);
int __wrap_sutra_fetch_one(struct sutra_fetch *f, struct sutra_err *err)
{
	bool lists_all = strstr(f->url, "/containers/json");

	lists += lists_all;
	inspections += !lists_all;
	f->reason = gone ? SUTRA_FETCH_REFUSED : SUTRA_FETCH_OK;
	f->status = gone ? 0 : 200;
	if (gone)
		return sutra_fail(err, SUTRA_E_UNAVAILABLE, "refused");
	if (lists_all)
		sutra_buf_adds(&f->answer, "[{\"Id\": \"b\", \"Labels\": {\"com.docker.compose.service\": \"web-2\"}},"
						  " {\"Id\": \"a\", \"Labels\": {\"com.docker.compose.service\": \"web-1\"}}]");
	else
		sutra_buf_addf(&f->answer, "{\"Id\": \"%c\", \"State\": {\"Running\": true, \"Pid\": 7}}",
			      *(strstr(f->url, "/containers/") + strlen("/containers/")));
	return 0;
}

static void a_look_at_all_is_one_list(void **state)
{
	const char *const names[] = { "web-1", "web-2", "web-3" };
	struct sutra_supervised seen[3];

	lists = inspections = 0;
	sutra_docker.observe(dir, names, 3, seen);
	assert_int_equal(lists, 1);
	assert_int_equal(inspections, 2);
	assert_string_equal(seen[0].id, "a");
	assert_string_equal(seen[1].id, "b");
	assert_true(seen[0].running && seen[1].running);
	assert_false(seen[2].supervised || seen[2].unknown);
}

static void an_engine_that_is_gone_is_asked_once(void **state)
{
	const char *const names[] = { "web-1", "web-2" };
	struct sutra_supervised seen[2];

	lists = inspections = 0;
	gone = true;
	sutra_docker.observe(dir, names, 2, seen);
	gone = false;
	assert_int_equal(lists + inspections, 1);
	assert_true(seen[0].unknown && seen[1].unknown);
}

static int setup(void **state) { return mkdtemp(dir) ? 0 : -1; }

static int teardown(void **state) { return sutra_remove_tree(dir, NULL); }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wave_of_any_number_is_started_whole),
		cmocka_unit_test(a_look_at_all_is_one_list),
		cmocka_unit_test(an_engine_that_is_gone_is_asked_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
