/*
 * The filters of messages: folding, listed words, contact data. The first line
 * of the input is a rule, the rest the text. All places that are told must lie
 * in the text.
 */
#include "api/contact.h"
#include "api/words.h"

#include "base/check.h"

#define ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define HITS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_places(const struct folded *f, struct str text)
{
	CHECK(f->at[f->n] == text.n);
	for (size_t i = 0; i < f->n; i++)
		CHECK(f->at[i] <= f->at[i + 1]);
}

static void
check_words(struct arena *a, struct str rule, const struct folded *f)
{
	struct words *w = words_new(a);
	struct word_hit hits[HITS];

	if (!words_add(w, rule, FILTER_MASK))
		return;
	size_t n = words_find(w, a, f, hits, HITS);
	for (size_t i = 0; i < n && i < HITS; i++)
		CHECK(hits[i].from < hits[i].to && hits[i].to <= f->n &&
			hits[i].action == FILTER_MASK);
}

static void
check_contacts(struct arena *a, const struct folded *f)
{
	const struct contact_tuning tuning = { .phone_digits = 9,
		.own_host = STR("plaza.example") };
	struct contact_hit hits[HITS];
	size_t n = contact_find(a, f, &tuning, hits, HITS);

	for (size_t i = 0; i < n && i < HITS; i++)
		CHECK(hits[i].from < hits[i].to && hits[i].to <= f->n &&
			hits[i].what < CONTACT_CLASSES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *a;
	struct str rule, text;
	struct folded f;

	if (!a)
		a = arena_new(ARENA_BYTES);
	str_cut((struct str){ (const char *)data, size }, '\n', &rule, &text);
	fold_text(a, text, &f);
	check_places(&f, text);
	check_words(a, rule, &f);
	check_contacts(a, &f);
	arena_clear(a);
	return 0;
}
