/* LiveMarket Chat: its envelope of status, message and data; users, blocks, reports, files. */
#include "api/compat_livemarket.h"

#include "api/api.h"
#include "api/auth.h"
#include "api/files.h"
#include "api/presence.h"
#include "api/upload.h"

/* ---- shapes ---- */

const char *const lm_done[] = { "success", NULL };
static const char *const states[] = { "online", "offline", NULL };

static const struct field user_data_fields[] = {
	OUT("id", T_UUID),
	OUT("username", T_TEXT, .doc = "the name, of those who have none"),
	OUT_OPT("email", T_EMAIL, .doc = "the caller's own only"),
	OUT_NULL("avatarUrl", T_URL),
	OUT("status", T_ENUM, .values = states, .doc = "strangers are always offline"),
	OUT("createdAt", T_TIME),
	OUT_OPT("updatedAt", T_TIME),
};
static const struct schema user_data = LM_DATA("UserData", user_data_fields);
static const struct field token_fields[] = {
	OUT("token", T_TEXT,
		.doc = "for Authorization: Bearer; POST /api/v1/auth/refresh renews it"),
	OUT("refreshToken", T_TEXT),
	OUT("expiresIn", T_INT),
	OUT("user", T_OBJECT, .of = &user_data),
};
static const struct schema token_data = LM_DATA("TokenData", token_fields);
static const struct field file_data_fields[] = {
	OUT("id", T_UUID),
	OUT("url", T_URL, .doc = "good for ten minutes, and as the content of a message for ever"),
};
static const struct schema file_data = LM_DATA("FileData", file_data_fields);
static const struct field report_data_fields[] = {
	OUT("id", T_UUID),
};
static const struct schema report_data = LM_DATA("ReportData", report_data_fields);

LM_ENVELOPE_OF(user_answer, "User", user_data);
LM_ENVELOPE_OF(token_answer, "Token", token_data);
LM_ENVELOPE_OF(file_answer, "File", file_data);
LM_ENVELOPE_OF(report_answer, "Report", report_data);
static const struct field plain_fields[] = { LM_ENVELOPE };
const struct schema lm_plain = SCHEMA_OUT("Done", plain_fields);

struct register_lm {
	struct str username, email, password;
};
static const struct field register_fields[] = {
	FIELD(register_lm, username, T_TEXT, .required = true, .min = USERNAME_MIN,
		.max = USERNAME_MAX),
	FIELD(register_lm, email, T_EMAIL, .required = true),
	FIELD(register_lm, password, T_TEXT, .required = true),
};
static const struct schema register_lm = SCHEMA("Register", register_lm, register_fields);

struct login_lm {
	struct str email, password;
};
static const struct field login_fields[] = {
	FIELD(login_lm, email, T_EMAIL, .required = true),
	FIELD(login_lm, password, T_TEXT, .required = true),
};
static const struct schema login_lm = SCHEMA("Login", login_lm, login_fields);

struct user_lm {
	struct str username, email, status, avatar_url;
};
static const struct field user_fields[] = {
	FIELD(user_lm, username, T_TEXT),
	FIELD(user_lm, email, T_EMAIL, .doc = "must be the one that the account has"),
	FIELD(user_lm, status, T_ENUM, .values = states,
		.doc = "is measured and not set: taken without effect"),
	FIELD_AS(user_lm, avatar_url, "avatarUrl", T_URL),
};
static const struct schema user_lm = SCHEMA("UserUpdate", user_lm, user_fields);

struct report_lm {
	struct str reason;
	const struct uuid *chat_id;
};
static const struct field report_fields[] = {
	FIELD(report_lm, reason, T_TEXT, .doc = "in any words"),
	FIELD_AS(report_lm, chat_id, "chatId", T_UUID, .doc = "where it happened"),
};
static const struct schema report_lm = SCHEMA("ReportCreate", report_lm, report_fields);

/* ---- envelope ---- */

void
lm_begin(struct request *req, struct buf *b, struct jsonw *w, const char *en, const char *es)
{
	compat_begin(req, b, w);
	jsonw_kz(w, "status", "success");
	jsonw_kz(w, "message", req->locale == LOCALE_ES ? es : en);
}

enum problem
lm_end(struct request *req, struct buf *b, struct jsonw *w)
{
	return resp_json(req, compat_end(b, w));
}

