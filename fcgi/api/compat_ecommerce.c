/* E-Commerce Chat: its failures; accounts, presence, notifications, uploads. Paths are under /api.
 */
#include "api/compat_ecommerce.h"

#include "api/api.h"
#include "api/files.h"
#include "api/upload.h"
#include "base/check.h"
#include "http/multipart.h"
#include "http/problem.h"
#include "io/sniff.h"

#include <ctype.h>

#define UPLOADS_AT_ONCE 5

/* ---- shapes ---- */

/* Staff is made by administrators; a designer sells work. */
static const struct {
	const char *old, *role;
} roles[] = {
	{ "customer", "client" },
	{ "merchant", "seller" },
	{ "designer", "seller" },
	{ "client", "client" },
	{ "seller", "seller" },
};
static const char *const role_names[] = { "customer", "merchant", "designer", "client", "seller",
	NULL };

struct signup_ec {
	struct str name, email, password, role, username, phone, shop_name, device;
};
static const struct field signup_fields[] = {
	FIELD(signup_ec, name, T_TEXT, .doc = "may be left out where there is a username"),
	FIELD(signup_ec, email, T_EMAIL, .required = true),
	FIELD(signup_ec, password, T_TEXT, .required = true),
	FIELD(signup_ec, role, T_ENUM, .values = role_names, .doc = "customer when absent"),
	FIELD(signup_ec, username, T_TEXT),
	FIELD(signup_ec, phone, T_TEXT),
	FIELD_AS(signup_ec, shop_name, "shopName", T_TEXT),
	FIELD(signup_ec, device, T_TEXT),
};
static const struct schema signup_ec = SCHEMA("Signup", signup_ec, signup_fields);

struct login_ec {
	struct str email, password, device;
};
static const struct field login_fields[] = {
	FIELD(login_ec, email, T_EMAIL, .required = true),
	FIELD(login_ec, password, T_TEXT, .required = true),
	FIELD(login_ec, device, T_TEXT),
};
static const struct schema login_ec = SCHEMA("Login", login_ec, login_fields);

static const struct field account_fields[] = {
	OUT("_id", T_UUID),
	OUT("name", T_TEXT),
	OUT("email", T_EMAIL),
	OUT("role", T_TEXT, .doc = "customer, merchant, agent, admin"),
	OUT("token", T_TEXT,
		.doc = "for Authorization: Bearer; POST /api/v1/auth/refresh renews it"),
};
static const struct schema account_out = { .name = "Account",
	.fields = account_fields,
	.count = sizeof(account_fields) / sizeof(account_fields[0]),
	.open = true,
	.doc = "With the members of POST /api/v1/auth/login beside it" };
static const struct field online_fields[] = {
	OUT("online", T_ARRAY, .item = T_UUID, .doc = "contacts of the caller"),
};
static const struct schema online_out = { .name = "Online",
	.fields = online_fields,
	.count = sizeof(online_fields) / sizeof(online_fields[0]),
	.open = true };
