/* Text encodings: base64url, hexadecimal, JSON strings, percent-encoding, UTF-8. */
#include "base/encode.h"

#include "base/arena.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";

void
base64url_put(struct buf *b, const void *p, size_t n)
{
	const unsigned char *in = p;

	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t bits = (uint32_t)in[i] << 16;
		char out[4];

		if (left > 1)
			bits |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			bits |= in[i + 2];
		for (unsigned k = 0; k < 4; k++)
			out[k] = base64url_digits[bits >> (18 - 6 * k) & 63];
		/* One byte takes two digits, two take three. */
		buf_put(b, out, left < 3 ? left + 1 : 4);
	}
}

/* Value of a base64url digit and one, 0 for anything else; no branch guesses well in a token. */
static const uint8_t base64url_values[256] = {
	/* clang-format off */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 00 */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 10 */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 63, 0, 0, /* 20 */
	53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 0, 0, 0, 0, 0, 0, /* 30 */
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, /* 40 */
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 0, 0, 0, 0, 64, /* 50 */
	0, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, /* 60 */
	42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 0, 0, 0, 0, 0, /* 70 */
	/* clang-format on */
};

bool
base64url_get(struct arena *a, struct str s, struct str *out)
{
	if (s.n % 4 == 1)
		return false;

	char *to = arena_alloc(a, s.n / 4 * 3 + 3);
	size_t n = 0;
	uint32_t bits = 0;
	unsigned have = 0; /* low bits of `bits` that are not written yet */

	for (size_t i = 0; i < s.n; i++) {
		uint32_t v = base64url_values[(unsigned char)s.p[i]];

		if (v == 0)
			return false;
		bits = (bits << 6 | (v - 1)) & 0xFFFF;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (char)(bits >> have & 0xFF);
		}
	}
	if (bits & ((1U << have) - 1))
		return false;
	to[n] = '\0';
	*out = (struct str){ to, n };
	return true;
}

void
hex_put(struct buf *b, const void *p, size_t n)
{
	const unsigned char *in = p;

	for (size_t i = 0; i < n; i++) {
		char pair[2] = { hex_digits[in[i] >> 4], hex_digits[in[i] & 0x0F] };

		buf_put(b, pair, sizeof(pair));
	}
}

/* The value of a lower-case hexadecimal digit, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_get(struct arena *a, struct str s, struct str *out)
{
	if (s.n % 2 != 0)
		return false;

	char *to = arena_alloc(a, s.n / 2 + 1);

	for (size_t i = 0; i < s.n; i += 2) {
		int high = hex_value(s.p[i]);
		int low = hex_value(s.p[i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i / 2] = (char)(high << 4 | low);
	}
	to[s.n / 2] = '\0';
	*out = (struct str){ to, s.n / 2 };
	return true;
}

/*
 * The bounds of the second byte (Unicode table 3-7) keep out overlong forms,
 * surrogates and what lies beyond U+10FFFF.
 */
size_t
utf8_next(struct str s, size_t at, uint32_t *out)
{
	const unsigned char *p = (const unsigned char *)s.p + at;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;

	if (n == 0 || p[0] > 0xF4 || n > s.n - at)
		return 0;
	if (n == 1) {
		*out = p[0];
		return 1;
	}
	switch (p[0]) {
	case 0xE0:
		low = 0xA0;
		break;
	case 0xED:
		high = 0x9F;
		break;
	case 0xF0:
		low = 0x90;
		break;
	case 0xF4:
		high = 0x8F;
		break;
	default:
		break;
	}

	uint32_t cp = p[0] & (0x7FU >> n);

	for (size_t i = 1; i < n; i++) {
		if (p[i] < low || p[i] > high)
			return 0;
		cp = cp << 6 | (p[i] & 0x3FU);
		low = 0x80;
		high = 0xBF;
	}
	*out = cp;
	return n;
}

/* The JSON escape of an ASCII character, or NULL when it may stand as it is. */
static const char *
json_escape(unsigned char c, char room[7])
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\b':
		return "\\b";
	case '\f':
		return "\\f";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		break;
	}
	if (c >= 0x20 && c != 0x7F)
		return NULL;
	memcpy(room, "\\u00", 4);
	room[4] = hex_digits[c >> 4];
	room[5] = hex_digits[c & 0x0F];
	room[6] = '\0';
	return room;
}

/*
 * The escape of what stands at s.p[at], or NULL; *n gets its bytes. The line
 * ends beyond ASCII (U+0085, U+2028, U+2029) are escaped because readers of
 * lines may split there. A byte that is not UTF-8 becomes U+FFFD.
 */
static const char *
json_escape_at(struct str s, size_t at, size_t *n, char room[7])
{
	uint32_t cp;

	*n = utf8_next(s, at, &cp);
	if (*n == 0) {
		*n = 1;
		return "\\ufffd";
	}
	if (cp < 0x80)
		return json_escape((unsigned char)cp, room);
	if (cp == 0x85)
		return "\\u0085";
	if (cp == 0x2028)
		return "\\u2028";
	return cp == 0x2029 ? "\\u2029" : NULL;
}

void
json_put(struct buf *b, struct str s)
{
	size_t done = 0;
	size_t n;
	char room[7];

	buf_putc(b, '"');
	for (size_t i = 0; i < s.n; i += n) {
		const char *escape = json_escape_at(s, i, &n, room);

		if (escape) {
			/* What needs no escape is copied in runs. */
			buf_putstr(b, str_sub(s, done, i));
			buf_puts(b, escape);
			done = i + n;
		}
	}
	buf_putstr(b, str_sub(s, done, s.n));
	buf_putc(b, '"');
}

static bool
is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void
url_put(struct buf *b, struct str s)
{
	static const char upper[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char escape[3] = { '%', upper[c >> 4], upper[c & 0x0F] };

		if (is_unreserved(s.p[i]))
			buf_putc(b, s.p[i]);
		else
			buf_put(b, escape, sizeof(escape));
	}
}

/* Escapes may use either case (RFC 3986 section 2.1). */
static int
escape_value(char c)
{
	return hex_value(c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c);
}

bool
url_get(struct arena *a, struct str s, bool plus, struct str *out)
{
	char *to = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int high = s.n - i > 2 ? escape_value(s.p[i + 1]) : -1;
			int low = s.n - i > 2 ? escape_value(s.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0')
			return false;
		to[n++] = c;
	}
	to[n] = '\0';

	struct str decoded = { to, n };

	if (!utf8_valid(decoded))
		return false;
	*out = decoded;
	return true;
}

bool
utf8_valid(struct str s)
{
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < s.n; i += n) {
		n = utf8_next(s, i, &cp);
		if (n == 0)
			return false;
	}
	return true;
}

size_t
utf8_length(struct str s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.n; i++) {
		/* Every byte but a continuation begins a code point. */
		if (((unsigned char)s.p[i] & 0xC0) != 0x80)
			count++;
	}
	return count;
}

bool
text_valid(struct str s)
{
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < s.n; i += n) {
		n = utf8_next(s, i, &cp);
		if (n == 0)
			return false;
		if (cp == '\r' ? i + 1 == s.n || s.p[i + 1] != '\n'
			       : cp < 0x20 && cp != '\n' && cp != '\t')
			return false;
		/* Noncharacters: U+FDD0 to U+FDEF and the last two of each plane. */
		if ((cp >= 0xFDD0 && cp <= 0xFDEF) || (cp & 0xFFFE) == 0xFFFE)
			return false;
	}
	return true;
}
