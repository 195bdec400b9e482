/* fcgi/api/contact*: a labelled corpus, and what no corpus tells. */
#include "api/contact.h"

#include "api/contact_parts.h"
#include "arena_kit.h"

#include <stdlib.h>
#include <time.h>

#define CORPUS "tests/unit/contact.txt"
#define LINE_MAX_BYTES 1024
#define HITS 16
#define NO_CLASS CONTACT_CLASSES
/* Of a hundred: how many of those found are right, how many of those that are there are found. */
#define PRECISION_MIN 97
#define RECALL_MIN 95
#define CASES_MIN 200

static const struct contact_tuning tuning = { .phone_digits = 9,
	.own_host = { "plaza.example", 13 } };

static unsigned
classes_in(const char *text)
{
	struct contact_hit hits[HITS];
	struct folded f;
	unsigned found = 0;

	arena_clear(arena);
	fold_text(arena, str_of(text), &f);
	size_t n = contact_find(arena, &f, &tuning, hits, HITS);
	for (size_t i = 0; i < n && i < HITS; i++)
		found |= 1u << hits[i].what;
	return found;
}

static int
class_by_name(const char *name)
{
	for (int i = 0; i < CONTACT_CLASSES; i++)
		if (strcmp(name, contact_names[i]) == 0)
			return i;
	assert_string_equal(name, "none");
	return NO_CLASS;
}

/* Counts, by class and for "anything at all". */
static struct score {
	int there, found, right;
} scores[CONTACT_CLASSES + 1];

static void
judge(const char *label, const char *text)
{
	int want = class_by_name(label);
	unsigned got = classes_in(text);

	for (int i = 0; i < CONTACT_CLASSES; i++) {
		bool is = want == i, said = (got >> i) & 1;

		scores[i].there += is;
		scores[i].found += said;
		scores[i].right += is && said;
	}
	scores[NO_CLASS].there += want != NO_CLASS;
	scores[NO_CLASS].found += got != 0;
	scores[NO_CLASS].right += want != NO_CLASS && got != 0;
	if ((want == NO_CLASS) != (got == 0) || (want != NO_CLASS && !((got >> want) & 1)))
		print_message("    %s: found %x in: %s\n", label, got, text);
}

static void
the_corpus_is_told_apart(void **state)
{
	char line[LINE_MAX_BYTES];
	FILE *in = fopen(CORPUS, "r");
	int cases = 0;

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		char *text = strchr(line, '\t');
		if (line[0] == '#')
			continue;
		assert_non_null(text);
		*text++ = '\0';
		judge(line, text);
		cases++;
	}
	fclose(in);
	assert_true(cases >= CASES_MIN);
	for (int i = 0; i <= CONTACT_CLASSES; i++) {
		const struct score *s = &scores[i];

		print_message("    %s: %d of %d found, %d of %d right\n",
			i < CONTACT_CLASSES ? contact_names[i] : "all", s->right, s->there,
			s->right, s->found);
		assert_true(s->right * 100 >= s->found * PRECISION_MIN);
		assert_true(s->right * 100 >= s->there * RECALL_MIN);
	}
}

static void
the_own_site_is_no_stranger(void **state)
{
	(void)state;
	assert_int_equal(classes_in("https://plaza.example/products/1"), 0);
	assert_int_equal(classes_in("see shop.plaza.example"), 0);
	assert_int_equal(classes_in("notplaza.example.com"), 1u << CONTACT_URL);
	assert_int_equal(classes_in("https://plaza.example.evil.com/x"), 1u << CONTACT_URL);
}

static void
the_place_of_a_hit_is_told(void **state)
{
	struct contact_hit hits[HITS];
	struct folded f;

	(void)state;
	arena_clear(arena);
	fold_text(arena, STR("Sí, 0991234567 ok"), &f);
	assert_int_equal(contact_find(arena, &f, &tuning, hits, HITS), 1);
	assert_int_equal(f.at[hits[0].from], 5); /* í has two bytes */
	assert_int_equal(f.at[hits[0].to], 15);
}

static void
the_words_are_sorted(void **state)
{
	static const char *const words[] = {
#define WORD(word, meaning, digit) word,
#include "api/contact_words.def"
#undef WORD
	};

	(void)state;
	for (size_t i = 1; i < COUNT(words); i++)
		assert_true(strcmp(words[i - 1], words[i]) < 0);
}

/* Twice the text, no more than some three times the work: nothing here is quadratic. */
static void
long_texts_cost_their_length(void **state)
{
	static const char *const units[] = { "1 ", "a@", "a.b.", "(@)", "uno y ", "ig:", "1.",
		"a " };

	(void)state;
	for (size_t i = 0; i < COUNT(units); i++) {
		size_t n = 16000 / strlen(units[i]) * strlen(units[i]);
		char *text = malloc(n + 1);

		for (size_t k = 0; k < n; k++)
			text[k] = units[i][k % strlen(units[i])];
		text[n] = '\0';
		clock_t start = clock();
		for (int k = 0; k < 10; k++)
			(void)classes_in(text);
		assert_true(clock() - start < CLOCKS_PER_SEC);
		free(text);
	}
}

static void
a_uuid_is_no_telephone_number(void **state)
{
	(void)state;
	assert_int_equal(classes_in("pedido 00000000-0000-4000-8000-000000000005"), 0);
	assert_int_equal(classes_in("019b6a57-1234-7890-8a11-512345678901 llegó"), 0);
	/* Not its form: no version, no variant, other lengths, spaces. */
	assert_int_not_equal(classes_in("00000000-0000-0000-0000-099123456789"), 0);
	assert_int_not_equal(classes_in("0991-2345-6789-8000-000000000000"), 0);
	assert_int_not_equal(classes_in("00000000 0000 4000 8000 099123456789"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uuid_is_no_telephone_number),
		cmocka_unit_test(the_corpus_is_told_apart),
		cmocka_unit_test(the_own_site_is_no_stranger),
		cmocka_unit_test(the_place_of_a_hit_is_told),
		cmocka_unit_test(the_words_are_sorted),
		cmocka_unit_test(long_texts_cost_their_length),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
