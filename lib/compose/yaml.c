#include "compose/yaml.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/jsonio.h"

enum { MAX_VALUES = 50000, MAX_COMPARED = 500000, MAX_ANCHORS = 200, MAX_DEPTH = 40, MAX_ANCHOR = 64,
       MAX_LINE = 8 << 10 };

struct size {
	size_t values, compared;	/* compared: keys with keys */
};

struct anchor {
	char name[MAX_ANCHOR];
	struct size size;	/* values 0: the node is still open */
};

struct level {	/* an open mapping or sequence */
	struct size before;
	size_t items, keys;	/* items of a mapping: keys and values; keys: with merged ones */
	bool mapping, merging;	/* merging: the last key was << */
	struct anchor *anchor;
};

struct count {
	const char *file;
	struct size size;
	unsigned documents;
	struct level levels[MAX_DEPTH];
	size_t depth;
	struct anchor anchors[MAX_ANCHORS];
	size_t n_anchors;
	struct sutra_err *err;
};

static int refuse(struct count *c, struct fy_event *e, const char *what, const char *hint)
{
	const struct fy_mark *mark = fy_event_start_mark(e);

	sutra_fail(c->err, SUTRA_E_SETTING, "%s:%d: %s", c->file, mark ? mark->line + 1 : 1, what);
	if (hint)
		sutra_hint(c->err, "%s", hint);
	return SUTRA_E_SETTING;
}

/* The last anchor with this name: a name may be defined again. */
static struct anchor *anchor_named(struct count *c, struct fy_token *token)
{
	size_t n;
	const char *name = fy_token_get_text(token, &n);

	for (size_t i = c->n_anchors; name && i--;)
		if (strlen(c->anchors[i].name) == n && !memcmp(c->anchors[i].name, name, n))
			return &c->anchors[i];
	return NULL;
}

static int add_anchor(struct count *c, struct fy_event *e, struct fy_token *token, struct anchor **ret)
{
	size_t n;
	const char *name = token ? fy_token_get_text(token, &n) : NULL;

	*ret = NULL;
	if (!token)
		return 0;
	if (!name || n >= MAX_ANCHOR || c->n_anchors == MAX_ANCHORS)
		return refuse(c, e, "more than 200 anchors, or one of more than 63 bytes", NULL);
	*ret = &c->anchors[c->n_anchors++];
	memcpy((*ret)->name, name, n);
	(*ret)->name[n] = '\0';
	return 0;
}

/* The innermost open mapping. */
static struct level *open_mapping(struct count *c)
{
	for (size_t i = c->depth; i--;)
		if (c->levels[i].mapping)
			return &c->levels[i];
	return NULL;
}

static int add(struct count *c, struct fy_event *e, struct size size)
{
	struct level *l = c->depth ? &c->levels[c->depth - 1] : NULL;

	c->size.values += size.values;
	c->size.compared += size.compared;
	if (l && l->mapping && l->items++ % 2 == 0)	/* a key */
		c->size.compared += l->keys++;
	if (c->size.values > MAX_VALUES)
		return refuse(c, e, "the file holds more than 50000 values, aliases counted as what they stand for",
			      NULL);
	return c->size.compared > MAX_COMPARED ? refuse(c, e, "a mapping or several have too many keys", NULL) : 0;
}

static int add_one(struct count *c, struct fy_event *e) { return add(c, e, (struct size){ .values = 1 }); }

static int open_level(struct count *c, struct fy_event *e, struct fy_token *anchor, bool mapping)
{
	struct level *l = &c->levels[c->depth];
	int rc = add_one(c, e);

	if (rc)
		return rc;
	if (c->depth == MAX_DEPTH)
		return refuse(c, e, "the file is nested deeper than 40", NULL);
	*l = (struct level){ .before = { c->size.values - 1, c->size.compared }, .mapping = mapping };
	c->depth++;
	return add_anchor(c, e, anchor, &l->anchor);
}

static int count_alias(struct count *c, struct fy_event *e)
{
	const struct anchor *a = anchor_named(c, e->alias.anchor);
	struct level *l = open_mapping(c);

	if (a && !a->size.values)
		return refuse(c, e, "an alias stands inside what it stands for", NULL);
	if (a && l && l->merging) {
		c->size.compared += a->size.values / 2 * (l->keys + a->size.values / 2);
		l->keys += a->size.values / 2;
	}
	return a ? add(c, e, a->size) : add_one(c, e);
}

