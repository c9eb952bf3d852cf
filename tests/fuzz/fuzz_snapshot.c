/* A line of the monitor's recording: any bytes are a snapshot or an error; a snapshot written and
 * read again is written the same. */
#include <stdint.h>
#include <string.h>

#include "probe/observe.h"
#include "probe/snapshot.h"
#include "probe/trend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sutra_events events;
	struct sutra_snapshot *s, *again;
	struct sutra_trend *t;
	struct sutra_buf a, b;

	if (sutra_snapshot_read((const char *)data, size, &s, NULL))
		return 0;
	sutra_buf_init(&a, 1 << 24);
	sutra_buf_init(&b, 1 << 24);
	sutra_snapshot_write(s, &a);
	if (sutra_snapshot_read(sutra_buf_str(&a), a.len, &again, NULL))
		__builtin_trap();
	sutra_snapshot_write(again, &b);
	if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
		__builtin_trap();
	t = sutra_trend_new();
	if (t) {
		sutra_trend_add(t, s);
		sutra_snapshot_rates(again, s);
		sutra_observe(again, s);
		sutra_events_take(&events, again);
		sutra_trend_add(t, again);
		sutra_trend_window(t, 900);
	}
	sutra_trend_free(t);
	sutra_buf_release(&a);
	sutra_buf_release(&b);
	sutra_snapshot_unref(s);
	sutra_snapshot_unref(again);
	return 0;
}
