/*
 * Reading a log, also a damaged one.
 *
 * A segment is read frame by frame, each of which names the frame before it. The head of the next segment, or
 * for the last segment the manifest of a log that was closed in order, says which frame is the last. Bytes
 * behind that frame are of a refused or torn write and are ignored. If the last segment was in use, its end is
 * unknown: a bad frame without a valid one behind it is a torn tail there, which was never acknowledged as
 * durable.
 *
 * Everything else is damage: bad frames, missing frames, segments that are missing, duplicated, of another
 * store, or have another number in their head than in their name. Reading continues behind it. LSNs count
 * records without gaps, so the next good frame or head shows how many records are lost, and which. A lost
 * record may be a delete, a clear or a newer value, so concepts that were read before it may be older than
 * what was acknowledged. They are kept: a cache checks what it gets by its key, so an older value is as
 * correct as a newer one, and dropping everything before a flipped bit would empty a full cache. The report of
 * the damage says that old texts may have come back.
 *
 * The search behind a bad place costs a fixed multiple of the bytes, whatever they are: a candidate must have
 * the magic, then a check of its 40 bytes, seeded with the segment's salt, which no client knows. A payload is
 * hashed only behind a good head, and skipped as a whole when it is bad; the frame that ends the search is
 * hashed once more when it is read. That is at most 2 n + 40 n / 4 bytes for n. In version 1 only head and
 * payload together have a check; there a search ends when it has hashed SEARCH_1 times the segment's bytes,
 * and the rest of the segment is reported as lost.
 *
 * A frame whose LSN was read already is no candidate: content of a concept may be bytes of the log.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/wal_segment.h"

enum { SEARCH_1 = 8 };

struct scan {
	const char *dir;
	sutra_wal_each *each;
	void *user;
	struct sutra_wal_report *report;
	uint64_t before;	/* check of the last frame */
	uint64_t next_lsn;	/* 0: unknown yet */
	int is_behind_damage;	/* records up to the next LSN are lost */
	/* the current segment */
	const struct wal_file *file;
	uint64_t before_it, frames;
	const uint8_t *p;
	size_t n;
};

static void note_damage(struct scan *s, uint64_t segment, uint64_t at, uint64_t bytes, const char *what)
{
	struct sutra_wal_report *r = s->report;

	if (r->damaged_ranges < SUTRA_WAL_DAMAGES)
		r->damages[r->damaged_ranges] = (struct sutra_wal_damage){ segment, at, bytes, s->next_lsn, 0, what };
	r->damaged_ranges++;
	r->damaged_bytes += bytes;
	s->is_behind_damage = 1;
}

static void count_lost(struct scan *s, uint64_t records)
{
	struct sutra_wal_report *r = s->report;

	if (r->damaged_ranges <= SUTRA_WAL_DAMAGES)
		r->damages[r->damaged_ranges - 1].records = records;
	if (records == SUTRA_WAL_UNKNOWN)
		r->lost_more = 1;
	else
		r->lost_records += records;
	s->is_behind_damage = 0;
}

/* A good frame or head has this LSN: records between next_lsn and it are lost. */
static void go_on_at(struct scan *s, uint64_t lsn)
{
	if (s->is_behind_damage)
		count_lost(s, !s->next_lsn ? SUTRA_WAL_UNKNOWN : lsn > s->next_lsn ? lsn - s->next_lsn : 0);
	if (lsn > s->next_lsn)
		s->next_lsn = lsn;
}

static int payload_is_good(struct scan *s, size_t at, const struct wal_frame *f)
{
	s->report->hashed += f->payload;
	return sutra_wal_payload_check(&s->file->head, s->p + at, f) == f->payload_check;
}

/* Whether a frame's head is at `at`; before: the frame it must name, or NULL. */
static int head_at(struct scan *s, size_t at, const uint64_t *before, struct wal_frame *ret)
{
	const struct wal_head *h = &s->file->head;

	s->report->hashed += h->version == 1 ? 0 : WAL_FRAME_HEAD;
	return sutra_wal_frame_read(h, s->p + at, s->n - at, ret) && (!before || ret->before == *before) &&
	       (h->version == 1 || ret->lsn >= s->next_lsn);
}

/* The offset of the next good frame, from `at` on; s->n: there is none. */
static size_t find_next(struct scan *s, size_t at, struct wal_frame *ret)
{
	uint64_t limit = s->report->hashed + SEARCH_1 * (uint64_t)s->n;
	int is_first = s->file->head.version == 1;
	const uint8_t *q;

	while (at < s->n && (q = memchr(s->p + at, 'F', s->n - at))) {
		at = (size_t)(q - s->p);
		if (s->n - at < 4 || get32(q) != get32((const uint8_t *)"FRAM") || !head_at(s, at, NULL, ret))
			at++;
		else if (payload_is_good(s, at, ret))
			return at;
		else
			at += is_first ? 1 : ret->head + ret->payload;
		if (is_first && s->report->hashed > limit)
			break;
	}
	return s->n;
}

