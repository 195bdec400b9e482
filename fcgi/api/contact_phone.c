/* Telephone numbers in a text, and what only looks like one. */
#include "api/contact_parts.h"

#include <string.h>

#define GROUPS_MAX 32
#define LOOK_BACK 5        /* words before a number that say what it is */
#define SPELLED_TELLS 5    /* so many digits in words are no coincidence */
#define PRICE_DIGITS 10    /* longest amount of money */
#define THOUSANDS_DIGITS 9 /* shortest number in groups of three that is none */
#define OTHER_DIGITS_MIN 2 /* digits of a word that has letters for some: "O99" */

struct run {
	size_t first, last; /* tokens */
	int64_t value[GROUPS_MAX];
	size_t width[GROUPS_MAX];
	size_t n;
	size_t digits, spelled;
	bool plus;
};

/* ---- what stands behind a token ---- */

static size_t
width(const struct tokens *t, size_t i)
{
	return t->v[i].to - t->v[i].from;
}

static int64_t
value(const struct tokens *t, size_t i)
{
	int64_t v = 0;

	for (const char *p = t->v[i].text; *p && v < INT64_MAX / 100; p++)
		v = v * 10 + (*p - '0');
	return v;
}

static bool
is_number(const struct tokens *t, size_t i)
{
	return i < t->n && t->v[i].kind == TOKEN_NUMBER;
}

/* A word of digits and letters that look like some. */
static bool
disguised(const struct token *k)
{
	size_t digits = 0;

	if (k->kind != TOKEN_WORD || !k->odd)
		return false;
	for (const char *p = k->text; *p; p++) {
		if (*p >= '0' && *p <= '9')
			digits++;
		else if (!strchr("oil", *p))
			return false;
	}
	return digits >= OTHER_DIGITS_MIN;
}

/* ---- dates, times, amounts: groups without spaces that are something else ---- */

static bool
is_date(const int64_t *v, const size_t *w, size_t n)
{
	if (n != 3)
		return false;
	if (w[0] == 4)
		return v[0] >= 1900 && v[0] < 2200 && v[1] >= 1 && v[1] <= 12 && v[2] >= 1 &&
		       v[2] <= 31;
	return (w[2] == 4 ? v[2] >= 1900 && v[2] < 2200 : w[2] == 2) && w[0] <= 2 && w[1] <= 2 &&
	       v[0] >= 1 && v[1] >= 1 && v[0] <= 31 && v[1] <= 31 && (v[0] <= 12 || v[1] <= 12);
}

static bool
is_time(const int64_t *v, const size_t *w, size_t n)
{
	return (n == 2 || n == 3) && w[0] <= 2 && w[1] == 2 && v[0] < 24 && v[1] < 60 &&
	       (n == 2 || (w[2] == 2 && v[2] < 60));
}

/* 1.250.000 or 1,250.00; with as many digits as a telephone number it is none. */
static bool
is_amount(const size_t *w, const uint32_t *sign, size_t n)
{
	size_t whole = n, digits = w[0];

	if (n < 2 || w[0] > 3)
		return n == 2 && w[0] <= 8 && w[1] <= 2 && sign[1] != '-' && sign[1] != '/';
	if (w[n - 1] <= 2 && (n == 2 || sign[n - 1] != sign[1]))
		whole = n - 1;
	for (size_t i = 1; i < whole; i++) {
		if (w[i] != 3 || sign[i] != sign[1])
			return false;
		digits += w[i];
	}
	return (sign[1] == '.' || sign[1] == ',') && digits < THOUSANDS_DIGITS;
}

/* Marks the groups from i on that are joined by signs; returns the token behind them. */
static size_t
mark_chain(struct tokens *t, size_t i)
{
	int64_t v[GROUPS_MAX];
	size_t w[GROUPS_MAX], n = 0, j = i;
	uint32_t sign[GROUPS_MAX] = { 0 };
	bool same = true;

	for (;;) {
		v[n] = value(t, j);
		w[n++] = width(t, j);
		if (n == GROUPS_MAX || j + 2 >= t->n || t->v[j + 1].kind != TOKEN_SIGN ||
			t->v[j + 1].sign >= 0x80 || !strchr(".,:/-", (int)t->v[j + 1].sign) ||
			!is_number(t, j + 2) || t->v[j + 1].apart || t->v[j + 2].apart)
			break;
		sign[n] = t->v[j + 1].sign;
		same = same && sign[n] == sign[1];
		j += 2;
	}
	bool time = sign[1] == ':' && is_time(v, w, n);
	bool date =
		same && (sign[1] == '/' || sign[1] == '-' || sign[1] == '.') && is_date(v, w, n);
	if (time || date || is_amount(w, sign, n)) {
		for (size_t k = i; k <= j; k++)
			t->v[k].taken = true;
	}
	return j + 1;
}

static bool
is_hex(const struct token *k)
{
	return k->kind != TOKEN_SIGN && k->text[strspn(k->text, "0123456789abcdef")] == '\0';
}

/* Marks the UUID (RFC 9562 section 4) that begins at i: an id that people copy, however many digits
 * it has. */
