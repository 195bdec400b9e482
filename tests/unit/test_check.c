/* fcgi/base/check */
#include "base/check.h"

#include "unit.h"

static void
stand(void)
{
	CHECK(1 + 1 == 2);
}

static void
fall(void)
{
	CHECK(1 + 1 == 3);
}

static void
fall_in_a_context(void)
{
	check_context("route=POST /orders");
	CHECK(NULL);
}

static void
a_true_condition_changes_nothing(void **state)
{
	char text[1024];

	(void)state;
	assert_false(aborts(stand, text, sizeof(text)));
	assert_string_equal(text, "");
}

static void
a_false_condition_logs_its_place_and_ends_the_process(void **state)
{
	char text[1024];

	(void)state;
	assert_true(aborts(fall, text, sizeof(text)));
	assert_non_null(strstr(text, "\"event\":\"check_failed\""));
	assert_non_null(strstr(text, "1 + 1 == 3"));
	assert_non_null(strstr(text, "test_check.c"));
	assert_non_null(strstr(text, "\"context\":null"));
}

static void
the_context_tells_what_was_being_done(void **state)
{
	char text[1024];

	(void)state;
	assert_true(aborts(fall_in_a_context, text, sizeof(text)));
	assert_non_null(strstr(text, "\"context\":\"route=POST /orders\""));
}

static void
the_condition_is_evaluated_once(void **state)
{
	int count = 0;

	(void)state;
	CHECK(++count);
	assert_int_equal(count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_true_condition_changes_nothing),
		cmocka_unit_test(a_false_condition_logs_its_place_and_ends_the_process),
		cmocka_unit_test(the_context_tells_what_was_being_done),
		cmocka_unit_test(the_condition_is_evaluated_once),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