static int count_scalar(struct count *c, struct fy_event *e)
{
	struct level *l = c->depth ? &c->levels[c->depth - 1] : NULL;
	struct anchor *a;
	size_t n;
	const char *text = fy_token_get_text(e->scalar.value, &n);
	int rc = add_one(c, e);

	if (l && l->mapping && l->items % 2)	/* it was a key */
		l->merging = text && n == 2 && !memcmp(text, "<<", 2);
	rc = rc ? rc : add_anchor(c, e, e->scalar.anchor, &a);
	if (!rc && a)
		a->size.values = 1;
	return rc;
}

static int check_tag(struct count *c, struct fy_event *e, struct fy_token *tag)
{
	const struct fy_tag *t = tag ? fy_tag_token_tag(tag) : NULL;

	return t && strcmp(t->handle, "!!") && strcmp(t->handle, "tag:yaml.org,2002:") ?
		       refuse(c, e, "a tag such as !reset means nothing here", "write the value without it") : 0;
}

static int count_event(struct count *c, struct fy_event *e)
{
	struct level *l;
	int rc;

	switch (e->type) {
	case FYET_DOCUMENT_START:
		return ++c->documents == 1 ? 0 :
			       refuse(c, e, "a second document begins; one is read", "remove the line --- or what follows it");
	case FYET_SCALAR:
		rc = check_tag(c, e, e->scalar.tag);
		return rc ? rc : count_scalar(c, e);
	case FYET_ALIAS:
		return count_alias(c, e);
	case FYET_SEQUENCE_START:
		rc = check_tag(c, e, e->sequence_start.tag);
		return rc ? rc : open_level(c, e, e->sequence_start.anchor, false);
	case FYET_MAPPING_START:
		rc = check_tag(c, e, e->mapping_start.tag);
		return rc ? rc : open_level(c, e, e->mapping_start.anchor, true);
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		l = &c->levels[--c->depth];
		if (l->anchor)
			l->anchor->size = (struct size){ c->size.values - l->before.values,
							 c->size.compared - l->before.compared };
		return 0;
	default:
		return 0;
	}
}

static int check_lines(const char *text, size_t n, const char *file, struct sutra_err *err)
{
	int number = 1;

	for (const char *line = text, *end = text + n, *next; line < end; line = next + 1, number++) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next : end;
		if (next - line > MAX_LINE)
			return sutra_fail(err, SUTRA_E_SETTING, "%s:%d: the line is longer than %d bytes", file, number,
					  MAX_LINE);
		if (*line == '%')
			return sutra_fail(err, SUTRA_E_SETTING, "%s:%d: a directive (%%) means nothing here", file, number);
	}
	return 0;
}

/* The first error of the YAML parser, with file and line. */
static int yaml_error(struct fy_diag *diag, const char *file, struct sutra_err *err)
{
	void *at = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

	if (!e)
		return sutra_fail(err, SUTRA_E_SETTING, "%s: this is no YAML document", file);
	return sutra_fail(err, SUTRA_E_SETTING, "%s:%d: %s", file, e->line > 0 ? e->line : 1, e->msg);
}

static int check_events(const struct fy_parse_cfg *cfg, const char *text, size_t n, const char *file,
			struct sutra_err *err)
{
	struct count c = { .file = file, .err = err };
	struct fy_parser *p = fy_parser_create(cfg);
	struct fy_event *e;
	int rc = 0;

	if (!p || fy_parser_set_string(p, text, n))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory reading %s", file);
	while (!rc && (e = fy_parser_parse(p))) {
		rc = count_event(&c, e);
		fy_parser_event_free(p, e);
	}
	fy_parser_destroy(p);
	return rc;
}

int sutra_yaml_load(const char *text, size_t n, const char *file, struct fy_document **ret, struct sutra_err *err)
{
	const struct fy_diag_cfg silent = { .level = FYET_ERROR, .module_mask = ~0u };
	struct fy_diag *diag = fy_diag_create(&silent);
	struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_RESOLVE_DOCUMENT,
				    .diag = diag };
	int rc = check_lines(text, n, file, err);

	if (!diag || rc) {
		fy_diag_destroy(diag);
		return rc ? rc : sutra_fail(err, SUTRA_E_NOMEM, "out of memory reading %s", file);
	}
	fy_diag_set_collect_errors(diag, true);
	rc = check_events(&cfg, text, n, file, err);
	if (!rc && fy_diag_got_error(diag))
		rc = yaml_error(diag, file, err);
	if (!rc && !(*ret = fy_document_build_from_string(&cfg, text, n)))
		rc = yaml_error(diag, file, err);
	fy_diag_destroy(diag);
	return rc;
}

/* Words that some parser reads as a boolean or null (YAML 1.1 has the longer list). */
static bool is_reserved(const char *s, size_t n)
{
	static const char *const words[] = { "y",  "n",	  "yes",  "no",	  "on",	  "off",
					     "true", "false", "null", "none", "inf", "nan" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == n && !strncasecmp(words[i], s, n))
			return true;
	return false;
}

