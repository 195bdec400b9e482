/*
 * Web Push, the sender's side: messages that only the browser can read
 * (RFC 8291), and the application server's proof of identity (VAPID, RFC 8292).
 */
#ifndef PLAZA_IO_WEBPUSH_H
#define PLAZA_IO_WEBPUSH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "io/p256.h"

#define WEBPUSH_AUTH 16
#define WEBPUSH_RECORD 4096   /* bytes that every push service takes (RFC 8291 section 4) */
#define WEBPUSH_TEXT_MAX 3993 /* so that header and record make that many */
#define WEBPUSH_KEY_TEXT 87   /* a point in base64url */

/* Where a subscription lives: its own key and the secret that only the browser and we know. */
struct webpush_to {
	struct str point;
	struct str auth;
};

/* Whether a message can be sealed for it. */
bool webpush_to_valid(const struct webpush_to *to);

/* Seals a text of at most WEBPUSH_TEXT_MAX bytes; false when the subscription's key is bad. */
bool webpush_seal(struct buf *b, const struct webpush_to *to, struct str text);
/* The same with the key and the salt of a test vector; both must be new for every message. */
bool webpush_seal_as(struct buf *b, const struct webpush_to *to, struct str text,
	const struct p256 *own, const uint8_t salt[16]);

/* The value of Authorization for a push service; `origin` is its scheme, host and port. */
struct str vapid_header(struct arena *a, const struct p256 *key, struct str origin,
	struct str contact, int64_t exp);

/*
 * The pair in a folder: vapid.secret, for the one who sends, and vapid.pub, for
 * those who tell browsers. Both in base64url.
 */
enum problem vapid_load(struct arena *a, const char *dir, struct p256 **out, struct err *err)
	__attribute__((warn_unused_result));
/* The public half, as browsers take it; P_NOT_FOUND when there is no key. */
enum problem vapid_public(struct arena *a, const char *dir, struct str *out, struct err *err)
	__attribute__((warn_unused_result));
/* Makes the pair; P_CONFLICT when there is one: subscriptions belong to a key and would die. */
enum problem vapid_generate(const char *dir, struct err *err) __attribute__((warn_unused_result));

#endif
