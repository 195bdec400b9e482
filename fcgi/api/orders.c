/* Checkout, orders and their steps. */
#include "api/api.h"
#include "api/cart.h"
#include "queries.h"

/* ---- shapes ---- */

struct payment_in {
	struct str method;
	struct str token;
};
static const char *const payment_methods[] = { "mock", NULL };
static const struct field payment_in_fields[] = {
	FIELD(payment_in, method, T_ENUM, .values = payment_methods, .required = true),
	FIELD(payment_in, token, T_TEXT, .required = true, .min = 1, .max = 200,
		.doc = "of the mock provider: tok_success, tok_declined or tok_timeout"),
};
static const struct schema payment_in_schema =
	SCHEMA("PaymentInput", payment_in, payment_in_fields);

struct order_line_in {
	struct uuid productId;
	int64_t quantity;
};
static const struct field order_line_in_fields[] = {
	FIELD(order_line_in, productId, T_UUID, .required = true, .alias = "product_id"),
	FIELD(order_line_in, quantity, T_INT, .required = true, .min = 1, .max = QUANTITY_MAX),
};
static const struct schema order_line_in_schema =
	SCHEMA("OrderLineInput", order_line_in, order_line_in_fields);

/* Everything but where the lines come from; the last two members are for POST /orders only. */
struct checkout {
	struct payment_in payment;
	const struct money *expectedTotal;
	struct str address;
	struct str note;
	const struct uuid *cartId;
	struct array items;
};
#define CHECKOUT_FIELDS                                                                 \
	FIELD(checkout, payment, T_OBJECT, .of = &payment_in_schema, .required = true), \
		FIELD(checkout, expectedTotal, T_MONEY,                                 \
			.doc = "refused when today's total differs"),                   \
		FIELD(checkout, address, T_TEXT, .max = 500),                           \
		FIELD(checkout, note, T_TEXT, .max = 500)
static const struct field checkout_fields[] = { CHECKOUT_FIELDS };
static const struct schema checkout_schema = SCHEMA("Checkout", checkout, checkout_fields);
static const struct field order_create_fields[] = {
	CHECKOUT_FIELDS,
	FIELD(checkout, cartId, T_UUID, .doc = "order this cart; otherwise give items"),
	FIELD(checkout, items, T_ARRAY, .of = &order_line_in_schema, .max = CART_LINES_MAX),
};
static const struct schema order_create_schema =
	SCHEMA("OrderCreate", checkout, order_create_fields);

struct order_reason {
	struct str reason;
};
static const struct field order_reason_fields[] = {
	FIELD(order_reason, reason, T_TEXT, .max = 500),
};
static const struct schema order_reason_schema =
	SCHEMA("OrderReason", order_reason, order_reason_fields);

