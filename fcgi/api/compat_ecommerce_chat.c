/* E-Commerce Chat: conversations and messages, receipts, typing. */
#include "api/compat_ecommerce.h"

#include "api/api.h"

/* ---- shapes ---- */

struct open_ec {
	struct array participant_ids;
	const struct uuid *product_id;
};
static const struct field open_fields[] = {
	FIELD_AS(open_ec, participant_ids, "participantIds", T_ARRAY, .item = T_UUID,
		.required = true, .min = 1, .max = 2,
		.doc = "one other user; the caller may be named too"),
	FIELD_AS(open_ec, product_id, "productId", T_UUID, .doc = "what it is about"),
};
static const struct schema open_ec = SCHEMA("ConversationStart", open_ec, open_fields);

struct attachment_ec {
	struct str url, filename, mime_type, kind, stored_as;
	const int64_t *size;
};
static const char *const attachment_kinds[] = { "image", "doc", NULL };
static const struct field attachment_in_fields[] = {
	FIELD(attachment_ec, url, T_TEXT, .required = true,
		.doc = "as an upload gave it; what else is said of the file is not believed"),
	FIELD(attachment_ec, filename, T_TEXT),
	FIELD_AS(attachment_ec, mime_type, "mimeType", T_TEXT),
	FIELD(attachment_ec, kind, T_ENUM, .values = attachment_kinds),
	FIELD_AS(attachment_ec, stored_as, "storedAs", T_TEXT),
	FIELD(attachment_ec, size, T_INT, .min = 0, .max = JSON_INT_MAX),
};
static const struct schema attachment_in =
	SCHEMA("AttachmentSend", attachment_ec, attachment_in_fields);

struct message_ec {
	struct uuid conversation_id;
	struct str content, text;
	struct array attachments;
	const struct uuid *sender_id, *recipient_id;
};
static const struct field message_in_fields[] = {
	FIELD_AS(message_ec, conversation_id, "conversationId", T_UUID, .required = true),
	FIELD(message_ec, content, T_TEXT, .max = COMPAT_TEXT_MAX),
	FIELD(message_ec, text, T_TEXT, .max = COMPAT_TEXT_MAX, .doc = "another name of content"),
	FIELD(message_ec, attachments, T_ARRAY, .of = &attachment_in),
	FIELD_AS(message_ec, sender_id, "senderId", T_UUID, .doc = "the caller, or nothing"),
	FIELD_AS(message_ec, recipient_id, "recipientId", T_UUID,
		.doc = "in the conversation, or nothing"),
};
static const struct schema message_in = SCHEMA("MessageSend", message_ec, message_in_fields);

struct whom_ec {
	const struct uuid *user_id, *sender_id, *recipient_id;
};
static const struct field whom_fields[] = {
	FIELD_AS(whom_ec, user_id, "userId", T_UUID, .doc = "the caller, or nothing"),
	FIELD_AS(whom_ec, sender_id, "senderId", T_UUID, .doc = "the caller, or nothing"),
	FIELD_AS(whom_ec, recipient_id, "recipientId", T_UUID,
		.doc = "in the conversation, or nothing"),
};
static const struct schema whom_ec = SCHEMA("Whom", whom_ec, whom_fields);

static const struct field person_fields[] = {
	OUT("_id", T_UUID),
	OUT("name", T_TEXT),
	OUT_NULL("email", T_EMAIL, .doc = "null: addresses are not shown to others"),
	OUT_OPT("role", T_TEXT),
};
static const struct schema person_out = SCHEMA_OUT("Person", person_fields);
static const struct field attachment_fields[] = {
	OUT("url", T_URL, .doc = "good for ten minutes"),
	OUT("filename", T_TEXT),
	OUT("mimeType", T_TEXT),
	OUT("size", T_INT),
	OUT("kind", T_ENUM, .values = attachment_kinds),
};
static const struct schema attachment_out = SCHEMA_OUT("Attachment", attachment_fields);
#define MESSAGE_FIELDS                                                            \
	OUT("_id", T_UUID), OUT("conversation", T_UUID), OUT("content", T_TEXT),  \
		OUT("attachments", T_ARRAY, .of = &attachment_out),               \
		OUT("readBy", T_ARRAY, .item = T_UUID), OUT("createdAt", T_TIME), \
		OUT("updatedAt", T_TIME)
