/* Presence for those without a connection to the broker. */
#include "api/presence.h"

#include "api/api.h"
#include "io/cache.h"
#include "io/json.h"
#include "queries.h"

#include <string.h>

#define ONE_MAX 512
#define LIST_MAX (64 * 1024)

static const char *const states[] = { "online", "idle", "offline", "unknown", NULL };
static const struct field presence_fields[] = {
	OUT("userId", T_UUID),
	OUT("state", T_ENUM, .values = states,
		.doc = "the best of all devices; unknown when nobody keeps count"),
	OUT_OPT("lastSeen", T_TIME, .doc = "rounded to the minute, of those who are offline"),
};
static const struct schema presence_out = SCHEMA_OUT("Presence", presence_fields);
static const struct field online_fields[] = {
	OUT("items", T_ARRAY, .of = &presence_out),
};
static const struct schema online_out = SCHEMA_OUT("PresenceList", online_fields);

static void
unwatch(struct cache *c, struct arena *a, const struct uuid *watched, const struct uuid *watcher)
{
	char text[UUID_TEXT + 1];

	uuid_text(watcher, text);
	/* Without Redis there is no watch either. */
	(void)cache_zrem(c, presence_key(a, "watch", watched), str_of(text));
}

void
presence_part(struct cache *c, struct arena *a, const struct uuid *one, const struct uuid *two)
{
	unwatch(c, a, one, two);
	unwatch(c, a, two, one);
}

static void
put_presence(struct jsonw *w, const struct uuid *user, const char *state, struct str last_seen)
{
	char text[UUID_TEXT + 1];

	uuid_text(user, text);
	jsonw_obj(w);
	jsonw_kz(w, "userId", text);
	jsonw_kz(w, "state", state ? state : "unknown");
	if (last_seen.p && state && strcmp(state, "offline") == 0)
		jsonw_kstr(w, "lastSeen", last_seen);
	jsonw_obj_end(w);
}

/* Contacts only: a stranger is not found. */
static enum problem
presence_get(struct request *req)
{
	struct uuid user;
	struct rows *rows;
	struct jsonw w;
	struct buf b;
	enum problem p = req_uuid(req, 0, &user);

	if (p)
		return p;
	struct q_presence_visible q = { .watcher = req->who.user, .users = { &user, 1 } };
	if ((p = q_presence_visible(req->db, &q, &rows, &req->err)))
		return p;
	if (rows_count(rows) == 0)
		return ERR(&req->err, P_NOT_FOUND, "no contact");
	buf_init(&b, req->arena, ONE_MAX);
	jsonw_init(&w, &b);
	put_presence(&w, &user, presence_state(req->app->cache, req->arena, &user),
		rows_str(rows, 0, Q_PRESENCE_VISIBLE_LAST_SEEN));
	return resp_json(req, buf_str(&b));
}

static enum problem
presence_online(struct request *req)
{
	struct rows *rows;
	struct jsonw w;
	struct buf b;
	enum problem p = q_presence_contacts(
		req->db, &(struct q_presence_contacts){ .limit = LIMIT_PAGE }, &rows, &req->err);

	if (p)
		return p;
	buf_init(&b, req->arena, LIST_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_key(&w, "items");
	jsonw_arr(&w);
	for (size_t i = 0; i < rows_count(rows); i++) {
		struct uuid user = rows_uuid(rows, i, Q_PRESENCE_CONTACTS_ID);
		const char *state = presence_state(req->app->cache, req->arena, &user);

		if (state && strcmp(state, "offline") != 0)
			put_presence(&w, &user, state, (struct str){ 0 });
	}
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	return resp_json(req, buf_str(&b));
}

static const struct route rows[] = {
	{ HTTP_GET, "/presence/online-users", presence_online, .roles = ROLE_ANY,
		.returns = &online_out, .tag = "Realtime", .name = "presenceOnline",
		.doc = "Which of the caller's latest hundred contacts are there" },
	{ HTTP_GET, "/presence/:userId", presence_get, .roles = ROLE_ANY, .returns = &presence_out,
		.tag = "Realtime", .name = "presenceGet", .doc = "Whether a contact is there" },
};
const struct route_table presence_routes = ROUTES(rows);
