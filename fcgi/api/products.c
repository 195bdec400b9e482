/* Products and their stock: what sellers write and everybody reads one by one. Lists are in
 * search.c. */
#include "api/api.h"
#include "api/catalog.h"
#include "api/filter.h"
#include "api/patch.h"
#include "queries.h"

#define TITLE_MAX 200
#define DESCRIPTION_MAX 10000
#define STOCK_MAX 1000000000

/* ---- shapes ---- */

const char *const product_conditions[] = { "new", "used", "refurbished", NULL };
const char *const product_states[] = { "pending", "active", "rejected", "inactive", "suspended",
	NULL };
/* Those that a request may ask for: a suspension is that of the seller. */
static const char *const settable_states[] = { "pending", "active", "rejected", "inactive", NULL };

struct product_create {
	struct uuid categoryId;
	struct str title, description;
	struct money price;
	struct str condition;
	int64_t stock, lowThreshold;
};
static const struct field product_create_fields[] = {
	FIELD(product_create, categoryId, T_UUID, .required = true, .alias = "id_category"),
	FIELD(product_create, title, T_TEXT, .min = 1, .max = TITLE_MAX, .required = true,
		.alias = "product_name"),
	FIELD(product_create, description, T_TEXT, .max = DESCRIPTION_MAX),
	FIELD(product_create, price, T_MONEY, .required = true,
		.doc = "the currency may be left out; it is then that of the site"),
	FIELD(product_create, condition, T_ENUM, .values = product_conditions,
		.doc = "new when absent"),
	FIELD(product_create, stock, T_INT, .min = 0, .max = STOCK_MAX, .has_default = true,
		.alias = "quantity", .doc = "units for sale, 0 when absent"),
	FIELD(product_create, lowThreshold, T_INT, .min = 0, .max = STOCK_MAX, .has_default = true,
		.doc = "stock at which the seller is warned"),
};
static const struct schema product_create_in =
	SCHEMA("ProductCreate", product_create, product_create_fields);

/* The description, which can be emptied, comes first. */
#define CLEARABLE 1
struct product_update {
	uint64_t present;
	struct str description, title;
	const struct uuid *categoryId;
	const struct money *price;
	struct str condition, status;
};
static const struct field product_update_fields[] = {
	FIELD(product_update, description, T_TEXT, .max = DESCRIPTION_MAX, .nullable = true),
	FIELD(product_update, title, T_TEXT, .min = 1, .max = TITLE_MAX, .alias = "product_name"),
	FIELD(product_update, categoryId, T_UUID, .alias = "id_category"),
	FIELD(product_update, price, T_MONEY),
	FIELD(product_update, condition, T_ENUM, .values = product_conditions),
	FIELD(product_update, status, T_ENUM, .values = settable_states,
		.doc = "sellers switch between active and inactive"),
};
static const struct schema product_update_in =
	SCHEMA_PATCH("ProductUpdate", product_update, product_update_fields);

struct stock_put {
	const int64_t *stock, *lowThreshold;
};
static const struct field stock_put_fields[] = {
	FIELD(stock_put, stock, T_INT, .min = 0, .max = STOCK_MAX, .alias = "quantity"),
	FIELD(stock_put, lowThreshold, T_INT, .min = 0, .max = STOCK_MAX),
};
static const struct schema stock_put_in = SCHEMA("StockPut", stock_put, stock_put_fields);

struct stock_add {
	int64_t delta;
};
static const struct field stock_add_fields[] = {
	FIELD(stock_add, delta, T_INT, .min = -STOCK_MAX, .max = STOCK_MAX, .required = true,
		.doc = "units that came, or went when negative"),
};
static const struct schema stock_add_in = SCHEMA("StockAdd", stock_add, stock_add_fields);

static const struct field stock_out_fields[] = {
	OUT("productId", T_UUID),
	OUT("stock", T_INT, .min = 0, .max = STOCK_MAX),
	OUT("lowThreshold", T_INT, .min = 0, .max = STOCK_MAX),
	OUT("updatedAt", T_TIME),
};
static const struct schema stock_out = SCHEMA_OUT("Stock", stock_out_fields);

