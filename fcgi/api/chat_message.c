/* Messages: send, edit, remove. */
#include "api/chat.h"

#include "api/api.h"
#include "api/filter.h"
#include "http/bucket.h"
#include "io/digest.h"
#include "queries.h"

#define BODY_MAX 4000
#define FILES_MAX 10
#define OFFER_HOURS 48
#define OFFER_HOURS_MAX 720

/* ---- shapes ---- */

static const char *const types[] = { "text", "image", "file", "card", "offer", NULL };

struct message_in {
	struct str type;
	struct str body, text;
	const struct uuid *cmid;
	const int64_t *replyTo;
	struct array fileIds;
	const struct uuid *productId;
	const struct money *price;
	int64_t quantity, expiresInHours;
};
static const struct field message_in_fields[] = {
	FIELD(message_in, type, T_ENUM, .values = types, .doc = "text when absent"),
	FIELD(message_in, body, T_TEXT, .max = BODY_MAX, .alias = "content"),
	FIELD(message_in, text, T_TEXT, .max = BODY_MAX, .doc = "older name of body"),
	FIELD(message_in, cmid, T_UUID,
		.doc = "the sender's own id: sent twice, it is one message"),
	FIELD(message_in, replyTo, T_INT, .min = 1, .max = INT64_C(9007199254740991),
		.doc = "seq of the message it answers"),
	FIELD(message_in, fileIds, T_ARRAY, .item = T_UUID, .max = FILES_MAX,
		.alias = "attachments"),
	FIELD(message_in, productId, T_UUID,
		.doc = "of a card; title and price are kept as they are now; or of an offer"),
	FIELD(message_in, price, T_MONEY, .min = 1, .doc = "of an offer, for one unit"),
	FIELD(message_in, quantity, T_INT, .min = 1, .max = 999, .has_default = true, .def = 1,
		.doc = "of an offer"),
	FIELD(message_in, expiresInHours, T_INT, .min = 1, .max = OFFER_HOURS_MAX,
		.has_default = true, .def = OFFER_HOURS, .doc = "of an offer"),
};
static const struct schema message_in_schema = SCHEMA("MessageSend", message_in, message_in_fields);

struct message_edit {
	struct str body;
};
static const struct field message_edit_fields[] = {
	FIELD(message_edit, body, T_TEXT, .required = true, .min = 1, .max = BODY_MAX,
		.alias = "content"),
};
static const struct schema message_edit_schema =
	SCHEMA("MessageEdit", message_edit, message_edit_fields);

static const struct field card_fields[] = {
	OUT("productId", T_UUID),
	OUT("sellerId", T_UUID),
	OUT("title", T_TEXT),
	OUT("price", T_MONEY),
};
static const struct schema card_out = SCHEMA_OUT("MessageCard", card_fields);
static const char *const offer_states[] = { "open", "accepted", "declined", "withdrawn", NULL };
static const struct field offer_fields[] = {
	OUT("productId", T_UUID),
	OUT("buyerId", T_UUID, .doc = "for whom the price is"),
	OUT("title", T_TEXT),
	OUT("price", T_MONEY),
	OUT("listPrice", T_MONEY, .doc = "what it cost when this was sent"),
	OUT("stock", T_INT, .doc = "units there were"),
	OUT("quantity", T_INT, .doc = "units the price is for, at most"),
	OUT("status", T_ENUM, .values = offer_states),
	OUT("expiresAt", T_TIME, .doc = "when the offer ends, or the price that was agreed"),
};
static const struct schema offer_out = SCHEMA_OUT("MessageOffer", offer_fields);
static const struct field reaction_fields[] = {
	OUT("emoji", T_TEXT),
	OUT("count", T_INT),
	OUT("userIds", T_ARRAY, .item = T_UUID, .doc = "the first 20"),
};
static const struct schema reaction_out = SCHEMA_OUT("MessageReaction", reaction_fields);
static const struct field attachment_fields[] = {
	OUT("id", T_UUID),
	OUT("kind", T_TEXT),
	OUT("name", T_TEXT),
	OUT("mediaType", T_TEXT),
	OUT("size", T_INT),
};
static const struct schema attachment_out = SCHEMA_OUT("MessageAttachment", attachment_fields);
static const struct field message_fields[] = {
	OUT("id", T_UUID),
	OUT_OPT("ref", T_UUID, .doc = "the sender's own id; in what the sender gets"),
	OUT("chatId", T_UUID),
	OUT("seq", T_INT, .doc = "place in the conversation, without gaps"),
	OUT("senderId", T_UUID),
	OUT("type", T_ENUM, .values = types),
	OUT("body", T_TEXT),
	OUT_OPT("card", T_OBJECT, .of = &card_out),
	OUT_OPT("offer", T_OBJECT, .of = &offer_out),
	OUT_OPT("attachments", T_ARRAY, .of = &attachment_out),
	OUT_OPT("replyTo", T_INT),
	OUT_OPT("editNo", T_INT),
	OUT_OPT("editedAt", T_TIME),
	OUT_OPT("reactions", T_ARRAY, .of = &reaction_out),
	OUT_OPT("deleted", T_BOOL, .doc = "the message is gone; this marks its place"),
	OUT("createdAt", T_TIME),
};
const struct schema message_out = SCHEMA_OUT("Message", message_fields);

