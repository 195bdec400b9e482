/* Blocking and reporting users. */
#include "api/api.h"
#include "api/presence.h"
#include "queries.h"

struct report {
	const struct uuid *chatId;
	const int64_t *seq;
	struct str reason;
	struct str note;
};
static const char *const reasons[] = { "spam", "abuse", "scam", "prohibited", "off_platform",
	"other", NULL };
static const struct field report_fields[] = {
	FIELD(report, chatId, T_UUID,
		.doc = "where it happened; ten messages before and after are kept"),
	FIELD(report, seq, T_INT, .min = 1, .max = INT64_C(9007199254740991),
		.doc = "which message"),
	FIELD(report, reason, T_ENUM, .values = reasons, .required = true),
	FIELD(report, note, T_TEXT, .max = 1000),
};
static const struct schema report_schema = SCHEMA("ReportCreate", report, report_fields);

static const struct field report_out_fields[] = {
	OUT("id", T_UUID),
	OUT("targetId", T_UUID),
	OUT("reason", T_ENUM, .values = reasons),
	OUT("status", T_TEXT),
	OUT("createdAt", T_TIME),
};
static const struct schema report_out = SCHEMA_OUT("Report", report_out_fields);
static const struct field block_out_fields[] = {
	OUT("id", T_UUID),
	OUT("blockedAt", T_TIME),
};
static const struct schema block_out = SCHEMA_OUT("Block", block_out_fields);

static enum problem
set_block(struct request *req, bool on)
{
	struct q_user_block q = { .on = on };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.user);

	if (p || (p = q_user_block(req->db, &q, &rows, &req->err)))
		return p;
	if (on)
		presence_part(req->app->cache, req->arena, &req->who.user, &q.user);
	return resp_empty(req);
}

static enum problem
user_block(struct request *req)
{
	return set_block(req, true);
}

static enum problem
user_unblock(struct request *req)
{
	return set_block(req, false);
}

static enum problem
block_list(struct request *req)
{
	struct rows *rows;
	enum problem p = q_block_list(req->db, &(struct q_block_list){ 0 }, &rows, &req->err);

	return p ? p : resp_page(req, rows, LIMIT_PAGE);
}

static enum problem
user_report(struct request *req)
{
	const struct report *in = req->body;
	struct q_user_report q = { .id = uuid_new(),
		.chat = in->chatId,
		.seq = in->seq,
		.reason = in->reason,
		.note = in->note.p ? in->note : STR("") };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.user);

	if (p || (p = q_user_report(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/users/me/blocks", block_list, .roles = ROLE_ANY, .bare = true,
		.returns = &block_out, .page = true, .tag = "Users", .name = "blockList",
		.doc = "Whom the caller has blocked" },
	{ HTTP_POST, "/users/:id/block", user_block, .roles = ROLE_ANY, .bare = true, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Users", .name = "userBlock",
		.doc = "No more messages between the two" },
	{ HTTP_DELETE, "/users/:id/block", user_unblock, .roles = ROLE_ANY, .bare = true,
		.status = 204, .limit = LIMIT_WRITE, .tag = "Users", .name = "userUnblock",
		.doc = "Ends a block" },
	{ HTTP_POST, "/users/:id/report", user_report, .roles = ROLE_ANY, .bare = true,
		.body = &report_schema, .status = 201, .returns = &report_out, .limit = LIMIT_WRITE,
		.tag = "Users", .name = "userReport", .doc = "Tells the moderators of a user" },
};
const struct route_table people_routes = ROUTES(rows);
