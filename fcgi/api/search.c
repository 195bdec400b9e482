/*
 * Lists of products. There is a statement for each order and each way in (all,
 * a category, a shop, a search), so that each walks an index; here is decided
 * which one runs.
 */
#include "api/api.h"
#include "api/catalog.h"
#include "queries.h"

#define PAGE_MAX 50 /* pages by number skip rows, which costs as much as reading them */
#define QUERY_MAX 200
#define CATEGORY_MAX 100
#define SUGGESTIONS_MAX 20
#define SUGGESTIONS_DEFAULT 8
#define LIST_CACHE_S 1
#define PRICE_MAX INT64_C(99999999999999)

/* ---- shapes ---- */

struct product_query {
	struct str q, category, subcategory;
	const struct uuid *seller, *shop;
	const int64_t *minPrice, *maxPrice;
	struct str condition, status, sort, sortOrder, cursor;
	bool mine;
	int64_t page, limit;
};
static const char *const sorts[] = { "newest", "price", "-price", "relevance", "created_at", NULL };
static const char *const directions[] = { "asc", "desc", "ASC", "DESC", NULL };
#define QUERY_FIELDS                                                                              \
	FIELD(product_query, category, T_TEXT, .min = 1, .max = CATEGORY_MAX,                     \
		.alias = "id_category", .doc = "id or slug; those below it count too"),           \
		FIELD(product_query, subcategory, T_TEXT, .min = 1, .max = CATEGORY_MAX,          \
			.alias = "id_sub_category", .doc = "as category, and stronger"),          \
		FIELD(product_query, seller, T_UUID, .alias = "id_seller"),                       \
		FIELD(product_query, shop, T_UUID),                                               \
		FIELD(product_query, minPrice, T_INT, .min = 0, .max = PRICE_MAX,                 \
			.alias = "min_price", .doc = "in minor units"),                           \
		FIELD(product_query, maxPrice, T_INT, .min = 0, .max = PRICE_MAX,                 \
			.alias = "max_price", .doc = "in minor units"),                           \
		FIELD(product_query, condition, T_ENUM, .values = product_conditions),            \
		FIELD(product_query, sort, T_ENUM, .values = sorts, .alias = "sort_by",           \
			.doc = "default: relevance with a text, else newest"),                    \
		FIELD(product_query, sortOrder, T_ENUM, .values = directions,                     \
			.alias = "sort_order", .doc = "with sort price or created_at"),           \
		FIELD(product_query, cursor, T_TEXT),                                             \
		FIELD(product_query, page, T_INT, .min = 1, .max = PAGE_MAX, .has_default = true, \
			.def = 1, .doc = "older than cursors, and slower"),                       \
		FIELD(product_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE,                   \
			.has_default = true, .def = LIMIT_PAGE_DEFAULT)

static const struct field list_query_fields[] = {
	QUERY_FIELDS,
	FIELD(product_query, q, T_TEXT, .max = QUERY_MAX, .alias = "search",
		.doc = "words to find"),
	FIELD(product_query, status, T_ENUM, .values = product_states, .doc = "among the own ones"),
	FIELD(product_query, mine, T_BOOL, .has_default = true, .doc = "the own ones, hidden too"),
};
static const struct schema list_query = SCHEMA("ProductQuery", product_query, list_query_fields);

static const struct field search_query_fields[] = {
	QUERY_FIELDS,
	FIELD(product_query, q, T_TEXT, .min = 1, .max = QUERY_MAX, .required = true,
		.alias = "search", .doc = "words; \"a phrase\", or, -without"),
};
static const struct schema search_query = SCHEMA("SearchQuery", product_query, search_query_fields);

struct suggest_query {
	struct str q;
	int64_t limit;
};
static const struct field suggest_query_fields[] = {
	FIELD(suggest_query, q, T_TEXT, .min = 1, .max = QUERY_MAX, .required = true),
	FIELD(suggest_query, limit, T_INT, .min = 1, .max = SUGGESTIONS_MAX, .has_default = true,
		.def = SUGGESTIONS_DEFAULT),
};
static const struct schema suggest_query =
	SCHEMA("SuggestQuery", suggest_query, suggest_query_fields);

static const struct field card_out_fields[] = {
	PRODUCT_MEMBERS,
	OUT_NULL("image", T_OBJECT, .of = &image_out, .doc = "the first one"),
	OUT("inStock", T_BOOL),
};
static const struct schema card_out = SCHEMA_OUT("ProductCard", card_out_fields);

static const struct field suggestion_out_fields[] = {
	OUT("text", T_TEXT, .doc = "what to search for"),
};
static const struct schema suggestion_out = SCHEMA_OUT("Suggestion", suggestion_out_fields);

/* ---- which list, from where ---- */