/* ---- handlers ---- */

static bool
is_blank(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr(" \t\r\n", s.p[i]))
			return false;
	return true;
}

/* A message says something by its text, its files or its card. */
static enum problem
check_content(struct request *req, const struct message_in *in, const struct q_message_send *q)
{
	bool offer = str_eqz(q->type, "offer"), card = offer || str_eqz(q->type, "card"),
	     file = str_eqz(q->type, "image") || str_eqz(q->type, "file");
	const char *fault = NULL;

	if (in->body.p && in->text.p)
		fault = "/text";
	else if (str_eqz(q->type, "text") && is_blank(q->text))
		fault = "/body";
	else if (card != (in->productId != NULL))
		fault = "/productId";
	else if (offer != (in->price != NULL))
		fault = "/price";
	else if (offer && in->replyTo)
		fault = "/replyTo";
	else if (file != (in->fileIds.n > 0))
		fault = "/fileIds";
	if (!fault)
		return P_OK;
	err_field(&req->err, fault, "wrong_for_type", "does not fit the type of the message");
	return ERR(&req->err, P_INVALID, "content");
}

/*
 * The sender's id: in the body, or as Idempotency-Key, or a new one (then a
 * repetition is a second message). A key that is no UUID becomes one of
 * version 8 (RFC 9562 section 5.8) by its hash.
 */
static struct uuid
take_cmid(struct request *req, const struct message_in *in)
{
	struct str key = str_trim(req_header(req, "IDEMPOTENCY_KEY"));
	uint8_t hash[SHA256_BYTES];
	struct uuid id;

	if (in->cmid)
		return *in->cmid;
	if (key.n == 0)
		return uuid_new();
	if (uuid_parse(key, &id))
		return id;
	sha256(key, hash);
	memcpy(id.b, hash, sizeof(id.b));
	id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0f));
	id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
	return id;
}

static enum problem
replay(struct request *req, const struct message_in *in, const struct q_message_send *sent)
{
	int32_t quantity = (int32_t)in->quantity;
	struct q_message_replay q = { .chat = sent->chat,
		.cmid = sent->cmid,
		.type = sent->type,
		.text = sent->text,
		.reply = sent->reply,
		.files = sent->files,
		.product = sent->product,
		.price = in->price ? &in->price->amount : NULL,
		.quantity = &quantity };
	struct rows *rows;

	err_clear(&req->err);
	enum problem p = q_message_replay(req->db, &q, &rows, &req->err);
	if (p)
		return p;
	resp_header(req, "Idempotency-Replayed", "true");
	resp_status(req, 200);
	req->resp.replayed = true;
	return resp_row(req, rows);
}

/*
 * What was accepted once stays accepted: a repetition is told from a new message before a rule
 * that has come in between can refuse it.
 */
static enum problem
replay_or(struct request *req, const struct message_in *in, const struct q_message_send *q,
	enum problem p)
{
	struct err refused = req->err;

	if (replay(req, in, q) == P_OK)
		return P_OK;
	req->err = refused;
	return p;
}

static enum problem
offer_send(struct request *req, const struct message_in *in, const struct q_message_send *as,
	struct rows **rows)
{
	struct q_offer_send q = { .chat = as->chat,
		.cmid = as->cmid,
		.text = as->text,
		.product = *in->productId,
		.quantity = (int32_t)in->quantity,
		.price = in->price->amount,
		.currency = in->price->currency,
		.hours = (int32_t)in->expiresInHours };

