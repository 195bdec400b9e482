/* What a device needs for MQTT: a session at the broker, and the feed that repairs every gap. */
#include "api/api.h"

#include "base/clock.h"
#include "io/brokers.h"
#include "io/json.h"
#include "queries.h"
#include "topics.h"

#define SESSION_MAX 8192
#define KEEPALIVE_S 60

/* ---- shapes ---- */

struct sync_query {
	const int64_t *since;
	struct str ep;
	int64_t limit;
};
static const struct field sync_query_fields[] = {
	FIELD(sync_query, since, T_INT, .min = 0, .max = INT64_C(9007199254740991),
		.doc = "the last `us` the device has; without it the answer tells where to start"),
	FIELD(sync_query, ep, T_TEXT, .max = 32, .doc = "the epoch it belongs to"),
	FIELD(sync_query, limit, T_INT, .min = 1, .max = 200, .has_default = true, .def = 200),
};
static const struct schema sync_query_schema = SCHEMA("SyncQuery", sync_query, sync_query_fields);

static const struct field event_fields[] = {
	OUT("v", T_INT),
	OUT("t", T_TEXT),
	OUT("id", T_TEXT),
	OUT("ep", T_TEXT),
	OUT("us", T_INT),
	OUT("ts", T_TIME),
	OUT("d", T_JSON),
};
static const struct schema event_out = SCHEMA_OUT("FeedEvent", event_fields);
static const struct field sync_fields[] = {
	OUT("epoch", T_TEXT),
	OUT("from", T_INT),
	OUT("to", T_INT, .doc = "ask again with this"),
	OUT("more", T_BOOL),
	OUT("reset", T_BOOL, .doc = "forget what you have, reload everything, go on from `to`"),
	OUT("events", T_ARRAY, .of = &event_out),
};
static const struct schema sync_out = SCHEMA_OUT("Sync", sync_fields);

