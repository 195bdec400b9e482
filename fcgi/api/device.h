/* Push devices, as the API and the uplink `hello` register them. */
#ifndef PLAZA_API_DEVICE_H
#define PLAZA_API_DEVICE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

struct conf;
struct db;
struct rows;

/* What a device shows: a subscription of Web Push, or a token of FCM. */
struct device_address {
	struct str endpoint, p256dh, auth; /* the keys in base64url */
	struct str token;
	struct str name;
};

/*
 * Checks the address and makes it the one of a session of db_identity()'s user;
 * one row comes back. P_INVALID names the faulty member.
 */
enum problem device_register(const struct conf *conf, struct db *db, struct arena *a,
	const struct uuid *session, const struct device_address *in, struct rows **rows,
	struct err *err) __attribute__((warn_unused_result));

#endif
