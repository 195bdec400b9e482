/* Counters of one process: fixed windows, one table for each length. */
#include "http/tally.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/rand.h"

#include <stdlib.h>

#define US_PER_S 1000000

/* Which window was counted last, and its hits. */
struct slot {
	int64_t window, count;
};

/*
 * A slot knows one window at a time. Were lengths mixed, a hit of a short window
 * would start the long one of its neighbour anew.
 */
struct table {
	struct table *next;
	int window_s;
	struct slot slots[TALLY_SLOTS];
};

static struct table *tables;

static struct table *
table_of(int window_s)
{
	struct table *t = tables;

	while (t && t->window_s != window_s)
		t = t->next;
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	CHECK(t);
	t->window_s = window_s;
	t->next = tables;
	tables = t;
	return t;
}

/* FNV-1a from a secret start: nobody can choose whose counter he shares. */
static uint64_t
hash(struct str s)
{
	static uint64_t start;

	while (start == 0)
		rand_bytes(&start, sizeof(start));
	uint64_t h = start;
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

int64_t
tally_hit(struct str key, int window_s, int64_t *left_s)
{
	CHECK(window_s > 0);
	int64_t now = clock_mono_us() / US_PER_S;
	struct slot *slot = &table_of(window_s)->slots[hash(key) % TALLY_SLOTS];

	/* The key is not compared: a collision shares the counter. */
	if (slot->window != now / window_s)
		*slot = (struct slot){ .window = now / window_s };
	*left_s = window_s - now % window_s;
	return ++slot->count;
}
