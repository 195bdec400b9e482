/* Buckets of a user and of a conversation. */
#include "http/bucket.h"

#include "base/check.h"
#include "base/clock.h"
#include "http/app.h"
#include "http/route.h"
#include "io/cache.h"

#include <inttypes.h>

#define SECOND_US INT64_C(1000000)
#define HOUR_US (INT64_C(3600) * SECOND_US)
#define BUCKETS 3

/* Whose bucket it is. */
enum owner { OWNER_NONE, OWNER_USER, OWNER_CHAT };

/* `room` hits at once, then one every `every_us`. */
struct bucket {
	const char *name;
	enum owner owner;
	int room;
	int64_t every_us;
};

/*
 * Ten at once let a device send what has waited while it was away. Two people who talk at their own
 * pace never fill the bucket of their conversation.
 */
static const struct bucket message_buckets[BUCKETS] = {
	{ "message-burst", OWNER_USER, 10, SECOND_US / 5 },
	{ "message", OWNER_USER, 60, SECOND_US },
	{ "chat", OWNER_CHAT, 120, SECOND_US / 2 },
};
static const struct bucket open_buckets[BUCKETS] = {
	{ "chat-open", OWNER_USER, 30, HOUR_US / 60 },
};

/* ---- without Redis ---- */

#define LOCAL_SLOTS 4096
#define LOCAL_SHARE 8 /* of the room and the pace: the usual number of workers */

static struct {
	int64_t empty_at_us;
} slots[LOCAL_SLOTS];

static size_t
slot_of(struct str key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (uint8_t)key.p[i]) * UINT64_C(0x100000001b3);
	return h % LOCAL_SLOTS;
}

/* Keys that share a slot share a bucket, which makes the limit stricter. */
static void
pour_here(struct cache_bucket *b, size_t n, int64_t now_us)
{
	bool taken = true;

	for (size_t i = 0; i < n; i++) {
		int64_t level = slots[slot_of(b[i].key)].empty_at_us - now_us;

		if (level < 0)
			level = 0;
		b[i].over_us = level + b[i].cost_us * LOCAL_SHARE - b[i].room_us;
		/* One hit fits into an empty bucket, however small its share is. */
		if (level == 0)
			b[i].over_us = 0;
		taken = taken && b[i].over_us <= 0;
	}
	for (size_t i = 0; taken && i < n; i++) {
		int64_t *empty_at = &slots[slot_of(b[i].key)].empty_at_us;

		*empty_at = (*empty_at > now_us ? *empty_at : now_us) + b[i].cost_us * LOCAL_SHARE;
	}
}

/* ---- the buckets of a request ---- */

static const struct bucket *
buckets_of(const struct request *req)
{
	if (req->route->limit == LIMIT_SEND)
		return message_buckets;
	return req->route->limit == LIMIT_OPEN ? open_buckets : NULL;
}

bool
bucket_handles(const struct request *req)
{
	return buckets_of(req) != NULL;
}

/* Ids of version 7 begin with the time at which they were made (RFC 9562 section 5.7). */
static int64_t
age_ms(const struct uuid *id)
{
	int64_t made = 0;

	if (id->b[6] >> 4 != 7)
		return INT64_MAX;
	for (int i = 0; i < 6; i++)
		made = made << 8 | id->b[i];
	return clock_unix_ms() - made;
}

/* Spam comes from accounts that were made for it. */
static int
room_of(const struct request *req, const struct bucket *b)
{
	const struct conf *conf = req->app->conf;

	if (req->route->limit == LIMIT_OPEN &&
		age_ms(&req->who.user) < conf->new_account_hours * INT64_C(3600000))
		return (int)conf->new_account_chats;
	return b->room;
}

static size_t
fill(struct request *req, struct cache_bucket out[BUCKETS])
{
	const struct bucket *b = buckets_of(req);
	char user[UUID_TEXT + 1];
	size_t n = 0;

	CHECK(b);
	uuid_text(&req->who.user, user);
	for (int i = 0; i < BUCKETS && b[i].owner != OWNER_NONE; i++) {
		struct str who = b[i].owner == OWNER_USER ? str_of(user) : req->params[0];
		struct uuid chat;

		if (b[i].owner == OWNER_CHAT && !uuid_parse(who, &chat))
			continue;
		int64_t room = room_of(req, &b[i]);
		/* Fewer at once also come more slowly: the bucket leaks as long as it was filled.
		 */
		int64_t cost = b[i].every_us * b[i].room / room;

		cost = cost * 100 / req->app->conf->rate_scale_percent;
		if (cost < 1)
			cost = 1;
		room = room * req->app->conf->rate_scale_percent / 100;
		out[n++] = (struct cache_bucket){
			.key = str_of(arena_printf(
				req->arena, "plaza:rb:%s:%.*s", b[i].name, STR_ARG(who))),
			.cost_us = cost,
			.room_us = (room > 0 ? room : 1) * cost,
		};
	}
	return n;
}

static int64_t
wait_s(const struct cache_bucket *b)
{
	return (b->over_us + SECOND_US - 1) / SECOND_US;
}

/* draft-ietf-httpapi-ratelimit-headers-11 */
static void
tell(struct request *req, const char *name, const struct cache_bucket *b)
{
	int64_t left = b->over_us < 0 ? -b->over_us / b->cost_us : 0;
	int64_t level_us = b->room_us + b->over_us;

	resp_header(req, "RateLimit-Policy", "\"%s\";q=%" PRId64 ";w=%" PRId64, name,
		b->room_us / b->cost_us, (b->room_us + SECOND_US - 1) / SECOND_US);
	resp_header(req, "RateLimit", "\"%s\";r=%" PRId64 ";t=%" PRId64, name, left,
		b->over_us > 0 ? wait_s(b) : (level_us + SECOND_US - 1) / SECOND_US);
}

enum problem
bucket_request(struct request *req)
{
	struct cache_bucket buckets[BUCKETS];
	size_t n = fill(req, buckets), worst = 0;
	int64_t now_us = clock_unix_ms() * 1000;

	if (cache_pour(req->app->cache, buckets, n, now_us) == CACHE_DOWN)
		pour_here(buckets, n, now_us);
	for (size_t i = 1; i < n; i++)
		if (buckets[i].over_us > buckets[worst].over_us)
			worst = i;
	tell(req, buckets_of(req)[worst].name, &buckets[worst]);
	if (buckets[worst].over_us <= 0)
		return P_OK;
	req->err.retry_after_s = (int)wait_s(&buckets[worst]);
	return ERR(&req->err, P_RATE_LIMITED, "bucket %s", buckets_of(req)[worst].name);
}

void
bucket_give_back(struct request *req)
{
	struct cache_bucket buckets[BUCKETS];

	/* Without Redis the hit stays: a process alone may be stricter. */
	(void)cache_unpour(req->app->cache, buckets, fill(req, buckets));
}

void
bucket_spare_chat(struct request *req)
{
	struct cache_bucket buckets[BUCKETS];
	size_t n = fill(req, buckets);

	if (n == BUCKETS)
		(void)cache_unpour(req->app->cache, &buckets[n - 1], 1);
}
