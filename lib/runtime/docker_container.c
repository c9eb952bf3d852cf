/*
 * The containers of a stack: the project that they carry as a label, how they are listed, and how one that
 * runs again ended before (its inspection has lost the exit code, the engine's events still have it).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "runtime/docker.h"
#include "runtime/engine_api.h"

enum { MAX_EVENTS = 1 << 20, OOM_KILL = 128 + 9 };

void sutra_docker_project(const char *state_dir, char out[SUTRA_PROJECT_LEN])
{
	char hex[SUTRA_SHA256_HEX], *usual = sutra_home_state();
	uint8_t digest[SUTRA_SHA256_LEN];

	sutra_sha256(state_dir, strlen(state_dir), digest);
	sutra_hex(digest, sizeof(digest), hex);
	if (strcmp(usual, state_dir) != 0)
		snprintf(out, SUTRA_PROJECT_LEN, "sutra-%.8s", hex);
	else
		snprintf(out, SUTRA_PROJECT_LEN, "sutra");
	sutra_free(usual);
}

int sutra_docker_containers(const char *state_dir, const char *service, json_t **ret, struct sutra_err *err)
{
	char project[SUTRA_PROJECT_LEN], filter[512];
	struct sutra_buf quoted;
	int rc;

	sutra_docker_project(state_dir, project);
	snprintf(filter, sizeof(filter), "{\"label\":[\"" SUTRA_PROJECT_LABEL "=%s\"%s%s%s]}", project,
		 service ? ",\"" SUTRA_SERVICE_LABEL "=" : "", service ? service : "", service ? "\"" : "");
	sutra_buf_init(&quoted, 4096);
	sutra_buf_add_quoted(&quoted, filter);
	rc = sutra_engine_call("GET", NULL, ret, err, "/containers/json?all=1&filters=%s", sutra_buf_str(&quoted));
	sutra_buf_release(&quoted);
	return rc;
}

bool sutra_docker_container(const char *state_dir, const char *service, char out[80])
{
	const char *id = NULL;
	json_t *list = NULL;

	if (!sutra_docker_containers(state_dir, service, &list, NULL))
		id = json_string_value(json_object_get(json_array_get(list, 0), "Id"));
	snprintf(out, 80, "%s", id ? id : "");
	json_decref(list);
	return *out;
}

/* One event, a document on a line: {"status": "die", "Actor": {"Attributes": {"exitCode": "137"}}}. */
static void take_event(const char *line, size_t n, bool *oom, struct sutra_supervised *ret)
{
	const char *status, *code;
	json_t *o = NULL;
	int64_t number;

	if (sutra_json_parse(line, n, &o, NULL))
		return;
	status = json_string_value(json_object_get(o, "status"));
	code = json_string_value(json_object_get(json_object_get(json_object_get(o, "Actor"), "Attributes"), "exitCode"));
	if (status && !strcmp(status, "oom")) {
		*oom = true;
	} else if (status && !strcmp(status, "die") && code && !sutra_str_int(code, 0, 255, &number)) {
		ret->last_exit = (int)number;
		if (*oom)
			ret->limit_reached = ret->memory_limit ? ret->memory_limit : 1;
		*oom = false;
	}
	json_decref(o);
}

void sutra_docker_last_end(int64_t ended_us, struct sutra_supervised *ret)
{
	const char *at, *end;
	struct sutra_buf path, events;
	int64_t now_us = sutra_clock_wall_us();
	bool oom = false;
	char filter[200];

	/* the engine keeps its last 256 events, health checks among them: about a minute of a stack's */
	ret->last_exit = ret->limit_reached ? OOM_KILL : -1;
	snprintf(filter, sizeof(filter), "{\"container\":[\"%s\"],\"event\":[\"die\",\"oom\"]}", ret->id);
	sutra_buf_init(&path, 4096);
	sutra_buf_init(&events, MAX_EVENTS);
	sutra_buf_addf(&path, "/events?since=%lld&until=%lld.%06lld&filters=", (long long)(ended_us / 1000000 - 10),
		       (long long)(now_us / 1000000), (long long)(now_us % 1000000));
	sutra_buf_add_quoted(&path, filter);
	if (!sutra_engine_bytes(sutra_buf_str(&path), &events, NULL))
		for (at = sutra_buf_str(&events); *at; at = *end ? end + 1 : end) {
			end = at + strcspn(at, "\n");
			take_event(at, (size_t)(end - at), &oom, ret);
		}
	sutra_buf_release(&events);
	sutra_buf_release(&path);
}
