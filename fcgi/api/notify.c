/* The user's notifications. */
#include "api/api.h"

#include "queries.h"

struct notify_query {
	bool unread;
	struct str type;
	int64_t limit;
	struct str cursor;
};
static const struct field notify_query_fields[] = {
	FIELD(notify_query, unread, T_BOOL, .has_default = true, .doc = "only what is not read"),
	FIELD(notify_query, type, T_TEXT, .max = 64, .doc = "only of this kind"),
	FIELD(notify_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(notify_query, cursor, T_TEXT),
};
static const struct schema notify_query_schema =
	SCHEMA("NotificationQuery", notify_query, notify_query_fields);

struct notify_clear {
	const struct uuid *upTo;
};
static const struct field notify_clear_fields[] = {
	FIELD(notify_clear, upTo, T_UUID, .doc = "everything up to this one; nothing given = all"),
};
static const struct schema notify_clear_schema =
	SCHEMA("NotificationClear", notify_clear, notify_clear_fields);

static const char *const priorities[] = { "low", "normal", "high", NULL };

struct notify_send {
	struct uuid userId;
	struct str type, title, body, link, priority;
};
static const struct field notify_send_fields[] = {
	FIELD(notify_send, userId, T_UUID, .required = true),
	FIELD(notify_send, type, T_TEXT, .required = true, .min = 1, .max = 64,
		.doc = "what happened, e.g. order.paid"),
	FIELD(notify_send, title, T_TEXT, .required = true, .min = 1, .max = 200),
	FIELD(notify_send, body, T_TEXT, .max = 2000),
	FIELD(notify_send, link, T_TEXT, .max = 500, .doc = "path inside the site"),
	FIELD(notify_send, priority, T_ENUM, .values = priorities, .doc = "normal when absent"),
};
static const struct schema notify_send_schema =
	SCHEMA("NotificationSend", notify_send, notify_send_fields);

static const struct field notification_fields[] = {
	OUT("id", T_UUID),
	OUT("type", T_TEXT),
	OUT("title", T_TEXT),
	OUT("body", T_TEXT),
	OUT_NULL("link", T_TEXT),
	OUT("priority", T_ENUM, .values = priorities),
	OUT("read", T_BOOL),
	OUT("createdAt", T_TIME),
};
static const struct schema notification_out = SCHEMA_OUT("Notification", notification_fields);
static const struct field unread_fields[] = {
	OUT("unread", T_INT),
};
static const struct schema unread_out = SCHEMA_OUT("NotificationsUnread", unread_fields);

static enum problem
notify_list(struct request *req)
{
	const struct notify_query *in = req->query;
	struct q_notification_list_after after = {
		.unread = in->unread, .type = in->type, .limit = (int32_t)in->limit
	};
	struct rows *rows;
	enum problem p;

	if (!in->cursor.p) {
		p = q_notification_list(req->db,
			&(struct q_notification_list){
				.unread = in->unread, .type = in->type, .limit = after.limit },
			&rows, &req->err);
		return p ? p : resp_page(req, rows, in->limit);
	}
	if ((p = cursor_get_moment(req, in->cursor, &after.at, &after.id)))
		return p;
	p = q_notification_list_after(req->db, &after, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
notify_unread(struct request *req)
{
	struct rows *rows;
	enum problem p = q_notification_unread(
		req->db, &(struct q_notification_unread){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
clear(struct request *req, const struct q_notification_clear *q)
{
	struct rows *rows;
	enum problem p = q_notification_clear(req->db, q, &rows, &req->err);

	return p ? p : resp_empty(req);
}

static enum problem
notify_read(struct request *req)
{
	struct uuid id;
	enum problem p = req_uuid(req, 0, &id);

	return p ? p : clear(req, &(struct q_notification_clear){ .id = &id });
}

static enum problem
notify_read_all(struct request *req)
{
	const struct notify_clear *in = req->body;

	return clear(req, &(struct q_notification_clear){ .id = in->upTo, .upto = true });
}

static enum problem
notify_delete(struct request *req)
{
	struct uuid id;
	enum problem p = req_uuid(req, 0, &id);

	return p ? p : clear(req, &(struct q_notification_clear){ .id = &id, .remove = true });
}

static enum problem
notify_clear(struct request *req)
{
	const struct notify_clear *in = req->query;

	return clear(req,
		&(struct q_notification_clear){ .id = in->upTo, .upto = true, .remove = true });
}

static enum problem
notify_send(struct request *req)
{
	const struct notify_send *in = req->body;
	struct rows *rows;
	enum problem p = q_notification_send(req->db,
		&(struct q_notification_send){ .user = in->userId,
			.type = in->type,
			.title = in->title,
			.text = in->body.p ? in->body : STR(""),
			.link = in->link,
			.priority = in->priority.p ? in->priority : STR("normal") },
		&rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/notifications", notify_list, .roles = ROLE_ANY, .query = &notify_query_schema,
		.returns = &notification_out, .page = true, .problems = { P_BAD_CURSOR },
		.tag = "Notifications", .name = "notificationList",
		.doc = "Notifications of the caller, newest first" },
	{ HTTP_GET, "/notifications/unread-count", notify_unread, .roles = ROLE_ANY,
		.returns = &unread_out, .tag = "Notifications", .name = "notificationUnread",
		.doc = "How many are unread" },
	{ HTTP_POST, "/notifications/:id/read", notify_read, .roles = ROLE_ANY, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Notifications", .name = "notificationRead",
		.doc = "Marks one as read" },
	{ HTTP_POST, "/notifications/read-all", notify_read_all, .roles = ROLE_ANY,
		.body = &notify_clear_schema, .status = 204, .limit = LIMIT_WRITE, .mqtt = "nclear",
		.problems = { P_NOT_FOUND }, .tag = "Notifications", .name = "notificationReadAll",
		.doc = "Marks all as read, or all up to one" },
	{ HTTP_POST, "/notifications/send", notify_send, .roles = ROLE_SERVICE | ROLE_ADMIN,
		.body = &notify_send_schema, .status = 201, .returns = &notification_out,
		.limit = LIMIT_WRITE, .problems = { P_NOT_FOUND }, .tag = "Notifications",
		.name = "notificationSend",
		.doc = "Tells a user something, for other systems of the house" },
	{ HTTP_POST, "/notify", notify_send, .roles = ROLE_SERVICE | ROLE_ADMIN,
		.body = &notify_send_schema, .status = 201, .returns = &notification_out,
		.limit = LIMIT_WRITE, .problems = { P_NOT_FOUND }, .hidden = true,
		.tag = "Notifications", .name = "notify", .doc = "Tells a user something" },
	{ HTTP_DELETE, "/notifications", notify_clear, .roles = ROLE_ANY,
		.query = &notify_clear_schema, .status = 204, .limit = LIMIT_WRITE,
		.problems = { P_NOT_FOUND }, .tag = "Notifications", .name = "notificationClear",
		.doc = "Removes all, or all up to one" },
	{ HTTP_DELETE, "/notifications/:id", notify_delete, .roles = ROLE_ANY, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Notifications", .name = "notificationDelete",
		.doc = "Removes one" },
};
const struct route_table notify_routes = ROUTES(rows);
