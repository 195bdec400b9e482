/* fcgi/http/tally: counts are shared, never lost */
#include "http/tally.h"

#include "unit.h"

#define HITS 9
/* So many that each counter is met, but for one chance in twenty. */
#define STRANGERS (3 * TALLY_SLOTS)
#define HOUR_S 3600
#define MINUTE_S 60

static int64_t now_s;

int64_t __wrap_clock_mono_us(void);

int64_t
__wrap_clock_mono_us(void)
{
	return now_s * 1000000;
}

static int64_t
hit(const char *key, int window_s)
{
	int64_t left;

	return tally_hit(str_of(key), window_s, &left);
}

static void
hit_by_strangers(int window_s)
{
	char key[32];

	for (int i = 0; i < STRANGERS; i++) {
		snprintf(key, sizeof(key), "stranger %d", i);
		(void)hit(key, window_s);
	}
}

static void
a_window_counts_and_ends(void **state)
{
	int64_t left = 0;

	(void)state;
	now_s = HOUR_S + 15;
	assert_int_equal(tally_hit(STR("a"), MINUTE_S, &left), 1);
	assert_int_equal(left, 45);
	now_s = HOUR_S + 59;
	assert_int_equal(tally_hit(STR("a"), MINUTE_S, &left), 2);
	assert_int_equal(left, 1);
	now_s = HOUR_S + 60;
	assert_int_equal(tally_hit(STR("a"), MINUTE_S, &left), 1);
	assert_int_equal(left, 60);
}

static void
strangers_take_nothing_back(void **state)
{
	char keys[20][8];

	(void)state;
	now_s = 2 * HOUR_S;
	for (size_t k = 0; k < COUNT(keys); k++) {
		snprintf(keys[k], sizeof(keys[k]), "key %zu", k);
		for (int i = 0; i < HITS; i++)
			(void)hit(keys[k], MINUTE_S);
	}
	hit_by_strangers(MINUTE_S);
	for (size_t k = 0; k < COUNT(keys); k++)
		assert_true(hit(keys[k], MINUTE_S) > HITS);
}

static void
a_short_window_leaves_a_long_one_alone(void **state)
{
	(void)state;
	now_s = 3 * HOUR_S;
	for (int i = 1; i <= HITS; i++)
		assert_int_equal(hit("b", HOUR_S), i);
	for (int i = 0; i < 3; i++) {
		now_s += MINUTE_S;
		hit_by_strangers(MINUTE_S);
	}
	assert_int_equal(hit("b", HOUR_S), HITS + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_counts_and_ends),
		cmocka_unit_test(strangers_take_nothing_back),
		cmocka_unit_test(a_short_window_leaves_a_long_one_alone),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