static const struct field message_fields[] = {
	OUT("sender", T_UUID),
	MESSAGE_FIELDS,
};
static const struct schema message_out_ec = SCHEMA_OUT("Message", message_fields);
static const struct field message_by_fields[] = {
	OUT("sender", T_OBJECT, .of = &person_out),
	MESSAGE_FIELDS,
};
static const struct schema message_by_out = SCHEMA_OUT("MessageWithSender", message_by_fields);
static const struct field conversation_fields[] = {
	OUT("_id", T_UUID),
	OUT("participants", T_ARRAY, .item = T_UUID),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema conversation_out = SCHEMA_OUT("Conversation", conversation_fields);
static const struct field conversation_full_fields[] = {
	OUT("_id", T_UUID),
	OUT("participants", T_ARRAY, .of = &person_out),
	OUT_NULL("lastMessage", T_OBJECT, .of = &message_out_ec),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema conversation_full_out =
	SCHEMA_OUT("ConversationWithPeople", conversation_full_fields);

/* ---- answers ---- */

static void
put_id(struct jsonw *w, const struct uuid *id)
{
	char text[UUID_TEXT + 1];

	uuid_text(id, text);
	jsonw_z(w, text);
}

static void
put_person(struct jsonw *w, const struct compat_person *person)
{
	jsonw_obj(w);
	compat_put_uuid(w, "_id", &person->id);
	jsonw_kstr(w, "name", person->name);
	jsonw_key(w, "email");
	jsonw_null(w);
	jsonw_kstr(w, "role", ec_role(person->role));
	jsonw_obj_end(w);
}

/* Who has left has no name here any more. */
static void
put_sender(struct jsonw *w, const struct json *m, const struct compat_people *people)
{
	struct compat_person person;
	struct uuid sender;

	if (!uuid_parse(compat_text(m, "senderId"), &sender))
		sender = (struct uuid){ { 0 } };
	for (size_t i = 0; compat_next_person(people, compat_text(m, "chatId"), &i, &person);)
		if (uuid_eq(&person.id, &sender)) {
			put_person(w, &person);
			return;
		}
	person = (struct compat_person){ .id = sender, .name = STR(""), .role = STR("client") };
	put_person(w, &person);
}

static void
put_attachments(struct request *req, struct jsonw *w, const struct json *files)
{
	jsonw_key(w, "attachments");
	jsonw_arr(w);
	for (size_t i = 0; i < json_size(files); i++) {
		const struct json *f = json_item(files, i);
		jsonw_obj(w);
		jsonw_kstr(w, "url", ec_file_url(req, f));
		jsonw_kstr(w, "filename", compat_text(f, "name"));
		jsonw_kstr(w, "mimeType", compat_text(f, "mediaType"));
		jsonw_kint(w, "size", compat_int(f, "size"));
		jsonw_kz(w, "kind", str_eqz(compat_text(f, "kind"), "image") ? "image" : "doc");
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

/* Whoever wrote it, and whoever has come as far; without `people` nobody has. */
static void
put_readers(struct jsonw *w, const struct json *m, const struct compat_people *people)
{
	struct str sender = compat_text(m, "senderId");
	struct compat_person person;
	struct uuid author;

	jsonw_key(w, "readBy");
	jsonw_arr(w);
	jsonw_str(w, sender);
	if (!uuid_parse(sender, &author))
		people = NULL;
	for (size_t i = 0;
		people && compat_next_person(people, compat_text(m, "chatId"), &i, &person);)
		if (!uuid_eq(&person.id, &author) && person.read_seq >= compat_int(m, "seq"))
			put_id(w, &person.id);
	jsonw_arr_end(w);
}

/* With `full` the sender is shown in full. */
static void
put_message(struct request *req, struct jsonw *w, const struct json *m,
	const struct compat_people *people, bool full)
{
	struct str edited = compat_text(m, "editedAt"), at = compat_text(m, "createdAt");

	jsonw_obj(w);
	jsonw_kstr(w, "_id", compat_text(m, "id"));
	jsonw_kstr(w, "conversation", compat_text(m, "chatId"));
	jsonw_key(w, "sender");
	if (full)
		put_sender(w, m, people);
	else
		jsonw_str(w, compat_text(m, "senderId"));
	jsonw_kstr(w, "content", compat_content(m));
	put_attachments(req, w, json_member(m, "attachments"));
	put_readers(w, m, people);
	jsonw_kstr(w, "createdAt", at);
	jsonw_kstr(w, "updatedAt", edited.p ? edited : at);
	jsonw_obj_end(w);
}

/* With `full` people are shown in full, and the last message. */
static void
put_conversation(struct request *req, struct jsonw *w, const struct json *chat,
	const struct compat_people *people, bool full)
{
	const struct json *last = json_member(chat, "lastMessage");
	struct str id = compat_text(chat, "id");
	struct compat_person person;

	jsonw_obj(w);
	jsonw_kstr(w, "_id", id);
	jsonw_key(w, "participants");
	jsonw_arr(w);
	for (size_t i = 0; compat_next_person(people, id, &i, &person);)
		if (full)
			put_person(w, &person);
		else
			put_id(w, &person.id);
	jsonw_arr_end(w);
	if (full) {
		jsonw_key(w, "lastMessage");
		if (json_kind_of(last) == JSON_OBJ)
			put_message(req, w, last, people, false);
		else
			jsonw_null(w);
	}
	jsonw_kstr(w, "createdAt", compat_text(chat, "createdAt"));
	jsonw_kstr(w, "updatedAt", compat_text(chat, "lastMessageAt"));
	jsonw_obj_end(w);
}

/* ---- conversations ---- */

/* The one of the participants who is not the caller. */
static enum problem
other_of(struct request *req, const struct open_ec *in, struct uuid *out)
{
	const struct uuid *ids = in->participant_ids.v;
	const struct uuid *other = NULL;
	bool several = false;

	for (size_t i = 0; i < in->participant_ids.n; i++) {
		if (uuid_eq(&ids[i], &req->who.user))
			continue;
		several = several || (other && !uuid_eq(other, &ids[i]));
		other = &ids[i];
	}
	if (!other || several) {
		err_field(&req->err, "/participantIds", "not_allowed", "want one other user");
		return ERR(&req->err, P_INVALID, "participants");
	}
	*out = *other;
	return P_OK;
}

static enum problem
ecommerce_start(struct request *req)
{
	const struct open_ec *in = req->body;
	const struct json *chat;
	struct compat_people people;
	struct uuid other;
	struct jsonw w;
	struct buf b;

	enum problem p = other_of(req, in, &other);
	if (p)
		return p;
	compat_begin(req, &b, &w);
	compat_put_uuid(&w, "peerId", &other);
	compat_put_uuid(&w, "productId", in->product_id);
	if ((p = compat_send(req, "chatOpen", compat_end(&b, &w), &chat)) ||
		(p = compat_people_of(req, chat, &people)))
		return p;
	resp_status(req, 201); /* an old one too */
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	jsonw_init(&w, &b);
	put_conversation(req, &w, chat, &people, false);
	return resp_json(req, buf_str(&b));
}

static enum problem
ecommerce_conversations(struct request *req)
{
	const struct json *page;
	struct compat_people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_chats(req, &page, &people);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	ec_array_begin(req, &b, &w, page);
	for (size_t i = 0; i < json_size(items); i++)
		put_conversation(req, &w, json_item(items, i), &people, true);
	return ec_array_end(req, &b, &w);
}

static enum problem
ecommerce_conversation(struct request *req)
{
	const struct json *chat;
	struct compat_people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_chat(req, &chat, &people);
	if (p)
		return p;
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	jsonw_init(&w, &b);
	put_conversation(req, &w, chat, &people, true);
	return resp_json(req, buf_str(&b));
}

/* ---- messages ---- */

/* All that the conversation still has of the latest ones, in the order in which they were written.
 */
static enum problem
ecommerce_messages(struct request *req)
{
	const struct json *page;
	struct compat_people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_messages(req, &page, &people);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	ec_array_begin(req, &b, &w, page);
	for (size_t i = json_size(items); i-- > 0;) {
		const struct json *m = json_item(items, i);
		if (!json_bool(json_member(m, "deleted")))
			put_message(req, &w, m, &people, true);
	}
	return ec_array_end(req, &b, &w);
}

/* Who is named must be who is meant: the caller, and somebody in the conversation. */
static enum problem
check_whom(struct request *req, const struct uuid *sender, const struct uuid *recipient)
{
	const struct json *chat;
	struct compat_people people;

	enum problem p = compat_is_caller(req, sender);
	if (p || !recipient)
		return p;
	if ((p = compat_chat(req, &chat, &people)))
		return p;
	if (!compat_is_member(&people, compat_text(chat, "id"), recipient))
		return ERR_SAY(&req->err, P_FORBIDDEN, "the recipient is not in the conversation");
	return P_OK;
}

static enum problem
put_files(struct request *req, struct jsonw *w, const struct array *attachments)
{
	const struct attachment_ec *v = attachments->v;
	bool images = true;
	char text[UUID_TEXT + 1];
	struct uuid id;

	jsonw_key(w, "fileIds");
	jsonw_arr(w);
	for (size_t i = 0; i < attachments->n; i++) {
		if (!compat_file_id(v[i].url, &id)) {
			err_field(&req->err, arena_printf(req->arena, "/attachments/%zu/url", i),
				"no_file", "want the url that an upload gave");
			return ERR(&req->err, P_INVALID, "no file");
		}
		uuid_text(&id, text);
		jsonw_z(w, text);
		images = images && str_eqz(v[i].kind, "image");
	}
	jsonw_arr_end(w);
	jsonw_kz(w, "type", images ? "image" : "file");
	return P_OK;
}

static enum problem
ecommerce_send(struct request *req)
{
	const struct message_ec *in = req->body;
	char chat[UUID_TEXT + 1];
	const struct json *m;
	struct jsonw w;
	struct buf b;

	uuid_text(&in->conversation_id, chat);
	compat_param(req, 0, str_dup(req->arena, str_of(chat)));
	enum problem p = check_whom(req, in->sender_id, in->recipient_id);
	if (p)
		return p;
	compat_begin(req, &b, &w);
	compat_put(&w, "body", in->content.p ? in->content : in->text);
	if (in->attachments.n > 0 && (p = put_files(req, &w, &in->attachments)))
		return p;
	if ((p = compat_send(req, "messageSend", compat_end(&b, &w), &m)))
		return p;
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	jsonw_init(&w, &b);
	put_message(req, &w, m, NULL, false);
	return resp_json(req, buf_str(&b));
}

/* ---- receipts and typing: what went over the socket ---- */

static enum problem
ecommerce_read(struct request *req)
{
	const struct whom_ec *in = req->body;
	const struct json *chat, *none;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_is_caller(req, in->user_id);
	if (!p)
		p = check_whom(req, in->sender_id, in->recipient_id);
	if (!p)
		p = compat_ask(req, "chatGet", &chat);
	if (p)
		return p;
	int64_t last = compat_int(chat, "lastSeq");
	if (last == 0)
		return ec_answer_success(req);
	compat_begin(req, &b, &w);
	jsonw_kint(&w, "seq", last);
	p = compat_send(req, "chatRead", compat_end(&b, &w), &none);
	return p ? p : ec_answer_success(req);
}

static enum problem
typing(struct request *req, struct str on)
{
	const struct whom_ec *in = req->body;
	const struct json *none;

	enum problem p = compat_is_caller(req, in->user_id);
	if (!p)
		p = check_whom(req, in->sender_id, in->recipient_id);
	if (!p)
		p = compat_send(req, "chatTyping", on, &none);
	return p ? p : ec_answer_success(req);
}

static enum problem
ecommerce_typing(struct request *req)
{
	return typing(req, STR("{\"on\":true}"));
}

static enum problem
ecommerce_stop_typing(struct request *req)
{
	return typing(req, STR("{\"on\":false}"));
}

/* ---- table ---- */

static const struct route rows[] = {
	{ HTTP_POST, "/conversations", ecommerce_start, EC_USER, .body = &open_ec, .status = 201,
		.returns = &conversation_out, .limit = LIMIT_OPEN,
		.problems = { P_NOT_FOUND, P_BLOCKED }, .tag = "Conversations",
		.name = "ecommerceStart", .doc = "The conversation with somebody, new or not" },
	{ HTTP_GET, "/conversations", ecommerce_conversations, EC_USER,
		.query = &compat_page_schema, .returns = &conversation_full_out, .array = true,
		.problems = { P_BAD_CURSOR }, .tag = "Conversations",
		.name = "ecommerceConversations",
		.doc = "The caller's conversations, newest first; X-Next-Cursor when there are "
		       "more" },
	{ HTTP_GET, "/conversations/:id", ecommerce_conversation, EC_USER,
		.returns = &conversation_full_out, .tag = "Conversations",
		.name = "ecommerceConversation", .doc = "One conversation" },
	{ HTTP_POST, "/conversations/:id/read", ecommerce_read, EC_USER, .body = &whom_ec,
		.returns = &ec_success, .limit = LIMIT_MESSAGE, .tag = "Conversations",
		.name = "ecommerceRead", .doc = "markRead: everything in it was read" },
	{ HTTP_POST, "/conversations/:id/typing", ecommerce_typing, EC_USER, .body = &whom_ec,
		.returns = &ec_success, .limit = LIMIT_MESSAGE, .tag = "Conversations",
		.name = "ecommerceTyping", .doc = "typing: tells the other that the caller types" },
	{ HTTP_POST, "/conversations/:id/stop-typing", ecommerce_stop_typing, EC_USER,
		.body = &whom_ec, .returns = &ec_success, .limit = LIMIT_MESSAGE,
		.tag = "Conversations", .name = "ecommerceStopTyping",
		.doc = "stopTyping: and does no more" },
	{ HTTP_POST, "/messages", ecommerce_send, EC_USER, .body = &message_in,
		.returns = &message_out_ec, .status = 201, .other_status = 200, .limit = LIMIT_SEND,
		.problems = { P_NOT_FOUND, P_BLOCKED, P_MESSAGE_CONFLICT, P_FILTERED },
		.tag = "Messages", .name = "ecommerceSend",
		.doc = "Sends a message; with an Idempotency-Key a repetition answers 200" },
	{ HTTP_GET, "/messages/:conversationId", ecommerce_messages, EC_USER,
		.query = &compat_page_schema, .returns = &message_by_out, .array = true,
		.problems = { P_BAD_CURSOR }, .tag = "Messages", .name = "ecommerceMessages",
		.doc = "The latest messages, oldest first; X-Next-Cursor leads to older ones" },
};
const struct route_table ecommerce_chat_routes = ROUTES(rows);