enum order { NEWEST, CHEAPEST, DEAREST, RELEVANCE };

struct list {
	const struct product_query *in;
	enum order order;
	struct str q;
	const struct uuid *category;
	struct uuid category_id; /* what category points to */
	struct str slug;         /* the category, when not by id */
	int64_t lowest, highest; /* price */
	struct uuid after;
	int64_t price;
	int32_t rank;
	int32_t skip, limit;
};

static enum problem
order_of(struct request *req, const struct product_query *in, enum order *order)
{
	bool down = str_ieqz(in->sortOrder, "desc"), up = in->sortOrder.p && !down;

	if (!in->sort.p) {
		*order = in->q.n > 0 ? RELEVANCE : NEWEST;
	} else if (str_eqz(in->sort, "price")) {
		*order = down ? DEAREST : CHEAPEST;
	} else if (str_eqz(in->sort, "-price")) {
		*order = DEAREST;
	} else if (str_eqz(in->sort, "relevance")) {
		*order = in->q.n > 0 ? RELEVANCE : NEWEST;
	} else if (up) {
		err_field(&req->err, "/sortOrder", "not_allowed", "the newest come first");
		return req->err.problem = P_INVALID;
	} else {
		*order = NEWEST;
	}
	return P_OK;
}

/* In front of the first row of an order. */
static void
place_at_start(struct list *l)
{
	memset(&l->after, l->order == CHEAPEST ? 0 : 0xff, sizeof(l->after));
	l->price = l->order == CHEAPEST ? -1 : INT64_MAX;
	l->rank = INT32_MAX;
}

static enum problem
place_at_cursor(struct request *req, struct list *l)
{
	struct str part[CURSOR_PARTS];
	size_t n = l->order == NEWEST ? 1 : 2;
	int64_t number = 0;

	enum problem p = cursor_get(req, l->in->cursor, part, n);
	if (p)
		return p;
	if (!uuid_parse(part[n - 1], &l->after) || (n == 2 && !str_i64(part[0], &number)) ||
		(l->order == RELEVANCE && (number < 0 || number > INT32_MAX)))
		return ERR(&req->err, P_BAD_CURSOR, "no place in this order");
	l->price = number;
	l->rank = (int32_t)(number & INT32_MAX);
	return P_OK;
}

static enum problem
list_init(struct request *req, struct list *l)
{
	const struct product_query *in = req->query;
	struct str category = in->subcategory.p ? in->subcategory : in->category;

	*l = (struct list){ .in = in, .limit = (int32_t)in->limit, .q = in->q };
	l->skip = (int32_t)((in->page - 1) * in->limit);
	l->lowest = in->minPrice ? *in->minPrice : 0;
	l->highest = in->maxPrice ? *in->maxPrice : PRICE_MAX;
	if (uuid_parse(category, &l->category_id))
		l->category = &l->category_id;
	else
		l->slug = category;
	enum problem p = order_of(req, in, &l->order);
	if (p)
		return p;
	place_at_start(l);
	return in->cursor.p ? place_at_cursor(req, l) : P_OK;
}

/* ---- statements ---- */

/* Calls q_NAME with the members that all lists have, and some more. */
#define RUN(name, ...)                                             \
	q_##name(req->db,                                          \
		&(struct q_##name){ .condition = l->in->condition, \
			.after = l->after,                         \
			.skip = l->skip,                           \
			.limit = l->limit,                         \
			__VA_ARGS__ },                             \
		rows, &req->err)
#define RANGE .min = l->in->minPrice, .max = l->in->maxPrice
#define BOUNDS .min = l->lowest, .max = l->highest, .price = l->price
#define SHOP .shop = l->in->shop, .seller = l->in->seller
#define WITHIN .category = l->category, .slug = l->slug, SHOP

static enum problem
run_all(struct request *req, const struct list *l, struct rows **rows)
{
	if (l->order == CHEAPEST)
		return RUN(product_cheapest, BOUNDS);
	if (l->order == DEAREST)
		return RUN(product_dearest, BOUNDS);
	return RUN(product_newest, RANGE);
}

static enum problem
run_shop(struct request *req, const struct list *l, struct rows **rows)
{
	if (l->order == CHEAPEST)
		return RUN(product_cheapest_shop, SHOP, RANGE, .price = l->price);
	if (l->order == DEAREST)
		return RUN(product_dearest_shop, SHOP, RANGE, .price = l->price);
	return RUN(product_newest_shop, SHOP, RANGE);
}

static bool
is_plain(const struct list *l)
{
	const struct product_query *in = l->in;

	return !in->shop && !in->seller && !in->minPrice && !in->maxPrice && !in->condition.p &&
	       l->skip == 0;
}

