/* Runs canonical rows for those of older systems. */
#include "api/compat.h"

#include "api/api.h"
#include "base/check.h"
#include "base/encode.h"
#include "queries.h"

#include <stdio.h>

static const struct field page_fields[] = {
	FIELD(compat_page, limit, T_INT, .min = 1, .max = COMPAT_PAGE, .has_default = true,
		.def = COMPAT_PAGE),
	FIELD(compat_page, cursor, T_TEXT,
		.doc = "nextCursor or X-Next-Cursor of the answer before"),
};
const struct schema compat_page_schema = SCHEMA("CompatPage", compat_page, page_fields);

/* Faults of the canonical body get the old names of its members. */
static void
rename_faults(struct err *err, const struct facade_name *names)
{
	for (size_t i = 0; i < err->field_count; i++) {
		char *pointer = err->fields[i].pointer;
		const struct facade_name *n = names;

		while (n->old && strcmp(n->canonical, pointer) != 0)
			n++;
		if (n->old)
			snprintf(pointer, sizeof(err->fields[i].pointer), "%s", n->old);
	}
}

static enum problem
bind_body(struct request *req, const struct route *row, struct str body)
{
	const struct json *doc;
	enum problem p = json_parse(req->arena, body, &doc, &req->err);

	return p ? p : schema_bind(row->body, req->arena, doc, &req->body, &req->err);
}

static enum problem
run(struct request *req, const char *name, struct str query, struct str body,
	const struct json **out)
{
	const struct route *row = router_by_name(name);
	struct response *r = &req->resp;

	CHECK(row && !row->facade && !row->idem && !row->if_match);
	CHECK((row->roles & ROLE_PUBLIC) || req_has_role(req, row->roles));
	CHECK(!row->limit || req->route->limit);
	enum problem p = schema_bind_query(row->query, req->arena, query, &req->query, &req->err);
	if (!p && row->body)
		p = bind_body(req, row, body);
	if (!p)
		p = row->handler(req);
	if (p) {
		rename_faults(&req->err, req->route->facade->names);
		return p;
	}
	CHECK(r->done);
	r->done = false;
	r->etag = (struct str){ 0 };
	*out = NULL;
	return r->body.n ? json_parse(req->arena, r->body, out, &req->err) : P_OK;
}

enum problem
compat_ask(struct request *req, const char *row, const struct json **out)
{
	return run(req, row, STR(""), STR(""), out);
}

enum problem
compat_send(struct request *req, const char *row, struct str body, const struct json **out)
{
	return run(req, row, STR(""), body, out);
}

enum problem
compat_list(struct request *req, const char *row, const struct json **out)
{
	const struct compat_page *in = req->query;
	struct buf b;

	buf_init(&b, req->arena, 4 * LIMIT_QUERY);
	buf_printf(&b, "limit=%lld", (long long)in->limit);
	if (in->cursor.p) {
		buf_puts(&b, "&cursor=");
		url_put(&b, in->cursor);
	}
	return run(req, row, buf_str(&b), STR(""), out);
}

void
compat_param(struct request *req, size_t i, struct str value)
{
	CHECK(i < LIMIT_PATH_PARAMS);
	req->params[i] = value;
}

void
compat_begin(struct request *req, struct buf *b, struct jsonw *w)
{
	buf_init(b, req->arena, LIMIT_RESPONSE);
	jsonw_init(w, b);
	jsonw_obj(w);
}

struct str
compat_end(struct buf *b, struct jsonw *w)
{
	jsonw_obj_end(w);
	CHECK(!b->failed);
	return buf_str(b);
}

void
compat_put(struct jsonw *w, const char *name, struct str value)
{
	if (value.p)
		jsonw_kstr(w, name, value);
}

void
compat_put_uuid(struct jsonw *w, const char *name, const struct uuid *value)
{
	char text[UUID_TEXT + 1];

	if (!value)
		return;
	uuid_text(value, text);
	jsonw_kz(w, name, text);
}

