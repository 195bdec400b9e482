/*
 * Password hashing: argon2id (RFC 9106), m = 19456 KiB, t = 2, p = 1, 16-byte
 * salt, 32-byte tag, stored in the PHC string format; and the rules for new
 * passwords (NIST SP 800-63B-4 section 3.1.1.2): a minimum length, no rules of
 * composition, and a list of passwords that are too common.
 */
#ifndef PLAZA_IO_PASSWORD_H
#define PLAZA_IO_PASSWORD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

#define PASSWORD_MAX 256 /* bytes; longer ones are refused, never cut */
/*
 * Characters. NIST asks for 15 where the password is the only factor and for 8
 * beside a second one. The apps of the old systems ask their users for 8, so 8
 * is kept, with the list of common passwords and the limits on failed logins
 * carrying the rest.
 */
#define PASSWORD_MIN 8

/*
 * Maps the list of common passwords: lower case, one a line, sorted bytewise
 * (LC_ALL=C sort -u). NULL or "" means no list. A later call replaces the list.
 * P_INTERNAL when the file cannot be read or is not in that form. Change the
 * file by rename only: it stays mapped.
 */
enum problem password_init(const char *path, struct err *err) __attribute__((warn_unused_result));

enum problem password_hash(struct arena *a, struct str password, struct str *out, struct err *err)
	__attribute__((warn_unused_result));
/*
 * Compares in the time of one hash. An absent or unreadable `hash` (unknown
 * user) is replaced by a fixed one, so that it takes as long, and gives false.
 * *rehash tells that the password is right and the stored parameters are weaker
 * than today's; `rehash` may be NULL.
 */
bool password_verify(struct str hash, struct str password, bool *rehash);
/*
 * P_WEAK_PASSWORD when too short, too long, not text, a common one, or little
 * more than the e-mail address, its local part or the name of the product.
 */
enum problem password_check(struct str password, struct str email, struct err *err)
	__attribute__((warn_unused_result));

#endif
