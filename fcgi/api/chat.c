/* Conversations: opening, listing, history, receipts, typing. */
#include "api/chat.h"

#include "api/api.h"
#include "base/clock.h"
#include "http/bucket.h"
#include "io/brokers.h"
#include "io/json.h"
#include "queries.h"
#include "topics.h"

#define TYPING_MAX 1024
#define SEQ_MAX INT64_C(9007199254740991)

/* ---- shapes ---- */

struct chat_open {
	const struct uuid *peerId;
	const struct uuid *sellerId;
	const struct uuid *productId;
	struct str title;
	struct array memberIds;
};
static const struct field chat_open_fields[] = {
	FIELD(chat_open, peerId, T_UUID, .doc = "whom to write to"),
	FIELD(chat_open, sellerId, T_UUID, .doc = "the same, by the id of a shop or its owner"),
	FIELD(chat_open, productId, T_UUID, .doc = "what it is about; alone it means its seller"),
	FIELD(chat_open, title, T_TEXT, .min = 1, .max = CHAT_TITLE_MAX,
		.doc = "makes a new group, with memberIds instead of the others"),
	FIELD(chat_open, memberIds, T_ARRAY, .item = T_UUID, .min = 1, .max = CHAT_MEMBERS_MAX,
		.doc = "contacts of the caller"),
};
static const struct schema chat_open_schema = SCHEMA("ChatOpen", chat_open, chat_open_fields);