enum problem
lm_answer_plain(struct request *req, const char *en, const char *es)
{
	struct jsonw w;
	struct buf b;

	lm_begin(req, &b, &w, en, es);
	resp_status(req, 200);
	return lm_end(req, &b, &w);
}

struct str
lm_file_url(struct request *req, const struct json *attachment)
{
	struct str id = compat_text(attachment, "id");
	struct uuid file;

	if (!uuid_parse(id, &file))
		return STR("");
	return str_of(arena_printf(
		req->arena, "/files/%.*s?%.*s", STR_ARG(id), STR_ARG(file_link_query(req, &file))));
}

static const struct facade_name names[] = {
	{ "/content", "/body" },
	{ "/content", "/text" },
	{ "/content", "/fileIds" },
	{ "/to", "/peerId" },
	{ "/reason", "/note" },
	{ NULL, NULL },
};

/* {"email":"…"}: the first fault of each member. */
static void
print_errors(const struct err *err, struct jsonw *w)
{
	jsonw_key(w, "errors");
	jsonw_obj(w);
	for (size_t i = 0; i < err->field_count; i++) {
		const char *pointer = err->fields[i].pointer;
		bool told = false;

		for (size_t k = 0; k < i; k++)
			told |= strcmp(err->fields[k].pointer, pointer) == 0;
		if (!told)
			jsonw_kz(w, pointer[0] ? pointer + 1 : "body", err->fields[i].detail);
	}
	jsonw_obj_end(w);
}

static void
print_details(const struct err *err, struct jsonw *w)
{
	jsonw_key(w, "details");
	jsonw_arr(w);
	for (size_t i = 0; i < err->field_count; i++) {
		jsonw_obj(w);
		jsonw_kz(w, "pointer", err->fields[i].pointer);
		jsonw_kz(w, "code", err->fields[i].code);
		jsonw_kz(w, "detail", err->fields[i].detail);
		jsonw_obj_end(w);
	}
	jsonw_arr_end(w);
}

static void
failure(struct request *req, enum problem p, struct buf *b)
{
	struct jsonw w;

	jsonw_init(&w, b);
	jsonw_obj(&w);
	jsonw_kz(&w, "status", "error");
	jsonw_kz(&w, "message", compat_words(req, p));
	if (req->err.field_count > 0) {
		print_errors(&req->err, &w);
		print_details(&req->err, &w);
	}
	jsonw_kz(&w, "code", problem_info(p)->slug);
	jsonw_kstr(&w, "requestId", req->id);
	jsonw_obj_end(&w);
}

const struct facade livemarket = {
	.name = "livemarket",
	.title = "LiveMarket Chat, as Plaza answers it",
	.doc = "The paths of LiveMarket Chat for its clients. What it did over WebSocket goes over "
	       "MQTT; see asyncapi.json. New clients take /api/v1.",
	.statuses = { { P_INVALID, 400 }, { P_WEAK_PASSWORD, 400 } },
	.names = names,
	.media = "application/json; charset=utf-8",
	.failure = failure,
	.failure_schema =
		"{\"type\":\"object\",\"properties\":{\"status\":{\"const\":\"error\"},"
		"\"message\":{\"type\":\"string\"},\"errors\":{\"type\":\"object\","
		"\"additionalProperties\":{\"type\":\"string\"}},\"details\":{\"type\":\"array\","
		"\"items\":{\"type\":\"object\",\"properties\":{\"pointer\":{\"type\":\"string\"},"
		"\"code\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}},\"required\":["
		"\"pointer\",\"code\",\"detail\"],\"additionalProperties\":false}},"
		"\"code\":{\"type\":\"string\"},\"requestId\":{\"type\":\"string\"}},"
		"\"required\":[\"status\",\"message\",\"code\",\"requestId\"],"
		"\"additionalProperties\":false}",
};

/* ---- users ---- */

/* What the caller may know of it: strangers look offline. */
static const char *
user_state(struct request *req, struct str user)
{
	const struct json *doc;
	struct str kept = req->params[0];
	struct uuid id;
	const char *state = NULL;

	if (req->who.role == ROLE_NONE || !uuid_parse(user, &id))
		return "offline";
	if (uuid_eq(&id, &req->who.user))
		state = presence_state(req->app->cache, req->arena, &id);
	else if (req_has_role(req, ROLE_ANY)) {
		compat_param(req, 0, user);
		if (compat_ask(req, "presenceGet", &doc) == P_OK)
			state = str_z(req->arena, compat_text(doc, "state"));
		err_clear(&req->err);
		compat_param(req, 0, kept);
	}
	bool there = state && (strcmp(state, "online") == 0 || strcmp(state, "idle") == 0);
	return there ? "online" : "offline";
}

