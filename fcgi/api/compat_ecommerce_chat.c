/* E-Commerce Chat: conversations and messages, receipts, typing. */
#include "api/compat_ecommerce.h"

#include "api/api.h"
#include "base/check.h"
#include "queries.h"

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
/* ---- people ---- */

/* Members of conversations, as everybody sees them. */
struct people {
	const struct rows *rows;
	struct json const **docs;
};

static enum problem
find_people(struct request *req, const struct uuid *ids, size_t n, struct people *out)
{
	struct rows *rows;

	enum problem p = q_people_public(
		req->db, &(struct q_people_public){ .ids = { ids, n } }, &rows, &req->err);
	if (p)
		return p;
	out->rows = rows;
	out->docs = arena_calloc(req->arena, rows_count(rows) + 1, sizeof(*out->docs));
	for (size_t i = 0; !p && i < rows_count(rows); i++)
		p = json_parse(req->arena, rows_str(rows, i, Q_PEOPLE_PUBLIC_BODY), &out->docs[i],
			&req->err);
	return p;
}

static const struct json *
person(const struct people *people, struct str id)
{
	for (size_t i = 0; i < rows_count(people->rows); i++)
		if (str_eq(compat_text(people->docs[i], "id"), id))
			return people->docs[i];
	return NULL;
}

/* An account that was closed has no name any more. */
static void
put_person(struct jsonw *w, const struct people *people, struct str id)
{
	const struct json *doc = person(people, id);

	jsonw_obj(w);
	jsonw_kstr(w, "_id", id);
	jsonw_kstr(w, "name", doc ? compat_text(doc, "name") : STR(""));
	jsonw_key(w, "email");
	jsonw_null(w);
	if (doc)
		jsonw_kstr(w, "role", ec_role(compat_text(doc, "role")));
	jsonw_obj_end(w);
}

/* Both members of each of some conversations. */
static enum problem
people_of(struct request *req, const struct json *const *chats, size_t n, struct people *out)
{
	struct uuid *ids = arena_calloc(req->arena, COMPAT_MEMBERS * n + 1, sizeof(*ids));
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < COMPAT_MEMBERS; k++)
			found += uuid_parse(compat_text(chats[i], compat_members[k]), &ids[found]);
	return find_people(req, ids, found, out);
}

/* ---- answers ---- */

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

/* Whoever wrote it, and whoever has come as far; `chat` is NULL for one that was just written. */
static void
put_readers(struct request *req, struct jsonw *w, const struct json *m, const struct json *chat)
{
	struct str sender = compat_text(m, "senderId"),
		   peer = compat_text(json_member(chat, "peer"), "id");
	int64_t seq = compat_int(m, "seq");
	char me[UUID_TEXT + 1];

	uuid_text(&req->who.user, me);
	jsonw_key(w, "readBy");
	jsonw_arr(w);
	jsonw_str(w, sender);
	if (chat && !str_eqz(sender, me) && seq <= compat_int(chat, "readSeq"))
		jsonw_z(w, me);
	if (peer.p && !str_eq(sender, peer) && seq <= compat_int(chat, "peerReadSeq"))
		jsonw_str(w, peer);
	jsonw_arr_end(w);
}

/* With `people` the sender is shown in full. */
static void
put_message(struct request *req, struct jsonw *w, const struct json *m, const struct json *chat,
	const struct people *people)
{
	struct str sender = compat_text(m, "senderId"), edited = compat_text(m, "editedAt"),
		   text = compat_text(m, "body");
	const struct json *card = json_member(m, "card");

	jsonw_obj(w);
	jsonw_kstr(w, "_id", compat_text(m, "id"));
	jsonw_kstr(w, "conversation", compat_text(m, "chatId"));
	if (people) {
		jsonw_key(w, "sender");
		put_person(w, people, sender);
	} else {
		jsonw_kstr(w, "sender", sender);
	}
	/* Products were not in messages then: their title stands for them. */
	jsonw_kstr(w, "content", text.n == 0 && card ? compat_text(card, "title") : text);
	put_attachments(req, w, json_member(m, "attachments"));
	put_readers(req, w, m, chat);
	jsonw_kstr(w, "createdAt", compat_text(m, "createdAt"));
	jsonw_kstr(w, "updatedAt", edited.p ? edited : compat_text(m, "createdAt"));
	jsonw_obj_end(w);
}

static void
put_conversation(
	struct request *req, struct jsonw *w, const struct json *chat, const struct people *people)
{
	const struct json *last = json_member(chat, "lastMessage");

