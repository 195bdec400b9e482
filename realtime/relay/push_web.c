/* A push message for a browser. */
#include "relay/push.h"

#include "base/clock.h"
#include "base/encode.h"
#include "io/fetch.h"
#include "io/json.h"
#include "io/webpush.h"

#define VAPID_LIFE_S 43200 /* RFC 8292 section 2 allows a day */
#define TOPIC_TEXT 22      /* a UUID in base64url; RFC 8030 section 5.4 allows 32 */

/* What the service worker of the site gets. */
static struct str
text_of(struct arena *a, const struct push_row *row)
{
	char tag[UUID_TEXT + 1];
	struct jsonw w;
	struct buf b;

	uuid_text(&row->topic, tag);
	buf_init(&b, a, WEBPUSH_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kint(&w, "v", 1);
	jsonw_kstr(&w, "kind", row->kind);
	jsonw_kz(&w, "tag", tag);
	jsonw_kstr(&w, "title", row->title);
	jsonw_kstr(&w, "body", row->body);
	jsonw_kstr(&w, "link", row->link);
	jsonw_kint(&w, "badge", row->badge);
	jsonw_obj_end(&w);
	return b.failed ? (struct str){ 0 } : buf_str(&b);
}

/* The service keeps one message for each topic, the newest. */
static const char *
topic_header(struct arena *a, const struct push_row *row)
{
	struct buf b;

	buf_init(&b, a, TOPIC_TEXT);
	base64url_put(&b, row->topic.b, sizeof(row->topic.b));
	return arena_printf(a, "Topic: %.*s", STR_ARG(buf_str(&b)));
}

bool
push_web_send(const struct push_call *call, const struct push_row *row, const struct p256 *key,
	const char *contact)
{
	struct arena *a = call->arena;
	struct webpush_to to;
	struct fetch_url url;
	struct err err = { 0 };
	struct buf b;
	struct str text = text_of(a, row), vapid;

	buf_init(&b, a, WEBPUSH_RECORD);
	/* It was checked when it was registered; the origin is what is wanted here. */
	if (!text.p || !fetch_url_parse(row->address, true, &url) ||
		!base64url_get(a, row->point, &to.point) ||
		!base64url_get(a, row->auth, &to.auth) || !webpush_seal(&b, &to, text))
		return false;
	vapid = vapid_header(a, key, url.origin, str_of(contact), clock_unix_s() + VAPID_LIFE_S);
	const char *const headers[] = { arena_printf(a, "Authorization: %.*s", STR_ARG(vapid)),
		arena_printf(a, "TTL: %lld", (long long)row->ttl), topic_header(a, row),
		row->urgent ? "Urgency: high" : "Urgency: normal", "Content-Encoding: aes128gcm",
		"Content-Type: application/octet-stream", "Expect:" };
	struct fetch_request request = { .url = row->address,
		.headers = headers,
		.header_count = sizeof(headers) / sizeof(headers[0]),
		.body = buf_str(&b),
		.done = call->done,
		.arg = call->arg };

	return fetch_post(call->fetch, &request, &err) == P_OK;
}

/* RFC 8030 sections 5 and 7.3. */
enum push_outcome
push_web_outcome(int status)
{
	if (status >= 200 && status < 300)
		return PUSH_SENT;
	if (status == 404 || status == 410)
		return PUSH_GONE;
	if (status == 0 || status == 408 || status == 429 || status >= 500)
		return PUSH_RETRY;
	return PUSH_DEAD;
}
