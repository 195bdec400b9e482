/* Addresses, links and names at other services in a text. */
#include "api/contact_parts.h"

#include <string.h>

#define HANDLE_MIN 3  /* characters of a name */
#define FILLERS_MAX 3 /* words between a service and the name there */

const char *const contact_names[CONTACT_CLASSES + 1] = {
	[CONTACT_PHONE] = "phone",
	[CONTACT_EMAIL] = "email",
	[CONTACT_URL] = "url",
	[CONTACT_HANDLE] = "handle",
};

void
contact_add(struct contact_found *found, enum contact_class what, size_t from, size_t to)
{
	if (found->n < found->max)
		found->hits[found->n] = (struct contact_hit){ what, from, to };
	found->n++;
}

/* ---- pieces: each returns how many tokens it takes, 0 = none ---- */

static bool
is_name(const struct tokens *t, size_t i)
{
	return i < t->n && t->v[i].kind != TOKEN_SIGN;
}

/* No space between token i and the one before. */
static bool
joined(const struct tokens *t, size_t i)
{
	return i < t->n && !t->v[i].apart;
}

static bool
is_bracket(const struct tokens *t, size_t i, bool opens)
{
	return i < t->n && t->v[i].kind == TOKEN_SIGN && t->v[i].sign < 0x80 &&
	       strchr(opens ? "([{<" : ")]}>", (int)t->v[i].sign);
}

static bool
bracketed(const struct tokens *t, size_t i, unsigned meaning, uint32_t sign)
{
	return is_bracket(t, i, true) && (means(t, i + 1, meaning) || is_sign(t, i + 1, sign)) &&
	       is_bracket(t, i + 2, false);
}

/* The sign, or the sign said. */
static size_t
take_at(const struct tokens *t, size_t i)
{
	if (is_sign(t, i, '@') || means(t, i, W_AT))
		return 1;
	/* "juan.arroba.gmail.com" */
	if (is_sign(t, i, '.') && means(t, i + 1, W_AT) && is_sign(t, i + 2, '.'))
		return 3;
	return bracketed(t, i, W_AT_BRACKET, '@') ? 3 : 0;
}

static size_t
take_dot(const struct tokens *t, size_t i, bool *spoken)
{
	*spoken = means(t, i, W_DOT) || bracketed(t, i, W_DOT, '.');
	if (is_bracket(t, i, true))
		return *spoken ? 3 : 0;
	return *spoken || is_sign(t, i, '.') || is_sign(t, i, 0x3002) ? 1 : 0;
}

/* ---- e-mail ---- */

/* What stands behind "name @": true with *end behind it when it can be the house of a mailbox. */
static bool
mail_house(const struct tokens *t, size_t i, bool sure, size_t *end)
{
	bool spoken, known = means(t, i, W_PROVIDER), dotted = false, tight = true;
	size_t n;

	if (!is_name(t, i))
		return false;
	*end = i + 1;
	while ((n = take_dot(t, *end, &spoken)) > 0 && is_name(t, *end + n)) {
		tight = tight && !spoken && joined(t, *end) && joined(t, *end + n);
		known = known || means(t, *end + n, W_TLD | W_PROVIDER) ||
			(tight && means(t, *end + n, W_TLD_WEAK));
		dotted = true;
		*end += n + 1;
	}
	if (sure) /* "@" without spaces: any domain will do */
		return known || (dotted && tight && t->v[*end - 1].kind == TOKEN_WORD);
	return known && (dotted || means(t, i, W_PROVIDER));
}

/* Returns the token behind the address that begins at i, or 0. */
static size_t
email_at(const struct tokens *t, size_t i)
{
	size_t n, end;

	if (!is_name(t, i))
		return 0;
	if ((n = take_at(t, i + 1)) > 0) {
		bool sure = is_sign(t, i + 1, '@') && joined(t, i + 1) && joined(t, i + 2);
		return mail_house(t, i + 1 + n, sure, &end) ? end : 0;
	}
	/* "at" is a word like others: only with a dot behind it. */
	if (means(t, i + 1, W_AT_WEAK) && mail_house(t, i + 2, false, &end) && end > i + 3)
		return end;
	return 0;
}

/* ---- links ---- */

static bool
is_own(const struct folded *f, size_t from, size_t to, struct str host)
{
	if (host.n == 0 || to - from < host.n)
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (f->c[to - host.n + i] != (unsigned char)host.p[i])
			return false;
	return to - from == host.n || f->c[to - host.n - 1] == '.';
}

/* Token i is not the middle of a.b.c; asking for its end from everywhere would be quadratic. */
static bool
chain_starts(const struct tokens *t, size_t i)
{
	return is_name(t, i) && !(i > 0 && is_sign(t, i - 1, '.') && joined(t, i));
}

/* The token behind a.b.c without spaces. */
static size_t
chain_end(const struct tokens *t, size_t i)
{
	while (is_sign(t, i + 1, '.') && joined(t, i + 1) && is_name(t, i + 2) && joined(t, i + 2))
		i += 2;
	return i + 1;
}

