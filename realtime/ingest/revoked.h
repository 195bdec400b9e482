/*
 * The list of revoked sessions that our broker's plugin reads when it starts:
 * lines of "UID DID BEFORE", sorted, taken from PostgreSQL. The truth is there;
 * a kick, a new connection to the broker and each minute are occasions to look,
 * and the file is replaced when it differs.
 */
#ifndef PLAZA_INGEST_REVOKED_H
#define PLAZA_INGEST_REVOKED_H

#include "http/app.h"

struct revoked;

/* For broker `broker`, by its entry of revocations_file. */
struct revoked *revoked_new(struct app *app, size_t broker);
void revoked_free(struct revoked *r);

/* Something was revoked: looks soon, once for many calls. */
void revoked_ask(struct revoked *r);
/*
 * The broker may have started with the file as it is, and have missed what is
 * not in it: as revoked_ask(), and says those lines on sys/kick.
 */
void revoked_tell(struct revoked *r);
/*
 * Looks when it is time; returns how long nothing is to be done, in ms. Does
 * nothing when no revocations_file is configured. A failure is logged and tried
 * again; the old list stays.
 */
int revoked_turn(struct revoked *r, struct arena *a);

#endif
