/* Finding listed words in folded text. */
#include "api/words.h"

#include <string.h>

#define BUCKETS 128     /* by the first character; all that is not ASCII shares one */
#define STRETCHED 3     /* so many equal letters in a row count as one; two are ordinary */
#define SPACED_MIN 3    /* letters of a rule that is found spelled out, as in "w o r d" */
#define DIGIT_END_MIN 4 /* of a rule that long, digits behind it are no part of the word */

struct rule {
	struct folded text;
	bool open_start, open_end;
	enum filter_action action;
	size_t next; /* in its bucket, + 1; 0 ends it */
};

struct words {
	struct arena *arena;
	struct rule *rules;
	size_t n;
	size_t heads[BUCKETS]; /* + 1 */
};

/* What stands for letters, beside themselves. */
static const char *
letters_of(uint32_t c)
{
	switch (c) {
	case '0':
		return "o";
	case '1':
	case '!':
	case '|':
		return "il";
	case '3':
	case 0x20AC: /* the euro sign */
		return "e";
	case '4':
	case '@':
		return "a";
	case '5':
	case '$':
		return "s";
	case '6':
	case '9':
		return "g";
	case '7':
	case '+':
		return "t";
	case '8':
		return "b";
	default:
		return "";
	}
}

static bool
in_word(uint32_t c)
{
	enum fold_kind k = fold_kind(c);

	return k == FOLD_LETTER || k == FOLD_DIGIT;
}

static size_t
bucket(uint32_t c)
{
	return c < BUCKETS ? c : 0;
}

struct words *
words_new(struct arena *a)
{
	struct words *w = ARENA_NEW(a, struct words);

	w->arena = a;
	w->rules = arena_calloc(a, WORD_RULES_MAX, sizeof(*w->rules));
	return w;
}

/* What may stand between the words of a rule. Of other signs nobody knows what they are for. */
static bool
is_gap(uint32_t c)
{
	return fold_kind(c) == FOLD_SPACE || c == '-' || c == '\'' || c == '.' || c == 0x2019;
}

/* Gaps become one space, none at the ends; false when there is anything else but words. */
static bool
tighten(struct folded *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (in_word(f->c[i]))
			f->c[n++] = f->c[i];
		else if (!is_gap(f->c[i]))
			return false;
		else if (n > 0 && f->c[n - 1] != ' ')
			f->c[n++] = ' ';
	}
	f->n = n > 0 && f->c[n - 1] == ' ' ? n - 1 : n;
	return f->n > 0;
}

bool
words_add(struct words *w, struct str pattern, enum filter_action action)
{
	if (w->n == WORD_RULES_MAX)
		return false;
	struct rule *r = &w->rules[w->n];

	pattern = str_trim(pattern);
	*r = (struct rule){ .action = action,
		.open_start = str_starts(pattern, "*"),
		.open_end = str_ends(pattern, "*") };
	pattern = str_sub(pattern, r->open_start, pattern.n - (r->open_end && pattern.n > 1));
	fold_text(w->arena, pattern, &r->text);
	if (!tighten(&r->text))
		return false;
	size_t *head = &w->heads[bucket(r->text.c[0])];
	r->next = *head;
	*head = ++w->n;
	return true;
}

/* ---- one rule at one place ---- */

/* A text, and for each place where the run of equal characters that it is in ends and begins. */
struct searched {
	const struct folded *f;
	uint32_t *run_from, *run_to;
};

struct match {
	size_t at;
	size_t plain, disguised; /* letters that were themselves, and those that were not */
};

static bool
take(const struct folded *f, struct match *m, uint32_t want)
{
	if (m->at >= f->n)
		return false;
	uint32_t c = f->c[m->at];

	if (c == want)
		m->plain++;
	else if (want < BUCKETS && (strchr(letters_of(c), (int)want) || (c == '*' && m->plain > 0)))
		m->disguised++;
	else
		return false;
	m->at++;
	return true;
}

/* "noooo": what goes on with the letter that was just taken. */
static void
skip_stretch(const struct searched *s, struct match *m, size_t start)
{
	size_t from = s->run_from[m->at - 1], to = s->run_to[m->at - 1];

	if (to - (from < start ? start : from) >= STRETCHED)
		m->at = to;
}