static void
mark_uuid(struct tokens *t, size_t i)
{
	static const size_t widths[] = { 8, 4, 4, 4, 12 };
	enum { GROUPS = sizeof(widths) / sizeof(widths[0]), LAST = 2 * (GROUPS - 1) };

	if (i + LAST >= t->n)
		return;
	for (size_t g = 0; g < GROUPS; g++) {
		size_t at = i + 2 * g;

		if (!is_hex(&t->v[at]) || width(t, at) != widths[g])
			return;
		if (g > 0 && (!is_sign(t, at - 1, '-') || t->v[at - 1].apart || t->v[at].apart))
			return;
	}
	if (!strchr("12345678", t->v[i + 4].text[0]) || !strchr("89ab", t->v[i + 6].text[0]))
		return;
	for (size_t k = i; k <= i + LAST; k++)
		t->v[k].taken = true;
}

/* ---- runs of digits ---- */

static bool
add_group(struct run *r, const struct tokens *t, size_t i)
{
	const struct token *k = &t->v[i];

	if (i >= t->n || k->taken || r->n == GROUPS_MAX)
		return false;
	if (k->kind == TOKEN_NUMBER || disguised(k)) {
		r->value[r->n] = value(t, i);
		r->width[r->n++] = width(t, i);
		r->digits += width(t, i);
	} else if (means(t, i, W_DIGIT)) {
		r->value[r->n] = k->digit;
		r->width[r->n] = k->digit < 10 ? 1 : 2;
		r->digits += r->width[r->n++];
		r->spelled++;
	} else {
		return false;
	}
	r->last = i;
	return true;
}

/* May stand between two groups. A comma separates numbers, unless they are single digits. */
static bool
is_separator(const struct run *r, const struct tokens *t, size_t i)
{
	if (i >= t->n)
		return false;
	if (means(t, i, W_JOINER))
		return true;
	if (t->v[i].kind != TOKEN_SIGN || t->v[i].taken)
		return false;
	uint32_t c = t->v[i].sign;
	if (c == ',')
		return r->width[r->n - 1] == 1 && i + 1 < t->n &&
		       (width(t, i + 1) == 1 || means(t, i + 1, W_DIGIT));
	if (c < 0x80)
		return strchr("()-./+_~*:|\\", (int)c);
	return (c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xB7 || c == 0x2022;
}

#define SEPARATORS_MAX 3

static bool
read_run(const struct tokens *t, size_t i, struct run *r)
{
	*r = (struct run){ .first = i, .plus = i > 0 && is_sign(t, i - 1, '+') };
	if (!add_group(r, t, i))
		return false;
	r->plus = r->plus || (is_sign(t, i - 1, '(') && i > 1 && is_sign(t, i - 2, '+'));
	for (size_t at = i + 1;;) {
		size_t n = 0;

		while (n < SEPARATORS_MAX && is_separator(r, t, at + n))
			n++;
		if (!add_group(r, t, at + n))
			return true;
		at += n + 1;
	}
}

/* 38 39 40 41: numbers that are counted up, or named with equal steps. */
static bool
is_list(const struct run *r)
{
	if (r->n < 3 || r->value[1] == r->value[0])
		return false;
	for (size_t i = 2; i < r->n; i++)
		if (r->value[i] - r->value[i - 1] != r->value[1] - r->value[0])
			return false;
	return true;
}

static unsigned
said_before(const struct tokens *t, size_t first)
{
	unsigned said = 0;
	size_t from = first > LOOK_BACK ? first - LOOK_BACK : 0;

	for (size_t i = from; i < first; i++)
		said |= is_sign(t, i, '#') ? W_LABEL : t->v[i].meaning;
	return said;
}

static bool
is_money_sign(const struct tokens *t, size_t i)
{
	return is_sign(t, i, '$') || is_sign(t, i, 0x20AC) || is_sign(t, i, 0xA3);
}

static bool
is_phone(const struct tokens *t, const struct run *r, size_t digits_min)
{
	unsigned said = said_before(t, r->first);
	bool cue = (said & W_CUE) != 0 || r->plus;

	if (is_list(r))
		return false;
	if (!cue && said & W_LABEL)
		return false;
	if (!cue && r->digits <= PRICE_DIGITS && r->spelled == 0 &&
		((r->first > 0 && is_money_sign(t, r->first - 1)) ||
			(r->first > 0 && means(t, r->first - 1, W_MONEY)) ||
			is_money_sign(t, r->last + 1) || means(t, r->last + 1, W_MONEY | W_UNIT)))
		return false;
	if (cue || r->spelled >= SPELLED_TELLS)
		digits_min = PHONE_DIGITS_MIN;
	/* One group that long is no telephone number; several may have more added to them. */
	return r->digits >= digits_min && (r->n > 1 || r->digits <= PHONE_DIGITS_MAX);
}

void
contact_numbers(struct tokens *t, size_t digits_min, struct contact_found *found)
{
	struct run r;

	for (size_t i = 0; i < t->n; i++)
		mark_uuid(t, i);
	for (size_t i = 0; i < t->n;)
		i = is_number(t, i) ? mark_chain(t, i) : i + 1;
	for (size_t i = 0; i < t->n;) {
		if (!read_run(t, i, &r)) {
			i++;
			continue;
		}
		if (is_phone(t, &r, digits_min))
			contact_add(found, CONTACT_PHONE, t->v[r.first].from, t->v[r.last].to);
		i = r.last + 1;
	}
}
