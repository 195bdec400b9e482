/*
 * Who is there, as Redis knows it. plaza-ingest writes these keys, the API and
 * plaza-relay read them:
 *
 *   plaza:pres:{uid}    live devices of a user
 *   plaza:idle:{uid}    those of them whose user is away
 *   plaza:since:{uid}   since when all of them are, Unix seconds
 *   plaza:watch:{uid}   users who want to know about this one
 *   plaza:told:{uid}    what they know
 */
#ifndef PLAZA_IO_PRESENCE_H
#define PLAZA_IO_PRESENCE_H

#include "base/arena.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdint.h>

struct cache;

/* "plaza:KIND:{uid}" in the arena. */
struct str presence_key(struct arena *a, const char *kind, const struct uuid *user);
/* "online", "idle" or "offline", the best of all devices; NULL when Redis cannot tell. */
const char *presence_state(struct cache *c, struct arena *a, const struct uuid *user);
/* Since when the user of an idle state is away, Unix seconds; 0 when nobody knows. */
int64_t presence_idle_since(struct cache *c, struct arena *a, const struct uuid *user);

#endif
