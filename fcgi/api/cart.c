/* Carts: of a signed-in buyer, or of a guest who holds the cart's signed token. */
#include "api/api.h"

#include "api/cart.h"
#include "base/encode.h"
#include "io/digest.h"
#include "io/json.h"
#include "queries.h"

#define TOKEN_MAC 16 /* bytes of the HMAC that are kept */

/* ---- shapes ---- */

struct cart_item_in {
	struct uuid productId;
	int64_t quantity;
};
static const struct field cart_item_in_fields[] = {
	FIELD(cart_item_in, productId, T_UUID, .required = true, .alias = "product_id"),
	FIELD(cart_item_in, quantity, T_INT, .min = 1, .max = QUANTITY_MAX, .has_default = true,
		.def = 1),
};
static const struct schema cart_item_in_schema =
	SCHEMA("CartItemAdd", cart_item_in, cart_item_in_fields);

struct cart_quantity {
	int64_t quantity;
};
static const struct field cart_quantity_fields[] = {
	FIELD(cart_quantity, quantity, T_INT, .required = true, .min = 0, .max = QUANTITY_MAX,
		.doc = "0 removes the line"),
};
static const struct schema cart_quantity_schema =
	SCHEMA("CartQuantity", cart_quantity, cart_quantity_fields);

struct cart_merge {
	struct str cartToken;
};
static const struct field cart_merge_fields[] = {
	FIELD(cart_merge, cartToken, T_TEXT, .required = true, .min = 1, .max = 64),
};
static const struct schema cart_merge_schema = SCHEMA("CartMerge", cart_merge, cart_merge_fields);

static const struct field cart_line_fields[] = {
	OUT("productId", T_UUID),
	OUT("title", T_TEXT),
	OUT("sellerId", T_UUID),
	OUT("shopId", T_UUID),
	OUT("quantity", T_INT, .min = 1, .max = QUANTITY_MAX),
	OUT("unitPrice", T_MONEY, .doc = "today's price"),
	OUT("subtotal", T_MONEY),
	OUT("agreed", T_BOOL, .doc = "the price is the one of an offer"),
	OUT("priceChanged", T_BOOL, .doc = "the price differs from the one at adding"),
	OUT("available", T_BOOL, .doc = "the line could be ordered now"),
};
static const struct schema cart_line = SCHEMA_OUT("CartLine", cart_line_fields);
static const struct field cart_fields[] = {
	OUT("id", T_UUID),
	OUT("version", T_INT),
	OUT("expiresAt", T_TIME),
	OUT("items", T_ARRAY, .of = &cart_line),
	OUT("quantity", T_INT),
	OUT_NULL("total", T_MONEY,
		.doc = "none while there is no line, or lines of several currencies"),
};
static const struct schema cart_out = SCHEMA_OUT("Cart", cart_fields);

/* ---- guest tokens: base64url(id, HMAC-SHA256(secret, "cart" id)[0..16)) ---- */

static void
token_mac(const struct app *app, const struct uuid *id, uint8_t mac[SHA256_BYTES])
{
	char text[4 + sizeof(id->b)] = "cart";

	memcpy(text + 4, id->b, sizeof(id->b));
	hmac_sha256(str_of(app->blob_secret), (struct str){ text, sizeof(text) }, mac);
}

static struct str
token_make(struct request *req, const struct uuid *id)
{
	uint8_t mac[SHA256_BYTES], raw[sizeof(id->b) + TOKEN_MAC];
	struct buf b;

	token_mac(req->app, id, mac);
	memcpy(raw, id->b, sizeof(id->b));
	memcpy(raw + sizeof(id->b), mac, TOKEN_MAC);
	buf_init(&b, req->arena, 64);
	base64url_put(&b, raw, sizeof(raw));
	return buf_str(&b);
}