static void
put_user(struct request *req, struct jsonw *w, const struct json *user, const char *state)
{
	static const char *const but[] = { "username", "status", NULL };
	struct str username = compat_text(user, "username");

	jsonw_obj(w);
	compat_copy(req, w, user, but);
	jsonw_kstr(w, "username", username.p ? username : compat_text(user, "name"));
	jsonw_kz(w, "status", state);
	jsonw_obj_end(w);
}

static enum problem
answer_user(struct request *req, const struct json *user, const char *en, const char *es)
{
	const char *state = user_state(req, compat_text(user, "id"));
	struct jsonw w;
	struct buf b;

	lm_begin(req, &b, &w, en, es);
	jsonw_key(&w, "data");
	put_user(req, &w, user, state);
	return lm_end(req, &b, &w);
}

static enum problem
livemarket_register(struct request *req)
{
	const struct register_lm *in = req->body;
	const struct json *grant;
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	compat_put(&w, "username", in->username);
	compat_put(&w, "email", in->email);
	compat_put(&w, "password", in->password);
	enum problem p = compat_send(req, "authRegister", compat_end(&b, &w), &grant);
	if (p)
		return p;
	lm_begin(req, &b, &w, "The account is open", "La cuenta está abierta");
	jsonw_key(&w, "data");
	put_user(req, &w, json_member(grant, "user"), "offline");
	return lm_end(req, &b, &w);
}

static enum problem
livemarket_login(struct request *req)
{
	static const char *const but[] = { "token", "user", NULL };
	const struct login_lm *in = req->body;
	const struct json *grant;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_login(req, in->email, in->password, (struct str){ 0 }, &grant);
	if (p)
		return p;
	lm_begin(req, &b, &w, "Signed in", "Sesión iniciada");
	jsonw_key(&w, "data");
	jsonw_obj(&w);
	jsonw_kstr(&w, "token", compat_text(grant, "accessToken"));
	compat_copy(req, &w, grant, but);
	jsonw_key(&w, "user");
	put_user(req, &w, json_member(grant, "user"), "offline");
	jsonw_obj_end(&w);
	return lm_end(req, &b, &w);
}

static enum problem
livemarket_user(struct request *req)
{
	const struct json *user;
	enum problem p = compat_ask(req, "userGet", &user);

	return p ? p : answer_user(req, user, "User", "Usuario");
}

/* An address is proven and not just written down; clients that send the old one along may. */
static enum problem
check_email(struct request *req, struct str email)
{
	const struct json *user;
	enum problem p = compat_ask(req, "userGet", &user);

	if (p)
		return p;
	struct str has = compat_text(user, "email");
	if (!has.p || str_ieqz(email, str_z(req->arena, has)))
		return P_OK;
	err_field(&req->err, "/email", "not_allowed", "the address cannot be changed here");
	return ERR(&req->err, P_INVALID, "another address");
}

static enum problem
livemarket_user_put(struct request *req)
{
	const struct user_lm *in = req->body;
	const struct json *user;
	struct jsonw w;
	struct buf b;

	enum problem p = in->email.p ? check_email(req, in->email) : P_OK;
	if (p)
		return p;
	compat_begin(req, &b, &w);
	compat_put(&w, "username", in->username);
	compat_put(&w, "avatarUrl", in->avatar_url);
	p = compat_send(req, "userPut", compat_end(&b, &w), &user);
	return p ? p : answer_user(req, user, "User changed", "Usuario actualizado");
}

static enum problem
livemarket_block(struct request *req)
{
	const struct json *none;
	enum problem p = compat_ask(req, "userBlock", &none);

	return p ? p : lm_answer_plain(req, "Blocked", "Bloqueado");
}

static bool
is_reason(struct str reason)
{
	static const char *const known[] = { "spam", "abuse", "scam", "prohibited",
		"off_platform" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_eqz(reason, known[i]))
			return true;
	return false;
}

