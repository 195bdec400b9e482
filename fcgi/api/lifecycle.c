/* The end of things: how long messages are kept, and the erasure of an account. */
#include "api/api.h"
#include "api/auth.h"
#include "io/password.h"
#include "queries.h"

#define RETENTION_DAYS_MIN 62 /* feeds are kept so long */
#define RETENTION_DAYS_MAX 36500
#define PASSWORD_MAX 256
#define REASON_MIN 3
#define REASON_MAX 500
#define HASH_TEXT 64

struct retention {
	const int64_t *chat, *chatOrder, *group;
};
#define DAYS .min = RETENTION_DAYS_MIN, .max = RETENTION_DAYS_MAX
static const struct field retention_fields[] = {
	FIELD(retention, chat, T_INT, DAYS),
	FIELD(retention, chatOrder, T_INT, DAYS),
	FIELD(retention, group, T_INT, DAYS),
};
static const struct schema retention_schema =
	SCHEMA("RetentionUpdate", retention, retention_fields);
static const struct field retention_out_fields[] = {
	OUT("chat", T_INT, .doc = "days, of conversations of two without an order between them"),
	OUT("chatOrder", T_INT, .doc = "of those with one"),
	OUT("group", T_INT),
};
static const struct schema retention_out = SCHEMA_OUT("Retention", retention_out_fields);

struct export_query {
	struct str reason;
	int64_t limit;
	struct str cursor;
};
static const struct field export_query_fields[] = {
	FIELD(export_query, reason, T_TEXT, .required = true, .min = REASON_MIN, .max = REASON_MAX,
		.doc = "stands in the audit trail"),
	FIELD(export_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE),
	FIELD(export_query, cursor, T_TEXT),
};
static const struct schema export_query_schema =
	SCHEMA("ChatExportQuery", export_query, export_query_fields);
static const struct field export_fields[] = {
	OUT("seq", T_INT, .doc = "0 is the conversation itself"),
	OUT("record", T_TEXT, .doc = "JSON text, to be hashed as it is"),
	OUT("chainHash", T_TEXT,
		.doc = "SHA-256 of the hash before, as bytes, and the record; before the first "
		       "comes SHA-256 of the conversation's id"),
};
static const struct schema export_out = SCHEMA_OUT("ChatExportRecord", export_fields);

struct ask {
	struct str password;
};
static const struct field ask_fields[] = {
	FIELD(ask, password, T_TEXT, .required = true, .min = 1, .max = PASSWORD_MAX),
};
static const struct schema ask_schema = SCHEMA("ErasureRequest", ask, ask_fields);
static const struct field erasure_fields[] = {
	OUT("askedAt", T_TIME),
	OUT("eraseAt", T_TIME, .doc = "until then it can be cancelled"),
};
static const struct schema erasure_out = SCHEMA_OUT("Erasure", erasure_fields);

static enum problem
retention_get(struct request *req)
{
	struct rows *rows;
	enum problem p = q_retention_get(req->db, &(struct q_retention_get){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

/* The bounds of the fields make it fit. */
static const int32_t *
days(struct request *req, const int64_t *in)
{
	int32_t *out = in ? arena_alloc(req->arena, sizeof(*out)) : NULL;

	if (out)
		*out = (int32_t)*in;
	return out;
}

static enum problem
retention_set(struct request *req)
{
	const struct retention *in = req->body;
	struct q_retention_set q = { .chat = days(req, in->chat),
		.order = days(req, in->chatOrder),
		.group = days(req, in->group) };
	struct rows *rows;
	enum problem p = q_retention_set(req->db, &q, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
chat_export(struct request *req)
{
	const struct export_query *in = req->query;
	struct q_chat_export q = {
		.after = -1, .reason = in->reason, .limit = (int32_t)in->limit, .request = req->id
	};
	struct str part[CURSOR_PARTS];
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.chat);

	if (p)
		return p;
	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 2)))
			return p;
		if (!str_i64(part[0], &q.after) || part[1].n != HASH_TEXT)
			return ERR(&req->err, P_BAD_CURSOR, "no seq and hash in the cursor");
		q.hash = part[1];
	}
	p = q_chat_export(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
erasure_ask(struct request *req)
{
	const struct ask *in = req->body;
	struct rows *rows;
	struct q_erasure_ask q = { .days = (int32_t)req->app->conf->erasure_days };
	enum problem p =
		q_password_begin(req->db, &(struct q_password_begin){ 0 }, &rows, &req->err);

	if (p)
		return p;
	q.seen = rows_str(rows, 0, Q_PASSWORD_BEGIN_HASH);
	if (!password_verify(q.seen, in->password, NULL))
		return ERR(&req->err, P_BAD_CREDENTIALS, "wrong password");
	p = q_erasure_ask(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
erasure_get(struct request *req)
{
	struct rows *rows;
	enum problem p = q_erasure_get(req->db, &(struct q_erasure_get){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
erasure_cancel(struct request *req)
{
	struct rows *rows;
	enum problem p =
		q_erasure_cancel(req->db, &(struct q_erasure_cancel){ 0 }, &rows, &req->err);

	return p ? p : resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_GET, "/admin/retention", retention_get, .roles = ROLE_ADMIN,
		.returns = &retention_out, .tag = "Administration", .name = "retentionGet",
		.doc = "How long messages are kept" },
	{ HTTP_PATCH, "/admin/retention", retention_set, .roles = ROLE_ADMIN,
		.body = &retention_schema, .returns = &retention_out, .limit = LIMIT_WRITE,
		.tag = "Administration", .name = "retentionUpdate",
		.doc = "Changes it, from the next day on" },
	{ HTTP_GET, "/admin/chats/:id/export", chat_export, .roles = ROLE_ADMIN,
		.query = &export_query_schema, .returns = &export_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Administration", .name = "chatExport",
		.doc = "A conversation with all earlier texts, in a chain of hashes" },
	{ HTTP_POST, "/privacy/erasure", erasure_ask, .roles = ROLE_ANY, .body = &ask_schema,
		.status = 202, .returns = &erasure_out, .limit = LIMIT_LOGIN,
		.problems = { P_BAD_CREDENTIALS, P_CONFLICT }, .tag = "Privacy",
		.name = "erasureAsk",
		.doc = "Erases the account after a delay, once its orders are over" },
	{ HTTP_GET, "/privacy/erasure", erasure_get, .roles = ROLE_ANY, .returns = &erasure_out,
		.problems = { P_NOT_FOUND }, .tag = "Privacy", .name = "erasureGet",
		.doc = "When the account will be erased" },
	{ HTTP_DELETE, "/privacy/erasure", erasure_cancel, .roles = ROLE_ANY, .status = 204,
		.limit = LIMIT_WRITE, .problems = { P_NOT_FOUND }, .tag = "Privacy",
		.name = "erasureCancel", .doc = "Keeps the account" },
};
const struct route_table lifecycle_routes = ROUTES(rows);
