/* Rate limits: one row per class, counted in Redis or, without it, in this process. */
#include "http/limit.h"

#include "base/clock.h"
#include "http/app.h"
#include "http/route.h"
#include "io/cache.h"

#include <inttypes.h>

/* Hits allowed per window; 0 = not limited that way. */
static const struct limit_rule {
	const char *name;
	int per_address, address_window_s;
	int per_user, user_window_s;
} rules[LIMIT_CLASSES] = {
	[LIMIT_LOGIN] = { "login", 20, 60, 0, 0 },
	[LIMIT_REGISTER] = { "register", 20, 600, 0, 0 },
	[LIMIT_REFRESH] = { "refresh", 60, 60, 0, 0 },
	[LIMIT_WRITE] = { "write", 600, 60, 120, 60 },
	[LIMIT_MESSAGE] = { "message", 0, 0, 50, 10 },
	[LIMIT_UPLOAD] = { "upload", 60, 60, 30, 60 },
	[LIMIT_SEARCH] = { "search", 300, 60, 0, 0 },
	[LIMIT_CHECKOUT] = { "checkout", 120, 60, 30, 60 },
};

/* ---- counting without Redis ---- */

#define LOCAL_SLOTS 1024
#define LOCAL_SHARE 8 /* a process alone allows 1/8 of the limit: the usual number of workers */

static struct local_slot {
	uint64_t hash;
	int64_t window;
	int64_t count;
} local_slots[LOCAL_SLOTS];

static uint64_t
fnv1a(struct str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* A collision shares a counter, which can only make the limit stricter. */
static int64_t
local_hit(struct str key, int window_s, int64_t *left_s)
{
	int64_t now = clock_mono_us() / 1000000;
	uint64_t h = fnv1a(key);
	struct local_slot *slot = &local_slots[h % LOCAL_SLOTS];

	if (slot->window != now / window_s || slot->hash != h)
		*slot = (struct local_slot){ .hash = h, .window = now / window_s };
	*left_s = window_s - now % window_s;
	return ++slot->count;
}

/* ---- the check ---- */

static void
tell(struct request *req, const char *name, int64_t quota, int window_s, int64_t left,
	int64_t reset_s)
{
	/* draft-ietf-httpapi-ratelimit-headers-11 */
	resp_header(req, "RateLimit-Policy", "\"%s\";q=%" PRId64 ";w=%d", name, quota, window_s);
	resp_header(req, "RateLimit", "\"%s\";r=%" PRId64 ";t=%" PRId64, name, left, reset_s);
}

static enum problem
count_hit(struct request *req, const char *name, struct str who, int quota, int window_s)
{
	int64_t scaled = (int64_t)quota * req->app->conf->rate_scale_percent / 100;
	int64_t count = 0, reset_s = 0;
	struct str key = str_of(arena_printf(req->arena, "plaza:rl:%s:%.*s", name, STR_ARG(who)));

	if (cache_hit(req->app->cache, key, window_s, &count, &reset_s) == CACHE_DOWN)
		count = LOCAL_SHARE * local_hit(key, window_s, &reset_s);
	tell(req, name, scaled, window_s, count > scaled ? 0 : scaled - count, reset_s);
	if (count <= scaled)
		return P_OK;
	req->err.retry_after_s = reset_s > 0 ? (int)reset_s : 1;
	return ERR(&req->err, P_RATE_LIMITED, "class %s, hit %" PRId64, name, count);
}

/* One count a request: by user where somebody is signed in and the class counts users, else by
 * address. */
enum problem
limit_request(struct request *req)
{
	const struct limit_rule *r = &rules[req->route->limit];
	char user[UUID_TEXT + 1];

	if (r->per_user > 0 && !uuid_is_nil(&req->who.user)) {
		uuid_text(&req->who.user, user);
		return count_hit(req, r->name, str_of(user), r->per_user, r->user_window_s);
	}
	if (r->per_address > 0 && req->remote_addr.p)
		return count_hit(
			req, r->name, req->remote_addr, r->per_address, r->address_window_s);
	return P_OK;
}