	jsonw_obj(w);
	jsonw_kstr(w, "_id", compat_text(chat, "id"));
	jsonw_key(w, "participants");
	jsonw_arr(w);
	for (size_t i = 0; i < COMPAT_MEMBERS; i++) {
		struct str id = compat_text(chat, compat_members[i]);
		if (id.p && people)
			put_person(w, people, id);
		else if (id.p)
			jsonw_str(w, id);
	}
	jsonw_arr_end(w);
	if (people) {
		jsonw_key(w, "lastMessage");
		if (json_kind_of(last) == JSON_OBJ)
			put_message(req, w, last, chat, NULL);
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

	for (size_t i = 0; i < in->participant_ids.n; i++) {
		if (uuid_eq(&ids[i], &req->who.user))
			continue;
		if (other && !uuid_eq(other, &ids[i]))
			other = &req->who.user;
		else if (!other)
			other = &ids[i];
	}
	if (!other || other == &req->who.user) {
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
	struct uuid other;
	struct jsonw w;
	struct buf b;

	enum problem p = other_of(req, in, &other);
	if (p)
		return p;
	compat_begin(req, &b, &w);
	compat_put_uuid(&w, "peerId", &other);
	compat_put_uuid(&w, "productId", in->product_id);
	if ((p = compat_send(req, "chatOpen", compat_end(&b, &w), &chat)))
		return p;
	resp_status(req, 201); /* an old one too */
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	jsonw_init(&w, &b);
	put_conversation(req, &w, chat, NULL);
	return resp_json(req, buf_str(&b));
}

static enum problem
ecommerce_conversations(struct request *req)
{
	const struct json *page, *chats[COMPAT_PAGE] = { 0 };
	struct people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_list(req, "chatList", &page);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	size_t n = json_size(items);
	CHECK(n <= COMPAT_PAGE);
	for (size_t i = 0; i < n; i++)
		chats[i] = json_item(items, i);
	if ((p = people_of(req, chats, n, &people)))
		return p;
	ec_array_begin(req, &b, &w, page);
	for (size_t i = 0; i < n; i++)
		put_conversation(req, &w, chats[i], &people);
	return ec_array_end(req, &b, &w);
}

static enum problem
ecommerce_conversation(struct request *req)
{
	const struct json *chat;
	struct people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_ask(req, "chatGet", &chat);
	if (!p)
		p = people_of(req, &chat, 1, &people);
	if (p)
		return p;
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	jsonw_init(&w, &b);
	put_conversation(req, &w, chat, &people);
	return resp_json(req, buf_str(&b));
}

/* ---- messages ---- */

/* All that the conversation still has of the latest ones, in the order in which they were written.
 */
static enum problem
ecommerce_messages(struct request *req)
{
	const struct json *chat, *page;
	struct people people;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_list(req, "messageList", &page);
	if (!p)
		p = compat_ask(req, "chatGet", &chat);
	if (!p)
		p = people_of(req, &chat, 1, &people);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	ec_array_begin(req, &b, &w, page);
	for (size_t i = json_size(items); i-- > 0;) {
		const struct json *m = json_item(items, i);
		if (!json_bool(json_member(m, "deleted")))
			put_message(req, &w, m, chat, &people);
	}
	return ec_array_end(req, &b, &w);
}

/* Who is named must be who is meant: the caller, and somebody in the conversation. */
static enum problem
check_whom(struct request *req, const struct uuid *sender, const struct uuid *recipient)
{
	const struct json *chat;

	enum problem p = compat_is_caller(req, sender);
	if (p || !recipient)
		return p;
	if ((p = compat_ask(req, "chatGet", &chat)))
		return p;
	if (!compat_is_member(chat, recipient))
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
	put_message(req, &w, m, NULL, NULL);
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
		.returns = &conversation_out, .limit = LIMIT_WRITE,
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
		.returns = &message_out_ec, .status = 201, .other_status = 200,
		.limit = LIMIT_MESSAGE, .problems = { P_NOT_FOUND, P_BLOCKED, P_MESSAGE_CONFLICT },
		.tag = "Messages", .name = "ecommerceSend",
		.doc = "Sends a message; with an Idempotency-Key a repetition answers 200" },
	{ HTTP_GET, "/messages/:conversationId", ecommerce_messages, EC_USER,
		.query = &compat_page_schema, .returns = &message_by_out, .array = true,
		.problems = { P_BAD_CURSOR }, .tag = "Messages", .name = "ecommerceMessages",
		.doc = "The latest messages, oldest first; X-Next-Cursor leads to older ones" },
};
const struct route_table ecommerce_chat_routes = ROUTES(rows);
