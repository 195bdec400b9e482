/* Groups and who is in a conversation; the staff of a shop, which shares its inbox. */
#include "api/api.h"
#include "api/chat.h"
#include "queries.h"

#define GROUP_MAX 200

/* ---- shapes ---- */

struct title {
	struct str title;
};
static const struct field title_fields[] = {
	FIELD(title, title, T_TEXT, .required = true, .min = 1, .max = CHAT_TITLE_MAX),
};
static const struct schema title_schema = SCHEMA("GroupTitle", title, title_fields);

struct members {
	struct array userIds;
};
static const struct field members_fields[] = {
	FIELD(members, userIds, T_ARRAY, .required = true, .item = T_UUID, .min = 1,
		.max = CHAT_MEMBERS_MAX, .doc = "contacts of the caller"),
};
static const struct schema members_schema = SCHEMA("GroupMembers", members, members_fields);

struct role_in {
	struct str role;
};
static const char *const group_roles[] = { "owner", "admin", "member", NULL };
static const struct field role_fields[] = {
	FIELD(role_in, role, T_ENUM, .required = true, .values = group_roles,
		.doc = "owner hands the group over"),
};
static const struct schema role_schema = SCHEMA("GroupRole", role_in, role_fields);

static const char *const parts[] = { "owner", "admin", "member", "buyer", "seller", "staff", NULL };
static const struct field person_fields[] = {
	OUT("id", T_UUID),
	OUT("name", T_TEXT),
	OUT_NULL("avatarUrl", T_TEXT),
	OUT("role", T_ENUM, .values = parts),
	OUT("readSeq", T_INT, .doc = "has read up to here, as far as that is shared"),
	OUT("receivedSeq", T_INT),
	OUT("joinedAt", T_TIME),
};
static const struct schema person_out = SCHEMA_OUT("ChatParticipant", person_fields);

struct invite {
	struct uuid userId;
};
static const struct field invite_fields[] = {
	FIELD(invite, userId, T_UUID, .required = true),
};
static const struct schema invite_schema = SCHEMA("ShopInvite", invite, invite_fields);

static const char *const staff_states[] = { "invited", "member", NULL };
static const struct field staff_fields[] = {
	OUT("id", T_UUID),
	OUT("name", T_TEXT),
	OUT("status", T_ENUM, .values = staff_states),
	OUT("invitedAt", T_TIME),
};
static const struct schema staff_out = SCHEMA_OUT("ShopMember", staff_fields);

/* ---- groups ---- */

static enum problem
people_list(struct request *req)
{
	struct q_chat_people q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.chat);

	if (p || (p = q_chat_people(req->db, &q, &rows, &req->err)))
		return p;
	return resp_page(req, rows, GROUP_MAX);
}

static enum problem
people_add(struct request *req)
{
	const struct members *in = req->body;
	struct q_group_add q = { .members = { in->userIds.v, in->userIds.n } };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.chat);

	if (p || (p = q_group_add(req->db, &q, &rows, &req->err)))
		return p;
	return resp_empty(req);
}

static enum problem
people_role(struct request *req)
{
	const struct role_in *in = req->body;
	struct q_group_role q = { .role = in->role };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.chat)) || (p = req_uuid(req, 1, &q.user)))
		return p;
	p = q_group_role(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static enum problem
people_remove(struct request *req)
{
	struct q_group_remove q;
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.chat)) || (p = req_uuid(req, 1, &q.user)))
		return p;
	p = q_group_remove(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static enum problem
title_change(struct request *req)
{
	const struct title *in = req->body;
	struct q_group_title q;
	struct filtered hint = { 0 };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.chat)) || (p = chat_title(req, in->title, &q.title, &hint)))
		return p;
	filter_begin(req, &hint);
	p = q_group_title(req->db, &q, &rows, &req->err);
	p = filter_end_public(req, p, &hint, NULL);
	return p ? p : resp_row(req, rows);
}

/* ---- the staff of a shop ---- */

static enum problem
staff_list(struct request *req)
{
	struct q_shop_staff q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.shop);

	if (p || (p = q_shop_staff(req->db, &q, &rows, &req->err)))
		return p;
	return resp_page(req, rows, LIMIT_PAGE);
}

static enum problem
staff_invite(struct request *req)
{
	const struct invite *in = req->body;
	struct q_shop_invite q = { .user = in->userId };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.shop);

	if (p || (p = q_shop_invite(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
staff_accept(struct request *req)
{
	struct q_shop_accept q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.shop);

	if (p || (p = q_shop_accept(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
staff_leave(struct request *req)
{
	struct q_shop_leave q;
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.shop)) || (p = req_uuid(req, 1, &q.user)))
		return p;
	p = q_shop_leave(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_PATCH, "/chats/:id", title_change, .roles = ROLE_ANY, .bare = true,
		.body = &title_schema, .returns = &chat_out, .limit = LIMIT_WRITE,
		.problems = { P_FILTERED }, .tag = "Chat", .name = "chatRename",
		.doc = "Another title for a group, by its administrators" },
	{ HTTP_GET, "/chats/:id/participants", people_list, .roles = ROLE_ANY, .bare = true,
		.returns = &person_out, .page = true, .tag = "Chat", .name = "participantList",
		.doc = "Who is in a conversation" },
	{ HTTP_POST, "/chats/:id/participants", people_add, .roles = ROLE_ANY, .bare = true,
		.body = &members_schema, .status = 204, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Chat", .name = "participantAdd",
		.doc = "Takes contacts into a group, by its administrators" },
	{ HTTP_PATCH, "/chats/:id/participants/:uid", people_role, .roles = ROLE_ANY, .bare = true,
		.body = &role_schema, .status = 204, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Chat", .name = "participantRole",
		.doc = "Names administrators, or another owner" },
	{ HTTP_DELETE, "/chats/:id/participants/:uid", people_remove, .roles = ROLE_ANY,
		.bare = true, .status = 204, .limit = LIMIT_WRITE, .tag = "Chat",
		.name = "participantRemove", .doc = "Leaves a group, or removes a member" },
	{ HTTP_GET, "/sellers/:id/members", staff_list, .roles = ROLE_ANY, .returns = &staff_out,
		.page = true, .tag = "Shops", .name = "shopStaff",
		.doc = "Who answers for a shop beside its owner" },
	{ HTTP_POST, "/sellers/:id/members", staff_invite, .roles = ROLE_ANY,
		.body = &invite_schema, .status = 201, .returns = &staff_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Shops", .name = "shopInvite",
		.doc = "Invites a user to share the shop's inbox" },
	{ HTTP_POST, "/sellers/:id/members/accept", staff_accept, .roles = ROLE_ANY,
		.returns = &staff_out, .limit = LIMIT_WRITE, .tag = "Shops", .name = "shopAccept",
		.doc = "Takes the invitation and joins the shop's conversations" },
	{ HTTP_DELETE, "/sellers/:id/members/:uid", staff_leave, .roles = ROLE_ANY, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Shops", .name = "shopLeave",
		.doc = "Ends it, by the owner or by oneself" },
};
const struct route_table group_routes = ROUTES(rows);
