/* The log of connections, written in batches. */
#include "ingest/connlog.h"

#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "io/json.h"
#include "queries.h"

#define WAITING_MAX 4096 /* while the database is away; what comes then is not logged */
#define BATCH 200
#define WAIT_US INT64_C(1000000)
#define HEAL_US INT64_C(125000000) /* two whole snapshots */
#define REASON_MAX 100
#define AT_MAX 35 /* RFC 3339 with nanoseconds and an offset */

struct edge {
	const char *kind; /* "up", "down", "seen", "bye" */
	const char *transport;
	struct uuid user;
	char did[DEVICE_ID_MAX + 1];
	char at[AT_MAX + 1];
	char reason[REASON_MAX + 1];
};

struct connlog {
	struct app *app;
	int64_t due_us;
	int64_t heal_until_us;
	uint64_t dropped;
	size_t first, n;
	struct edge ring[WAITING_MAX];
};

struct connlog *
connlog_new(struct app *app)
{
	struct connlog *c = calloc(1, sizeof(*c));

	CHECK(c);
	c->app = app;
	return c;
}

void
connlog_free(struct connlog *c)
{
	free(c);
}

/* ---- collecting ---- */

/* Text that does not fit is left out. */
static void
copy(char *to, size_t size, struct str from)
{
	if (from.n < size)
		snprintf(to, size, "%.*s", STR_ARG(from));
}

static void
add(struct connlog *c, const struct edge *e)
{
	if (c->n == WAITING_MAX) {
		c->dropped++;
		return;
	}
	if (c->n == 0)
		c->due_us = clock_mono_us() + WAIT_US;
	c->ring[(c->first + c->n++) % WAITING_MAX] = *e;
}

/* `d` names the device. */
static void
observe(struct connlog *c, const char *kind, const struct json *d, struct str at)
{
	struct str did = json_str(json_member(d, "did"));
	bool websocket = str_eqz(json_str(json_member(d, "transport")), "ws");
	struct edge e = { .kind = kind, .transport = websocket ? "ws" : "tcp" };

	if (!uuid_parse(json_str(json_member(d, "uid")), &e.user) || !device_id_valid(did) ||
		at.n > AT_MAX || !clock_rfc3339_valid(at))
		return;
	copy(e.did, sizeof(e.did), did);
	copy(e.at, sizeof(e.at), at);
	copy(e.reason, sizeof(e.reason), json_str(json_member(d, "reason")));
	add(c, &e);
}

void
connlog_heal(struct connlog *c)
{
	c->heal_until_us = clock_mono_us() + HEAL_US;
}

void
connlog_observed(struct connlog *c, const struct json *doc)
{
	const struct json *live = json_member(doc, "live");
	struct str at = json_str(json_member(doc, "at"));

	if (!live) {
		observe(c, json_bool(json_member(doc, "up")) ? "up" : "down", doc, at);
		return;
	}
	if (clock_mono_us() < c->heal_until_us)
		for (size_t i = 0; i < json_size(live); i++)
			observe(c, "seen", json_item(live, i), at);
}

void
connlog_bye(struct connlog *c, const struct uplink *up)
{
	struct str reason = json_str(json_member(up->data, "reason"));
	struct edge e = { .kind = "bye", .transport = "", .user = up->topic->id };

	if (!up->did.p || reason.n == 0 || reason.n > REASON_MAX || !text_valid(reason))
		return;
	clock_rfc3339(clock_unix_ms(), e.at);
	copy(e.did, sizeof(e.did), up->did);
	copy(e.reason, sizeof(e.reason), reason);
	add(c, &e);
}

/* ---- writing ---- */

/* The first `n` that wait, as columns. */
static enum problem
write_some(struct connlog *c, struct arena *a, size_t n, struct err *err)
{
	enum { KIND, DEVICE, AT, TRANSPORT, REASON, COLUMNS };
	struct uuid *users = arena_calloc(a, n, sizeof(*users));
	struct str *column[COLUMNS];
	struct rows *rows;

	for (int i = 0; i < COLUMNS; i++)
		column[i] = arena_calloc(a, n, sizeof(**column));
	for (size_t i = 0; i < n; i++) {
		const struct edge *e = &c->ring[(c->first + i) % WAITING_MAX];

		users[i] = e->user;
		column[KIND][i] = str_of(e->kind);
		column[DEVICE][i] = str_of(e->did);
		column[AT][i] = str_of(e->at);
		column[TRANSPORT][i] = str_of(e->transport);
		column[REASON][i] = str_of(e->reason);
	}
	db_reset(c->app->db, a);
	return q_connections_note(c->app->db,
		&(struct q_connections_note){ .kinds = { column[KIND], n },
			.users = { users, n },
			.devices = { column[DEVICE], n },
			.at = { column[AT], n },
			.transports = { column[TRANSPORT], n },
			.reasons = { column[REASON], n } },
		&rows, err);
}

/* False when the database is away; what was not written waits on. */
static bool
write_batch(struct connlog *c, struct arena *a)
{
	size_t n = c->n < BATCH ? c->n : BATCH;
	struct err err = { 0 };

	arena_clear(a);
	enum problem p = write_some(c, a, n, &err);
	if (p) {
		log_event(LOG_WARN, "connections", LZ("text", err.log), LI("waiting", c->n));
		/* Any other problem would come again for ever. */
		if (p == P_UNAVAILABLE)
			return false;
	}
	c->first = (c->first + n) % WAITING_MAX;
	c->n -= n;
	return true;
}

void
connlog_flush(struct connlog *c, struct arena *a)
{
	while (c->n > 0 && write_batch(c, a))
		;
}

int
connlog_turn(struct connlog *c, struct arena *a)
{
	int64_t now = clock_mono_us();

	if (c->n == 0)
		return -1;
	if (now < c->due_us)
		return (int)((c->due_us - now) / 1000) + 1;
	connlog_flush(c, a);
	c->due_us = now + WAIT_US;
	if (c->dropped > 0)
		log_event(LOG_WARN, "connections_dropped", LI("edges", c->dropped));
	c->dropped = 0;
	return c->n > 0 ? (int)(WAIT_US / 1000) : -1;
}
