/*
 * Redis (hiredis, synchronous). Holds only what may be lost: rate limits and
 * presence. Every call has a deadline (50 ms connect, 20 ms command); after an
 * error the context is freed, never reused; after three errors in a row the
 * cache stays away for 5 s and calls return CACHE_DOWN at once.
 */
#ifndef PLAZA_IO_CACHE_H
#define PLAZA_IO_CACHE_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Outputs are left alone on CACHE_DOWN. */
enum cache_result { CACHE_OK, CACHE_MISS, CACHE_DOWN };

#define CACHE_VALUE_MAX 65536  /* bytes; a longer value reads as a miss */
#define CACHE_MEMBERS_MAX 1000 /* most members that cache_zlive() returns, soonest to end first */

struct cache;

/*
 * `path` is a Unix socket; user and password may be NULL. Connects at the first use. Never
 * fails. SIGPIPE is set to be ignored when nobody took it: hiredis needs that.
 */
struct cache *cache_new(const char *path, const char *user, const char *password);
void cache_free(struct cache *c);

/* Asks the server. */
bool cache_up(struct cache *c);
/* Why the last failure happened, for the log; empty when there was none. */
const char *cache_error(const struct cache *c);

/*
 * Fixed window counter: adds 1 to `key`, which lives window_s seconds from its first hit.
 * *count = hits in this window, *left_s = seconds until it ends. One MULTI block.
 */
enum cache_result cache_hit(
	struct cache *c, struct str key, int window_s, int64_t *count, int64_t *left_s);

/*
 * A leaking bucket: a hit adds `cost_us` to a level that falls by one each microsecond, and is
 * taken while the level is at most `room_us`. Buckets are full after room_us / cost_us hits at
 * once, then take one every cost_us.
 */
struct cache_bucket {
	struct str key;
	int64_t cost_us, room_us;
	int64_t over_us; /* out: what the level is above its room, so how long to wait; <= 0: taken
			  */
};
#define CACHE_BUCKETS_MAX 4
/*
 * One hit in each of the buckets, in one MULTI block: race-free without a script. A hit that any
 * of them refuses counts in none. `now_us` must be of one clock for all who share the keys.
 */
enum cache_result cache_pour(
	struct cache *c, struct cache_bucket *buckets, size_t n, int64_t now_us);
/* Takes a hit back. */
enum cache_result cache_unpour(struct cache *c, const struct cache_bucket *buckets, size_t n);

enum cache_result cache_set(struct cache *c, struct str key, struct str value, int ttl_s);
enum cache_result cache_get(struct cache *c, struct arena *a, struct str key, struct str *value);
/* As cache_set(); `was` gets what stood there before, and CACHE_MISS tells that nothing did. */
enum cache_result cache_swap(struct cache *c, struct arena *a, struct str key, struct str value,
	int ttl_s, struct str *was);
/* A set whose members each have a time limit (sorted by their end): presence, watchers. */
enum cache_result cache_zadd(struct cache *c, struct str key, struct str member, int ttl_s);
enum cache_result cache_zrem(struct cache *c, struct str key, struct str member);
/* How many live members each of `n` sets has, at most CACHE_SETS_MAX. */
#define CACHE_SETS_MAX 4
enum cache_result cache_zcount(struct cache *c, const struct str *keys, size_t n, int64_t *counts);
/* Live members in the arena; none is CACHE_OK with *n = 0. */
enum cache_result cache_zlive(
	struct cache *c, struct arena *a, struct str key, struct str **members, size_t *n);

#endif