/* Reasons in words of one's own go to the moderators as a note. */
static enum problem
livemarket_report(struct request *req)
{
	const struct report_lm *in = req->body;
	bool known = is_reason(in->reason);
	const struct json *report;
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	compat_put(&w, "reason", known ? in->reason : STR("other"));
	if (!known)
		compat_put(&w, "note", in->reason);
	compat_put_uuid(&w, "chatId", in->chat_id);
	enum problem p = compat_send(req, "userReport", compat_end(&b, &w), &report);
	if (p)
		return p;
	lm_begin(req, &b, &w, "The moderators will see it", "Los moderadores lo verán");
	jsonw_key(&w, "data");
	jsonw_obj(&w);
	compat_copy(req, &w, report, NULL);
	jsonw_obj_end(&w);
	return lm_end(req, &b, &w);
}

/* ---- files ---- */

static enum problem
livemarket_file(struct request *req)
{
	static const char *const but[] = { "url", NULL };
	const struct json *file;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_ask(req, "fileUpload", &file);
	if (p)
		return p;
	lm_begin(req, &b, &w, "The file is kept", "El archivo está guardado");
	jsonw_key(&w, "data");
	jsonw_obj(&w);
	compat_copy(req, &w, file, but);
	jsonw_kstr(&w, "url", lm_file_url(req, file));
	jsonw_obj_end(&w);
	return lm_end(req, &b, &w);
}

static enum problem
livemarket_file_delete(struct request *req)
{
	const struct json *none;
	enum problem p = compat_ask(req, "fileDelete", &none);

	return p ? p : lm_answer_plain(req, "The file is gone", "El archivo ya no está");
}

static const struct route rows[] = {
	{ HTTP_POST, "/auth/register", livemarket_register, LM, .roles = ROLE_PUBLIC,
		.signs_in = true, .body = &register_lm, .returns = &user_answer, .status = 201,
		.limit = LIMIT_REGISTER,
		.problems = { P_EMAIL_TAKEN, P_CONFLICT, P_WEAK_PASSWORD, P_FILTERED },
		.tag = "Auth", .name = "livemarketRegister", .doc = "Opens an account" },
	{ HTTP_POST, "/auth/login", livemarket_login, LM, .roles = ROLE_PUBLIC, .signs_in = true,
		.body = &login_lm, .returns = &token_answer, .limit = LIMIT_LOGIN,
		.problems = { P_BAD_CREDENTIALS }, .tag = "Auth", .name = "livemarketLogin",
		.doc = "Signs in; data.token is the JWT" },
	{ HTTP_GET, "/users/:id", livemarket_user, LM, .roles = ROLE_PUBLIC,
		.returns = &user_answer, .tag = "Users", .name = "livemarketUser",
		.doc = "A user, and whether a contact is there" },
	{ HTTP_PUT, "/users/:id", livemarket_user_put, LM_USER, .body = &user_lm,
		.returns = &user_answer, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT, P_FILTERED }, .tag = "Users", .name = "livemarketUserPut",
		.doc = "Changes the own profile" },
	{ HTTP_POST, "/users/:id/block", livemarket_block, LM_USER, .returns = &lm_plain,
		.limit = LIMIT_WRITE, .tag = "Users", .name = "livemarketBlock",
		.doc = "No more messages between the two" },
	{ HTTP_POST, "/users/:id/report", livemarket_report, LM_USER, .body = &report_lm,
		.returns = &report_answer, .status = 201, .limit = LIMIT_WRITE, .tag = "Users",
		.name = "livemarketReport", .doc = "Tells the moderators of a user" },
	{ HTTP_POST, "/files", livemarket_file, LM_USER, .body_kind = BODY_MULTIPART,
		.body_max = UPLOAD_BODY_MAX, .returns = &file_answer, .status = 201,
		.limit = LIMIT_UPLOAD, .problems = { P_BAD_MULTIPART, P_BAD_IMAGE, P_QUOTA },
		.tag = "Files", .name = "livemarketFile",
		.doc = "Keeps a file, part `file`: JPEG, PNG, WebP or PDF, 5 MB" },
	{ HTTP_DELETE, "/files/:id", livemarket_file_delete, LM_USER, .returns = &lm_plain,
		.limit = LIMIT_WRITE, .tag = "Files", .name = "livemarketFileDelete",
		.doc = "Removes an own file" },
};
const struct route_table livemarket_routes = ROUTES(rows);
