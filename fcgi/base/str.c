/* String views: comparing, cutting, copying and reading integers. */
#include "base/str.h"

#include "base/arena.h"

static const struct str absent = { NULL, 0 };

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* memcmp() may not be given a null pointer, not even for no bytes. */
static bool
bytes_eq(const char *a, const char *b, size_t n)
{
	return n == 0 || memcmp(a, b, n) == 0;
}

bool
str_eq(struct str a, struct str b)
{
	/* Absent equals only absent. */
	if (!a.p || !b.p)
		return !a.p && !b.p;
	return a.n == b.n && bytes_eq(a.p, b.p, a.n);
}

bool
str_eqz(struct str a, const char *z)
{
	return str_eq(a, str_of(z));
}

bool
str_ieqz(struct str a, const char *z)
{
	struct str b = str_of(z);

	if (!a.p || !b.p)
		return !a.p && !b.p;
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	}
	return true;
}

bool
str_starts(struct str a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && bytes_eq(a.p, prefix, n);
}

bool
str_ends(struct str a, const char *suffix)
{
	size_t n = strlen(suffix);

	return n == 0 || (a.n >= n && bytes_eq(a.p + (a.n - n), suffix, n));
}

size_t
str_find(struct str a, char c, size_t from)
{
	if (from >= a.n)
		return a.n;

	const char *hit = memchr(a.p + from, c, a.n - from);

	return hit ? (size_t)(hit - a.p) : a.n;
}

struct str
str_sub(struct str a, size_t from, size_t to)
{
	if (!a.p)
		return absent;
	if (to > a.n)
		to = a.n;
	if (from > to)
		from = to;
	return (struct str){ a.p + from, to - from };
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str
str_trim(struct str a)
{
	size_t from = 0;
	size_t to = a.n;

	while (from < to && is_blank(a.p[from]))
		from++;
	while (to > from && is_blank(a.p[to - 1]))
		to--;
	return str_sub(a, from, to);
}

bool
str_cut(struct str a, char sep, struct str *head, struct str *rest)
{
	size_t at = str_find(a, sep, 0);

	if (at == a.n) {
		*head = a;
		*rest = absent;
		return false;
	}
	*head = str_sub(a, 0, at);
	*rest = str_sub(a, at + 1, a.n);
	return true;
}

char *
str_z(struct arena *a, struct str s)
{
	return arena_dup(a, s.p, s.n);
}

struct str
str_dup(struct arena *a, struct str s)
{
	if (!s.p)
		return absent;
	return (struct str){ arena_dup(a, s.p, s.n), s.n };
}

struct str
str_lower(struct arena *a, struct str s)
{
	if (!s.p)
		return absent;

	char *copy = arena_dup(a, s.p, s.n);

	for (size_t i = 0; i < s.n; i++)
		copy[i] = lower(copy[i]);
	return (struct str){ copy, s.n };
}

bool
str_i64(struct str s, int64_t *out)
{
	bool negative = str_starts(s, "-");
	int64_t v = 0;

	if (negative)
		s = str_sub(s, 1, s.n);
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;

		/* Counts away from zero, because the least integer has no positive twin. */
		int64_t digit = negative ? '0' - s.p[i] : s.p[i] - '0';

		if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
			__builtin_add_overflow(v, digit, &v))
			return false;
	}
	*out = v;
	return true;
}

bool
str_u32(struct str s, uint32_t *out)
{
	int64_t v;

	if (!str_i64(s, &v) || v < 0 || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}
