/* What can be done with messages beside sending: reactions, answers to offers, searching. */
#include "api/api.h"
#include "api/chat.h"
#include "base/check.h"
#include "base/encode.h"
#include "queries.h"

#define EMOJI_BYTES 40
#define SEARCH_MIN 2
#define SEARCH_MAX 100

struct reaction {
	struct str emoji;
	bool on;
};
static const struct field reaction_fields[] = {
	FIELD(reaction, emoji, T_TEXT, .required = true, .min = 1, .max = 10),
	FIELD(reaction, on, T_BOOL, .has_default = true, .def = 1),
};
static const struct schema reaction_schema = SCHEMA("Reaction", reaction, reaction_fields);

struct answer {
	struct str action;
};
static const char *const actions[] = { "accept", "decline", "withdraw", NULL };
static const struct field answer_fields[] = {
	FIELD(answer, action, T_ENUM, .required = true, .values = actions,
		.doc = "withdraw is for who made the offer, the others for the other side"),
};
static const struct schema answer_schema = SCHEMA("OfferAnswer", answer, answer_fields);

struct search {
	struct str q;
	const struct uuid *chatId;
	int64_t limit;
	struct str cursor;
};
static const struct field search_fields[] = {
	FIELD(search, q, T_TEXT, .required = true, .min = SEARCH_MIN, .max = SEARCH_MAX,
		.doc = "any part of a word; accents and case do not matter"),
	FIELD(search, chatId, T_UUID, .doc = "in this conversation only"),
	FIELD(search, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(search, cursor, T_TEXT),
};
static const struct schema search_schema = SCHEMA("MessageSearch", search, search_fields);

/*
 * What a sequence of Unicode Technical Standard 51 is made of. A part that is
 * no picture by itself joins or changes one, so a reaction is no second message.
 */
static const struct {
	uint32_t from, to;
	bool picture;
} emoji_parts[] = {
	{ '#', '#', false }, { '*', '*', false }, { '0', '9', false }, { 0xa9, 0xa9, true },
	{ 0xae, 0xae, true }, { 0x200d, 0x200d, false },                              /* joiner */
	{ 0x203c, 0x203c, true }, { 0x2049, 0x2049, true }, { 0x20e3, 0x20e3, true }, /* keycap */
	{ 0x2100, 0x2bff, true }, { 0x3030, 0x303d, true }, { 0x3297, 0x3299, true },
	{ 0xfe0f, 0xfe0f, false },                               /* in colour */
	{ 0x1f000, 0x1faff, true }, { 0xe0020, 0xe007f, false }, /* tags of flags */
};

static bool
is_emoji(struct str s)
{
	bool picture = false;
	uint32_t c;

	if (s.n > EMOJI_BYTES)
		return false;
	for (size_t at = 0, bytes; at < s.n; at += bytes) {
		size_t i = 0, n = sizeof(emoji_parts) / sizeof(emoji_parts[0]);

		bytes = utf8_next(s, at, &c);
		CHECK(bytes > 0); /* JSON strings are well-formed */
		while (i < n && (c < emoji_parts[i].from || c > emoji_parts[i].to))
			i++;
		if (i == n)
			return false;
		picture |= emoji_parts[i].picture;
	}
	return picture;
}

static enum problem
message_react(struct request *req)
{
	const struct reaction *in = req->body;
	struct q_message_react q = { .emoji = in->emoji, .on = in->on };
	struct rows *rows;
	enum problem p;

	if (!is_emoji(in->emoji)) {
		err_field(&req->err, "/emoji", "format", "one emoji");
		return ERR(&req->err, P_INVALID, "no emoji");
	}
	if ((p = req_uuid(req, 0, &q.chat)) || (p = req_uuid(req, 1, &q.message)))
		return p;
	p = q_message_react(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
offer_answer(struct request *req)
{
	const struct answer *in = req->body;
	struct q_offer_answer q = { .action = in->action };
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.chat)) || (p = req_uuid(req, 1, &q.message)))
		return p;
	p = q_offer_answer(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
message_search(struct request *req)
{
	const struct search *in = req->query;
	struct q_message_search q = {
		.text = str_trim(in->q), .chat = in->chatId, .limit = (int32_t)in->limit
	};
	struct rows *rows;
	struct uuid id;
	enum problem p;

	if (q.text.n < SEARCH_MIN) {
		err_field(&req->err, "/q", "too_short", "at least two letters");
		return ERR(&req->err, P_INVALID, "blank");
	}
	if (in->cursor.p) {
		if ((p = cursor_get_moment(req, in->cursor, &q.at, &id)))
			return p;
		q.id = &id;
	}
	p = q_message_search(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

static const struct route rows[] = {
	{ HTTP_GET, "/chats/search", message_search, .roles = ROLE_ANY, .bare = true,
		.query = &search_schema, .returns = &message_out, .page = true,
		.limit = LIMIT_SEARCH, .problems = { P_BAD_CURSOR }, .tag = "Chat",
		.name = "messageSearch",
		.doc = "Messages of the caller's conversations; a new one is found after seconds" },
	{ HTTP_POST, "/chats/:id/messages/:mid/reactions", message_react, .roles = ROLE_ANY,
		.bare = true, .body = &reaction_schema, .returns = &message_out,
		.limit = LIMIT_MESSAGE, .mqtt = "react", .problems = { P_BLOCKED, P_CONFLICT },
		.tag = "Chat", .name = "messageReact", .doc = "Sets or takes back a reaction" },
	{ HTTP_POST, "/chats/:id/messages/:mid/offer", offer_answer, .roles = ROLE_ANY,
		.bare = true, .body = &answer_schema, .returns = &message_out, .limit = LIMIT_WRITE,
		.problems = { P_OFFER_CLOSED, P_OUT_OF_STOCK, P_CONFLICT, P_BLOCKED,
			P_OWN_PRODUCT },
		.tag = "Chat", .name = "offerAnswer",
		.doc = "Accepts an offer, which puts it into the buyer's cart at its price; or "
		       "not" },
};
const struct route_table chat_more_routes = ROUTES(rows);
