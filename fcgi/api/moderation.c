/* Cases of the moderators: queue, claim, looking into conversations and blocks, decision. */
#include "api/moderation.h"

#include "api/api.h"
#include "api/chat.h"
#include "queries.h"

#define NOTE_MAX 1000
#define REASON_MIN 10
#define REASON_MAX 500
#define DAYS_MAX 3650
#define SEQ_MAX INT64_C(9007199254740991)

#define STAFF (ROLE_ADMIN | ROLE_MODERATOR)

/* ---- shapes ---- */

static const char *const statuses[] = { "open", "claimed", "resolved", "dismissed", NULL };
static const char *const reasons[] = { "spam", "abuse", "scam", "prohibited", "off_platform",
	"other", "filter", NULL };
static const char *const actions[] = { "dismiss", "warn", "suspend", "remove_message", NULL };

struct case_query {
	int64_t limit;
	struct str cursor, status, reason;
	const struct uuid *assignee;
};
static const struct field case_query_fields[] = {
	FIELD(case_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(case_query, cursor, T_TEXT),
	FIELD(case_query, status, T_ENUM, .values = statuses),
	FIELD(case_query, reason, T_ENUM, .values = reasons, .doc = "filter: a rule opened it"),
	FIELD(case_query, assignee, T_UUID, .doc = "who has claimed it"),
};
static const struct schema case_query_schema = SCHEMA("CaseQuery", case_query, case_query_fields);

struct messages_query {
	int64_t limit;
	struct str cursor, reason;
	const struct uuid *reportId, *chatId;
};
static const struct field messages_query_fields[] = {
	FIELD(messages_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(messages_query, cursor, T_TEXT),
	FIELD(messages_query, reportId, T_UUID, .doc = "a case that the caller has claimed"),
	FIELD(messages_query, chatId, T_UUID),
	FIELD(messages_query, reason, T_TEXT, .min = REASON_MIN, .max = REASON_MAX,
		.doc = "why there is no case; administrators only"),
};
static const struct schema messages_query_schema =
	SCHEMA("CaseMessagesQuery", messages_query, messages_query_fields);

struct resolution {
	struct str action, note;
	const int64_t *days;
	const struct uuid *reportId;
};
static const struct field resolution_fields[] = {
	FIELD(resolution, action, T_ENUM, .values = actions, .required = true),
	FIELD(resolution, note, T_TEXT, .required = true, .min = 1, .max = NOTE_MAX,
		.doc = "why; the user who is warned or suspended reads it"),
	FIELD(resolution, days, T_INT, .min = 1, .max = DAYS_MAX,
		.doc = "of a suspension; without it there is no end"),
	FIELD(resolution, reportId, T_UUID,
		.doc = "of the message to remove, from `reports`; the first when absent"),
};
static const struct schema resolution_schema =
	SCHEMA("CaseResolution", resolution, resolution_fields);

#define CASE_FIELDS                                                                            \
	OUT("id", T_UUID), OUT("status", T_ENUM, .values = statuses),                          \
		OUT("reason", T_ENUM, .values = reasons),                                      \
		OUT("hint", T_TEXT, .doc = "what the filter found"), OUT("note", T_TEXT),      \
		OUT_NULL("reporterId", T_UUID), OUT("targetId", T_UUID),                       \
		OUT("targetName", T_TEXT), OUT_NULL("chatId", T_UUID), OUT_NULL("seq", T_INT), \
		OUT("reporters", T_INT, .doc = "how many people"),                             \
		OUT("reasons", T_ARRAY, .item = T_TEXT, .doc = "of all their reports"),        \
		OUT_NULL("assigneeId", T_UUID), OUT_NULL("claimedUntil", T_TIME),              \
		OUT_NULL("action", T_ENUM, .values = actions), OUT_NULL("resolution", T_TEXT), \
		OUT_NULL("resolvedBy", T_UUID), OUT_NULL("resolvedAt", T_TIME),                \
		OUT("createdAt", T_TIME)

static const struct field case_fields[] = { CASE_FIELDS };
static const struct schema case_out = SCHEMA_OUT("Case", case_fields);

static const struct field case_report_fields[] = {
	OUT("id", T_UUID),
	OUT("reporterId", T_UUID),
	OUT("reason", T_ENUM, .values = reasons),
	OUT("note", T_TEXT),
	OUT_NULL("chatId", T_UUID),
	OUT_NULL("seq", T_INT),
	OUT("createdAt", T_TIME),
	OUT("snapshotValid", T_BOOL),
	OUT("snapshot", T_ARRAY, .of = &message_out),
};
static const struct schema case_report_out = SCHEMA_OUT("CaseReport", case_report_fields);

static const struct field case_open_fields[] = {
	CASE_FIELDS,
	OUT("snapshot", T_ARRAY, .of = &message_out,
		.doc = "the message with ten before and after it, as they were"),
	OUT("snapshotHash", T_TEXT, .doc = "SHA-256 of it, hexadecimal"),
	OUT("snapshotValid", T_BOOL, .doc = "it is still what was stored"),
	OUT("sanctions", T_ARRAY, .of = &sanction_out, .doc = "of the reported user, the last 20"),
	OUT("reports", T_ARRAY, .of = &case_report_out,
		.doc = "what people reported, the last 50; none when a rule opened the case"),
	OUT("reportsOfTarget", T_INT, .doc = "cases, with those that are closed"),
};
static const struct schema case_open_out = SCHEMA_OUT("CaseOpen", case_open_fields);

static const struct field case_message_fields[] = {
	OUT("message", T_OBJECT, .of = &message_out),
	OUT("earlier", T_ARRAY, .item = T_TEXT, .doc = "its texts before edits and removal"),
};
static const struct schema case_message_out = SCHEMA_OUT("CaseMessage", case_message_fields);

struct blocked_query {
	int64_t limit;
	struct str cursor;
};
static const struct field blocked_query_fields[] = {
	FIELD(blocked_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(blocked_query, cursor, T_TEXT),
};
static const struct schema blocked_query_schema =
	SCHEMA("BlockedQuery", blocked_query, blocked_query_fields);

static const struct field blocked_fields[] = {
	OUT("id", T_UUID),
	OUT("name", T_TEXT),
	OUT("role", T_TEXT),
	OUT("status", T_TEXT),
	OUT("blockedBy", T_INT, .doc = "how many accounts"),
	OUT("lastBlockedAt", T_TIME),
	OUT_NULL("caseId", T_UUID, .doc = "an open case about the account"),
};
static const struct schema blocked_out = SCHEMA_OUT("Blocked", blocked_fields);

static const char *const directions[] = { "by", "of", NULL };
static const struct field block_look_fields[] = {
	OUT("userId", T_UUID),
	OUT("name", T_TEXT),
	OUT("direction", T_ENUM, .values = directions,
		.doc = "by: this user blocked the account; of: the account blocked this user"),
	OUT("blockedAt", T_TIME),
};
static const struct schema block_look_out = SCHEMA_OUT("BlockLook", block_look_fields);

/* ---- cases ---- */

static enum problem
case_list(struct request *req)
{
	const struct case_query *in = req->query;
	struct q_case_page q = { .status = in->status,
		.assignee = in->assignee,
		.reason = in->reason,
		.limit = (int32_t)in->limit };
	struct rows *rows;
	struct uuid id;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get_moment(req, in->cursor, &q.at, &id)))
			return p;
		q.id = &id;
	}
	p = q_case_page(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
case_open(struct request *req)
{
	struct q_case_open q = { .request = req->id };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_case_open(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
case_claim(struct request *req)
{
	struct q_case_claim q = { .request = req->id };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_case_claim(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
case_release(struct request *req)
{
	struct q_case_release q = { .request = req->id };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_case_release(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
case_resolve(struct request *req)
{
	const struct resolution *in = req->body;
	struct q_case_resolve q = {
		.sanction = uuid_new(),
		.action = in->action,
		.note = in->note,
		.of = in->reportId,
		.request = req->id,
	};
	int32_t days;
	struct rows *rows;
	enum problem p;

	if (in->days && !str_eqz(in->action, "suspend")) {
		err_field(&req->err, "/days", "not_allowed", "only a suspension ends");
		return ERR(&req->err, P_INVALID, "days of something else");
	}
	if (in->days) {
		days = (int32_t)*in->days;
		q.days = &days;
	}
	if ((p = req_uuid(req, 0, &q.id)) || (p = q_case_resolve(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
case_messages(struct request *req)
{
	const struct messages_query *in = req->query;
	struct q_case_messages q = { .report = in->reportId,
		.chat = in->chatId,
		.reason = in->reason,
		.limit = (int32_t)in->limit,
		.request = req->id };
	struct str part[CURSOR_PARTS];
	struct rows *rows;
	int64_t below;
	enum problem p;

	if (!in->reportId && !in->chatId) {
		err_field(&req->err, "/reportId", "required", "give a case, or chatId and reason");
		return ERR(&req->err, P_INVALID, "no conversation is named");
	}
	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 1)))
			return p;
		if (!str_i64(part[0], &below))
			return ERR(&req->err, P_BAD_CURSOR, "no seq in the cursor");
		q.below = &below;
	}
	p = q_case_messages(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

/* ---- blocks ---- */

static enum problem
blocked_list(struct request *req)
{
	const struct blocked_query *in = req->query;
	struct q_blocked_page q = { .limit = (int32_t)in->limit, .request = req->id };
	struct str part[CURSOR_PARTS];
	struct rows *rows;
	struct uuid id;
	int64_t n;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 2)))
			return p;
		if (!str_i64(part[0], &n) || !uuid_parse(part[1], &id))
			return ERR(&req->err, P_BAD_CURSOR, "no number and id in the cursor");
		q.n = &n;
		q.id = &id;
	}
	p = q_blocked_page(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
blocks_of(struct request *req)
{
	const struct blocked_query *in = req->query;
	struct q_blocks_of q = { .limit = (int32_t)in->limit, .request = req->id };
	struct rows *rows;
	struct uuid id;
	enum problem p = req_uuid(req, 0, &q.account);

	if (p)
		return p;
	if (in->cursor.p) {
		if ((p = cursor_get_moment(req, in->cursor, &q.at, &id)))
			return p;
		q.id = &id;
	}
	p = q_blocks_of(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static const struct route rows[] = {
	{ HTTP_GET, "/admin/moderation/reports", case_list, .roles = STAFF,
		.query = &case_query_schema, .returns = &case_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Moderation", .name = "caseList",
		.doc = "Cases, the newest first" },
	{ HTTP_GET, "/admin/moderation/reports/:id", case_open, .roles = STAFF,
		.returns = &case_open_out, .tag = "Moderation", .name = "caseOpen",
		.doc = "A case with what was said; the look is written down" },
	{ HTTP_POST, "/admin/moderation/reports/:id/claim", case_claim, .roles = STAFF,
		.returns = &case_out, .limit = LIMIT_WRITE, .problems = { P_CONFLICT },
		.tag = "Moderation", .name = "caseClaim",
		.doc = "Takes a case for 30 minutes; again to keep it" },
	{ HTTP_POST, "/admin/moderation/reports/:id/release", case_release, .roles = STAFF,
		.returns = &case_out, .limit = LIMIT_WRITE, .problems = { P_CONFLICT },
		.tag = "Moderation", .name = "caseRelease", .doc = "Gives it back to the queue" },
	{ HTTP_POST, "/admin/moderation/reports/:id/resolve", case_resolve, .roles = STAFF,
		.body = &resolution_schema, .returns = &case_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Moderation", .name = "caseResolve",
		.doc = "Closes a case that the caller has claimed" },
	{ HTTP_GET, "/admin/moderation/messages", case_messages, .roles = STAFF,
		.query = &messages_query_schema, .returns = &case_message_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Moderation", .name = "caseMessages",
		.doc = "A private conversation, through a case; each look is written down" },
	{ HTTP_GET, "/admin/moderation/blocked", blocked_list, .roles = STAFF,
		.query = &blocked_query_schema, .returns = &blocked_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Moderation", .name = "blockedList",
		.doc = "Accounts that others have blocked, the most blocked first; each look is "
		       "written down" },
	{ HTTP_GET, "/admin/moderation/blocked/:id", blocks_of, .roles = STAFF,
		.query = &blocked_query_schema, .returns = &block_look_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Moderation", .name = "blocksOf",
		.doc = "Who blocked an account and whom it blocked, the latest first; the look is "
		       "written down" },
};
const struct route_table moderation_routes = ROUTES(rows);
