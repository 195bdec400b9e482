/*
 * Keys of the curve P-256: agreement (ECDH) and signatures (ES256), by OpenSSL.
 * A point is uncompressed, X9.62: 0x04, x, y; a secret is the number, big-endian.
 */
#ifndef PLAZA_IO_P256_H
#define PLAZA_IO_P256_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define P256_POINT 65
#define P256_SECRET 32
#define P256_SIGNATURE 64

struct p256;

/* A new pair. Never returns NULL. */
struct p256 *p256_new(void);
/*
 * A key from its bytes; `secret` absent = the public half only. NULL when the
 * point is not on the curve, or the two halves do not belong together.
 */
struct p256 *p256_import(struct str point, struct str secret);
/* NULL is fine. */
void p256_free(struct p256 *k);

void p256_point(const struct p256 *k, uint8_t out[P256_POINT]);
void p256_secret(const struct p256 *k, uint8_t out[P256_SECRET]);
/* The x coordinate that both sides find (SP 800-56A section 5.7.1.2). */
bool p256_agree(const struct p256 *own, const struct p256 *peer, uint8_t out[P256_SECRET]);
/* ES256: ECDSA with SHA-256, r and s one behind the other (RFC 7518 section 3.4). */
bool p256_sign(const struct p256 *k, struct str text, uint8_t out[P256_SIGNATURE]);

#endif
