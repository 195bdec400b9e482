/* Presence from the plugin's observations and the devices' own words. */
#include "ingest/presence.h"

#include "api/device.h"
#include "api/presence.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "events.h"
#include "io/brokers.h"
#include "io/cache.h"
#include "io/json.h"
#include "queries.h"

#define DEVICE_TTL_S 150
#define WATCH_TTL_S 120
#define WATCH_MAX 50
#define LEAVE_US INT64_C(15000000)
#define LEAVERS_MAX 4096
#define ANSWER_MAX 4096
#define DEVICE_NAME_MAX 100 /* bytes of a name for the user's list of devices */
#define ASKERS_MAX 128
#define ASKERS_ARENA ((size_t)1 << 20)
#define EPOCH_MAX 64

struct leaver {
	struct uuid user;
	int64_t due_us;
};

/* A device that said how far its feed is, and waits to hear how far it should be. */
struct asker {
	struct topic topic;
	struct str did, ref;
	struct str epoch; /* with `us`: of a beat */
	int64_t us;
	bool greets;
};

struct presence {
	struct app *app;
	struct arena *arena; /* of the askers' texts */
	struct asker askers[ASKERS_MAX];
	size_t asker_n;
	struct leaver leavers[LEAVERS_MAX]; /* in the order of their time */
	size_t first, n;
};

struct presence *
presence_new(struct app *app)
{
	struct presence *p = calloc(1, sizeof(*p));

	CHECK(p);
	p->app = app;
	p->arena = arena_new(ASKERS_ARENA);
	return p;
}

void
presence_free(struct presence *p)
{
	if (!p)
		return;
	arena_free(p->arena);
	free(p);
}

/* ---- telling ---- */