static bool
chain_is_host(const struct tokens *t, size_t i, size_t end)
{
	bool path = is_sign(t, end, '/') && joined(t, end), letters = false;
	size_t last = end - 1;

	if (means(t, i, W_WWW))
		return true;
	if (end == i + 3 && means(t, i, W_SHORT) && strcmp(t->v[last].text, "me") == 0)
		return true;
	for (size_t k = i; k < last; k += 2)
		letters = letters || t->v[k].kind == TOKEN_WORD;
	return letters && (means(t, last, W_TLD) || (path && means(t, last, W_TLD_WEAK)));
}

/* "my shop dot com", "my shop . com" */
static size_t
spoken_host(const struct tokens *t, size_t i)
{
	bool spoken;
	size_t n = take_dot(t, i + 1, &spoken);

	if (n == 0 || t->v[i].kind != TOKEN_WORD || !means(t, i + 1 + n, W_TLD_SPOKEN))
		return 0;
	/* A sentence may end before a word that looks like a domain, but not with space on both
	 * sides. */
	if (!spoken && (!t->v[i + 1].apart || !t->v[i + 2].apart))
		return 0;
	return i + 2 + n;
}

static size_t
url_at(const struct folded *f, const struct tokens *t, size_t i, struct str own_host)
{
	size_t first = i;

	if (!chain_starts(t, i))
		return 0;
	if (means(t, i, W_SCHEME) && is_sign(t, i + 1, ':') && is_sign(t, i + 2, '/')) {
		first = i + 3 + is_sign(t, i + 3, '/');
		if (!is_name(t, first))
			return 0;
	}
	size_t end = chain_end(t, first);
	if (is_own(f, t->v[first].from, t->v[end - 1].to, own_host))
		return 0;
	if (first > i)
		return end;
	if (end > i + 1)
		return chain_is_host(t, i, end) ? end : 0;
	return spoken_host(t, i);
}

/* ---- names at other services ---- */

static bool
can_be_handle(const struct tokens *t, size_t i)
{
	return i < t->n && t->v[i].kind == TOKEN_WORD && t->v[i].to - t->v[i].from >= HANDLE_MIN &&
	       !(t->v[i].meaning & (W_PLAIN | W_UNIT));
}

/* "@name" */
static size_t
at_handle(const struct folded *f, const struct tokens *t, size_t i)
{
	if (!is_sign(t, i, '@') || !t->v[i].apart || !can_be_handle(t, i + 1) || !joined(t, i + 1))
		return 0;
	return fold_kind(f->c[t->v[i + 1].from]) == FOLD_LETTER ? i + 2 : 0;
}

/* "my insta is x", "ig: x", "telegram x_99" */
static size_t
service_handle(const struct tokens *t, size_t i)
{
	bool told = i > 0 && means(t, i - 1, W_MINE), copula = false, marked = false;
	size_t j = i + 1;

	if (!means(t, i, W_SERVICE))
		return 0;
	for (size_t n = 0; n < FILLERS_MAX && j < t->n; n++, j++) {
		if (is_sign(t, j, ':') || is_sign(t, j, '=') || is_sign(t, j, '@'))
			marked = true;
		else if (means(t, j, W_COPULA))
			copula = true;
		else
			break;
	}
	if (!can_be_handle(t, j) || t->v[j].meaning)
		return 0;
	bool shaped = t->v[j].odd || chain_end(t, j) > j + 1;
	return shaped || marked || (told && copula) ? chain_end(t, j) : 0;
}

void
contact_addresses(const struct folded *f, const struct tokens *t, struct str own_host,
	struct contact_found *found)
{
	for (size_t i = 0; i < t->n;) {
		enum contact_class what = CONTACT_EMAIL;
		size_t end = email_at(t, i);

		/* What is before an address joined by dots belongs to it: a.b@c.com */
		if (end == 0 && chain_starts(t, i))
			end = email_at(t, chain_end(t, i) - 1);
		if (end == 0) {
			what = CONTACT_URL;
			end = url_at(f, t, i, own_host);
		}
		if (end == 0) {
			what = CONTACT_HANDLE;
			end = at_handle(f, t, i);
			if (end == 0)
				end = service_handle(t, i);
		}
		if (end == 0) {
			i++;
			continue;
		}
		contact_add(found, what, t->v[i].from, t->v[end - 1].to);
		i = end;
	}
}

size_t
contact_find(struct arena *a, const struct folded *f, const struct contact_tuning *t,
	struct contact_hit *hits, size_t max)
{
	struct contact_found found = { .hits = hits, .max = max };
	struct tokens tokens;

	tokens_read(a, f, &tokens);
	contact_addresses(f, &tokens, t->own_host, &found);
	contact_numbers(&tokens, t->phone_digits, &found);
	return found.n;
}
