/* Builds answers: bodies from SQL rows, pages, files, headers. */
#include "http/response.h"

#include "base/check.h"
#include "base/encode.h"
#include "http/app.h"
#include "http/route.h"
#include "io/digest.h"

#include <stdarg.h>
#include <stdio.h>

#define ETAG_HASH_BYTES 12

static void
finish(struct request *req, const char *type, struct str body)
{
	CHECK(!req->resp.done);
	req->resp.done = true;
	req->resp.content_type = type;
	req->resp.body = body;
}

enum problem
resp_json(struct request *req, struct str json)
{
	finish(req, "application/json; charset=utf-8", json);
	return P_OK;
}

enum problem
resp_text(struct request *req, const char *type, struct str body)
{
	finish(req, type, body);
	return P_OK;
}

enum problem
resp_empty(struct request *req)
{
	finish(req, NULL, (struct str){ 0 });
	req->resp.status = 204;
	return P_OK;
}

enum problem
resp_row(struct request *req, const struct rows *rows)
{
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "no row");
	int body = rows_column(rows, "body"), etag = rows_column(rows, "etag");
	CHECK(body >= 0);
	struct str text = rows_str(rows, 0, (size_t)body);
	if (!text.p)
		return ERR(&req->err, P_NOT_FOUND, "no body");
	if (etag >= 0)
		resp_etag(req, rows_str(rows, 0, (size_t)etag));
	return resp_json(req, text);
}

/* The cursor that continues behind row `last`, from its columns k1, k2, k3. */
static struct str
page_cursor(struct request *req, const struct rows *rows, size_t last)
{
	static const char *const names[CURSOR_PARTS] = { "k1", "k2", "k3" };
	struct str parts[CURSOR_PARTS];
	size_t n = 0;

	for (; n < CURSOR_PARTS; n++) {
		int col = rows_column(rows, names[n]);
		if (col < 0)
			break;
		parts[n] = rows_str(rows, last, (size_t)col);
	}
	CHECK(n > 0);
	return cursor_make(req, parts, n);
}

static struct str
hash_etag(struct request *req, struct str body)
{
	uint8_t hash[SHA256_BYTES];
	struct buf b;

	sha256(body, hash);
	buf_init(&b, req->arena, 64);
	base64url_put(&b, hash, ETAG_HASH_BYTES);
	return buf_str(&b);
}

enum problem
resp_page(struct request *req, const struct rows *rows, int64_t limit)
{
	size_t n = rows_count(rows), shown = n > (size_t)limit ? (size_t)limit : n;
	int body = rows_column(rows, "body");
	struct buf b;

	CHECK(body >= 0 && limit > 0);
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	buf_puts(&b, "{\"items\":[");
	for (size_t i = 0; i < shown; i++) {
		if (i)
			buf_putc(&b, ',');
		buf_putstr(&b, rows_str(rows, i, (size_t)body));
	}
	buf_puts(&b, "],\"nextCursor\":");
	if (n > shown)
		json_put(&b, page_cursor(req, rows, shown - 1));
	else
		buf_puts(&b, "null");
	buf_putc(&b, '}');
	if (b.failed)
		return ERR(&req->err, P_INTERNAL, "page over %d bytes", LIMIT_RESPONSE);
	if (req->method == HTTP_GET || req->method == HTTP_HEAD)
		resp_etag(req, hash_etag(req, buf_str(&b)));
	return resp_json(req, buf_str(&b));
}

/* RFC 6266: an ASCII fallback and the UTF-8 form. */
static void
disposition(struct request *req, struct str name)
{
	struct buf plain, utf8;

	buf_init(&plain, req->arena, name.n + 1);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		buf_putc(&plain, c >= ' ' && c <= '~' && c != '"' && c != '\\' ? c : '_');
	}
	buf_init(&utf8, req->arena, 3 * name.n + 1);
	url_put(&utf8, name);
	resp_header(req, "Content-Disposition",
		"attachment; filename=\"%.*s\"; filename*=UTF-8''%.*s", STR_ARG(buf_str(&plain)),
		STR_ARG(buf_str(&utf8)));
}

enum problem
resp_file(struct request *req, struct str blob_path, const char *type, struct str download)
{
	const struct conf *conf = req->app->conf;

	/* nginx takes an internal URI, Apache's mod_xsendfile a path. */
	if (str_ieqz(str_of(conf->blob_header), "X-Accel-Redirect"))
		resp_header(req, conf->blob_header, "/_blob/%.*s", STR_ARG(blob_path));
	else
		resp_header(req, conf->blob_header, "%s/%.*s", conf->blob_dir, STR_ARG(blob_path));
	if (download.p)
		disposition(req, download);
	req->resp.file = true;
	finish(req, type, (struct str){ 0 });
	return P_OK;
}

void
resp_status(struct request *req, int status)
{
	req->resp.status = status;
}

void
resp_header(struct request *req, const char *name, const char *fmt, ...)
{
	struct buf *h = &req->resp.headers;
	size_t before;
	va_list ap;
	char *value;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	CHECK(n >= 0);
	value = arena_alloc(req->arena, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(value, (size_t)n + 1, fmt, ap);
	va_end(ap);
	CHECK(strlen(value) == (size_t)n && !strpbrk(value, "\r\n"));
	before = h->n;
	buf_puts(h, name);
	buf_puts(h, ": ");
	buf_put(h, value, (size_t)n);
	buf_puts(h, "\r\n");
	CHECK(!h->failed && h->n > before);
}

void
resp_etag(struct request *req, struct str etag)
{
	req->resp.etag = etag;
}

void
resp_cache(struct request *req, int max_age_s)
{
	resp_header(req, "Cache-Control", "public, max-age=%d", max_age_s);
}

const char *
http_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 409, "Conflict" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "";
}
