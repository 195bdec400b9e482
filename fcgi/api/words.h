/*
 * A list of words and phrases that administrators refuse, mask or want to be
 * told of, and how it is found in a text. A rule is plain text, never an
 * expression: matching takes a time that the lengths bound. A `*` at its start
 * or end lets the word go on there.
 */
#ifndef PLAZA_API_WORDS_H
#define PLAZA_API_WORDS_H

#include "base/arena.h"
#include "base/str.h"
#include "io/fold.h"

#include <stdbool.h>
#include <stddef.h>

#define WORD_RULES_MAX 2000 /* more are not loaded */

/* Ordered: the last of several wins. */
enum filter_action { FILTER_NONE, FILTER_FLAG, FILTER_MASK, FILTER_REFUSE };

struct words;

/* Code points from..to of the text, and what the rule wants. */
struct word_hit {
	size_t from, to;
	enum filter_action action;
};

/* Lives as long as the arena. */
struct words *words_new(struct arena *a);
/*
 * False when there are too many, or when the pattern is anything but letters, digits, and spaces,
 * hyphens, apostrophes and full stops between them.
 */
bool words_add(struct words *w, struct str pattern, enum filter_action action);
/* The first `max` hits, by their place; returns how many there are. */
size_t words_find(const struct words *w, struct arena *a, const struct folded *f,
	struct word_hit *hits, size_t max);

#endif
