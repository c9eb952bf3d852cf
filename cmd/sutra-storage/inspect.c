/* The contents of a log and its damage: at the start, and for --check and --dump. */
#include <stdio.h>

#include "base/log.h"
#include "storage.h"

static bool may_be_stale(const struct sutra_wal_report *r) { return r->lost_records || r->lost_more; }

void storage_log_damage(const struct sutra_wal_report *r)
{
	char text[256];

	if (r->torn_bytes)
		sutra_log(SUTRA_WARN, "storage", "left out a torn end of the log", "bytes=%llu",
			  (unsigned long long)r->torn_bytes);
	if (!r->damaged_ranges)
		return;
	for (uint64_t i = 0; i < r->damaged_ranges && i < SUTRA_WAL_DAMAGES; i++) {
		sutra_wal_damage_text(&r->damages[i], text, sizeof(text));
		sutra_log(SUTRA_ERROR, "storage", "damage in the log", "range=\"%s\"", text);
	}
	sutra_log(SUTRA_ERROR, "storage", "the log is damaged; the rest was kept",
		  "ranges=%llu bytes=%llu missing_segments=%llu lost_records=%s%llu%s",
		  (unsigned long long)r->damaged_ranges, (unsigned long long)r->damaged_bytes,
		  (unsigned long long)r->missing_segments, r->lost_more ? ">=" : "",
		  (unsigned long long)r->lost_records,
		  may_be_stale(r) ? " note=\"a delete or a newer value may be among them: what was read "
				    "before may be older than what was acknowledged\"" : "");
}

static int print_record(void *quiet, uint64_t lsn, enum sutra_log_record type, const void *body, size_t n)
{
	static const char *const names[] = { "?", "put", "delete", "clear" };

	if (!*(bool *)quiet)
		printf("%llu %s %zu bytes\n", (unsigned long long)lsn, names[type <= 3 ? type : 0], n);
	return 0;
}

static int inspect(const char *dir, bool quiet, struct sutra_err *err)
{
	struct sutra_wal_report r;
	char text[256];
	int rc = sutra_wal_replay(dir, print_record, &quiet, &r, err);

	if (rc)
		return rc;
	printf("%llu records in %llu frames in %llu segments, %llu bytes\n", (unsigned long long)r.records,
	       (unsigned long long)r.frames, (unsigned long long)r.segments, (unsigned long long)r.bytes);
	if (r.torn_bytes)
		printf("torn end: %llu bytes\n", (unsigned long long)r.torn_bytes);
	if (r.damaged_ranges)
		printf("damage: %llu ranges, %llu bytes, %llu segments missing\n",
		       (unsigned long long)r.damaged_ranges, (unsigned long long)r.damaged_bytes,
		       (unsigned long long)r.missing_segments);
	for (uint64_t i = 0; i < r.damaged_ranges && i < SUTRA_WAL_DAMAGES; i++) {
		sutra_wal_damage_text(&r.damages[i], text, sizeof(text));
		printf("  %s\n", text);
	}
	if (may_be_stale(&r))
		printf("lost: %s%llu records; a delete or a newer value may be among them\n",
		       r.lost_more ? "at least " : "", (unsigned long long)r.lost_records);
	return r.damaged_ranges ? 1 : 0;
}

int storage_check(void *storage, char **dir, int n, struct sutra_err *err) { return inspect(*dir, true, err); }
int storage_dump(void *storage, char **dir, int n, struct sutra_err *err) { return inspect(*dir, false, err); }
