/* What the system says of itself: health, version, documents, metrics, keys. */
#include "api/api.h"

#include "base/clock.h"
#include "http/describe.h"
#include "http/metrics.h"
#include "io/brokers.h"
#include "io/cache.h"
#include "io/json.h"
#include "queries.h"

#define OPENAPI_MAX (4 * 1024 * 1024)
#define METRICS_MAX (2 * 1024 * 1024)
#define DOCUMENT_CACHE_S 60

static const char *const health_values[] = { "ok", "degraded", "down", NULL };

static const struct field live_out_fields[] = {
	OUT("status", T_ENUM, .values = health_values),
};
static const struct schema live_out = SCHEMA_OUT("Live", live_out_fields);

static const struct field health_out_fields[] = {
	OUT("status", T_ENUM, .values = health_values,
		.doc = "down without PostgreSQL, degraded without Redis or a broker"),
	OUT("postgresql", T_ENUM, .values = health_values),
	OUT("redis", T_ENUM, .values = health_values),
	OUT("broker", T_ENUM, .values = health_values,
		.doc = "of several: degraded when some are out of reach, down when all are"),
	OUT("time", T_TIME),
};
static const struct schema health_out = SCHEMA_OUT("Health", health_out_fields);

static const struct field info_out_fields[] = {
	OUT("name", T_TEXT),
	OUT("version", T_TEXT),
	OUT("api", T_TEXT, .doc = "canonical prefix"),
	OUT("openapi", T_URL),
	OUT("docs", T_URL),
};
static const struct schema info_out = SCHEMA_OUT("Info", info_out_fields);

/* The process answers: nothing else is asked (a supervisor restarts what does not). */
static enum problem
health_live(struct request *req)
{
	return resp_json(req, STR("{\"status\":\"ok\"}"));
}

static const char *
up(bool is_up)
{
	return is_up ? "ok" : "down";
}

static const char *
brokers_health(const struct brokers *b)
{
	size_t count = brokers_size(b), good = 0;

	for (size_t i = 0; i < count; i++)
		good += brokers_up(b, i);
	return good == count ? "ok" : good > 0 ? "degraded" : "down";
}

static enum problem
health(struct request *req)
{
	struct app *app = req->app;
	struct err err = { 0 };
	bool db = db_ping(req->db, &err) == P_OK;
	bool cache = cache_up(app->cache);
	const char *brokers = brokers_health(app->brokers);
	char now[RFC3339_TEXT + 1];
	struct jsonw w;
	struct buf b;

	clock_rfc3339(clock_unix_ms(), now);
	buf_init(&b, req->arena, 1024);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kz(&w, "status",
		!db                                   ? "down"
		: cache && strcmp(brokers, "ok") == 0 ? "ok"
						      : "degraded");
	jsonw_kz(&w, "postgresql", up(db));
	jsonw_kz(&w, "redis", up(cache));
	jsonw_kz(&w, "broker", brokers);
	jsonw_kz(&w, "time", now);
	jsonw_obj_end(&w);
	if (!db)
		resp_status(req, 503);
	return resp_json(req, buf_str(&b));
}

/* Ready to be sent requests: only PostgreSQL is needed, the rest may be lost. */
static enum problem
health_ready(struct request *req)
{
	enum problem p = db_ping(req->db, &req->err);

	return p ? p : resp_json(req, STR("{\"status\":\"ok\"}"));
}

static enum problem
info(struct request *req)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, req->arena, 1024);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kz(&w, "name", "Plaza");
	jsonw_kz(&w, "version", PLAZA_VERSION);
	jsonw_kz(&w, "api", "/api/v1");
	jsonw_kz(&w, "openapi", "/openapi.json");
	jsonw_kz(&w, "docs", "/docs/");
	jsonw_obj_end(&w);
	return resp_json(req, buf_str(&b));
}

static enum problem
openapi(struct request *req)
{
	struct buf b;

	buf_init(&b, req->arena, OPENAPI_MAX);
	describe_openapi("", NULL, &b);
	return resp_json(req, buf_str(&b));
}

