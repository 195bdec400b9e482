/*
 * What a worker process holds for its whole life, and the one way to run a
 * request through it. Both doors (fcgi/door, realtime/ingest) use these verbs.
 */
#ifndef PLAZA_HTTP_APP_H
#define PLAZA_HTTP_APP_H

#include "base/err.h"
#include "http/request.h"
#include "io/conf.h"

#include <stdbool.h>
#include <stdint.h>

struct blob_store;
struct cache;
struct db;
struct brokers;
struct router;
struct token_keys;
struct metrics;
struct sniff;

struct app {
	const char *program; /* "plaza-fcgi" */
	const char *pool;    /* "web", "auth", "egress", "ingest" */
	struct conf *conf;
	struct db *db;
	struct cache *cache;
	struct brokers *brokers; /* publisher; NULL when there is none */
	struct token_keys *keys;
	struct router *router;
	struct metrics *metrics;
	const char *blob_secret;
	struct blob_store *blobs;
	struct sniff *sniff;
	struct arena *arena;     /* of the current request */
	int64_t confirmed_at_us; /* last time confirmed outbox rows were removed */
};

/* Opens everything; NULL with err->detail when the configuration does not allow it. The database
 * may be away. */
struct app *app_new(const char *program, const char *pool, const char *conf_path, struct err *err);
void app_free(struct app *app);

/* A fresh request whose door fields the caller fills; the arena of the last one is cleared. */
struct request *app_request(struct app *app);
/* Runs all stages. Never fails: afterwards req->resp is ready to be written by the door. */
void app_handle(struct request *req);
/* After the answer has been written: metrics, access log, published events. */
void app_finish(struct request *req);

/* Housekeeping between requests (confirmed outbox rows). Returns the longest wait until it wants to
 * run again, ms; -1 = none. */
int app_idle(struct app *app);

/* Publishes event lines (see sql/README.md) without waiting. */
void app_publish(struct app *app, struct str events);

#endif
