/* fcgi/base/encode */
#include "base/encode.h"

#include "arena_kit.h"

/* Marks an output that must not have been touched. */
static const struct str mark = { "mark", 4 };

static struct buf
make(void)
{
	struct buf b;

	arena_clear(arena);
	buf_init(&b, arena, 1 << 20);
	return b;
}

static void
base64url_matches_the_vectors_of_rfc_4648(void **state)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg" }, { "fo", "Zm8" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy" } };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = make();
		struct str out = mark;

		base64url_put(&b, rows[i][0], strlen(rows[i][0]));
		assert_true(str_eqz(buf_str(&b), rows[i][1]));
		assert_true(base64url_get(arena, str_of(rows[i][1]), &out));
		assert_true(str_eqz(out, rows[i][0]));
	}
}

static void
base64url_uses_minus_and_underscore(void **state)
{
	struct buf b = make();
	struct str out = mark;

	(void)state;
	base64url_put(&b, "\xFB\xFF\xBF", 3);
	assert_str(buf_str(&b), "-_-_");
	assert_true(base64url_get(arena, STR("-_-_"), &out));
	assert_str(out, "\xFB\xFF\xBF");
}

static void
bytes_survive_base64url_and_hex(void **state)
{
	char bytes[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct buf b = make();
		struct str out = mark;

		base64url_put(&b, bytes, n);
		assert_true(base64url_get(arena, buf_str(&b), &out));
		assert_true(str_eq(out, (struct str){ bytes, n }));
		buf_clear(&b);
		hex_put(&b, bytes, n);
		assert_int_equal(b.n, 2 * n);
		assert_true(hex_get(arena, buf_str(&b), &out));
		assert_true(str_eq(out, (struct str){ bytes, n }));
		assert_int_equal(out.p[out.n], '\0');
	}
}

static void
base64url_refuses_what_is_not_canonical(void **state)
{
	static const struct str bad[] = { { "A", 1 }, { "AAAAA", 5 }, { "Zg==", 4 }, { "Zm8=", 4 },
		{ "Z+8", 3 }, { "Z/8", 3 }, { "Zm9 ", 4 }, { "Zm\n9v", 5 }, { "Zm\0v", 4 },
		{ "Zm9v\xC3", 5 },
		/* Trailing bits that are not 0. */
		{ "Zh", 2 }, { "Zm9vYh", 6 }, { "Zm9", 3 }, { "__", 2 } };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct str out = mark;

		assert_false(base64url_get(arena, bad[i], &out));
		assert_ptr_equal(out.p, mark.p);
	}
}

static void
base64url_has_one_text_for_each_byte(void **state)
{
	unsigned accepted = 0;

	(void)state;
	arena_clear(arena);
	for (int first = 0; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			char text[] = { (char)first, (char)second };
			struct str out;

			accepted += base64url_get(arena, (struct str){ text, 2 }, &out);
		}
	}
	assert_int_equal(accepted, 256);
}

static void
hex_is_lower_case_and_even(void **state)
{
	static const char *const bad[] = { "0", "0g", "AB", "0x", " 0", "00 ", "000" };
	struct buf b = make();

	(void)state;
	hex_put(&b, "\x00\xAB\xFF", 3);
	assert_str(buf_str(&b), "00abff");
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct str out = mark;

		assert_false(hex_get(arena, str_of(bad[i]), &out));
		assert_ptr_equal(out.p, mark.p);
	}
}

static void
json_escapes_what_rfc_8259_demands(void **state)
{
	struct buf b = make();

	(void)state;
	json_put(&b, STR("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\0z"));
	assert_str(buf_str(&b), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u0000z\"");
	buf_clear(&b);
	json_put(&b, STR(""));
	assert_str(buf_str(&b), "\"\"");
	buf_clear(&b);
	json_put(&b, (struct str){ NULL, 0 });
	assert_str(buf_str(&b), "\"\"");
}

static void
json_leaves_other_characters_as_they_are(void **state)
{
	static const char text[] = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xEF\xBF\xBF";
	struct buf b = make();

	(void)state;
	json_put(&b, str_of(text));
	assert_int_equal(b.n, sizeof(text) + 1);
	assert_memory_equal(b.p + 1, text, sizeof(text) - 1);
}

