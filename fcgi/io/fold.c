/* Folding of text for filters. */
#include "io/fold.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "base/check.h"

#define EXPANSION 18 /* most code points that one becomes (U+FDFA) */
#define PER_BYTE 6   /* it has three bytes */
#define N_TILDE 0xF1u
#define TILDE 0x303u

/* Letters that look like Latin ones and that NFKC leaves alone, by code point. */
static const struct {
	uint32_t from;
	char to;
} lookalikes[] = {
	{ 0x111, 'd' },
	{ 0x127, 'h' },
	{ 0x131, 'i' },
	{ 0x142, 'l' },
	{ 0xF8, 'o' },
	{ 0x237, 'j' },
	{ 0x251, 'a' },
	{ 0x261, 'g' },
	{ 0x269, 'i' },
	{ 0x299, 'b' },
	{ 0x262, 'g' },
	{ 0x29C, 'h' },
	{ 0x26A, 'i' },
	{ 0x29F, 'l' },
	{ 0x274, 'n' },
	{ 0x280, 'r' },
	{ 0x28F, 'y' },
	{ 0x1D00, 'a' },
	{ 0x1D04, 'c' },
	{ 0x1D05, 'd' },
	{ 0x1D07, 'e' },
	{ 0x1D0A, 'j' },
	{ 0x1D0B, 'k' },
	{ 0x1D0D, 'm' },
	{ 0x1D0F, 'o' },
	{ 0x1D18, 'p' },
	{ 0x1D1B, 't' },
	{ 0x1D1C, 'u' },
	{ 0x1D20, 'v' },
	{ 0x1D21, 'w' },
	{ 0x1D22, 'z' },
	{ 0xA730, 'f' },
	{ 0xA731, 's' },
	/* Greek */
	{ 0x3B1, 'a' },
	{ 0x3B5, 'e' },
	{ 0x3B9, 'i' },
	{ 0x3BA, 'k' },
	{ 0x3BD, 'v' },
	{ 0x3BF, 'o' },
	{ 0x3C1, 'p' },
	{ 0x3C4, 't' },
	{ 0x3C5, 'u' },
	{ 0x3C7, 'x' },
	{ 0x3F2, 'c' },
	{ 0x3F3, 'j' },
	/* Cyrillic */
	{ 0x430, 'a' },
	{ 0x432, 'b' },
	{ 0x435, 'e' },
	{ 0x43A, 'k' },
	{ 0x43C, 'm' },
	{ 0x43D, 'h' },
	{ 0x43E, 'o' },
	{ 0x440, 'p' },
	{ 0x441, 'c' },
	{ 0x442, 't' },
	{ 0x443, 'y' },
	{ 0x445, 'x' },
	{ 0x455, 's' },
	{ 0x456, 'i' },
	{ 0x458, 'j' },
	{ 0x4BB, 'h' },
	{ 0x4CF, 'l' },
	{ 0x501, 'd' },
	{ 0x51B, 'q' },
	{ 0x51D, 'w' },
	/* Armenian */
	{ 0x561, 'w' },
	{ 0x570, 'h' },
	{ 0x578, 'n' },
	{ 0x57D, 'u' },
	{ 0x585, 'o' },
};

/* First digits of the scripts whose ten digits NFKC leaves alone. */
static const uint32_t zeros[] = { 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6,
	0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20, 0x1040, 0x17E0, 0x1810 };

/* Alphabets in frames: negative circled, negative squared, regional indicators. */
static const uint32_t framed[] = { 0x1F150, 0x1F170, 0x1F1E6 };

static uint32_t
unmask(uint32_t c)
{
	if (c < 0x80)
		return c;
	for (size_t i = 0; i < sizeof(lookalikes) / sizeof(lookalikes[0]); i++)
		if (lookalikes[i].from == c)
			return (uint32_t)lookalikes[i].to;
	for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++)
		if (c >= zeros[i] && c < zeros[i] + 10)
			return '0' + (c - zeros[i]);
	for (size_t i = 0; i < sizeof(framed) / sizeof(framed[0]); i++)
		if (c >= framed[i] && c < framed[i] + 26)
			return 'a' + (c - framed[i]);
	return c;
}

static bool
is_mark(uint32_t c)
{
	utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);

	return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

static void
put(struct folded *f, uint32_t c, size_t at)
{
	if (c == TILDE && f->n > 0 && f->c[f->n - 1] == 'n') {
		f->c[f->n - 1] = N_TILDE;
		return;
	}
	if (is_mark(c))
		return;
	f->c[f->n] = unmask(c);
	f->at[f->n++] = (uint32_t)at;
}

void
fold_text(struct arena *a, struct str text, struct folded *out)
{
	const utf8proc_option_t how =
		UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
	utf8proc_int32_t c, parts[EXPANSION];
	int boundary = UTF8PROC_BOUNDCLASS_START;

	*out = (struct folded){ .c = arena_calloc(a, text.n * PER_BYTE + 1, sizeof(*out->c)),
		.at = arena_calloc(a, text.n * PER_BYTE + 1, sizeof(*out->at)) };
	for (size_t i = 0; i < text.n;) {
		utf8proc_ssize_t used = utf8proc_iterate(
			(const utf8proc_uint8_t *)text.p + i, (utf8proc_ssize_t)(text.n - i), &c);
		if (used <= 0) {
			i++;
			continue;
		}
		utf8proc_ssize_t n = utf8proc_decompose_char(c, parts, EXPANSION, how, &boundary);
		CHECK(n <= EXPANSION);
		for (utf8proc_ssize_t k = 0; k < n; k++)
			put(out, (uint32_t)parts[k], i);
		i += (size_t)used;
	}
	out->at[out->n] = (uint32_t)text.n;
}

enum fold_kind
fold_kind(uint32_t c)
{
	if (c >= '0' && c <= '9')
		return FOLD_DIGIT;
	if (c >= 'a' && c <= 'z')
		return FOLD_LETTER;
	if (c == ' ' || (c >= '\t' && c <= '\r'))
		return FOLD_SPACE;
	if (c < 0x80)
		return FOLD_OTHER;
	utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
	if (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO)
		return FOLD_LETTER;
	if (k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP)
		return FOLD_SPACE;
	return FOLD_OTHER;
}
