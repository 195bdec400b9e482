/* Presence as the API changes it; io/presence.h tells what is kept where. */
#ifndef PLAZA_API_PRESENCE_H
#define PLAZA_API_PRESENCE_H

#include "io/presence.h"

/* Neither of the two watches the other any more. */
void presence_part(
	struct cache *c, struct arena *a, const struct uuid *one, const struct uuid *two);

#endif
