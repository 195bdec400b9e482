/*
 * The topic grammar: which topics exist, how a filter is judged, what a user
 * may use. Rows in topics.def. Needs nothing but base, so that the broker
 * plugin, the API and the daemons share one judgement.
 *
 * Our topics are levels of [a-z0-9_-]; anything else ('$', '+', empty levels,
 * upper case, '.' and '*', which other brokers give a meaning) is refused. A
 * filter may end in the level '#', and that is the only wildcard.
 */
#ifndef PLAZA_TOPICS_H
#define PLAZA_TOPICS_H

#include "base/arena.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>

#define TOPIC_BYTES_MAX 200
#define TOPIC_LEVELS_MAX 6
#define TOPIC_TEXT 95 /* longest topic that the builders make, without NUL */
#define DEVICE_ID_MAX 36
#define TOPIC_GRANTS_MAX 8 /* of one user and one direction */

/* Bits of a role; those of users equal enum role of io/token.h. */
enum topic_role {
	TR_CLIENT = 1,
	TR_SELLER = 2,
	TR_ADMIN = 4,
	TR_MODERATOR = 8,
	TR_SERVICE = 16,
	TR_BACKEND = 32, /* Plaza's own programs */
	TR_USERS = 31,
};

enum topic_dir { TOPIC_DIR_DOWN, TOPIC_DIR_UP, TOPIC_DIR_CONTROL };
enum topic_access { TOPIC_SUB, TOPIC_PUB };

enum topic_kind {
#define TOPIC(id, pattern, dir, qos, sub, pub, doc) TOPIC_##id,
#include "topics.def"
	TOPIC_KINDS
};

/* What a device may ask for over MQTT; `qos` is what it should send with. */
enum uplink_verb {
#define UPLINK(id, verb, qos, doc, ...) UPLINK_##id,
#include "events.def"
	UPLINK_VERBS
};

struct topic_info {
	const char *name; /* "INBOX" */
	const char *pattern;
	enum topic_dir dir;
	int qos;
	unsigned sub; /* enum topic_role bits that reach it by subscribing */
	unsigned pub;
	const char *doc;
};
const struct topic_info *topic_info(enum topic_kind kind);

/* A row of GRANT with its variables. */
struct topic_grant_info {
	enum topic_access access;
	const char *pattern;
	unsigned roles;
	const char *doc;
};
const struct topic_grant_info *topic_grant_rows(size_t *count);

/* "send" … */
const char *uplink_verb_name(enum uplink_verb verb);
bool uplink_verb_by_name(struct str name, enum uplink_verb *out);

/* A topic that names something; members that the kind has no level for are zero or absent. */
struct topic {
	enum topic_kind kind;
	struct uuid id;        /* {uid} or {shop} */
	struct str did;        /* view into the topic */
	enum uplink_verb verb; /* TOPIC_UPLINK only */
	unsigned role;         /* TOPIC_ROLE only, one bit */
};

/* False for anything that is no row of topics.def, and then *out is untouched. */
bool topic_parse(struct str topic, struct topic *out);

/* A name that can be published to, by grammar and bounds alone. */
bool topic_valid(struct str topic);
/* The same for a subscription: one trailing "#" level is allowed, but not alone. */
bool topic_filter_valid(struct str filter);
/* True when everything that `filter` can match is matched by `grant`, and both are valid. */
bool topic_filter_subset(struct str filter, struct str grant);
/* True when the valid filter matches the valid topic (MQTT 5 section 4.7: "a/#" matches "a"). */
bool topic_matches(struct str filter, struct str topic);
/* [a-z0-9_-]{1,36} */
bool device_id_valid(struct str did);

struct topic_subject {
	struct uuid uid;
	unsigned role;    /* one bit of enum topic_role */
	struct uuid shop; /* nil = none */
};

/* The filters of a token, in the arena. */
struct topic_grants {
	struct str sub[TOPIC_GRANTS_MAX];
	size_t sub_n;
	struct str pub[TOPIC_GRANTS_MAX];
	size_t pub_n;
};
void topics_grants(struct arena *a, const struct topic_subject *who, struct topic_grants *out);

/*
 * True when some row could have given this filter to this user: the second
 * look at the `acl` of a signed token. `who->shop` is not asked: any shop of a
 * seller passes, since only the issuer knows whose it is.
 */
bool topic_grant_plausible(
	const struct topic_subject *who, enum topic_access access, struct str filter);

/* Builders; they end with a NUL and return the length. */
size_t topic_inbox(const struct uuid *uid, char out[TOPIC_TEXT + 1]);
size_t topic_ephemeral(const struct uuid *uid, char out[TOPIC_TEXT + 1]);
/* The device id must be valid. */
size_t topic_device(const struct uuid *uid, struct str did, char out[TOPIC_TEXT + 1]);
size_t topic_shop(const struct uuid *shop, char out[TOPIC_TEXT + 1]);
size_t topic_uplink(const struct uuid *uid, enum uplink_verb verb, char out[TOPIC_TEXT + 1]);
/* "up/{s}/{uid}", to which clients add a slash and a verb. */
size_t topic_uplink_prefix(const struct uuid *uid, char out[TOPIC_TEXT + 1]);
/* '0' … 'f' */
char topic_shard(const struct uuid *uid);

#endif
