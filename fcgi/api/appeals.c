/* Sanctions as their user sees them, and appeals: making and deciding. */
#include "api/api.h"
#include "api/auth.h"
#include "api/moderation.h"
#include "io/password.h"
#include "queries.h"

#define TEXT_MAX 2000
#define NOTE_MAX 1000

#define STAFF (ROLE_ADMIN | ROLE_MODERATOR)

/* ---- shapes ---- */

static const char *const statuses[] = { "open", "upheld", "lifted", NULL };
static const char *const outcomes[] = { "uphold", "lift", NULL };
static const char *const kinds[] = { "warn", "suspend", "remove_message", NULL };

static const struct field sanction_fields[] = {
	OUT("id", T_UUID),
	OUT("kind", T_ENUM, .values = kinds),
	OUT("note", T_TEXT),
	OUT_NULL("endsAt", T_TIME),
	OUT_NULL("liftedAt", T_TIME),
	OUT_NULL("appeal", T_ENUM, .values = statuses),
	OUT("createdAt", T_TIME),
};
const struct schema sanction_out = SCHEMA_OUT("Sanction", sanction_fields);

struct appeal_in {
	struct uuid sanctionId;
	struct str body;
};
static const struct field appeal_in_fields[] = {
	FIELD(appeal_in, sanctionId, T_UUID, .required = true),
	FIELD(appeal_in, body, T_TEXT, .required = true, .min = 1, .max = TEXT_MAX),
};
static const struct schema appeal_in_schema = SCHEMA("AppealCreate", appeal_in, appeal_in_fields);

struct appeal_login {
	struct str email, password, body;
};
static const struct field appeal_login_fields[] = {
	FIELD(appeal_login, email, T_EMAIL, .required = true),
	FIELD(appeal_login, password, T_TEXT, .max = PASSWORD_MAX, .required = true),
	FIELD(appeal_login, body, T_TEXT, .required = true, .min = 1, .max = TEXT_MAX),
};
static const struct schema appeal_login_schema =
	SCHEMA("AppealOfSuspended", appeal_login, appeal_login_fields);

