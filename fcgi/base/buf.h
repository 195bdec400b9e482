/*
 * Growing byte buffer with a hard limit. Memory comes from an arena, so there
 * is nothing to free. After a write that would pass the limit the buffer is
 * marked failed, further writes do nothing, and the caller checks once.
 *
 * Invariant: p[0..n) is written; p[n] is NUL whenever p is not NULL.
 */
#ifndef PLAZA_BASE_BUF_H
#define PLAZA_BASE_BUF_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	struct arena *arena;
	char *p;
	size_t n;
	size_t cap;
	size_t limit; /* most bytes n may reach */
	bool failed;
};

void buf_init(struct buf *b, struct arena *a, size_t limit);
/* Forgets the content and the failure, keeps the memory. */
void buf_clear(struct buf *b);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *z);
void buf_putstr(struct buf *b, struct str s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Decimal, without the cost of printf. */
void buf_puti(struct buf *b, int64_t v);
/* Room for n more bytes; NULL and failed when the limit is passed. Follow with buf_commit(). */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
/* What was written, valid until the next write. */
struct str buf_str(const struct buf *b);

#endif
