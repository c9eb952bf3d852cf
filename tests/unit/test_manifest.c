/* lib/compose, lib/manifest: the YAML writer, and what a manifest makes of replicas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "manifest/kube.h"
#include "manifest/manifest_model.h"
#include "compose/yaml.h"

static const char *none(void *ctx, const char *name) { return NULL; }

/* The scalar at a path of the text, as libfyaml reads it; the caller frees. */
static char *scalar_at(const char *text, const char *path)
{
	struct fy_document *doc = fy_document_build_from_string(NULL, text, FY_NT);
	struct fy_node *n = doc ? fy_node_by_path(fy_document_root(doc), path, FY_NT, FYNWF_DONT_FOLLOW) : NULL;
	size_t len = 0;
	const char *s = n ? fy_node_get_scalar(n, &len) : NULL;
	char *copy = s ? sutra_strndup(s, len) : NULL;

	fy_document_destroy(doc);
	return copy;
}

/* The text's last key, as libfyaml reads it. */
static void check_key(const char *text, const char *want)
{
	struct fy_document *doc = fy_document_build_from_string(NULL, text, FY_NT);
	struct fy_node_pair *last = doc ? fy_node_mapping_get_by_index(fy_document_root(doc), 3) : NULL;
	size_t len = 0;
	const char *key = last ? fy_node_get_scalar(fy_node_pair_key(last), &len) : NULL;

	if (!key || len != strlen(want) || memcmp(key, want, len) != 0)
		fail_msg("the key \"%s\" of\n%s", want, text);
	fy_document_destroy(doc);
}

static void texts_come_back_as_they_were(void **state)
{
	static const char *const odd[] = {
		"",	  "plain",  "yes",	"No",	 "null",      "~",	   "1e3",   "0x1f",  "1:30", "a: b",
		"a #b",	  "'",	    "\"",	"\\n",	 "a\nb\n",    "a\nb",	   "\n",    " a",    "a ",   "  a\nb\n",
		"t\tb",	  "{a}",    "[b",	"*x",	 "&x",	      "!x",	   "|",	    "> ",    "%",    "@",
		"a\n\nb\n", "x \ny\n", "\x01\x7f", "\xc3\xa9", "http://a:1/b", "-",	   "---",   "...",   "a:",   "<<",
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		json_t *o = json_pack("{s:s, s:[s, {s:s}], s:{s:s}}", "a", odd[i], "list", odd[i], "in", odd[i], "deep",
				      "er", odd[i]);
		static const char *const paths[] = { "/a", "/list/0", "/list/1/in", "/deep/er" };
		struct sutra_buf b;

		sutra_buf_init(&b, 4096);
		json_object_set_new(o, odd[i], json_string("a key"));
		sutra_yaml_add(&b, o);
		for (size_t p = 0; p < 4; p++) {
			char *got = scalar_at(sutra_buf_str(&b), paths[p]);

			if (!got || strcmp(got, odd[i]) != 0)
				fail_msg("%s of\n%s", paths[p], sutra_buf_str(&b));
			sutra_free(got);
		}
		check_key(sutra_buf_str(&b), odd[i]);
		sutra_buf_release(&b);
		json_decref(o);
	}
}

static void yaml_has_every_kind(void **state)
{
	json_t *o = json_pack("{s:i, s:b, s:n, s:[], s:{}, s:f, s:[[i, i], {s:i, s:i}], s:s}", "int", -3, "no", 0, "nil",
			      "list", "map", "real", 0.5, "deep", 1, 2, "a", 1, "b", 2, "odd: key", "v");
	struct sutra_buf b;

	sutra_buf_init(&b, 4096);
	sutra_yaml_add(&b, o);
	assert_string_equal(sutra_buf_str(&b), "int: -3\n"
					       "\"no\": false\n"
					       "nil: null\n"
					       "list: []\n"
					       "map: {}\n"
					       "real: 0.5\n"
					       "deep:\n"
					       "- - 1\n"
					       "  - 2\n"
					       "- a: 1\n"
					       "  b: 2\n"
					       "\"odd: key\": v\n");
	sutra_buf_release(&b);
	json_decref(o);
}

static const char replicas[] =
	"services:\n"
	"  r-1: { image: x, expose: [80, 81], environment: { ID: \"1\", ME: r-1, N: \"1\", TO: \"http://db:5/r-1\" } }\n"
	"  r-2: { image: x, expose: [80, 81], environment: { ID: \"2\", ME: r-2, N: \"1\", TO: \"http://db:5/r-1\" } }\n"
	"  lb: { image: y, environment: { R_1: \"r-1:80\", R_2: \"r-2:80\", ONE: \"r-2:81\", DB_HOST: db, DB_PORT: \"7\" } }\n"
	"  db: { image: z, expose: [5, 6, 7], depends_on: [other] }\n"
	"  other: { image: z, expose: [9] }\n";

static const struct workload *named(const struct workloads *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->items[i].name, name))
			return &all->items[i];
	fail_msg("no workload %s", name);
	return NULL;
}

