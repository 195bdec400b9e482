/*
 * The route table. One row per endpoint, beside its handler in api/<domain>.c;
 * authentication, roles, limits, validation, idempotency, caching, metrics,
 * OpenAPI and the tests' coverage list all derive from the row.
 *
 * Paths are written without prefix: "/products/:id". Every row is reachable
 * under /api/v1 (canonical) and /api, with `.bare` also without prefix; a row
 * of an older system (facade.h) only where its clients call it.
 */
#ifndef PLAZA_HTTP_ROUTE_H
#define PLAZA_HTTP_ROUTE_H

#include "http/facade.h"
#include "http/request.h"
#include "http/schema.h"

/* Beside the role bits of io/token.h. A row must name at least one. */
#define ROLE_PUBLIC 0x100u /* no token needed; one that is sent must be good */
#define ROLE_ANY (ROLE_CLIENT | ROLE_SELLER | ROLE_ADMIN | ROLE_MODERATOR)

/* Rate classes, rows in http/limit.c. */
enum limit_class {
	LIMIT_NONE,
	LIMIT_LOGIN,
	LIMIT_REGISTER,
	LIMIT_REFRESH,
	LIMIT_WRITE,
	LIMIT_MESSAGE, /* receipts, typing */
	LIMIT_SEND,    /* a message of the conversation in the path; http/bucket.c */
	LIMIT_OPEN,    /* a new conversation; http/bucket.c */
	LIMIT_UPLOAD,
	LIMIT_SEARCH,
	LIMIT_CHECKOUT,
	LIMIT_SIGNAL, /* uplinks that are no write */
	LIMIT_CLASSES
};

enum body_kind { BODY_NONE, BODY_JSON, BODY_MULTIPART };

/* How a path was written; bits of `.at`. */
enum route_prefix { PREFIX_BARE, PREFIX_API, PREFIX_V1, ROUTE_PREFIXES };
#define AT_BARE (1u << PREFIX_BARE)
#define AT_API (1u << PREFIX_API)
#define AT_V1 (1u << PREFIX_V1)

#define ROUTE_PROBLEMS 10
#define NO_STORE (-1) /* for `cache_s`: nobody keeps the answer, signed in or not */

struct route {
	enum http_method method;
	const char *path;
	enum problem (*handler)(struct request *req);
	unsigned roles;               /* ROLE_… bits */
	const struct schema *query;   /* NULL = no query parameters */
	const struct schema *body;    /* JSON body; NULL = none */
	enum body_kind body_kind;     /* BODY_JSON is implied by .body */
	size_t body_max;              /* 0 = LIMIT_BODY_JSON */
	int status;                   /* of success; 0 = 200 */
	int other_status;             /* a second one, of a repetition; 0 = none */
	const struct schema *returns; /* NULL = no body, or .media */
	bool page;                    /* a list of `returns` with nextCursor */
	bool array;                   /* an array of `returns`, with nothing around it */
	const char *media;            /* other media type than JSON */
	enum limit_class limit;
	bool idem;     /* Idempotency-Key required, answer stored */
	bool if_match; /* reads If-Match (documented) */
	int cache_s;   /* public caching, with ETag; or NO_STORE */
	bool bare;     /* reachable without prefix */
	bool signs_in; /* gives tokens: Authorization is not read, so that an old one does no harm,
			  and the answer is never stored */
	bool hidden;   /* not in the OpenAPI document (aliases) */
	unsigned at;   /* AT_…, with a facade only: the one prefix where the row stands */
	const struct facade *facade;           /* the older system whose clients call it */
	const char *mqtt;                      /* uplink verb that runs this row, see topics.def */
	enum problem problems[ROUTE_PROBLEMS]; /* beyond the ones that derive from the row */
	const char *tag;                       /* OpenAPI group */
	const char *name;                      /* operation id, unique: "productGet" */
	const char *doc;                       /* one sentence */
};

/* A domain's rows. */
struct route_table {
	const struct route *rows;
	size_t count;
};
#define ROUTES(r)                               \
	{                                       \
		(r), sizeof(r) / sizeof((r)[0]) \
	}

/* All domains; api/routes.c. */
extern const struct route_table *const route_tables[];
extern const size_t route_table_count;

struct router;

/* Builds the segment tree; CHECKs every row (roles given, unique, schemas fit). */
struct router *router_new(void);
void router_free(struct router *r);

/*
 * Finds the row and fills params. P_NOT_FOUND, or P_METHOD with *allow set to the
 * methods of the path ("GET, POST"). HEAD finds GET. The path is decoded segment
 * by segment.
 */
enum problem router_find(const struct router *r, struct request *req, struct str *allow)
	__attribute__((warn_unused_result));

/* Row of an MQTT uplink verb, or NULL. */
const struct route *router_by_verb(const struct router *r, struct str verb);
/* Row by operation name, or NULL. */
const struct route *router_by_name(const char *name);
/* Problems a row can answer with, the derived ones included; returns how many were written. */
size_t route_problems(const struct route *r, enum problem *out, size_t max);

#endif
