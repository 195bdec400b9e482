/*
 * Presence: which devices are there, who watches whom. Kept in Redis with time
 * limits (io/presence.h), so that whatever is missed heals: the plugin reports
 * edges and, once a minute, everything; applications beat once a minute.
 *
 * Somebody who leaves is announced after 15 s, so that a reconnect is silent.
 */
#ifndef PLAZA_INGEST_PRESENCE_H
#define PLAZA_INGEST_PRESENCE_H

#include "http/app.h"
#include "ingest/uplink.h"

#include <stdint.h>

struct json;
struct presence;

struct presence *presence_new(struct app *app);
void presence_free(struct presence *p);
/* A message of sys/pres. */
void presence_observed(struct presence *p, struct arena *a, const struct json *doc);
/* The uplinks that have no route: watch, beat, hello, bye. */
void presence_uplink(struct presence *p, struct arena *a, const struct uplink *up);
/* Answers those who asked where their feed stands; to be called when no message waits. */
void presence_answer(struct presence *p, struct arena *a);
/* Announces who has been gone long enough. Returns ms until the next one, -1 = none waits. */
int presence_turn(struct presence *p, struct arena *a);

#endif
