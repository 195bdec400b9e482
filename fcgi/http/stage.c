/* The way of a request: a list of stages, the first that fails or answers ends it. */
#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "http/app.h"
#include "http/cors.h"
#include "http/limit.h"
#include "http/metrics.h"
#include "http/problem.h"
#include "http/route.h"
#include "io/digest.h"
#include "io/json.h"

#include <inttypes.h>

/* ---- parse ---- */

static bool
request_id_valid(struct str s)
{
	if (s.n == 0 || s.n > LIMIT_REQUEST_ID)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    c == '-' || c == '.' || c == '_'))
			return false;
	}
	return true;
}

static void
take_request_id(struct request *req)
{
	struct str sent = req_header(req, "X_REQUEST_ID");
	char text[UUID_TEXT + 1];

	if (request_id_valid(sent)) {
		req->id = str_dup(req->arena, sent);
		return;
	}
	struct uuid u = uuid_new();
	uuid_text(&u, text);
	req->id = str_dup(req->arena, str_of(text));
}

/* Weight of a language in Accept-Language, in thousandths (RFC 9110 section 12.5.4). */
static int
language_weight(struct str list, const char *tag)
{
	struct str item, q, name;
	int best = 0;

	while (list.n > 0) {
		str_cut(list, ',', &item, &list);
		bool weighted = str_cut(str_trim(item), ';', &name, &q);
		name = str_trim(name);
		if (name.n < 2 || !str_ieqz(str_sub(name, 0, 2), tag) ||
			(name.n > 2 && name.p[2] != '-'))
			continue;
		int weight = 1000;
		q = str_trim(q);
		if (weighted && q.n >= 5 && str_starts(q, "q=0."))
			weight = (q.p[4] - '0') * 100;
		else if (weighted && str_eqz(q, "q=0"))
			weight = 0;
		if (weight > best)
			best = weight;
	}
	return best;
}

static enum problem
stage_parse(struct request *req)
{
	struct str languages = req_header(req, "ACCEPT_LANGUAGE");

	take_request_id(req);
	if (languages.p && language_weight(languages, "es") > language_weight(languages, "en"))
		req->locale = LOCALE_ES;
	if (req->uri_path.n > LIMIT_PATH || req->query_text.n > LIMIT_QUERY)
		return ERR(&req->err, P_URI_TOO_LONG, "path %zu, query %zu", req->uri_path.n,
			req->query_text.n);
	return P_OK;
}

/* ---- route ---- */

static enum problem
stage_route(struct request *req)
{
	struct str allow = { 0 };

	if (req->route) /* an uplink verb has named it already */
		return P_OK;
	enum problem p = router_find(req->app->router, req, &allow);
	if (req->method == HTTP_OPTIONS && allow.p)
		return cors_preflight(req, allow);
	if (p == P_METHOD)
		resp_header(req, "Allow", "%.*s", STR_ARG(allow));
	return p;
}

/* ---- who ---- */

static enum problem
authenticate(struct request *req, struct str header)
{
	struct claims claims;

	if (header.n < 8 || !str_ieqz(str_sub(header, 0, 7), "Bearer "))
		return ERR(&req->err, P_BAD_TOKEN, "no bearer token");
	enum problem p = token_verify(req->app->keys, req->arena,
		str_trim(str_sub(header, 7, header.n)), "api", clock_unix_s(), &claims, &req->err);
	if (p)
		return p;
	req->who = (struct principal){ .user = claims.sub,
		.session = claims.sid,
		.role = claims.role,
		.token_exp = claims.exp };
	return P_OK;
}

static enum problem
stage_authenticate(struct request *req)
{
	struct str header = req_header(req, "AUTHORIZATION");

	if (header.p && header.n > 0 && !req->route->signs_in) {
		enum problem p = authenticate(req, header);
		if (p)
			return p;
	}
	if (req->who.role != ROLE_NONE)
		db_identity(req->db, &(struct db_identity){ .user = req->who.user,
					     .session = req->who.session,
					     .role = role_name(req->who.role) });
	return P_OK;
}

static enum problem
stage_authorise(struct request *req)
{
	if (req->route->roles & ROLE_PUBLIC)
		return P_OK;
	if (req->who.role == ROLE_NONE)
		return ERR(&req->err, P_UNAUTHENTICATED, "no token");
	if (!req_has_role(req, req->route->roles))
		return ERR(&req->err, P_FORBIDDEN, "role %s", role_name(req->who.role));
	return P_OK;
}

/* ---- body ---- */

static enum body_kind
body_kind(const struct route *r)
{
	return r->body ? BODY_JSON : r->body_kind;
}