static bool
skip_gap(const struct folded *f, struct match *m, size_t most)
{
	size_t n = 0;

	while (m->at < f->n && n < most && !in_word(f->c[m->at])) {
		m->at++;
		n++;
	}
	return n > 0;
}

static bool
ends_well(const struct rule *r, const struct folded *f, const struct match *m)
{
	/* "a55" is a model and no disguise. */
	if (m->plain < m->disguised || (m->disguised > 0 && m->plain < 2))
		return false;
	if (r->open_end || m->at == f->n || !in_word(f->c[m->at]))
		return true;
	return r->text.n >= DIGIT_END_MIN && fold_kind(f->c[m->at]) == FOLD_DIGIT;
}

static bool
match_plain(const struct rule *r, const struct searched *s, size_t start, size_t *end)
{
	const struct folded *f = s->f;
	struct match m = { .at = start };

	for (size_t k = 0; k < r->text.n; k++) {
		uint32_t want = r->text.c[k];

		if (want == ' ' ? !skip_gap(f, &m, SIZE_MAX) : !take(f, &m, want))
			return false;
		if (want != ' ' && (k + 1 == r->text.n || r->text.c[k + 1] != want))
			skip_stretch(s, &m, start);
	}
	*end = m.at;
	return ends_well(r, f, &m);
}

/* "w.o-r d": something between every two letters. */
static bool
match_spaced(const struct rule *r, const struct folded *f, size_t start, size_t *end)
{
	struct match m = { .at = start };

	if (r->text.n < SPACED_MIN)
		return false;
	for (size_t k = 0; k < r->text.n; k++) {
		if (r->text.c[k] == ' ' || (k > 0 && !skip_gap(f, &m, 2)) ||
			!take(f, &m, r->text.c[k]))
			return false;
	}
	*end = m.at;
	return ends_well(r, f, &m);
}

/* ---- all rules ---- */

static bool
try_bucket(const struct words *w, uint32_t first, const struct searched *s, size_t i,
	struct word_hit *hit)
{
	const struct folded *f = s->f;
	bool start = i == 0 || !in_word(f->c[i - 1]), found = false;
	size_t end;

	for (size_t n = w->heads[bucket(first)]; n > 0; n = w->rules[n - 1].next) {
		const struct rule *r = &w->rules[n - 1];

		if ((!start && !r->open_start) ||
			(!match_plain(r, s, i, &end) && !match_spaced(r, f, i, &end)))
			continue;
		while (r->open_end && end < f->n && in_word(f->c[end]))
			end++;
		if (!found || r->action > hit->action)
			hit->action = r->action;
		if (!found || end > hit->to)
			hit->to = end;
		hit->from = i;
		found = true;
	}
	return found;
}

static struct searched
prepare(struct arena *a, const struct folded *f)
{
	struct searched s = { f, arena_calloc(a, f->n + 1, sizeof(uint32_t)),
		arena_calloc(a, f->n + 1, sizeof(uint32_t)) };

	for (size_t i = 0; i < f->n; i++)
		s.run_from[i] = i > 0 && f->c[i] == f->c[i - 1] ? s.run_from[i - 1] : (uint32_t)i;
	for (size_t i = f->n; i > 0; i--)
		s.run_to[i - 1] = i < f->n && f->c[i] == f->c[i - 1] ? s.run_to[i] : (uint32_t)i;
	return s;
}

size_t
words_find(const struct words *w, struct arena *a, const struct folded *f, struct word_hit *hits,
	size_t max)
{
	struct searched s = prepare(a, f);
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const char *others = letters_of(f->c[i]);
		struct word_hit hit = { 0 };
		bool found = try_bucket(w, f->c[i], &s, i, &hit);

		for (; *others; others++) {
			struct word_hit other = { 0 };

			if (!try_bucket(w, (uint32_t)*others, &s, i, &other))
				continue;
			if (!found || other.action > hit.action)
				hit = other;
			found = true;
		}
		if (!found)
			continue;
		if (n < max)
			hits[n] = hit;
		n++;
	}
	return n;
}
