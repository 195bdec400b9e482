/*
 * Path, query, cursor and JSON body as a client sends them: the input is one
 * line "METHOD path?query" and a body, run through routing and binding of
 * every route it finds.
 */
#include "http/app.h"
#include "http/route.h"

#include "base/check.h"
#include "io/json.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str
no_header(struct request *req, const char *name)
{
	(void)req;
	(void)name;
	return (struct str){ 0 };
}

static long
no_body(struct request *req, char *p, size_t n)
{
	(void)req;
	(void)p;
	(void)n;
	return 0;
}

static const struct door quiet = { "http", no_header, no_body };

static void
bind_all(struct request *req, struct str body)
{
	const struct route *r = req->route;
	struct str parts[CURSOR_PARTS];
	struct uuid u;
	const struct json *doc;

	if (schema_bind_query(r->query, req->arena, req->query_text, &req->query, &req->err))
		CHECK(req->err.problem);
	for (size_t n = 1; n <= CURSOR_PARTS; n++)
		(void)!cursor_get(req, body, parts, n);
	(void)!req_uuid(req, 0, &u);
	if (r->body && json_parse(req->arena, body, &doc, &req->err) == P_OK &&
		schema_bind(r->body, req->arena, doc, &req->body, &req->err))
		CHECK(req->err.problem == P_INVALID && req->err.field_count > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *a;
	static struct router *router;
	struct str input = { (const char *)data, size }, line, body, method, uri, allow;

	if (!a) {
		a = arena_new(LIMIT_ARENA);
		router = router_new();
	}
	struct request req = {
		.magic = REQUEST_MAGIC, .arena = a, .door = &quiet, .method = HTTP_GET
	};
	str_cut(input, '\n', &line, &body);
	str_cut(line, ' ', &method, &uri);
	str_cut(uri, '?', &req.uri_path, &req.query_text);
	for (int m = HTTP_GET; m <= HTTP_OPTIONS; m++)
		if (str_eqz(method, http_method_name((enum http_method)m)))
			req.method = (enum http_method)m;
	/* A cursor made here must come back as it went in. */
	if (router_find(router, &req, &allow) == P_OK) {
		struct str part = STR("x"), back[CURSOR_PARTS];
		CHECK(cursor_get(&req, cursor_make(&req, &part, 1), back, 1) == P_OK &&
			str_eqz(back[0], "x"));
		bind_all(&req, body);
	}
	arena_clear(a);
	return 0;
}
