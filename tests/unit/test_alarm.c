/* The hysteresis of sutra production-monitor's alerts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "probe/observe.h"

/* A look a character: + good, - bad, ? cannot tell; the answer likewise: . same, R raised, C cleared. */
static void play(unsigned bad, unsigned good, const char *looks, const char *want)
{
	struct sutra_alarm a = { .bad_needed = bad, .good_needed = good };

	for (size_t i = 0; looks[i]; i++) {
		enum sutra_look l = looks[i] == '+' ? SUTRA_LOOK_GOOD : looks[i] == '-' ? SUTRA_LOOK_BAD : SUTRA_LOOK_NONE;

		assert_int_equal(".RC"[sutra_alarm_look(&a, l)], want[i]);
	}
}

static void test_rows(void **state)
{
	play(1, 1, "+-+-+", ".RCRC");
	play(3, 2, "--+---+-++", ".....R...C");
	play(3, 2, "-------", "..R....");
	play(2, 2, "-+-+-+-+", "........");
	play(2, 3, "--++-+++-", ".R.....C.");
}

static void test_cannot_tell(void **state)
{
	play(3, 2, "-?-?-", "....R");
	play(2, 2, "--+??+", ".R...C");
	play(1, 1, "????", "....");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_cannot_tell) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
