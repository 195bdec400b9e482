/*
 * One request, whichever door it came through (FastCGI or MQTT). The door
 * fills the upper part, the stages the rest; handlers read it and answer with
 * the resp_* verbs of response.h. Everything lives in req->arena.
 */
#ifndef PLAZA_HTTP_REQUEST_H
#define PLAZA_HTTP_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "http/limits.h"
#include "http/response.h"
#include "io/db.h"
#include "io/token.h"

#include <stdbool.h>
#include <stdint.h>

struct app;
struct route;

enum http_method {
	HTTP_NONE,
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS
};
const char *http_method_name(enum http_method m);

/* Who asks. All-zero = nobody. */
struct principal {
	struct uuid user;
	struct uuid session; /* nil when the door vouches for the user (MQTT) */
	enum role role;
	int64_t token_exp;
};

enum locale { LOCALE_EN, LOCALE_ES };

/* What a door provides. */
struct door {
	const char *name; /* "http", "mqtt" */
	/* Value of a header field by its name in upper case with underscores ("IF_MATCH"); absent
	 * if not sent. */
	struct str (*header)(struct request *req, const char *name);
	/* Reads up to n body bytes; 0 at the end, -1 on a broken stream. */
	long (*read)(struct request *req, char *p, size_t n);
};

#define REQUEST_MAGIC 0x51e57u

struct request {
	unsigned magic;
	struct arena *arena;
	struct app *app;
	struct db *db;

	/* filled by the door */
	const struct door *door;
	void *door_data;
	enum http_method method; /* HTTP_NONE = one we do not know */
	struct str uri_path;     /* raw, still percent-encoded */
	struct str query_text;   /* raw, without '?' */
	struct str remote_addr;
	int64_t content_length; /* -1 = not given */

	/* filled by the stages */
	struct str id; /* request id, [A-Za-z0-9._-]{1,64} */
	int64_t start_us;
	enum locale locale;
	const struct route *route;
	struct str params[LIMIT_PATH_PARAMS]; /* values of :name segments, decoded */
	bool legacy;                          /* came by an alias path, not /api/v1 */
	struct principal who;
	void *query;          /* bound by route->query */
	void *body;           /* bound by route->body; else NULL */
	struct str body_text; /* JSON body as sent */

	struct response resp;
	struct err err;
};

/* Path parameter i as a UUID; anything else is P_NOT_FOUND, as a missing resource is. */
enum problem req_uuid(struct request *req, size_t i, struct uuid *out)
	__attribute__((warn_unused_result));
struct str req_param(const struct request *req, size_t i);
struct str req_header(struct request *req, const char *name);
/* Number before the first '.' in If-Match; P_PRECONDITION_REQUIRED without, P_PRECONDITION if not
 * ours. "*" gives 0. */
enum problem req_if_match(struct request *req, int64_t *version)
	__attribute__((warn_unused_result));
/* True when somebody is signed in with one of these roles. */
bool req_has_role(const struct request *req, unsigned roles);

/*
 * Keyset cursors: opaque text over up to 3 values, tied to the route and its
 * filters by a hash, so that a cursor of another list is P_BAD_CURSOR.
 */
#define CURSOR_PARTS 3
enum problem cursor_get(struct request *req, struct str cursor, struct str parts[CURSOR_PARTS],
	size_t n) __attribute__((warn_unused_result));
/* Of a list by time and id: the time is as the database wrote it. */
enum problem cursor_get_moment(struct request *req, struct str cursor, struct str *at,
	struct uuid *id) __attribute__((warn_unused_result));
struct str cursor_make(struct request *req, const struct str *parts, size_t n);

#endif