static void
json_replaces_each_byte_that_is_not_utf8(void **state)
{
	struct buf b = make();

	(void)state;
	json_put(&b, STR("a\xFF\xC3(\xE2\x82"));
	assert_str(buf_str(&b), "\"a\\ufffd\\ufffd(\\ufffd\\ufffd\"");
}

static void
url_put_keeps_unreserved_characters_only(void **state)
{
	static const char unreserved[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	(void)state;
	for (int c = 0; c < 256; c++) {
		struct buf b = make();
		char byte = (char)c;
		char escape[4];

		url_put(&b, (struct str){ &byte, 1 });
		snprintf(escape, sizeof(escape), "%%%02X", (unsigned)c);
		if (c != 0 && strchr(unreserved, c))
			assert_true(str_eq(buf_str(&b), (struct str){ &byte, 1 }));
		else
			assert_true(str_eqz(buf_str(&b), escape));
	}
}

static void
url_get_decodes_once(void **state)
{
	struct str out = mark;

	(void)state;
	assert_true(url_get(arena, STR("a%20b%2fc%2Fd"), false, &out));
	assert_str(out, "a b/c/d");
	assert_true(url_get(arena, STR("%2520"), false, &out));
	assert_str(out, "%20");
	assert_true(url_get(arena, STR("caf%C3%A9"), false, &out));
	assert_str(out, "caf\xC3\xA9");
	assert_true(url_get(arena, STR(""), false, &out));
	assert_str(out, "");
	assert_true(url_get(arena, (struct str){ NULL, 0 }, false, &out));
	assert_str(out, "");
}

static void
plus_is_a_space_only_in_form_data(void **state)
{
	struct str out = mark;

	(void)state;
	assert_true(url_get(arena, STR("a+b%2B"), true, &out));
	assert_str(out, "a b+");
	assert_true(url_get(arena, STR("a+b"), false, &out));
	assert_str(out, "a+b");
}

static void
url_get_refuses_bad_escapes_nul_and_bad_utf8(void **state)
{
	static const struct str bad[] = { { "%", 1 }, { "a%2", 3 }, { "%g0", 3 }, { "%0g", 3 },
		{ "%%20", 4 }, { "% 0", 3 }, { "%+1", 3 }, { "%00", 3 }, { "a\0", 2 },
		{ "\xFF", 1 }, { "%FF", 3 }, { "%C3", 3 }, { "%C0%AF", 6 }, { "%ED%A0%80", 9 } };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct str out = mark;

		assert_false(url_get(arena, bad[i], false, &out));
		assert_ptr_equal(out.p, mark.p);
	}
}

/* Writes cp as UTF-8 would be written, surrogates and large values included. */
static struct str
encode(uint32_t cp, char room[4])
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };

	for (size_t i = n - 1; i > 0; i--) {
		room[i] = (char)(0x80 | (cp & 0x3F));
		cp >>= 6;
	}
	room[0] = (char)(lead[n] | cp);
	return (struct str){ room, n };
}

static void
utf8_accepts_every_code_point_and_no_surrogate(void **state)
{
	char room[4];

	(void)state;
	for (uint32_t cp = 0; cp < 0x120000; cp++) {
		bool good = cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF);
		struct str s = encode(cp, room);

		if (utf8_valid(s) != good)
			fail_msg("U+%04X", (unsigned)cp);
		if (good && utf8_length(s) != 1)
			fail_msg("length of U+%04X", (unsigned)cp);
	}
}

static void
utf8_refuses_overlong_cut_and_stray_bytes(void **state)
{
	static const char *const bad[] = { "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ",
		"\xE0\x80\x80", "\xE0\x9F\xBF", "\xE2\x82", "\xE2\x82 ", "\xE2 \xAC",
		"\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80", "\xFE", "\xFF", "\xF0\x9F\x98", "\xC2\xC2",
		"a\xE2\x82\xACz\x80" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_false(utf8_valid(str_of(bad[i])));
		assert_false(text_valid(str_of(bad[i])));
	}
}