struct appeal_query {
	int64_t limit;
	struct str cursor, status;
};
static const struct field appeal_query_fields[] = {
	FIELD(appeal_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(appeal_query, cursor, T_TEXT),
	FIELD(appeal_query, status, T_ENUM, .values = statuses),
};
static const struct schema appeal_query_schema =
	SCHEMA("AppealQuery", appeal_query, appeal_query_fields);

struct decision {
	struct str outcome, note;
};
static const struct field decision_fields[] = {
	FIELD(decision, outcome, T_ENUM, .values = outcomes, .required = true),
	FIELD(decision, note, T_TEXT, .required = true, .min = 1, .max = NOTE_MAX,
		.doc = "why; the user reads it"),
};
static const struct schema decision_schema = SCHEMA("AppealDecision", decision, decision_fields);

#define APPEAL_FIELDS                                                                            \
	OUT("id", T_UUID), OUT("sanctionId", T_UUID), OUT("status", T_ENUM, .values = statuses), \
		OUT("body", T_TEXT), OUT("note", T_TEXT, .doc = "of who decided"),               \
		OUT_NULL("decidedAt", T_TIME), OUT("createdAt", T_TIME)

static const struct field appeal_fields[] = { APPEAL_FIELDS };
static const struct schema appeal_out = SCHEMA_OUT("Appeal", appeal_fields);

static const struct field appeal_case_fields[] = {
	APPEAL_FIELDS,
	OUT("userId", T_UUID),
	OUT("reportId", T_UUID),
	OUT("moderatorId", T_UUID, .doc = "who made the sanction, and may not decide"),
	OUT_NULL("decidedBy", T_UUID),
	OUT("sanction", T_OBJECT, .of = &sanction_out),
};
static const struct schema appeal_case_out = SCHEMA_OUT("AppealCase", appeal_case_fields);

/* ---- the user ---- */

static enum problem
sanction_list(struct request *req)
{
	struct rows *rows;
	enum problem p = q_my_sanctions(req->db, &(struct q_my_sanctions){ 0 }, &rows, &req->err);

	return p ? p : resp_page(req, rows, LIMIT_PAGE);
}

static enum problem
appeal_make(struct request *req)
{
	const struct appeal_in *in = req->body;
	struct q_my_appeal q = { .id = uuid_new(), .sanction = in->sanctionId, .text = in->body };
	struct rows *rows;
	enum problem p = q_my_appeal(req->db, &q, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

/*
 * A suspended user has no session, so the password speaks for them, with the delays that
 * signing in has. Nothing but the appeal comes of it.
 */
static enum problem
appeal_of_suspended(struct request *req)
{
	const struct appeal_login *in = req->body;
	struct str device = device_sent(req);
	struct rows *rows;

	enum problem p = q_login_begin(req->db,
		&(struct q_login_begin){ .email = str_lower(req->arena, in->email),
			.device = device.p ? secret_hash(req->arena, device) : device },
		&rows, &req->err);
	if (p)
		return p;
	struct str seen = rows_str(rows, 0, Q_LOGIN_BEGIN_HASH);
	if (!password_verify(seen, in->password, NULL))
		return ERR(&req->err, P_BAD_CREDENTIALS, "refused");
	p = q_appeal_finish(req->db,
		&(struct q_appeal_finish){ .account = rows_uuid(rows, 0, Q_LOGIN_BEGIN_ACCOUNT),
			.seen = seen,
			.known = rows_bool(rows, 0, Q_LOGIN_BEGIN_KNOWN),
			.id = uuid_new(),
			.text = in->body },
		&rows, &req->err);
	return p ? p : resp_row(req, rows);
}

/* ---- the moderators ---- */

static enum problem
appeal_list(struct request *req)
{
	const struct appeal_query *in = req->query;
	struct q_appeal_page q = { .status = in->status, .limit = (int32_t)in->limit };
	struct rows *rows;
	struct uuid id;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get_moment(req, in->cursor, &q.at, &id)))
			return p;
		q.id = &id;
	}
	p = q_appeal_page(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
appeal_decide(struct request *req)
{
	const struct decision *in = req->body;
	struct q_appeal_decide q = {
		.lift = str_eqz(in->outcome, "lift"), .note = in->note, .request = req->id
	};
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_appeal_decide(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/users/me/sanctions", sanction_list, .roles = ROLE_ANY, .bare = true,
		.returns = &sanction_out, .page = true, .tag = "Moderation", .name = "sanctionList",
		.doc = "What the moderators did about the caller" },
	{ HTTP_POST, "/appeals", appeal_make, .roles = ROLE_ANY, .body = &appeal_in_schema,
		.status = 201, .returns = &appeal_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Moderation", .name = "appealCreate",
		.doc = "Asks for another look at a sanction; once" },
	{ HTTP_POST, "/auth/appeals", appeal_of_suspended, .roles = ROLE_PUBLIC, .signs_in = true,
		.bare = true, .body = &appeal_login_schema, .status = 201, .returns = &appeal_out,
		.limit = LIMIT_LOGIN, .problems = { P_BAD_CREDENTIALS, P_CONFLICT },
		.tag = "Moderation", .name = "appealOfSuspended",
		.doc = "The same for who is suspended and cannot sign in" },
	{ HTTP_GET, "/admin/moderation/appeals", appeal_list, .roles = STAFF,
		.query = &appeal_query_schema, .returns = &appeal_case_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Moderation", .name = "appealList",
		.doc = "Appeals, the newest first" },
	{ HTTP_POST, "/admin/moderation/appeals/:id/decide", appeal_decide, .roles = STAFF,
		.body = &decision_schema, .returns = &appeal_case_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Moderation", .name = "appealDecide",
		.doc = "Decides; never who made the sanction" },
};
const struct route_table appeal_routes = ROUTES(rows);
