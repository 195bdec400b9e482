/* Push messages from the queue to the services, and what came of them back. */
#include "relay/push.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "io/cache.h"
#include "io/conf.h"
#include "io/db.h"
#include "io/fetch.h"
#include "io/presence.h"
#include "io/webpush.h"
#include "queries.h"
#include "relay/relay.h"

#define LOOK_MAX 200      /* users whose presence is asked for at a time */
#define LEASE_S 60        /* far more than a request may take */
#define LIFE_S 86400      /* older messages are not worth a sound */
#define BACKOFF_FIRST_S 2 /* doubled at each try */
#define BACKOFF_MAX_S 900
#define BACKOFF_STEPS 9
#define ARENA_MAX ((size_t)1024 * 1024)
#define RESULTS_MAX (2 * FETCH_MAX)

static const char *const outcomes[] = {
	[PUSH_SENT] = "sent", [PUSH_DEAD] = "dead", [PUSH_GONE] = "gone", [PUSH_RETRY] = "retry"
};

/* One on its way. */
struct sending {
	struct push *push; /* NULL: the place is free */
	struct uuid device, topic;
	int64_t seq;
	int attempts;
	bool fcm;
	char host[FETCH_HOST_MAX + 8];
};

struct result {
	struct uuid device, topic;
	int64_t seq, wait;
	struct str outcome;
};

struct push {
	const struct conf *conf;
	struct fetch *fetch;
	struct cache *cache;
	struct arena *arena; /* of what lives long, and of an answer that is read */
	struct p256 *key;    /* NULL = no Web Push */
	struct fcm *fcm;     /* NULL = no FCM */
	struct sending sending[FETCH_MAX];
	struct result results[RESULTS_MAX]; /* not yet noted */
	size_t result_n;
};

static struct cache *
open_cache(struct conf *conf)
{
	const char *password = NULL;
	struct err err = { 0 };

	if (conf->redis_password_file[0] &&
		conf_secret(conf, conf->redis_password_file, 1, &password, &err))
		log_event(LOG_WARN, "redis", LZ("text", err.log));
	return cache_new(
		conf->redis_socket, conf->redis_user[0] ? conf->redis_user : NULL, password);
}

struct push *
push_new(struct conf *conf)
{
	struct push *p;
	struct err err = { 0 };

	if (!conf->push_dir[0] && !conf->fcm_account_file[0])
		return NULL;
	p = calloc(1, sizeof(*p));
	CHECK(p);
	p->conf = conf;
	p->arena = arena_new(ARENA_MAX);
	p->fetch = fetch_new(conf->push_loopback != 0);
	p->cache = open_cache(conf);
	if (conf->push_dir[0] && vapid_load(p->arena, conf->push_dir, &p->key, &err))
		log_event(LOG_ERROR, "push_key", LZ("text", err.log));
	if (conf->fcm_account_file[0])
		p->fcm = fcm_new(conf, p->fetch);
	return p;
}

void
push_free(struct push *p)
{
	if (!p)
		return;
	fetch_free(p->fetch);
	fcm_free(p->fcm);
	cache_free(p->cache);
	p256_free(p->key);
	arena_free(p->arena);
	free(p);
}

/* ---- when: is the user there? ---- */

/*
 * Seconds that a message waits to be read: none when nobody is there, and what
 * is left of the delay when the user has been away from the screen for a while.
 * Without Redis nobody knows, and a late message is better than a needless one.
 */
static int64_t
wait_of(struct push *p, struct arena *a, const struct uuid *user)
{
	const char *state = presence_state(p->cache, a, user);
	int64_t delay = p->conf->push_delay_s, since, left;

	if (!state)
		return delay;
	if (strcmp(state, "offline") == 0)
		return 0;
	since = strcmp(state, "idle") == 0 ? presence_idle_since(p->cache, a, user) : 0;
	if (since == 0)
		return delay;
	left = delay - (clock_unix_s() - since);
	return left < 0 ? 0 : left > delay ? delay : left;
}

