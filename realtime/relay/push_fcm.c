/* A push message for a phone, by Firebase Cloud Messaging (HTTP v1). */
#include "relay/push.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/conf.h"
#include "io/fcm.h"
#include "io/fetch.h"
#include "io/json.h"

#define ARENA_MAX ((size_t)1024 * 1024)
#define MESSAGE_MAX 8192
#define TOKEN_MAX 4096
#define EARLY_S 60 /* a token is renewed so long before its end */
#define AGAIN_US INT64_C(5000000)

struct fcm {
	const struct conf *conf;
	struct fetch *fetch;
	struct arena *arena; /* of the last try to get a token */
	char token[TOKEN_MAX];
	char project[128];
	int64_t until_us; /* the token is good */
	int64_t again_us; /* the next try may begin */
	bool asking;
};

struct fcm *
fcm_new(const struct conf *conf, struct fetch *fetch)
{
	struct fcm *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->conf = conf;
	f->fetch = fetch;
	f->arena = arena_new(ARENA_MAX);
	return f;
}

void
fcm_free(struct fcm *f)
{
	if (!f)
		return;
	explicit_bzero(f->token, sizeof(f->token));
	arena_free(f->arena);
	free(f);
}

/* ---- the access token ---- */

static void
on_token(void *arg, const struct fetch_answer *answer)
{
	struct fcm *f = arg;
	const struct json *doc;
	struct err err = { 0 };

	f->asking = false;
	f->again_us = clock_mono_us() + AGAIN_US;
	if (answer->status != 200 || json_parse(f->arena, answer->body, &doc, &err)) {
		log_event(LOG_WARN, "fcm_token", LI("status", answer->status),
			LZ("text", answer->error[0] ? answer->error : err.log));
		return;
	}
	struct str token = json_str(json_member(doc, "access_token"));
	int64_t life = json_int(json_member(doc, "expires_in"));
	if (token.n == 0 || token.n >= sizeof(f->token) || life <= EARLY_S) {
		log_event(LOG_WARN, "fcm_token", LZ("text", "no token in the answer"));
		return;
	}
	memcpy(f->token, token.p, token.n);
	f->token[token.n] = '\0';
	f->until_us = clock_mono_us() + (life - EARLY_S) * INT64_C(1000000);
}

/* The account is read each time, so that a new key needs no restart. */
static enum problem
ask(struct fcm *f, struct err *err)
{
	static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded" };
	struct fcm_account account;
	struct str form;
	enum problem p;

	arena_clear(f->arena);
	p = fcm_account_load(f->arena, f->conf->fcm_account_file, &account, err);
	if (p || (p = fcm_token_form(f->arena, &account, clock_unix_s(), &form, err)))
		return p;
	snprintf(f->project, sizeof(f->project), "%.*s", STR_ARG(account.project));
	return fetch_post(f->fetch,
		&(struct fetch_request){ .url = account.token_uri,
			.headers = headers,
			.header_count = 1,
			.body = form,
			.done = on_token,
			.arg = f },
		err);
}

bool
fcm_ready(struct fcm *f)
{
	int64_t now = clock_mono_us();
	struct err err = { 0 };

	if (f->token[0] && now < f->until_us)
		return true;
	if (f->asking || now < f->again_us)
		return false;
	f->again_us = now + AGAIN_US;
	f->asking = ask(f, &err) == P_OK;
	if (!f->asking)
		log_event(LOG_WARN, "fcm_token", LZ("text", err.log));
	return false;
}

/* ---- messages ---- */

