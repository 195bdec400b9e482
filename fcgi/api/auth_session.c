/* Sessions: refreshing, ending, listing, and saying who somebody is. */
#include "api/api.h"
#include "api/auth.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/rand.h"
#include "io/json.h"
#include "queries.h"

#define REFRESH_TEXT_MAX 200
#define SALT_BYTES 16
#define CURSOR_TEXT_MAX 200
#define INTROSPECTION_MAX 2048

/* ---- refresh ---- */

struct refresh_in {
	struct str token;
};
static const struct field refresh_fields[] = {
	FIELD_AS(refresh_in, token, "refreshToken", T_TEXT, .max = REFRESH_TEXT_MAX,
		.required = true, .alias = "refresh_token"),
};
static const struct schema refresh_in = SCHEMA("Refresh", refresh_in, refresh_fields);

static struct str
salt_new(struct arena *a)
{
	uint8_t bits[SALT_BYTES];
	struct buf b;

	rand_bytes(bits, sizeof(bits));
	buf_init(&b, a, 2 * SALT_BYTES + 1);
	hex_put(&b, bits, sizeof(bits));
	return buf_str(&b);
}

static void
log_reuse(const struct request *req, const struct rows *rows)
{
	log_event(LOG_WARN, "refresh_reuse", LSTR("id", req->id),
		LSTR("user", rows_str(rows, 0, Q_SESSION_REFRESH_ACCOUNT)),
		LSTR("session", rows_str(rows, 0, Q_SESSION_REFRESH_SESSION)),
		LSTR("address", req->remote_addr));
}

static enum problem
auth_refresh(struct request *req)
{
	const struct refresh_in *in = req->body;
	struct str salt = salt_new(req->arena);
	struct rows *rows;

	/* The successor goes along in case the token is good: one round trip. */
	enum problem p = q_session_refresh(req->db,
		&(struct q_session_refresh){ .token = secret_hash(req->arena, in->token),
			.salt = salt,
			.successor =
				secret_hash(req->arena, refresh_successor(req, in->token, salt)),
			.idle = (int32_t)req->app->conf->refresh_idle_s,
			.max = (int32_t)req->app->conf->refresh_max_s },
		&rows, &req->err);
	if (p)
		return p;
	struct str outcome = rows_str(rows, 0, Q_SESSION_REFRESH_OUTCOME);
	if (str_eqz(outcome, "reuse"))
		log_reuse(req, rows);
	/* The salt is the one just made, or that of the answer which is repeated. */
	salt = rows_str(rows, 0, Q_SESSION_REFRESH_SALT);
	if (!salt.p)
		return ERR(&req->err, P_BAD_REFRESH, "%.*s", STR_ARG(outcome));
	return grant_answer(
		req, &(struct granted){ .user = rows_uuid(rows, 0, Q_SESSION_REFRESH_ACCOUNT),
			     .session = rows_uuid(rows, 0, Q_SESSION_REFRESH_SESSION),
			     .role = rows_str(rows, 0, Q_SESSION_REFRESH_ROLE),
			     .ends_at = rows_i64(rows, 0, Q_SESSION_REFRESH_ENDS_AT),
			     .body = rows_str(rows, 0, Q_SESSION_REFRESH_BODY),
			     .refresh = refresh_successor(req, in->token, salt) });
}

/* ---- end ---- */