static void
tell(struct presence *p, struct arena *a, const struct uuid *watcher, const struct uuid *user,
	const char *state, struct str last_seen)
{
	char topic[TOPIC_TEXT + 1], now[RFC3339_TEXT + 1], id[UUID_TEXT + 1], about[UUID_TEXT + 1];
	struct uuid u = uuid_new();
	struct buf b;
	struct jsonw w;
	size_t n = topic_ephemeral(watcher, topic);

	clock_rfc3339(clock_unix_ms(), now);
	uuid_text(&u, id);
	uuid_text(user, about);
	buf_init(&b, a, ANSWER_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kint(&w, "v", 1);
	jsonw_kz(&w, "t", "user:status");
	jsonw_kz(&w, "id", id);
	jsonw_kz(&w, "ts", now);
	jsonw_key(&w, "d");
	jsonw_obj(&w);
	jsonw_kz(&w, "userId", about);
	jsonw_kz(&w, "state", state);
	if (last_seen.p && strcmp(state, "offline") == 0)
		jsonw_kstr(&w, "lastSeen", last_seen);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	(void)brokers_publish(p->app->brokers, (struct str){ topic, n }, buf_str(&b), 0);
}

/*
 * What the watchers know of a user, as far as somebody keeps it alive. It is not
 * what is so: who has left for a moment is still there for them.
 */
static struct str
told(struct presence *p, struct arena *a, const struct uuid *user)
{
	struct str state = { 0 };

	(void)cache_get(p->app->cache, a, presence_key(a, "told", user), &state);
	return state;
}

/* To everybody who watches this user now, unless they know. */
static void
announce(struct presence *p, struct arena *a, const struct uuid *user, struct str last_seen)
{
	const char *state = presence_state(p->app->cache, a, user);
	struct str known = { 0 }, *watchers;
	struct uuid watcher;
	size_t n;

	if (!state)
		return;
	(void)cache_swap(p->app->cache, a, presence_key(a, "told", user), str_of(state),
		DEVICE_TTL_S, &known);
	if (str_eqz(known, state))
		return;
	if (cache_zlive(p->app->cache, a, presence_key(a, "watch", user), &watchers, &n) !=
		CACHE_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if (uuid_parse(watchers[i], &watcher))
			tell(p, a, &watcher, user, state, last_seen);
}

static void
came(struct presence *p, struct arena *a, const struct uuid *user, struct str did)
{
	(void)cache_zadd(p->app->cache, presence_key(a, "pres", user), did, DEVICE_TTL_S);
	announce(p, a, user, (struct str){ 0 });
}

static void
left(struct presence *p, struct arena *a, const struct uuid *user, struct str did)
{
	(void)cache_zrem(p->app->cache, presence_key(a, "pres", user), did);
	(void)cache_zrem(p->app->cache, presence_key(a, "idle", user), did);
	if (p->n == LEAVERS_MAX)
		return; /* the watch's own time limit ends the lie */
	p->leavers[(p->first + p->n++) % LEAVERS_MAX] =
		(struct leaver){ *user, clock_mono_us() + LEAVE_US };
}

/* ---- what the plugin saw ---- */

static void
device_seen(struct presence *p, struct arena *a, const struct json *d, bool up)
{
	struct str did = json_str(json_member(d, "did"));
	struct uuid user;

	if (!uuid_parse(json_str(json_member(d, "uid")), &user) || !device_id_valid(did))
		return;
	if (up)
		came(p, a, &user, did);
	else
		left(p, a, &user, did);
}

void
presence_observed(struct presence *p, struct arena *a, const struct json *doc)
{
	const struct json *live = json_member(doc, "live");

	if (!live) {
		device_seen(p, a, doc, json_bool(json_member(doc, "up")));
		return;
	}
	for (size_t i = 0; i < json_size(live); i++)
		device_seen(p, a, json_item(live, i), true);
}

/* A device has been gone long enough to say so; another one may be there. */
static void
gone(struct presence *p, struct arena *a, const struct uuid *user)
{
	const char *state = presence_state(p->app->cache, a, user);
	struct str last_seen = { 0 };
	struct err err = { 0 };
	struct rows *rows;

	if (state && strcmp(state, "offline") == 0) {
		db_reset(p->app->db, a);
		if (q_presence_left(
			    p->app->db, &(struct q_presence_left){ .account = *user }, &rows, &err))
			log_event(LOG_WARN, "presence", LZ("text", err.log));
		else if (rows_count(rows) > 0)
			last_seen = rows_str(rows, 0, Q_PRESENCE_LEFT_LAST_SEEN);
	}
	announce(p, a, user, last_seen);
}

int
presence_turn(struct presence *p, struct arena *a)
{
	while (p->n > 0) {
		struct leaver *l = &p->leavers[p->first];
		int64_t wait_us = l->due_us - clock_mono_us();
		struct uuid user = l->user;

		if (wait_us > 0)
			return (int)(wait_us / 1000) + 1;
		p->first = (p->first + 1) % LEAVERS_MAX;
		p->n--;
		gone(p, a, &user);
	}
	return -1;
}

/* ---- uplinks ---- */

/* Only users who share a conversation, and with whom there is no block, may be watched. */
static void
watch(struct presence *p, struct arena *a, const struct uplink *up)
{
	const struct json *list = json_member(up->data, "userIds");
	size_t n = json_size(list), count = 0;
	struct uuid *users = arena_calloc(a, WATCH_MAX, sizeof(*users));
	char watcher[UUID_TEXT + 1];
	struct err err = { 0 };
	struct rows *rows;

	for (size_t i = 0; i < n && count < WATCH_MAX; i++)
		if (uuid_parse(json_str(json_item(list, i)), &users[count]))
			count++;
	db_reset(p->app->db, a);
	struct q_presence_visible q = { .watcher = up->topic->id, .users = { users, count } };
	if (q_presence_visible(p->app->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "watch", LZ("text", err.log));
		return;
	}
	uuid_text(&up->topic->id, watcher);
	for (size_t i = 0; i < rows_count(rows); i++) {
		struct uuid user = rows_uuid(rows, i, Q_PRESENCE_VISIBLE_ID);
		struct str known = told(p, a, &user);
		const char *state =
			known.p ? str_z(a, known) : presence_state(p->app->cache, a, &user);

		(void)cache_zadd(p->app->cache, presence_key(a, "watch", &user), str_of(watcher),
			WATCH_TTL_S);
		if (state)
			tell(p, a, &up->topic->id, &user, state,
				rows_str(rows, i, Q_PRESENCE_VISIBLE_LAST_SEEN));
	}
}

/* ---- where the feed stands ---- */

/* All who came back together are answered by one look at the database. */
static struct asker *
ask(struct presence *p, struct arena *a, const struct uplink *up)
{
	struct asker *one;

	if (p->asker_n == ASKERS_MAX)
		presence_answer(p, a);
	one = &p->askers[p->asker_n++];
	*one = (struct asker){ .topic = *up->topic,
		.did = up->did.p ? str_dup(p->arena, up->did) : up->did,
		.ref = up->id.p ? str_dup(p->arena, up->id) : STR("") };
	return one;
}

/* The device compares, and calls GET /sync if it must. */
static void
tell_stand(
	struct presence *p, struct arena *a, const struct asker *to, int64_t us, struct str epoch)
{
	const struct uplink up = { .topic = &to->topic, .did = to->did };
	struct jsonw w;
	struct buf b;

	buf_init(&b, a, ANSWER_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	if (to->greets)
		jsonw_kstr(&w, "ref", to->ref);
	jsonw_kstr(&w, "epoch", epoch);
	jsonw_kint(&w, to->greets ? "to" : "us", us);
	jsonw_obj_end(&w);
	uplink_answer(p->app, a, &up, to->greets ? "session:resumed" : "feed:ahead", buf_str(&b));
}

void
presence_answer(struct presence *p, struct arena *a)
{
	struct uuid users[ASKERS_MAX];
	struct err err = { 0 };
	struct rows *rows;
	size_t n = p->asker_n;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		users[i] = p->askers[i].topic.id;
	db_reset(p->app->db, a);
	struct q_feed_stands q = { .accounts = { users, n } };
	if (q_feed_stands(p->app->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "feed_stands", LZ("text", err.log));
		n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct asker *one = &p->askers[i];
		int64_t last = rows_i64(rows, i, Q_FEED_STANDS_LAST_US);
		struct str epoch = rows_str(rows, i, Q_FEED_STANDS_EPOCH);
		bool same = last <= one->us && (!one->epoch.p || str_eq(one->epoch, epoch));

		if (epoch.n > 0 && (one->greets || !same))
			tell_stand(p, a, one, last, epoch);
	}
	p->asker_n = 0;
	arena_clear(p->arena);
}

/*
 * A message that the broker dropped leaves no trace on the device until the next
 * one comes. A device that says how far it is gets told when that is not the end.
 */
static void
compare_feed(struct presence *p, struct arena *a, const struct uplink *up)
{
	const struct json *us = json_member(up->data, "us");
	struct str epoch = json_str(json_member(up->data, "epoch"));
	struct asker *one;

	if (json_kind_of(us) != JSON_INT)
		return;
	one = ask(p, a, up);
	one->us = json_int(us);
	if (epoch.p)
		one->epoch = str_dup(p->arena, str_sub(epoch, 0, EPOCH_MAX));
}

/* ---- beats ---- */

/* Each beat of an idle device keeps the time of the first one. */
static void
idle_goes_on(struct presence *p, struct arena *a, const struct uuid *user)
{
	int64_t since = presence_idle_since(p->app->cache, a, user);
	const char *text = arena_printf(a, "%lld", (long long)(since ? since : clock_unix_s()));

	(void)cache_set(p->app->cache, presence_key(a, "since", user), str_of(text), DEVICE_TTL_S);
}

static void
beat(struct presence *p, struct arena *a, const struct uplink *up)
{
	const struct uuid *user = &up->topic->id;
	struct str idle = presence_key(a, "idle", user);

	if (!up->did.p)
		return;
	if (str_eqz(json_str(json_member(up->data, "state")), "idle")) {
		(void)cache_zadd(p->app->cache, idle, up->did, DEVICE_TTL_S);
		idle_goes_on(p, a, user);
	} else {
		(void)cache_zrem(p->app->cache, idle, up->did);
		(void)cache_set(
			p->app->cache, presence_key(a, "since", user), STR("0"), DEVICE_TTL_S);
	}
	came(p, a, user, up->did);
	compare_feed(p, a, up);
}

/* A push token is one of FCM, or a PushSubscription of a browser as JSON. */
static void
keep_push_token(struct presence *p, struct arena *a, const struct uplink *up)
{
	struct device_address in = { .token = json_str(json_member(up->data, "pushToken")),
		.name = json_str(json_member(up->data, "app")) };
	struct db_identity who = { .user = up->topic->id, .role = "client" };
	const struct json *doc, *keys;
	struct err err = { 0 };
	struct uuid session;
	struct rows *rows;

	/* A device's name is its session's id. */
	if (in.token.n == 0 || !uuid_parse(up->did, &session))
		return;
	if (in.token.p[0] == '{' && !json_parse(a, in.token, &doc, &err)) {
		keys = json_member(doc, "keys");
		in.token = (struct str){ 0 };
		in.endpoint = json_str(json_member(doc, "endpoint"));
		in.p256dh = json_str(json_member(keys, "p256dh"));
		in.auth = json_str(json_member(keys, "auth"));
	}
	in.name = str_sub(in.name, 0, DEVICE_NAME_MAX);
	if (!utf8_valid(in.name))
		in.name = (struct str){ 0 };
	db_reset(p->app->db, a);
	db_identity(p->app->db, &who);
	if (device_register(p->app->conf, p->app->db, a, &session, &in, &rows, &err))
		log_event(LOG_INFO, "push_token", LZ("code", problem_info(err.problem)->slug),
			LZ("text", err.log));
}

void
presence_uplink(struct presence *p, struct arena *a, const struct uplink *up)
{
	switch (up->topic->verb) {
	case UPLINK_WATCH:
		watch(p, a, up);
		break;
	case UPLINK_BEAT:
		beat(p, a, up);
		break;
	case UPLINK_HELLO:
		keep_push_token(p, a, up);
		ask(p, a, up)->greets = true;
		break;
	case UPLINK_BYE:
		if (up->did.p)
			left(p, a, &up->topic->id, up->did);
		break;
	default:
		break; /* verbs with a route never come here */
	}
}
