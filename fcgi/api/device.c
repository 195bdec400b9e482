/* Devices that want push messages, and the key by which push services know us. */
#include "api/device.h"

#include "api/api.h"
#include "base/encode.h"
#include "io/fetch.h"
#include "io/webpush.h"
#include "queries.h"

#define FCM_TOKEN_MIN 20
#define FCM_TOKEN_MAX 2048
#define NAME_MAX_CHARS 100
#define KEY_TEXT_MAX 128
#define KEY_CACHE_S 60

/* ---- shapes ---- */

struct device_keys {
	struct str p256dh, auth;
};
static const struct field device_keys_fields[] = {
	FIELD(device_keys, p256dh, T_TEXT, .required = true, .max = KEY_TEXT_MAX),
	FIELD(device_keys, auth, T_TEXT, .required = true, .max = KEY_TEXT_MAX),
};
static const struct schema device_keys_schema =
	SCHEMA("DeviceKeys", device_keys, device_keys_fields);

struct device_in {
	struct str endpoint;
	const struct json *expirationTime;
	const struct device_keys *keys;
	struct str token;
	struct str name;
};
static const struct field device_in_fields[] = {
	FIELD(device_in, endpoint, T_TEXT, .max = FETCH_URL_MAX,
		.doc = "of a browser's PushSubscription, with its keys"),
	FIELD(device_in, expirationTime, T_JSON, .doc = "of the PushSubscription; not used"),
	FIELD(device_in, keys, T_OBJECT, .of = &device_keys_schema),
	FIELD(device_in, token, T_TEXT, .max = FCM_TOKEN_MAX,
		.doc = "registration token of Firebase Cloud Messaging, instead"),
	FIELD(device_in, name, T_TEXT, .max = NAME_MAX_CHARS, .doc = "for the user"),
};
static const struct schema device_in_schema = SCHEMA("DevicePut", device_in, device_in_fields);

static const char *const providers[] = { "webpush", "fcm", NULL };
static const struct field device_out_fields[] = {
	OUT("id", T_UUID),
	OUT("provider", T_ENUM, .values = providers),
	OUT("name", T_TEXT),
	OUT("current", T_BOOL, .doc = "it is the one that asks"),
	OUT("createdAt", T_TIME),
};
static const struct schema device_out = SCHEMA_OUT("Device", device_out_fields);

static const struct field push_key_fields[] = {
	OUT("applicationServerKey", T_TEXT,
		.doc = "for PushManager.subscribe(): P-256, uncompressed, base64url"),
};
static const struct schema push_key_out = SCHEMA_OUT("PushKey", push_key_fields);

/* ---- registering ---- */

static enum problem
check_subscription(const struct conf *conf, struct arena *a, const struct device_address *in,
	struct fetch_url *url, struct err *err)
{
	struct webpush_to to = { 0 };

	if (!conf->push_dir[0])
		err_field(err, "/endpoint", "not_allowed", "there is no Web Push here");
	else if (!fetch_url_parse(in->endpoint, conf->push_loopback != 0, url))
		err_field(err, "/endpoint", "not_allowed", "not the address of a push service");
	else if (!base64url_get(a, in->p256dh, &to.point) ||
		 !base64url_get(a, in->auth, &to.auth) || !webpush_to_valid(&to))
		err_field(err, "/keys", "format", "not the keys of a subscription");
	else
		return P_OK;
	return err->problem = P_INVALID;
}

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == ':'))
			return false;
	}
	return s.n >= FCM_TOKEN_MIN && s.n <= FCM_TOKEN_MAX;
}

static enum problem
check_token(const struct conf *conf, const struct device_address *in, struct fetch_url *url,
	struct err *err)
{
	if (!conf->fcm_account_file[0])
		err_field(
			err, "/token", "not_allowed", "there is no Firebase Cloud Messaging here");
	else if (!is_token(in->token))
		err_field(err, "/token", "format", "not a registration token");
	else if (fetch_url_parse(str_of(conf->fcm_url), true, url))
		return P_OK;
	else
		return ERR(err, P_INTERNAL, "fcm_url: %s", conf->fcm_url);
	return err->problem = P_INVALID;
}