/* False when the database is away. */
static bool
look(struct push *p, struct relay *r)
{
	struct err err = { 0 };
	struct rows *rows;
	struct uuid users[LOOK_MAX];
	int64_t waits[LOOK_MAX];

	relay_step(r);
	if (q_push_new(r->db, &(struct q_push_new){ .limit = LOOK_MAX }, &rows, &err)) {
		log_event(LOG_WARN, "push_new", LZ("text", err.log));
		return false;
	}
	size_t n = rows_count(rows);
	for (size_t i = 0; i < n; i++) {
		users[i] = rows_uuid(rows, i, Q_PUSH_NEW_ACCOUNT);
		waits[i] = wait_of(p, r->arena, &users[i]);
	}
	if (n > 0 &&
		q_push_hold(r->db,
			&(struct q_push_hold){ .accounts = { users, n }, .waits = { waits, n } },
			&rows, &err))
		log_event(LOG_WARN, "push_hold", LZ("text", err.log));
	return true;
}

/* ---- what came of it ---- */

static int64_t
backoff(int attempts, int asked_s)
{
	int steps = attempts < BACKOFF_STEPS ? attempts : BACKOFF_STEPS;
	int64_t s = (int64_t)BACKOFF_FIRST_S << steps;

	if (s > BACKOFF_MAX_S)
		s = BACKOFF_MAX_S;
	s += rand_below(
		(uint32_t)(s / 2 + 1)); /* those that failed together do not come together */
	return s > asked_s ? s : asked_s;
}

static void
put_result(struct push *p, const struct sending *s, enum push_outcome outcome, int64_t wait)
{
	/* Lost at worst: the lease ends, and it is sent once more. */
	if (p->result_n < RESULTS_MAX)
		p->results[p->result_n++] = (struct result){ s->device, s->topic, s->seq, wait,
			str_of(outcomes[outcome]) };
}

static void
on_done(void *arg, const struct fetch_answer *answer)
{
	struct sending *s = arg;
	struct push *p = s->push;
	enum push_outcome outcome;

	arena_clear(p->arena);
	outcome = s->fcm ? push_fcm_outcome(p->fcm, p->arena, answer)
			 : push_web_outcome(answer->status);
	if (outcome != PUSH_SENT)
		log_event(outcome == PUSH_DEAD ? LOG_WARN : LOG_INFO, "push",
			LZ("outcome", outcomes[outcome]), LZ("host", s->host),
			LI("status", answer->status), LZ("text", answer->error));
	put_result(p, s, outcome, backoff(s->attempts, answer->retry_after_s));
	s->push = NULL;
}

static void
note_results(struct push *p, struct relay *r)
{
	struct uuid devices[RESULTS_MAX], topics[RESULTS_MAX];
	int64_t seqs[RESULTS_MAX], waits[RESULTS_MAX];
	struct str words[RESULTS_MAX];
	struct err err = { 0 };
	struct rows *rows;
	size_t n = p->result_n;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		devices[i] = p->results[i].device;
		topics[i] = p->results[i].topic;
		seqs[i] = p->results[i].seq;
		waits[i] = p->results[i].wait;
		words[i] = p->results[i].outcome;
	}
	relay_step(r);
	struct q_push_done q = { .devices = { devices, n },
		.topics = { topics, n },
		.seqs = { seqs, n },
		.outcomes = { words, n },
		.waits = { waits, n } };
	if (q_push_done(r->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "push_done", LZ("text", err.log));
		return; /* kept for the next turn */
	}
	p->result_n = 0;
}

/* ---- sending ---- */

static struct sending *
free_place(struct push *p)
{
	for (size_t i = 0; i < FETCH_MAX; i++)
		if (!p->sending[i].push)
			return &p->sending[i];
	return NULL;
}

static size_t
on_their_way(const struct push *p, const char *host)
{
	size_t n = 0;

	for (size_t i = 0; i < FETCH_MAX; i++)
		n += p->sending[i].push && strcmp(p->sending[i].host, host) == 0;
	return n;
}

/* Hosts that have enough to do, and FCM's while there is no token for it. */
static size_t
busy_hosts(struct push *p, struct str busy[FETCH_MAX + 1])
{
	struct fetch_url url;
	size_t n = 0;

	for (size_t i = 0; i < FETCH_MAX; i++)
		if (p->sending[i].push && on_their_way(p, p->sending[i].host) >= FETCH_PER_HOST)
			busy[n++] = str_of(p->sending[i].host);
	if ((!p->fcm || !fcm_ready(p->fcm)) &&
		fetch_url_parse(str_of(p->conf->fcm_url), true, &url))
		busy[n++] = url.host;
	return n;
}

