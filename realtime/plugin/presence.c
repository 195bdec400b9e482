/* Presence: edges and the snapshot on sys/pres. */
#include "plugin/presence.h"

#include <stdio.h>

#include "base/clock.h"
#include "plugin/plugin.h"

#define SNAPSHOT_US (60 * (int64_t)1000000)
#define PART_US (50 * (int64_t)1000) /* between two parts of a snapshot */
#define PART_BUCKETS 1024
#define PART_CONNECTIONS 150
#define ENTRY_MAX 160 /* bytes of one connection in the list */

_Static_assert(PLUGIN_OUT_MAX > (PART_CONNECTIONS + 20) * ENTRY_MAX, "a part fits into the buffer");

static const char topic[] = "sys/pres";

static const char *
transport(const struct conn *conn)
{
	return conn->websocket ? "ws" : "tcp";
}

/* The text is of our own making (ids, numbers), so nothing in it needs escaping. */
static void
publish(struct plugin *pl, int n)
{
	int rc = plugin_publish(pl, topic, n, 0);

	if (rc != MOSQ_ERR_SUCCESS)
		plugin_log(pl, MOSQ_LOG_WARNING, "presence was not published: error %d", rc);
}

static void
publish_edge(struct plugin *pl, const struct conn *conn, bool up, const char *reason)
{
	char uid[UUID_TEXT + 1], at[RFC3339_TEXT + 1];

	uuid_text(&conn->uid, uid);
	clock_rfc3339(clock_unix_ms(), at);
	publish(pl, snprintf(pl->out, sizeof(pl->out),
			    "{\"uid\":\"%s\",\"did\":\"%s\",\"ctx\":%llu,\"up\":%s,\"at\":\"%s\","
			    "\"transport\":\"%s\"%s%s%s}",
			    uid, conn->did, (unsigned long long)conn->number, up ? "true" : "false",
			    at, transport(conn), reason ? ",\"reason\":\"" : "",
			    reason ? reason : "", reason ? "\"" : ""));
}

void
presence_start(struct plugin *pl)
{
	pl->presence = (struct presence){ 0, pl->now_us + SNAPSHOT_US, pl->now_us + SNAPSHOT_US };
}

void
presence_up(struct plugin *pl, const struct conn *conn)
{
	if (!conn->backend)
		publish_edge(pl, conn, true, NULL);
}

void
presence_down(struct plugin *pl, const struct conn *conn, const char *reason)
{
	if (!conn->backend && !conns_device_elsewhere(&pl->conns, conn))
		publish_edge(pl, conn, false, reason);
}

static int
put_entry(struct plugin *pl, int at, const struct conn *conn, bool first)
{
	char uid[UUID_TEXT + 1];

	uuid_text(&conn->uid, uid);
	return at + snprintf(pl->out + at, ENTRY_MAX,
			    "%s{\"uid\":\"%s\",\"did\":\"%s\",\"ctx\":%llu,\"transport\":\"%s\"}",
			    first ? "" : ",", uid, conn->did, (unsigned long long)conn->number,
			    transport(conn));
}

/* Appends the connections of one bucket; a chain that long is a thing of chance, yet it is cut. */
static int
put_bucket(struct plugin *pl, int at, size_t bucket, size_t *count)
{
	const struct conn *conn = LIST_FIRST(&pl->conns.by_ctx[bucket]);

	for (; conn; conn = LIST_NEXT(conn, by_ctx)) {
		if (conn->backend || conn->superseded || conn->state != CONN_LIVE)
			continue;
		if (at > PLUGIN_OUT_MAX - 2 * ENTRY_MAX)
			break;
		at = put_entry(pl, at, conn, (*count)++ == 0);
	}
	return at;
}

static void
publish_part(struct plugin *pl)
{
	struct presence *p = &pl->presence;
	char now[RFC3339_TEXT + 1];
	size_t end = p->bucket + PART_BUCKETS;
	size_t count = 0;

	clock_rfc3339(clock_unix_ms(), now);

	int at = snprintf(pl->out, ENTRY_MAX, "{\"at\":\"%s\",\"live\":[", now);

	while (p->bucket < CONN_BUCKETS && p->bucket < end && count < PART_CONNECTIONS)
		at = put_bucket(pl, at, p->bucket++, &count);
	if (count > 0)
		publish(pl, at + snprintf(pl->out + at, ENTRY_MAX, "]}"));
}

void
presence_tick(struct plugin *pl)
{
	struct presence *p = &pl->presence;

	if (pl->now_us < p->next_us)
		return;
	publish_part(pl);
	p->next_us = pl->now_us + PART_US;
	if (p->bucket < CONN_BUCKETS)
		return;
	p->bucket = 0;
	p->cycle_us += SNAPSHOT_US;
	if (p->cycle_us > p->next_us)
		p->next_us = p->cycle_us;
}
