/*
 * Access tokens: JWS compact serialization, RS256 only (RFC 7515, 7518 3.3,
 * 7519; RFC 8725 for the checks). libjwt makes them; no other file includes its
 * header. It does not read them: 1.10.2 lets the token choose the algorithm,
 * takes any signature where it has no key, checks no claim, copies the token to
 * the stack and parses the key anew each time, which costs 20 verifications.
 *
 * Order of the gate: length, three canonical base64url segments, header as
 * strict JSON with exactly the members alg, typ, kid, alg and kid known,
 * signature, payload as strict JSON, then iss, aud, kind, integer times, sub,
 * sid, jti, role, and for the broker did and acl. Claims of other names are not
 * looked at.
 *
 * A struct token_keys belongs to one thread.
 */
#ifndef PLAZA_IO_TOKEN_H
#define PLAZA_IO_TOKEN_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_MAX 4096 /* bytes of a whole token */
#define TOKEN_LEEWAY_S 30
#define TOKEN_KEYS_MAX 4 /* two live ones, room for a rotation */
#define TOKEN_ACL_MAX 16

enum role {
	ROLE_NONE = 0,
	ROLE_CLIENT = 1,
	ROLE_SELLER = 2,
	ROLE_ADMIN = 4,
	ROLE_MODERATOR = 8,
	ROLE_SERVICE = 16,
};
#define ROLE_COUNT 5
/* "client" … ; "" for ROLE_NONE. */
const char *role_name(enum role r);
enum role role_by_name(struct str s);

/* What a token says. `kind` and `aud` tell an API token from a broker token. */
struct claims {
	struct uuid sub; /* user */
	struct uuid sid; /* session */
	struct uuid jti;
	enum role role;
	int64_t iat, exp; /* Unix seconds */
	char aud[16];     /* "api" or "mqtt" */
	/* Broker tokens only. */
	const char *jid_host; /* of the claim `jid`, which is only written; NULL or "": none */
	char did[40];         /* device id, [a-z0-9_-]{1,36}; the MQTT client id is "{sub}_{did}" */
	struct str sub_acl[TOKEN_ACL_MAX]; /* topic filters it may subscribe */
	size_t sub_acl_n;
	struct str pub_acl[TOKEN_ACL_MAX]; /* topic filters it may publish to */
	size_t pub_acl_n;
};

struct token_keys;

/*
 * Loads every <kid>.pub.pem of the folder, and the private half <kid>.pem where
 * readable. The newest key whose private half is here signs (greatest kid; kids
 * are RFC 3339 dates), so a public half can be given to all that verify before
 * anybody signs with it. Refuses keys that are not RSA of 2048 to 4096 bits, a
 * private file that others may read, and halves that do not belong together.
 * NULL with err on failure. Free with token_keys_free().
 */
struct token_keys *token_keys_load(const char *dir, const char *issuer, struct err *err);
void token_keys_free(struct token_keys *k);
bool token_can_sign(const struct token_keys *k);

/*
 * The token, in the arena. iat/exp/sub/… as given; P_INTERNAL when no private key
 * is loaded or the claims are such that token_verify() would refuse them.
 */
enum problem token_sign(const struct token_keys *k, struct arena *a, const struct claims *c,
	struct str *out, struct err *err) __attribute__((warn_unused_result));

/*
 * P_BAD_TOKEN for anything that is not a live token for `aud` signed by one of
 * the keys; err->log says why (never the token). acl strings live in the arena.
 * `now` is Unix seconds. Tokens that verified are remembered by SHA-256 until
 * they expire (bounded table; not those of the broker), so a repeated token costs
 * one hash; claims are checked against `now` every time. A kid that is not known
 * makes it read the folder again, at most once in 10 s: a rotation needs no restart
 * of those who verify.
 */
enum problem token_verify(struct token_keys *k, struct arena *a, struct str token, const char *aud,
	int64_t now, struct claims *out, struct err *err) __attribute__((warn_unused_result));

/* The public keys as a JWK set (RFC 7517), JSON text in the arena. */
struct str token_jwks(const struct token_keys *k, struct arena *a);

/*
 * Makes a key pair in the folder with the time as kid (plazactl keys rotate).
 * Files 0640/0644. P_CONFLICT when TOKEN_KEYS_MAX keys are there already.
 */
enum problem token_keys_generate(const char *dir, struct err *err)
	__attribute__((warn_unused_result));

#endif
