/*
 * Revoked tokens: for a user, or one device of it, those issued up to a second.
 *
 * A row lives until every token it concerns has expired. The table is bounded;
 * when it is full, a row's second becomes a floor for everybody: older tokens
 * of all users are refused, and their owners get new ones. So a revocation is
 * never lost, whatever the load.
 */
#ifndef PLAZA_PLUGIN_REVOKE_H
#define PLAZA_PLUGIN_REVOKE_H

#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "topics.h"

#include <stdbool.h>
#include <stdint.h>

#define REVOCATIONS_MAX 32768

struct plugin;
struct revocations;

struct revocation {
	struct uuid uid;
	char did[DEVICE_ID_MAX + 1]; /* "*": all devices */
	int64_t before;              /* Unix seconds; tokens of this very second are older */
};

/* NULL when there is no memory. Free with revocations_free(). */
struct revocations *revocations_new(void);
void revocations_free(struct revocations *r);
/* A time in the future counts as now: it would lock the user out. */
void revocations_add(struct revocations *r, const struct revocation *what, int64_t now);
/* Whether a token is among the revoked. */
bool revocations_hit(
	const struct revocations *r, const struct uuid *uid, const char *did, int64_t iat);
/* Refuses all tokens issued up to `before`. */
void revocations_floor(struct revocations *r, int64_t before);
/* Drops rows that are over; a few at each call. */
void revocations_sweep(struct revocations *r, int64_t now);

/*
 * Adds the rows of a file: lines of "UID DID BEFORE", as on sys/kick, and '#'
 * comments. P_NOT_FOUND when there is no file. After any other problem rows
 * may be missing, and the caller must raise the floor.
 */
enum problem revocations_load(struct revocations *r, const char *path, int64_t now, struct err *err)
	__attribute__((warn_unused_result));

/*
 * A message on sys/kick: remembers it, tells the connections it concerns and
 * queues their kicks. One that cannot be read concerns everybody.
 */
void revoke_message(struct plugin *pl, struct str payload);

#endif