static void replicas_become_one_with_edges(void **state)
{
	const struct workload *r, *lb, *db;
	struct sutra_compose *c;
	struct workloads all;
	struct sutra_err err;

	assert_int_equal(sutra_compose_parse(replicas, strlen(replicas), "f.yml", none, NULL, &c, &err), 0);
	assert_int_equal(sutra_workloads_make(&(struct sutra_manifest){ .all = c, .selected = c, .folder = "." }, &all, &err), 0);
	assert_int_equal(all.n, 4);
	r = named(&all, "r");
	assert_int_equal(r->replicas, 2);
	assert_true(r->balanced && r->n_ports == 2 && r->n_env == 4);
	assert_int_equal(r->env[0].kind, ENV_NUMBER);
	assert_string_equal(r->env[0].value, "");
	assert_int_equal(r->env[1].kind, ENV_NUMBER);
	assert_string_equal(r->env[1].value, "r-");
	assert_int_equal(r->env[2].kind, ENV_TEXT);
	assert_string_equal(r->env[2].value, "1");
	lb = named(&all, "lb");
	assert_int_equal(lb->n_env, 4);
	assert_string_equal(lb->env[2].value, "\x03" "r\x03:81");
	assert_int_equal(lb->env[3].kind, ENV_ADDRESSES);
	assert_string_equal(lb->env[3].key, "R_DNS");
	assert_string_equal(lb->env[3].value, "r:80");
	/* lb calls r on 80 and 81, db on 7; r calls db on 5; db names other without a port. */
	assert_int_equal(r->n_edges, 2);
	db = named(&all, "db");
	assert_int_equal(db->n_edges, 2);
	assert_int_equal(db->edges[0].port, 7);
	assert_int_equal(db->edges[1].port, 5);
	assert_int_equal(named(&all, "other")->edges[0].port, 0);
	sutra_workloads_release(&all);
	sutra_compose_free(c);
}

/* The mark of a Service's name, which a setting could bring in a quoted value. */
static void a_mark_in_a_setting_is_refused(void **state)
{
	static const char text[] = "services:\n  a: { image: x, environment: { N: \"\\x03\" } }\n";
	struct sutra_compose *c;
	struct workloads all = { 0 };
	struct sutra_err err;

	assert_int_equal(sutra_compose_parse(text, strlen(text), "f.yml", none, NULL, &c, &err), 0);
	assert_int_equal(sutra_workloads_make(&(struct sutra_manifest){ .all = c, .selected = c, .folder = "." }, &all, &err),
			 SUTRA_E_SETTING);
	assert_string_equal(err.message, "f.yml:2: services.a: environment.N holds the control character 0x03");
	sutra_compose_free(c);
}

static const char published[] =
	"services:\n"
	"  ha: { image: x, ports: [\"1.2.3.4:80:80\", \"127.0.0.1:81:81\"] }\n"
	"  in: { image: x, ports: [\"127.0.0.1:82:82\", \"127.0.0.1:83:83\"], x-sutra-kubernetes: { entrance: \"in:82\" } }\n"
	"  any: { image: x, ports: [\"84:84\"], x-sutra-probes: { metrics: \"http://127.0.0.1:84/metrics\" } }\n"
	"  own: { image: x, ports: [\"127.0.0.1:85:85\"], x-sutra-probes: { metrics: \"http://127.0.0.1:85/metrics\" } }\n"
	"  db: { image: x, ports: [\"86:86\", \"87:87\"], x-sutra-probes: { metrics: \"http://127.0.0.1:87/metrics\" } }\n"
	"  user: { image: x, environment: { DB: \"db:86\" } }\n";

/* "80 from 0: 81 from 2 ": the ports of each rule of a policy, and how many selectors it has. */
static char *rules(const json_t *policy)
{
	const json_t *ingress = json_object_get(json_object_get(policy, "spec"), "ingress"), *rule, *port;
	struct sutra_buf b;
	size_t i, k;

	sutra_buf_init(&b, 1024);
	json_array_foreach(ingress, i, rule) {
		json_array_foreach(json_object_get(rule, "ports"), k, port)
			sutra_buf_addf(&b, "%d ", (int)json_integer_value(json_object_get(port, "port")));
		sutra_buf_addf(&b, "from %zu;", json_array_size(json_object_get(rule, "from")));
	}
	return sutra_buf_take(&b, &i);
}

static void policies_open_what_leads_in(void **state)
{
	static const struct {
		const char *name;
		bool deployed;
		const char *rules;
	} cases[] = {
		{ "ha", true, "80 from 0;81 from 2;" },
		{ "ha", false, "80 81 from 1;" },
		{ "in", true, "82 from 0;83 from 2;" },
		{ "in", false, "82 from 0;83 from 2;" },
		{ "any", true, "84 from 0;" },
		{ "own", true, "85 from 2;" },
		{ "db", true, "86 from 1;87 from 2;" },
	};
	struct sutra_compose *c;
	struct workloads all;
	struct sutra_err err;

	assert_int_equal(sutra_compose_parse(published, strlen(published), "f.yml", none, NULL, &c, &err), 0);
	assert_int_equal(sutra_workloads_make(&(struct sutra_manifest){ .all = c, .selected = c, .folder = ".", .instance = "i" },
					      &all, &err), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *policy = sutra_kube_network_policy(&all, named(&all, cases[i].name), cases[i].deployed);
		char *text = rules(policy);

		assert_string_equal(text, cases[i].rules);
		sutra_free(text);
		json_decref(policy);
	}
	sutra_workloads_release(&all);
	sutra_compose_free(c);
}

static void amounts_are_whole(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = { { 2ull << 30, "2Gi" }, { 256 << 20, "256Mi" }, { 1536 << 10, "1536Ki" }, { 1000, "1000" } };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *text = sutra_workload_size(sizes[i].bytes, "i");

		assert_string_equal(text, sizes[i].text);
		sutra_free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_come_back_as_they_were),
		cmocka_unit_test(yaml_has_every_kind),
		cmocka_unit_test(replicas_become_one_with_edges),
		cmocka_unit_test(a_mark_in_a_setting_is_refused),
		cmocka_unit_test(policies_open_what_leads_in),
		cmocka_unit_test(amounts_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
