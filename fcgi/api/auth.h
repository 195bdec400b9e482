/* What the files of the auth domain share. Not for other domains. */
#ifndef PLAZA_API_AUTH_H
#define PLAZA_API_AUTH_H

#include "api/filter.h"
#include "http/request.h"
#include "http/schema.h"

#define SECRET_TEXT 43 /* 256 bits in base64url */

/* A session that is about to be opened. The secrets go to the client, their hashes to SQL. */
struct opening {
	struct uuid session;
	struct str refresh, refresh_hash;
	struct str device, device_hash;
	struct str agent;
	struct str address;
	int32_t idle_s, max_s; /* most that the configuration allows */
};

/* What SQL says of the session for which tokens are given out. */
struct granted {
	struct uuid user, session;
	struct str role;
	int64_t ends_at; /* Unix seconds */
	struct str body; /* the user, JSON */
	struct str refresh;
	struct str device; /* absent = not told */
};

/* 256 random bits as text. */
struct str secret_new(struct arena *a);
/* SHA-256 as hexadecimal text, the form in which SQL takes secrets. */
struct str secret_hash(struct arena *a, struct str secret);
/*
 * The refresh token that follows `spent`. It is computed and not stored, so that an answer that
 * was lost can be given again: from the spent token, a random salt that SQL keeps, and a key of
 * the server. Two of the three, of which a stolen backup holds one, do not tell it.
 */
struct str refresh_successor(struct request *req, struct str spent, struct str salt);
/* X-Device-Token, absent unless it has the form of a secret. */
struct str device_sent(struct request *req);

/* `device` is the token of a device that is known, or absent for a new one. */
void opening_init(struct opening *o, struct request *req, struct str device);
/* Signs the access token and answers with both tokens and the user. */
enum problem grant_answer(struct request *req, const struct granted *g)
	__attribute__((warn_unused_result));
extern const struct schema grant_out;

/* P_WEAK_PASSWORD, or the hash of a password that is good enough. `pointer` names the member. */
enum problem password_take(struct request *req, const char *pointer, struct str password,
	struct str email, struct str *hash) __attribute__((warn_unused_result));

#define NAME_MAX_CHARS 100
#define PHONE_MAX 32
#define USERNAME_MIN 3
#define USERNAME_MAX 40

/* The members of a profile that people write themselves; absent ones are not looked at. */
struct profile {
	struct str name, username, phone;
};
/* Trims the name; P_INVALID with the members that are not good. */
enum problem profile_check(struct request *req, struct profile *p)
	__attribute__((warn_unused_result));
/* What the rules for texts make of it; *hint as filter_public has it. */
enum problem profile_filter(struct request *req, struct profile *p, struct filtered *hint)
	__attribute__((warn_unused_result));
extern const struct schema user_out;
extern const char *const user_roles[];

#endif
