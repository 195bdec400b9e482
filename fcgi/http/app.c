/* A worker's standing resources and what happens around each request. */
#include "http/app.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/metrics.h"
#include "http/route.h"
#include "io/blob.h"
#include "io/brokers.h"
#include "io/cache.h"
#include "io/password.h"
#include "io/sniff.h"
#include "queries.h"

#include <inttypes.h>

#define CONFIRM_BATCH 256 /* rows removed by one statement */
#define CONFIRM_AT 64     /* waiting confirmations that are worth a statement */
#define CONFIRM_MS 200    /* or the age of the oldest; below the relay's 500 ms */
#define SECRET_MIN 32

static enum log_level
level_by_name(const char *name)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (int i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0)
			return (enum log_level)i;
	return LOG_INFO;
}

static enum problem
open_brokers(struct app *app, struct err *err)
{
	app->brokers =
		brokers_new(app->conf, arena_printf(app->conf->arena, "plaza_%s", app->pool), err);
	return app->brokers ? P_OK : P_INTERNAL;
}

static enum problem
open_cache(struct app *app, struct err *err)
{
	const struct conf *c = app->conf;
	const char *password = NULL;

	if (c->redis_password_file[0]) {
		enum problem p = conf_secret(app->conf, c->redis_password_file, 1, &password, err);
		if (p)
			return p;
	}
	app->cache = cache_new(c->redis_socket, c->redis_user[0] ? c->redis_user : NULL, password);
	return P_OK;
}

static void
open_database(struct app *app)
{
	const char *role = strcmp(app->pool, "auth") == 0 ? "plaza_auth" : "plaza_web";

	app->db = db_new(&(struct db_options){ .conninfo = app->conf->db,
		.user = role,
		.app = app->program,
		.statement_timeout_ms = (int)app->conf->db_statement_timeout_ms });
}

static enum problem
open_parts(struct app *app, const char *conf_path, struct err *err)
{
	enum problem p;

	app->conf = conf_load(conf_path, err);
	if (!app->conf)
		return P_INTERNAL;
	log_init(app->program, level_by_name(app->conf->log_level));
	app->keys = token_keys_load(app->conf->keys_dir, app->conf->issuer, err);
	if (!app->keys)
		return P_INTERNAL;
	if ((p = conf_secret(
		     app->conf, app->conf->blob_secret_file, SECRET_MIN, &app->blob_secret, err)))
		return p;
	if ((p = open_cache(app, err)) || (p = open_brokers(app, err)))
		return p;
	if ((p = password_init(app->conf->passwords_file, err)))
		return p;
	app->blobs = blob_local_new(app->conf->blob_dir);
	app->sniff = sniff_new();
	open_database(app);
	return P_OK;
}

struct app *
app_new(const char *program, const char *pool, const char *conf_path, struct err *err)
{
	struct app *app = calloc(1, sizeof(*app));

	CHECK(app);
	app->program = program;
	app->pool = pool;
	app->arena = arena_new(LIMIT_ARENA);
	app->router = router_new();
	if (open_parts(app, conf_path, err)) {
		app_free(app);
		return NULL;
	}
	app->metrics = metrics_open(pool);
	app->confirmed_at_us = clock_mono_us();
	return app;
}

void
app_free(struct app *app)
{
	if (!app)
		return;
	brokers_free(app->brokers);
	db_close(app->db);
	cache_free(app->cache);
	token_keys_free(app->keys);
	blob_free(app->blobs);
	sniff_free(app->sniff);
	metrics_close(app->metrics);
	router_free(app->router);
	conf_free(app->conf);
	arena_free(app->arena);
	free(app);
}

struct request *
app_request(struct app *app)
{
	struct request *req;

	arena_clear(app->arena);
	db_reset(app->db, app->arena);
	req = ARENA_NEW(app->arena, struct request);
	req->magic = REQUEST_MAGIC;
	req->arena = app->arena;
	req->app = app;
	req->db = app->db;
	req->content_length = -1;
	req->start_us = clock_mono_us();
	buf_init(&req->resp.headers, app->arena, LIMIT_RESPONSE_HEADERS);
	return req;
}

/* ---- events ---- */

void
app_publish(struct app *app, struct str events)
{
	metrics_published(app->metrics, brokers_publish_events(app->brokers, events));
}

static void
confirm_batch(struct app *app)
{
	int64_t ids[CONFIRM_BATCH];
	struct err err = { 0 };
	struct rows *rows;
	size_t n = brokers_confirmed(app->brokers, ids, CONFIRM_BATCH);

	app->confirmed_at_us = clock_mono_us();
	if (n == 0)
		return;
	arena_clear(app->arena);
	db_reset(app->db, app->arena);
	/* Rows that stay because of a failure are sent once more by the relay: harmless. */
	if (q_outbox_confirm(app->db, &(struct q_outbox_confirm){ .ids = { ids, n } }, &rows, &err))
		log_event(LOG_WARN, "outbox_confirm", LZ("text", err.log), LI("rows", n));
}

int
app_idle(struct app *app)
{
	if (!app->brokers)
		return -1;
	int64_t age_ms = (clock_mono_us() - app->confirmed_at_us) / 1000;
	size_t waiting = brokers_confirmed_count(app->brokers);
	if (waiting >= CONFIRM_AT || (waiting > 0 && age_ms >= CONFIRM_MS))
		confirm_batch(app);
	else if (waiting == 0 && brokers_pending(app->brokers) == 0) {
		app->confirmed_at_us = clock_mono_us();
		return -1;
	}
	return CONFIRM_MS;
}

/* ---- after the answer ---- */

static void
log_access(const struct request *req, int64_t us)
{
	char user[UUID_TEXT + 1] = "";
	unsigned statements;
	int64_t db_us;

	if (!log_enabled(LOG_INFO))
		return;
	if (!uuid_is_nil(&req->who.user))
		uuid_text(&req->who.user, user);
	db_stats(req->db, &statements, &db_us);
	log_event(LOG_INFO, "request", LSTR("id", req->id), LZ("door", req->door->name),
		LZ("method", http_method_name(req->method)),
		LZ("operation", req->route ? req->route->name : ""), LI("status", req->resp.status),
		LI("us", us), LI("dbUs", db_us), LI("statements", statements),
		LI("bytes", req->resp.body.n), LZ("user", user), LSTR("address", req->remote_addr));
}

void
app_finish(struct request *req)
{
	int64_t us = clock_mono_us() - req->start_us;

	app_publish(req->app, db_events(req->db));
	metrics_count(req->app->metrics, req, us);
	log_access(req, us);
}
