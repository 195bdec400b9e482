/* LiveMarket Chat: chats and messages. */
#include "api/compat_livemarket.h"

#include "api/api.h"

/* ---- shapes ---- */

static const char *const kinds[] = { "text", "image", "file", "card", "offer", NULL };
static const char *const kinds_in[] = { "text", "image", "file", NULL };
static const struct field message_data_fields[] = {
	OUT("id", T_UUID),
	OUT("chatId", T_UUID),
	OUT("senderId", T_UUID),
	OUT("content", T_TEXT, .doc = "of an image or a file: its link, good for ten minutes"),
	OUT("type", T_ENUM, .values = kinds),
	OUT("isDeleted", T_BOOL),
	OUT("isEdited", T_BOOL),
	OUT("isReaded", T_BOOL),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema message_data = LM_DATA("MessageData", message_data_fields);
static const struct field chat_data_fields[] = {
	OUT("id", T_UUID),
	OUT("type", T_TEXT),
	OUT("participants", T_ARRAY, .item = T_UUID),
	OUT_NULL("name", T_TEXT),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
	OUT_NULL("lastMessage", T_OBJECT, .of = &message_data),
};
static const struct schema chat_data = LM_DATA("ChatData", chat_data_fields);

#define ENVELOPE_LIST(var, name, what)                                                       \
	static const struct field var##_fields[] = { LM_ENVELOPE,                            \
		OUT("data", T_ARRAY, .of = &(what)),                                         \
		OUT_NULL("nextCursor", T_TEXT, .doc = "for ?cursor=, when there is more") }; \
	static const struct schema var = SCHEMA_OUT(name, var##_fields)

LM_ENVELOPE_OF(message_answer, "Message", message_data);
LM_ENVELOPE_OF(chat_answer, "Chat", chat_data);
ENVELOPE_LIST(chats_answer, "Chats", chat_data);
ENVELOPE_LIST(messages_answer, "Messages", message_data);

struct open_lm {
	const struct uuid *to, *product_id;
};
static const struct field open_fields[] = {
	FIELD(open_lm, to, T_UUID, .required = false, .alias = "peerId", .doc = "whom to write to"),
	FIELD_AS(open_lm, product_id, "productId", T_UUID,
		.doc = "what it is about; alone it means its seller"),
};
static const struct schema open_lm = SCHEMA("ChatOpen", open_lm, open_fields);

struct message_lm {
	struct str content, type;
	const struct uuid *sender_id, *chat_id;
};
static const struct field message_fields[] = {
	FIELD(message_lm, content, T_TEXT, .required = true, .max = COMPAT_TEXT_MAX,
		.doc = "of an image or a file: the url that POST /files gave"),
	FIELD(message_lm, type, T_ENUM, .values = kinds_in, .doc = "text when absent"),
	FIELD_AS(message_lm, sender_id, "senderId", T_UUID, .doc = "the caller, or nothing"),
	FIELD_AS(message_lm, chat_id, "chatId", T_UUID, .doc = "that of the path, or nothing"),
};
static const struct schema message_lm = SCHEMA("MessageSend", message_lm, message_fields);

struct edit_lm {
	struct str content;
};
static const struct field edit_fields[] = {
	FIELD(edit_lm, content, T_TEXT, .required = true, .min = 1, .max = COMPAT_TEXT_MAX,
		.alias = "body"),
};
static const struct schema edit_lm = SCHEMA("MessageEdit", edit_lm, edit_fields);

/* ---- answers ---- */

/* Whether it reached whom it was for: the caller, or with an own one somebody else. */
static bool
was_read(const struct json *m, const struct compat_people *people, const struct uuid *me)
{
	struct str chat = compat_text(m, "chatId");
	struct compat_person person;
	struct uuid sender;
	bool mine = uuid_parse(compat_text(m, "senderId"), &sender) && uuid_eq(&sender, me);

	for (size_t i = 0; people && compat_next_person(people, chat, &i, &person);)
		if (uuid_eq(&person.id, me) != mine && person.read_seq >= compat_int(m, "seq"))
			return true;
	return false;
}

/* Without `people` nobody has read it yet. */
static void
put_message(struct request *req, struct jsonw *w, const struct json *m,
	const struct compat_people *people)
{
	static const char *const but[] = { "content", "isDeleted", "isEdited", "isReaded",
		"updatedAt", NULL };
	const struct json *files = json_member(m, "attachments");
	struct str text = compat_content(m), edited = compat_text(m, "editedAt");

	jsonw_obj(w);
	compat_copy(req, w, m, but);
	jsonw_kstr(w, "content",
		text.n == 0 && json_size(files) > 0 ? lm_file_url(req, json_item(files, 0)) : text);
	jsonw_kbool(w, "isDeleted", json_bool(json_member(m, "deleted")));
	jsonw_kbool(w, "isEdited", edited.p != NULL);
	jsonw_kbool(w, "isReaded", was_read(m, people, &req->who.user));
	jsonw_kstr(w, "updatedAt", edited.p ? edited : compat_text(m, "createdAt"));
	jsonw_obj_end(w);
}

static enum problem
answer_message(struct request *req, const struct json *m, const char *en, const char *es)
{
	struct jsonw w;
	struct buf b;

	lm_begin(req, &b, &w, en, es);
	jsonw_key(&w, "data");
	put_message(req, &w, m, NULL);
	return lm_end(req, &b, &w);
}

static void
put_chat(struct request *req, struct jsonw *w, const struct json *chat,
	const struct compat_people *people)
{
	static const char *const but[] = { "type", "participants", "name", "updatedAt",
		"lastMessage", NULL };
	const struct json *last = json_member(chat, "lastMessage");
	struct str id = compat_text(chat, "id"), title = compat_text(chat, "title");
	struct compat_person person;
	char text[UUID_TEXT + 1];

	jsonw_obj(w);
	compat_copy(req, w, chat, but);
	jsonw_kstr(w, "type", compat_text(chat, "kind"));
	jsonw_key(w, "participants");
	jsonw_arr(w);
	for (size_t i = 0; compat_next_person(people, id, &i, &person);) {
		uuid_text(&person.id, text);
		jsonw_z(w, text);
	}
	jsonw_arr_end(w);
	jsonw_kstr(w, "name", title.p ? title : compat_text(json_member(chat, "peer"), "name"));
	jsonw_kstr(w, "updatedAt", compat_text(chat, "lastMessageAt"));
	jsonw_key(w, "lastMessage");
	if (json_kind_of(last) == JSON_OBJ)
		put_message(req, w, last, people);
	else
		jsonw_null(w);
	jsonw_obj_end(w);
}

static enum problem
livemarket_chats(struct request *req)
{
	const struct json *page;
	struct compat_people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_chats(req, &page, &people);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	lm_begin(req, &b, &w, "Chats", "Chats");
	jsonw_key(&w, "data");
	jsonw_arr(&w);
	for (size_t i = 0; i < json_size(items); i++)
		put_chat(req, &w, json_item(items, i), &people);
	jsonw_arr_end(&w);
	jsonw_kstr(&w, "nextCursor", compat_text(page, "nextCursor"));
	return lm_end(req, &b, &w);
}

static enum problem
livemarket_chat_open(struct request *req)
{
	const struct open_lm *in = req->body;
	const struct json *chat;
	struct compat_people people;
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	compat_put_uuid(&w, "peerId", in->to);
	compat_put_uuid(&w, "productId", in->product_id);
	enum problem p = compat_send(req, "chatOpen", compat_end(&b, &w), &chat);
	if (!p)
		p = compat_people_of(req, chat, &people);
	if (p)
		return p;
	lm_begin(req, &b, &w, "Chat", "Chat");
	jsonw_key(&w, "data");
	put_chat(req, &w, chat, &people);
	return lm_end(req, &b, &w);
}

static enum problem
livemarket_chat_hide(struct request *req)
{
	const struct json *none;
	enum problem p = compat_ask(req, "chatHide", &none);

	return p ? p
		 : lm_answer_plain(
			   req, "The chat is off your list", "El chat ya no está en su lista");
}

/* The latest ones, in the order in which they were written. */
static enum problem
livemarket_messages(struct request *req)
{
	const struct json *page;
	struct compat_people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_messages(req, &page, &people);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	lm_begin(req, &b, &w, "Messages", "Mensajes");
	jsonw_key(&w, "data");
	jsonw_arr(&w);
	for (size_t i = json_size(items); i-- > 0;)
		put_message(req, &w, json_item(items, i), &people);
	jsonw_arr_end(&w);
	jsonw_kstr(&w, "nextCursor", compat_text(page, "nextCursor"));
	return lm_end(req, &b, &w);
}

/* An image and a file were sent by their address: here they go by the file's id. */
static enum problem
put_content(struct request *req, struct jsonw *w, const struct message_lm *in)
{
	bool by_file = str_eqz(in->type, "image") || str_eqz(in->type, "file");
	char text[UUID_TEXT + 1];
	struct uuid file;

	if (!by_file) {
		compat_put(w, "body", in->content);
		return P_OK;
	}
	if (!compat_file_id(in->content, &file)) {
		err_field(&req->err, "/content", "no_file", "want the url that POST /files gave");
		return ERR(&req->err, P_INVALID, "no file");
	}
	uuid_text(&file, text);
	jsonw_key(w, "fileIds");
	jsonw_arr(w);
	jsonw_z(w, text);
	jsonw_arr_end(w);
	return P_OK;
}

static enum problem
livemarket_send(struct request *req)
{
	const struct message_lm *in = req->body;
	const struct json *m;
	struct jsonw w;
	struct uuid chat;
	struct buf b;

	enum problem p = req_uuid(req, 0, &chat);
	if (!p)
		p = compat_is_caller(req, in->sender_id);
	if (p)
		return p;
	if (in->chat_id && !uuid_eq(in->chat_id, &chat)) {
		err_field(
			&req->err, "/chatId", "not_allowed", "another chat than that of the path");
		return ERR(&req->err, P_INVALID, "two chats");
	}
	compat_begin(req, &b, &w);
	compat_put(&w, "type", in->type);
	if ((p = put_content(req, &w, in)))
		return p;
	p = compat_send(req, "messageSend", compat_end(&b, &w), &m);
	return p ? p : answer_message(req, m, "Sent", "Enviado");
}

static enum problem
livemarket_edit(struct request *req)
{
	const struct edit_lm *in = req->body;
	const struct json *m;
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	compat_put(&w, "body", in->content);
	enum problem p = compat_send(req, "messageEdit", compat_end(&b, &w), &m);
	return p ? p : answer_message(req, m, "Changed", "Cambiado");
}

static enum problem
livemarket_message_delete(struct request *req)
{
	const struct json *none;
	enum problem p = compat_ask(req, "messageDelete", &none);

	return p ? p : lm_answer_plain(req, "The message is gone", "El mensaje ya no está");
}

static const struct route rows[] = {
	{ HTTP_GET, "/chats", livemarket_chats, LM_USER, .query = &compat_page_schema,
		.returns = &chats_answer, .problems = { P_BAD_CURSOR }, .tag = "Chats",
		.name = "livemarketChats", .doc = "The caller's chats, newest first" },
	{ HTTP_POST, "/chats", livemarket_chat_open, LM_USER, .body = &open_lm,
		.returns = &chat_answer, .status = 201, .other_status = 200, .limit = LIMIT_OPEN,
		.problems = { P_NOT_FOUND, P_BLOCKED }, .tag = "Chats",
		.name = "livemarketChatOpen",
		.doc = "The private chat with somebody; 200 when it was there" },
	{ HTTP_DELETE, "/chats/:id", livemarket_chat_hide, LM_USER, .returns = &lm_plain,
		.limit = LIMIT_WRITE, .tag = "Chats", .name = "livemarketChatHide",
		.doc = "Hides a chat from the caller until there is something new" },
	{ HTTP_GET, "/chats/:id/messages", livemarket_messages, LM_USER,
		.query = &compat_page_schema, .returns = &messages_answer,
		.problems = { P_BAD_CURSOR }, .tag = "Chats", .name = "livemarketMessages",
		.doc = "The latest messages, oldest first; the cursor leads to older ones" },
	{ HTTP_POST, "/chats/:id/messages", livemarket_send, LM_USER, .body = &message_lm,
		.returns = &message_answer, .status = 201, .other_status = 200, .limit = LIMIT_SEND,
		.problems = { P_BLOCKED, P_MESSAGE_CONFLICT, P_FILTERED }, .tag = "Chats",
		.name = "livemarketSend",
		.doc = "Sends a message; with an Idempotency-Key a repetition answers 200" },
	{ HTTP_PUT, "/chats/:id/messages/:mid", livemarket_edit, LM_USER, .body = &edit_lm,
		.returns = &message_answer, .limit = LIMIT_SEND,
		.problems = { P_ALREADY_READ, P_BLOCKED, P_FILTERED }, .tag = "Chats",
		.name = "livemarketEdit", .doc = "A new text, while nobody else has read it" },
	{ HTTP_DELETE, "/chats/:id/messages/:mid", livemarket_message_delete, LM_USER,
		.returns = &lm_plain, .limit = LIMIT_MESSAGE, .problems = { P_ALREADY_READ },
		.tag = "Chats", .name = "livemarketMessageDelete",
		.doc = "Removes an own message, while nobody else has read it" },
};
const struct route_table livemarket_chat_routes = ROUTES(rows);
