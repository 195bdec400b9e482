/* The audit trail, for administrators. */
#include "api/api.h"

#include "queries.h"

#define OBJECT_MAX 100
#define ACTION_MAX 64
#define ROW_MAX INT64_C(9007199254740990)

struct audit_query {
	int64_t limit;
	struct str cursor, objectId, action;
	const struct uuid *actorId;
};
static const struct field audit_query_fields[] = {
	FIELD(audit_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(audit_query, cursor, T_TEXT),
	FIELD(audit_query, actorId, T_UUID),
	FIELD(audit_query, objectId, T_TEXT, .min = 1, .max = OBJECT_MAX),
	FIELD(audit_query, action, T_TEXT, .min = 1, .max = ACTION_MAX, .doc = "e.g. chat.read"),
};
static const struct schema audit_query_schema =
	SCHEMA("AuditQuery", audit_query, audit_query_fields);

static const struct schema data_out = { .name = "AuditData", .open = true };
static const struct field audit_fields[] = {
	OUT("id", T_INT, .doc = "its place, without gaps"),
	OUT("at", T_TIME),
	OUT_NULL("actorId", T_UUID),
	OUT("actorRole", T_TEXT),
	OUT("action", T_TEXT),
	OUT("object", T_TEXT),
	OUT("objectId", T_TEXT),
	OUT("data", T_OBJECT, .of = &data_out),
	OUT("requestId", T_TEXT, .doc = "finds the request in the log"),
	OUT("chainHash", T_TEXT, .doc = "SHA-256 over this row and the hash before it"),
};
static const struct schema audit_out = SCHEMA_OUT("AuditEntry", audit_fields);

static const struct field verify_fields[] = {
	OUT("entries", T_INT),
	OUT("valid", T_BOOL),
	OUT_NULL("brokenAt", T_INT, .doc = "first place that does not follow from what is before"),
	OUT("head", T_TEXT, .doc = "hash of the last row; keep it elsewhere to compare"),
};
static const struct schema verify_out = SCHEMA_OUT("AuditVerification", verify_fields);

static enum problem
audit_list(struct request *req)
{
	const struct audit_query *in = req->query;
	struct q_audit_page q = { .actor = in->actorId,
		.object = in->objectId,
		.action = in->action,
		.limit = (int32_t)in->limit };
	struct str part[CURSOR_PARTS];
	struct rows *rows;
	int64_t below;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 1)))
			return p;
		if (!str_i64(part[0], &below))
			return ERR(&req->err, P_BAD_CURSOR, "no place in the cursor");
		q.below = &below;
	}
	p = q_audit_page(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
audit_get(struct request *req)
{
	struct q_audit_get q;
	struct rows *rows;

	if (!str_i64(req_param(req, 0), &q.n) || q.n < 1 || q.n > ROW_MAX)
		return ERR(&req->err, P_NOT_FOUND, "no number");
	enum problem p = q_audit_get(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
audit_verify(struct request *req)
{
	struct rows *rows;
	enum problem p = q_audit_verify(req->db, &(struct q_audit_verify){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/admin/audit", audit_list, .roles = ROLE_ADMIN, .query = &audit_query_schema,
		.returns = &audit_out, .page = true, .problems = { P_BAD_CURSOR },
		.tag = "Moderation", .name = "auditList",
		.doc = "Who looked at or changed what, the newest first" },
	{ HTTP_GET, "/admin/audit/verify", audit_verify, .roles = ROLE_ADMIN,
		.returns = &verify_out, .tag = "Moderation", .name = "auditVerify",
		.doc = "Reads the whole chain again" },
	{ HTTP_GET, "/admin/audit/:id", audit_get, .roles = ROLE_ADMIN, .returns = &audit_out,
		.tag = "Moderation", .name = "auditGet", .doc = "One row of the trail" },
};
const struct route_table audit_routes = ROUTES(rows);
