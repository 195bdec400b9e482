/* fcgi/base/str */
#include "base/str.h"

#include "arena_kit.h"

static const struct str absent;

static void
absent_differs_from_empty(void **state)
{
	(void)state;
	assert_false(str_eq(absent, STR("")));
	assert_false(str_eq(STR(""), absent));
	assert_true(str_eq(absent, absent));
	assert_true(str_eq(STR(""), STR("")));
	assert_true(str_eqz(absent, NULL));
	assert_false(str_eqz(absent, ""));
	assert_false(str_ieqz(absent, ""));
	assert_true(str_ieqz(absent, NULL));
	assert_null(str_of(NULL).p);
	assert_str(str_of(""), "");
}

static void
equal_means_every_byte(void **state)
{
	(void)state;
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_false(str_eq(STR("ab"), STR("abc")));
	assert_true(str_eqz(STR("abc"), "abc"));
	assert_false(str_eqz(STR("a\0c"), "a"));
}

static void
case_is_ignored_for_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(str_ieqz(STR("Content-TYPE"), "content-type"));
	assert_true(str_ieqz(STR("az"), "AZ"));
	/* '@' and '`', '[' and '{' differ in the same bit as the letters. */
	assert_false(str_ieqz(STR("@"), "`"));
	assert_false(str_ieqz(STR("["), "{"));
	assert_false(str_ieqz(STR("\xC3\x89"), "\xC3\xA9"));
	assert_false(str_ieqz(STR("ab"), "abc"));
}

static void
prefixes_and_suffixes_are_recognised(void **state)
{
	(void)state;
	assert_true(str_starts(STR("Bearer x"), "Bearer "));
	assert_true(str_starts(STR("Bearer"), "Bearer"));
	assert_false(str_starts(STR("Bear"), "Bearer"));
	assert_true(str_ends(STR("a.json"), ".json"));
	assert_false(str_ends(STR("json"), ".json"));
	assert_true(str_starts(absent, ""));
	assert_true(str_ends(absent, ""));
	assert_false(str_starts(absent, "x"));
	assert_false(str_ends(absent, "x"));
}

static void
find_gives_the_index_or_the_length(void **state)
{
	(void)state;
	assert_int_equal(str_find(STR("a/b/c"), '/', 0), 1);
	assert_int_equal(str_find(STR("a/b/c"), '/', 1), 1);
	assert_int_equal(str_find(STR("a/b/c"), '/', 2), 3);
	assert_int_equal(str_find(STR("a/b/c"), '/', 4), 5);
	assert_int_equal(str_find(STR("abc"), '/', SIZE_MAX), 3);
	assert_int_equal(str_find(absent, '/', 0), 0);
}

static void
a_part_is_clipped_to_the_view(void **state)
{
	(void)state;
	assert_str(str_sub(STR("abcdef"), 1, 3), "bc");
	assert_str(str_sub(STR("abc"), 1, SIZE_MAX), "bc");
	assert_str(str_sub(STR("abc"), 5, 9), "");
	assert_str(str_sub(STR("abc"), 2, 1), "");
	assert_null(str_sub(absent, 0, 1).p);
}

static void
trim_takes_spaces_and_tabs_off_both_ends(void **state)
{
	(void)state;
	assert_str(str_trim(STR(" \ta b\t ")), "a b");
	assert_str(str_trim(STR(" \t ")), "");
	assert_str(str_trim(STR("\na\n")), "\na\n");
	assert_null(str_trim(absent).p);
}

static void
cut_splits_at_the_first_separator(void **state)
{
	struct str head, rest;

	(void)state;
	assert_true(str_cut(STR("k=v=w"), '=', &head, &rest));
	assert_str(head, "k");
	assert_str(rest, "v=w");
	assert_true(str_cut(STR("=v"), '=', &head, &rest));
	assert_str(head, "");
	assert_true(str_cut(STR("k="), '=', &head, &rest));
	assert_str(rest, "");
	assert_false(str_cut(STR("kv"), '=', &head, &rest));
	assert_str(head, "kv");
	assert_null(rest.p);
}

