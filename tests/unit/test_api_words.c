/* fcgi/api/words */
#include "api/words.h"

#include "arena_kit.h"

#include <stdlib.h>
#include <time.h>

#define HITS 8

static bool
finds(const char *pattern, const char *text)
{
	struct words *w = words_new(arena);
	struct word_hit hits[HITS];
	struct folded f;

	assert_true(words_add(w, str_of(pattern), FILTER_REFUSE));
	fold_text(arena, str_of(text), &f);
	bool found = words_find(w, arena, &f, hits, HITS) > 0;
	arena_clear(arena);
	return found;
}

static void
a_word_is_found_however_it_is_written(void **state)
{
	static const char *const rows[][2] = {
		{ "mierda", "¡Qué MIERDA!" },
		{ "mierda", "m i e r d a" },
		{ "mierda", "m.i.e.r.d.a" },
		{ "mierda", "mi3rd4" },
		{ "mierda", "miéeeeerda" },
		{ "mierda", "m\u200Bierda" },
		{ "mierda", "ｍｉｅｒｄａ" },
		{ "mierda", "mіеrdа" },
		{ "mierda", "m1erd@." },
		{ "mierda", "m*erda" },
		{ "mierda", "mierda123" },
		{ "shit", "sh!t" },
		{ "shit", "$hit" },
		{ "ass", "you ass!" },
		{ "ass", "a$s" },
		{ "ass", "a s s" },
		{ "hijo de puta", "hijo  de... PUTA" },
		{ "coño", "COÑO" },
		{ "put*", "putita" },
		{ "*fuck*", "unfuckable" },
		{ "*mierda", "supermierda" },
		{ "420", "call 420" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (!finds(rows[i][0], rows[i][1]))
			fail_msg("%s is in %s", rows[i][0], rows[i][1]);
}

/* The town of Scunthorpe and its like. */
static void
innocent_words_are_left_alone(void **state)
{
	static const char *const rows[][2] = {
		{ "cunt", "Scunthorpe" },
		{ "ass", "classic assassin, passage, asset, Assam" },
		{ "ass", "Samsung A55" },
		{ "ass", "455 units" },
		{ "ass", "as s" },
		{ "sex", "Essex, Middlesex, sextant" },
		{ "puta", "computadora, disputa, reputación" },
		{ "puta", "putativo" },
		{ "ano", "un año, mano, anotar" },
		{ "coño", "un cono" },
		{ "culo", "calculo, ridículo, artículo" },
		{ "tit", "title, Titanic, constitution" },
		{ "cock", "cocktail, peacock, Hancock" },
		{ "pol", "pool" },
		{ "dick", "Dickens" },
		{ "pene", "penetrar, apenas" },
		{ "teta", "tetera, atleta" },
		{ "tonto", "tontos" },
		{ "shit", "Shiitake" },
		{ "hell", "hello shell" },
		{ "analisis", "anal isis" },
		{ "negro a", "negro" },
		{ "put*", "input" },
		{ "*puta", "putativo" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (finds(rows[i][0], rows[i][1]))
			fail_msg("%s is not in %s", rows[i][0], rows[i][1]);
}

static void
a_rule_needs_something_to_look_for(void **state)
{
	struct words *w = words_new(arena);

	(void)state;
	assert_false(words_add(w, STR(""), FILTER_MASK));
	assert_false(words_add(w, STR(" ** "), FILTER_MASK));
	assert_false(words_add(w, STR("\u200B!"), FILTER_MASK));
	assert_false(words_add(w, STR("a$$"), FILTER_MASK));
	assert_false(words_add(w, STR("c++"), FILTER_MASK));
	assert_false(words_add(w, STR("a*b"), FILTER_MASK));
	assert_true(words_add(w, STR(" *l'été-là. * "), FILTER_MASK));
	w = words_new(arena);
	for (size_t i = 0; i < WORD_RULES_MAX; i++)
		assert_true(words_add(w, STR("x"), FILTER_MASK));
	assert_false(words_add(w, STR("x"), FILTER_MASK));
	arena_clear(arena);
}

static void
the_strictest_rule_wins_and_its_place_is_told(void **state)
{
	struct words *w = words_new(arena);
	struct word_hit hits[HITS];
	struct folded f;

	(void)state;
	assert_true(words_add(w, STR("bad*"), FILTER_MASK));
	assert_true(words_add(w, STR("bad"), FILTER_REFUSE));
	assert_true(words_add(w, STR("bad word"), FILTER_FLAG));
	fold_text(arena, STR("é a bad word, badly"), &f);
	assert_int_equal(words_find(w, arena, &f, hits, HITS), 2);
	assert_int_equal(hits[0].action, FILTER_REFUSE);
	assert_int_equal(hits[0].from, 4);
	assert_int_equal(hits[0].to, 12);
	assert_int_equal(hits[1].action, FILTER_MASK);
	assert_int_equal(hits[1].to - hits[1].from, 5);
	arena_clear(arena);
}

static void
a_long_list_and_a_long_text_take_a_bounded_time(void **state)
{
	struct words *w = words_new(arena);
	struct word_hit hits[HITS];
	char text[4001];
	struct folded f;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < 500; i++)
		assert_true(words_add(
			w, str_of(arena_printf(arena, "*aaaaaaaaaa%zu", i)), FILTER_FLAG));
	fold_text(arena, str_of(text), &f);
	clock_t start = clock();
	(void)words_find(w, arena, &f, hits, HITS);
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	arena_clear(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_is_found_however_it_is_written),
		cmocka_unit_test(innocent_words_are_left_alone),
		cmocka_unit_test(a_rule_needs_something_to_look_for),
		cmocka_unit_test(the_strictest_rule_wins_and_its_place_is_told),
		cmocka_unit_test(a_long_list_and_a_long_text_take_a_bounded_time),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