static enum problem
run_category(struct request *req, const struct list *l, struct rows **rows)
{
	if (l->order == CHEAPEST)
		return RUN(product_cheapest_category, WITHIN, BOUNDS);
	if (l->order == DEAREST)
		return RUN(product_dearest_category, WITHIN, BOUNDS);
	if (l->category && is_plain(l))
		return q_product_newest_in(req->db,
			&(struct q_product_newest_in){ l->category_id, l->after, l->limit }, rows,
			&req->err);
	return RUN(product_newest_category, WITHIN, RANGE);
}

static enum problem
run_search(struct request *req, const struct list *l, struct rows **rows)
{
	if (l->order == NEWEST)
		return RUN(product_search_newest, WITHIN, RANGE, .q = l->q);
	if (l->order == CHEAPEST)
		return RUN(product_search_cheapest, WITHIN, RANGE, .q = l->q, .price = l->price);
	if (l->order == DEAREST)
		return RUN(product_search_dearest, WITHIN, RANGE, .q = l->q, .price = l->price);
	if (l->category || l->slug.p || !is_plain(l))
		return RUN(product_search_filtered, WITHIN, RANGE, .q = l->q, .rank = l->rank);
	return q_product_search(req->db,
		&(struct q_product_search){ l->q, l->rank, l->after, l->skip, l->limit }, rows,
		&req->err);
}

/* A search that finds nothing is repeated with its spelling mended. */
static enum problem
search(struct request *req, struct list *l, struct rows **rows)
{
	struct rows *correction;

	enum problem p = run_search(req, l, rows);
	if (p || rows_count(*rows) > 0)
		return p;
	p = q_search_correct(
		req->db, &(struct q_search_correct){ .q = l->q }, &correction, &req->err);
	if (p)
		return p;
	l->q = rows_str(correction, 0, Q_SEARCH_CORRECT_TEXT);
	return l->q.p ? run_search(req, l, rows) : P_OK;
}

static enum problem
run(struct request *req, struct list *l, struct rows **rows)
{
	if (l->q.n > 0)
		return search(req, l, rows);
	if (l->category || l->slug.p)
		return run_category(req, l, rows);
	if (l->in->shop || l->in->seller)
		return run_shop(req, l, rows);
	return run_all(req, l, rows);
}

/* ---- routes ---- */

static enum problem
product_search(struct request *req)
{
	struct list l;
	struct rows *rows;

	enum problem p = list_init(req, &l);
	if (!p)
		p = run(req, &l, &rows);
	return p ? p : resp_page(req, rows, l.limit);
}

/* What sellers see of their own; other filters than the state are of no use there. */
static enum problem
list_own(struct request *req)
{
	struct list l;
	struct rows *rows;

	enum problem p = list_init(req, &l);
	if (p)
		return p;
	if (l.order != NEWEST) {
		err_field(&req->err, "/sort", "not_allowed", "the own ones come newest first");
		return req->err.problem = P_INVALID;
	}
	p = q_product_list_own(req->db,
		&(struct q_product_list_own){ l.in->status, l.after, l.skip, l.limit }, &rows,
		&req->err);
	return p ? p : resp_page(req, rows, l.limit);
}

static enum problem
product_list(struct request *req)
{
	const struct product_query *in = req->query;

	if (in->mine || in->status.p)
		return list_own(req);
	return product_search(req);
}

static enum problem
search_suggest(struct request *req)
{
	const struct suggest_query *in = req->query;
	struct rows *rows;

	enum problem p = q_search_suggest(req->db,
		&(struct q_search_suggest){ .q = in->q, .limit = (int32_t)in->limit }, &rows,
		&req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static const struct route rows[] = {
	{ HTTP_GET, "/products", product_list, .roles = ROLE_PUBLIC, .query = &list_query,
		.returns = &card_out, .page = true, .cache_s = LIST_CACHE_S,
		.problems = { P_BAD_CURSOR }, .tag = "Catalogue", .name = "productList",
		.doc = "Products on sale; or, with mine or status, the caller's own" },
	{ HTTP_GET, "/search", product_search, .roles = ROLE_PUBLIC, .query = &search_query,
		.returns = &card_out, .page = true, .cache_s = LIST_CACHE_S, .limit = LIMIT_SEARCH,
		.problems = { P_BAD_CURSOR }, .tag = "Search", .name = "search",
		.doc = "Products by words in Spanish or English; spelling mistakes are mended when "
		       "nothing is found" },
	{ HTTP_GET, "/search/suggest", search_suggest, .roles = ROLE_PUBLIC,
		.query = &suggest_query, .returns = &suggestion_out, .page = true,
		.cache_s = LIST_CACHE_S, .limit = LIMIT_SEARCH, .tag = "Search",
		.name = "searchSuggest",
		.doc = "What the user may be about to type; nextCursor is always null" },
};
const struct route_table search_routes = ROUTES(rows);
