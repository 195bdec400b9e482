/* plaza-ingest: runs what devices publish at one broker as requests; keeps presence. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/app.h"
#include "ingest/connlog.h"
#include "ingest/presence.h"
#include "ingest/queue.h"
#include "ingest/revoked.h"
#include "ingest/uplink.h"
#include "io/brokers.h"
#include "io/json.h"
#include "io/notify.h"
#include "queries.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define DEFAULT_CONF "/etc/plaza/plaza.conf"
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define SHARDS 16
#define OWN_US INT64_C(250000) /* how often shards are claimed */
#define OWN_RETRY_US INT64_C(1000000)
#define WAKES 3 /* of the broker behind a kick, see wake_broker() */
#define WAKE_MS 2
#define TURN_US INT64_C(100000) /* then the loop does its other work, whatever waits */

struct ingest {
	struct app *app;
	struct arena *arena; /* of the current message */
	struct queue *queue;
	struct presence *presence;
	struct revoked *revoked;
	struct connlog *connlog;
	size_t broker;
	struct mqtt *uplinks; /* the connection that subscribes there */
	unsigned connects;    /* of uplinks, when it was last looked at */
	unsigned shards;      /* bit i: shard i of the broker is ours */
	int64_t own_due_us;
	int wakes; /* that are due */
};

static volatile sig_atomic_t stop_asked;

static void
on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

/* On the network thread. */
static void
on_message(void *arg, struct str topic, struct str payload)
{
	(void)queue_put(arg, topic, payload); /* counted by queue_dropped() */
}

/* Filters of the uplinks' connection: one for each shard, then that of the first one's owner. */
static const char *const filters[] = { "up/0/#", "up/1/#", "up/2/#", "up/3/#", "up/4/#", "up/5/#",
	"up/6/#", "up/7/#", "up/8/#", "up/9/#", "up/a/#", "up/b/#", "up/c/#", "up/d/#", "up/e/#",
	"up/f/#", "sys/#", NULL };

/*
 * A process hears the shards that it owns. Between two owners a shard may be without
 * one for a moment; a device repeats what is not answered.
 */
static void
claim_shards(struct ingest *in)
{
	struct err err = { 0 };
	struct rows *rows;

	if (clock_mono_us() < in->own_due_us)
		return;
	in->own_due_us = clock_mono_us() + OWN_US;
	arena_clear(in->arena);
	db_reset(in->app->db, in->arena);
	struct q_ingest_own q = { .broker = (int32_t)in->broker };
	unsigned now = 0;
	if (q_ingest_own(in->app->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "shards", LZ("text", err.log));
		in->own_due_us = clock_mono_us() + OWN_RETRY_US;
	} else {
		now = (unsigned)rows_i64(rows, 0, Q_INGEST_OWN_SHARDS);
	}
	if (now == in->shards)
		return;
	log_event(LOG_INFO, "shards", LI("mask", now));
	mqtt_select(in->uplinks, now | (now & 1) << SHARDS);
	bool took_first = (now & ~in->shards & 1) != 0;
	in->shards = now;
	/* What was revoked while nobody had the first shard. */
	if (took_first) {
		revoked_tell(in->revoked);
		connlog_heal(in->connlog);
	}
}

/* A broker that is new, or was out of reach, may not know what was revoked meanwhile. */
static void
watch_broker(struct ingest *in)
{
	unsigned connects = mqtt_connects(in->uplinks);

	if (connects != in->connects || !mqtt_connected(in->uplinks))
		revoked_tell(in->revoked);
	in->connects = connects;
}

static bool
is_ours(const struct ingest *in, const struct uuid *user)
{
	char c = topic_shard(user);

	return (in->shards >> (c <= '9' ? c - '0' : c - 'a' + 10)) & 1;
}

static void
run_uplink(struct ingest *in, const struct topic *topic, struct str payload)
{
	struct err err = { 0 };
	struct uplink up;

	if (uplink_read(in->arena, topic, payload, &up, &err)) {
		log_event(LOG_INFO, "uplink", LZ("text", err.log),
			LZ("code", problem_info(err.problem)->slug));
		return;
	}
	if (topic->verb == UPLINK_BYE)
		connlog_bye(in->connlog, &up);
	if (!uplink_limited(in->app, &up) && !uplink_run(in->app, &up))
		presence_uplink(in->presence, in->arena, &up);
}

static void
run_observation(struct ingest *in, struct str payload)
{
	struct err err = { 0 };
	const struct json *doc;

	if (json_parse(in->arena, payload, &doc, &err)) {
		log_event(LOG_WARN, "presence", LZ("text", err.log));
		return;
	}
	presence_observed(in->presence, in->arena, doc);
	connlog_observed(in->connlog, doc);
}