struct connection_query {
	int64_t limit;
	struct str cursor;
};
static const struct field connection_query_fields[] = {
	FIELD(connection_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(connection_query, cursor, T_TEXT),
};
static const struct schema connection_query_schema =
	SCHEMA("ConnectionQuery", connection_query, connection_query_fields);

static const char *const transports[] = { "tcp", "ws", NULL };
static const struct field connection_fields[] = {
	OUT("device", T_TEXT, .doc = "`did` of its session"),
	OUT("transport", T_ENUM, .values = transports),
	OUT("connectedAt", T_TIME),
	OUT_NULL("endedAt", T_TIME, .doc = "null while it is there"),
	OUT_NULL("seconds", T_INT),
	OUT_NULL("reason", T_TEXT,
		.doc = "replaced, revoked, expired, lost, or what the device said in `bye`"),
};
static const struct schema connection_out = SCHEMA_OUT("Connection", connection_fields);
static const struct field connection_counts_fields[] = {
	OUT("connections", T_INT),
	OUT("users", T_INT),
	OUT("tcp", T_INT),
	OUT("ws", T_INT),
	OUT("connectedLastHour", T_INT, .doc = "connections that began then"),
};
static const struct schema connection_counts_out =
	SCHEMA_OUT("ConnectionCounts", connection_counts_fields);

struct session_in {
	struct str device;
};
static const struct field session_in_fields[] = {
	FIELD(session_in, device, T_TEXT, .max = 100, .doc = "for the log"),
};
static const struct schema session_in_schema =
	SCHEMA("RealtimeSessionRequest", session_in, session_in_fields);

static const struct field session_fields[] = {
	OUT("urls", T_ARRAY, .item = T_TEXT,
		.doc = "addresses of the user's broker, the best first"),
	OUT("username", T_TEXT),
	OUT("clientId", T_TEXT),
	OUT("password", T_TEXT, .doc = "a token; connect anew before it expires"),
	OUT("expiresAt", T_TIME),
	OUT("did", T_TEXT, .doc = "name of this device in uplinks"),
	OUT("subscribe", T_ARRAY, .item = T_TEXT, .doc = "subscribe to all of these, with QoS 1"),
	OUT("publishPrefix", T_TEXT, .doc = "uplinks go to PREFIX/VERB"),
	OUT("keepalive", T_INT, .doc = "seconds"),
	OUT("epoch", T_TEXT),
	OUT("us", T_INT, .doc = "where the feed stands"),
};
static const struct schema session_out = SCHEMA_OUT("RealtimeSession", session_fields);

/* ---- handlers ---- */

static enum problem
feed_sync(struct request *req)
{
	const struct sync_query *in = req->query;
	struct q_feed_sync q = { .since = in->since, .epoch = in->ep, .limit = (int32_t)in->limit };
	struct rows *rows;
	enum problem p = q_feed_sync(req->db, &q, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

_Static_assert(TOPIC_GRANTS_MAX <= TOKEN_ACL_MAX, "a token holds every grant");

/* The device's name is its session's id: ending the session ends its connection. */
static enum problem
make_token(
	struct request *req, const struct topic_grants *grants, struct claims *c, struct str *token)
{
	int64_t now = clock_unix_s();

	*c = (struct claims){ .sub = req->who.user,
		.sid = req->who.session,
		.jti = uuid_new(),
		.role = req->who.role,
		.iat = now,
		.exp = now + req->app->conf->mqtt_ttl_s,
		.aud = "mqtt",
		.jid_host = req->app->conf->mqtt_jid_host };
	uuid_text(&req->who.session, c->did);
	for (size_t i = 0; i < grants->sub_n; i++)
		c->sub_acl[c->sub_acl_n++] = grants->sub[i];
	for (size_t i = 0; i < grants->pub_n; i++)
		c->pub_acl[c->pub_acl_n++] = grants->pub[i];
	return token_sign(req->app->keys, req->arena, c, token, &req->err);
}

/* http://HOST as ws://HOST/mqtt, https as wss. */
static const char *
usual_url(struct request *req, size_t broker)
{
	struct str base = str_of(req->app->conf->public_url);
	const char *first =
		arena_printf(req->arena, "ws%.*s/mqtt", STR_ARG(str_sub(base, 4, base.n)));

	return broker == 0 ? first : arena_printf(req->arena, "%s/%zu", first, broker);
}

/* Those of the user's broker: nothing of the user's is on another one. */
static void
put_urls(struct request *req, struct jsonw *w)
{
	const struct app *app = req->app;
	size_t broker = brokers_shard(&req->who.user, brokers_size(app->brokers));
	struct str list = conf_item(app->conf->mqtt_urls, broker), one;

	jsonw_key(w, "urls");
	jsonw_arr(w);
	if (list.n == 0)
		jsonw_str(w, str_of(usual_url(req, broker)));
	while (list.n > 0) {
		str_cut(list, ' ', &one, &list);
		if (one.n > 0)
			jsonw_str(w, one);
	}
	jsonw_arr_end(w);
}

static void
put_session(struct request *req, struct jsonw *w, const struct claims *c, struct str token,
	const struct topic_grants *g)
{
	char user[UUID_TEXT + 1], prefix[TOPIC_TEXT + 1], until[RFC3339_TEXT + 1];
	size_t n = topic_uplink_prefix(&c->sub, prefix);

	uuid_text(&c->sub, user);
	clock_rfc3339(c->exp * 1000, until);
	put_urls(req, w);
	jsonw_kz(w, "username", user);
	jsonw_kz(w, "clientId", arena_printf(req->arena, "%s_%s", user, c->did));
	jsonw_kstr(w, "password", token);
	jsonw_kz(w, "expiresAt", until);
	jsonw_kz(w, "did", c->did);
	jsonw_key(w, "subscribe");
	jsonw_arr(w);
	for (size_t i = 0; i < g->sub_n; i++)
		jsonw_str(w, g->sub[i]);
	jsonw_arr_end(w);
	jsonw_kstr(w, "publishPrefix", (struct str){ prefix, n });
	jsonw_kint(w, "keepalive", KEEPALIVE_S);
}

static enum problem
realtime_session(struct request *req)
{
	struct topic_subject who = { .uid = req->who.user, .role = (unsigned)req->who.role };
	struct topic_grants grants;
	struct claims c;
	struct rows *rows;
	struct jsonw w;
	struct str token;
	struct buf b;
	enum problem p =
		q_realtime_stand(req->db, &(struct q_realtime_stand){ 0 }, &rows, &req->err);

	if (p)
		return p;
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "no feed");
	if (rows_str(rows, 0, Q_REALTIME_STAND_SHOP).p)
		who.shop = rows_uuid(rows, 0, Q_REALTIME_STAND_SHOP);
	topics_grants(req->arena, &who, &grants);
	if ((p = make_token(req, &grants, &c, &token)))
		return p;
	buf_init(&b, req->arena, SESSION_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	put_session(req, &w, &c, token, &grants);
	jsonw_kstr(&w, "epoch", rows_str(rows, 0, Q_REALTIME_STAND_EPOCH));
	jsonw_kint(&w, "us", rows_i64(rows, 0, Q_REALTIME_STAND_LAST_US));
	jsonw_obj_end(&w);
	return resp_json(req, buf_str(&b));
}

static enum problem
connection_list(struct request *req)
{
	const struct connection_query *in = req->query;
	struct q_connection_list q = { .limit = (int32_t)in->limit };
	struct str part[CURSOR_PARTS];
	struct rows *rows;
	int64_t after;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 1)))
			return p;
		if (!str_i64(part[0], &after))
			return ERR(&req->err, P_BAD_CURSOR, "no number in the cursor");
		q.after = &after;
	}
	p = q_connection_list(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
connection_counts(struct request *req)
{
	struct rows *rows;
	enum problem p =
		q_connection_counts(req->db, &(struct q_connection_counts){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/sync", feed_sync, .roles = ROLE_ANY, .query = &sync_query_schema,
		.returns = &sync_out, .tag = "Realtime", .name = "sync",
		.doc = "Events of the caller's feed behind a place, as they came over MQTT" },
	{ HTTP_GET, "/chats/sync", feed_sync, .roles = ROLE_ANY, .bare = true,
		.query = &sync_query_schema, .returns = &sync_out, .tag = "Realtime",
		.name = "chatSync", .doc = "Events of the caller's feed behind a place" },
	{ HTTP_POST, "/realtime/session", realtime_session, .roles = ROLE_ANY,
		.body = &session_in_schema, .returns = &session_out, .limit = LIMIT_REFRESH,
		.tag = "Realtime", .name = "realtimeSession",
		.doc = "All that a device needs to connect to the broker" },
	{ HTTP_POST, "/realtime/token", realtime_session, .roles = ROLE_ANY,
		.body = &session_in_schema, .returns = &session_out, .limit = LIMIT_REFRESH,
		.hidden = true, .tag = "Realtime", .name = "realtimeToken",
		.doc = "All that a device needs to connect to the broker" },
	{ HTTP_GET, "/realtime/connections", connection_list, .roles = ROLE_ANY,
		.query = &connection_query_schema, .returns = &connection_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Realtime", .name = "connectionList",
		.doc = "When the caller's devices were connected, the latest first; kept 30 days" },
	{ HTTP_GET, "/admin/clients", connection_counts, .roles = ROLE_ADMIN,
		.returns = &connection_counts_out, .tag = "Administration",
		.name = "connectionCounts", .doc = "How many devices are connected" },
};
const struct route_table realtime_routes = ROUTES(rows);