static enum problem
read_body(struct request *req, size_t max)
{
	struct buf b;
	int64_t want = req->content_length;

	if (want > (int64_t)max)
		return ERR(&req->err, P_TOO_LARGE, "Content-Length %" PRId64, want);
	buf_init(&b, req->arena, max + 1);
	for (;;) {
		char *p = buf_reserve(
			&b, want > (int64_t)b.n ? (size_t)(want - (int64_t)b.n) + 1 : 4096);
		if (!p)
			return ERR(&req->err, P_TOO_LARGE, "body over %zu", max);
		long got = req->door->read(
			req, p, want > (int64_t)b.n ? (size_t)(want - (int64_t)b.n) + 1 : 4096);
		if (got < 0)
			return ERR(&req->err, P_BAD_BODY_LENGTH, "broken stream after %zu", b.n);
		if (got == 0)
			break;
		buf_commit(&b, (size_t)got);
	}
	if (want >= 0 && (size_t)want != b.n)
		return ERR(&req->err, P_BAD_BODY_LENGTH, "%zu of %" PRId64, b.n, want);
	if (b.n > max)
		return ERR(&req->err, P_TOO_LARGE, "body over %zu", max);
	req->body_text = b.n ? buf_str(&b) : (struct str){ "", 0 };
	return P_OK;
}

static enum problem
check_media(struct request *req, const char *want)
{
	struct str type = req_header(req, "CONTENT_TYPE"),
		   encoding = req_header(req, "CONTENT_ENCODING");

	if (encoding.n > 0 && !str_ieqz(encoding, "identity"))
		return ERR_SAY(&req->err, P_MEDIA_TYPE, "compressed bodies are not taken");
	type = str_trim(str_sub(type, 0, str_find(type, ';', 0)));
	if (!str_ieqz(type, want))
		return ERR_SAY(&req->err, P_MEDIA_TYPE, "want %s", want);
	return P_OK;
}

/* A body of which nothing is required may be left out: no type, no bytes. */
static enum problem
read_json(struct request *req, size_t max)
{
	bool may_miss = schema_may_miss(req->route->body) && req_header(req, "CONTENT_TYPE").n == 0;
	enum problem p;

	if ((!may_miss && (p = check_media(req, "application/json"))) || (p = read_body(req, max)))
		return p;
	if (may_miss && req->body_text.n > 0)
		return check_media(req, "application/json");
	if (may_miss)
		req->body_text = STR("{}");
	return P_OK;
}

/* Multipart bodies are read by the handler, part by part (multipart.h). */
static enum problem
stage_body(struct request *req)
{
	const struct route *r = req->route;
	enum body_kind kind = body_kind(r);
	size_t max = r->body_max ? r->body_max : LIMIT_BODY_JSON;

	if (kind == BODY_MULTIPART && req->content_length > (int64_t)max)
		return ERR(&req->err, P_TOO_LARGE, "Content-Length %" PRId64, req->content_length);
	if (kind == BODY_MULTIPART)
		return check_media(req, "multipart/form-data");
	/* Even where no body is wanted the stream is read to its end: a request cut short has no
	 * effect. */
	return kind == BODY_NONE ? read_body(req, max) : read_json(req, max);
}

static enum problem
stage_bind(struct request *req)
{
	const struct json *doc;
	enum problem p;

	p = schema_bind_query(
		req->route->query, req->arena, req->query_text, &req->query, &req->err);
	if (p || !req->route->body)
		return p;
	p = json_parse(req->arena, req->body_text, &doc, &req->err);
	if (p)
		return p;
	return schema_bind(req->route->body, req->arena, doc, &req->body, &req->err);
}

/* ---- idempotency ---- */

static bool
key_valid(struct str key)
{
	if (key.n == 0 || key.n > LIMIT_IDEMPOTENCY_KEY)
		return false;
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] <= ' ' || key.p[i] > '~')
			return false;
	return true;
}

/* The key stands for operation, path and payload; any other use of it is refused by SQL. */
static enum problem
stage_idempotency(struct request *req)
{
	struct str key = str_trim(req_header(req, "IDEMPOTENCY_KEY"));
	uint8_t hash[SHA256_BYTES];
	struct buf hex;

	if (!req->route->idem)
		return P_OK;
	if (!key_valid(key))
		return ERR(&req->err, P_KEY_MISSING, "key of %zu bytes", key.n);
	struct str parts[] = { str_of(req->route->name), req->params[0], req->params[1],
		req->query_text, req->body_text };
	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
	buf_init(&hex, req->arena, 2 * SHA256_BYTES);
	hex_put(&hex, hash, sizeof(hash));
	db_claim(req->db, str_of(req->route->name), key, buf_str(&hex));
	return P_OK;
}