static bool
token_read(struct request *req, struct str token, struct uuid *id)
{
	uint8_t mac[SHA256_BYTES];
	struct str raw;

	if (!base64url_get(req->arena, token, &raw) || raw.n != sizeof(id->b) + TOKEN_MAC)
		return false;
	memcpy(id->b, raw.p, sizeof(id->b));
	token_mac(req->app, id, mac);
	return secret_eq(
		str_sub(raw, sizeof(id->b), raw.n), (struct str){ (const char *)mac, TOKEN_MAC });
}

/* The guest's cart that a good X-Cart-Token names; NULL without one. */
static const struct uuid *
cart_guest(struct request *req)
{
	struct str token = req_header(req, "X_CART_TOKEN");
	struct uuid *id = ARENA_NEW(req->arena, struct uuid);

	return token.n > 0 && token_read(req, token, id) ? id : NULL;
}

/* ---- handlers ---- */

/* The caller's cart. A guest's token that comes along with a sign-in is merged. */
static enum problem
cart_open(struct request *req)
{
	bool guest = req->who.role == ROLE_NONE;
	struct q_cart_open q = { .id = uuid_new(), .guest = guest ? NULL : cart_guest(req) };
	struct rows *rows;
	enum problem p = q_cart_open(req->db, &q, &rows, &req->err);

	if (p)
		return p;
	struct uuid id = rows_uuid(rows, 0, Q_CART_OPEN_ID);
	resp_status(req, rows_bool(rows, 0, Q_CART_OPEN_CREATED) ? 201 : 200);
	resp_header(
		req, "Location", "/api/v1/carts/%.*s", STR_ARG(rows_str(rows, 0, Q_CART_OPEN_ID)));
	if (guest)
		resp_header(req, "X-Cart-Token", "%.*s", STR_ARG(token_make(req, &id)));
	return resp_row(req, rows);
}