static void
read_row(const struct rows *rows, size_t i, struct push_row *out)
{
	*out = (struct push_row){ .device = rows_uuid(rows, i, Q_PUSH_TAKE_DEVICE),
		.topic = rows_uuid(rows, i, Q_PUSH_TAKE_TOPIC),
		.seq = rows_i64(rows, i, Q_PUSH_TAKE_SEQ),
		.host = rows_str(rows, i, Q_PUSH_TAKE_HOST),
		.address = rows_str(rows, i, Q_PUSH_TAKE_ADDRESS),
		.point = rows_str(rows, i, Q_PUSH_TAKE_POINT),
		.auth = rows_str(rows, i, Q_PUSH_TAKE_AUTH),
		.title = rows_str(rows, i, Q_PUSH_TAKE_TITLE),
		.body = rows_str(rows, i, Q_PUSH_TAKE_BODY),
		.kind = rows_str(rows, i, Q_PUSH_TAKE_KIND),
		.link = rows_str(rows, i, Q_PUSH_TAKE_LINK),
		.badge = rows_i64(rows, i, Q_PUSH_TAKE_BADGE),
		.ttl = rows_i64(rows, i, Q_PUSH_TAKE_TTL),
		.attempts = (int)rows_i64(rows, i, Q_PUSH_TAKE_ATTEMPTS),
		.urgent = rows_bool(rows, i, Q_PUSH_TAKE_URGENT) };
}

static void
send_row(struct push *p, struct relay *r, const struct push_row *row, bool fcm)
{
	struct sending *s = free_place(p);

	CHECK(s); /* no more were taken than there are places */
	*s = (struct sending){ .push = p,
		.device = row->device,
		.topic = row->topic,
		.seq = row->seq,
		.attempts = row->attempts,
		.fcm = fcm };
	snprintf(s->host, sizeof(s->host), "%.*s", STR_ARG(row->host));
	/* Configured no more, or not yet: it waits, as for a service that is away. */
	if (fcm ? !p->fcm : !p->key) {
		put_result(p, s, PUSH_RETRY, BACKOFF_MAX_S);
		s->push = NULL;
		return;
	}
	struct push_call call = { .fetch = p->fetch, .arena = r->arena, .done = on_done, .arg = s };
	bool sent = fcm ? push_fcm_send(&call, row, p->fcm)
			: push_web_send(&call, row, p->key, p->conf->push_contact);
	if (!sent) {
		log_event(LOG_WARN, "push", LZ("outcome", "dead"), LZ("host", s->host));
		put_result(p, s, PUSH_DEAD, 0);
		s->push = NULL;
	}
}

static void
take(struct push *p, struct relay *r)
{
	struct str busy[FETCH_MAX + 1];
	struct err err = { 0 };
	struct rows *rows;
	struct push_row row;
	size_t places = 0, n = busy_hosts(p, busy);

	for (size_t i = 0; i < FETCH_MAX; i++)
		places += !p->sending[i].push;
	/* One is for FCM's token. */
	if (places < 2 || p->result_n > FETCH_MAX)
		return;
	relay_step(r);
	struct q_push_take q = { .limit = (int32_t)places - 1,
		.share = FETCH_PER_HOST,
		.busy = { busy, n },
		.lease = LEASE_S,
		.life = LIFE_S };
	if (q_push_take(r->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "push_take", LZ("text", err.log));
		return;
	}
	for (size_t i = 0; i < rows_count(rows); i++) {
		read_row(rows, i, &row);
		send_row(p, r, &row, str_eqz(rows_str(rows, i, Q_PUSH_TAKE_PROVIDER), "fcm"));
	}
}

void
push_turn(struct push *p, struct relay *r, int ms)
{
	int64_t end = clock_mono_us() + (int64_t)ms * 1000, left = ms;

	do {
		note_results(p, r);
		if (look(p, r))
			take(p, r);
		fetch_run(p->fetch, (int)left);
		left = (end - clock_mono_us()) / 1000;
	} while (left > 0 && fetch_count(p->fetch) > 0);
	note_results(p, r);
}

void
push_idle(struct push *p, int ms)
{
	fetch_run(p->fetch, ms);
}

void
push_lead(struct relay *r)
{
	struct err err = { 0 };
	struct rows *rows;

	relay_step(r);
	if (q_push_recover(r->db, &(struct q_push_recover){ 0 }, &rows, &err))
		log_event(LOG_WARN, "push_recover", LZ("text", err.log));
	else if (rows_i64(rows, 0, Q_PUSH_RECOVER_AGAIN) > 0)
		log_event(LOG_INFO, "push_recover",
			LI("again", rows_i64(rows, 0, Q_PUSH_RECOVER_AGAIN)));
}
