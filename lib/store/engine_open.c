/*
 * Opening a store, its locks, its clock, and freeing it.
 *
 * On a disk that is full or read-only no lock file, manifest or segment can be made, but the log can be read.
 * In this case the store opens without a log to write: reads go on, every write is SUTRA_E_READONLY, and a
 * tick tries again once a second.
 *
 * The lock protects the end of the log between replay and append. An existing lock file is locked even when it
 * cannot be written. If no lock file can be made, no other process can have one either. When it can be made
 * later, another process may have written the log meanwhile, so the log is read again; if its end differs,
 * this process does not write until it is restarted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "store/engine_private.h"

#define RETRY_NS 1000000000u	/* after a failed write: how long puts are refused without trying */

static void read_clocks(uint64_t *ret_wall_us, uint64_t *ret_monotonic_us)
{
	*ret_wall_us = (uint64_t)sutra_clock_wall_us();
	*ret_monotonic_us = sutra_clock_ns() / 1000;
}

static void clock_init(struct store_clock *c, void (*read)(uint64_t *, uint64_t *))
{
	*c = (struct store_clock){ .read = read ? read : read_clocks };
	c->read(&c->now_us, &c->monotonic_us);
}

uint64_t sutra_store_clock_now(struct store_clock *c)
{
	uint64_t wall, monotonic;

	c->read(&wall, &monotonic);
	c->now_us += monotonic - c->monotonic_us;
	c->monotonic_us = monotonic;
	if (wall > c->now_us)
		c->now_us = wall;
	c->ahead_us = c->now_us - wall;
	return c->now_us;
}

void sutra_engine_lock(struct sutra_engine *s)
{
	atomic_fetch_add(&s->waiting, 1);
	pthread_mutex_lock(&s->lock);
	atomic_fetch_sub(&s->waiting, 1);
}

void sutra_engine_unlock(struct sutra_engine *s) { pthread_mutex_unlock(&s->lock); }

void sutra_engine_set_reason(struct sutra_engine *s, const char *reason)
{
	sutra_engine_lock(s);
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	sutra_engine_unlock(s);
}

int sutra_engine_refuse_writes(struct sutra_engine *s, const struct sutra_err *why)
{
	sutra_engine_set_reason(s, why->message);
	s->retry_at_ns = sutra_clock_ns() + RETRY_NS;
	return why->code;
}

void sutra_engine_free(struct sutra_engine *s)
{
	sutra_wal_close(s->wal);
	sutra_concept_table_release(&s->table);
	sutra_changes_release(&s->changes);
	sutra_buf_release(&s->body);
	sutra_free(s->order);
	pthread_mutex_destroy(&s->lock);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	sutra_free(s->dir);
	sutra_free(s);
}

static int replay(void *user, uint64_t lsn, enum sutra_log_record type, const void *body, size_t n)
{
	struct sutra_engine *s = user;
	struct entry *e = NULL;
	uint32_t node;
	int rc;

	switch (type) {
	case SUTRA_LOG_PUT:
		rc = sutra_entry_decode(body, n, s->clock.now_us, &e);
		if (rc == SUTRA_E_CORRUPT) {	/* passed its checksum: a record this version cannot read */
			s->dropped++;
			return 0;
		}
		if (rc)
			return rc;
		if (engine_is_dead(e, s->clock.now_us)) {
			node = sutra_concept_table_find(&s->table, entry_id(e), e->id_len);
			if (node)
				sutra_concept_table_drop(&s->table, node);
			sutra_free(e);
			s->expired++;
			return 0;
		}
		sutra_free(sutra_concept_table_insert(&s->table, e));
		return 0;
	case SUTRA_LOG_DELETE:
		node = sutra_concept_table_find(&s->table, body, n);
		if (node)
			sutra_concept_table_drop(&s->table, node);
		return 0;
	case SUTRA_LOG_CLEAR:
		sutra_concept_table_clear(&s->table);
		return 0;
	}
	s->dropped++;
	return 0;
}

static bool is_disk(int rc) { return rc == SUTRA_E_FULL || rc == SUTRA_E_READONLY; }

static int open_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EROFS && (fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		errno = EROFS;	/* there is none, and it cannot be made */
	return fd;
}

/* For the message of a process that is refused. If the disk is full, the lock holds without it. */
static void note_pid(int fd)
{
	if (!ftruncate(fd, 0))
		dprintf(fd, "%ld", (long)getpid());
}

