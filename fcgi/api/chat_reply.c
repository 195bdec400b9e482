/* Canned replies: texts a shop uses often, with variables. */
#include "api/api.h"
#include "api/filter.h"
#include "queries.h"

#define TITLE_MAX 60
#define BODY_MAX 4000

struct canned {
	struct str title, body;
};
static const struct field canned_fields[] = {
	FIELD(canned, title, T_TEXT, .required = true, .min = 1, .max = TITLE_MAX),
	FIELD(canned, body, T_TEXT, .required = true, .min = 1, .max = BODY_MAX,
		.doc = "with {buyer}, {shop}, {me}, {product}, {price}, {order}"),
};
static const struct schema canned_schema = SCHEMA("CannedReplyInput", canned, canned_fields);

static const struct field canned_out_fields[] = {
	OUT("id", T_UUID),
	OUT("title", T_TEXT),
	OUT("body", T_TEXT),
	OUT("version", T_INT),
	OUT("updatedAt", T_TIME),
};
static const struct schema canned_out = SCHEMA_OUT("CannedReply", canned_out_fields);

struct fill {
	struct uuid chatId;
};
static const struct field fill_fields[] = {
	FIELD(fill, chatId, T_UUID, .required = true),
};
static const struct schema fill_schema = SCHEMA("CannedReplyFor", fill, fill_fields);
static const struct field filled_fields[] = {
	OUT("body", T_TEXT),
};
static const struct schema filled_out = SCHEMA_OUT("CannedReplyText", filled_fields);

static enum problem
canned_list(struct request *req)
{
	struct rows *rows;
	enum problem p = q_canned_list(req->db, &(struct q_canned_list){ 0 }, &rows, &req->err);

	return p ? p : resp_page(req, rows, LIMIT_PAGE);
}

/* Words only: contact data are a matter of the conversation in which the text is sent. */
static enum problem
check_texts(struct request *req, struct str *title, struct str *text, struct filtered *hint)
{
	enum problem p = filter_public(req, title, "/title", false, hint);

	return p ? p : filter_public(req, text, "/body", false, hint);
}

static enum problem
canned_make(struct request *req)
{
	const struct canned *in = req->body;
	struct q_canned_make q = { .title = in->title, .text = in->body };
	struct filtered hint = { 0 };
	struct rows *rows;
	enum problem p = check_texts(req, &q.title, &q.text, &hint);

	if (p)
		return p;
	filter_begin(req, &hint);
	p = q_canned_make(req->db, &q, &rows, &req->err);
	p = filter_end_public(req, p, &hint, NULL);
	return p ? p : resp_row(req, rows);
}

static enum problem
canned_change(struct request *req)
{
	const struct canned *in = req->body;
	struct q_canned_change q = { .title = in->title, .text = in->body };
	struct filtered hint = { 0 };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = check_texts(req, &q.title, &q.text, &hint)))
		return p;
	filter_begin(req, &hint);
	p = q_canned_change(req->db, &q, &rows, &req->err);
	p = filter_end_public(req, p, &hint, NULL);
	return p ? p : resp_row(req, rows);
}

static enum problem
canned_remove(struct request *req)
{
	struct q_canned_remove q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_canned_remove(req->db, &q, &rows, &req->err)))
		return p;
	return resp_empty(req);
}

static enum problem
canned_fill(struct request *req)
{
	const struct fill *in = req->query;
	struct q_canned_fill q = { .chat = in->chatId };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_canned_fill(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/canned-replies", canned_list, .roles = ROLE_ANY, .returns = &canned_out,
		.page = true, .problems = { P_NOT_FOUND }, .tag = "Shops", .name = "cannedList",
		.doc = "The canned replies of the shop the caller answers for" },
	{ HTTP_POST, "/canned-replies", canned_make, .roles = ROLE_ANY, .body = &canned_schema,
		.status = 201, .returns = &canned_out, .limit = LIMIT_WRITE,
		.problems = { P_NOT_FOUND, P_CONFLICT, P_FILTERED }, .tag = "Shops",
		.name = "cannedCreate", .doc = "A new canned reply" },
	{ HTTP_PUT, "/canned-replies/:id", canned_change, .roles = ROLE_ANY, .body = &canned_schema,
		.returns = &canned_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT, P_FILTERED }, .tag = "Shops", .name = "cannedUpdate",
		.doc = "Another title and text" },
	{ HTTP_DELETE, "/canned-replies/:id", canned_remove, .roles = ROLE_ANY, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Shops", .name = "cannedDelete",
		.doc = "Removes a canned reply" },
	{ HTTP_GET, "/canned-replies/:id/text", canned_fill, .roles = ROLE_ANY,
		.query = &fill_schema, .returns = &filled_out, .tag = "Shops", .name = "cannedText",
		.doc = "The text for one conversation, its variables filled in" },
};
const struct route_table canned_routes = ROUTES(rows);
