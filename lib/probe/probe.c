#include "probe/probe.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "net/fetch.h"

enum { MAX_REPLY = 1 << 20, SPARE_DESCRIPTORS = 64, MAX_PARALLEL = 4096, DEFAULT_TIMEOUT_S = 2 };

const char *sutra_probe_state_name(enum sutra_probe_state s)
{
	static const char *const names[] = { "up", "degraded", "starting", "down", "unknown" };

	return names[s];
}

const char *sutra_probe_reason_name(int reason)
{
	static const char *const own[] = {
#define X(sym, name) name,
		SUTRA_PROBE_REASONS(X)
#undef X
	};

	return reason > SUTRA_PROBE_OWN_ ? own[reason - SUTRA_PROBE_OWN_ - 1] :
					   sutra_fetch_reason_name((enum sutra_fetch_reason)reason);
}

size_t sutra_probe_find(const struct sutra_probe *p, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(p[i].name, name) != 0)
		i++;
	return i;
}

/* A service is unknown when this process could not ask it; starting when it is within its start
 * period and does not listen yet or reports that it is not ready; else down, however young it is. */
static void fail(struct sutra_probe *p, int reason)
{
	bool not_ready = reason == SUTRA_FETCH_REFUSED || reason == SUTRA_PROBE_UNHEALTHY;

	p->state = reason == SUTRA_FETCH_INTERNAL	    ? SUTRA_UNKNOWN :
		   p->in_start_period && not_ready ? SUTRA_STARTING :
						     SUTRA_DOWN;
	p->reason = reason;
}

/* Stores the figures of the health document; returns its status, or NULL: it is no such document. */
static const char *read_document(struct sutra_probe *p, const json_t *doc)
{
	const char *status = NULL, *version = "", *reason = "";

	if (!json_is_object(doc) || sutra_json_get_string(doc, "status", &status, NULL))
		return NULL;
	sutra_json_get_string(doc, "version", &version, NULL);
	sutra_json_get_string(doc, "reason", &reason, NULL);
	sutra_json_get_double(doc, "uptime_seconds", &p->uptime_seconds, NULL);
	snprintf(p->version, sizeof(p->version), "%s", version);
	snprintf(p->detail, sizeof(p->detail), "%s", reason);
	return status;
}

/* A healthy service that cannot do all of its work describes that in the field "degraded". */
static bool reports_degraded(struct sutra_probe *p, const json_t *doc)
{
	const char *text = json_string_value(json_object_get(doc, "degraded"));

	if (text)
		snprintf(p->detail, sizeof(p->detail), "%s", text);
	return text != NULL;
}

static void judge_document(struct sutra_probe *p, const struct sutra_fetch *f)
{
	const char *word;
	json_t *doc = NULL;

	sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &doc, NULL);
	word = doc ? read_document(p, doc) : NULL;
	if (!word) {
		fail(p, f->status == 200 ? SUTRA_PROBE_BODY : SUTRA_PROBE_STATUS);
		snprintf(p->detail, sizeof(p->detail), "%d with a body that is no health document",
			 f->status);
	} else if (f->status == 200 && (!strcmp(word, "degraded") || reports_degraded(p, doc))) {
		p->state = SUTRA_DEGRADED;
		p->reason = SUTRA_PROBE_SAYS_DEGRADED;
	} else if (f->status == 200 && strcmp(word, "healthy") != 0) {
		fail(p, SUTRA_PROBE_BODY);
		snprintf(p->detail, sizeof(p->detail), "its status is \"%s\", not \"healthy\"", word);
	} else if (f->status == 503) {
		fail(p, SUTRA_PROBE_UNHEALTHY);
	} else if (f->status != 200) {
		fail(p, SUTRA_PROBE_STATUS);
	}
	json_decref(doc);
}

