/* fcgi/io/json: the reader's verdicts (R18, R19), its views, and the writer */
#include "io/json.h"

#include <stdlib.h>

#include "unit.h"

#define ARENA_LIMIT (4u << 20)
#define TEXT_MAX (256u << 10)

/* y: must be accepted, n: must be refused, i: left open by RFC 8259, our decision follows. */
struct verdict {
	const char *name;
	struct str text;
};

#define CASE(name, lit)                        \
	{                                      \
		(name),                        \
		{                              \
			(lit), sizeof(lit) - 1 \
		}                              \
	}
static const struct verdict accepted[] = {
	CASE("y_empty_object", "{}"),
	CASE("y_empty_array", "[]"),
	CASE("y_space_everywhere", " \t\r\n{ \"a\" :\t[ 1 ,\n2 ] }\r\n "),
	CASE("y_no_space", "{\"a\":[1,2],\"b\":{}}"),
	CASE("y_literals", "[true,false,null]"),
	CASE("y_empty_string", "[\"\"]"),
	CASE("y_empty_key", "{\"\":1}"),
	CASE("y_key_with_escape", "{\"a\\tb\":1}"),
	CASE("y_simple_escapes", "[\"\\\" \\\\ \\/ \\n \\t \\r\\n\"]"),
	CASE("y_bracket_in_string", "[\"]}{[,\\\"\"]"),
	CASE("y_escaped_letter", "[\"\\u00e9\\u00E9\"]"),
	CASE("y_surrogate_pair", "[\"\\ud83d\\ude00\"]"),
	CASE("y_last_valid_code_point", "[\"\\udbff\\udffd\"]"),
	CASE("y_utf8_two_bytes", "[\"\xc3\xb1\"]"),
	CASE("y_utf8_three_bytes", "[\"\xe2\x82\xac\"]"),
	CASE("y_utf8_four_bytes", "[\"\xf0\x9f\x98\x80\"]"),
	CASE("y_delete_character", "[\"\x7f\"]"),
	CASE("y_line_separator", "[\"\xe2\x80\xa8\"]"),
	CASE("y_zero", "[0]"),
	CASE("y_minus_zero", "[-0]"),
	CASE("y_negative", "[-123]"),
	CASE("y_fraction", "[0.5,-1.25]"),
	CASE("y_exponents", "[1e2,1E2,1e+2,1E-2,1.5e3]"),
	CASE("y_largest_exact_integer", "[9007199254740991]"),
	CASE("y_smallest_exact_integer", "[-9007199254740991]"),
	CASE("y_keys_that_differ_in_case", "{\"a\":1,\"A\":2}"),
	CASE("y_same_key_in_other_objects", "{\"a\":{\"a\":1},\"b\":{\"a\":2}}"),
	CASE("i_tiny_number_becomes_zero", "[1e-400]"),
	CASE("i_many_digits_are_rounded", "[0.12345678901234567890123456789]"),
	CASE("i_minus_zero_fraction", "[-0.0]"),
	CASE("i_large_real", "[1e300]"),
};

