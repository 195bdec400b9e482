/*
 * Password hashing: argon2id (RFC 9106), m = 19456 KiB, t = 2, p = 1, 16-byte
 * salt, 32-byte tag, stored in the PHC string format.
 */
#ifndef PLAZA_IO_PASSWORD_H
#define PLAZA_IO_PASSWORD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

#define PASSWORD_MAX 256 /* bytes; longer ones are refused, never cut */
#define PASSWORD_MIN 8

enum problem password_hash(struct arena *a, struct str password, struct str *out, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Compares in the time of one hash. An absent `hash` (unknown user) is compared with a
 * fixed one, so that it takes as long, and gives false. *rehash tells that
 * the stored parameters are weaker than today's.
 */
bool password_verify(struct str hash, struct str password, bool *rehash);
/* P_WEAK_PASSWORD when too short, too long, not text, equal to the e-mail, or a common one. */
enum problem password_check(struct str password, struct str email, struct err *err)
	__attribute__((warn_unused_result));

#endif