struct order_query {
	int64_t limit;
	struct str cursor;
	struct str as;
};
static const char *const order_views[] = { "buyer", "seller", "all", NULL };
static const struct field order_query_fields[] = {
	FIELD(order_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(order_query, cursor, T_TEXT),
	FIELD_AS(order_query, as, "as", T_ENUM, .values = order_views,
		.doc = "buyer: purchases; seller: sales; all: every order, for administrators; "
		       "default by role"),
};
static const struct schema order_query_schema =
	SCHEMA("OrderQuery", order_query, order_query_fields);

static const char *const order_states[] = { "pending", "payment_confirmed", "payment_failed",
	"confirmed", "delivered", "completed", "cancelled", NULL };
static const char *const payment_states[] = { "processing", "paid", "failed", "refunded", NULL };
static const char *const group_states[] = { "processing", "paid", "failed", "refunded",
	"partially_refunded", NULL };
static const char *const fulfilment_states[] = { "unfulfilled", "fulfilled", NULL };
static const char *const actors[] = { "buyer", "seller", "admin", "system", NULL };

static const char *const delivery_states[] = { "assigned", "in_transit", "completed", "failed",
	NULL };

struct delivery_in {
	struct str state, carrier, tracking, eta;
};
static const struct field delivery_in_fields[] = {
	FIELD(delivery_in, state, T_ENUM, .values = delivery_states, .required = true,
		.doc = "completed makes the order a delivered one"),
	FIELD(delivery_in, carrier, T_TEXT, .min = 1, .max = 100),
	FIELD(delivery_in, tracking, T_TEXT, .min = 1, .max = 100),
	FIELD(delivery_in, eta, T_TIME),
};
static const struct schema delivery_in_schema =
	SCHEMA("DeliveryUpdate", delivery_in, delivery_in_fields);
static const struct field delivery_fields[] = {
	OUT("state", T_ENUM, .values = delivery_states),
	OUT_NULL("carrier", T_TEXT),
	OUT_NULL("tracking", T_TEXT),
	OUT_NULL("eta", T_TIME),
};
static const struct schema delivery_out = SCHEMA_OUT("Delivery", delivery_fields);

static const struct field order_line_fields[] = {
	OUT("productId", T_UUID),
	OUT("title", T_TEXT, .doc = "as it was when bought"),
	OUT("quantity", T_INT, .min = 1, .max = QUANTITY_MAX),
	OUT("unitPrice", T_MONEY),
	OUT("subtotal", T_MONEY),
};
static const struct schema order_line = SCHEMA_OUT("OrderLine", order_line_fields);
static const struct field order_fields[] = {
	OUT("id", T_UUID),
	OUT("number", T_INT),
	OUT("groupId", T_UUID),
	OUT("status", T_ENUM, .values = order_states),
	OUT("paymentStatus", T_ENUM, .values = payment_states),
	OUT("fulfilmentStatus", T_ENUM, .values = fulfilment_states),
	OUT("buyerId", T_UUID),
	OUT("sellerId", T_UUID),
	OUT("shopId", T_UUID),
	OUT("items", T_ARRAY, .of = &order_line),
	OUT("total", T_MONEY),
	OUT("address", T_TEXT),
	OUT("note", T_TEXT),
	OUT_NULL("delivery", T_OBJECT, .of = &delivery_out, .doc = "null while nothing is told"),
	OUT("version", T_INT),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema order_out = SCHEMA_OUT("Order", order_fields);
static const struct field group_fields[] = {
	OUT("id", T_UUID),
	OUT("total", T_MONEY),
	OUT("refunded", T_MONEY),
	OUT("paymentStatus", T_ENUM, .values = group_states),
	OUT("createdAt", T_TIME),
	OUT("orders", T_ARRAY, .of = &order_out, .doc = "one for each seller"),
};
static const struct schema group_out = SCHEMA_OUT("OrderGroup", group_fields);
static const struct field event_fields[] = {
	OUT("n", T_INT),
	OUT("status", T_ENUM, .values = order_states),
	OUT("actor", T_ENUM, .values = actors),
	OUT_NULL("actorId", T_UUID),
	OUT("reason", T_TEXT),
	OUT("createdAt", T_TIME),
};
static const struct schema event_out = SCHEMA_OUT("OrderEvent", event_fields);

/* ---- checkout ---- */

static struct str
or_empty(struct str s)
{
	return s.p ? s : STR("");
}

/* The members of a list of lines as arrays. */
static void
take_lines(struct request *req, const struct array *items, struct q_order_place *q)
{
	const struct order_line_in *lines = items->v;
	struct uuid *products = arena_calloc(req->arena, items->n, sizeof(*products));
	int64_t *quantities = arena_calloc(req->arena, items->n, sizeof(*quantities));

	for (size_t i = 0; i < items->n; i++) {
		products[i] = lines[i].productId;
		quantities[i] = lines[i].quantity;
	}
	q->products = (struct uuid_array){ products, items->n };
	q->quantities = (struct i64_array){ quantities, items->n };
}

/* Where a product stands for the second time; the number of lines when none does. */
static size_t
repeated_line(const struct array *items)
{
	const struct order_line_in *lines = items->v;

	for (size_t i = 1; i < items->n; i++)
		for (size_t j = 0; j < i; j++)
			if (uuid_eq(&lines[i].productId, &lines[j].productId))
				return i;
	return items->n;
}

static enum problem
place(struct request *req, struct q_order_place *q)
{
	const struct checkout *in = req->body;
	struct rows *rows;
	char id[UUID_TEXT + 1];

	q->group = uuid_new();
	q->token = in->payment.token;
	if (in->expectedTotal) {
		q->expected = &in->expectedTotal->amount;
		q->currency = in->expectedTotal->currency;
	}
	q->address = or_empty(in->address);
	q->note = or_empty(in->note);
	/* With If-Match the cart is ordered only as the buyer last saw it. */
	enum problem p = cart_version(req, &q->version);
	if (!p)
		p = q_order_place(req->db, q, &rows, &req->err);
	if (p)
		return p;
	uuid_text(&q->group, id);
	resp_header(req, "Location", "/api/v1/order-groups/%s", id);
	return resp_row(req, rows);
}

static enum problem
cart_checkout(struct request *req)
{
	struct q_order_place q = { 0 };
	struct uuid cart;
	enum problem p = req_uuid(req, 0, &cart);

	q.cart = &cart;
	return p ? p : place(req, &q);
}

static enum problem
order_create(struct request *req)
{
	const struct checkout *in = req->body;
	struct q_order_place q = { .cart = in->cartId };

	if ((in->cartId != NULL) == (in->items.n > 0)) {
		err_field(&req->err, "/items", "either_or", "give cartId or items");
		return ERR(&req->err, P_INVALID, "cartId and items");
	}
	size_t again = repeated_line(&in->items);
	if (again < in->items.n) {
		const char *at = arena_printf(req->arena, "/items/%zu/productId", again);
		err_field(&req->err, at, "repeated", "the product stands in two lines");
		return ERR(&req->err, P_INVALID, "line %zu repeats a product", again);
	}
	if (!in->cartId)
		take_lines(req, &in->items, &q);
	return place(req, &q);
}

/* ---- reading ---- */

static enum problem
order_get(struct request *req)
{
	struct q_order_get q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_order_get(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
list(struct request *req, const char *as)
{
	const struct order_query *in = req->query;
	struct str part[CURSOR_PARTS];
	struct uuid after_id;
	const struct uuid *after = NULL;
	int32_t limit = (int32_t)in->limit;
	struct rows *rows;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 1)))
			return p;
		if (!uuid_parse(part[0], &after_id))
			return ERR(&req->err, P_BAD_CURSOR, "no id in the cursor");
		after = &after_id;
	}
	if (strcmp(as, "seller") == 0)
		p = q_order_list_seller(
			req->db, &(struct q_order_list_seller){ after, limit }, &rows, &req->err);
	else if (strcmp(as, "all") == 0)
		p = q_order_list_all(
			req->db, &(struct q_order_list_all){ after, limit }, &rows, &req->err);
	else
		p = q_order_list_buyer(
			req->db, &(struct q_order_list_buyer){ after, limit }, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
order_list(struct request *req)
{
	const struct order_query *in = req->query;
	const char *by_role = req_has_role(req, ROLE_ADMIN)    ? "all"
			      : req_has_role(req, ROLE_SELLER) ? "seller"
							       : "buyer";

	return list(req, in->as.p ? str_z(req->arena, in->as) : by_role);
}

static enum problem
order_list_mine(struct request *req)
{
	return list(req, "buyer");
}

static enum problem
order_list_sold(struct request *req)
{
	return list(req, "seller");
}

static enum problem
order_history(struct request *req)
{
	struct q_order_history q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_order_history(req->db, &q, &rows, &req->err)))
		return p;
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "no such order for the caller");
	return resp_page(req, rows, LIMIT_PAGE);
}

