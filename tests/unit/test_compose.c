/* lib/stack: compose files that are hostile, half-written or in another form than the usual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "compose/compose.h"
#include "runtime/docker.h"

static const char *look_up(void *ctx, const char *name) { return !strcmp(name, "A") ? "alpha" : NULL; }

static int parse(const char *text, struct sutra_compose **ret, struct sutra_err *err)
{
	return sutra_compose_parse(text, strlen(text), "f.yml", look_up, NULL, ret, err);
}

/* A service with one more line, the fourth. */
static int parse_service(const char *line, struct sutra_compose **ret, struct sutra_err *err)
{
	char text[1024];

	snprintf(text, sizeof(text), "services:\n  a:\n    command: x\n    %s\n  b: { command: x }\nvolumes: { v: }\n", line);
	return parse(text, ret, err);
}

static void refused(int rc, const char *text, const struct sutra_err *err, const char *want)
{
	if (rc != SUTRA_E_SETTING || !strstr(err->message, want))
		fail_msg("%s\ngives %d: %s", text, rc, rc ? err->message : "");
}

/* They become paths, hosts and words of commands. */
static void names_are_names(void **state)
{
	static const char *const bad[] = { "../../evil", ".",   "..",	 ".hidden", "-rf",   "a b",	"a/b",
					   "a;b",	 "a\\nb", "",	 "a$$b",    "\\xe9", "a:b",
					   "0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const places[][2] = {
		{ "services:\n  \"%s\": { command: x }\n", "f.yml:2: services: " },
		{ "services:\n  a: { command: x }\nvolumes:\n  \"%s\":\n", "f.yml:4: volumes: " },
		{ "services:\n  a: { command: x }\nvolumes:\n  v: { name: \"%s\" }\n", "f.yml:4: volumes.v.name: " },
		{ "services:\n  a: { command: x }\nnetworks:\n  \"%s\":\n", "f.yml:4: the file.networks: " },
		{ "services:\n  a: { command: x }\nname: \"%s\"\n", "f.yml:3: the file.name: " },
		{ "services:\n  a: { command: x, container_name: \"%s\" }\n", "f.yml:2: services.a.container_name: " },
		{ "services:\n  a: { command: x, hostname: \"%s\" }\n", "f.yml:2: services.a.hostname: " },
		{ "services:\n  a: { command: x, networks: [\"%s\"] }\n", "f.yml:2: services.a.networks: " },
		{ "services:\n  a: { command: x, networks: { \"%s\": } }\n", "f.yml:2: networks: " },
		{ "services:\n  a: { command: x, profiles: [\"%s\"] }\n", "f.yml:2: services.a.profiles: " },
		{ "services:\n  a: { command: x, volumes: [{ type: volume, source: \"%s\", target: /x }] }\n",
		  "f.yml:2: services.a.volumes: " },
	};
	struct sutra_compose *c;
	struct sutra_err err;

	for (size_t p = 0; p < sizeof(places) / sizeof(*places); p++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
			const char *mark = strstr(places[p][0], "%s");
			char *text = xasprintf("%.*s%s%s", (int)(mark - places[p][0]), places[p][0], bad[i], mark + 2);

			refused(parse(text, &c, &err), text, &err, places[p][1]);
			sutra_free(text);
		}
	}
}

static void a_variable_of_an_environment_has_a_name(void **state)
{
	static const char *const bad[] = { "environment: { \"../../x\": 1 }", "environment: { \"a b\": 1 }",
					   "environment: { \"\": 1 }",	      "environment: [\"=x\"]",
					   "environment: [\"a\\nb=x\"]",      "environment: { \"a=b\": 1 }",
					   "environment: { \"..\": 1 }" };
	struct sutra_compose *c;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(parse_service(bad[i], &c, &err), bad[i], &err, "is no name of a variable");
}

