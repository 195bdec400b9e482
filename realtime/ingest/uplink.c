/* Uplink messages as requests. */
#include "ingest/uplink.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "http/limit.h"
#include "http/problem.h"
#include "http/route.h"
#include "io/brokers.h"
#include "io/json.h"
#include "queries.h"

#define ENVELOPE_MAX MQTT_PACKET_MAX
#define ANSWER_MAX (ENVELOPE_MAX - 1024) /* leaves room for topic and envelope */
#define HISTORY_MAX (ANSWER_MAX - 64)    /* and for what follows the items */
#define ROLE_SLOTS 4096
#define ROLE_LIFE_US INT64_C(30000000)

/* ---- envelope ---- */

enum problem
uplink_read(struct arena *a, const struct topic *topic, struct str payload, struct uplink *out,
	struct err *err)
{
	const struct json *doc;
	enum problem p = json_parse(a, payload, &doc, err);

	if (p)
		return p;
	*out = (struct uplink){ .topic = topic,
		.id = json_str(json_member(doc, "id")),
		.did = json_str(json_member(doc, "did")),
		.data = json_member(doc, "d") };
	if (out->did.p && !device_id_valid(out->did))
		out->did = (struct str){ 0 };
	if (out->id.n > LIMIT_IDEMPOTENCY_KEY)
		return ERR(err, P_INVALID, "id of %zu bytes", out->id.n);
	if (!out->data || json_kind_of(out->data) != JSON_OBJ)
		return ERR(err, P_INVALID, "no d");
	return P_OK;
}

/* ---- who: role and language of a user, remembered for half a minute ---- */

static struct role_slot {
	struct uuid user;
	enum role role;
	enum locale locale;
	int64_t until_us;
} roles[ROLE_SLOTS];

static enum problem
role_of(struct request *req, const struct uuid *user, enum role *out)
{
	struct role_slot *slot = &roles[(user->b[14] << 8 | user->b[15]) % ROLE_SLOTS];
	struct rows *rows;

	if (!uuid_eq(&slot->user, user) || clock_mono_us() >= slot->until_us) {
		enum problem p = q_account_sender(
			req->db, &(struct q_account_sender){ .account = *user }, &rows, &req->err);
		if (p)
			return p;
		*slot = (struct role_slot){ *user,
			rows_count(rows) ? role_by_name(rows_str(rows, 0, Q_ACCOUNT_SENDER_ROLE))
					 : ROLE_NONE,
			rows_count(rows) &&
					str_eqz(rows_str(rows, 0, Q_ACCOUNT_SENDER_LOCALE), "es")
				? LOCALE_ES
				: LOCALE_EN,
			clock_mono_us() + ROLE_LIFE_US };
	}
	*out = slot->role;
	req->locale = slot->locale;
	return P_OK;
}

/* ---- the door ---- */

struct body {
	const struct uplink *up;
	struct str text;
	size_t at;
};

static struct str
door_header(struct request *req, const char *name)
{
	const struct body *b = req->door_data;

	if (strcmp(name, "CONTENT_TYPE") == 0)
		return STR("application/json");
	if (strcmp(name, "IDEMPOTENCY_KEY") == 0)
		return b->up->id;
	return (struct str){ 0 };
}

static long
door_read(struct request *req, char *p, size_t n)
{
	struct body *b = req->door_data;
	size_t left = b->text.n - b->at;

	if (n > left)
		n = left;
	if (n == 0) /* no text: there may be no pointer either */
		return 0;
	memcpy(p, b->text.p + b->at, n);
	b->at += n;
	return (long)n;
}

static const struct door mqtt_door = { "mqtt", door_header, door_read };

/* Names of path parameters as uplinks write them. */
static const char *
member_of(struct str param)
{
	return str_eqz(param, ":mid") ? "messageId" : "chatId";
}

static bool
is_path_member(const struct route *r, const char *name)
{
	return (strcmp(name, "chatId") == 0 && strstr(r->path, "/:id")) ||
	       (strcmp(name, "messageId") == 0 && strstr(r->path, "/:mid"));
}

static void
fill_params(struct request *req, const struct uplink *up)
{
	struct str rest = str_of(req->route->path + 1), segment;
	size_t n = 0;

	while (rest.n > 0 && n < LIMIT_PATH_PARAMS) {
		str_cut(rest, '/', &segment, &rest);
		if (segment.p[0] == ':')
			req->params[n++] = json_str(json_member(up->data, member_of(segment)));
	}
}