static void
exactly_the_well_formed_pairs_of_bytes_are_utf8(void **state)
{
	unsigned valid = 0;

	(void)state;
	for (int first = 0; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			char text[] = { (char)first, (char)second };

			valid += utf8_valid((struct str){ text, 2 });
		}
	}
	/* Two ASCII characters, or one of U+0080 to U+07FF. */
	assert_int_equal(valid, 128 * 128 + 0x800 - 0x80);
}

static void
length_counts_code_points(void **state)
{
	(void)state;
	assert_int_equal(utf8_length(STR("")), 0);
	assert_int_equal(utf8_length((struct str){ NULL, 0 }), 0);
	assert_int_equal(utf8_length(STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")), 4);
	assert_true(utf8_valid((struct str){ NULL, 0 }));
}

static void
text_has_no_control_but_line_ends_and_tabs(void **state)
{
	(void)state;
	for (char c = 1; c < 0x20; c++) {
		char text[] = { 'a', c, 'b' };

		assert_int_equal(text_valid((struct str){ text, 3 }), c == '\n' || c == '\t');
	}
	assert_true(text_valid(STR("a\r\nb\r\n")));
	assert_false(text_valid(STR("a\r")));
	assert_false(text_valid(STR("a\r\rb")));
	assert_false(text_valid(STR("a\0b")));
	assert_true(text_valid(STR("")));
}

static void
text_has_no_noncharacters(void **state)
{
	char room[4];
	unsigned refused = 0;

	(void)state;
	for (uint32_t cp = 0x80; cp <= 0x10FFFF; cp++) {
		if (cp < 0xD800 || cp > 0xDFFF)
			refused += !text_valid(encode(cp, room));
	}
	/* 32 in the block of presentation forms and two in each of 17 planes. */
	assert_int_equal(refused, 32 + 2 * 17);
	assert_false(text_valid(encode(0xFDD0, room)));
	assert_false(text_valid(encode(0x10FFFF, room)));
	assert_true(text_valid(encode(0xFFFD, room)));
}

static void
writers_stop_at_the_limit_of_the_buffer(void **state)
{
	struct buf b;

	(void)state;
	for (size_t limit = 0; limit < 12; limit++) {
		buf_init(&b, arena, limit);
		json_put(&b, STR("\x01\xC3\xA9z"));
		assert_int_equal(b.failed, limit < 11);
		buf_init(&b, arena, limit);
		url_put(&b, STR("a/b"));
		assert_int_equal(b.failed, limit < 5);
		buf_init(&b, arena, limit);
		base64url_put(&b, "foob", 4);
		assert_int_equal(b.failed, limit < 6);
		buf_init(&b, arena, limit);
		hex_put(&b, "foo", 3);
		assert_int_equal(b.failed, limit < 6);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64url_matches_the_vectors_of_rfc_4648),
		cmocka_unit_test(base64url_uses_minus_and_underscore),
		cmocka_unit_test(bytes_survive_base64url_and_hex),
		cmocka_unit_test(base64url_refuses_what_is_not_canonical),
		cmocka_unit_test(base64url_has_one_text_for_each_byte),
		cmocka_unit_test(hex_is_lower_case_and_even),
		cmocka_unit_test(json_escapes_what_rfc_8259_demands),
		cmocka_unit_test(json_leaves_other_characters_as_they_are),
		cmocka_unit_test(json_replaces_each_byte_that_is_not_utf8),
		cmocka_unit_test(url_put_keeps_unreserved_characters_only),
		cmocka_unit_test(url_get_decodes_once),
		cmocka_unit_test(plus_is_a_space_only_in_form_data),
		cmocka_unit_test(url_get_refuses_bad_escapes_nul_and_bad_utf8),
		cmocka_unit_test(utf8_accepts_every_code_point_and_no_surrogate),
		cmocka_unit_test(utf8_refuses_overlong_cut_and_stray_bytes),
		cmocka_unit_test(exactly_the_well_formed_pairs_of_bytes_are_utf8),
		cmocka_unit_test(length_counts_code_points),
		cmocka_unit_test(text_has_no_control_but_line_ends_and_tabs),
		cmocka_unit_test(text_has_no_noncharacters),
		cmocka_unit_test(writers_stop_at_the_limit_of_the_buffer),
	};

	return cmocka_run_group_tests_name("encode", tests, open_arena, close_arena);
}
