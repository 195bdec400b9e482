/* The table of connections: by context, by user, by expiry, and the queue of kicks. */
#include "plugin/conns.h"

#include <stdio.h>

#include "base/check.h"
#include "plugin/plugin.h"

#define HEAP_FIRST 64
#define HASH_MULTIPLIER UINT64_C(0x9E3779B97F4A7C15) /* 2^64 divided by the golden ratio */

static size_t
bucket_of(uint64_t key)
{
	return (size_t)((key * HASH_MULTIPLIER) >> (64 - CONN_BUCKET_BITS));
}

static size_t
ctx_bucket(const struct mosquitto *ctx)
{
	return bucket_of((uintptr_t)ctx);
}

/* The second half of an id is random; its first is a clock. */
static size_t
user_bucket(const struct uuid *uid)
{
	uint64_t key;

	memcpy(&key, uid->b + 8, sizeof(key));
	return bucket_of(key);
}

void
conns_init(struct conns *c)
{
	TAILQ_INIT(&c->kicks);
	TAILQ_INIT(&c->closed);
}

void
conns_release(struct conns *c)
{
	for (size_t i = 0; i < CONN_BUCKETS; i++) {
		while (!LIST_EMPTY(&c->by_ctx[i]))
			conns_forget(c, LIST_FIRST(&c->by_ctx[i]));
	}
	mosquitto_free(c->heap);
	c->heap = NULL;
}

/* --- heap of expiries ---------------------------------------------------------- */

static void
heap_put(struct conns *c, struct conn *conn, size_t at)
{
	c->heap[at] = conn;
	conn->heap_at = at;
}

static void
heap_up(struct conns *c, struct conn *conn)
{
	size_t at = conn->heap_at;

	while (at > 0 && c->heap[(at - 1) / 2]->due_s > conn->due_s) {
		heap_put(c, c->heap[(at - 1) / 2], at);
		at = (at - 1) / 2;
	}
	heap_put(c, conn, at);
}

static void
heap_down(struct conns *c, struct conn *conn)
{
	size_t at = conn->heap_at;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= c->heap_n)
			break;
		if (child + 1 < c->heap_n && c->heap[child + 1]->due_s < c->heap[child]->due_s)
			child++;
		if (c->heap[child]->due_s >= conn->due_s)
			break;
		heap_put(c, c->heap[child], at);
		at = child;
	}
	heap_put(c, conn, at);
}

static bool
heap_reserve(struct conns *c)
{
	if (c->heap_n < c->heap_cap)
		return true;

	size_t cap = c->heap_cap ? c->heap_cap * 2 : HEAP_FIRST;
	struct conn **heap = mosquitto_realloc(c->heap, cap * sizeof(*heap));

	if (!heap)
		return false;
	c->heap = heap;
	c->heap_cap = cap;
	return true;
}

static void
heap_add(struct conns *c, struct conn *conn)
{
	CHECK(c->heap_n < c->heap_cap);
	heap_put(c, conn, c->heap_n++);
	heap_up(c, conn);
}

static void
heap_remove(struct conns *c, struct conn *conn)
{
	struct conn *last = c->heap[--c->heap_n];

	if (last == conn)
		return;
	heap_put(c, last, conn->heap_at);
	heap_up(c, last);
	heap_down(c, last);
}

struct conn *
conns_first_due(const struct conns *c)
{
	return c->heap_n ? c->heap[0] : NULL;
}

void
conns_set_due(struct conns *c, struct conn *conn, int64_t due_s)
{
	conn->due_s = due_s;
	heap_up(c, conn);
	heap_down(c, conn);
}

/* --- the table ------------------------------------------------------------------- */

struct conn *
conns_find(const struct conns *c, const struct mosquitto *ctx)
{
	struct conn *conn = LIST_FIRST(&c->by_ctx[ctx_bucket(ctx)]);

	while (conn && conn->ctx != ctx)
		conn = LIST_NEXT(conn, by_ctx);
	return conn;
}

struct conn *
conns_of_user(const struct conns *c, const struct uuid *uid, const struct conn *after)
{
	struct conn *conn =
		after ? LIST_NEXT(after, by_user) : LIST_FIRST(&c->by_user[user_bucket(uid)]);

	while (conn && !uuid_eq(&conn->uid, uid))
		conn = LIST_NEXT(conn, by_user);
	return conn;
}

static char *
copy_filters(struct str *to, const struct str *from, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++) {
		memcpy(text, from[i].p, from[i].n);
		to[i] = (struct str){ text, from[i].n };
		text += from[i].n;
	}
	return text;
}

static size_t
text_bytes(const struct str *filters, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += filters[i].n;
	return bytes;
}