static const struct field image_out_fields[] = {
	OUT("id", T_UUID),
	OUT("url", T_URL),
	OUT("thumbUrl", T_URL),
	OUT("width", T_INT),
	OUT("height", T_INT),
	OUT("alt", T_TEXT),
};
const struct schema image_out = SCHEMA_OUT("Image", image_out_fields);

static const struct field shop_ref_fields[] = {
	OUT("id", T_UUID),
	OUT("name", T_TEXT),
};
const struct schema shop_ref_out = SCHEMA_OUT("ShopRef", shop_ref_fields);
static const struct field category_ref_fields[] = {
	OUT("id", T_UUID),
	OUT("slug", T_TEXT),
	OUT("name", T_TEXT),
};
const struct schema category_ref_out = SCHEMA_OUT("CategoryRef", category_ref_fields);

static const struct field product_out_fields[] = {
	PRODUCT_MEMBERS,
	OUT("description", T_TEXT),
	OUT("images", T_ARRAY, .of = &image_out, .max = PRODUCT_IMAGES_MAX),
	OUT("updatedAt", T_TIME),
	OUT("stock", T_INT, .min = 0, .max = STOCK_MAX),
};
const struct schema product_out = SCHEMA_OUT("Product", product_out_fields);

/* ---- one product ---- */