static const struct field notification_fields[] = {
	OUT("_id", T_UUID),
	OUT("user", T_UUID),
	OUT("type", T_TEXT, .doc = "NEW_CONVERSATION, ORDER_PAID, …"),
	OUT("data", T_JSON, .doc = "conversationId, of a new conversation; title, body and link"),
	OUT("read", T_BOOL),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema notification_out = SCHEMA_OUT("Notification", notification_fields);
static const struct field upload_fields[] = {
	OUT("url", T_URL, .doc = "good for ten minutes, and in a message for ever"),
	OUT("filename", T_TEXT),
	OUT("storedAs", T_TEXT),
	OUT("mimeType", T_TEXT),
	OUT("size", T_INT),
};
static const struct schema upload_out = SCHEMA_OUT("Upload", upload_fields);
static const struct field uploads_fields[] = {
	OUT("files", T_ARRAY, .of = &upload_out),
};
static const struct schema uploads_out = SCHEMA_OUT("Uploads", uploads_fields);
static const struct field success_fields[] = {
	OUT("success", T_BOOL),
};
const struct schema ec_success = SCHEMA_OUT("Success", success_fields);

/* ---- failures ---- */

static const struct facade_name names[] = {
	{ "/content", "/body" },
	{ "/attachments", "/fileIds" },
	{ "/participantIds", "/peerId" },
	{ NULL, NULL },
};

/*
 * That system told it as `message`, at its door as `msg` and behind it as `error`. Our own document
 * has room for all three.
 */
static void
failure(struct request *req, enum problem p, struct buf *b)
{
	struct jsonw w;

	jsonw_init(&w, b);
	jsonw_obj(&w);
	problem_members(req, p, &w);
	jsonw_kz(&w, "message", compat_words(req, p));
	jsonw_kz(&w, "msg", compat_words(req, p));
	jsonw_kz(&w, "error", compat_words(req, p));
	jsonw_obj_end(&w);
}

const struct facade ecommerce = {
	.name = "ecommerce",
	.title = "E-Commerce Chat, as Plaza answers it",
	.doc = "The paths of the E-Commerce Chat for its clients. What it did over Socket.IO goes "
	       "over MQTT; see asyncapi.json. New clients take /api/v1.",
	.statuses = { { P_INVALID, 400 }, { P_WEAK_PASSWORD, 400 }, { P_EMAIL_TAKEN, 400 } },
	.names = names,
	.media = "application/problem+json; charset=utf-8",
	.failure = failure,
	.failure_schema =
		"{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\",\"format\":"
		"\"uri\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
		"\"detail\":{\"type\":\"string\"},\"instance\":{\"type\":\"string\"},"
		"\"code\":{\"type\":\"string\"},\"requestId\":{\"type\":\"string\"},"
		"\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
		"\"pointer\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},\"detail\":{"
		"\"type\":\"string\"}},\"required\":[\"pointer\",\"code\",\"detail\"],"
		"\"additionalProperties\":false}},\"message\":{\"type\":\"string\"},"
		"\"msg\":{\"type\":\"string\"},\"error\":{\"type\":\"string\"}},"
		"\"required\":[\"type\",\"title\",\"status\",\"code\",\"message\",\"msg\","
		"\"error\"],\"additionalProperties\":false}",
};

enum problem
ec_answer_success(struct request *req)
{
	resp_status(req, 200);
	return resp_json(req, STR("{\"success\":true}"));
}

/* ---- accounts ---- */

struct str
ec_role(struct str role)
{
	if (str_eqz(role, "client"))
		return STR("customer");
	if (str_eqz(role, "seller"))
		return STR("merchant");
	return str_eqz(role, "moderator") ? STR("agent") : role;
}

static enum problem
answer_account(struct request *req, const struct json *grant)
{
	static const char *const but[] = { "_id", "name", "email", "role", "token", NULL };
	const struct json *user = json_member(grant, "user");
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	jsonw_kstr(&w, "_id", compat_text(user, "id"));
	jsonw_kstr(&w, "name", compat_text(user, "name"));
	jsonw_kstr(&w, "email", compat_text(user, "email"));
	jsonw_kstr(&w, "role", ec_role(compat_text(user, "role")));
	jsonw_kstr(&w, "token", compat_text(grant, "accessToken"));
	compat_copy(req, &w, grant, but);
	return resp_json(req, compat_end(&b, &w));
}

static enum problem
ecommerce_signup(struct request *req)
{
	const struct signup_ec *in = req->body;
	const struct json *grant;
	struct jsonw w;
	struct buf b;

	compat_begin(req, &b, &w);
	compat_put(&w, "name", in->name);
	compat_put(&w, "email", in->email);
	compat_put(&w, "password", in->password);
	compat_put(&w, "username", in->username);
	compat_put(&w, "phone", in->phone);
	compat_put(&w, "shopName", in->shop_name);
	compat_put(&w, "device", in->device);
	for (size_t i = 0; in->role.p && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (str_eqz(in->role, roles[i].old))
			jsonw_kz(&w, "role", roles[i].role);
	enum problem p = compat_send(req, "authRegister", compat_end(&b, &w), &grant);
	return p ? p : answer_account(req, grant);
}

static enum problem
ecommerce_login(struct request *req)
{
	const struct login_ec *in = req->body;
	const struct json *grant;
	enum problem p = compat_login(req, in->email, in->password, in->device, &grant);

	return p ? p : answer_account(req, grant);
}

/* ---- lists and files ---- */

void
ec_array_begin(struct request *req, struct buf *b, struct jsonw *w, const struct json *page)
{
	struct str cursor = compat_text(page, "nextCursor");

	if (cursor.p)
		resp_header(req, "X-Next-Cursor", "%.*s", STR_ARG(cursor));
	buf_init(b, req->arena, LIMIT_RESPONSE);
	jsonw_init(w, b);
	jsonw_arr(w);
}

enum problem
ec_array_end(struct request *req, struct buf *b, struct jsonw *w)
{
	jsonw_arr_end(w);
	CHECK(!b->failed);
	return resp_json(req, buf_str(b));
}

static struct str
stored_as(struct request *req, const struct json *file)
{
	enum media media = media_by_type(compat_text(file, "mediaType"));

	return str_of(arena_printf(req->arena, "%.*s.%s", STR_ARG(compat_text(file, "id")),
		media_info(media)->ending));
}

struct str
ec_file_url(struct request *req, const struct json *file)
{
	struct uuid id;

	if (!uuid_parse(compat_text(file, "id"), &id))
		return STR("");
	return str_of(arena_printf(req->arena, "/uploads/%.*s?%.*s", STR_ARG(stored_as(req, file)),
		STR_ARG(file_link_query(req, &id))));
}

/* ---- presence ---- */

static enum problem
ecommerce_online(struct request *req)
{
	static const char *const but[] = { "online", NULL };
	const struct json *list;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_ask(req, "presenceOnline", &list);
	if (p)
		return p;
	const struct json *items = json_member(list, "items");
	compat_begin(req, &b, &w);
	jsonw_key(&w, "online");
	jsonw_arr(&w);
	for (size_t i = 0; i < json_size(items); i++)
		jsonw_str(&w, compat_text(json_item(items, i), "userId"));
	jsonw_arr_end(&w);
	compat_copy(req, &w, list, but);
	return resp_json(req, compat_end(&b, &w));
}

/* ---- notifications ---- */

#define CHAT_LINK "/chats/"

/* chat.new was NEW_CONVERSATION; what that system did not know is spelled its way. */
static struct str
old_type(struct request *req, struct str type)
{
	if (str_eqz(type, "chat.new"))
		return STR("NEW_CONVERSATION");
	char *upper = str_z(req->arena, type);
	for (char *c = upper; *c; c++)
		*c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
	return str_of(upper);
}

static void
put_notification(struct request *req, struct jsonw *w, const struct json *n)
{
	struct str type = compat_text(n, "type"), link = compat_text(n, "link"),
		   at = compat_text(n, "createdAt");

	jsonw_obj(w);
	jsonw_kstr(w, "_id", compat_text(n, "id"));
	compat_put_uuid(w, "user", &req->who.user);
	jsonw_kstr(w, "type", old_type(req, type));
	jsonw_key(w, "data");
	jsonw_obj(w);
	if (str_eqz(type, "chat.new") && str_starts(link, CHAT_LINK))
		jsonw_kstr(w, "conversationId", str_sub(link, strlen(CHAT_LINK), link.n));
	jsonw_kstr(w, "title", compat_text(n, "title"));
	jsonw_kstr(w, "body", compat_text(n, "body"));
	compat_put(w, "link", link);
	jsonw_obj_end(w);
	jsonw_kbool(w, "read", json_bool(json_member(n, "read")));
	jsonw_kstr(w, "createdAt", at);
	jsonw_kstr(w, "updatedAt", at);
	jsonw_obj_end(w);
}

static enum problem
ecommerce_notifications(struct request *req)
{
	const struct json *page;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_list(req, "notificationList", &page);
	if (p)
		return p;
	const struct json *items = json_member(page, "items");
	ec_array_begin(req, &b, &w, page);
	for (size_t i = 0; i < json_size(items); i++)
		put_notification(req, &w, json_item(items, i));
	return ec_array_end(req, &b, &w);
}

static enum problem
ecommerce_notification_read(struct request *req)
{
	const struct json *none;
	enum problem p = compat_ask(req, "notificationRead", &none);

	return p ? p : ec_answer_success(req);
}

/* ---- uploads ---- */

static void
put_upload(struct request *req, struct jsonw *w, const struct json *file)
{
	jsonw_obj(w);
	jsonw_kstr(w, "url", ec_file_url(req, file));
	jsonw_kstr(w, "filename", compat_text(file, "name"));
	jsonw_kstr(w, "storedAs", stored_as(req, file));
	jsonw_kstr(w, "mimeType", compat_text(file, "mediaType"));
	jsonw_kint(w, "size", compat_int(file, "size"));
	jsonw_obj_end(w);
}

static enum problem
ecommerce_upload(struct request *req)
{
	const struct json *file;
	struct jsonw w;
	struct buf b;

	enum problem p = compat_ask(req, "fileUpload", &file);
	if (p)
		return p;
	buf_init(&b, req->arena, LIMIT_RESPONSE);
	jsonw_init(&w, &b);
	put_upload(req, &w, file);
	return resp_json(req, buf_str(&b));
}

static enum problem
check_parts(struct request *req, const struct multipart *m)
{
	if (m->n == 0) {
		err_field(&req->err, "/files", "required", "no file was sent");
		return ERR(&req->err, P_INVALID, "no part");
	}
	if (m->n > UPLOADS_AT_ONCE)
		return ERR_SAY(
			&req->err, P_BAD_MULTIPART, "at most %d files at a time", UPLOADS_AT_ONCE);
	for (size_t i = 0; i < m->n; i++)
		if (!m->v[i].is_file || !str_eqz(m->v[i].name, "files"))
			return ERR_SAY(&req->err, P_BAD_MULTIPART, "want files in parts `files`");
	return P_OK;
}

/* All or none: what was kept before one is refused goes again. */
static enum problem
keep_parts(struct request *req, const struct multipart *m, struct jsonw *w)
{
	struct uuid ids[UPLOADS_AT_ONCE];
	const struct json *file;
	struct rows *rows;
	enum problem p = P_OK;
	size_t n = 0;

	for (; n < m->n; n++) {
		if ((p = file_keep(req, &m->v[n], &ids[n], &rows)))
			break;
		if ((p = json_parse(req->arena, file_doc(rows), &file, &req->err)))
			break;
		put_upload(req, w, file);
	}
	for (size_t i = 0; p && i < n; i++)
		file_drop(req, &ids[i]);
	return p;
}

static enum problem
ecommerce_uploads(struct request *req)
{
	struct multipart *m = ARENA_NEW(req->arena, struct multipart);
	struct jsonw w;
	struct buf b;

	enum problem p = file_room(req);
	if (!p)
		p = multipart_read(req, LIMIT_FILE, m);
	if (!p)
		p = check_parts(req, m);
	if (p)
		return p;
	compat_begin(req, &b, &w);
	jsonw_key(&w, "files");
	jsonw_arr(&w);
	if ((p = keep_parts(req, m, &w)))
		return p;
	jsonw_arr_end(&w);
	return resp_json(req, compat_end(&b, &w));
}

/* /uploads/{id}.{ending}: the ending is for people. */
static enum problem
ecommerce_upload_get(struct request *req)
{
	struct str name = req_param(req, 0);

	compat_param(req, 0, str_sub(name, 0, str_find(name, '.', 0)));
	return file_get(req);
}

/* ---- table ---- */

#define SIGN_IN EC, .roles = ROLE_PUBLIC, .signs_in = true, .returns = &account_out, .tag = "Auth"

static const struct route rows[] = {
	{ HTTP_POST, "/auth/signup", ecommerce_signup, SIGN_IN, .body = &signup_ec, .status = 201,
		.limit = LIMIT_REGISTER,
		.problems = { P_EMAIL_TAKEN, P_CONFLICT, P_WEAK_PASSWORD, P_FILTERED },
		.name = "ecommerceSignup", .doc = "Opens an account and signs in" },
	{ HTTP_POST, "/auth/login", ecommerce_login, SIGN_IN, .body = &login_ec,
		.limit = LIMIT_LOGIN, .problems = { P_BAD_CREDENTIALS }, .name = "ecommerceLogin",
		.doc = "Signs in" },
	{ HTTP_GET, "/presence/online-users", ecommerce_online, EC_USER, .returns = &online_out,
		.tag = "Presence", .name = "ecommerceOnline",
		.doc = "Which of the caller's contacts are there" },
	{ HTTP_GET, "/notifications", ecommerce_notifications, EC_USER,
		.query = &compat_page_schema, .returns = &notification_out, .array = true,
		.problems = { P_BAD_CURSOR }, .tag = "Notifications",
		.name = "ecommerceNotifications",
		.doc = "The caller's notifications, newest first; X-Next-Cursor when there are "
		       "more" },
	{ HTTP_POST, "/notifications/:id/read", ecommerce_notification_read, EC_USER,
		.returns = &ec_success, .limit = LIMIT_WRITE, .tag = "Notifications",
		.name = "ecommerceNotificationRead", .doc = "Marks one as read" },
	{ HTTP_POST, "/uploads/single", ecommerce_upload, EC_USER, .body_kind = BODY_MULTIPART,
		.body_max = UPLOAD_BODY_MAX, .returns = &upload_out, .status = 201,
		.limit = LIMIT_UPLOAD, .problems = { P_BAD_MULTIPART, P_BAD_IMAGE, P_QUOTA },
		.tag = "Uploads", .name = "ecommerceUpload",
		.doc = "Keeps a file, part `file`: JPEG, PNG, WebP or PDF, 5 MB" },
	{ HTTP_POST, "/uploads/multiple", ecommerce_uploads, EC_USER, .body_kind = BODY_MULTIPART,
		.body_max = LIMIT_BODY_UPLOAD, .returns = &uploads_out, .status = 201,
		.limit = LIMIT_UPLOAD, .problems = { P_BAD_MULTIPART, P_BAD_IMAGE, P_QUOTA },
		.tag = "Uploads", .name = "ecommerceUploads",
		.doc = "Keeps up to five files, parts `files`, all or none" },
	{ HTTP_GET, "/uploads/:name", ecommerce_upload_get, .facade = &ecommerce, .at = AT_BARE,
		.roles = ROLE_PUBLIC, .query = &file_query, .media = "application/octet-stream",
		.cache_s = NO_STORE, .problems = { P_UNAUTHENTICATED, P_FORBIDDEN },
		.tag = "Uploads", .name = "ecommerceUploadGet",
		.doc = "A file, for those who may have it: by token, or by the link as it was "
		       "given" },
};
const struct route_table ecommerce_routes = ROUTES(rows);
