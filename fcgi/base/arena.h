/*
 * Region allocator: everything a request or a job needs lives in one arena and
 * is released at once when it ends. Nothing in an arena is freed by itself.
 *
 * Ownership: the arena owns its blocks and runs the deferred calls; a foreign
 * resource (a PGresult, a json_t, an open file) joins it by arena_defer().
 */
#ifndef PLAZA_BASE_ARENA_H
#define PLAZA_BASE_ARENA_H

#include <stddef.h>

struct arena;

/*
 * Makes an empty arena that may grow to `limit` bytes in all.
 * Never returns NULL: a process that cannot get its first block ends.
 */
struct arena *arena_new(size_t limit);

/* Runs the deferred calls, last one first, and gives all memory back. NULL is fine. */
void arena_free(struct arena *a);

/* As arena_free(), but keeps the first block so that the arena can serve the next request. */
void arena_clear(struct arena *a);

/*
 * `n` bytes, aligned for any type, not cleared. Valid until arena_clear().
 * Never returns NULL: passing the limit is a programming error (every input
 * has its own, smaller limit) and ends the process with a message.
 */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));

/* `count` cleared elements of `size` bytes; the product is checked for overflow. */
void *arena_calloc(struct arena *a, size_t count, size_t size)
	__attribute__((malloc, returns_nonnull));

/* A copy of `n` bytes at `p`, followed by a NUL that is not counted. */
char *arena_dup(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));

/* printf into the arena, NUL-terminated. */
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));

/* Calls fn(p) when the arena is cleared or freed; last registered, first called. */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);

/* Bytes handed out since the last clear; for the access log and tests. */
size_t arena_used(const struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_calloc((a), 1, sizeof(type)))

#endif