static void
run_message(struct ingest *in, struct str text, struct str payload)
{
	struct topic topic;

	if (!topic_parse(text, &topic))
		return;
	if (topic.kind == TOPIC_UPLINK && is_ours(in, &topic.id)) {
		run_uplink(in, &topic, payload);
	} else if (topic.kind == TOPIC_PRESENCE && in->shards & 1) {
		run_observation(in, payload);
	} else if (topic.kind == TOPIC_KICK && in->shards & 1) {
		revoked_ask(in->revoked);
		in->wakes = WAKES;
	}
}

/*
 * The broker's loop makes a pass when something arrives, or after 100 ms. To tell a device why
 * its connection ends, and to end it, takes a pass each where it came by WebSocket. So that this
 * is as fast in a quiet hour, the broker gets something: an observation of nobody.
 */
static int
wake_broker(struct ingest *in)
{
	if (in->wakes == 0)
		return -1;
	in->wakes--;
	(void)mqtt_publish(in->uplinks, STR("sys/pres"), STR("{\"live\":[]}"), 0, 0);
	return in->wakes ? WAKE_MS : -1;
}

static void
run_waiting(struct ingest *in)
{
	struct str topic, payload;
	int64_t end_us = clock_mono_us() + TURN_US;

	arena_clear(in->arena);
	while (!stop_asked && clock_mono_us() < end_us) {
		if (!queue_take(in->queue, in->arena, &topic, &payload))
			break;
		run_message(in, topic, payload);
		arena_clear(in->arena);
	}
	presence_answer(in->presence, in->arena);
	uint64_t dropped = queue_dropped(in->queue);
	if (dropped > 0)
		log_event(LOG_WARN, "queue_full", LI("dropped", dropped));
}

static int
shorter(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void
loop(struct ingest *in)
{
	while (!stop_asked) {
		claim_shards(in);
		run_waiting(in);
		watch_broker(in);
		int wait = shorter(presence_turn(in->presence, in->arena), app_idle(in->app));
		wait = shorter(wait, wake_broker(in));
		if (in->shards & 1)
			wait = shorter(wait, revoked_turn(in->revoked, in->arena));
		wait = shorter(wait, connlog_turn(in->connlog, in->arena));
		struct pollfd pfd = { .fd = queue_fd(in->queue), .events = POLLIN };
		notify_alive();
		(void)poll(&pfd, 1, shorter(wait, (int)(OWN_US / 1000)));
	}
}

static bool
open_ingest(struct ingest *in, const char *conf, struct err *err)
{
	struct mqtt_options o;

	in->app = app_new("plaza-ingest", "ingest", conf, err);
	if (!in->app || brokers_options(in->app->conf, in->broker, "plaza_uplinks", &o, err))
		return false;
	in->arena = arena_new(ARENA_MAX);
	in->queue = queue_new();
	in->presence = presence_new(in->app);
	in->revoked = revoked_new(in->app, in->broker);
	in->connlog = connlog_new(in->app);
	o.on_message = on_message;
	o.arg = in->queue;
	o.filters = filters;
	in->uplinks = mqtt_new(&o);
	if (!in->uplinks)
		return false;
	claim_shards(in);
	return true;
}

static void
close_ingest(struct ingest *in)
{
	mqtt_free(in->uplinks);
	if (in->connlog)
		connlog_flush(in->connlog, in->arena);
	connlog_free(in->connlog);
	presence_free(in->presence);
	revoked_free(in->revoked);
	queue_free(in->queue);
	arena_free(in->arena);
	app_free(in->app);
}

static int
serve(const char *conf, size_t broker)
{
	struct ingest in = { .broker = broker };
	struct err err = { 0 };
	struct sigaction stop = { .sa_handler = on_stop }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	if (!open_ingest(&in, conf, &err)) {
		log_init("plaza-ingest", LOG_INFO);
		log_event(LOG_ERROR, "start", LZ("detail", err.detail), LZ("text", err.log));
		close_ingest(&in);
		return 1;
	}
	log_event(LOG_INFO, "start", LZ("version", PLAZA_VERSION), LI("broker", broker));
	notify_ready();
	loop(&in);
	notify_stopping();
	log_event(LOG_INFO, "stop", LB("good", true));
	close_ingest(&in);
	return 0;
}

/* "1" or, to tell several processes of one broker apart, "1.2". */
static bool
broker_option(const char *text, int64_t *broker)
{
	struct str place, number;
	int64_t n;

	if (str_cut(str_of(text), '.', &place, &number) && !str_i64(number, &n))
		return false;
	return str_i64(place, broker) && *broker >= 0 && *broker < BROKERS_MAX;
}

int
main(int argc, char **argv)
{
	const char *conf = DEFAULT_CONF;
	int64_t broker = 0;
	int opt;

	while ((opt = getopt(argc, argv, "b:c:h")) != -1) {
		if (opt == 'c') {
			conf = optarg;
			continue;
		}
		if (opt == 'b' && broker_option(optarg, &broker))
			continue;
		fputs("usage: plaza-ingest [-b BROKER[.NUMBER]] [-c FILE]\n",
			opt == 'h' ? stdout : stderr);
		return opt == 'h' ? 0 : 2;
	}
	return serve(conf, (size_t)broker);
}
