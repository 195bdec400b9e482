/* Rights: subscribe, read, write and the last will. */
#include "plugin/acl.h"

#include "base/clock.h"
#include "plugin/plugin.h"

#define SUBSCRIPTIONS_MAX 32                 /* of one connection */
#define UPLINK_BURST 60                      /* of a user, with all devices */
#define UPLINK_INTERVAL_US ((int64_t)200000) /* 5 a second */
#define DENIED_TOPIC_CHARS 80                /* of a refused topic in the log */

static bool
is_alive(const struct plugin *pl, const struct conn *conn)
{
	return conn->state == CONN_LIVE &&
	       (conn->backend || pl->now_s < conn->exp + EXPIRY_GRACE_S);
}

static bool
may_subscribe(const struct plugin *pl, const struct conn *conn, struct str filter)
{
	if (!is_alive(pl, conn) || mosquitto_client_sub_count(conn->ctx) >= SUBSCRIPTIONS_MAX)
		return false;
	for (size_t i = 0; i < conn->sub_n; i++) {
		if (topic_filter_subset(filter, conn->filters[i]))
			return true;
	}
	return false;
}

static bool
any_matches(const struct str *filters, size_t n, struct str topic)
{
	if (!topic_valid(topic))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (topic_matches(filters[i], topic))
			return true;
	}
	return false;
}

/* A revoked connection hears why it ends, and nothing else. */
static bool
is_own_device(const struct conn *conn, struct str topic)
{
	struct topic t;

	return topic_parse(topic, &t) && t.kind == TOPIC_DEVICE && uuid_eq(&t.id, &conn->uid) &&
	       str_eqz(t.did, conn->did);
}

static bool
may_read(const struct plugin *pl, const struct conn *conn, struct str topic)
{
	if (conn->state == CONN_REVOKED)
		return is_own_device(conn, topic);
	return is_alive(pl, conn) && any_matches(conn->filters, conn->sub_n, topic);
}

/* The broker asks for the will of a connection that was closed or taken over. */
static bool
is_last_will(const struct conn *conn)
{
	return conn->state == CONN_CLOSED || conn->superseded;
}

static bool
take_uplink(const struct plugin *pl, struct conn *conn)
{
	bool good = plugin_rate(&conn->rate_us, clock_mono_us(), UPLINK_INTERVAL_US, UPLINK_BURST);

	if (good)
		conns_share_rate(&pl->conns, conn);
	return good;
}

static bool
may_send_uplink(const struct plugin *pl, struct conn *conn, struct str topic)
{
	struct topic t;

	if (!topic_parse(topic, &t) || t.kind != TOPIC_UPLINK || !uuid_eq(&t.id, &conn->uid))
		return false;
	if (is_last_will(conn))
		return t.verb == UPLINK_BYE;
	return take_uplink(pl, conn);
}

static bool
may_write(const struct plugin *pl, struct conn *conn, const struct mosquitto_evt_acl_check *ed)
{
	struct str topic = str_of(ed->topic);

	if (ed->retain || ed->qos > 1)
		return false;
	if (!is_last_will(conn) && !is_alive(pl, conn))
		return false;
	if (!any_matches(conn->filters + conn->sub_n, conn->pub_n, topic))
		return false;
	return conn->backend ? conn->state == CONN_LIVE : may_send_uplink(pl, conn, topic);
}

/* Logs the first denial of a connection, the second, the fourth and so on. */
static void
log_denial(struct plugin *pl, struct conn *conn, const char *what, const char *topic)
{
	char id[CLIENT_ID_BYTES];

	conn->denials++;
	if (conn->denials & (conn->denials - 1))
		return;
	conn_client_id(conn, id);
	plugin_log(pl, MOSQ_LOG_NOTICE, "%s denied to %s (%u times): %.*s", what,
		conn->backend ? "backend" : id, conn->denials, DENIED_TOPIC_CHARS, topic);
}

int
acl_check(struct plugin *pl, const struct mosquitto_evt_acl_check *ed)
{
	struct conn *conn;
	bool allowed;

	if (ed->access == MOSQ_ACL_UNSUBSCRIBE)
		return MOSQ_ERR_SUCCESS;
	conn = conns_find(&pl->conns, ed->client);
	if (!conn || !ed->topic)
		return MOSQ_ERR_ACL_DENIED;
	switch (ed->access) {
	case MOSQ_ACL_READ:
		return may_read(pl, conn, str_of(ed->topic)) ? MOSQ_ERR_SUCCESS
							     : MOSQ_ERR_ACL_DENIED;
	case MOSQ_ACL_SUBSCRIBE:
		allowed = may_subscribe(pl, conn, str_of(ed->topic));
		break;
	case MOSQ_ACL_WRITE:
		allowed = may_write(pl, conn, ed);
		break;
	default:
		allowed = false;
	}
	if (!allowed)
		log_denial(pl, conn, ed->access == MOSQ_ACL_WRITE ? "publish" : "subscribe",
			ed->topic);
	return allowed ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}