static const struct verdict refused[] = {
	{ "n_absent", { NULL, 0 } },
	CASE("n_empty", ""),
	CASE("n_only_space", " \n"),
	CASE("n_top_string", "\"a\""),
	CASE("n_top_number", "1"),
	CASE("n_top_true", "true"),
	CASE("n_top_null", "null"),
	CASE("n_byte_order_mark", "\xef\xbb\xbf{}"),
	CASE("n_utf16", "{\0}\0"),
	CASE("n_two_values", "{}{}"),
	CASE("n_trailing_letter", "[]x"),
	CASE("n_trailing_comma_after_value", "[],"),
	CASE("n_trailing_nul", "[]\0"),
	CASE("n_trailing_bracket", "[]]"),
	CASE("n_open_array", "[1"),
	CASE("n_open_array_comma", "[1,"),
	CASE("n_open_object", "{\"a\":1"),
	CASE("n_open_object_key", "{\"a\""),
	CASE("n_open_object_colon", "{\"a\":"),
	CASE("n_open_string", "[\"a"),
	CASE("n_open_string_escape", "[\"a\\"),
	CASE("n_only_close", "]"),
	CASE("n_mismatched_close", "[1}"),
	CASE("n_mismatched_nested", "{\"a\":[1}]"),
	CASE("n_comma_before_end_of_array", "[1,]"),
	CASE("n_comma_before_end_of_object", "{\"a\":1,}"),
	CASE("n_only_comma", "[,]"),
	CASE("n_leading_comma", "[,1]"),
	CASE("n_double_comma", "[1,,2]"),
	CASE("n_missing_comma", "[1 2]"),
	CASE("n_missing_colon", "{\"a\" 1}"),
	CASE("n_double_colon", "{\"a\"::1}"),
	CASE("n_colon_in_array", "[\"a\":1]"),
	CASE("n_missing_value", "{\"a\":}"),
	CASE("n_number_as_key", "{1:1}"),
	CASE("n_bare_key", "{a:1}"),
	CASE("n_single_quotes", "{'a':1}"),
	CASE("n_line_comment", "[1] // one"),
	CASE("n_block_comment", "[/* one */1]"),
	CASE("n_hash_comment", "[1] # one"),
	CASE("n_form_feed_space", "[\f1]"),
	CASE("n_no_break_space", "[\xc2\xa0]"),
	CASE("n_capital_literal", "[True]"),
	CASE("n_cut_literal", "[nul]"),
	CASE("n_long_literal", "[nulll]"),
	CASE("n_nan", "[NaN]"),
	CASE("n_infinity", "[Infinity]"),
	CASE("n_minus_infinity", "[-Infinity]"),
	CASE("n_plus", "[+1]"),
	CASE("n_only_minus", "[-]"),
	CASE("n_double_minus", "[--1]"),
	CASE("n_minus_space", "[- 1]"),
	CASE("n_leading_zero", "[01]"),
	CASE("n_minus_leading_zero", "[-01]"),
	CASE("n_no_digit_after_point", "[1.]"),
	CASE("n_no_digit_before_point", "[.5]"),
	CASE("n_minus_point", "[-.5]"),
	CASE("n_point_then_exponent", "[1.e5]"),
	CASE("n_no_exponent", "[1e]"),
	CASE("n_signed_no_exponent", "[1e+]"),
	CASE("n_double_exponent", "[1e2e3]"),
	CASE("n_two_points", "[1.2.3]"),
	CASE("n_hexadecimal", "[0x1f]"),
	CASE("n_full_width_digit", "[\xef\xbc\x91]"),
	CASE("n_2_to_53", "[9007199254740992]"),
	CASE("n_minus_2_to_53", "[-9007199254740992]"),
	CASE("n_2_to_63", "[9223372036854775808]"),
	CASE("n_forty_digits", "[1234567890123456789012345678901234567890]"),
	CASE("n_overflow", "[1e400]"),
	CASE("n_minus_overflow", "[-1e400]"),
	CASE("n_unknown_escape", "[\"\\x41\"]"),
	CASE("n_escaped_newline", "[\"\\\n\"]"),
	CASE("n_short_unicode_escape", "[\"\\u12\"]"),
	CASE("n_bad_unicode_escape", "[\"\\u12g4\"]"),
	CASE("n_lone_high_surrogate", "[\"\\ud800\"]"),
	CASE("n_lone_low_surrogate", "[\"\\udc00\"]"),
	CASE("n_high_surrogate_then_letter", "[\"\\ud800a\"]"),
	CASE("n_swapped_surrogates", "[\"\\udc00\\ud800\"]"),
	CASE("n_two_high_surrogates", "[\"\\ud800\\ud800\"]"),
	CASE("n_raw_nul", "[\"a\0b\"]"),
	CASE("n_escaped_nul", "[\"a\\u0000b\"]"),
	CASE("n_nul_in_key", "{\"a\\u0000b\":1}"),
	CASE("n_raw_control", "[\"\x01\"]"),
	CASE("n_raw_newline", "[\"\n\"]"),
	CASE("n_raw_tab", "[\"\t\"]"),
	CASE("n_escaped_control", "[\"\\u0001\"]"),
	CASE("n_escaped_backspace", "[\"\\b\"]"),
	CASE("n_escaped_form_feed", "[\"\\f\"]"),
	CASE("n_carriage_return_alone", "[\"a\\rb\"]"),
	CASE("n_control_in_key", "{\"\\u001b\":1}"),
	CASE("n_noncharacter_raw", "[\"\xef\xbf\xbf\"]"),
	CASE("n_noncharacter_escaped", "[\"\\ufffe\"]"),
	CASE("n_noncharacter_block", "[\"\\ufdd0\"]"),
	CASE("n_noncharacter_astral", "[\"\\udbff\\udfff\"]"),
	CASE("n_noncharacter_in_key", "{\"\\uffff\":1}"),
	CASE("n_not_utf8", "[\"\xff\"]"),
	CASE("n_lone_continuation", "[\"\x80\"]"),
	CASE("n_overlong", "[\"\xc0\xaf\"]"),
	CASE("n_overlong_three", "[\"\xe0\x80\xaf\"]"),
	CASE("n_utf8_surrogate", "[\"\xed\xa0\x80\"]"),
	CASE("n_utf8_cut", "[\"\xe2\x82\"]"),
	CASE("n_above_unicode", "[\"\xf4\x90\x80\x80\"]"),
	CASE("n_not_utf8_outside", "[\xff]"),
	CASE("n_not_utf8_key", "{\"\xff\":1}"),
	CASE("n_repeated_key", "{\"a\":1,\"a\":1}"),
	CASE("n_repeated_key_other_spelling", "{\"a\":1,\"\\u0061\":2}"),
	CASE("n_repeated_key_deep", "[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]"),
	CASE("n_repeated_empty_key", "{\"\":1,\"\":2}"),
};