/* What is left of `d` behind the path parameters, as a JSON object. */
static struct str
rest_as_body(struct request *req, const struct uplink *up)
{
	struct buf b;
	struct jsonw w;
	void *it = NULL;
	const char *name;
	const struct json *v;

	buf_init(&b, req->arena, ENVELOPE_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	while (json_next(up->data, &it, &name, &v)) {
		if (is_path_member(req->route, name))
			continue;
		jsonw_key(&w, name);
		jsonw_raw(&w, json_dump(req->arena, v));
	}
	jsonw_obj_end(&w);
	return buf_str(&b);
}

static struct str
rest_as_query(struct request *req, const struct uplink *up)
{
	struct buf b;
	void *it = NULL;
	const char *name;
	const struct json *v;

	buf_init(&b, req->arena, LIMIT_QUERY);
	while (json_next(up->data, &it, &name, &v)) {
		if (is_path_member(req->route, name) || json_kind_of(v) == JSON_NIL)
			continue;
		buf_puts(&b, b.n ? "&" : "");
		url_put(&b, str_of(name));
		buf_putc(&b, '=');
		if (json_kind_of(v) == JSON_STR)
			url_put(&b, json_str(v));
		else
			buf_puti(&b, json_int(v));
	}
	return b.failed || b.n == 0 ? STR("") : buf_str(&b);
}

/* ---- answers ---- */

void
uplink_answer(struct app *app, struct arena *a, const struct uplink *up, const char *type,
	struct str data)
{
	char topic[TOPIC_TEXT + 1], now[RFC3339_TEXT + 1], id[UUID_TEXT + 1];
	struct uuid u = uuid_new();
	struct jsonw w;
	struct buf b;
	size_t n = up->did.p ? topic_device(&up->topic->id, up->did, topic)
			     : topic_ephemeral(&up->topic->id, topic);

	clock_rfc3339(clock_unix_ms(), now);
	uuid_text(&u, id);
	buf_init(&b, a, ENVELOPE_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kint(&w, "v", 1);
	jsonw_kz(&w, "t", type);
	jsonw_kz(&w, "id", id);
	jsonw_kz(&w, "ts", now);
	jsonw_key(&w, "d");
	jsonw_raw(&w, data);
	jsonw_obj_end(&w);
	if (!b.failed)
		(void)brokers_publish(app->brokers, (struct str){ topic, n }, buf_str(&b), 1);
}

static void
answer_problem(struct request *req, const struct uplink *up)
{
	const struct problem_info *info = problem_info(req->err.problem);
	struct jsonw w;
	struct buf b;

	buf_init(&b, req->arena, ANSWER_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kstr(&w, "ref", up->id.p ? up->id : STR(""));
	jsonw_kz(&w, "code", info->slug);
	jsonw_kz(&w, "title", req->locale == LOCALE_ES ? info->title_es : info->title_en);
	if (req->err.field_count > 0) {
		jsonw_kz(&w, "field", req->err.fields[0].pointer);
		jsonw_kz(&w, "reason", req->err.fields[0].code);
	}
	if (req->err.detail[0])
		jsonw_kz(&w, "detail", req->err.detail);
	if (req->err.retry_after_s > 0)
		jsonw_kint(&w, "retryAfter", req->err.retry_after_s);
	jsonw_obj_end(&w);
	uplink_answer(req->app, req->arena, up, "message:error", buf_str(&b));
}

/* Items from the beginning of the page, as many as a packet holds; true when that is all. */
static bool
put_items(struct jsonw *w, struct arena *a, const struct json *items)
{
	size_t n = json_size(items), i;

	jsonw_arr(w);
	for (i = 0; i < n; i++) {
		struct str item = json_dump(a, json_item(items, i));

		if (w->b->n + item.n > HISTORY_MAX)
			break;
		jsonw_raw(w, item);
	}
	jsonw_arr_end(w);
	return i == n;
}

/* A page {"items":[…],"nextCursor":…} as message:history. */
static void
answer_history(struct request *req, const struct uplink *up)
{
	struct err err = { 0 };
	const struct json *page;
	struct jsonw w;
	struct buf b;

	if (json_parse(req->arena, req->resp.body, &page, &err))
		return;
	buf_init(&b, req->arena, ANSWER_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kstr(&w, "ref", up->id.p ? up->id : STR(""));
	jsonw_kstr(&w, "chatId", req->params[0]);
	jsonw_key(&w, "items");
	bool all = put_items(&w, req->arena, json_member(page, "items"));
	jsonw_kbool(&w, "more", !all || json_kind_of(json_member(page, "nextCursor")) == JSON_STR);
	jsonw_obj_end(&w);
	uplink_answer(req->app, req->arena, up, "message:history", buf_str(&b));
}

bool
uplink_limited(struct app *app, const struct uplink *up)
{
	const unsigned limited =
		1u << UPLINK_HELLO | 1u << UPLINK_WATCH | 1u << UPLINK_BEAT | 1u << UPLINK_HISTORY;
	struct request *req;

	if (!(limited >> up->topic->verb & 1))
		return false;
	req = app_request(app);
	req->who.user = up->topic->id;
	if (!limit_hit(req, LIMIT_SIGNAL))
		return false;
	answer_problem(req, up);
	return true;
}

bool
uplink_run(struct app *app, const struct uplink *up)
{
	const struct route *route =
		router_by_verb(app->router, str_of(uplink_verb_name(up->topic->verb)));
	struct request *req;
	struct body body = { .up = up };

	if (!route)
		return false;
	req = app_request(app);
	req->door = &mqtt_door;
	req->door_data = &body;
	req->route = route;
	req->method = route->method;
	req->who.user = up->topic->id;
	enum problem p = role_of(req, &up->topic->id, &req->who.role);
	fill_params(req, up);
	if (route->method == HTTP_GET)
		req->query_text = rest_as_query(req, up);
	else if (route->body)
		body.text = rest_as_body(req, up);
	req->content_length = (int64_t)body.text.n;
	if (!p)
		app_handle(req);
	if (req->err.problem)
		answer_problem(req, up);
	else if (route->method == HTTP_GET)
		answer_history(req, up);
	else if (req->resp.replayed)
		uplink_answer(req->app, req->arena, up, "message:repeated", req->resp.body);
	app_finish(req);
	return true;
}
