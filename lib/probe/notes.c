#include "probe/notes.h"

#include <stdio.h>
#include <string.h>

#include "base/proc.h"
#include "base/str.h"
#include "runtime/runit.h"
#include "probe/gateway.h"

/* Adds services that run again after their last process was killed. */
static void add_kills(const struct sutra_deployment *d, json_t *list)
{
	char words[96];

	for (size_t i = 0; i < d->n; i++) {
		const struct sutra_deployed *s = &d->services[i];

		if (s->state != SUTRA_RUN_RUNNING || (!s->now.limit_reached && (!s->now.restarts || s->now.last_exit <= 128)))
			continue;
		sutra_proc_end(s->now.last_exit, s->now.limit_reached, words, sizeof(words));
		json_array_append_new(list, json_sprintf("%s was started again after it was %s", s->unit->name, words));
	}
}

/* Adds published ports: no service asks for a key, so anybody who can connect is served. */
static void add_exposure(const struct sutra_deployment *d, json_t *list)
{
	const struct sutra_deployed *gateway = sutra_gateway_service(d);

	for (size_t i = 0; i < d->n; i++) {
		const struct sutra_deployed *s = &d->services[i];

		if (!s->unit->published || sutra_str_starts(s->unit->published, "127."))
			continue;
		json_array_append_new(list, json_sprintf(s == gateway ?
			"%s serves whoever reaches %s, without a key: /cache/clear too" :
			"%s is published on %s without a key: whoever reaches it reads and changes what it holds", s->unit->name,
			s->unit->published));
	}
}

json_t *sutra_notes(const struct sutra_deployment *d)
{
	json_t *list = json_array();

	add_kills(d, list);
	add_exposure(d, list);
	if (d->files < SUTRA_FILES_WANTED)
		json_array_append_new(list, json_sprintf("a service may open %llu files, so a balancer takes about %llu connections, not 4,100; "
							 "deploy again where ulimit -Hn is at least %d",
							 (unsigned long long)d->files, d->files > 20 ? (unsigned long long)d->files / 2 - 10 : 0,
							 SUTRA_FILES_WANTED));
	if (d->as_root)
		json_array_append_new(list, json_string("the services run as root; SUTRA_USER=NAME gives them another user"));
	return list;
}
