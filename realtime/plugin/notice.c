/* Notices from the plugin to one device: the end of a token is near, or came. */
#include "plugin/notice.h"

#include <stdio.h>

#include "base/clock.h"
#include "plugin/plugin.h"

/* `data` is the JSON object of `d`, of our own making. */
static void
publish(struct plugin *pl, const struct conn *conn, const char *type, const char *data)
{
	char topic[TOPIC_TEXT + 1], id[UUID_TEXT + 1], ts[RFC3339_TEXT + 1];
	struct uuid fresh = uuid_new();

	uuid_text(&fresh, id);
	clock_rfc3339(clock_unix_ms(), ts);
	topic_device(&conn->uid, str_of(conn->did), topic);

	int n = snprintf(pl->out, sizeof(pl->out),
		"{\"v\":1,\"t\":\"%s\",\"id\":\"%s\",\"ts\":\"%s\",\"d\":%s}", type, id, ts, data);
	int rc = plugin_publish(pl, topic, n, 1);

	if (rc != MOSQ_ERR_SUCCESS)
		plugin_log(pl, MOSQ_LOG_WARNING, "%s was not published: error %d", type, rc);
}

void
notice_expiring(struct plugin *pl, const struct conn *conn)
{
	char data[64];

	snprintf(data, sizeof(data), "{\"exp\":%lld}", (long long)conn->exp);
	publish(pl, conn, "auth:expiring", data);
}

void
notice_revoked(struct plugin *pl, const struct conn *conn, struct str reason)
{
	char data[96];

	snprintf(data, sizeof(data), "{\"reason\":\"%.*s\"}", STR_ARG(reason));
	publish(pl, conn, "session:revoked", data);
}
