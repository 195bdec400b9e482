/* Rate limits: one row per class, counted in Redis or, without it, in this process. */
#include "http/limit.h"

#include "base/check.h"
#include "http/app.h"
#include "http/bucket.h"
#include "http/route.h"
#include "http/tally.h"
#include "io/cache.h"

#include <arpa/inet.h>
#include <inttypes.h>

#define MINUTE_S 60
#define HOUR_S 3600
#define WINDOWS 2

/* Hits allowed in a time; 0 = not limited that way. */
struct window {
	int quota, seconds;
};

/*
 * `address` is one IPv4 address or an IPv6 /64, which is what one customer gets;
 * `network` is the /24 or /48 around it. What is done for a signed-in user is
 * counted for the user where the class has such windows, and for nobody else.
 */
static const struct limit_rule {
	const char *name;
	struct window address[WINDOWS], network[WINDOWS], user[WINDOWS];
} rules[LIMIT_CLASSES] = {
	[LIMIT_LOGIN] = { "login", .address = { { 20, MINUTE_S }, { 100, HOUR_S } },
		.network = { { 100, MINUTE_S }, { 500, HOUR_S } } },
	[LIMIT_REGISTER] = { "register", .address = { { 20, 10 * MINUTE_S }, { 60, HOUR_S } },
		.network = { { 100, 10 * MINUTE_S }, { 300, HOUR_S } } },
	[LIMIT_REFRESH] = { "refresh", .address = { { 60, MINUTE_S }, { 1200, HOUR_S } },
		.network = { { 300, MINUTE_S }, { 6000, HOUR_S } } },
	[LIMIT_WRITE] = { "write", .address = { { 600, MINUTE_S } },
		.user = { { 120, MINUTE_S } } },
	[LIMIT_MESSAGE] = { "message", .user = { { 50, 10 } } },
	[LIMIT_UPLOAD] = { "upload", .user = { { 30, MINUTE_S }, { 300, HOUR_S } } },
	[LIMIT_SEARCH] = { "search", .address = { { 300, MINUTE_S } } },
	[LIMIT_CHECKOUT] = { "checkout", .user = { { 30, MINUTE_S }, { 300, HOUR_S } } },
	[LIMIT_SIGNAL] = { "signal", .user = { { 120, MINUTE_S } } },
};

/* Without Redis a process alone allows 1/8 of the limit: the usual number of workers. */
#define LOCAL_SHARE 8

/* ---- whose hits ---- */

#define NETWORK_V4 24
#define ADDRESS_V6 64
#define NETWORK_V6 48

/* "192.0.2.0/24"; `bits` are whole bytes. */
static struct str
prefix_of(struct arena *a, int family, const uint8_t *address, size_t bits)
{
	uint8_t bytes[sizeof(struct in6_addr)] = { 0 };
	char text[INET6_ADDRSTRLEN];

	memcpy(bytes, address, bits / 8);
	CHECK(inet_ntop(family, bytes, text, sizeof(text)));
	return str_of(arena_printf(a, "%s/%zu", text, bits));
}

/* What is no address, as that of a local socket, has no network. */
static void
name_address(struct arena *a, struct str text, struct str *address, struct str *network)
{
	struct in6_addr v6;
	struct in_addr v4;
	const char *z = str_z(a, text);

	*address = text;
	*network = (struct str){ 0 };
	if (inet_pton(AF_INET6, z, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6)) {
		*address = prefix_of(a, AF_INET, v6.s6_addr + 12, 32);
		*network = prefix_of(a, AF_INET, v6.s6_addr + 12, NETWORK_V4);
	} else if (inet_pton(AF_INET6, z, &v6) == 1) {
		*address = prefix_of(a, AF_INET6, v6.s6_addr, ADDRESS_V6);
		*network = prefix_of(a, AF_INET6, v6.s6_addr, NETWORK_V6);
	} else if (inet_pton(AF_INET, z, &v4) == 1) {
		*address = prefix_of(a, AF_INET, (const uint8_t *)&v4, 32);
		*network = prefix_of(a, AF_INET, (const uint8_t *)&v4, NETWORK_V4);
	}
}

/* ---- the check ---- */

/* The window that ends first for the client. */
struct tightest {
	int64_t quota, left, reset_s;
	int window_s;
};

static void
tell(struct request *req, const char *name, const struct tightest *t)
{
	/* draft-ietf-httpapi-ratelimit-headers-11 */
	resp_header(
		req, "RateLimit-Policy", "\"%s\";q=%" PRId64 ";w=%d", name, t->quota, t->window_s);
	resp_header(req, "RateLimit", "\"%s\";r=%" PRId64 ";t=%" PRId64, name, t->left, t->reset_s);
}

/*
 * Counts one hit of `who` in each window. The first window that is used up ends
 * it: a hit that is refused is counted nowhere else, or one address could use up
 * what its neighbours have.
 */
static bool
within(struct request *req, const char *name, struct str who, const struct window w[WINDOWS],
	struct tightest *t)
{
	for (int i = 0; who.p && i < WINDOWS && w[i].quota > 0; i++) {
		int64_t quota = (int64_t)w[i].quota * req->app->conf->rate_scale_percent / 100;
		int64_t count = 0, reset_s = 0;
		struct str key = str_of(arena_printf(
			req->arena, "plaza:rl:%s:%d:%.*s", name, w[i].seconds, STR_ARG(who)));

		if (cache_hit(req->app->cache, key, w[i].seconds, &count, &reset_s) == CACHE_DOWN)
			count = LOCAL_SHARE * tally_hit(key, w[i].seconds, &reset_s);
		int64_t left = quota - count;
		if (t->window_s == 0 || left < t->left)
			*t = (struct tightest){ quota, left < 0 ? 0 : left, reset_s, w[i].seconds };
		if (left < 0)
			return false;
	}
	return true;
}

enum problem
limit_hit(struct request *req, enum limit_class class)
{
	const struct limit_rule *r = &rules[class];
	struct str who, network;
	struct tightest t = { 0 };
	char user[UUID_TEXT + 1];
	bool good = true;

	if (r->user[0].quota > 0 && !uuid_is_nil(&req->who.user)) {
		uuid_text(&req->who.user, user);
		good = within(req, r->name, str_of(user), r->user, &t);
	} else if (r->address[0].quota > 0 && req->remote_addr.p) {
		name_address(req->arena, req->remote_addr, &who, &network);
		good = within(req, r->name, who, r->address, &t) &&
		       within(req, r->name, network, r->network, &t);
	}
	if (t.window_s > 0)
		tell(req, r->name, &t);
	if (good)
		return P_OK;
	req->err.retry_after_s = t.reset_s > 0 ? (int)t.reset_s : 1;
	return ERR(&req->err, P_RATE_LIMITED, "class %s, window of %d s", r->name, t.window_s);
}

enum problem
limit_request(struct request *req)
{
	if (bucket_handles(req))
		return bucket_request(req);
	return limit_hit(req, req->route->limit);
}