static void what_is_half_written_is_an_error_with_its_place(void **state)
{
	static const char *const bad[][2] = {
		{ "ports:", "f.yml:4: services.a.ports has no value" },
		{ "environment: null", "f.yml:4: services.a.environment has no value" },
		{ "volumes: ~", "f.yml:4: services.a.volumes has no value" },
		{ "healthcheck: { test: }", "f.yml:4: services.a.healthcheck.test has no value" },
		{ "healthcheck: { test: [\"CMD\"] }", "f.yml:4: services.a.healthcheck.test has no command behind CMD" },
		{ "healthcheck: { test: [\"CMD-SHELL\"] }", "has no command behind CMD-SHELL" },
		{ "depends_on: { b: }", "f.yml:4: depends_on.b has no condition" },
		{ "ports: 80:80", "f.yml:4: services.a.ports must be a list, not a value" },
		{ "ports: [null]", "services.a.ports must be a value, not nothing" },
		{ "ports: [\"name:80:80\"]", "\"name\" is no address" },
		{ "ports: [{ published: 80 }]", "services.a.ports wants a target" },
		{ "ports: [{ target: 80, protocol: sctp }]", "tcp or udp" },
		{ "volumes: [\":/x\"]", "f.yml:4: services.a.volumes: \":/x\" is not source:target" },
		{ "volumes: [\"v:\"]", "an absolute path is wanted" },
		{ "volumes: [\"v:x\"]", "the target is \"x\"; an absolute path is wanted" },
		{ "volumes: [\"./a:/x:rx\"]", "\"./a:/x:rx\" is not source:target[:ro]" },
		{ "volumes: [{ source: v, target: /x }]", "the type is missing" },
		{ "volumes: [{ type: npipe, source: v, target: /x }]", "the type is npipe" },
		{ "volumes: [{ type: bind, target: /x }]", "a bind wants a source" },
		{ "volumes: [{ type: bind, source: ./x }]", "the target is \"\"" },
		{ "volumes: [{ type: volume, source: w, target: /x }]", "the volume \"w\", which is not declared" },
		{ "volumes: [{ type: bind, source: ., target: /x, readonly: true }]",
		  "services.a.volumes: the key \"readonly\" is not known" },
		{ "env_file: [{ required: true }]", "services.a.env_file wants a path" },
		{ "env_file: none.env", "f.yml:4: services.a.env_file: cannot open none.env" },
	};
	struct sutra_compose *c;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(parse_service(bad[i][0], &c, &err), bad[i][0], &err, bad[i][1]);
	refused(parse("services:\n  a:\n", &c, &err), "a:", &err, "f.yml:2: services.a has no value");
	refused(parse("services:\n  a: { command: x }\nvolumes:\n", &c, &err), "volumes:", &err,
		"f.yml:3: the file.volumes has no value");
}

static void long_forms_mean_what_the_short_ones_do(void **state)
{
	const struct sutra_volume *v;
	struct sutra_compose *c;
	struct sutra_service *a;
	struct sutra_err err;
	char *home;

	if (parse_service("volumes: [{ type: bind, source: ./a, target: /1, read_only: true, bind: { propagation: x } }, "
			  "\"./a:/2:ro,z\", { type: volume, source: v, target: /3 }, \"v:/4:rw\", \"/5\", "
			  "{ type: volume, target: /6 }, { type: tmpfs, target: /7 }, \"~/b:/8\"]", &c, &err))
		fail_msg("%s", err.message);
	a = sutra_compose_find(c, "a");
	v = a->volumes;
	assert_int_equal(a->n_volumes, 7);
	for (int i = 0; i < 2; i++)
		assert_true(!strcmp(v[i].source, "./a") && !v[i].named && v[i].read_only);
	for (int i = 2; i < 4; i++)
		assert_true(!strcmp(v[i].source, "v") && v[i].named && !v[i].read_only);
	assert_true(!v[4].source && !strcmp(v[4].target, "/5") && !v[5].source && !strcmp(v[5].target, "/6"));
	home = xasprintf("%s/b", sutra_home());
	assert_string_equal(v[6].source, home);
	sutra_free(home);
	assert_int_equal(a->tmpfs.n, 1);
	assert_string_equal(a->tmpfs.items[0], "/7");
	sutra_compose_free(c);
}

static void null_in_an_environment_takes_the_shells_value(void **state)
{
	static const char *const forms[] = { "environment: { A: null, N: null }", "environment: { A: ~, N: ~ }",
					     "environment: { A: , N: }", "environment: [A, N]" };
	struct sutra_compose *c;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if (parse_service(forms[i], &c, &err))
			fail_msg("%s", err.message);
		assert_string_equal(sutra_env_get(&sutra_compose_find(c, "a")->env, "A"), "alpha");
		assert_null(sutra_env_get(&sutra_compose_find(c, "a")->env, "N"));
		sutra_compose_free(c);
	}
	assert_int_equal(parse_service("command: null", &c, &err), SUTRA_E_SETTING);	/* twice the key */
	assert_int_equal(parse_service("entrypoint: null", &c, &err), 0);
	sutra_compose_free(c);
}

static void one_document_is_one_file(void **state)
{
	static const char *const bad[][2] = {
		{ "services:\n  a: { command: x }\n---\nservices: {}\n", "f.yml:3: a second document begins" },
		{ "services:\n  a: { command: x }\n---\n", "f.yml:3: a second document begins" },
		{ "%YAML 1.2\n---\nservices:\n  a: { command: x }\n", "f.yml:1: a directive" },
		{ "services:\n  a: { command: !reset null }\n", "f.yml:2: a tag such as !reset" },
	};
	struct sutra_compose *c;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(parse(bad[i][0], &c, &err), bad[i][0], &err, bad[i][1]);
	assert_int_equal(parse("\xef\xbb\xbf---\nservices:\n  a: { command: !!str x }\n...\n", &c, &err), 0);
	sutra_compose_free(c);
}

static void files_that_compose_would_merge_are_named(void **state)
{
	static const char *const others[] = { "docker-compose.override.yml", "compose.override.yaml", "compose.yaml" };
	static const char text[] = "services:\n  a: { command: x }\n";
	char dir[] = "/tmp/sutra-compose-XXXXXX", *path;
	struct sutra_compose *c;
	struct sutra_err err;

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/docker-compose.yml", dir);
	assert_int_equal(sutra_file_write(path, text, strlen(text), 0600, &err), 0);
	assert_int_equal(sutra_compose_read(path, look_up, NULL, &c, &err), 0);
	sutra_compose_free(c);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		char *other = xasprintf("%s/%s", dir, others[i]);

		assert_int_equal(sutra_file_write(other, text, strlen(text), 0600, &err), 0);
		refused(sutra_compose_read(path, look_up, NULL, &c, &err), other, &err, other);
		unlink(other);
		sutra_free(other);
	}
	sutra_remove_tree(dir, NULL);
	sutra_free(path);
}

