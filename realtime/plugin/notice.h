/* What the plugin itself tells a device, on u/{uid}/d/{did} (events.def). */
#ifndef PLAZA_PLUGIN_NOTICE_H
#define PLAZA_PLUGIN_NOTICE_H

#include "base/str.h"

struct conn;
struct plugin;

/* auth:expiring */
void notice_expiring(struct plugin *pl, const struct conn *conn);
/* session:revoked; the reason consists of [a-z0-9_-]. */
void notice_revoked(struct plugin *pl, const struct conn *conn, struct str reason);

#endif
