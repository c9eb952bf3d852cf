/* The reference documents' tables, worked out again from their inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "load/advice.h"

static struct sutra_advice advise(double users, double rate, int64_t dimension)
{
	struct sutra_advice_input in;
	struct sutra_advice a;
	json_t *steps;

	sutra_advice_defaults(&in);
	in.users = users;
	in.rate = rate;
	in.dimension = dimension;
	sutra_advise(&in, &a, &steps);
	json_decref(steps);
	return a;
}

/* "Throughput, monthly cost, replicas" of both documents that have the table. The scaling
 * README's 0.98/s is the cache without phase 0: 0.14 x 7; the summary's 2.94/s is with it. */
static void throughput_and_cost(void **state)
{
	static const struct {
		double rate;
		int64_t dimension;
		double capacity, cost;
		unsigned replicas;
	} table[] = {
		{ 0.14, 768, 0.14, 350, 1 },	/* baseline */
		{ 0.42, 256, 0.42, 350, 1 },	/* phase 0 */
		{ 0.98, 768, 0.98, 380, 1 },	/* README, phase 1 */
		{ 2.94, 256, 2.94, 380, 1 },	/* summary, phases 0 and 1 */
		{ 8.8, 256, 8.82, 530, 3 },	/* phases 0, 1 and 2 */
		{ 0.21, 512, 0.21, 350, 1 },	/* "1.5 x faster than 768" */
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct sutra_advice a = advise(-1, table[i].rate, table[i].dimension);

		assert_float_equal(a.capacity, table[i].capacity, 1e-9);
		assert_float_equal(a.cost, table[i].cost, 1e-9);
		assert_int_equal(a.replicas, table[i].replicas);
		assert_true(a.phase[0] == (table[i].dimension < 768));
		assert_true(a.phase[1] == (table[i].cost > 350));
		assert_true(a.phase[2] == (table[i].replicas > 1));
	}
}