	return q_offer_send(req->db, &q, rows, &req->err);
}

static enum problem
message_send(struct request *req)
{
	const struct message_in *in = req->body;
	struct q_message_send q = { .cmid = take_cmid(req, in),
		.type = in->type.p ? in->type : STR("text"),
		.text = in->body.p   ? in->body
			: in->text.p ? in->text
				     : STR(""),
		.reply = in->replyTo,
		.files = { in->fileIds.n ? in->fileIds.v : NULL, in->fileIds.n },
		.product = in->productId };
	struct filtered filtered;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.chat);

	if (p || (p = check_content(req, in, &q)))
		return p;
	p = filter_message(req, q.chat, q.text, in->text.p ? "/text" : "/body", &filtered);
	if (p == P_FILTERED)
		return replay_or(req, in, &q, p);
	if (p)
		return p;
	q.text = filtered.text;
	filter_begin(req, &filtered);
	p = in->price ? offer_send(req, in, &q, &rows)
		      : q_message_send(req->db, &q, &rows, &req->err);
	p = filter_end(req, p, &filtered, &q.cmid, NULL);
	if (p == P_NOT_FOUND)
		bucket_spare_chat(req);
	if (p == P_MESSAGE_CONFLICT) /* the id is taken: the same message, or another one */
		return replay(req, in, &q);
	return p ? p : resp_row(req, rows);
}

static enum problem
message_change(struct request *req)
{
	const struct message_edit *in = req->body;
	struct q_message_change q = { .text = in->body };
	struct filtered filtered;
	struct rows *rows;
	enum problem p;

	if (is_blank(in->body)) {
		err_field(&req->err, "/body", "too_short", "only spaces");
		return ERR(&req->err, P_INVALID, "blank");
	}
	if ((p = req_uuid(req, 0, &q.chat)) || (p = req_uuid(req, 1, &q.message)))
		return p;
	if ((p = filter_message(req, q.chat, q.text, "/body", &filtered)))
		return p;
	q.text = filtered.text;
	filter_begin(req, &filtered);
	p = q_message_change(req->db, &q, &rows, &req->err);
	p = filter_end(req, p, &filtered, NULL, &q.message);
	return p ? p : resp_row(req, rows);
}

static enum problem
message_remove(struct request *req)
{
	struct q_message_remove q;
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.chat)) || (p = req_uuid(req, 1, &q.message)))
		return p;
	p = q_message_remove(req->db, &q, &rows, &req->err);
	return p ? p : resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_POST, "/chats/:id/messages", message_send, .roles = ROLE_ANY, .bare = true,
		.body = &message_in_schema, .status = 201, .other_status = 200,
		.returns = &message_out, .limit = LIMIT_SEND, .mqtt = "send",
		.problems = { P_BLOCKED, P_FILTERED, P_MESSAGE_CONFLICT }, .tag = "Chat",
		.name = "messageSend",
		.doc = "Sends a message; 200 when the same cmid was sent before" },
	{ HTTP_PATCH, "/chats/:id/messages/:mid", message_change, .roles = ROLE_ANY, .bare = true,
		.body = &message_edit_schema, .returns = &message_out, .limit = LIMIT_SEND,
		.mqtt = "edit", .problems = { P_ALREADY_READ, P_BLOCKED, P_FILTERED },
		.tag = "Chat", .name = "messageEdit",
		.doc = "A new text, while nobody else has read it" },
	{ HTTP_PUT, "/chats/:id/messages/:mid", message_change, .roles = ROLE_ANY, .bare = true,
		.body = &message_edit_schema, .returns = &message_out, .limit = LIMIT_SEND,
		.hidden = true, .problems = { P_ALREADY_READ, P_BLOCKED, P_FILTERED },
		.tag = "Chat", .name = "messageEditPut",
		.doc = "A new text, while nobody else has read it" },
	{ HTTP_DELETE, "/chats/:id/messages/:mid", message_remove, .roles = ROLE_ANY, .bare = true,
		.status = 204, .limit = LIMIT_MESSAGE, .mqtt = "delete",
		.problems = { P_ALREADY_READ }, .tag = "Chat", .name = "messageDelete",
		.doc = "Removes an own message, while nobody else has read it" },
};
const struct route_table message_routes = ROUTES(rows);
