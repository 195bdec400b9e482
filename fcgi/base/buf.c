/* Growing byte buffer over an arena. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/check.h"

#define FIRST_CAP 256
#define I64_TEXT 20 /* "-9223372036854775808" */

void
buf_init(struct buf *b, struct arena *a, size_t limit)
{
	CHECK(limit < SIZE_MAX);
	*b = (struct buf){ .arena = a, .limit = limit };
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p)
		b->p[0] = '\0';
}

/*
 * The old bytes stay in the arena, so that a view made before the write never
 * dangles; doubling keeps what is left behind below the size of the content.
 */
static void
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;

	while (cap < need && cap <= b->limit / 2)
		cap *= 2;
	if (cap < need || cap > b->limit + 1)
		cap = b->limit + 1;

	char *p = arena_alloc(b->arena, cap);

	if (b->n > 0)
		memcpy(p, b->p, b->n);
	p[b->n] = '\0';
	b->p = p;
	b->cap = cap;
}

char *
buf_reserve(struct buf *b, size_t n)
{
	if (b->failed || n > b->limit - b->n) {
		b->failed = true;
		return NULL;
	}
	/* One byte more for the NUL. */
	if (n >= b->cap - b->n)
		grow(b, b->n + n + 1);
	return b->p + b->n;
}

void
buf_commit(struct buf *b, size_t n)
{
	if (b->failed)
		return;
	CHECK(n < b->cap - b->n);
	b->n += n;
	b->p[b->n] = '\0';
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);

	if (!to)
		return;
	if (n > 0)
		memcpy(to, p, n);
	buf_commit(b, n);
}

void
buf_puts(struct buf *b, const char *z)
{
	buf_put(b, z, strlen(z));
}

void
buf_putstr(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

void
buf_putc(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);

	int n = vsnprintf(NULL, 0, fmt, ap);
	CHECK(n >= 0);
	char *to = buf_reserve(b, (size_t)n);
	if (to) {
		CHECK(vsnprintf(to, (size_t)n + 1, fmt, again) == n);
		buf_commit(b, (size_t)n);
	}

	va_end(again);
	va_end(ap);
}

void
buf_puti(struct buf *b, int64_t v)
{
	char text[I64_TEXT];
	size_t at = sizeof(text);
	/* Unsigned, because the least integer has no positive twin. */
	uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		text[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (v < 0)
		text[--at] = '-';
	buf_put(b, text + at, sizeof(text) - at);
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p ? b->p : "", b->n };
}