static enum problem
group_get(struct request *req)
{
	struct q_order_group_get q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_order_group_get(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

/* ---- steps ---- */

static enum problem
move(struct request *req, const char *status)
{
	const struct order_reason *in = req->body;
	struct q_order_move q = { .status = str_of(status),
		.reason = in ? or_empty(in->reason) : STR("") };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.id)) || (p = cart_version(req, &q.version)))
		return p;
	p = q_order_move(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
order_cancel(struct request *req)
{
	return move(req, "cancelled");
}

static enum problem
order_confirm(struct request *req)
{
	return move(req, "confirmed");
}

static enum problem
order_delivered(struct request *req)
{
	return move(req, "delivered");
}

static enum problem
order_complete(struct request *req)
{
	return move(req, "completed");
}

static enum problem
delivery_update(struct request *req)
{
	const struct delivery_in *in = req->body;
	struct q_delivery_update q = {
		.state = in->state, .carrier = in->carrier, .tracking = in->tracking, .eta = in->eta
	};
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.id)) || (p = cart_version(req, &q.version)))
		return p;
	p = q_delivery_update(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

#define CHECKOUT_PROBLEMS                                                                      \
	{                                                                                      \
		P_CART_EMPTY, P_OUT_OF_STOCK, P_PRICE_CHANGED, P_CONFLICT, P_PAYMENT_DECLINED, \
			P_NOT_FOUND, P_PRECONDITION, P_OWN_PRODUCT, P_PRODUCT_UNAVAILABLE      \
	}
#define STEP_PROBLEMS                            \
	{                                        \
		P_BAD_TRANSITION, P_PRECONDITION \
	}

static const struct route rows[] = {
	{ HTTP_POST, "/carts/:id/checkout", cart_checkout, .roles = ROLE_ANY,
		.body = &checkout_schema, .status = 201, .returns = &group_out,
		.limit = LIMIT_CHECKOUT, .idem = true, .problems = CHECKOUT_PROBLEMS,
		.tag = "Orders", .name = "cartCheckout",
		.doc = "Turns the cart into orders, one for each seller, and pays them" },
	{ HTTP_POST, "/orders", order_create, .roles = ROLE_ANY, .body = &order_create_schema,
		.status = 201, .returns = &group_out, .limit = LIMIT_CHECKOUT, .idem = true,
		.problems = CHECKOUT_PROBLEMS, .tag = "Orders", .name = "orderCreate",
		.doc = "Orders a cart or a list of lines" },
	{ HTTP_GET, "/orders", order_list, .roles = ROLE_ANY, .query = &order_query_schema,
		.returns = &order_out, .page = true, .problems = { P_BAD_CURSOR }, .tag = "Orders",
		.name = "orderList", .doc = "Orders of the caller, newest first" },
	{ HTTP_GET, "/orders/my-orders", order_list_mine, .roles = ROLE_ANY,
		.query = &order_query_schema, .returns = &order_out, .page = true, .tag = "Orders",
		.name = "orderListMine", .doc = "Purchases of the caller" },
	{ HTTP_GET, "/orders/seller/orders", order_list_sold, .roles = ROLE_SELLER | ROLE_ADMIN,
		.query = &order_query_schema, .returns = &order_out, .page = true, .tag = "Orders",
		.name = "orderListSold", .doc = "Sales of the caller" },
	{ HTTP_GET, "/orders/:id", order_get, .roles = ROLE_ANY, .returns = &order_out,
		.tag = "Orders", .name = "orderGet",
		.doc = "An order, for its buyer, its seller and administrators" },
	{ HTTP_GET, "/orders/:id/history", order_history, .roles = ROLE_ANY, .returns = &event_out,
		.page = true, .tag = "Orders", .name = "orderHistory",
		.doc = "The steps of an order" },
	{ HTTP_POST, "/orders/:id/cancel", order_cancel, .roles = ROLE_ANY,
		.body = &order_reason_schema, .returns = &order_out, .limit = LIMIT_WRITE,
		.problems = STEP_PROBLEMS, .tag = "Orders", .name = "orderCancel",
		.doc = "Cancels an order; units return to the stock, money to the buyer" },
	{ HTTP_POST, "/orders/:id/confirm", order_confirm, .roles = ROLE_SELLER | ROLE_ADMIN,
		.returns = &order_out, .limit = LIMIT_WRITE, .problems = STEP_PROBLEMS,
		.tag = "Orders", .name = "orderConfirm", .doc = "The seller accepts a paid order" },
	{ HTTP_PATCH, "/orders/:id/mark-delivered", order_delivered,
		.roles = ROLE_SELLER | ROLE_ADMIN, .returns = &order_out, .limit = LIMIT_WRITE,
		.problems = STEP_PROBLEMS, .tag = "Orders", .name = "orderMarkDelivered",
		.doc = "The seller has delivered" },
	{ HTTP_PATCH, "/orders/:id/delivery", delivery_update, .roles = ROLE_SELLER | ROLE_ADMIN,
		.body = &delivery_in_schema, .returns = &order_out, .limit = LIMIT_WRITE,
		.problems = STEP_PROBLEMS, .tag = "Orders", .name = "orderDelivery",
		.doc = "The seller tells where the goods of a confirmed order are" },
	{ HTTP_POST, "/orders/:id/complete", order_complete, .roles = ROLE_ANY,
		.returns = &order_out, .limit = LIMIT_WRITE, .problems = STEP_PROBLEMS,
		.tag = "Orders", .name = "orderComplete",
		.doc = "The buyer has received the goods" },
	{ HTTP_GET, "/order-groups/:id", group_get, .roles = ROLE_ANY, .returns = &group_out,
		.tag = "Orders", .name = "orderGroupGet", .doc = "A purchase with its orders" },
};
const struct route_table order_routes = ROUTES(rows);