static bool
is_in(const char *const *list, const char *name)
{
	for (size_t i = 0; list && list[i]; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

void
compat_copy(struct request *req, struct jsonw *w, const struct json *obj, const char *const *but)
{
	const struct json *value;
	const char *name;

	for (void *it = NULL; json_next(obj, &it, &name, &value);) {
		if (is_in(but, name))
			continue;
		jsonw_key(w, name);
		jsonw_raw(w, json_dump(req->arena, value));
	}
}

enum problem
compat_login(struct request *req, struct str email, struct str password, struct str device,
	const struct json **grant)
{
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	compat_put(&w, "email", email);
	compat_put(&w, "password", password);
	compat_put(&w, "device", device);
	return compat_send(req, "authLogin", compat_end(&b, &w), grant);
}

struct str
compat_text(const struct json *obj, const char *name)
{
	return json_str(json_member(obj, name));
}

int64_t
compat_int(const struct json *obj, const char *name)
{
	return json_int(json_member(obj, name));
}

enum problem
compat_is_caller(struct request *req, const struct uuid *said)
{
	if (!said || uuid_eq(said, &req->who.user))
		return P_OK;
	return ERR_SAY(&req->err, P_FORBIDDEN, "only in the own name");
}

enum problem
compat_people_of(struct request *req, const struct json *chats, struct compat_people *out)
{
	bool many = json_kind_of(chats) == JSON_ARR;
	size_t n = many ? json_size(chats) : 1, found = 0;
	struct uuid *ids = arena_calloc(req->arena, n + 1, sizeof(*ids));
	struct rows *rows;

	for (size_t i = 0; i < n; i++) {
		const struct json *chat = many ? json_item(chats, i) : chats;
		found += uuid_parse(compat_text(chat, "id"), &ids[found]);
	}
	enum problem p = q_chat_persons(
		req->db, &(struct q_chat_persons){ .chats = { ids, found } }, &rows, &req->err);
	if (!p)
		out->rows = rows;
	return p;
}

enum problem
compat_chat(struct request *req, const struct json **chat, struct compat_people *people)
{
	enum problem p = compat_ask(req, "chatGet", chat);

	return p ? p : compat_people_of(req, *chat, people);
}

enum problem
compat_messages(struct request *req, const struct json **page, struct compat_people *people)
{
	const struct json *chat;
	enum problem p = compat_list(req, "messageList", page);

	return p ? p : compat_chat(req, &chat, people);
}

enum problem
compat_chats(struct request *req, const struct json **page, struct compat_people *people)
{
	enum problem p = compat_list(req, "chatList", page);

	return p ? p : compat_people_of(req, json_member(*page, "items"), people);
}

bool
compat_next_person(
	const struct compat_people *people, struct str chat, size_t *i, struct compat_person *out)
{
	const struct rows *rows = people->rows;
	struct uuid want;

	if (!uuid_parse(chat, &want))
		return false;
	for (; *i < rows_count(rows); ++*i) {
		struct uuid at = rows_uuid(rows, *i, Q_CHAT_PERSONS_CHAT);
		if (!uuid_eq(&at, &want))
			continue;
		*out = (struct compat_person){
			.id = rows_uuid(rows, *i, Q_CHAT_PERSONS_ID),
			.name = rows_str(rows, *i, Q_CHAT_PERSONS_NAME),
			.role = rows_str(rows, *i, Q_CHAT_PERSONS_ROLE),
			.read_seq = rows_i64(rows, *i, Q_CHAT_PERSONS_READ_SEQ),
		};
		++*i;
		return true;
	}
	return false;
}

bool
compat_is_member(const struct compat_people *people, struct str chat, const struct uuid *said)
{
	struct compat_person person;

	for (size_t i = 0; said && compat_next_person(people, chat, &i, &person);)
		if (uuid_eq(&person.id, said))
			return true;
	return !said;
}

struct str
compat_content(const struct json *message)
{
	struct str text = compat_text(message, "body"),
		   card = compat_text(json_member(message, "card"), "title"),
		   offer = compat_text(json_member(message, "offer"), "title");

	if (text.n > 0 || (!card.p && !offer.p))
		return text;
	return card.p ? card : offer;
}

bool
compat_file_id(struct str url, struct uuid *id)
{
	struct str path = str_sub(url, 0, str_find(url, '?', 0));
	size_t slash = path.n;

	while (slash > 0 && path.p[slash - 1] != '/')
		slash--;
	struct str folder = str_sub(path, 0, slash), name = str_sub(path, slash, path.n);
	if (!str_ends(folder, "/files/") && !str_ends(folder, "/uploads/"))
		return false;
	return uuid_parse(str_sub(name, 0, str_find(name, '.', 0)), id);
}

const char *
compat_words(const struct request *req, enum problem p)
{
	const struct problem_info *info = problem_info(p);

	if (req->err.detail[0])
		return req->err.detail;
	return req->locale == LOCALE_ES ? info->title_es : info->title_en;
}
