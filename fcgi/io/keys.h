/*
 * Key ring of the tokens: RSA keys read from a folder. Private half of
 * io/token; no other file includes it.
 */
#ifndef PLAZA_IO_KEYS_H
#define PLAZA_IO_KEYS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

#define KEYS_MAX 4 /* two live ones, room for a rotation */
#define KID_MAX 64

struct evp_pkey_st;

/* One key. Strings live in the ring's arena. */
struct key {
	char kid[KID_MAX + 1];
	struct evp_pkey_st *public_key;
	struct str private_pem; /* absent where this process may only verify */
	struct str n, e;        /* base64url of the big-endian number (RFC 7518 section 6.3.1) */
	size_t signature_bytes;
};

struct keyring {
	struct arena *arena;
	struct key key[KEYS_MAX]; /* by kid, oldest first */
	size_t count;
};

/* Fills *ring from the folder; give back with keyring_release(). */
enum problem keyring_load(struct keyring *ring, const char *dir, struct err *err)
	__attribute__((warn_unused_result));
/* Wipes the private keys. */
void keyring_release(struct keyring *ring);
/* NULL when there is none. */
const struct key *keyring_find(const struct keyring *ring, struct str kid);
/* The newest key whose private half is here, or NULL. */
const struct key *keyring_signer(const struct keyring *ring);
/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3). */
bool key_verifies(const struct key *key, struct str input, struct str signature);
/* Makes a pair; the public file appears last, so a reader sees all of it or nothing. */
enum problem keyring_generate(const char *dir, struct err *err) __attribute__((warn_unused_result));
/*
 * A failure stays in OpenSSL's error queue, where the next TLS call of this
 * thread would take it for its own. The functions above leave none.
 */
void keyring_forget_errors(void);

#endif
