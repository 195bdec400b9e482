/* fcgi/base/rand */
#include "base/rand.h"

#include "unit.h"

static void
bytes_fill_the_whole_range_and_nothing_else(void **state)
{
	unsigned char seen[300] = { 0 };

	(void)state;
	/* Eight rounds: a byte that is never touched stays 0 with a chance of 2^-64. */
	for (int round = 0; round < 8; round++) {
		unsigned char bytes[302] = { 0 };

		rand_bytes(bytes + 1, 300);
		assert_int_equal(bytes[0], 0);
		assert_int_equal(bytes[301], 0);
		for (size_t i = 0; i < 300; i++)
			seen[i] |= bytes[i + 1];
	}
	for (size_t i = 0; i < 300; i++)
		assert_int_not_equal(seen[i], 0);
}

static void
two_draws_differ(void **state)
{
	unsigned char a[16], b[16];

	(void)state;
	rand_bytes(a, sizeof(a));
	rand_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	rand_bytes(NULL, 0);
}

static void
large_draws_are_served(void **state)
{
	/* getrandom(2) may return less than asked for beyond 256 bytes. */
	static unsigned char bytes[1 << 20];
	unsigned zeros = 0;

	(void)state;
	rand_bytes(bytes, sizeof(bytes));
	for (size_t i = sizeof(bytes) - 65536; i < sizeof(bytes); i++)
		zeros += bytes[i] == 0;
	/* 256 expected; the bounds are more than eight deviations away. */
	assert_in_range(zeros, 128, 400);
}

static void
numbers_stay_below_the_bound(void **state)
{
	static const uint32_t bounds[] = { 1, 2, 3, 7, 1000, 1U << 31, (1U << 31) + 1, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(bounds); i++) {
		for (int k = 0; k < 200; k++)
			assert_true(rand_below(bounds[i]) < bounds[i]);
	}
}

static void
every_number_is_about_as_frequent(void **state)
{
	enum { SIDES = 6, THROWS = 30000 };
	unsigned count[SIDES] = { 0 };

	(void)state;
	for (int i = 0; i < THROWS; i++)
		count[rand_below(SIDES)]++;
	/* 5000 expected with a deviation of 65; the bounds are seven of them away. */
	for (int side = 0; side < SIDES; side++)
		assert_in_range(count[side], 4545, 5455);
}

static void
ask_for_a_number_below_zero(void)
{
	(void)rand_below(0);
}

static void
no_number_is_below_zero(void **state)
{
	char text[1024];

	(void)state;
	assert_true(aborts(ask_for_a_number_below_zero, text, sizeof(text)));
	assert_non_null(strstr(text, "below > 0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_fill_the_whole_range_and_nothing_else),
		cmocka_unit_test(two_draws_differ),
		cmocka_unit_test(large_draws_are_served),
		cmocka_unit_test(numbers_stay_below_the_bound),
		cmocka_unit_test(every_number_is_about_as_frequent),
		cmocka_unit_test(no_number_is_below_zero),
	};

	return cmocka_run_group_tests_name("rand", tests, NULL, NULL);
}