static int replay_frame(struct scan *s, const uint8_t *frame, const struct wal_frame *f)
{
	const uint8_t *p = frame + f->head, *end = p + f->payload;
	uint64_t lsn = f->lsn;
	int rc = 0;

	for (uint32_t left = f->records; left && !rc && end - p >= WAL_RECORD_HEAD; left--, lsn++) {
		size_t n = get32(p + 4);

		if (n > (size_t)(end - p) - WAL_RECORD_HEAD)
			break;	/* its writer never made this; the check agreed, so only a bug could */
		if (s->each)
			rc = s->each(s->user, lsn, (enum sutra_log_record)p[0], p + WAL_RECORD_HEAD, n);
		p += WAL_RECORD_HEAD + n;
		s->report->records++;
	}
	s->report->frames++;
	go_on_at(s, f->lsn);
	go_on_at(s, f->lsn + f->records);
	s->before = f->check;
	s->frames++;
	return rc;
}

/* end: the check of the last frame, NULL: unknown; in the last segment a torn tail is no damage then. */
static int scan_frames(struct scan *s, const uint64_t *end, int is_last)
{
	size_t at = s->file->head.size;

	while (at < s->n && !(end && s->before == *end)) {
		struct wal_frame f, next_frame;
		int is_head = head_at(s, at, &s->before, &f), rc;
		size_t next;

		if (is_head && payload_is_good(s, at, &f)) {
			rc = replay_frame(s, s->p + at, &f);
			if (rc)
				return rc;
			at += f.head + f.payload;
			continue;
		}
		next = find_next(s, is_head && s->file->head.version != 1 ? at + f.head + f.payload : at,
				 &next_frame);
		if (next == s->n && is_last && !end) {
			s->report->torn_bytes += s->n - at;
			return 0;
		}
		note_damage(s, s->file->name, at, next - at,
			    next == at ? "a frame is missing before it" : "checksum");
		if (next < s->n)
			s->before = next_frame.before;
		at = next;
	}
	if (end && s->before != *end && !s->is_behind_damage)
		note_damage(s, s->file->name, s->n, 0, "its end is missing");
	return 0;
}

