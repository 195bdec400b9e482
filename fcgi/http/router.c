/* Finds the row of a request: a tree of path segments, built once from all tables. */
#include "http/route.h"

#include "base/check.h"
#include "base/encode.h"
#include "io/json.h"

#include <stdlib.h>

#define METHODS (HTTP_OPTIONS + 1)

struct node {
	struct str segment; /* literal; ":" for a parameter */
	struct node *child; /* first child */
	struct node *next;  /* sibling */
	const struct route *rows[ROUTE_PREFIXES][METHODS];
};

struct router {
	struct arena *arena;
	struct node root;
};

static struct node *
node_child(struct arena *a, struct node *parent, struct str segment)
{
	struct str key = segment.p[0] == ':' ? STR(":") : segment;
	struct node **at = &parent->child;

	for (; *at; at = &(*at)->next)
		if (str_eq((*at)->segment, key))
			return *at;
	*at = ARENA_NEW(a, struct node);
	(*at)->segment = key;
	return *at;
}

/* Default deny, and no row that a reader would misunderstand. */
static void
check_row(const struct route *r)
{
	check_context(r->path ? r->path : "?");
	CHECK(r->path && r->path[0] == '/' && r->handler && r->name && r->doc && r->tag);
	CHECK(r->roles != 0);
	CHECK(r->method > HTTP_HEAD || r->method == HTTP_GET);
	CHECK(!r->idem || r->method == HTTP_POST || r->method == HTTP_PATCH);
	CHECK(!r->body || r->method != HTTP_GET);
	CHECK(!r->signs_in || (r->roles & ROLE_PUBLIC));
	CHECK(r->facade ? r->at == AT_BARE || r->at == AT_API : r->at == 0);
	CHECK(!(r->page && r->array));
	if (r->query)
		schema_check(r->query);
	if (r->body)
		schema_check(r->body);
	if (r->returns)
		schema_check(r->returns);
}

/* Rows of older systems are added first and keep their place from the canonical ones. */
static void
place_row(struct node *n, const struct route *r)
{
	unsigned at = r->at ? r->at : AT_V1 | AT_API | (r->bare ? AT_BARE : 0);

	for (unsigned p = 0; p < ROUTE_PREFIXES; p++) {
		const struct route **place = &n->rows[p][r->method];
		if (!(at >> p & 1))
			continue;
		CHECK(!*place || ((*place)->facade && !r->facade));
		if (!*place)
			*place = r;
	}
}

static void
add_row(struct router *router, const struct route *r)
{
	struct str rest = str_of(r->path + 1), segment;
	struct node *n = &router->root;
	size_t params = 0;

	check_row(r);
	while (rest.n > 0) {
		str_cut(rest, '/', &segment, &rest);
		params += segment.p[0] == ':';
		n = node_child(router->arena, n, segment);
	}
	CHECK(params <= LIMIT_PATH_PARAMS);
	place_row(n, r);
	check_context(NULL);
}

static void
add_rows(struct router *router, bool facades_only)
{
	for (size_t t = 0; t < route_table_count; t++)
		for (size_t i = 0; i < route_tables[t]->count; i++)
			if ((route_tables[t]->rows[i].facade != NULL) == facades_only)
				add_row(router, &route_tables[t]->rows[i]);
}

struct router *
router_new(void)
{
	struct arena *a = arena_new(1 << 20);
	struct router *router = ARENA_NEW(a, struct router);

	router->arena = a;
	add_rows(router, true);
	add_rows(router, false);
	return router;
}

void
router_free(struct router *r)
{
	if (r)
		arena_free(r->arena);
}

/* ---- matching ---- */

struct path {
	struct str raw[LIMIT_SEGMENTS];
	size_t n;
};

/* A path with empty, "." or ".." segments names nothing here; the web server has merged honest
 * slashes. */
static bool
path_split(struct str text, struct path *p)
{
	struct str rest;

	p->n = 0;
	if (text.n == 0 || text.p[0] != '/' || text.n > LIMIT_PATH)
		return false;
	rest = str_sub(text, 1, text.n);
	if (rest.n > 1 && rest.p[rest.n - 1] == '/')
		rest.n--;
	while (rest.n > 0) {
		if (p->n == LIMIT_SEGMENTS)
			return false;
		str_cut(rest, '/', &p->raw[p->n], &rest);
		struct str s = p->raw[p->n++];
		if (s.n == 0 || str_eqz(s, ".") || str_eqz(s, ".."))
			return false;
	}
	return true;
}

/* Literals win over parameters; the tree is small enough to try both branches. */
static const struct node *
match(const struct node *n, const struct path *p, size_t i, struct str *params, size_t param)
{
	const struct node *wild = NULL;

	if (i == p->n)
		return n;
	for (const struct node *c = n->child; c; c = c->next) {
		if (c->segment.n == 1 && c->segment.p[0] == ':')
			wild = c;
		else if (str_eq(c->segment, p->raw[i])) {
			const struct node *found = match(c, p, i + 1, params, param);
			if (found)
				return found;
		}
	}
	if (!wild || param == LIMIT_PATH_PARAMS)
		return NULL;
	params[param] = p->raw[i];
	return match(wild, p, i + 1, params, param + 1);
}