struct fixture {
	struct arena *a;
	struct err err;
	const struct json *v;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->a = arena_new(ARENA_LIMIT);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	arena_free(f->a);
	free(f);
	return 0;
}

static enum problem
parse(struct fixture *f, struct str text)
{
	err_clear(&f->err);
	f->v = NULL;
	return json_parse(f->a, text, &f->v, &f->err);
}

static void
parse_ok(struct fixture *f, struct str text)
{
	assert_int_equal(parse(f, text), P_OK);
	assert_non_null(f->v);
}

static void
well_formed_texts_are_accepted(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(accepted); i++) {
		if (parse(f, accepted[i].text) != P_OK || !f->v)
			fail_msg("%s: %s", accepted[i].name, f->err.detail);
	}
}

static void
everything_else_is_refused_with_a_reason(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(refused); i++) {
		if (parse(f, refused[i].text) != P_BAD_JSON || f->v || !f->err.detail[0])
			fail_msg("%s: accepted or without a reason", refused[i].name);
	}
}

static void
every_cut_of_a_text_is_refused(void **state)
{
	struct fixture *f = *state;
	struct str whole = STR("{\"a\":[1,-2.5e3,\"\\u00e9\xc3\xa9\",true,null],\"b\":{}}");

	parse_ok(f, whole);
	for (size_t n = 0; n < whole.n; n++) {
		/* A copy of exact size lets the sanitizer see a read past the end. */
		char *copy = malloc(n + 1);
		assert_non_null(copy);
		memcpy(copy, whole.p, n);
		char *exact = realloc(copy, n ? n : 1);
		assert_non_null(exact);
		assert_int_equal(parse(f, (struct str){ exact, n }), P_BAD_JSON);
		free(exact);
	}
}

static struct str
repeated(struct fixture *f, const char *open, const char *item, const char *close, size_t n)
{
	struct buf b;

	buf_init(&b, f->a, TEXT_MAX);
	buf_puts(&b, open);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? "," : "", item);
	buf_puts(&b, close);
	assert_false(b.failed);
	return buf_str(&b);
}