static void
cut_in_a_loop_visits_every_part(void **state)
{
	static const char *const expected[] = { "a", "", "b", "" };
	struct str rest = STR("a,,b,");
	size_t parts = 0;

	(void)state;
	while (rest.p) {
		struct str head;

		str_cut(rest, ',', &head, &rest);
		assert_true(parts < COUNT(expected));
		assert_true(str_eqz(head, expected[parts++]));
	}
	assert_int_equal(parts, COUNT(expected));
}

static void
copies_are_terminated_and_independent(void **state)
{
	char source[] = "Ab";
	struct str view = { source, 1 };

	(void)state;
	assert_string_equal(str_z(arena, view), "A");
	assert_string_equal(str_z(arena, absent), "");
	struct str copy = str_dup(arena, view);
	source[0] = 'X';
	assert_str(copy, "A");
	assert_null(str_dup(arena, absent).p);
	assert_str(str_dup(arena, STR("")), "");
}

static void
lower_changes_ascii_capitals_only(void **state)
{
	(void)state;
	assert_str(str_lower(arena, STR("AZ@[az09\xC3\x89")), "az@[az09\xC3\x89");
	assert_null(str_lower(arena, absent).p);
}

static void
integers_are_read_up_to_their_bounds(void **state)
{
	const struct {
		struct str text;
		int64_t value;
	} good[] = {
		{ STR("0"), 0 },
		{ STR("-0"), 0 },
		{ STR("7"), 7 },
		{ STR("-12"), -12 },
		{ STR("007"), 7 },
		{ STR("9223372036854775807"), INT64_MAX },
		{ STR("-9223372036854775808"), INT64_MIN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		int64_t v = 99;

		assert_true(str_i64(good[i].text, &v));
		assert_true(v == good[i].value);
	}
}

static void
what_is_no_integer_leaves_the_output_alone(void **state)
{
	const struct str bad[] = { STR(""), STR("-"), STR("+1"), STR(" 1"), STR("1 "), STR("1.0"),
		STR("0x1"), STR("--1"), STR("1-"), STR("1\0"), STR("9223372036854775808"),
		STR("-9223372036854775809"), STR("99999999999999999999"), { NULL, 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		int64_t v = 99;
		uint32_t u = 98;

		assert_false(str_i64(bad[i], &v));
		assert_false(str_u32(bad[i], &u));
		assert_int_equal(v, 99);
		assert_int_equal(u, 98);
	}
}

static void
unsigned_integers_stop_at_32_bits(void **state)
{
	uint32_t u = 98;

	(void)state;
	assert_false(str_u32(STR("4294967296"), &u));
	assert_false(str_u32(STR("-1"), &u));
	assert_int_equal(u, 98);
	assert_true(str_u32(STR("4294967295"), &u));
	assert_int_equal(u, UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absent_differs_from_empty),
		cmocka_unit_test(equal_means_every_byte),
		cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
		cmocka_unit_test(prefixes_and_suffixes_are_recognised),
		cmocka_unit_test(find_gives_the_index_or_the_length),
		cmocka_unit_test(a_part_is_clipped_to_the_view),
		cmocka_unit_test(trim_takes_spaces_and_tabs_off_both_ends),
		cmocka_unit_test(cut_splits_at_the_first_separator),
		cmocka_unit_test(cut_in_a_loop_visits_every_part),
		cmocka_unit_test(copies_are_terminated_and_independent),
		cmocka_unit_test(lower_changes_ascii_capitals_only),
		cmocka_unit_test(integers_are_read_up_to_their_bounds),
		cmocka_unit_test(what_is_no_integer_leaves_the_output_alone),
		cmocka_unit_test(unsigned_integers_stop_at_32_bits),
	};

	return cmocka_run_group_tests_name("str", tests, open_arena, close_arena);
}
