/* Announcements of the administrators, to everybody or to a role. */
#include "api/api.h"

#include "queries.h"

#define TEXT_MAX 1000

static const char *const audiences[] = { "all", "client", "seller", "admin", "moderator", NULL };
static const char *const levels[] = { "info", "warning", "critical", NULL };

struct broadcast_in {
	struct str audience, level, text, text_es, until;
};
static const struct field broadcast_in_fields[] = {
	FIELD(broadcast_in, audience, T_ENUM, .values = audiences, .doc = "all when absent"),
	FIELD(broadcast_in, level, T_ENUM, .values = levels, .doc = "info when absent"),
	FIELD(broadcast_in, text, T_TEXT, .required = true, .min = 1, .max = TEXT_MAX),
	FIELD_AS(broadcast_in, text_es, "textEs", T_TEXT, .min = 1, .max = TEXT_MAX,
		.doc = "the same in Spanish"),
	FIELD(broadcast_in, until, T_TIME, .required = true, .doc = "at most a year from now"),
};
static const struct schema broadcast_in_schema =
	SCHEMA("BroadcastCreate", broadcast_in, broadcast_in_fields);

struct broadcast_query {
	bool all;
};
static const struct field broadcast_query_fields[] = {
	FIELD(broadcast_query, all, T_BOOL, .has_default = true,
		.doc = "those for other roles too; administrators only"),
};
static const struct schema broadcast_query_schema =
	SCHEMA("BroadcastQuery", broadcast_query, broadcast_query_fields);

static const struct field broadcast_fields[] = {
	OUT("id", T_UUID),
	OUT("audience", T_ENUM, .values = audiences, .doc = "everybody, or a role"),
	OUT("level", T_ENUM, .values = levels),
	OUT("text", T_TEXT),
	OUT_NULL("textEs", T_TEXT),
	OUT("until", T_TIME),
	OUT("createdAt", T_TIME),
};
static const struct schema broadcast_out = SCHEMA_OUT("Broadcast", broadcast_fields);

static enum problem
broadcast_create(struct request *req)
{
	const struct broadcast_in *in = req->body;
	struct q_broadcast_create q = { .id = uuid_new(),
		.audience = in->audience.p ? in->audience : STR("all"),
		.level = in->level.p ? in->level : STR("info"),
		.text = in->text,
		.text_es = in->text_es,
		.until = in->until };
	struct rows *rows;
	enum problem p = q_broadcast_create(req->db, &q, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
broadcast_list(struct request *req)
{
	const struct broadcast_query *in = req->query;
	struct rows *rows;
	enum problem p = q_broadcast_list(
		req->db, &(struct q_broadcast_list){ .all = in->all }, &rows, &req->err);

	return p ? p : resp_page(req, rows, LIMIT_PAGE);
}

static enum problem
broadcast_delete(struct request *req)
{
	struct q_broadcast_end q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_broadcast_end(req->db, &q, &rows, &req->err)))
		return p;
	return resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_GET, "/broadcasts", broadcast_list, .roles = ROLE_ANY,
		.query = &broadcast_query_schema, .returns = &broadcast_out, .page = true,
		.tag = "Realtime", .name = "broadcastList",
		.doc = "What is announced to the caller now; ask once after connecting" },
	{ HTTP_POST, "/broadcasts", broadcast_create, .roles = ROLE_ADMIN,
		.body = &broadcast_in_schema, .status = 201, .returns = &broadcast_out,
		.limit = LIMIT_WRITE, .tag = "Realtime", .name = "broadcastCreate",
		.doc = "Announces something to everybody or to a role" },
	{ HTTP_DELETE, "/broadcasts/:id", broadcast_delete, .roles = ROLE_ADMIN, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Realtime", .name = "broadcastDelete",
		.doc = "Withdraws an announcement before its time" },
};
const struct route_table broadcast_routes = ROUTES(rows);