/* Whether the text needs no quotes: it begins with a letter or a slash, then has the characters of paths,
 * names and addresses; ':' only inside of a word. */
static bool is_bare(const char *s, size_t n)
{
	if (!n || (!isalpha((unsigned char)s[0]) && s[0] != '/') || s[n - 1] == ':')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80 || (!isalnum((unsigned char)s[i]) && !strchr("_-./:@", s[i])))
			return false;
	return !is_reserved(s, n);
}

/* Whether a literal block can hold it: several lines of printable ASCII, the first without a leading blank. */
static bool is_block(const char *s, size_t n)
{
	if (n < 2 || s[n - 1] != '\n' || s[n - 2] == '\n' || !memchr(s, '\n', n - 1) || isspace((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && c != '\n') || c >= 0x7f || (c == ' ' && s[i + 1] == '\n'))
			return false;
	}
	return true;
}

static void add_block(struct sutra_buf *b, const char *s, size_t n)
{
	sutra_buf_addc(b, '|');
	for (size_t i = 0; i < n; i++) {
		if (!i || s[i - 1] == '\n')
			sutra_buf_adds(b, "\n ");
		if (s[i] != '\n')
			sutra_buf_addc(b, s[i]);
	}
	sutra_buf_addc(b, '\n');
}

/* libfyaml keeps the style in which a text was read and has no function to set one: so the text is written
 * in the wanted style and read. */
static struct fy_node *text_node(struct fy_document *doc, const char *s, size_t n)
{
	struct sutra_buf styled;
	struct fy_node *node;

	if (is_bare(s, n))
		return fy_node_create_scalar_copy(doc, s, n);
	sutra_buf_init(&styled, 8 * n + 16);
	if (is_block(s, n))
		add_block(&styled, s, n);
	else
		sutra_json_add_string(&styled, s, n);
	node = sutra_buf_error(&styled) ? NULL : fy_node_buildf(doc, "%s", sutra_buf_str(&styled));
	sutra_buf_release(&styled);
	return node;
}

static struct fy_node *node_of(struct fy_document *doc, const json_t *v);

static struct fy_node *list_node(struct fy_document *doc, const json_t *v)
{
	struct fy_node *list = fy_node_create_sequence(doc);
	json_t *item;
	size_t i;

	json_array_foreach(v, i, item) {
		struct fy_node *node = list ? node_of(doc, item) : NULL;

		if (!node || fy_node_sequence_append(list, node))
			return NULL;
	}
	return list;
}

static struct fy_node *mapping_node(struct fy_document *doc, const json_t *v)
{
	struct fy_node *mapping = fy_node_create_mapping(doc);
	const char *key;
	json_t *item;

	json_object_foreach((json_t *)v, key, item) {
		struct fy_node *name = mapping ? text_node(doc, key, strlen(key)) : NULL;
		struct fy_node *node = name ? node_of(doc, item) : NULL;

		if (!node || fy_node_mapping_append(mapping, name, node))
			return NULL;
	}
	return mapping;
}

/* NULL: out of memory; nodes made so far are freed with the document. */
static struct fy_node *node_of(struct fy_document *doc, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return mapping_node(doc, v);
	case JSON_ARRAY:
		return list_node(doc, v);
	case JSON_STRING:
		return text_node(doc, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return fy_node_create_scalarf(doc, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	case JSON_REAL:
		return fy_node_create_scalarf(doc, "%.17g", json_real_value(v));
	default:
		return fy_node_create_scalarf(doc, "%s", json_is_true(v) ? "true" : json_is_false(v) ? "false" : "null");
	}
}

static int take_output(struct fy_emitter *e, enum fy_emitter_write_type type, const char *s, int n, void *user)
{
	if (type != fyewt_terminating_zero)
		sutra_buf_add(user, s, (size_t)n);
	return n;
}

void sutra_yaml_add(struct sutra_buf *b, const json_t *value)
{
	const struct fy_emitter_cfg cfg = { .flags = FYECF_MODE_BLOCK | FYECF_WIDTH_INF | FYECF_INDENT_2,
					    .output = take_output, .userdata = b };
	struct fy_document *doc = fy_document_create(NULL);
	struct fy_node *root = doc ? node_of(doc, value) : NULL;
	struct fy_emitter *e = root ? fy_emitter_create(&cfg) : NULL;

	if ((!e || fy_document_set_root(doc, root) || fy_emit_document(e, doc)) && !sutra_buf_error(b))
		b->error = SUTRA_E_NOMEM;
	fy_emitter_destroy(e);
	fy_document_destroy(doc);
}