/* One piece of memory for the connection, its filters and their text. */
static struct conn *
make_conn(const struct conn_ticket *t)
{
	size_t filters = t->sub_n + t->pub_n;
	size_t text = text_bytes(t->sub, t->sub_n) + text_bytes(t->pub, t->pub_n);
	struct conn *conn =
		mosquitto_calloc(1, sizeof(*conn) + filters * sizeof(struct str) + text);

	if (!conn)
		return NULL;

	char *p = copy_filters(conn->filters, t->sub, t->sub_n, (char *)&conn->filters[filters]);

	copy_filters(conn->filters + t->sub_n, t->pub, t->pub_n, p);
	conn->ctx = t->ctx;
	conn->backend = t->backend;
	conn->websocket = t->websocket;
	conn->uid = t->uid;
	conn->iat = t->iat;
	conn->exp = t->exp;
	conn->due_s = t->due_s;
	conn->sub_n = t->sub_n;
	conn->pub_n = t->pub_n;
	if (!t->backend)
		snprintf(conn->did, sizeof(conn->did), "%s", t->did);
	return conn;
}

static bool
same_device(const struct conn *a, const struct conn *b)
{
	return uuid_eq(&a->uid, &b->uid) && strcmp(a->did, b->did) == 0;
}

void
conns_share_rate(const struct conns *c, const struct conn *conn)
{
	struct conn *other = NULL;

	while ((other = conns_of_user(c, &conn->uid, other)))
		other->rate_us = conn->rate_us;
}

/* Another connection is no new beginning: what the user has sent counts on. */
static void
join_user(struct conns *c, struct conn *conn)
{
	struct conn *other = NULL;

	while ((other = conns_of_user(c, &conn->uid, other))) {
		if (other == conn)
			continue;
		conn->rate_us = other->rate_us;
		if (same_device(other, conn))
			other->superseded = true;
	}
}

struct conn *
conns_open(struct conns *c, const struct conn_ticket *t)
{
	if (!t->backend && (c->heap_n >= CONNS_MAX || !heap_reserve(c)))
		return NULL;

	struct conn *conn = make_conn(t);

	if (!conn)
		return NULL;
	conn->number = ++c->last_number;
	LIST_INSERT_HEAD(&c->by_ctx[ctx_bucket(t->ctx)], conn, by_ctx);
	if (!conn->backend) {
		LIST_INSERT_HEAD(&c->by_user[user_bucket(&conn->uid)], conn, by_user);
		heap_add(c, conn);
		join_user(c, conn);
	}
	return conn;
}

static void
unqueue_kick(struct conns *c, struct conn *conn)
{
	if (!conn->kicking)
		return;
	TAILQ_REMOVE(&c->kicks, conn, waiting);
	conn->kicking = false;
}

static void
detach(struct conns *c, struct conn *conn)
{
	unqueue_kick(c, conn);
	if (conn->backend)
		return;
	LIST_REMOVE(conn, by_user);
	heap_remove(c, conn);
}

void
conns_close(struct conns *c, struct conn *conn)
{
	CHECK(conn->state != CONN_CLOSED);
	detach(c, conn);
	conn->state = CONN_CLOSED;
	TAILQ_INSERT_TAIL(&c->closed, conn, waiting);
}

void
conns_forget(struct conns *c, struct conn *conn)
{
	if (conn->state == CONN_CLOSED)
		TAILQ_REMOVE(&c->closed, conn, waiting);
	else
		detach(c, conn);
	LIST_REMOVE(conn, by_ctx);
	mosquitto_free(conn);
}

void
conns_reap(struct conns *c, size_t max)
{
	for (size_t i = 0; i < max && !TAILQ_EMPTY(&c->closed); i++)
		conns_forget(c, TAILQ_FIRST(&c->closed));
}

/* --- kicks ------------------------------------------------------------------------ */

void
conns_kick_at(struct conns *c, struct conn *conn, uint64_t tick)
{
	if (conn->kicking)
		return;
	conn->kicking = true;
	conn->kick_tick = tick;
	TAILQ_INSERT_TAIL(&c->kicks, conn, waiting);
}

struct conn *
conns_kick_next(struct conns *c, uint64_t tick)
{
	struct conn *conn = TAILQ_FIRST(&c->kicks);

	if (!conn || conn->kick_tick > tick)
		return NULL;
	unqueue_kick(c, conn);
	return conn;
}

bool
conns_device_elsewhere(const struct conns *c, const struct conn *conn)
{
	const struct conn *other = NULL;

	while ((other = conns_of_user(c, &conn->uid, other))) {
		if (other != conn && !other->superseded && same_device(other, conn))
			return true;
	}
	return false;
}

void
conn_client_id(const struct conn *conn, char out[CLIENT_ID_BYTES])
{
	char uid[UUID_TEXT + 1];

	uuid_text(&conn->uid, uid);
	snprintf(out, CLIENT_ID_BYTES, "%s_%s", uid, conn->did);
}
