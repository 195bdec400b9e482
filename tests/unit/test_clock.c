/* fcgi/base/clock */
#include "base/clock.h"

#include "unit.h"

static void
rfc3339_has_milliseconds_and_z(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59.000Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ 1769851800123, "2026-01-31T09:30:00.123Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
		{ -62167219200000, "0000-01-01T00:00:00.000Z" },
	};
	char text[RFC3339_TEXT + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		clock_rfc3339(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void
times_out_of_range_are_clamped_to_four_digit_years(void **state)
{
	char stamp[RFC3339_TEXT + 1];

	(void)state;
	clock_rfc3339(INT64_MAX, stamp);
	assert_memory_equal(stamp, "9999-12-31T23:59:59.", 20);
	assert_int_equal(strlen(stamp), RFC3339_TEXT);
	clock_rfc3339(INT64_MIN, stamp);
	assert_memory_equal(stamp, "0000-01-01T00:00:00.", 20);
	assert_int_equal(strlen(stamp), RFC3339_TEXT);
}

static void
the_monotonic_clock_never_goes_back(void **state)
{
	int64_t before = clock_mono_us();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_mono_us();

		assert_true(now >= before);
		before = now;
	}
}

static void
a_pause_is_measured_in_microseconds(void **state)
{
	int64_t before = clock_mono_us();

	(void)state;
	assert_int_equal(usleep(20000), 0);
	assert_in_range(clock_mono_us() - before, 20000, 10000000);
}

static void
wall_clock_agrees_with_the_system(void **state)
{
	int64_t before = time(NULL);
	int64_t s = clock_unix_s();
	int64_t ms = clock_unix_ms();

	(void)state;
	/* time() reads a coarser clock, which may still show the second before. */
	assert_in_range(s, before, time(NULL) + 1);
	assert_in_range(ms / 1000, s, s + 1);
}

static void
a_time_that_somebody_sends_is_checked(void **state)
{
	static const char *const good[] = { "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.5Z",
		"2026-12-31T23:59:59.123456789Z", "2024-02-29T00:00:00+14:00",
		"2000-02-29T00:00:00-03:30", "1000-01-01T00:00:00Z" };
	static const char *const bad[] = { "", "2026-01-31", "2026-01-31T09:30Z",
		"2026-01-31T09:30:00", "2026-01-31 09:30:00Z", "2026-01-31t09:30:00z",
		"2026-1-31T09:30:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-31T24:00:00Z",
		"2026-01-31T23:60:00Z", "2026-01-31T23:59:60Z", "2026-01-31T09:30:00.Z",
		"2026-01-31T09:30:00.1234567890Z", "2026-01-31T09:30:00+15:00",
		"2026-01-31T09:30:00+0300", "2026-01-31T09:30:00Zx", "0999-01-01T00:00:00Z",
		"+026-01-31T09:30:00Z", "now", "infinity" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!clock_rfc3339_valid(str_of(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (clock_rfc3339_valid(str_of(bad[i])))
			fail_msg("taken: %s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339_has_milliseconds_and_z),
		cmocka_unit_test(times_out_of_range_are_clamped_to_four_digit_years),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
		cmocka_unit_test(a_pause_is_measured_in_microseconds),
		cmocka_unit_test(wall_clock_agrees_with_the_system),
		cmocka_unit_test(a_time_that_somebody_sends_is_checked),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