/* "Cost/User" of the README's investment summary: cost over the ends of each range of users. */
static void cost_of_a_user(void **state)
{
	static const struct {
		double users, rate;
		int64_t dimension;
		double cents;
	} table[] = {
		{ 100, 0.14, 768, 350 }, { 200, 0.14, 768, 175 }, { 300, 0.42, 256, 117 }, { 400, 0.42, 256, 88 },
		{ 500, 0.98, 768, 76 },	 { 700, 0.98, 768, 54 },  { 1500, 8.8, 256, 35 },  { 3000, 8.8, 256, 18 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_float_equal(100 * advise(table[i].users, table[i].rate, table[i].dimension).per_user,
				   table[i].cents, 0.5);
}

/* "Cost per concept (at scale)": 2,500, 321 and 135 $ a million; 7.8 and 18.5 x cheaper. The later two
 * are of plans with prices of their own. */
static void cost_of_a_million(void **state)
{
	struct sutra_advice_input in;
	struct sutra_advice base = advise(-1, 0.14, 768), a;
	json_t *steps;

	assert_float_equal(base.per_million, 2500, 0.5);
	/* 30 days hold 2.592 times the documents' million of seconds. */
	assert_float_equal(base.per_million_asked, 2500 / 2.592, 0.5);
	sutra_advice_defaults(&in);
	in.dimension = 768;
	in.measured = 1.4;
	in.rate = 1.4;
	in.base_cost = 450;
	sutra_advise(&in, &a, &steps);
	assert_float_equal(a.per_million, 321, 0.5);
	assert_float_equal(base.per_million / a.per_million, 7.8, 0.05);
	json_decref(steps);
	in.measured = in.rate = 14;
	in.base_cost = 1887;
	sutra_advise(&in, &a, &steps);
	assert_float_equal(a.per_million, 135, 0.5);
	assert_float_equal(base.per_million / a.per_million, 18.5, 0.05);
	json_decref(steps);
}

/* "Which dimension should I use?" and the users of the summary's table. */
static void framework(void **state)
{
	static const struct {
		double users;
		int64_t dimension;
	} table[] = { { 0, 256 }, { 500, 256 }, { 501, 512 }, { 3000, 512 }, { 3001, 768 } };
	struct sutra_advice_input in;
	struct sutra_advice a;
	json_t *steps;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(advise(table[i].users, -1, 0).dimension, table[i].dimension);
	a = advise(1000, -1, 256);	/* 500 to 1,000 users: phases 0 and 1 */
	assert_true(a.phase[1] && !a.phase[2]);
	a = advise(3000, -1, 256);	/* 1,500 to 3,000: three replicas */
	assert_int_equal(a.replicas, 3);
	assert_float_equal(a.need, 8.82, 1e-9);
	assert_int_equal(a.memory >> 30, 3 * 6 + 2 + 2);
	sutra_advice_defaults(&in);
	in.users = 100;
	in.tenants = 5;
	sutra_advise(&in, &a, &steps);
	assert_int_equal(a.dimension, 768);
	json_decref(steps);
}

/* 3 KB and 1 KB a concept. */
static void storage_of_a_concept(void **state)
{
	assert_int_equal(advise(-1, 0.1, 768).vectors, 100000ull * 3072);
	assert_int_equal(advise(-1, 0.1, 256).vectors, 100000ull * 1024);
}

/* Doubling an input moves the answer as the formula says. */
static void arithmetic_is_what_it_says(void **state)
{
	struct sutra_advice one = advise(10000, -1, 256), two = advise(20000, -1, 256);

	assert_float_equal(two.need, 2 * one.need, 1e-9);
	assert_int_equal(one.replicas, 10);
	assert_int_equal(two.replicas, 20);
	assert_float_equal(two.cost - one.cost, 75 * 10, 1e-9);
}

static void measured_capacity_replaces_the_documents(void **state)
{
	struct sutra_advice_input in;
	struct sutra_advice a;
	json_t *steps, *list;

	sutra_advice_defaults(&in);
	in.rate = 1000;
	in.measured = 50;
	in.hit_rate = 0.9;
	in.replica_bytes = 100 << 20;
	in.other_bytes = 50 << 20;
	sutra_advise(&in, &a, &steps);
	assert_int_equal(a.replicas, 2);
	assert_float_equal(a.capacity, 1000, 1e-6);
	assert_int_equal(a.memory, 250 << 20);
	assert_string_equal(json_string_value(json_object_get(json_array_get(steps, 2), "from")), "measured");
	json_decref(steps);
	list = sutra_advice_next(&in, &a);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
}

static void a_budget_says_what_it_buys(void **state)
{
	struct sutra_advice_input in;
	struct sutra_advice a;
	json_t *steps;

	sutra_advice_defaults(&in);
	in.users = 3000;
	in.dimension = 256;
	in.budget = 530;
	sutra_advise(&in, &a, &steps);
	assert_true(a.affordable);
	json_decref(steps);
	in.budget = 529;
	sutra_advise(&in, &a, &steps);
	assert_false(a.affordable);
	assert_int_equal(a.budget_replicas, 2);
	assert_float_equal(a.budget_capacity, 5.88, 1e-9);
	json_decref(steps);
	in.budget = 10;
	sutra_advise(&in, &a, &steps);
	assert_int_equal(a.budget_replicas, 0);
	json_decref(steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(throughput_and_cost),
		cmocka_unit_test(cost_of_a_user),
		cmocka_unit_test(cost_of_a_million),
		cmocka_unit_test(framework),
		cmocka_unit_test(storage_of_a_concept),
		cmocka_unit_test(arithmetic_is_what_it_says),
		cmocka_unit_test(measured_capacity_replaces_the_documents),
		cmocka_unit_test(a_budget_says_what_it_buys),
	};

	return cmocka_run_group_tests_name("advice", tests, NULL, NULL);
}
