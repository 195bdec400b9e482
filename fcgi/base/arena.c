/* Region allocator: lists of blocks that are handed out front to back and released together. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

/*
 * Under AddressSanitizer everything that is not handed out is poisoned, and a
 * gap after each piece makes a write past its end visible. The gap is not
 * counted, so a limit means the same in every build.
 */
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP 16
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define GAP 0
#endif

/* gcc 12 takes a block for lost once only the list of its arena points to it. */
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* Holds an ordinary request; most requests never ask malloc for more. */
#define BLOCK_BYTES ((size_t)32 * 1024)
/* A larger piece gets a block of its own, so that little of a shared one is lost. */
#define SHARED_MAX (BLOCK_BYTES / 4)
#define ALIGN _Alignof(max_align_t)

struct block {
	struct block *next;
	size_t size; /* bytes in data */
	size_t used;
	_Alignas(max_align_t) char data[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *p;
};

struct arena {
	struct block *shared;      /* the first is being filled, the last survives a clear */
	struct block *large;       /* one piece each */
	struct deferred *deferred; /* most recent first */
	size_t used;               /* a multiple of ALIGN, as is limit */
	size_t limit;
};

static size_t
align_up(size_t n)
{
	return (n + ALIGN - 1) & ~(ALIGN - 1);
}

static struct block *
block_push(struct block **list, size_t size)
{
	struct block *block = malloc(sizeof(*block) + size);

	CHECK(block != NULL);
	*block = (struct block){ .next = *list, .size = size };
	ASAN_POISON_MEMORY_REGION(block->data, size);
	*list = block;
	return block;
}

static void
block_pop(struct block **list)
{
	struct block *block = *list;

	*list = block->next;
	ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
	free(block);
}

struct arena *
arena_new(size_t limit)
{
	CHECK(limit <= SIZE_MAX / 2);

	struct arena *a = malloc(sizeof(*a));
	CHECK(a != NULL);
	*a = (struct arena){ .limit = align_up(limit) };
	(void)block_push(&a->shared, BLOCK_BYTES);
	return a;
}

void
arena_clear(struct arena *a)
{
	/* A deferred call may defer another one, so the list is taken apart from the front. */
	while (a->deferred) {
		struct deferred *d = a->deferred;

		a->deferred = d->next;
		d->fn(d->p);
	}
	while (a->large)
		block_pop(&a->large);
	while (a->shared->next)
		block_pop(&a->shared);
	a->shared->used = 0;
	ASAN_POISON_MEMORY_REGION(a->shared->data, a->shared->size);
	a->used = 0;
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_clear(a);
	block_pop(&a->shared);
	free(a);
}

void *
arena_alloc(struct arena *a, size_t n)
{
	/* The difference is a multiple of ALIGN, so rounding n up cannot pass it either. */
	CHECK(n <= a->limit - a->used);

	size_t size = align_up(n) + GAP;
	struct block *block = a->shared;

	a->used += align_up(n);
	if (size > block->size - block->used) {
		bool alone = size > SHARED_MAX;

		block = block_push(alone ? &a->large : &a->shared, alone ? size : BLOCK_BYTES);
	}

	char *p = block->data + block->used;

	block->used += size;
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return p;
}

void *
arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t n;

	CHECK(!__builtin_mul_overflow(count, size, &n));
	return memset(arena_alloc(a, n), 0, n);
}

char *
arena_dup(struct arena *a, const void *p, size_t n)
{
	CHECK(n < SIZE_MAX);

	char *copy = arena_alloc(a, n + 1);

	/* memcpy() may not be given a null pointer, not even for no bytes. */
	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);

	int n = vsnprintf(NULL, 0, fmt, ap);
	CHECK(n >= 0);
	char *text = arena_alloc(a, (size_t)n + 1);
	CHECK(vsnprintf(text, (size_t)n + 1, fmt, again) == n);

	va_end(again);
	va_end(ap);
	return text;
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *p)
{
	struct deferred *d = arena_alloc(a, sizeof(*d));

	*d = (struct deferred){ .next = a->deferred, .fn = fn, .p = p };
	a->deferred = d;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}