static enum problem
cart_get(struct request *req)
{
	struct q_cart_read q = { .guest = cart_guest(req) };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.cart);

	if (p || (p = q_cart_read(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

/* The seeds' list of carts: the open one, if there is any. */
static enum problem
cart_list(struct request *req)
{
	struct rows *rows;
	enum problem p = q_cart_mine(req->db, &(struct q_cart_mine){ 0 }, &rows, &req->err);

	return p ? p : resp_page(req, rows, LIMIT_PAGE);
}

enum problem
cart_version(struct request *req, int32_t *version)
{
	int64_t v = 0;

	if (req_header(req, "IF_MATCH").n > 0) {
		enum problem p = req_if_match(req, &v);
		if (p)
			return p;
	}
	if (v > INT32_MAX)
		return ERR(&req->err, P_PRECONDITION, "no such version");
	*version = (int32_t)v;
	return P_OK;
}

static enum problem
put_line(struct request *req, struct uuid product, int64_t quantity, bool add)
{
	struct q_cart_put q = { .guest = cart_guest(req),
		.product = product,
		.quantity = (int32_t)quantity,
		.add = add };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.cart)) || (p = cart_version(req, &q.version)))
		return p;
	p = q_cart_put(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
remove_lines(struct request *req, const struct uuid *product)
{
	struct q_cart_remove q = { .guest = cart_guest(req), .product = product };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.cart)) || (p = cart_version(req, &q.version)))
		return p;
	p = q_cart_remove(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
cart_item_add(struct request *req)
{
	const struct cart_item_in *in = req->body;

	return put_line(req, in->productId, in->quantity, true);
}

static enum problem
cart_item_set(struct request *req)
{
	const struct cart_quantity *in = req->body;
	struct uuid product;
	enum problem p = req_uuid(req, 1, &product);

	if (p)
		return p;
	if (in->quantity == 0)
		return remove_lines(req, &product);
	return put_line(req, product, in->quantity, false);
}

static enum problem
cart_item_remove(struct request *req)
{
	struct uuid product;
	enum problem p = req_uuid(req, 1, &product);

	return p ? p : remove_lines(req, &product);
}

static enum problem
cart_empty(struct request *req)
{
	return remove_lines(req, NULL);
}

static enum problem
cart_drop(struct request *req)
{
	struct q_cart_drop q = { .guest = cart_guest(req) };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.cart)) || (p = cart_version(req, &q.version)))
		return p;
	p = q_cart_drop(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static enum problem
cart_merge(struct request *req)
{
	const struct cart_merge *in = req->body;
	struct q_cart_merge q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.cart);

	if (p)
		return p;
	if (!token_read(req, in->cartToken, &q.guest))
		return ERR(&req->err, P_NOT_FOUND, "not a cart token of ours");
	p = q_cart_merge(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

#define GUEST_OR_ANY (ROLE_PUBLIC | ROLE_ANY)

static const struct route rows[] = {
	{ HTTP_GET, "/carts", cart_list, .roles = ROLE_ANY, .returns = &cart_out, .page = true,
		.tag = "Carts", .name = "cartList", .doc = "The caller's open cart as a list" },
	{ HTTP_POST, "/carts", cart_open, .roles = GUEST_OR_ANY, .status = 201, .other_status = 200,
		.returns = &cart_out, .limit = LIMIT_WRITE, .problems = { P_CONFLICT },
		.tag = "Carts", .name = "cartOpen",
		.doc = "The open cart, made if there is none; guests get X-Cart-Token, and what it "
		       "names joins the cart when it is sent after sign-in" },
	{ HTTP_GET, "/carts/:id", cart_get, .roles = GUEST_OR_ANY, .returns = &cart_out,
		.tag = "Carts", .name = "cartGet", .doc = "A cart at today's prices" },
	{ HTTP_GET, "/carts/:id/with-products", cart_get, .roles = GUEST_OR_ANY,
		.returns = &cart_out, .hidden = true, .tag = "Carts", .name = "cartGetWithProducts",
		.doc = "A cart at today's prices" },
	{ HTTP_DELETE, "/carts/:id", cart_drop, .roles = GUEST_OR_ANY, .status = 204,
		.limit = LIMIT_WRITE, .problems = { P_PRECONDITION }, .tag = "Carts",
		.name = "cartDelete", .doc = "Ends a cart" },
	{ HTTP_POST, "/carts/:id/empty", cart_empty, .roles = GUEST_OR_ANY, .returns = &cart_out,
		.limit = LIMIT_WRITE, .problems = { P_PRECONDITION }, .tag = "Carts",
		.name = "cartEmpty", .doc = "Removes all lines" },
	{ HTTP_POST, "/carts/:id/products", cart_item_add, .roles = GUEST_OR_ANY,
		.body = &cart_item_in_schema, .returns = &cart_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT, P_PRECONDITION, P_OWN_PRODUCT, P_PRODUCT_UNAVAILABLE },
		.tag = "Carts", .name = "cartItemAdd", .doc = "Adds units of a product" },
	{ HTTP_PUT, "/carts/:id/products/:productId", cart_item_set, .roles = GUEST_OR_ANY,
		.body = &cart_quantity_schema, .returns = &cart_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT, P_PRECONDITION, P_OWN_PRODUCT, P_PRODUCT_UNAVAILABLE },
		.tag = "Carts", .name = "cartItemSet", .doc = "Sets the quantity of a line" },
	{ HTTP_DELETE, "/carts/:id/products/:productId", cart_item_remove, .roles = GUEST_OR_ANY,
		.returns = &cart_out, .limit = LIMIT_WRITE, .problems = { P_PRECONDITION },
		.tag = "Carts", .name = "cartItemRemove", .doc = "Removes a line" },
	{ HTTP_POST, "/carts/:id/merge", cart_merge, .roles = ROLE_ANY, .body = &cart_merge_schema,
		.returns = &cart_out, .limit = LIMIT_WRITE, .problems = { P_CONFLICT },
		.tag = "Carts", .name = "cartMerge", .doc = "Adds a guest's cart to the caller's" },
};
const struct route_table cart_routes = ROUTES(rows);