static struct str
nested(struct fixture *f, size_t depth)
{
	struct buf b;

	buf_init(&b, f->a, TEXT_MAX);
	for (size_t i = 0; i < depth; i++)
		buf_puts(&b, i % 2 ? "{\"a\":" : "[");
	buf_puts(&b, "1");
	for (size_t i = depth; i > 0; i--)
		buf_puts(&b, i % 2 ? "]" : "}");
	assert_false(b.failed);
	return buf_str(&b);
}

static void
depth_32_passes_and_33_does_not(void **state)
{
	struct fixture *f = *state;

	parse_ok(f, nested(f, JSON_DEPTH_MAX));
	assert_int_equal(parse(f, nested(f, JSON_DEPTH_MAX + 1)), P_BAD_JSON);
	assert_non_null(strstr(f->err.detail, "32 levels"));
	assert_int_equal(parse(f, nested(f, 20000)), P_BAD_JSON);
	/* Siblings do not add up. */
	parse_ok(f, repeated(f, "[", "[[[[]]]]", "]", 500));
}

static struct str
object_of(struct fixture *f, size_t n)
{
	struct buf b;

	buf_init(&b, f->a, TEXT_MAX);
	buf_putc(&b, '{');
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s\"k%zu\":0", i ? "," : "", i);
	buf_putc(&b, '}');
	return buf_str(&b);
}

static void
a_container_holds_1000_and_not_1001(void **state)
{
	struct fixture *f = *state;

	parse_ok(f, repeated(f, "[", "1", "]", JSON_ITEMS_MAX));
	assert_int_equal(json_size(f->v), JSON_ITEMS_MAX);
	assert_int_equal(parse(f, repeated(f, "[", "1", "]", JSON_ITEMS_MAX + 1)), P_BAD_JSON);
	assert_non_null(strstr(f->err.detail, "1000 members or items"));
	parse_ok(f, object_of(f, JSON_ITEMS_MAX));
	assert_int_equal(json_size(f->v), JSON_ITEMS_MAX);
	assert_int_equal(parse(f, object_of(f, JSON_ITEMS_MAX + 1)), P_BAD_JSON);
	/* A comma inside a string does not count. */
	parse_ok(f, repeated(f, "[\"", ",", "\"]", 5000));
}

/* One array, nine arrays of 1,000 numbers and one of `last`: 9,011 tokens + last. */
static struct str
many_tokens(struct fixture *f, size_t last)
{
	struct str full = repeated(f, "[", "1", "]", JSON_ITEMS_MAX);
	struct buf b;

	buf_init(&b, f->a, TEXT_MAX);
	buf_putc(&b, '[');
	for (int i = 0; i < 9; i++) {
		buf_putstr(&b, full);
		buf_putc(&b, ',');
	}
	buf_putstr(&b, repeated(f, "[", "true", "]", last));
	buf_putc(&b, ']');
	return buf_str(&b);
}

static void
a_text_holds_10000_tokens_and_not_10001(void **state)
{
	struct fixture *f = *state;

	parse_ok(f, many_tokens(f, JSON_TOKENS_MAX - 9011));
	assert_int_equal(parse(f, many_tokens(f, JSON_TOKENS_MAX - 9011 + 1)), P_BAD_JSON);
	assert_non_null(strstr(f->err.detail, "10000 tokens"));
}

static void
the_reason_tells_the_place(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, STR("[1,2,x]")), P_BAD_JSON);
	assert_non_null(strstr(f->err.detail, "byte 6"));
	assert_int_equal(parse(f, STR("{\"a\":1,\"a\":2}")), P_BAD_JSON);
	assert_non_null(strstr(f->err.detail, "repeated key"));
	assert_int_equal(parse(f, STR("{\"a\":[0,{\"b/c~d\":\"\\u0001\"}]}")), P_BAD_JSON);
	assert_string_equal(f->err.detail, "/a/1/b~1c~0d: forbidden character");
	assert_int_equal(parse(f, STR("{\"n\":9007199254740992}")), P_BAD_JSON);
	assert_string_equal(f->err.detail, "/n: number out of range");
	assert_int_equal(parse(f, STR("{\"o\":{\"\\u0001\":1}}")), P_BAD_JSON);
	assert_string_equal(f->err.detail, "/o: forbidden character in a key");
}