static int lock_folder(struct sutra_engine *s, struct sutra_err *err)
{
	char path[4096], pid[32], *holder;
	int rc = sutra_mkdirs(s->dir, 0700, err);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/lock", s->dir);
	s->lock_fd = open_lock(path);
	if (s->lock_fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
		rc = errno == EWOULDBLOCK ? 0 : sutra_fail_errno(err, "cannot lock %s", path);
		close(s->lock_fd);
		s->lock_fd = -1;
		if (rc)
			return rc;
		rc = sutra_file_read(path, sizeof(pid), &holder, NULL, NULL);
		sutra_fail(err, SUTRA_E_LOCKED, "%s is in use by another sutra-storage (pid %s)", s->dir,
			   rc ? "?" : holder);
		if (!rc)
			sutra_free(holder);
		return SUTRA_E_LOCKED;
	}
	note_pid(s->lock_fd);
	return 0;
}

/* A folder that could not be made counts as empty. */
static int read_log(struct sutra_engine *s, struct sutra_wal_report *ret_report, struct sutra_err *err)
{
	int rc;

	*ret_report = (struct sutra_wal_report){ .end = { .first_segment = 1, .next_segment = 1, .next_lsn = 1 } };
	rc = sutra_is_dir(s->dir) ? sutra_wal_replay(s->dir, replay, s, ret_report, err) : 0;
	s->end = ret_report->end;
	return rc;
}

int sutra_engine_open(const struct sutra_engine_options *o, struct sutra_engine **ret,
		     struct sutra_wal_report *ret_report, struct sutra_err *err)
{
	struct sutra_engine *s = sutra_calloc(1, sizeof(*s));
	struct sutra_wal *wal = NULL;
	struct sutra_err why;
	int rc = 0;

	if (!s || !(s->dir = sutra_strdup(o->dir))) {
		sutra_free(s);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the store");
	}
	s->o = *o;
	s->lock_fd = -1;
	sutra_buf_init(&s->body, 64 << 20);
	pthread_mutex_init(&s->lock, NULL);
	clock_init(&s->clock, o->clocks);
	if (sutra_concept_table_init(&s->table, o->max_concepts))
		rc = sutra_fail(&why, SUTRA_E_NOMEM, "out of memory for %zu concepts", o->max_concepts);
	rc = rc ? rc : lock_folder(s, &why);
	if (is_disk(rc)) {
		sutra_engine_refuse_writes(s, &why);
		rc = 0;
	}
	rc = rc ? rc : read_log(s, ret_report, &why);
	if (!rc && s->lock_fd >= 0 && is_disk(rc = sutra_wal_open(s->dir, &s->end, &wal, &why))) {
		sutra_engine_refuse_writes(s, &why);
		rc = 0;
	}
	s->wal = wal;
	if (!rc) {
		*ret = s;
		return 0;
	}
	sutra_engine_free(s);
	if (err)
		*err = why;
	return rc;
}

/* After a late lock: whether the log still ends where it did at the replay. */
static int is_unchanged(struct sutra_engine *s, struct sutra_err *err)
{
	struct sutra_wal_report now;
	int rc = sutra_wal_replay(s->dir, NULL, NULL, &now, err);

	if (!rc && memcmp(&now.end, &s->end, sizeof(now.end)) != 0)
		rc = sutra_fail(err, SUTRA_E_LOCKED,
				"%s was written by another sutra-storage meanwhile; restart this one", s->dir);
	return rc;
}

void sutra_engine_try_log(struct sutra_engine *s)
{
	struct sutra_wal *wal = NULL;
	struct sutra_err why;
	int rc = 0;

	if (sutra_clock_ns() < s->retry_at_ns)
		return;
	if (s->lock_fd < 0 && !(rc = lock_folder(s, &why)) && (rc = is_unchanged(s, &why))) {
		close(s->lock_fd);
		s->lock_fd = -1;
		sutra_engine_refuse_writes(s, &why);
		s->retry_at_ns = UINT64_MAX;
		return;
	}
	rc = rc ? rc : sutra_wal_open(s->dir, &s->end, &wal, &why);
	s->wal = wal;
	if (rc)
		sutra_engine_refuse_writes(s, &why);
	else
		sutra_engine_set_reason(s, "");
}
