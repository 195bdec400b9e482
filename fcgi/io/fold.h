/*
 * Text as a filter reads it (utf8proc). What looks the same becomes the same:
 * compatibility forms (NFKC), case, accents, letters of other scripts that look
 * like Latin ones, digits of all scripts. What is not seen goes: zero-width and
 * other ignorable characters. ñ stays: "año" and "ano" are two words.
 */
#ifndef PLAZA_IO_FOLD_H
#define PLAZA_IO_FOLD_H

#include "base/arena.h"
#include "base/str.h"

#include <stdint.h>

enum fold_kind { FOLD_OTHER, FOLD_SPACE, FOLD_LETTER, FOLD_DIGIT };

/* Code points, and for each the place in the text where the one it comes from begins. */
struct folded {
	uint32_t *c;
	uint32_t *at; /* n + 1 of them: the last is the length of the text */
	size_t n;
};

/* Never fails; bytes that are no UTF-8 are left out. */
void fold_text(struct arena *a, struct str text, struct folded *out);
/* Of a folded code point: digits are 0 to 9 only, accents are gone. */
enum fold_kind fold_kind(uint32_t c);

#endif