enum problem
device_register(const struct conf *conf, struct db *db, struct arena *a, const struct uuid *session,
	const struct device_address *in, struct rows **out, struct err *err)
{
	bool web = in->endpoint.p != NULL;
	struct fetch_url url = { 0 };
	enum problem p;

	if (web == (in->token.p != NULL)) {
		err_field(err, web ? "/token" : "/endpoint", web ? "not_allowed" : "required",
			"an endpoint with keys, or a token");
		return err->problem = P_INVALID;
	}
	p = web ? check_subscription(conf, a, in, &url, err) : check_token(conf, in, &url, err);
	if (p)
		return p;
	struct q_device_put q = { .session = *session,
		.provider = web ? STR("webpush") : STR("fcm"),
		.address = web ? in->endpoint : in->token,
		.host = url.host,
		.point = web ? in->p256dh : (struct str){ 0 },
		.auth = web ? in->auth : (struct str){ 0 },
		.name = in->name.p ? in->name : STR("") };
	return q_device_put(db, &q, out, err);
}

/* ---- handlers ---- */

static enum problem
device_put(struct request *req)
{
	const struct device_in *in = req->body;
	struct device_address address = {
		.endpoint = in->endpoint, .token = in->token, .name = in->name
	};
	struct rows *rows;

	if (in->keys) {
		address.p256dh = in->keys->p256dh;
		address.auth = in->keys->auth;
	}
	enum problem p = device_register(
		req->app->conf, req->db, req->arena, &req->who.session, &address, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
device_list(struct request *req)
{
	struct q_device_list q = { .session = req->who.session };
	struct rows *rows;
	enum problem p = q_device_list(req->db, &q, &rows, &req->err);

	return p ? p : resp_page(req, rows, LIMIT_PAGE);
}

static enum problem
device_delete(struct request *req)
{
	struct q_device_remove q;
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_device_remove(req->db, &q, &rows, &req->err)))
		return p;
	return resp_empty(req);
}

/* Read anew each time: few ask, and a new key must not need new workers. */
static enum problem
push_key(struct request *req)
{
	struct str key;

	if (!req->app->conf->push_dir[0])
		return ERR(&req->err, P_NOT_FOUND, "no Web Push");
	enum problem p = vapid_public(req->arena, req->app->conf->push_dir, &key, &req->err);
	if (p)
		return p;
	return resp_json(req, str_of(arena_printf(req->arena, "{\"applicationServerKey\":\"%.*s\"}",
				      STR_ARG(key))));
}

static const struct route rows[] = {
	{ HTTP_GET, "/devices/key", push_key, .roles = ROLE_PUBLIC, .returns = &push_key_out,
		.cache_s = KEY_CACHE_S, .problems = { P_NOT_FOUND }, .tag = "Notifications",
		.name = "pushKey", .doc = "Our key, which a browser's subscription is bound to" },
	{ HTTP_GET, "/devices", device_list, .roles = ROLE_ANY, .returns = &device_out,
		.page = true, .tag = "Notifications", .name = "deviceList",
		.doc = "Devices of the caller that get push messages" },
	{ HTTP_POST, "/devices", device_put, .roles = ROLE_ANY, .body = &device_in_schema,
		.status = 201, .returns = &device_out, .limit = LIMIT_WRITE, .tag = "Notifications",
		.name = "devicePut",
		.doc = "Push messages for this session go there; replaces what it had before" },
	{ HTTP_DELETE, "/devices/:id", device_delete, .roles = ROLE_ANY, .status = 204,
		.limit = LIMIT_WRITE, .tag = "Notifications", .name = "deviceDelete",
		.doc = "No more push messages to a device" },
};
const struct route_table device_routes = ROUTES(rows);