static int scan_segment(struct scan *s, const uint64_t *end, int is_last, struct sutra_err *err)
{
	const struct wal_head *h = &s->file->head;
	char path[WAL_PATH];
	void *p = NULL;
	int fd, rc = 0;

	sutra_wal_segment_path(s->dir, s->file->name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	s->n = (size_t)s->file->bytes;
	if (s->n && (p = mmap(NULL, s->n, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED) {
		rc = sutra_fail_errno(err, "cannot map %s", path);
		close(fd);
		return rc;
	}
	close(fd);
	if (p)
		madvise(p, s->n, MADV_SEQUENTIAL);
	s->p = p;
	s->before_it = s->before;
	s->before = h->salt;
	s->frames = 0;
	rc = scan_frames(s, end, is_last);
	if (rc)
		sutra_fail(err, rc, "%s cannot be replayed: %s", path, sutra_err_text(rc));
	if (p)
		munmap(p, s->n);
	return rc;
}

/* Segments from to to - 1 are missing. */
static void note_missing(struct scan *s, uint64_t from, uint64_t to)
{
	if (from >= to)
		return;
	note_damage(s, from, 0, 0, to - from == 1 ? "the segment is missing" : "the segments from it on are missing");
	s->report->missing_segments += to - from;
}

/* A segment whose head cannot be read. Version 1 did not write it atomically: it may be torn by a crash. */
static void note_unreadable(struct scan *s, int may_be_torn)
{
	if (may_be_torn && s->file->bytes < WAL_HEAD)
		s->report->torn_bytes += s->file->bytes;
	else
		note_damage(s, s->file->name, 0, s->file->bytes, "segment header");
}

/* Whether the segment is to be read. *expected: the number that is due here, then the next one. */
static int place(struct scan *s, const struct wal_manifest *m, uint64_t *expected, int is_last)
{
	const struct wal_file *f = s->file;
	const struct wal_head *h = &f->head;
	int is_alien = h->version > 1 && h->store != m->store;

	if (h->number < m->first && !is_alien)
		return 0;	/* replaced by a rewriting */
	s->report->segments++;
	s->report->bytes += f->bytes;
	if (is_alien || h->number < *expected) {
		note_damage(s, f->name, 0, f->bytes,
			    is_alien ? "it belongs to another store" : "the segment is there twice");
		return 0;
	}
	if (f->is_damaged)
		note_damage(s, f->name, 0, 0, "one copy of the segment header");
	if (h->number != f->name)
		note_damage(s, f->name, 0, 0, "its header has another number");
	if (h->version != 1)
		note_missing(s, *expected, h->number <= m->last ? h->number : m->last + 1);
	if (!h->version)
		note_unreadable(s, is_last && !m->store);
	if (h->first_lsn)
		go_on_at(s, h->first_lsn);
	*expected = h->number + 1;
	return h->version != 0;
}

/* Without a manifest the segments that are there are taken for all. */
static void guess_manifest(struct scan *s, const struct wal_file *list, size_t n, int code, struct wal_manifest *ret)
{
	size_t i = 0;

	*ret = (struct wal_manifest){ .first = n ? list[0].head.number : 1, .last = n ? list[n - 1].head.number : 0 };
	while (i < n && list[i].head.version < 2)
		i++;
	ret->store = i < n ? list[i].head.store : 0;
	if (code == SUTRA_E_NOTFOUND &&
	    (i == n || (n == 1 && list[0].head.number == 1 && list[0].bytes <= WAL_HEAD)))
		return;	/* version 1, or a crash before the manifest was written */
	note_damage(s, 0, 0, 0, code == SUTRA_E_NOTFOUND ? "the manifest is missing" : "the manifest is damaged");
	count_lost(s, 0);
}

/* The check of the last frame of list[0], or NULL: unknown. *ret_is_last: no segment of this log follows. */
static const uint64_t *end_of(const struct wal_file *list, size_t n, const struct wal_manifest *m,
			      int *ret_is_last)
{
	uint64_t number = list[0].head.number;

	*ret_is_last = 1;
	for (size_t i = 1; i < n; i++) {
		const struct wal_head *h = &list[i].head;

		if (h->number == number || (h->version > 1 && h->store != m->store))
			continue;
		*ret_is_last = 0;
		return h->version > 1 && h->number == number + 1 ? &h->before : NULL;
	}
	return number == m->last && m->end ? &m->end : NULL;
}

/* The next segment's number is above `number`, unless that is so large that a log continued from it would
 * reach WAL_MAX_NUMBER. */
static void number_behind(struct sutra_wal_end *end, uint64_t number)
{
	if (number >= end->next_segment && number <= WAL_MAX_NUMBER / 2)
		end->next_segment = number + 1;
}

static int scan_all(struct scan *s, const struct wal_file *list, size_t n, const struct wal_manifest *m,
		    struct sutra_err *err)
{
	struct sutra_wal_end *end = &s->report->end;
	uint64_t expected = m->first;
	int rc = 0;

	*end = (struct sutra_wal_end){ m->store, m->first, m->first_lsn, m->last + 1, 0, 0 };
	s->next_lsn = m->first_lsn;
	for (size_t i = 0; i < n && !rc; i++) {
		int is_last, is_read;
		const uint64_t *known = end_of(&list[i], n - i, m, &is_last);

		s->file = &list[i];
		is_read = place(s, m, &expected, is_last);
		if (is_read)
			rc = scan_segment(s, known, is_last, err);
		number_behind(end, list[i].name);
		number_behind(end, list[i].head.number);
		/* The last one is replaced if it has no frames. */
		if (is_last && end->next_segment == list[i].name + 1 && list[i].head.number == list[i].name &&
		    (is_read ? !s->frames : list[i].bytes < WAL_HEAD)) {
			end->next_segment = list[i].name;
			s->before = is_read ? s->before_it : s->before;
		}
	}
	if (rc)
		return rc;
	note_missing(s, expected, m->last + 1);
	if (m->end)
		go_on_at(s, m->end_lsn);
	if (s->is_behind_damage)
		count_lost(s, SUTRA_WAL_UNKNOWN);
	end->before = s->before;
	end->next_lsn = s->next_lsn ? s->next_lsn : 1;
	return 0;
}

int sutra_wal_replay(const char *dir, sutra_wal_each *each, void *user, struct sutra_wal_report *ret,
		     struct sutra_err *err)
{
	struct scan s = { .dir = dir, .each = each, .user = user, .report = ret };
	struct wal_manifest m = { 0 };
	struct wal_file *list = NULL;
	size_t n = 0;
	int rc, code;

	*ret = (struct sutra_wal_report){ 0 };
	rc = sutra_wal_list(dir, &list, &n, err);
	if (rc)
		return rc;
	code = sutra_wal_manifest_read(dir, &m);
	if (code == SUTRA_E_NOTFOUND || code == SUTRA_E_CORRUPT)
		guess_manifest(&s, list, n, code, &m);
	else if (code)
		rc = sutra_fail(err, code, "cannot read %s/manifest", dir);
	rc = rc ? rc : scan_all(&s, list, n, &m, err);
	sutra_free(list);
	return rc;
}

void sutra_wal_damage_text(const struct sutra_wal_damage *d, char *out, size_t size)
{
	char where[64] = "manifest", lost[96] = "";

	if (d->segment)
		snprintf(where, sizeof(where), "%06llu.wal at %llu", (unsigned long long)d->segment,
			 (unsigned long long)d->at);
	if (d->records == SUTRA_WAL_UNKNOWN)
		snprintf(lost, sizeof(lost), "; how many records are lost from LSN %llu on is not known",
			 (unsigned long long)d->first_lsn);
	else if (d->records)
		snprintf(lost, sizeof(lost), "; %llu records are lost (LSN %llu-%llu)",
			 (unsigned long long)d->records, (unsigned long long)d->first_lsn,
			 (unsigned long long)(d->first_lsn + d->records - 1));
	snprintf(out, size, "%s: %s, %llu bytes%s", where, d->what, (unsigned long long)d->bytes, lost);
}
