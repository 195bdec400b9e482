/* Words, numbers and signs of a text for the contact detector. */
#include "api/contact_parts.h"

#include <stdlib.h>
#include <string.h>

#define SPELLED_MIN 4 /* so many letters, each alone, are a word that is spelled out */

static const struct meaning {
	const char *word;
	unsigned meaning;
	int digit;
} meanings[] = {
#define WORD(word, meaning, digit) { word, meaning, digit },
#include "api/contact_words.def"
#undef WORD
};

static int
by_word(const void *key, const void *row)
{
	return strcmp(key, ((const struct meaning *)row)->word);
}

/* Letters beyond ASCII keep their place; only ñ has a meaning, in one word. */
static void
give_text(struct token *k, const struct folded *f)
{
	size_t n = 0;

	for (size_t i = k->from; i < k->to; i++) {
		uint32_t c = f->c[i];

		if (n + 3 > TOKEN_TEXT) {
			k->text[0] = '\0';
			return;
		}
		if (c == 0xF1) {
			k->text[n++] = '\xC3';
			k->text[n++] = '\xB1';
		} else {
			k->text[n++] = c < 0x80 ? (char)c : '?';
		}
	}
	k->text[n] = '\0';
}

static void
give_meaning(struct token *k)
{
	const struct meaning *m = bsearch(k->text, meanings, sizeof(meanings) / sizeof(meanings[0]),
		sizeof(meanings[0]), by_word);

	if (k->kind != TOKEN_WORD || !m)
		return;
	k->meaning = m->meaning;
	k->digit = m->digit;
}

static bool
word_goes_on(const struct folded *f, size_t i)
{
	enum fold_kind k = fold_kind(f->c[i]);

	return k == FOLD_LETTER || k == FOLD_DIGIT || f->c[i] == '_';
}

/* An underscore is a letter among letters, and a sign between numbers. */
static void
read_word(const struct folded *f, struct token *k)
{
	size_t letters = 0, numbers_end = 0;

	for (k->to = k->from; k->to < f->n && word_goes_on(f, k->to); k->to++) {
		letters += fold_kind(f->c[k->to]) == FOLD_LETTER;
		if (f->c[k->to] == '_' && numbers_end == 0)
			numbers_end = k->to;
	}
	k->kind = letters > 0 ? TOKEN_WORD : TOKEN_NUMBER;
	k->odd = letters > 0 && letters < k->to - k->from;
	if (letters == 0 && numbers_end > 0)
		k->to = numbers_end;
	give_text(k, f);
}

static void
read_token(const struct folded *f, struct token *k)
{
	if (f->c[k->from] != '_' && word_goes_on(f, k->from)) {
		read_word(f, k);
		return;
	}
	k->kind = TOKEN_SIGN;
	k->sign = f->c[k->from];
	k->to = k->from + 1;
}

static bool
lone_letter(const struct tokens *t, size_t i)
{
	return i < t->n && t->v[i].kind == TOKEN_WORD && t->v[i].to - t->v[i].from == 1;
}

/* Number of the last token of a word that is spelled out from i on, with `step` tokens a letter. */
static size_t
spelled_to(const struct tokens *t, size_t i, size_t step)
{
	size_t j = i;

	while (lone_letter(t, j) && lone_letter(t, j + step) && t->v[j + step].spaces <= 1 &&
		(step == 1 || (t->v[j + 1].kind == TOKEN_SIGN && t->v[j + 1].sign != '@')))
		j += step;
	return j;
}

/* "g m a i l" and "g.m.a.i.l" become one word each. */
static void
join_spelled(struct tokens *t)
{
	size_t out = 0;

	for (size_t i = 0; i < t->n; i++) {
		size_t step = lone_letter(t, i + 1) ? 1 : 2, j = spelled_to(t, i, step), n = 0;
		struct token k = t->v[i];

		if ((j - i) / step + 1 >= SPELLED_MIN) {
			for (size_t m = i; m <= j && n + 1 < TOKEN_TEXT; m += step)
				k.text[n++] = t->v[m].text[0];
			k.text[n] = '\0';
			k.to = t->v[j].to;
			i = j;
		}
		t->v[out++] = k;
	}
	t->n = out;
}

void
tokens_read(struct arena *a, const struct folded *f, struct tokens *out)
{
	size_t spaces = 0;

	*out = (struct tokens){ .v = arena_calloc(a, f->n + 1, sizeof(*out->v)) };
	for (size_t i = 0; i < f->n;) {
		if (fold_kind(f->c[i]) == FOLD_SPACE) {
			spaces++;
			i++;
			continue;
		}
		struct token *k = &out->v[out->n++];
		*k = (struct token){ .from = i, .spaces = spaces, .apart = spaces > 0 || i == 0 };
		read_token(f, k);
		spaces = 0;
		i = k->to;
	}
	join_spelled(out);
	for (size_t i = 0; i < out->n; i++)
		give_meaning(&out->v[i]);
}

bool
is_sign(const struct tokens *t, size_t i, uint32_t sign)
{
	return i < t->n && t->v[i].kind == TOKEN_SIGN && t->v[i].sign == sign;
}

bool
means(const struct tokens *t, size_t i, unsigned wanted)
{
	return i < t->n && (t->v[i].meaning & wanted) != 0;
}