static bool
has_rows(const struct route *const rows[METHODS])
{
	for (size_t m = 0; m < METHODS; m++)
		if (rows[m])
			return true;
	return false;
}

static struct str
allow_text(struct arena *a, const struct route *const rows[METHODS])
{
	struct buf b;

	buf_init(&b, a, 128);
	for (size_t m = 0; m < METHODS; m++) {
		if (!rows[m])
			continue;
		buf_puts(&b, b.n ? ", " : "");
		buf_puts(&b, http_method_name((enum http_method)m));
		if (m == HTTP_GET)
			buf_puts(&b, ", HEAD");
	}
	buf_puts(&b, b.n ? ", OPTIONS" : "OPTIONS");
	return buf_str(&b);
}

/* How the path was written; the number is that of the segments to skip. */
static enum route_prefix
prefix_of(const struct path *p)
{
	bool api = p->n > 0 && str_eqz(p->raw[0], "api");

	if (api && p->n > 1 && str_eqz(p->raw[1], "v1"))
		return PREFIX_V1;
	return api ? PREFIX_API : PREFIX_BARE;
}
_Static_assert(PREFIX_BARE == 0 && PREFIX_API == 1 && PREFIX_V1 == 2, "segments to skip");

enum problem
router_find(const struct router *r, struct request *req, struct str *allow)
{
	struct str params[LIMIT_PATH_PARAMS] = { { 0 } };
	struct path p;

	if (!path_split(req->uri_path, &p))
		return ERR(&req->err, P_NOT_FOUND, "path is not clean");
	enum route_prefix prefix = prefix_of(&p);
	const struct node *n = match(&r->root, &p, prefix, params, 0);
	req->legacy = prefix != PREFIX_V1;
	if (!n || !has_rows(n->rows[prefix]))
		return ERR(&req->err, P_NOT_FOUND, "no route");
	for (size_t i = 0; i < LIMIT_PATH_PARAMS && params[i].p; i++)
		if (!url_get(req->arena, params[i], false, &req->params[i]) ||
			!text_valid(req->params[i]))
			return ERR(&req->err, P_NOT_FOUND, "bad encoding in the path");
	*allow = allow_text(req->arena, n->rows[prefix]);
	req->route = n->rows[prefix][req->method == HTTP_HEAD ? HTTP_GET : req->method];
	if (!req->route)
		return ERR(&req->err, P_METHOD, "no such method here");
	return P_OK;
}

/* ---- look-ups by name ---- */

static const struct route *
find_row(bool (*is)(const struct route *, const void *), const void *arg)
{
	for (size_t t = 0; t < route_table_count; t++)
		for (size_t i = 0; i < route_tables[t]->count; i++)
			if (is(&route_tables[t]->rows[i], arg))
				return &route_tables[t]->rows[i];
	return NULL;
}

static bool
is_verb(const struct route *r, const void *verb)
{
	return r->mqtt && str_eqz(*(const struct str *)verb, r->mqtt);
}

static bool
is_name(const struct route *r, const void *name)
{
	return strcmp(r->name, name) == 0;
}

const struct route *
router_by_verb(const struct router *r, struct str verb)
{
	(void)r; /* the tables are the same for every router */
	return find_row(is_verb, &verb);
}

const struct route *
router_by_name(const char *name)
{
	return find_row(is_name, name);
}

static void
add_problem(enum problem *out, size_t *n, size_t max, enum problem p)
{
	for (size_t i = 0; i < *n; i++)
		if (out[i] == p)
			return;
	if (*n < max)
		out[(*n)++] = p;
}

size_t
route_problems(const struct route *r, enum problem *out, size_t max)
{
	size_t n = 0;

	if (!(r->roles & ROLE_PUBLIC))
		add_problem(out, &n, max, P_UNAUTHENTICATED);
	if (!r->signs_in)
		add_problem(out, &n, max, P_BAD_TOKEN);
	if (!(r->roles & ROLE_PUBLIC) && (~r->roles & (ROLE_ANY | ROLE_SERVICE)))
		add_problem(out, &n, max, P_FORBIDDEN);
	if (strchr(r->path, ':'))
		add_problem(out, &n, max, P_NOT_FOUND);
	if (r->body || r->query)
		add_problem(out, &n, max, P_INVALID);
	if (r->body) {
		add_problem(out, &n, max, P_BAD_JSON);
		add_problem(out, &n, max, P_MEDIA_TYPE);
		add_problem(out, &n, max, P_TOO_LARGE);
	}
	if (r->idem) {
		add_problem(out, &n, max, P_KEY_MISSING);
		add_problem(out, &n, max, P_KEY_REUSED);
		add_problem(out, &n, max, P_KEY_IN_FLIGHT);
	}
	if (r->if_match) {
		add_problem(out, &n, max, P_PRECONDITION);
		add_problem(out, &n, max, P_PRECONDITION_REQUIRED);
	}
	if (r->limit)
		add_problem(out, &n, max, P_RATE_LIMITED);
	for (size_t i = 0; i < ROUTE_PROBLEMS && r->problems[i]; i++)
		add_problem(out, &n, max, r->problems[i]);
	return n;
}