static enum problem
end_session(struct request *req, struct uuid session)
{
	struct rows *rows;

	enum problem p = q_session_end(
		req->db, &(struct q_session_end){ .session = session }, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static enum problem
auth_logout(struct request *req)
{
	return end_session(req, req->who.session);
}

static enum problem
session_delete(struct request *req)
{
	struct uuid session;

	enum problem p = req_uuid(req, 0, &session);
	return p ? p : end_session(req, session);
}

static enum problem
auth_logout_all(struct request *req)
{
	struct rows *rows;

	enum problem p =
		q_session_end_all(req->db, &(struct q_session_end_all){ 0 }, &rows, &req->err);
	return p ? p : resp_empty(req);
}

/* ---- list ---- */

struct sessions_query {
	int64_t limit;
	struct str cursor;
};
static const struct field sessions_query_fields[] = {
	FIELD(sessions_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(sessions_query, cursor, T_TEXT, .max = CURSOR_TEXT_MAX),
};
static const struct schema sessions_query =
	SCHEMA("SessionQuery", sessions_query, sessions_query_fields);

static const struct field session_out_fields[] = {
	OUT("id", T_UUID),
	OUT("device", T_TEXT, .doc = "as the user called it, may be empty"),
	OUT("userAgent", T_TEXT),
	OUT("address", T_TEXT, .doc = "from where it was opened"),
	OUT("createdAt", T_TIME),
	OUT("lastUsedAt", T_TIME),
	OUT("expiresAt", T_TIME, .doc = "unless it is used before"),
	OUT("current", T_BOOL, .doc = "the session of this request"),
};
static const struct schema session_out = SCHEMA_OUT("Session", session_out_fields);

static enum problem
sessions_list(struct request *req)
{
	const struct sessions_query *q = req->query;
	struct str parts[CURSOR_PARTS];
	struct uuid after = { { 0 } };
	struct rows *rows;

	if (q->cursor.p) {
		enum problem p = cursor_get(req, q->cursor, parts, 1);
		if (p)
			return p;
		if (!uuid_parse(parts[0], &after))
			return ERR(&req->err, P_BAD_CURSOR, "no id in it");
	}
	enum problem p = q_session_list(req->db,
		&(struct q_session_list){ .current = req->who.session,
			.after = q->cursor.p ? &after : NULL,
			.limit = (int32_t)q->limit },
		&rows, &req->err);
	return p ? p : resp_page(req, rows, q->limit);
}

/* ---- who ---- */

static enum problem
auth_me(struct request *req)
{
	struct rows *rows;

	enum problem p = q_user_me(req->db, &(struct q_user_me){ 0 }, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

struct validate_in {
	struct str token;
};
static const struct field validate_fields[] = {
	FIELD(validate_in, token, T_TEXT, .max = TOKEN_MAX, .required = true),
};
static const struct schema validate_in = SCHEMA("Introspect", validate_in, validate_fields);

static const struct field introspection_fields[] = {
	OUT("active", T_BOOL, .doc = "all other members are there only when it is true"),
	OUT_OPT("tokenType", T_TEXT),
	OUT_OPT("sub", T_UUID),
	OUT_OPT("sid", T_UUID),
	OUT_OPT("jti", T_UUID),
	OUT_OPT("aud", T_TEXT),
	OUT_OPT("iss", T_TEXT),
	OUT_OPT("role", T_ENUM, .values = user_roles),
	OUT_OPT("username", T_EMAIL),
	OUT_OPT("iat", T_INT),
	OUT_OPT("exp", T_INT),
};
static const struct schema introspection = SCHEMA_OUT("Introspection", introspection_fields);

static void
put_uuid(struct jsonw *w, const char *name, const struct uuid *u)
{
	char text[UUID_TEXT + 1];

	uuid_text(u, text);
	jsonw_kz(w, name, text);
}

/* RFC 7662 section 2.2. */
static enum problem
say_active(struct request *req, const struct claims *c, struct str email)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, req->arena, INTROSPECTION_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kbool(&w, "active", true);
	jsonw_kz(&w, "tokenType", "Bearer");
	put_uuid(&w, "sub", &c->sub);
	put_uuid(&w, "sid", &c->sid);
	put_uuid(&w, "jti", &c->jti);
	jsonw_kz(&w, "aud", c->aud);
	jsonw_kz(&w, "iss", req->app->conf->issuer);
	jsonw_kz(&w, "role", role_name(c->role));
	jsonw_kstr(&w, "username", email);
	jsonw_kint(&w, "iat", c->iat);
	jsonw_kint(&w, "exp", c->exp);
	jsonw_obj_end(&w);
	return resp_json(req, buf_str(&b));
}

static enum problem
introspect(struct request *req, struct str token)
{
	struct err ignored = { 0 };
	struct claims claims;
	struct rows *rows;

	/* Why a token is not good is not told: RFC 7662 section 2.2. */
	if (token_verify(
		    req->app->keys, req->arena, token, "api", clock_unix_s(), &claims, &ignored))
		return resp_json(req, STR("{\"active\":false}"));
	enum problem p = q_session_alive(req->db,
		&(struct q_session_alive){ .account = claims.sub, .session = claims.sid }, &rows,
		&req->err);
	if (p)
		return p;
	struct str email = rows_str(rows, 0, Q_SESSION_ALIVE_EMAIL);
	if (!email.p)
		return resp_json(req, STR("{\"active\":false}"));
	return say_active(req, &claims, email);
}

static enum problem
validate_other(struct request *req)
{
	const struct validate_in *in = req->body;

	return introspect(req, in->token);
}

/* The token of the request itself: whoever holds it may read it anyway. */
static enum problem
validate_own(struct request *req)
{
	struct str header = req_header(req, "AUTHORIZATION"), scheme, token = { "", 0 };

	str_cut(header, ' ', &scheme, &token);
	return introspect(req, str_ieqz(scheme, "Bearer") ? str_trim(token) : STR(""));
}

/* ---- table ---- */

#define EVERYBODY (ROLE_ANY | ROLE_SERVICE)

static const struct route rows[] = {
	{ HTTP_POST, "/auth/refresh", auth_refresh, .roles = ROLE_PUBLIC, .signs_in = true,
		.bare = true, .body = &refresh_in, .returns = &grant_out, .limit = LIMIT_REFRESH,
		.problems = { P_BAD_REFRESH }, .tag = "Auth", .name = "authRefresh",
		.doc = "Trades a refresh token for a new pair. A token that comes a second time "
		       "later than 10 s ends the session" },
	{ HTTP_POST, "/auth/logout", auth_logout, .roles = EVERYBODY, .bare = true, .status = 204,
		.tag = "Auth", .name = "authLogout", .doc = "Ends this session" },
	{ HTTP_POST, "/auth/logout-all", auth_logout_all, .roles = EVERYBODY, .bare = true,
		.status = 204, .tag = "Auth", .name = "authLogoutAll",
		.doc = "Ends all sessions of the user" },
	{ HTTP_GET, "/auth/me", auth_me, .roles = EVERYBODY, .bare = true, .returns = &user_out,
		.tag = "Auth", .name = "authMe", .doc = "Who is signed in" },
	{ HTTP_GET, "/auth/verify", auth_me, .roles = EVERYBODY, .bare = true, .returns = &user_out,
		.hidden = true, .tag = "Auth", .name = "authVerify", .doc = "As GET /auth/me" },
	{ HTTP_GET, "/auth/sessions", sessions_list, .roles = EVERYBODY, .bare = true,
		.query = &sessions_query, .returns = &session_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Auth", .name = "authSessions",
		.doc = "Where the user is signed in, the newest first" },
	{ HTTP_DELETE, "/auth/sessions/:id", session_delete, .roles = EVERYBODY, .bare = true,
		.status = 204, .tag = "Auth", .name = "authSessionEnd",
		.doc = "Ends a session of the user" },
	{ HTTP_GET, "/auth/validate", validate_own, .roles = ROLE_PUBLIC, .signs_in = true,
		.bare = true, .returns = &introspection, .tag = "Auth", .name = "authValidateOwn",
		.doc = "Whether the token in Authorization is good, and what it says" },
	{ HTTP_POST, "/auth/validate", validate_other, .roles = ROLE_SERVICE | ROLE_ADMIN,
		.bare = true, .body = &validate_in, .returns = &introspection, .tag = "Auth",
		.name = "authValidate",
		.doc = "Whether an access token is good, and what it says (RFC 7662)" },
};
const struct route_table auth_session_routes = ROUTES(rows);
