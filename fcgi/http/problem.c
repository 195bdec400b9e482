/* RFC 9457 problem documents. */
#include "http/problem.h"

#include "http/app.h"
#include "http/route.h"
#include "io/json.h"

#define PROBLEM_BYTES 16384

static void
print_fields(const struct err *err, struct jsonw *w)
{
	if (err->field_count == 0)
		return;
	jsonw_key(w, "errors");
	jsonw_arr(w);
	for (size_t i = 0; i < err->field_count; i++) {
		const struct err_field *f = &err->fields[i];
		jsonw_obj(w);
		jsonw_kz(w, "pointer", f->pointer);
		jsonw_kz(w, "code", f->code);
		jsonw_kz(w, "detail", f->detail);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

void
problem_members(const struct request *req, enum problem p, struct jsonw *w)
{
	const struct problem_info *info = problem_info(p);
	char type[160];

	snprintf(type, sizeof(type), "%s/problems/%s", req->app->conf->public_url, info->slug);
	jsonw_kz(w, "type", type);
	jsonw_kz(w, "title", req->locale == LOCALE_ES ? info->title_es : info->title_en);
	jsonw_kint(w, "status", facade_status(req->route, p));
	if (req->err.detail[0])
		jsonw_kz(w, "detail", req->err.detail);
	jsonw_key(w, "instance");
	jsonw_str(w, str_of(arena_printf(req->arena, "urn:plaza:request:%.*s", STR_ARG(req->id))));
	jsonw_kz(w, "code", info->slug);
	jsonw_kstr(w, "requestId", req->id);
	print_fields(&req->err, w);
}

static void
print_document(const struct request *req, enum problem p, struct buf *b)
{
	struct jsonw w;

	jsonw_init(&w, b);
	jsonw_obj(&w);
	problem_members(req, p, &w);
	jsonw_obj_end(&w);
}

void
problem_respond(struct request *req, enum problem p)
{
	const struct facade *f = req->route ? req->route->facade : NULL;
	struct response *r = &req->resp;
	struct buf b;

	buf_init(&b, req->arena, PROBLEM_BYTES);
	if (f)
		f->failure(req, p, &b);
	else
		print_document(req, p, &b);
	r->status = facade_status(req->route, p);
	r->content_type = f ? f->media : "application/problem+json; charset=utf-8";
	r->body = buf_str(&b);
	r->etag = (struct str){ 0 };
	r->done = true;
	if (p != P_METHOD && p != P_RATE_LIMITED)
		buf_clear(&r->headers);
	if (req->err.retry_after_s > 0)
		resp_header(req, "Retry-After", "%d", req->err.retry_after_s);
	else if (r->status == 503)
		resp_header(req, "Retry-After", "1");
	/* RFC 6750 section 3: say why only when a token was sent. */
	if (p == P_UNAUTHENTICATED)
		resp_header(req, "WWW-Authenticate", "Bearer realm=\"plaza\"");
	else if (p == P_BAD_TOKEN)
		resp_header(
			req, "WWW-Authenticate", "Bearer realm=\"plaza\", error=\"invalid_token\"");
	resp_header(req, "Content-Language", req->locale == LOCALE_ES ? "es" : "en");
}
