/* fcgi/base/err */
#include "base/err.h"

#include "base/arena.h"
#include "base/encode.h"
#include "unit.h"

static void
every_problem_has_a_complete_row(void **state)
{
	(void)state;
	assert_string_equal(problem_info(P_OK)->slug, "");
	assert_int_equal(problem_info(P_OK)->status, 200);
	for (enum problem p = P_OK + 1; p < P_COUNT; p++) {
		const struct problem_info *info = problem_info(p);

		assert_in_range(info->status, 400, 599);
		assert_true(strlen(info->title_en) > 0);
		assert_true(strlen(info->title_es) > 0);
		assert_true(strlen(info->meaning) > 0);
		assert_true(utf8_valid(str_of(info->title_es)));
	}
}

static void
every_slug_is_kebab_case_and_finds_its_own_problem(void **state)
{
	(void)state;
	for (enum problem p = P_OK + 1; p < P_COUNT; p++) {
		const char *slug = problem_info(p)->slug;

		assert_int_equal(
			strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(slug));
		assert_int_equal(problem_by_slug(slug), p);
	}
	assert_int_equal(problem_by_slug("no-such-problem"), P_OK);
	assert_int_equal(problem_by_slug(""), P_OK);
}

static void
a_number_that_is_no_problem_reads_as_internal(void **state)
{
	(void)state;
	assert_ptr_equal(problem_info(P_COUNT), problem_info(P_INTERNAL));
}

static void
err_records_the_place_and_the_text_for_the_log(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ERR(&e, P_NOT_FOUND, "no chat %d", 7), P_NOT_FOUND);
	int line = __LINE__ - 1;
	assert_int_equal(e.problem, P_NOT_FOUND);
	assert_string_equal(e.log, "no chat 7");
	assert_string_equal(e.detail, "");
	assert_string_equal(e.file, __FILE__);
	assert_int_equal(e.line, line);
}

static void
err_say_writes_for_the_client(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ERR_SAY(&e, P_BAD_JSON, "line %d", 3), P_BAD_JSON);
	assert_string_equal(e.detail, "line 3");
	assert_string_equal(e.log, "");
}

static void
a_caller_who_wants_no_detail_passes_null(void **state)
{
	(void)state;
	assert_int_equal(ERR(NULL, P_INTERNAL, "lost"), P_INTERNAL);
	assert_int_equal(ERR_SAY(NULL, P_INVALID, "lost"), P_INVALID);
	err_field(NULL, "/a", "required", "lost");
}

static void
long_texts_are_cut_but_never_inside_a_character(void **state)
{
	static const char *const characters[] = { "x", "\xC3\xA9", "\xE2\x82\xAC",
		"\xF0\x9F\x98\x80" };
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(characters); i++) {
		/* Every shift of the cut through the character. */
		for (int shift = 0; shift < 4; shift++) {
			char text[1024];
			size_t n = (size_t)shift;

			memset(text, '-', n);
			for (size_t c = strlen(characters[i]); n + c < sizeof(text); n += c)
				memcpy(text + n, characters[i], c);
			text[n] = '\0';

			(void)ERR_SAY(&e, P_INVALID, "%s", text);
			assert_true(utf8_valid(str_of(e.detail)));
			assert_in_range(
				strlen(e.detail), sizeof(e.detail) - 4, sizeof(e.detail) - 1);
			assert_memory_equal(e.detail, text, strlen(e.detail));
		}
	}
}

static void
a_cut_in_text_that_is_not_utf8_is_harmless(void **state)
{
	struct err e = { 0 };
	char text[1024];

	(void)state;
	memset(text, 0x80, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)ERR(&e, P_INTERNAL, "%s", text);
	assert_int_equal(strlen(e.log), sizeof(e.log) - 1);
	/* A lead byte that asks for more than can follow. */
	memset(text, 0xFF, sizeof(text) - 1);
	(void)ERR(&e, P_INTERNAL, "%s", text);
	assert_int_equal(strlen(e.log), sizeof(e.log) - 2);
}

static void
faulty_fields_are_collected_up_to_the_bound(void **state)
{
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < ERR_FIELDS_MAX + 5; i++) {
		char pointer[32];

		snprintf(pointer, sizeof(pointer), "/items/%d", i);
		err_field(&e, pointer, "too_long", "at most %d", i);
	}
	assert_int_equal(e.field_count, ERR_FIELDS_MAX);
	assert_string_equal(e.fields[0].pointer, "/items/0");
	assert_string_equal(e.fields[ERR_FIELDS_MAX - 1].pointer, "/items/31");
	assert_string_equal(e.fields[31].code, "too_long");
	assert_string_equal(e.fields[31].detail, "at most 31");
}

static void
clear_makes_an_err_like_new(void **state)
{
	struct err e = { 0 };

	(void)state;
	(void)ERR(&e, P_RATE_LIMITED, "log");
	(void)ERR_SAY(&e, P_RATE_LIMITED, "detail");
	err_field(&e, "/a", "required", "missing");
	e.retry_after_s = 9;
	err_clear(&e);
	assert_int_equal(e.problem, P_OK);
	assert_string_equal(e.log, "");
	assert_string_equal(e.detail, "");
	assert_int_equal(e.retry_after_s, 0);
	assert_int_equal(e.field_count, 0);
	assert_null(e.file);
	assert_int_equal(e.line, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_problem_has_a_complete_row),
		cmocka_unit_test(every_slug_is_kebab_case_and_finds_its_own_problem),
		cmocka_unit_test(a_number_that_is_no_problem_reads_as_internal),
		cmocka_unit_test(err_records_the_place_and_the_text_for_the_log),
		cmocka_unit_test(err_say_writes_for_the_client),
		cmocka_unit_test(a_caller_who_wants_no_detail_passes_null),
		cmocka_unit_test(long_texts_are_cut_but_never_inside_a_character),
		cmocka_unit_test(a_cut_in_text_that_is_not_utf8_is_harmless),
		cmocka_unit_test(faulty_fields_are_collected_up_to_the_bound),
		cmocka_unit_test(clear_makes_an_err_like_new),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