static void
a_pointer_too_long_to_show_is_left_out(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, f->a, TEXT_MAX);
	buf_puts(&b, "{\"");
	for (int i = 0; i < 400; i++)
		buf_putc(&b, 'k');
	buf_puts(&b, "\":\"\\u0001\"}");
	assert_int_equal(parse(f, buf_str(&b)), P_BAD_JSON);
	assert_string_equal(f->err.detail, "forbidden character");
}

static void
the_reason_never_repeats_the_input(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(parse(f, STR("[secretword]")), P_BAD_JSON);
	assert_null(strstr(f->err.detail, "secret"));
	assert_int_equal(parse(f, STR("{\"secret\":1,\"secret\":1}")), P_BAD_JSON);
	assert_null(strstr(f->err.detail, "secret"));
}

static void
members_have_their_kind_and_value(void **state)
{
	struct fixture *f = *state;

	parse_ok(f, STR("{\"s\":\"a\\u00e9\",\"e\":\"\",\"i\":-7,\"r\":1.5,\"t\":true,\"f\":false,"
			"\"z\":null,\"a\":[1,2],\"o\":{}}"));
	assert_int_equal(json_kind_of(f->v), JSON_OBJ);
	assert_int_equal(json_size(f->v), 9);
	assert_int_equal(json_kind_of(json_member(f->v, "s")), JSON_STR);
	assert_str(json_str(json_member(f->v, "s")), "a\xc3\xa9");
	assert_str(json_str(json_member(f->v, "e")), "");
	assert_int_equal(json_kind_of(json_member(f->v, "i")), JSON_INT);
	assert_int_equal(json_int(json_member(f->v, "i")), -7);
	assert_true(json_num(json_member(f->v, "i")) == -7.0);
	assert_int_equal(json_kind_of(json_member(f->v, "r")), JSON_NUM);
	assert_true(json_num(json_member(f->v, "r")) == 1.5);
	assert_int_equal(json_kind_of(json_member(f->v, "t")), JSON_BOOL);
	assert_true(json_bool(json_member(f->v, "t")));
	assert_int_equal(json_kind_of(json_member(f->v, "f")), JSON_BOOL);
	assert_false(json_bool(json_member(f->v, "f")));
	assert_int_equal(json_kind_of(json_member(f->v, "z")), JSON_NIL);
	assert_int_equal(json_kind_of(json_member(f->v, "o")), JSON_OBJ);
	const struct json *arr = json_member(f->v, "a");
	assert_int_equal(json_kind_of(arr), JSON_ARR);
	assert_int_equal(json_size(arr), 2);
	assert_int_equal(json_int(json_item(arr, 1)), 2);
	assert_null(json_item(arr, 2));
}

static void
a_missing_member_or_another_kind_gives_nothing(void **state)
{
	struct fixture *f = *state;

	parse_ok(f, STR("{\"s\":\"1\",\"i\":1}"));
	assert_null(json_member(f->v, "x"));
	assert_null(json_member(json_member(f->v, "s"), "x"));
	assert_null(json_item(f->v, 0));
	assert_int_equal(json_kind_of(NULL), JSON_NIL);
	assert_null(json_str(NULL).p);
	assert_null(json_str(json_member(f->v, "i")).p);
	assert_int_equal(json_int(json_member(f->v, "s")), 0);
	assert_int_equal(json_int(NULL), 0);
	assert_true(json_num(NULL) == 0.0);
	assert_false(json_bool(NULL));
	assert_int_equal(json_size(NULL), 0);
	assert_int_equal(json_size(json_member(f->v, "s")), 0);
}

static void
members_come_in_the_order_of_the_text(void **state)
{
	struct fixture *f = *state;
	const struct json *value;
	const char *name;
	char seen[8] = "";
	void *it = NULL;
	size_t n = 0;

	parse_ok(f, STR("{\"z\":1,\"a\":2,\"m\":3}"));
	while (json_next(f->v, &it, &name, &value)) {
		seen[n++] = name[0];
		assert_int_equal(json_int(value), n);
	}
	assert_string_equal(seen, "zam");
	parse_ok(f, STR("{}"));
	it = NULL;
	assert_false(json_next(f->v, &it, &name, &value));
}

