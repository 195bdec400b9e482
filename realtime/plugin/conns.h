/*
 * The connections that were let in, by the broker's context pointer.
 *
 * Why the pointer: on a takeover the new connection logs in before the old one
 * is reported gone, both under one client id. Pointers are used again after a
 * context is freed, so a closed connection is forgotten at the next tick, and at
 * the latest when its pointer logs in anew. It has to live that long because
 * the broker judges the last will after it reported the end.
 *
 * Memory comes from mosquitto_calloc(); running out of it refuses the login.
 */
#ifndef PLAZA_PLUGIN_CONNS_H
#define PLAZA_PLUGIN_CONNS_H

#include "base/str.h"
#include "base/uuid.h"
#include "topics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct mosquitto;

#define CONNS_MAX 100000
#define DEVICES_PER_USER 16
#define CONN_BUCKETS ((size_t)1 << CONN_BUCKET_BITS)
#define CONN_BUCKET_BITS 16
/* "{uid}_{did}" and a NUL */
#define CLIENT_ID_BYTES (UUID_TEXT + 1 + DEVICE_ID_MAX + 1)

enum conn_state {
	CONN_LIVE,
	CONN_REVOKED, /* waits to be kicked; may only hear why */
	CONN_CLOSED,  /* waits to be forgotten; only its last will is judged */
};

struct conn {
	struct mosquitto *ctx;
	LIST_ENTRY(conn) by_ctx;
	LIST_ENTRY(conn) by_user;  /* users, until closed */
	TAILQ_ENTRY(conn) waiting; /* to be kicked or, when closed, to be forgotten */
	uint64_t number;           /* grows with every connection */
	enum conn_state state;
	bool backend;    /* one of Plaza's programs: no user, no expiry */
	bool superseded; /* a newer connection took the client id over */
	bool websocket;
	bool kicking; /* in the queue of kicks */
	uint64_t kick_tick;
	struct uuid uid;
	char did[DEVICE_ID_MAX + 1];
	int64_t iat, exp;
	int64_t due_s; /* next look at the expiry */
	size_t heap_at;
	bool warned;     /* auth:expiring was told */
	int64_t rate_us; /* of plugin_rate(): uplinks; the same in all connections of a user */
	uint32_t denials;
	size_t sub_n, pub_n;
	struct str filters[]; /* sub_n to read, then pub_n to write; their text follows */
};

LIST_HEAD(conn_list, conn);
TAILQ_HEAD(conn_queue, conn);

struct conns {
	struct conn_list by_ctx[CONN_BUCKETS];
	struct conn_list by_user[CONN_BUCKETS];
	struct conn_queue kicks;
	struct conn_queue closed;
	struct conn **heap; /* users by due_s, the next one first */
	size_t heap_n, heap_cap;
	uint64_t last_number;
};

/* What a login proved. The strings are copied. */
struct conn_ticket {
	struct mosquitto *ctx;
	bool backend;
	bool websocket;
	struct uuid uid;
	const char *did;
	int64_t iat, exp;
	int64_t due_s;
	const struct str *sub, *pub;
	size_t sub_n, pub_n;
};

void conns_init(struct conns *c);
void conns_release(struct conns *c);

struct conn *conns_find(const struct conns *c, const struct mosquitto *ctx);
/* Connections of a user that are not closed, the newest first; start with NULL. */
struct conn *conns_of_user(const struct conns *c, const struct uuid *uid, const struct conn *after);
/* Gives all connections of the user the rate of this one. */
void conns_share_rate(const struct conns *c, const struct conn *conn);
/*
 * Adds a connection and marks older ones of the same device as superseded.
 * NULL when memory or the number of connections is at its end.
 */
struct conn *conns_open(struct conns *c, const struct conn_ticket *t);
/* The broker reported the end: out of every list but by_ctx. */
void conns_close(struct conns *c, struct conn *conn);
/* Frees one connection, closed or not. */
void conns_forget(struct conns *c, struct conn *conn);
/* Forgets up to `max` closed ones. */
void conns_reap(struct conns *c, size_t max);

/* The user's connection whose expiry is to be looked at first, or NULL. */
struct conn *conns_first_due(const struct conns *c);
void conns_set_due(struct conns *c, struct conn *conn, int64_t due_s);

/* Queues a kick for the given tick or later; ticks of consecutive calls must not fall. */
void conns_kick_at(struct conns *c, struct conn *conn, uint64_t tick);
/* Takes the next one out of the queue, NULL when none is ready. */
struct conn *conns_kick_next(struct conns *c, uint64_t tick);

/* Whether a live connection of the same device is there besides this one. */
bool conns_device_elsewhere(const struct conns *c, const struct conn *conn);
void conn_client_id(const struct conn *conn, char out[CLIENT_ID_BYTES]);

#endif
