/*
 * Who is there, as Redis knows it. plaza-ingest writes these keys, the API
 * reads them:
 *
 *   plaza:pres:{uid}    live devices of a user
 *   plaza:idle:{uid}    those of them whose user is away
 *   plaza:watch:{uid}   users who want to know about this one
 *   plaza:told:{uid}    what they know
 */
#ifndef PLAZA_API_PRESENCE_H
#define PLAZA_API_PRESENCE_H

#include "base/arena.h"
#include "base/str.h"
#include "base/uuid.h"

struct cache;

/* "plaza:KIND:{uid}" in the arena. */
struct str presence_key(struct arena *a, const char *kind, const struct uuid *user);
/* "online", "idle" or "offline", the best of all devices; NULL when Redis cannot tell. */
const char *presence_state(struct cache *c, struct arena *a, const struct uuid *user);

/* Neither of the two watches the other any more. */
void presence_part(
	struct cache *c, struct arena *a, const struct uuid *one, const struct uuid *two);

#endif