static void
dump(struct fixture *f, const char *in, const char *out)
{
	parse_ok(f, str_of(in));
	struct str text = json_dump(f->a, f->v);
	assert_int_equal(text.n, strlen(out));
	assert_memory_equal(text.p, out, text.n);
}

static void
a_dump_is_compact_and_sorted(void **state)
{
	struct fixture *f = *state;

	dump(f, "{ \"b\" : [ 1 , { \"y\":1, \"x\":2 } ], \"a\" : null }",
		"{\"a\":null,\"b\":[1,{\"x\":2,\"y\":1}]}");
	dump(f, "[\"\\u00e9\\n\\\"\"]", "[\"\xc3\xa9\\n\\\"\"]");
	dump(f, "[-0,9007199254740991]", "[0,9007199254740991]");
	parse_ok(f, STR("{\"s\":\"x\"}"));
	assert_str(json_dump(f->a, json_member(f->v, "s")), "\"x\"");
}

static void
a_dump_keeps_reals_as_they_were(void **state)
{
	struct fixture *f = *state;

	dump(f, "[0.1,1.1,19.99]", "[0.1,1.1,19.99]");
	dump(f, "{\"a\":{\"lat\":-12.046374}}", "{\"a\":{\"lat\":-12.046374}}");
	dump(f, "[0.30000000000000004]", "[0.30000000000000004]");
	dump(f, "[1.0]", "[1.0]");
}

static void
documents_go_with_their_arena(void **state)
{
	struct fixture *f = *state;

	/* The leak check of the sanitizer build is the assertion here. */
	for (int i = 0; i < 100; i++) {
		parse_ok(f, STR("{\"a\":[1,2,3]}"));
		assert_int_equal(parse(f, STR("[\"\\u0001\"]")), P_BAD_JSON);
		arena_clear(f->a);
	}
}

static void
start(struct fixture *f, struct jsonw *w, struct buf *b)
{
	buf_init(b, f->a, TEXT_MAX);
	jsonw_init(w, b);
}

static void
the_writer_puts_commas_and_colons(void **state)
{
	struct fixture *f = *state;
	struct jsonw w;
	struct buf b;

	start(f, &w, &b);
	jsonw_obj(&w);
	jsonw_kstr(&w, "s", STR("a\"\n"));
	jsonw_kz(&w, "z", NULL);
	jsonw_kint(&w, "i", -5);
	jsonw_kbool(&w, "t", true);
	jsonw_key(&w, "e");
	jsonw_arr(&w);
	jsonw_arr_end(&w);
	jsonw_key(&w, "l");
	jsonw_arr(&w);
	jsonw_int(&w, 1);
	jsonw_obj(&w);
	jsonw_obj_end(&w);
	jsonw_null(&w);
	jsonw_bool(&w, false);
	jsonw_z(&w, "x");
	jsonw_raw(&w, STR("{\"r\":1}"));
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	assert_str(buf_str(&b), "{\"s\":\"a\\\"\\n\",\"z\":null,\"i\":-5,\"t\":true,\"e\":[],"
				"\"l\":[1,{},null,false,\"x\",{\"r\":1}]}");
	parse_ok(f, buf_str(&b));
}

static void
the_writer_makes_any_single_value(void **state)
{
	struct fixture *f = *state;
	struct jsonw w;
	struct buf b;

	start(f, &w, &b);
	jsonw_str(&w, STR(""));
	assert_str(buf_str(&b), "\"\"");
	start(f, &w, &b);
	jsonw_str(&w, (struct str){ 0 });
	assert_str(buf_str(&b), "null");
}