static void
put_android(struct jsonw *w, const struct push_row *row, const char *tag)
{
	char ttl[32];

	snprintf(ttl, sizeof(ttl), "%llds", (long long)row->ttl);
	jsonw_key(w, "android");
	jsonw_obj(w);
	jsonw_kz(w, "collapse_key", tag);
	jsonw_kz(w, "priority", row->urgent ? "HIGH" : "NORMAL");
	jsonw_kz(w, "ttl", ttl);
	jsonw_key(w, "notification");
	jsonw_obj(w);
	jsonw_kz(w, "tag", tag);
	jsonw_kint(w, "notification_count", row->badge);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void
put_apns(struct jsonw *w, const struct push_row *row, const char *tag)
{
	long long end = clock_unix_s() + row->ttl;
	char expiration[32];

	snprintf(expiration, sizeof(expiration), "%lld", end);
	jsonw_key(w, "apns");
	jsonw_obj(w);
	jsonw_key(w, "headers");
	jsonw_obj(w);
	jsonw_kz(w, "apns-collapse-id", tag);
	jsonw_kz(w, "apns-expiration", expiration);
	jsonw_kz(w, "apns-priority", row->urgent ? "10" : "5");
	jsonw_obj_end(w);
	jsonw_key(w, "payload");
	jsonw_obj(w);
	jsonw_key(w, "aps");
	jsonw_obj(w);
	jsonw_kint(w, "badge", row->badge);
	jsonw_kz(w, "thread-id", tag);
	jsonw_kz(w, "sound", "default");
	jsonw_obj_end(w);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* `data` takes nothing but strings. */
static void
put_data(struct jsonw *w, const struct push_row *row, const char *tag)
{
	char badge[32];

	snprintf(badge, sizeof(badge), "%lld", (long long)row->badge);
	jsonw_key(w, "data");
	jsonw_obj(w);
	jsonw_kstr(w, "kind", row->kind);
	jsonw_kz(w, "tag", tag);
	jsonw_kz(w, "badge", badge);
	if (row->link.p)
		jsonw_kstr(w, "link", row->link);
	jsonw_obj_end(w);
}

static struct str
message_of(struct arena *a, const struct push_row *row)
{
	char tag[UUID_TEXT + 1];
	struct jsonw w;
	struct buf b;

	uuid_text(&row->topic, tag);
	buf_init(&b, a, MESSAGE_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_key(&w, "message");
	jsonw_obj(&w);
	jsonw_kstr(&w, "token", row->address);
	jsonw_key(&w, "notification");
	jsonw_obj(&w);
	jsonw_kstr(&w, "title", row->title);
	jsonw_kstr(&w, "body", row->body);
	jsonw_obj_end(&w);
	put_data(&w, row, tag);
	put_android(&w, row, tag);
	put_apns(&w, row, tag);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	return b.failed ? (struct str){ 0 } : buf_str(&b);
}

bool
push_fcm_send(const struct push_call *call, const struct push_row *row, const struct fcm *f)
{
	struct arena *a = call->arena;
	struct str text = message_of(a, row);
	struct err err = { 0 };
	const char *const headers[] = { arena_printf(a, "Authorization: Bearer %s", f->token),
		"Content-Type: application/json", "Expect:" };
	struct fetch_request request = { .url = str_of(
						 arena_printf(a, "%s/v1/projects/%s/messages:send",
							 f->conf->fcm_url, f->project)),
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
		.body = text,
		.done = call->done,
		.arg = call->arg };

	return text.p && fetch_post(call->fetch, &request, &err) == P_OK;
}

/*
 * INVALID_ARGUMENT means the token or the message: the violation names the
 * field. A message that FCM does not like is our fault, not the device's.
 */
static bool
blames_token(const struct json *details)
{
	for (size_t i = 0; i < json_size(details); i++) {
		const struct json *all = json_member(json_item(details, i), "fieldViolations");

		for (size_t k = 0; k < json_size(all); k++)
			if (!str_eqz(json_str(json_member(json_item(all, k), "field")),
				    "message.token"))
				return false;
	}
	return true;
}

static bool
code_is(const struct json *details, const char *code)
{
	for (size_t i = 0; i < json_size(details); i++)
		if (str_eqz(json_str(json_member(json_item(details, i), "errorCode")), code))
			return true;
	return false;
}

enum push_outcome
push_fcm_outcome(struct fcm *f, struct arena *a, const struct fetch_answer *answer)
{
	const struct json *doc = NULL, *details;
	struct err err = { 0 };

	if (answer->status == 401) {
		f->token[0] = '\0'; /* a new one is asked for */
		return PUSH_RETRY;
	}
	if (answer->status < 400 || answer->status == 429 || answer->status >= 500)
		return push_web_outcome(answer->status);
	if (answer->body.n == 0 || json_parse(a, answer->body, &doc, &err))
		return PUSH_DEAD;
	details = json_member(json_member(doc, "error"), "details");
	if (code_is(details, "UNREGISTERED") || code_is(details, "SENDER_ID_MISMATCH") ||
		(code_is(details, "INVALID_ARGUMENT") && blames_token(details)))
		return PUSH_GONE;
	return PUSH_DEAD;
}
