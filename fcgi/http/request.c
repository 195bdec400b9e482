/* Verbs on a request: parameters, preconditions, cursors. */
#include "http/request.h"

#include "base/encode.h"
#include "http/route.h"
#include "io/digest.h"

#include <string.h>

const char *
http_method_name(enum http_method m)
{
	static const char *const names[] = {
		[HTTP_NONE] = "",
		[HTTP_GET] = "GET",
		[HTTP_HEAD] = "HEAD",
		[HTTP_POST] = "POST",
		[HTTP_PUT] = "PUT",
		[HTTP_PATCH] = "PATCH",
		[HTTP_DELETE] = "DELETE",
		[HTTP_OPTIONS] = "OPTIONS",
	};

	return names[m];
}

struct str
req_param(const struct request *req, size_t i)
{
	return i < LIMIT_PATH_PARAMS ? req->params[i] : (struct str){ 0 };
}

enum problem
req_uuid(struct request *req, size_t i, struct uuid *out)
{
	if (!uuid_parse(req_param(req, i), out) || uuid_is_nil(out))
		return ERR(&req->err, P_NOT_FOUND, "path parameter %zu is no id", i);
	return P_OK;
}

struct str
req_header(struct request *req, const char *name)
{
	struct str v = req->door->header(req, name);

	return v.n > LIMIT_HEADER ? (struct str){ 0 } : v;
}

enum problem
req_if_match(struct request *req, int64_t *version)
{
	struct str v = str_trim(req_header(req, "IF_MATCH"));

	if (!v.p || v.n == 0)
		return ERR(&req->err, P_PRECONDITION_REQUIRED, "no If-Match");
	if (str_eqz(v, "*")) {
		*version = 0;
		return P_OK;
	}
	/* Weak validators never match in If-Match (RFC 9110 section 13.1.1). */
	if (v.n < 3 || v.p[0] != '"' || v.p[v.n - 1] != '"')
		return ERR(&req->err, P_PRECONDITION, "If-Match is not one strong validator");
	v = str_sub(v, 1, v.n - 1);
	v = str_sub(v, 0, str_find(v, '.', 0));
	if (!str_i64(v, version) || *version <= 0)
		return ERR(&req->err, P_PRECONDITION, "If-Match is not one of ours");
	return P_OK;
}

bool
req_has_role(const struct request *req, unsigned roles)
{
	return ((unsigned)req->who.role & roles) != 0;
}

/* ---- cursors ---- */

#define CURSOR_TAG 6
#define CURSOR_SEP '\x1f'
#define CURSOR_MAX 512

/* Ties a cursor to its list: operation, path parameters and all filters but the paging ones. */
static void
cursor_tag(struct request *req, struct buf *b)
{
	struct buf text;
	struct str rest = req->query_text, pair;
	uint8_t hash[SHA256_BYTES];

	buf_init(&text, req->arena, LIMIT_QUERY + LIMIT_PATH + 256);
	buf_puts(&text, req->route->name);
	for (size_t i = 0; i < LIMIT_PATH_PARAMS; i++) {
		buf_putc(&text, '/');
		buf_putstr(&text, req->params[i]);
	}
	while (rest.n > 0) {
		str_cut(rest, '&', &pair, &rest);
		if (str_starts(pair, "cursor=") || str_starts(pair, "limit=") ||
			str_starts(pair, "include="))
			continue;
		buf_putc(&text, '&');
		buf_putstr(&text, pair);
	}
	sha256(buf_str(&text), hash);
	base64url_put(b, hash, CURSOR_TAG);
}

struct str
cursor_make(struct request *req, const struct str *parts, size_t n)
{
	struct buf raw, out;

	buf_init(&raw, req->arena, CURSOR_MAX);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(&raw, CURSOR_SEP);
		buf_putstr(&raw, parts[i]);
	}
	buf_init(&out, req->arena, 2 * CURSOR_MAX);
	cursor_tag(req, &out);
	base64url_put(&out, raw.p ? raw.p : "", raw.n);
	return buf_str(&out);
}

enum problem
cursor_get(struct request *req, struct str cursor, struct str parts[CURSOR_PARTS], size_t n)
{
	const size_t tag_text = CURSOR_TAG * 4 / 3;
	struct buf tag;
	struct str raw;

	buf_init(&tag, req->arena, CURSOR_MAX);
	cursor_tag(req, &tag);
	if (cursor.n > 2 * CURSOR_MAX || !str_eq(str_sub(cursor, 0, tag_text), buf_str(&tag)) ||
		!base64url_get(req->arena, str_sub(cursor, tag_text, cursor.n), &raw))
		return ERR(&req->err, P_BAD_CURSOR, "not a cursor of this list");
	for (size_t i = 0; i < n; i++) {
		bool more = str_cut(raw, CURSOR_SEP, &parts[i], &raw);
		if (more != (i + 1 < n) || !utf8_valid(parts[i]) ||
			memchr(parts[i].p, '\0', parts[i].n))
			return ERR(&req->err, P_BAD_CURSOR, "wrong number of parts");
	}
	return P_OK;
}

enum problem
cursor_get_moment(struct request *req, struct str cursor, struct str *at, struct uuid *id)
{
	struct str part[CURSOR_PARTS];

	enum problem p = cursor_get(req, cursor, part, 2);
	if (p)
		return p;
	if (!uuid_parse(part[1], id))
		return ERR(&req->err, P_BAD_CURSOR, "no id in the cursor");
	*at = part[0];
	return P_OK;
}