static enum problem
openapi_of(struct request *req)
{
	const struct facade *facade = facade_by_name(str_z(req->arena, req_param(req, 0)));
	struct buf b;

	if (!facade)
		return ERR(&req->err, P_NOT_FOUND, "no such system");
	buf_init(&b, req->arena, OPENAPI_MAX);
	describe_openapi("", facade, &b);
	return resp_json(req, buf_str(&b));
}

/* plaza-relay counts in the database, which all hosts share; without it the rest is still told. */
static void
print_push(struct request *req, struct buf *b)
{
	struct err err = { 0 };
	struct rows *rows;

	if (q_push_stats(req->db, &(struct q_push_stats){ 0 }, &rows, &err))
		return;
	buf_puts(b, "# HELP plaza_push_waiting Push messages that are not due or not sent yet.\n"
		    "# TYPE plaza_push_waiting gauge\n"
		    "# HELP plaza_push_total Push messages by what became of them; dead ones were "
		    "given up.\n"
		    "# TYPE plaza_push_total counter\n");
	for (size_t i = 0; i < rows_count(rows); i++) {
		struct str name = rows_str(rows, i, Q_PUSH_STATS_NAME);

		if (str_eqz(name, "waiting"))
			buf_puts(b, "plaza_push_waiting ");
		else
			buf_printf(b, "plaza_push_total{outcome=\"%.*s\"} ", STR_ARG(name));
		buf_puti(b, rows_i64(rows, i, Q_PUSH_STATS_N));
		buf_putc(b, '\n');
	}
}

static enum problem
metrics(struct request *req)
{
	struct buf b;

	buf_init(&b, req->arena, METRICS_MAX);
	metrics_print(req->app->metrics, req->app->pool, &b);
	print_push(req, &b);
	return resp_text(req, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
}

static enum problem
jwks(struct request *req)
{
	return resp_json(req, token_jwks(req->app->keys, req->arena));
}

static const struct route rows[] = {
	{ HTTP_GET, "/health", health, .roles = ROLE_PUBLIC, .bare = true, .returns = &health_out,
		.tag = "System", .name = "health",
		.doc = "State of the application and what it stands on; 503 when PostgreSQL is "
		       "away" },
	{ HTTP_GET, "/health/live", health_live, .roles = ROLE_PUBLIC, .bare = true,
		.returns = &live_out, .tag = "System", .name = "healthLive",
		.doc = "The process answers" },
	{ HTTP_GET, "/health/ready", health_ready, .roles = ROLE_PUBLIC, .bare = true,
		.returns = &live_out, .problems = { P_UNAVAILABLE }, .tag = "System",
		.name = "healthReady", .doc = "Requests can be served" },
	{ HTTP_GET, "/", info, .roles = ROLE_PUBLIC, .bare = true, .returns = &info_out,
		.tag = "System", .name = "root", .doc = "Name, version and documents" },
	{ HTTP_GET, "/info", info, .roles = ROLE_PUBLIC, .bare = true, .returns = &info_out,
		.tag = "System", .name = "info", .doc = "Name, version and documents" },
	{ HTTP_GET, "/openapi.json", openapi, .roles = ROLE_PUBLIC, .bare = true,
		.media = "application/json", .cache_s = DOCUMENT_CACHE_S, .tag = "System",
		.name = "openapi", .doc = "This document" },
	{ HTTP_GET, "/openapi/:system", openapi_of, .roles = ROLE_PUBLIC, .bare = true,
		.media = "application/json", .cache_s = DOCUMENT_CACHE_S, .tag = "System",
		.name = "openapiOf",
		.doc = "The paths of an older system, for its clients: livemarket or ecommerce" },
	{ HTTP_GET, "/metrics", metrics, .roles = ROLE_PUBLIC, .bare = true, .media = "text/plain",
		.tag = "System", .name = "metrics",
		.doc = "Counters for Prometheus; the web server lets only local addresses in" },
	{ HTTP_GET, "/.well-known/jwks.json", jwks, .roles = ROLE_PUBLIC, .bare = true,
		.media = "application/json", .cache_s = DOCUMENT_CACHE_S, .tag = "System",
		.name = "jwks", .doc = "Public keys of the access tokens (RFC 7517)" },
};
const struct route_table system_routes = ROUTES(rows);
