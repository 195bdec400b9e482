/* The broker plugin: options, callbacks, the tick, and the log. */
#include "plugin/plugin.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "io/conf.h"
#include "io/token.h"
#include "plugin/acl.h"
#include "plugin/authn.h"
#include "plugin/notice.h"
#include "plugin/revoke.h"

#define PLUGIN_VERSION 5
#define ARENA_MAX ((size_t)256 * 1024)
#define SECRET_MIN 16
#define LOG_BURST 50
#define LOG_INTERVAL_US ((int64_t)50000) /* 20 lines a second */
#define LOG_LINE_MAX 400
/* Bounds of one tick; a longer queue goes on in the next one, at once when the broker is busy. */
#define TICK_REAPS 256
#define TICK_KICKS 32
#define TICK_EXPIRES 64

/* --- log and rate -------------------------------------------------------------- */

bool
plugin_rate(int64_t *tat_us, int64_t now_us, int64_t interval_us, int64_t burst)
{
	int64_t start = *tat_us > now_us ? *tat_us : now_us;

	if (start - now_us > (burst - 1) * interval_us)
		return false;
	*tat_us = start + interval_us;
	return true;
}

static void
clean(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void
plugin_log(struct plugin *pl, int level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	if (!plugin_rate(&pl->log_us, clock_mono_us(), LOG_INTERVAL_US, LOG_BURST)) {
		pl->log_dropped++;
		return;
	}
	if (pl->log_dropped > 0)
		mosquitto_log_printf(
			MOSQ_LOG_WARNING, "plaza: %u lines were not written", pl->log_dropped);
	pl->log_dropped = 0;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	clean(line);
	mosquitto_log_printf(level, "plaza: %s", line);
}

int
plugin_publish(struct plugin *pl, const char *topic, int n, int qos)
{
	char *copy = mosquitto_calloc(1, (size_t)n + 1);

	if (!copy)
		return MOSQ_ERR_NOMEM;
	memcpy(copy, pl->out, (size_t)n);
	int rc = mosquitto_broker_publish(NULL, topic, n, copy, qos, false, NULL);
	if (rc != MOSQ_ERR_SUCCESS)
		mosquitto_free(copy); /* else it is the broker's */
	return rc;
}

/* --- loading ---------------------------------------------------------------------- */

static void
log_problem(struct plugin *pl, const char *what, const struct err *err)
{
	plugin_log(pl, MOSQ_LOG_ERR, "%s: %s", what, err->log[0] ? err->log : err->detail);
}

/* Reads the configuration, the secret and the keys; what was loaded before stays on failure. */
static bool
load(struct plugin *pl)
{
	struct err err;
	const char *secret;

	err_clear(&err);
	struct conf *conf = conf_load(pl->conf_path, &err);

	if (!conf) {
		log_problem(pl, "configuration", &err);
		return false;
	}
	if (conf_secret(conf, conf->mqtt_secret_file, SECRET_MIN, &secret, &err)) {
		log_problem(pl, "mqtt_secret_file", &err);
		conf_free(conf);
		return false;
	}

	/* Its list would seem to be missing, which a new installation is allowed. */
	if (conf->revocations_file[0] && conf_item(conf->revocations_file, pl->broker).n == 0) {
		plugin_log(pl, MOSQ_LOG_ERR, "revocations_file has no entry for broker %zu",
			pl->broker);
		conf_free(conf);
		return false;
	}

	struct token_keys *keys = token_keys_load(conf->keys_dir, conf->issuer, &err);

	if (!keys) {
		log_problem(pl, "keys_dir", &err);
		conf_free(conf);
		return false;
	}
	token_keys_free(pl->keys);
	conf_free(pl->conf);
	pl->conf = conf;
	pl->secret = secret;
	pl->keys = keys;
	return true;
}

/* Without the whole list nobody can tell a revoked token, so all that exist are refused. */
static void
load_revocations(struct plugin *pl)
{
	const char *list = pl->conf->revocations_file;
	struct err err;

	if (!list[0])
		return;
	err_clear(&err);
	const char *path = str_z(pl->conf->arena, conf_item(list, pl->broker));
	switch (revocations_load(pl->revocations, path, pl->now_s, &err)) {
	case P_OK:
		break;
	case P_NOT_FOUND:
		plugin_log(pl, MOSQ_LOG_NOTICE, "no list of revocations yet");
		break;
	default:
		log_problem(pl, "revocations", &err);
		plugin_log(pl, MOSQ_LOG_ERR, "all tokens made before now are refused");
		revocations_floor(pl->revocations, pl->now_s);
	}
}

/* --- callbacks -------------------------------------------------------------------- */

static struct plugin *
enter(void *userdata)
{
	struct plugin *pl = userdata;

	pl->now_s = clock_unix_s();
	pl->now_us = clock_mono_us();
	return pl;
}

static int
on_login(int event, void *data, void *userdata)
{
	struct plugin *pl = enter(userdata);
	int rc = authn_login(pl, data);

	(void)event;
	arena_clear(pl->arena);
	return rc;
}

/* The time is that of the last tick or login: at most 100 ms old, and it saves two clocks a
 * message. */
static int
on_acl(int event, void *data, void *userdata)
{
	(void)event;
	return acl_check(userdata, data);
}

static int
on_message(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_message *ed = data;
	struct plugin *pl = userdata;

	(void)event;
	if (strcmp(ed->topic, "sys/kick") != 0)
		return MOSQ_ERR_SUCCESS;

	const struct conn *conn = conns_find(&pl->conns, ed->client);

	if (conn && conn->backend) {
		enter(pl);
		revoke_message(pl, (struct str){ ed->payload, ed->payloadlen });
		arena_clear(pl->arena);
	}
	return MOSQ_ERR_SUCCESS;
}

/* What the plugin had to do with the end of a connection that is still in the table. */
static const char *
why_ended(const struct plugin *pl, const struct conn *conn)
{
	if (conn->state == CONN_REVOKED)
		return "revoked";
	return pl->now_s >= conn->exp + EXPIRY_GRACE_S ? "expired" : NULL;
}

/* Logins that were refused, and sessions that end a second time, are not in the table. */
static int
on_disconnect(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_disconnect *ed = data;
	struct plugin *pl = userdata;
	struct conn *conn = conns_find(&pl->conns, ed->client);

	(void)event;
	if (!conn || conn->state == CONN_CLOSED)
		return MOSQ_ERR_SUCCESS;

	const char *reason = why_ended(pl, conn);

	conns_close(&pl->conns, conn);
	presence_down(pl, conn, reason);
	return MOSQ_ERR_SUCCESS;
}

static int
on_reload(int event, void *data, void *userdata)
{
	struct plugin *pl = enter(userdata);

	(void)event;
	(void)data;
	if (load(pl))
		plugin_log(pl, MOSQ_LOG_NOTICE, "configuration and keys were read again");
	else
		plugin_log(pl, MOSQ_LOG_ERR, "the old configuration and keys stay in use");
	load_revocations(pl);
	pl->reloading = true;
	return MOSQ_ERR_SUCCESS;
}

/*
 * Only ids that are connected, by our own books: a kick of an offline session
 * breaks the broker's expiry list. A superseded connection has lost its id.
 * The kick calls on_disconnect() before it returns.
 */
static void
run_kicks(struct plugin *pl)
{
	for (int i = 0; i < TICK_KICKS; i++) {
		const struct conn *conn = conns_kick_next(&pl->conns, pl->tick);
		char id[CLIENT_ID_BYTES];

		if (!conn)
			return;
		if (conn->superseded)
			continue;
		conn_client_id(conn, id);
		int rc = mosquitto_kick_client_by_clientid(id, false);

		if (rc != MOSQ_ERR_SUCCESS)
			plugin_log(pl, MOSQ_LOG_WARNING, "%s was not kicked: error %d", id, rc);
	}
}

static void
run_expiries(struct plugin *pl)
{
	for (int i = 0; i < TICK_EXPIRES; i++) {
		struct conn *conn = conns_first_due(&pl->conns);

		if (!conn || conn->due_s > pl->now_s)
			return;
		if (!conn->warned && conn->state == CONN_LIVE && !conn->superseded)
			notice_expiring(pl, conn);
		if (!conn->warned && pl->now_s < conn->exp + EXPIRY_GRACE_S) {
			conns_set_due(&pl->conns, conn, conn->exp + EXPIRY_GRACE_S);
		} else {
			conns_set_due(&pl->conns, conn, INT64_MAX);
			conns_kick_at(&pl->conns, conn, pl->tick + KICK_TICKS);
		}
		conn->warned = true;
	}
}

/* Runs at the end of each pass of the broker's loop: ten times a second, or thousands. */
static int
on_tick(int event, void *data, void *userdata)
{
	struct plugin *pl = enter(userdata);

	(void)event;
	(void)data;
	pl->tick++;
	pl->tick_us = pl->now_us;
	pl->reloading = false;
	conns_reap(&pl->conns, TICK_REAPS);
	run_kicks(pl);
	run_expiries(pl);
	revocations_sweep(pl->revocations, pl->now_s);
	presence_tick(pl);
	return MOSQ_ERR_SUCCESS;
}

static const struct {
	int event;
	MOSQ_FUNC_generic_callback fn;
} callbacks[] = {
	{ MOSQ_EVT_BASIC_AUTH, on_login },
	{ MOSQ_EVT_ACL_CHECK, on_acl },
	{ MOSQ_EVT_MESSAGE, on_message },
	{ MOSQ_EVT_DISCONNECT, on_disconnect },
	{ MOSQ_EVT_TICK, on_tick },
	{ MOSQ_EVT_RELOAD, on_reload },
};
#define CALLBACKS (sizeof(callbacks) / sizeof(callbacks[0]))

/* --- start and end ------------------------------------------------------------------ */

static bool
take_options(struct plugin *pl, const struct mosquitto_opt *options, int count)
{
	int64_t broker = 0;

	for (int i = 0; i < count; i++) {
		const char *value = options[i].value;

		if (strcmp(options[i].key, "conf") == 0) {
			pl->conf_path = value;
		} else if (strcmp(options[i].key, "broker") != 0) {
			plugin_log(
				pl, MOSQ_LOG_ERR, "unknown option plugin_opt_%s", options[i].key);
			return false;
		} else if (!str_i64(str_of(value), &broker) || broker < 0) {
			plugin_log(pl, MOSQ_LOG_ERR, "plugin_opt_broker is no number");
			return false;
		}
	}
	pl->broker = (size_t)broker;
	if (!pl->conf_path)
		plugin_log(pl, MOSQ_LOG_ERR, "plugin_opt_conf is missing");
	return pl->conf_path != NULL;
}

static bool
listen_to_broker(struct plugin *pl)
{
	for (size_t i = 0; i < CALLBACKS; i++) {
		int rc = mosquitto_callback_register(
			pl->id, callbacks[i].event, callbacks[i].fn, NULL, pl);

		if (rc != MOSQ_ERR_SUCCESS) {
			plugin_log(pl, MOSQ_LOG_ERR, "event %d: error %d", callbacks[i].event, rc);
			return false;
		}
		pl->listening = true;
	}
	return true;
}

static void
plugin_free(struct plugin *pl)
{
	for (size_t i = 0; pl->listening && i < CALLBACKS; i++)
		(void)mosquitto_callback_unregister(pl->id, callbacks[i].event, callbacks[i].fn,
			NULL); /* not registered is fine too */
	conns_release(&pl->conns);
	revocations_free(pl->revocations);
	token_keys_free(pl->keys);
	conf_free(pl->conf);
	arena_free(pl->arena);
	mosquitto_free(pl);
}

int
mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++) {
		if (versions[i] == PLUGIN_VERSION)
			return PLUGIN_VERSION;
	}
	return -1;
}

/* A plugin that cannot start stops the broker: nobody is let in unjudged. */
int
mosquitto_plugin_init(
	mosquitto_plugin_id_t *id, void **userdata, struct mosquitto_opt *options, int count)
{
	struct plugin *pl = mosquitto_calloc(1, sizeof(*pl));

	if (!pl)
		return MOSQ_ERR_NOMEM;
	pl->id = id;
	pl->arena = arena_new(ARENA_MAX);
	conns_init(&pl->conns);
	enter(pl);
	pl->tick_us = pl->now_us;
	presence_start(pl);
	pl->revocations = revocations_new();
	if (!pl->revocations || !take_options(pl, options, count) || !load(pl)) {
		plugin_free(pl);
		return MOSQ_ERR_INVAL;
	}
	load_revocations(pl);
	if (!listen_to_broker(pl)) {
		plugin_free(pl);
		return MOSQ_ERR_INVAL;
	}
	*userdata = pl;
	return MOSQ_ERR_SUCCESS;
}

/* Nothing is published here: the broker is past delivering. */
int
mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
	(void)options;
	(void)count;
	plugin_free(userdata);
	return MOSQ_ERR_SUCCESS;
}