/* Each is written n times, "#" as its number. */
static void repeat(struct sutra_buf *b, const char *each, int n)
{
	for (int i = 0; i < n; i++)
		for (const char *s = each; *s; s++)
			*s == '#' ? sutra_buf_addf(b, "%d", i) : sutra_buf_addc(b, *s);
}

/* What a file asks for is known before it is done. */
static void a_file_that_asks_for_much_is_refused(void **state)
{
	static const struct {
		const char *head, *each;
		int n;
		const char *want;
	} bad[] = {
		{ "services: ", "[\n  ", 100, "nested deeper than 40" },
		{ "services: {a: {command: [x", ",\n   x", 60000, "more than 50000 values" },
		{ "services: {a: {environment: {x: y", ",\n   k#: v", 2000, "too many keys" },
		{ "x-a: 1\nx-b:\n", "  - &a# x\n", 300, "more than 200 anchors" },
		{ "x-a: &a [x]\nx-b:\n", "  - *a\n", 30000, "more than 50000 values" },
		{ "x-a: &a [ *a ]\n", "", 0, "f.yml:1: an alias stands inside what it stands for" },
		{ "x-a: !<", "xxxxxxxx", 2000, "f.yml:1: the line is longer than 8192 bytes" },
	};
	struct sutra_compose *c;
	struct sutra_err err;
	struct sutra_buf b;

	sutra_buf_init(&b, 4 << 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		sutra_buf_clear(&b);
		sutra_buf_adds(&b, bad[i].head);
		repeat(&b, bad[i].each, bad[i].n);
		refused(parse(b.data, &c, &err), bad[i].head, &err, bad[i].want);
	}
	/* Nine aliases a line, nine times the line before. */
	sutra_buf_clear(&b);
	sutra_buf_adds(&b, "x-0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 9; i++)
		sutra_buf_addf(&b, "x-%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
			       i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	refused(parse(b.data, &c, &err), "aliases", &err, "f.yml:5: the file holds more than 50000 values");
	/* Five mappings of 300 keys, merged into one. */
	sutra_buf_clear(&b);
	for (int i = 0; i < 5; i++) {
		sutra_buf_addf(&b, "x-%d: &a%d { k: v", i, i);
		for (int k = 0; k < 300; k++)
			sutra_buf_addf(&b, ",\n  k%d_%d: v", i, k);
		sutra_buf_adds(&b, " }\n");
	}
	sutra_buf_adds(&b, "x-m: { <<: [*a0, *a1, *a2, *a3, *a4] }\n");
	refused(parse(b.data, &c, &err), "merges", &err, "too many keys");
	sutra_buf_release(&b);
}

/* For a compose makes 1.1 of 1.10, and 1.29 reads env_files by rules of its own. */
static void containers_get_what_was_read(void **state)
{
	static const char want[] = "    environment:\n"
				   "      A: \"1.10\"\n"
				   "      B: \"a$$b \\\"q\\\" \\\\ 'x' \\n\\tend \"\n";
	char dir[] = "/tmp/sutra-override-XXXXXX", path[512], *text;
	struct sutra_desired desired = { 0 };
	struct sutra_scene scene = { .state_dir = dir, .desired = &desired };
	struct sutra_compose *c;
	struct sutra_err err;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(parse("services:\n  a: { command: x }\n", &c, &err), 0);
	desired.selected = c;
	assert_int_equal(sutra_docker_override(&scene, path, sizeof(path), &err), 0);
	assert_string_equal(path, "");
	sutra_compose_free(c);
	if (parse_service("environment: { A: 1.10, B: \"a$$b \\\"q\\\" \\\\ 'x' \\n\\tend \" }", &c, &err))
		fail_msg("%s", err.message);
	desired.selected = c;
	assert_int_equal(sutra_docker_override(&scene, path, sizeof(path), &err), 0);
	assert_int_equal(sutra_file_read(path, 1 << 20, &text, NULL, &err), 0);
	if (!strstr(text, want))
		fail_msg("%s", text);
	sutra_free(text);
	sutra_compose_free(c);
	sutra_remove_tree(dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_names),
		cmocka_unit_test(a_variable_of_an_environment_has_a_name),
		cmocka_unit_test(what_is_half_written_is_an_error_with_its_place),
		cmocka_unit_test(long_forms_mean_what_the_short_ones_do),
		cmocka_unit_test(null_in_an_environment_takes_the_shells_value),
		cmocka_unit_test(one_document_is_one_file),
		cmocka_unit_test(files_that_compose_would_merge_are_named),
		cmocka_unit_test(a_file_that_asks_for_much_is_refused),
		cmocka_unit_test(containers_get_what_was_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