struct chat_query {
	int64_t limit;
	struct str cursor;
};
static const struct field chat_query_fields[] = {
	FIELD(chat_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(chat_query, cursor, T_TEXT),
};
static const struct schema chat_query_schema = SCHEMA("ChatQuery", chat_query, chat_query_fields);

struct history_query {
	int64_t limit;
	const int64_t *before, *after;
	struct str cursor;
};
static const struct field history_query_fields[] = {
	FIELD(history_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(history_query, before, T_INT, .min = 1, .max = SEQ_MAX,
		.doc = "messages below this seq, newest first"),
	FIELD(history_query, after, T_INT, .min = 0, .max = SEQ_MAX,
		.doc = "messages above this seq, oldest first"),
	FIELD(history_query, cursor, T_TEXT),
};
static const struct schema history_query_schema =
	SCHEMA("HistoryQuery", history_query, history_query_fields);

struct receipt {
	int64_t seq;
};
static const struct field receipt_fields[] = {
	FIELD(receipt, seq, T_INT, .required = true, .min = 1, .max = SEQ_MAX,
		.doc = "everything up to here"),
};
static const struct schema receipt_schema = SCHEMA("Receipt", receipt, receipt_fields);

struct flag {
	bool on;
};
static const struct field flag_fields[] = {
	FIELD(flag, on, T_BOOL, .required = true),
};
static const struct schema flag_schema = SCHEMA("ChatFlag", flag, flag_fields);

struct typing {
	bool on;
	struct str kind;
};
static const char *const typing_kinds[] = { "text", "voice", "file", NULL };
static const struct field typing_fields[] = {
	FIELD(typing, on, T_BOOL, .has_default = true, .def = 1),
	FIELD(typing, kind, T_ENUM, .values = typing_kinds),
};
static const struct schema typing_schema = SCHEMA("Typing", typing, typing_fields);

static const char *const chat_kinds[] = { "private", "group", NULL };
static const char *const member_roles[] = { "owner", "admin", "member", NULL };
static const struct field peer_fields[] = {
	OUT("id", T_UUID),
	OUT("name", T_TEXT),
	OUT_NULL("avatarUrl", T_TEXT),
};
static const struct schema peer_out = SCHEMA_OUT("ChatPeer", peer_fields);
static const struct field about_fields[] = {
	OUT("id", T_UUID),
	OUT("title", T_TEXT),
};
static const struct schema about_out = SCHEMA_OUT("ChatProduct", about_fields);
static const struct field chat_fields[] = {
	OUT("id", T_UUID),
	OUT("kind", T_ENUM, .values = chat_kinds),
	OUT_NULL("title", T_TEXT, .doc = "of a group, as role and members"),
	OUT_NULL("role", T_ENUM, .values = member_roles, .doc = "of the caller"),
	OUT_NULL("members", T_INT, .doc = "how many"),
	OUT_NULL("buyerId", T_UUID, .doc = "null in a group, as sellerId and all of the peer"),
	OUT_NULL("sellerId", T_UUID),
	OUT_NULL("peer", T_OBJECT, .of = &peer_out),
	OUT_NULL("product", T_OBJECT, .of = &about_out),
	OUT_NULL("lastMessage", T_OBJECT, .of = &message_out),
	OUT("lastSeq", T_INT),
	OUT("fromSeq", T_INT, .doc = "the history of the caller begins behind this"),
	OUT("readSeq", T_INT, .doc = "the caller has read up to here"),
	OUT_NULL("peerReadSeq", T_INT, .doc = "as far as both sides share it"),
	OUT_NULL("peerReceivedSeq", T_INT),
	OUT("unread", T_INT),
	OUT("muted", T_BOOL),
	OUT("archived", T_BOOL),
	OUT("hidden", T_BOOL, .doc = "not in the list until there is something new"),
	OUT("createdAt", T_TIME),
	OUT("lastMessageAt", T_TIME),
};
const struct schema chat_out = SCHEMA_OUT("Chat", chat_fields);
static const struct field unread_item_fields[] = {
	OUT("chatId", T_UUID),
	OUT("unread", T_INT),
};
static const struct schema unread_item = SCHEMA_OUT("ChatUnread", unread_item_fields);
static const struct field unread_fields[] = {
	OUT("total", T_INT),
	OUT("chats", T_ARRAY, .of = &unread_item),
};
static const struct schema unread_out = SCHEMA_OUT("ChatsUnread", unread_fields);

/* ---- conversations ---- */

static void
opened(struct request *req, const struct rows *rows, size_t body)
{
	/* {"id":"…: the document begins with its id. */
	struct str id = str_sub(rows_str(rows, 0, body), 7, 7 + UUID_TEXT);

	resp_header(req, "Location", "/api/v1/chats/%.*s", STR_ARG(id));
}

enum problem
chat_title(struct request *req, struct str in, struct str *out, struct filtered *hint)
{
	struct str title = str_trim(in);

	if (title.n == 0) {
		err_field(&req->err, "/title", "too_short", "only spaces");
		return ERR(&req->err, P_INVALID, "title");
	}
	*out = title;
	return filter_public(req, out, "/title", true, hint);
}

static enum problem
group_open(struct request *req)
{
	const struct chat_open *in = req->body;
	struct q_group_open q = { .members = { in->memberIds.v, in->memberIds.n } };
	struct filtered hint = { 0 };
	struct rows *rows;
	enum problem p;

	if (!in->title.p || in->memberIds.n == 0 || in->peerId || in->sellerId || in->productId) {
		err_field(&req->err, in->title.p ? "/memberIds" : "/title", "required",
			"a group has a title and memberIds, and nothing else");
		return ERR(&req->err, P_INVALID, "group");
	}
	if ((p = chat_title(req, in->title, &q.title, &hint)))
		return p;
	filter_begin(req, &hint);
	p = q_group_open(req->db, &q, &rows, &req->err);
	if ((p = filter_end_public(req, p, &hint, NULL)))
		return p;
	opened(req, rows, Q_GROUP_OPEN_BODY);
	return resp_row(req, rows);
}

static enum problem
chat_open(struct request *req)
{
	const struct chat_open *in = req->body;
	struct q_chat_open q = {
		.peer = in->peerId, .seller = in->sellerId, .product = in->productId
	};
	struct rows *rows;

	if (in->title.p || in->memberIds.n > 0)
		return group_open(req);
	if (!in->peerId && !in->sellerId && !in->productId) {
		err_field(&req->err, "/peerId", "required", "give peerId, sellerId or productId");
		return ERR(&req->err, P_INVALID, "nobody to talk to");
	}
	enum problem p = q_chat_open(req->db, &q, &rows, &req->err);
	if (p)
		return p;
	opened(req, rows, Q_CHAT_OPEN_BODY);
	resp_status(req, rows_bool(rows, 0, Q_CHAT_OPEN_CREATED) ? 201 : 200);
	if (!rows_bool(rows, 0, Q_CHAT_OPEN_CREATED))
		bucket_give_back(req);
	return resp_row(req, rows);
}

static enum problem
chat_get(struct request *req)
{
	struct q_chat_get q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_chat_get(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
chat_list(struct request *req)
{
	const struct chat_query *in = req->query;
	struct q_chat_list_after after = { .limit = (int32_t)in->limit };
	struct rows *rows;
	enum problem p;

	if (!in->cursor.p) {
		p = q_chat_list(
			req->db, &(struct q_chat_list){ .limit = after.limit }, &rows, &req->err);
		return p ? p : resp_page(req, rows, in->limit);
	}
	if ((p = cursor_get_moment(req, in->cursor, &after.at, &after.id)))
		return p;
	p = q_chat_list_after(req->db, &after, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static enum problem
chat_unread(struct request *req)
{
	struct rows *rows;
	enum problem p = q_chat_unread(req->db, &(struct q_chat_unread){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
set_flag(struct request *req, struct q_chat_flag *q, struct rows **rows)
{
	enum problem p = req_uuid(req, 0, &q->id);

	return p ? p : q_chat_flag(req->db, q, rows, &req->err);
}

static enum problem
chat_hide(struct request *req)
{
	static const bool yes = true;
	struct rows *rows;
	enum problem p = set_flag(req, &(struct q_chat_flag){ .hidden = &yes }, &rows);

	return p ? p : resp_empty(req);
}

static enum problem
chat_mute(struct request *req)
{
	const struct flag *in = req->body;
	struct rows *rows;
	enum problem p = set_flag(req, &(struct q_chat_flag){ .muted = &in->on }, &rows);

	return p ? p : resp_row(req, rows);
}

static enum problem
chat_archive(struct request *req)
{
	const struct flag *in = req->body;
	struct rows *rows;
	enum problem p = set_flag(req, &(struct q_chat_flag){ .archived = &in->on }, &rows);

	return p ? p : resp_row(req, rows);
}

/* ---- history ---- */

/* Where a page begins: the cursor of the page before, or the seq that was asked for. */
static enum problem
history_edge(struct request *req, const struct history_query *in, int64_t *edge)
{
	struct str part[CURSOR_PARTS];
	enum problem p;

	*edge = in->after ? *in->after : in->before ? *in->before : INT64_MAX;
	if (!in->cursor.p)
		return P_OK;
	if ((p = cursor_get(req, in->cursor, part, 1)))
		return p;
	if (!str_i64(part[0], edge))
		return ERR(&req->err, P_BAD_CURSOR, "no seq in the cursor");
	return P_OK;
}

/* SQL has joined the messages: 50 rows would cost more to carry than to read. */
static enum problem
history_page(struct request *req, const struct rows *rows)
{
	struct str items = rows_str(rows, 0, Q_MESSAGE_LIST_AFTER_ITEMS),
		   edge = rows_str(rows, 0, Q_MESSAGE_LIST_AFTER_EDGE);
	struct buf b;

	buf_init(&b, req->arena, LIMIT_RESPONSE);
	buf_puts(&b, "{\"items\":[");
	buf_putstr(&b, items);
	buf_puts(&b, "],\"nextCursor\":");
	if (edge.p)
		buf_printf(&b, "\"%.*s\"}", STR_ARG(cursor_make(req, &edge, 1)));
	else
		buf_puts(&b, "null}");
	if (b.failed)
		return ERR(&req->err, P_INTERNAL, "page over %d bytes", LIMIT_RESPONSE);
	resp_etag(req, rows_str(rows, 0, Q_MESSAGE_LIST_AFTER_VERSION));
	return resp_json(req, buf_str(&b));
}

static enum problem
message_list(struct request *req)
{
	const struct history_query *in = req->query;
	struct rows *rows;
	struct uuid chat;
	int64_t edge;
	enum problem p;

	if ((p = req_uuid(req, 0, &chat)) || (p = history_edge(req, in, &edge)))
		return p;
	if (in->after)
		p = q_message_list_after(req->db,
			&(struct q_message_list_after){
				.chat = chat, .after = edge, .limit = (int32_t)in->limit },
			&rows, &req->err);
	else
		p = q_message_list_before(req->db,
			&(struct q_message_list_before){
				.chat = chat, .before = edge, .limit = (int32_t)in->limit },
			&rows, &req->err);
	if (p)
		return p;
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "not a member");
	return history_page(req, rows);
}

/* ---- receipts ---- */

static enum problem
receipt(struct request *req, bool read)
{
	const struct receipt *in = req->body;
	struct q_chat_receipt q = { .seq = in->seq, .read = read };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.chat);

	if (p || (p = q_chat_receipt(req->db, &q, &rows, &req->err)))
		return p;
	return resp_empty(req);
}

static enum problem
chat_read(struct request *req)
{
	return receipt(req, true);
}

static enum problem
chat_delivered(struct request *req)
{
	return receipt(req, false);
}

/* ---- typing: never stored, straight to the broker ---- */

static struct str
typing_event(struct request *req, struct uuid chat, const struct typing *in)
{
	char now[RFC3339_TEXT + 1], id[UUID_TEXT + 1], chat_text[UUID_TEXT + 1],
		user[UUID_TEXT + 1];
	struct uuid u = uuid_new();
	struct jsonw w;
	struct buf b;

	clock_rfc3339(clock_unix_ms(), now);
	uuid_text(&u, id);
	uuid_text(&chat, chat_text);
	uuid_text(&req->who.user, user);
	buf_init(&b, req->arena, TYPING_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kint(&w, "v", 1);
	jsonw_kz(&w, "t", "user:typing");
	jsonw_kz(&w, "id", id);
	jsonw_kz(&w, "ts", now);
	jsonw_key(&w, "d");
	jsonw_obj(&w);
	jsonw_kz(&w, "chatId", chat_text);
	jsonw_kz(&w, "userId", user);
	jsonw_kbool(&w, "on", in->on);
	if (in->kind.p)
		jsonw_kstr(&w, "kind", in->kind);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return buf_str(&b);
}

static enum problem
chat_typing(struct request *req)
{
	struct q_typing_peers q;
	struct rows *rows;
	char topic[TOPIC_TEXT + 1];
	enum problem p = req_uuid(req, 0, &q.chat);

	if (p || (p = q_typing_peers(req->db, &q, &rows, &req->err)))
		return p;
	struct str event = typing_event(req, q.chat, req->body);
	for (size_t i = 0; i < rows_count(rows); i++) {
		struct uuid peer = rows_uuid(rows, i, Q_TYPING_PEERS_ID);
		size_t n = topic_ephemeral(&peer, topic);
		/* Worthless a moment later: nothing is lost with it. */
		(void)brokers_publish(req->app->brokers, (struct str){ topic, n }, event, 0);
	}
	return resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_GET, "/chats", chat_list, .roles = ROLE_ANY, .bare = true,
		.query = &chat_query_schema, .returns = &chat_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Chat", .name = "chatList",
		.doc = "Conversations of the caller, newest first" },
	{ HTTP_POST, "/chats", chat_open, .roles = ROLE_ANY, .bare = true,
		.body = &chat_open_schema, .status = 201, .other_status = 200, .returns = &chat_out,
		.limit = LIMIT_OPEN, .problems = { P_NOT_FOUND, P_BLOCKED, P_FILTERED },
		.tag = "Chat", .name = "chatOpen",
		.doc = "The conversation with somebody about something, 200 when it was there; "
		       "or a new group" },
	{ HTTP_GET, "/chats/unread", chat_unread, .roles = ROLE_ANY, .bare = true,
		.returns = &unread_out, .tag = "Chat", .name = "chatUnread",
		.doc = "Unread messages, in all and by conversation" },
	{ HTTP_GET, "/chats/:id", chat_get, .roles = ROLE_ANY, .bare = true, .returns = &chat_out,
		.tag = "Chat", .name = "chatGet", .doc = "One conversation" },
	{ HTTP_DELETE, "/chats/:id", chat_hide, .roles = ROLE_ANY, .bare = true, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Chat", .name = "chatHide",
		.doc = "Takes it off the caller's list until there is something new" },
	{ HTTP_PUT, "/chats/:id/mute", chat_mute, .roles = ROLE_ANY, .bare = true,
		.body = &flag_schema, .returns = &chat_out, .limit = LIMIT_WRITE, .tag = "Chat",
		.name = "chatMute", .doc = "No sound for its messages, on any device" },
	{ HTTP_PUT, "/chats/:id/archive", chat_archive, .roles = ROLE_ANY, .bare = true,
		.body = &flag_schema, .returns = &chat_out, .limit = LIMIT_WRITE, .tag = "Chat",
		.name = "chatArchive", .doc = "Puts it aside" },
	{ HTTP_GET, "/chats/:id/messages", message_list, .roles = ROLE_ANY, .bare = true,
		.query = &history_query_schema, .returns = &message_out, .page = true,
		.mqtt = "history", .problems = { P_BAD_CURSOR }, .tag = "Chat",
		.name = "messageList", .doc = "History, in both directions by seq" },
	{ HTTP_POST, "/chats/:id/read", chat_read, .roles = ROLE_ANY, .bare = true,
		.body = &receipt_schema, .status = 204, .limit = LIMIT_MESSAGE, .mqtt = "read",
		.tag = "Chat", .name = "chatRead", .doc = "Everything up to seq was read" },
	{ HTTP_PUT, "/chats/:id/read", chat_read, .roles = ROLE_ANY, .bare = true,
		.body = &receipt_schema, .status = 204, .limit = LIMIT_MESSAGE, .hidden = true,
		.tag = "Chat", .name = "chatReadPut", .doc = "Everything up to seq was read" },
	{ HTTP_POST, "/chats/:id/delivered", chat_delivered, .roles = ROLE_ANY, .bare = true,
		.body = &receipt_schema, .status = 204, .limit = LIMIT_MESSAGE, .mqtt = "delivered",
		.tag = "Chat", .name = "chatDelivered",
		.doc = "Everything up to seq is on a device" },
	{ HTTP_POST, "/chats/:id/typing", chat_typing, .roles = ROLE_ANY, .bare = true,
		.body = &typing_schema, .status = 204, .limit = LIMIT_MESSAGE, .mqtt = "typing",
		.tag = "Chat", .name = "chatTyping",
		.doc = "Tells the others that the caller types" },
};
const struct route_table chat_routes = ROUTES(rows);