static void
integers_that_readers_would_round_become_strings(void **state)
{
	struct fixture *f = *state;
	struct jsonw w;
	struct buf b;

	start(f, &w, &b);
	jsonw_arr(&w);
	jsonw_int(&w, 9007199254740991);
	jsonw_int(&w, -9007199254740991);
	jsonw_int(&w, 9007199254740992);
	jsonw_int(&w, INT64_MIN);
	jsonw_arr_end(&w);
	assert_str(buf_str(&b), "[9007199254740991,-9007199254740991,\"9007199254740992\","
				"\"-9223372036854775808\"]");
}

/* Each misuse runs in a child that must end; `w` writes into an arena of the child. */
static struct jsonw misused;
static struct buf misused_buf;

static struct jsonw *
fresh(void)
{
	buf_init(&misused_buf, arena_new(ARENA_LIMIT), TEXT_MAX);
	jsonw_init(&misused, &misused_buf);
	return &misused;
}

static void
value_without_key(void)
{
	struct jsonw *w = fresh();

	jsonw_obj(w);
	jsonw_int(w, 1);
}

static void
key_in_array(void)
{
	struct jsonw *w = fresh();

	jsonw_arr(w);
	jsonw_key(w, "a");
}

static void
key_at_top(void)
{
	jsonw_key(fresh(), "a");
}

static void
two_keys(void)
{
	struct jsonw *w = fresh();

	jsonw_obj(w);
	jsonw_key(w, "a");
	jsonw_key(w, "b");
}

static void
end_after_key(void)
{
	struct jsonw *w = fresh();

	jsonw_obj(w);
	jsonw_key(w, "a");
	jsonw_obj_end(w);
}

static void
wrong_end(void)
{
	struct jsonw *w = fresh();

	jsonw_arr(w);
	jsonw_obj_end(w);
}

static void
end_of_nothing(void)
{
	jsonw_arr_end(fresh());
}

static void
two_documents(void)
{
	struct jsonw *w = fresh();

	jsonw_obj(w);
	jsonw_obj_end(w);
	jsonw_null(w);
}

static void
too_deep(void)
{
	struct jsonw *w = fresh();

	for (int i = 0; i < JSONW_DEPTH; i++)
		jsonw_arr(w);
}

static void
empty_raw(void)
{
	jsonw_raw(fresh(), STR(""));
}

static void
deepest_allowed(void)
{
	struct jsonw *w = fresh();

	for (int i = 0; i < JSONW_DEPTH - 1; i++)
		jsonw_arr(w);
	for (int i = 0; i < JSONW_DEPTH - 1; i++)
		jsonw_arr_end(w);
}

static void
misuse_of_the_writer_ends_the_process(void **state)
{
	void (*const misuses[])(void) = {
		value_without_key,
		key_in_array,
		key_at_top,
		two_keys,
		end_after_key,
		wrong_end,
		end_of_nothing,
		two_documents,
		too_deep,
		empty_raw,
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < COUNT(misuses); i++) {
		assert_true(aborts(misuses[i], text, sizeof(text)));
		assert_non_null(strstr(text, "check_failed"));
	}
	assert_false(aborts(deepest_allowed, text, sizeof(text)));
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(well_formed_texts_are_accepted),
		TEST(everything_else_is_refused_with_a_reason),
		TEST(every_cut_of_a_text_is_refused),
		TEST(depth_32_passes_and_33_does_not),
		TEST(a_container_holds_1000_and_not_1001),
		TEST(a_text_holds_10000_tokens_and_not_10001),
		TEST(the_reason_tells_the_place),
		TEST(a_pointer_too_long_to_show_is_left_out),
		TEST(the_reason_never_repeats_the_input),
		TEST(members_have_their_kind_and_value),
		TEST(a_missing_member_or_another_kind_gives_nothing),
		TEST(members_come_in_the_order_of_the_text),
		TEST(a_dump_is_compact_and_sorted),
		TEST(a_dump_keeps_reals_as_they_were),
		TEST(documents_go_with_their_arena),
		TEST(the_writer_puts_commas_and_colons),
		TEST(the_writer_makes_any_single_value),
		TEST(integers_that_readers_would_round_become_strings),
		cmocka_unit_test(misuse_of_the_writer_ends_the_process),
	};

	return cmocka_run_group_tests_name("io/json", tests, NULL, NULL);
}
