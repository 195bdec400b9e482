/* Cross-origin answers from the configured list of origins. */
#include "http/cors.h"

#include "http/app.h"

static bool
origin_allowed(struct request *req, struct str origin)
{
	struct str list = str_of(req->app->conf->cors_origins), item;

	while (origin.n > 0 && list.n > 0) {
		str_cut(list, ' ', &item, &list);
		if (item.n > 0 && str_eq(item, origin))
			return true;
	}
	return false;
}

enum problem
cors_preflight(struct request *req, struct str allow)
{
	resp_header(req, "Allow", "%.*s", STR_ARG(allow));
	if (origin_allowed(req, req_header(req, "ORIGIN"))) {
		resp_header(req, "Access-Control-Allow-Methods", "%.*s", STR_ARG(allow));
		resp_header(req, "Access-Control-Allow-Headers",
			"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
			"Accept-Language, "
			"X-Request-Id, X-Cart-Token, X-Device-Token");
		resp_header(req, "Access-Control-Max-Age", "600");
	}
	return resp_empty(req);
}

void
cors_headers(struct request *req)
{
	struct str origin = req_header(req, "ORIGIN");

	if (!origin_allowed(req, origin))
		return;
	resp_header(req, "Access-Control-Allow-Origin", "%.*s", STR_ARG(origin));
	resp_header(req, "Access-Control-Expose-Headers",
		"ETag, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, "
		"Idempotency-Replayed, X-Cart-Token, X-Next-Cursor");
}