/* Hidden ones are looked for only when there is somebody who may see them. */
static enum problem
product_get(struct request *req)
{
	struct q_product_get q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_product_get(req->db, &q, &rows, &req->err)))
		return p;
	if (rows_count(rows) == 0 && req_has_role(req, ROLE_SELLER | ROLE_ADMIN | ROLE_MODERATOR))
		p = q_product_get_own(
			req->db, &(struct q_product_get_own){ .id = q.id }, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

/* A title of spaces is none. */
static enum problem
title_check(struct request *req, struct str *title)
{
	struct str trimmed = str_trim(*title);

	if (title->p && trimmed.n == 0) {
		err_field(&req->err, "/title", "too_short", "only spaces");
		return req->err.problem = P_INVALID;
	}
	*title = trimmed;
	return P_OK;
}

static enum problem
texts_check(struct request *req, struct str *title, struct str *description, struct filtered *hint)
{
	enum problem p = title_check(req, title);

	if (!p)
		p = filter_public(req, title, "/title", true, hint);
	return p ? p : filter_public(req, description, "/description", true, hint);
}

static struct str
or_else(struct str s, const char *other)
{
	return s.p ? s : str_of(other);
}

static enum problem
product_create(struct request *req)
{
	const struct product_create *in = req->body;
	struct q_product_create q = { .id = uuid_new(),
		.category = in->categoryId,
		.title = in->title,
		.description = or_else(in->description, ""),
		.price = in->price.amount,
		.currency = or_else(in->price.currency, req->app->conf->currency),
		.condition = or_else(in->condition, product_conditions[0]),
		.quantity = (int32_t)in->stock,
		.threshold = (int32_t)in->lowThreshold };
	char id[UUID_TEXT + 1];
	struct filtered hint = { 0 };
	struct rows *rows;

	enum problem p = texts_check(req, &q.title, &q.description, &hint);
	if (p)
		return p;
	filter_begin(req, &hint);
	p = q_product_create(req->db, &q, &rows, &req->err);
	if ((p = filter_end_public(req, p, &hint, NULL)))
		return p;
	uuid_text(&q.id, id);
	resp_header(req, "Location", "/api/v1/products/%s", id);
	return resp_row(req, rows);
}

static enum problem
product_update(struct request *req)
{
	const struct product_update *in = req->body;
	struct str nulls[PATCH_NULLS_MAX];
	struct q_product_update q = { .category = in->categoryId,
		.title = in->title,
		.description = in->description,
		.price = in->price ? &in->price->amount : NULL,
		.currency = in->price ? in->price->currency : (struct str){ 0 },
		.condition = in->condition,
		.status = in->status };
	struct filtered hint = { 0 };
	struct rows *rows;
	size_t n;

	enum problem p = req_uuid(req, 0, &q.id);
	if (!p)
		p = patch_version(req, &q.version);
	if (!p)
		p = patch_nulls(req, &product_update_in, CLEARABLE, nulls, &n);
	if (!p)
		p = texts_check(req, &q.title, &q.description, &hint);
	if (p)
		return p;
	if (n > 0)
		q.description = STR("");
	filter_begin(req, &hint);
	p = q_product_update(req->db, &q, &rows, &req->err);
	p = filter_end_public(req, p, &hint, NULL);
	return p ? p : resp_row(req, rows);
}

static enum problem
product_delete(struct request *req)
{
	struct q_product_delete q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (!p)
		p = q_product_delete(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

/* ---- stock ---- */

static enum problem
stock_get(struct request *req)
{
	struct q_stock_get q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (!p)
		p = q_stock_get(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
set_stock(struct request *req, const int64_t *stock, const int64_t *delta, const int64_t *threshold)
{
	/* The schemas keep all three within STOCK_MAX. */
	int32_t v[] = { stock ? (int32_t)*stock : 0, delta ? (int32_t)*delta : 0,
		threshold ? (int32_t)*threshold : 0 };
	struct q_stock_set q = { .quantity = stock ? &v[0] : NULL,
		.delta = delta ? &v[1] : NULL,
		.threshold = threshold ? &v[2] : NULL };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (!p)
		p = q_stock_set(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
stock_put(struct request *req)
{
	const struct stock_put *in = req->body;

	return set_stock(req, in->stock, NULL, in->lowThreshold);
}

/* Unlike PUT this cannot be repeated without harm, hence its idempotency key. */
static enum problem
stock_add(struct request *req)
{
	const struct stock_add *in = req->body;

	return set_stock(req, NULL, &in->delta, NULL);
}

#define OWNER (ROLE_SELLER | ROLE_ADMIN)

static const struct route rows[] = {
	{ HTTP_GET, "/products/:id", product_get, .roles = ROLE_PUBLIC, .returns = &product_out,
		.tag = "Catalogue", .name = "productGet",
		.doc = "A product; one that is hidden only for its seller and the staff" },
	{ HTTP_POST, "/products", product_create, .roles = ROLE_SELLER, .body = &product_create_in,
		.returns = &product_out, .status = 201, .limit = LIMIT_WRITE,
		.problems = { P_FILTERED }, .tag = "Catalogue", .name = "productCreate",
		.doc = "Puts a product on sale; pictures follow" },
	{ HTTP_PUT, "/products/:id", product_update, .roles = OWNER, .body = &product_update_in,
		.returns = &product_out, .limit = LIMIT_WRITE,
		.problems = { P_BAD_TRANSITION, P_FILTERED }, .tag = "Catalogue",
		.name = "productPut", .doc = "Changes the members that are sent" },
	{ HTTP_PATCH, "/products/:id", product_update, .roles = OWNER, .body = &product_update_in,
		.returns = &product_out, .limit = LIMIT_WRITE, .if_match = true,
		.problems = { P_BAD_TRANSITION, P_FILTERED }, .tag = "Catalogue",
		.name = "productPatch", .doc = "Merge patch (RFC 7396) of a product" },
	{ HTTP_DELETE, "/products/:id", product_delete, .roles = OWNER, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Catalogue", .name = "productDelete",
		.doc = "Takes a product off the market for ever" },
	{ HTTP_GET, "/products/:id/stock", stock_get, .roles = OWNER, .returns = &stock_out,
		.tag = "Inventory", .name = "stockGet", .doc = "Stock and threshold of a product" },
	{ HTTP_PUT, "/products/:id/stock", stock_put, .roles = OWNER, .body = &stock_put_in,
		.returns = &stock_out, .limit = LIMIT_WRITE, .tag = "Inventory", .name = "stockPut",
		.doc = "Sets the stock as counted, or the threshold" },
	{ HTTP_POST, "/products/:id/stock", stock_add, .roles = OWNER, .body = &stock_add_in,
		.returns = &stock_out, .limit = LIMIT_WRITE, .idem = true,
		.problems = { P_OUT_OF_STOCK }, .tag = "Inventory", .name = "stockAdd",
		.doc = "Adds units that came, or takes away those that went" },
};
const struct route_table product_routes = ROUTES(rows);
