/*
 * The log of connections: what the plugin reports of devices that come and go
 * is collected and written many at a time, at the latest after a second, so
 * that ten thousand at once cost some fifty statements.
 */
#ifndef PLAZA_INGEST_CONNLOG_H
#define PLAZA_INGEST_CONNLOG_H

#include "http/app.h"
#include "ingest/uplink.h"

struct connlog;
struct json;

/* Never returns NULL. */
struct connlog *connlog_new(struct app *app);
void connlog_free(struct connlog *c);
/* From now on edges are heard, but some were missed: the next snapshot tells who came meanwhile. */
void connlog_heal(struct connlog *c);
/* A message of sys/pres. */
void connlog_observed(struct connlog *c, const struct json *doc);
/* A device said why it goes. */
void connlog_bye(struct connlog *c, const struct uplink *up);
/* Writes what is due. Returns ms until the next time, -1 = nothing waits. */
int connlog_turn(struct connlog *c, struct arena *a);
/* Writes what waits, at the end of the program. */
void connlog_flush(struct connlog *c, struct arena *a);

#endif