void sutra_probe_judge(struct sutra_probe *p, const struct sutra_fetch *f)
{
	p->status = f->status;
	p->dns_ns = f->dns_ns;
	p->connect_ns = f->connect_ns;
	p->tls_ns = f->tls_ns;
	p->first_byte_ns = f->first_byte_ns;
	p->total_ns = f->total_ns;
	snprintf(p->last_reply, sizeof(p->last_reply), "%s", sutra_buf_str(&f->answer));
	if (f->reason != SUTRA_FETCH_OK) {
		fail(p, (int)f->reason);
		snprintf(p->detail, sizeof(p->detail), "%s", f->detail);
		return;
	}
	p->state = SUTRA_UP;
	p->reason = SUTRA_PROBE_OK;
	judge_document(p, f);
	if (p->reason == SUTRA_PROBE_STATUS && !p->detail[0])
		snprintf(p->detail, sizeof(p->detail), "answered %d", f->status);
}

bool sutra_probe_begin(struct sutra_probe *p)
{
	p->state = SUTRA_DOWN;
	p->detail[0] = p->version[0] = p->last_reply[0] = '\0';
	p->cause = -1;
	p->status = 0;
	p->uptime_seconds = -1;
	p->dns_ns = p->connect_ns = p->tls_ns = p->first_byte_ns = p->total_ns = 0;
	switch (p->run) {
	case SUTRA_RUN_ABSENT:
		p->reason = SUTRA_PROBE_UNSUPERVISED;
		return false;
	case SUTRA_RUN_STOPPED:
		p->reason = SUTRA_PROBE_STOPPED;
		return false;
	case SUTRA_RUN_EXITED:
		/* Down even within the start period: this process cannot become ready any more. */
		p->reason = SUTRA_PROBE_EXITED;
		if (p->last_exit >= 0)
			sutra_proc_end(p->last_exit, p->limit_reached, p->detail, sizeof(p->detail));
		return false;
	default:
		p->state = p->url || p->run == SUTRA_RUN_UNKNOWN ? SUTRA_UNKNOWN : SUTRA_UP;
		p->reason = p->url || p->run != SUTRA_RUN_UNKNOWN ? SUTRA_PROBE_OK : SUTRA_PROBE_NO_URL;
		return p->url != NULL;
	}
}

static unsigned parallel_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return 64;
	if (r.rlim_cur < r.rlim_max) {	/* a process may raise its own soft limit */
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
		getrlimit(RLIMIT_NOFILE, &r);
	}
	if (r.rlim_cur <= 2 * SPARE_DESCRIPTORS)
		return SPARE_DESCRIPTORS / 2;
	return r.rlim_cur - SPARE_DESCRIPTORS < MAX_PARALLEL ?
		       (unsigned)(r.rlim_cur - SPARE_DESCRIPTORS) : MAX_PARALLEL;
}

int sutra_probe_all(struct sutra_probe *p, size_t n, struct sutra_err *err)
{
	struct sutra_fetch *fetches = sutra_calloc(n ? n : 1, sizeof(*fetches));
	struct sutra_fetch **list = sutra_calloc(n ? n : 1, sizeof(struct sutra_fetch *));
	size_t asked = 0;
	int rc = 0;

	if (!fetches || !list) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu probes", n);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		struct sutra_fetch *f = &fetches[asked];

		if (!sutra_probe_begin(&p[i]))
			continue;
		sutra_fetch_init(f);
		f->url = p[i].url;
		f->timeout_ns = p[i].timeout_ns ? p[i].timeout_ns : DEFAULT_TIMEOUT_S * 1000000000ull;
		f->max_answer = MAX_REPLY;
		f->user = &p[i];
		list[asked++] = f;
	}
	sutra_fetch_many(list, asked, parallel_limit());
	for (size_t i = 0; i < asked; i++) {
		sutra_probe_judge(list[i]->user, list[i]);
		sutra_fetch_release(list[i]);
	}
out:
	sutra_free(list);
	sutra_free(fetches);
	return rc;
}
