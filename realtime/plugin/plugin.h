/*
 * The broker plugin: what its parts share.
 *
 * All of it runs on the broker's only thread, inside callbacks: no network, no
 * file (but at start and reload), no waiting. Whatever fails refuses. Values
 * that the broker does not know make it drop the wrong client, so a login
 * answers MOSQ_ERR_SUCCESS or MOSQ_ERR_AUTH, a right MOSQ_ERR_SUCCESS or
 * MOSQ_ERR_ACL_DENIED, and everything else MOSQ_ERR_SUCCESS.
 */
#ifndef PLAZA_PLUGIN_H
#define PLAZA_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include "base/arena.h"
#include "plugin/conns.h"
#include "plugin/presence.h"

#define PLUGIN_OUT_MAX 32768 /* bytes of a message that the plugin publishes */
#define EXPIRY_WARN_S 60     /* auth:expiring comes so long before the end */
#define EXPIRY_GRACE_S 30    /* and the kick so long after it */
/*
 * A notice that is published now leaves the broker at the start of its next
 * pass, and a tick ends each pass: the kick waits for the second one.
 */
#define KICK_TICKS 2

struct conf;
struct token_keys;
struct revocations;

/* The one state of the process; the broker hands it to every callback. */
struct plugin {
	mosquitto_plugin_id_t *id;
	const char *conf_path; /* belongs to the broker's options */
	size_t broker;         /* which of several this is */
	struct conf *conf;
	const char *secret; /* of the programs, in conf */
	struct token_keys *keys;
	struct arena *arena; /* of the running callback; one block is enough for each */
	struct revocations *revocations;
	int64_t now_s, now_us; /* wall and monotonic, of the running callback */
	uint64_t tick;
	int64_t tick_us; /* when the last tick was, monotonic */
	bool reloading;  /* the broker asks about connections that exist, until the next tick */
	bool listening;  /* callbacks are registered */
	int64_t log_us;  /* theoretical arrival time of the next line */
	uint32_t log_dropped;
	struct presence presence;
	char out[PLUGIN_OUT_MAX];
	struct conns conns;
};

/*
 * A line in the broker's log; bytes that could end it or colour a terminal become '?'.
 * Levels MOSQ_LOG_*. Beyond a bound per second lines are counted, not written.
 */
void plugin_log(struct plugin *pl, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Publishes the first n bytes of pl->out at the broker's next pass; an error of
 * libmosquitto. Never mosquitto_broker_publish_copy(): in 2.0.11 its copy is not
 * counted, but its end is, until the broker's sum wraps around memory_limit and
 * nobody gets in any more.
 */
int plugin_publish(struct plugin *pl, const char *topic, int n, int qos);

/*
 * A bucket of `burst` tokens, one more every `interval_us`: takes one and
 * returns true when there is one. *tat_us is the state, 0 = full.
 */
bool plugin_rate(int64_t *tat_us, int64_t now_us, int64_t interval_us, int64_t burst);

#endif
