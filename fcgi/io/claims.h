/*
 * The payload of a token and the struct claims. Private half of io/token; no
 * other file includes it.
 */
#ifndef PLAZA_IO_CLAIMS_H
#define PLAZA_IO_CLAIMS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "io/json.h"
#include "io/token.h"

#include <stdbool.h>
#include <stdint.h>

/* Which kind of token is for whom; libjwt always writes typ JWT, so `kind` tells them apart. */
struct audience {
	const char *aud;
	const char *kind;
	bool broker; /* carries did and acl, and is not remembered */
};

/* A token whose signature was right; whether it is alive depends on the time. */
struct opened {
	struct claims c;
	const struct audience *audience;
	int64_t nbf;
};

/* The reason is for the log and is always a fixed text: nothing of the token gets there. */
#define REFUSE(err, why) ERR((err), P_BAD_TOKEN, "token: %s", (why))

/* NULL when there is none. */
const struct audience *audience_by_name(struct str aud);
/* What must hold in any token, made or received; NULL when all does. */
const char *claims_fault(const struct claims *c, const struct audience *audience);
/* Writes sound claims as JSON. */
void claims_put(struct buf *b, const char *issuer, const struct claims *c);
/* Reads a payload whose signature was checked into *out, which is clear; all but c.aud. */
enum problem claims_read(struct arena *a, const struct json *payload, const char *issuer,
	struct opened *out, struct err *err) __attribute__((warn_unused_result));
/* A member that is a string, else absent. */
struct str claims_text(const struct json *obj, const char *name);

#endif
