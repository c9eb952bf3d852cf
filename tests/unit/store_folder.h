/*
 * store_folder - for tests: a folder for a store, made and removed around each test, and concepts that
 * tell when they come back damaged. It lies in memory where it can: a disk takes milliseconds for each
 * sync, and what a sync is for no test can see. Include it after cmocka.
 */
#ifndef SUTRA_TESTS_STORE_FOLDER_H
#define SUTRA_TESTS_STORE_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/engine.h"

static char dir[64];
static struct sutra_wal_report report;
static const float vector[4] = { 0.5f, -1, 2, 4 };

static inline int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/dev/shm/sutra-store-XXXXXX");
	if (mkdtemp(dir))
		return 0;
	snprintf(dir, sizeof(dir), "/tmp/sutra-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state) { return sutra_remove_tree(dir, NULL); }

static inline struct sutra_engine *open_store(size_t max)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = max };
	struct sutra_engine *e = NULL;
	struct sutra_err err;

	if (sutra_engine_open(&o, &e, &report, &err))
		fail_msg("%s", err.message);
	return e;
}

static inline int put(struct sutra_engine *e, const char *id, const char *content, uint64_t ttl)
{
	const struct sutra_concept r = { .id = id, .id_len = strlen(id), .content = content,
					.content_len = strlen(content), .embedding = vector, .dimension = 4,
					.metadata = "{}", .metadata_len = 2, .strength = 0.5f,
					.confidence = 0.25f, .ttl_seconds = ttl };
	uint64_t sequence;

	return sutra_engine_put(e, &r, &sequence, NULL);
}

static inline void write_one(struct sutra_engine *e, const char *id, const char *content)
{
	assert_int_equal(put(e, id, content, 0), 0);
	assert_int_equal(sutra_engine_commit(e, NULL), 0);
}

/* Whether id is there; if so it must be whole and its content one of a, b. */
static inline bool has(struct sutra_engine *e, const char *id, const char *a, const char *b)
{
	struct sutra_concept r;

	if (!sutra_engine_get(e, id, strlen(id), &r))
		return false;
	assert_int_equal(r.id_len, strlen(id));
	assert_memory_equal(r.id, id, r.id_len);
	if ((r.content_len != strlen(a) || memcmp(r.content, a, r.content_len)) &&
	    (!b || r.content_len != strlen(b) || memcmp(r.content, b, r.content_len)))
		fail_msg("%s holds %.*s", id, (int)r.content_len, (const char *)r.content);
	assert_int_equal(r.dimension, 4);
	assert_memory_equal(r.embedding, vector, sizeof(vector));
	assert_int_equal(r.metadata_len, 2);
	assert_true(r.strength == 0.5f && r.confidence == 0.25f);
	return true;
}

#endif