/* `own` bytes of headers are of this request: what is left of its limit. */
static enum problem
replay(struct request *req, size_t own)
{
	struct response *r = &req->resp;
	struct str headers;

	CHECK(db_replayed(req->db, &r->status, &headers, &r->body));
	r->headers.n = own;
	buf_putstr(&r->headers, headers);
	resp_header(req, "Idempotency-Replayed", "true");
	r->content_type = r->body.n ? "application/json; charset=utf-8" : NULL;
	r->done = r->replayed = true;
	return P_OK;
}

static enum problem
handle(struct request *req, size_t own)
{
	enum problem p;

	req->resp.status = req->route->status ? req->route->status : 200;
	p = req->route->handler(req);
	if (p == P_REPLAYED)
		return replay(req, own);
	if (p)
		return p;
	CHECK(req->resp.done);
	if (!req->route->idem)
		return P_OK;
	struct str headers = buf_str(&req->resp.headers);
	return db_claim_commit(req->db, req->resp.status, str_sub(headers, own, headers.n),
		req->resp.body, &req->err);
}

/* Once more for a worker that was stopped between its statements and has lost its locks by it. */
static enum problem
stage_handler(struct request *req)
{
	const struct response before = req->resp;
	size_t own = before.headers.n;
	enum problem p = handle(req, own);

	if (!p || !db_claim_again(req->db))
		return p;
	req->resp = before;
	req->err = (struct err){ .problem = P_OK };
	return handle(req, own);
}

/* ---- answer ---- */

/* RFC 9110 section 13.1.2: weak comparison against a list. */
static bool
none_match(struct request *req)
{
	struct str list = req_header(req, "IF_NONE_MATCH"), item;

	if (str_eqz(str_trim(list), "*"))
		return true;
	while (list.n > 0) {
		str_cut(list, ',', &item, &list);
		item = str_trim(item);
		if (str_starts(item, "W/"))
			item = str_sub(item, 2, item.n);
		if (item.n == req->resp.etag.n + 2 &&
			str_eq(str_sub(item, 1, item.n - 1), req->resp.etag))
			return true;
	}
	return false;
}

static void
security_headers(struct request *req)
{
	static const char fixed[] =
		"X-Content-Type-Options: nosniff\r\n"
		"Referrer-Policy: no-referrer\r\n"
		"Cross-Origin-Resource-Policy: same-site\r\n"
		"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
		"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; object-src "
		"'none'; base-uri 'none'";

	buf_put(&req->resp.headers, fixed, sizeof(fixed) - 1);
	/* What users have stored may be a page: without an origin it can do nothing here. */
	buf_puts(&req->resp.headers, req->resp.file ? "; sandbox\r\n" : "\r\n");
}

static bool
is_private(const struct request *req)
{
	const struct route *r = req->route;

	return req->who.role != ROLE_NONE || (r && (r->signs_in || r->cache_s == NO_STORE));
}

static void
caching_headers(struct request *req)
{
	struct response *r = &req->resp;
	const struct route *route = req->route;
	bool good = r->status < 300;

	if (good && r->etag.p) {
		resp_header(req, "ETag", "\"%.*s\"", STR_ARG(r->etag));
		if ((req->method == HTTP_GET || req->method == HTTP_HEAD) && none_match(req)) {
			r->status = 304;
			r->body = (struct str){ 0 };
			r->content_type = NULL;
		}
	}
	if (good && route && route->cache_s > 0 && req->who.role == ROLE_NONE)
		resp_cache(req, route->cache_s);
	else
		resp_header(
			req, "Cache-Control", is_private(req) || !good ? "no-store" : "no-cache");
	resp_header(req, "Vary", "Origin, Authorization, Accept-Language");
}

static void
complete(struct request *req)
{
	caching_headers(req);
	cors_headers(req);
	security_headers(req);
	resp_header(req, "X-Request-Id", "%.*s", STR_ARG(req->id));
	CHECK(!req->resp.headers.failed);
}

static enum problem (*const stages[])(struct request *) = {
	stage_parse,
	stage_route,
	stage_authenticate,
	stage_authorise,
	limit_request,
	stage_body,
	stage_bind,
	stage_idempotency,
	stage_handler,
};

static void
log_failure(const struct request *req, enum problem p)
{
	const struct err *e = &req->err;

	log_event(problem_info(p)->status >= 500 ? LOG_ERROR : LOG_DEBUG, "problem",
		LSTR("id", req->id), LZ("code", problem_info(p)->slug), LZ("text", e->log),
		LZ("detail", e->detail), LZ("at", e->file ? e->file : ""), LI("line", e->line));
}

void
app_handle(struct request *req)
{
	enum problem p = P_OK;

	CHECK(req->magic == REQUEST_MAGIC);
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]) && !p && !req->resp.done; i++)
		p = stages[i](req);
	if (p) {
		req->err.problem = p;
		db_rollback(req->db);
		log_failure(req, p);
		problem_respond(req, p);
	}
	CHECK(!db_in_transaction(req->db));
	complete(req);
}
