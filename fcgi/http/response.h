/*
 * What goes back. A handler calls exactly one of the resp_ body verbs, then
 * returns P_OK; or it returns a problem and the stage machine renders it
 * (RFC 9457). ETag, If-None-Match, HEAD, idempotent replay and security
 * headers are done for it.
 */
#ifndef PLAZA_HTTP_RESPONSE_H
#define PLAZA_HTTP_RESPONSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct request;
struct rows;

struct response {
	int status;
	struct buf headers; /* complete lines, CRLF */
	struct str body;    /* points into the arena */
	const char *content_type;
	struct str etag; /* without quotes; absent = none */
	bool done;       /* a body verb was called */
	bool replayed;
	bool file; /* the web server sends a stored file */
};

/* Body from SQL or a writer: JSON text, status of the route row. */
enum problem resp_json(struct request *req, struct str json);
/* One row's column `body` (and `etag` if there is such a column); no row is P_NOT_FOUND. */
enum problem resp_row(struct request *req, const struct rows *rows);
/*
 * A page: {"items":[…],"nextCursor":…}. Rows beyond `limit` (ask SQL for limit+1)
 * only tell that there is more. The cursor is made of the columns k1, k2, k3 (as
 * many as exist) of the last row shown. The ETag is a hash of the body.
 */
enum problem resp_page(struct request *req, const struct rows *rows, int64_t limit);
/* 204 */
enum problem resp_empty(struct request *req);
/* Any other text. `type` is kept, not copied. */
enum problem resp_text(struct request *req, const char *type, struct str body);
/* The web server sends this file of the blob folder; `download` absent = inline. */
enum problem resp_file(
	struct request *req, struct str blob_path, const char *type, struct str download);

void resp_status(struct request *req, int status);
/* Value is checked: CR, LF and NUL end the worker, they can only come from our own code. */
void resp_header(struct request *req, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Strong validator, without quotes. */
void resp_etag(struct request *req, struct str etag);
/* Cache-Control for shared caches, seconds; default for authenticated answers is no-store. */
void resp_cache(struct request *req, int max_age_s);

/* Reason phrase of a status (RFC 9110 section 15), "" for one that Plaza does not use. */
const char *http_reason(int status);

#endif
