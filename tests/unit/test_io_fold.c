/* fcgi/io/fold */
#include "io/fold.h"

#include "arena_kit.h"

/* As text: ñ as '~', all else that is not ASCII as '?'. */
static const char *
folded(const char *text)
{
	struct folded f;

	fold_text(arena, str_of(text), &f);
	char *out = arena_calloc(arena, f.n + 1, 1);
	for (size_t i = 0; i < f.n; i++)
		out[i] = f.c[i] == 0xF1 ? '~' : f.c[i] < 0x80 ? (char)f.c[i] : '?';
	return out;
}

static void
what_looks_the_same_becomes_the_same(void **state)
{
	static const char *const rows[][2] = {
		{ "Hola MUNDO", "hola mundo" },
		{ "áéíóú ÀÈÌ çüß", "aeiou aei cuss" },
		{ "ＡＢＣ　１２３", "abc 123" },
		{ "𝓱𝓸𝓵𝓪 𝕙𝕠𝕝𝕒", "hola hola" },
		{ "аеорсух", "aeopcyx" }, /* Cyrillic */
		{ "αορτ", "aopt" },       /* Greek */
		{ "ʜᴏʟᴀ", "hola" },       /* small capitals */
		{ "🅷🅾🅻🅰 🇦🇧", "hola ab" },
		{ "①②③ ²³ ٣٤ ५६", "123 23 34 56" },
		{ "h\u0336o\u0336l\u0336a\u0336", "hola" }, /* struck through */
		{ "ﬁn", "fin" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(folded(rows[i][0]), rows[i][1]);
}

static void
what_is_not_seen_goes(void **state)
{
	(void)state;
	assert_string_equal(folded("h\u200Bo\u200Dl\u2060a\uFEFF\u00AD"), "hola");
	assert_string_equal(folded("1\uFE0F\u20E32\uFE0F\u20E3"), "12");
}

static void
enye_is_a_letter_of_its_own(void **state)
{
	(void)state;
	assert_string_equal(folded("año AÑO an\u0303o ano"), "a~o a~o a~o ano");
}

static void
places_lead_back_into_the_text(void **state)
{
	const char *text = "é\u200Bﬁx";
	struct folded f;

	(void)state;
	fold_text(arena, str_of(text), &f);
	assert_int_equal(f.n, 4);
	assert_int_equal(f.at[0], 0);
	assert_int_equal(f.at[1], 5);
	assert_int_equal(f.at[2], 5);
	assert_int_equal(f.at[3], 8);
	assert_int_equal(f.at[4], 9);
}

static void
the_longest_forms_fit_and_bad_bytes_are_left_out(void **state)
{
	char text[3 * 1000 + 1];
	struct folded f;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + 3 * i, "\uFDFA", 3);
	fold_text(arena, (struct str){ text, 3000 }, &f);
	assert_int_equal(f.n, 18000);
	assert_string_equal(folded("a\xFF\xC3"), "a");
	fold_text(arena, (struct str){ NULL, 0 }, &f);
	assert_int_equal(f.n, 0);
}

static void
kinds_are_told(void **state)
{
	(void)state;
	assert_int_equal(fold_kind('a'), FOLD_LETTER);
	assert_int_equal(fold_kind(0xF1), FOLD_LETTER);
	assert_int_equal(fold_kind(0x4F60), FOLD_LETTER);
	assert_int_equal(fold_kind('7'), FOLD_DIGIT);
	assert_int_equal(fold_kind(' '), FOLD_SPACE);
	assert_int_equal(fold_kind(0x2028), FOLD_SPACE);
	assert_int_equal(fold_kind('.'), FOLD_OTHER);
	assert_int_equal(fold_kind(0x1F600), FOLD_OTHER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_looks_the_same_becomes_the_same),
		cmocka_unit_test(what_is_not_seen_goes),
		cmocka_unit_test(enye_is_a_letter_of_its_own),
		cmocka_unit_test(places_lead_back_into_the_text),
		cmocka_unit_test(the_longest_forms_fit_and_bad_bytes_are_left_out),
		cmocka_unit_test(kinds_are_told),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
