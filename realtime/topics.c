/* The topic grammar: tables, matching, filters and builders. */
#include "topics.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"

static const struct topic_info topics[TOPIC_KINDS] = {
#define TOPIC(id, pattern, dir, qos, sub, pub, doc) \
	[TOPIC_##id] = { #id, pattern, TOPIC_DIR_##dir, qos, sub, pub, doc },
#include "topics.def"
};

static const struct topic_grant_info grants[] = {
#define GRANT(access, pattern, roles, doc) { TOPIC_##access, pattern, roles, doc },
#include "topics.def"
};
#define GRANT_ROWS (sizeof(grants) / sizeof(grants[0]))

static const char *const verbs[UPLINK_VERBS] = {
#define UPLINK(id, verb, qos, doc, ...) [UPLINK_##id] = verb,
#include "events.def"
};

static const struct role_level {
	unsigned role;
	const char *level;
} roles[] = {
	{ TR_CLIENT, "client" },
	{ TR_SELLER, "seller" },
	{ TR_ADMIN, "admin" },
	{ TR_MODERATOR, "moderator" },
	{ TR_SERVICE, "service" },
};
#define ROLE_ROWS (sizeof(roles) / sizeof(roles[0]))

/* What the variables of a pattern stood for. */
struct capture {
	struct topic topic;
	bool has_uid, has_role;
	char shard; /* NUL when the pattern has none */
};

const struct topic_info *
topic_info(enum topic_kind kind)
{
	CHECK(kind < TOPIC_KINDS);
	return &topics[kind];
}

const struct topic_grant_info *
topic_grant_rows(size_t *count)
{
	*count = GRANT_ROWS;
	return grants;
}

const char *
uplink_verb_name(enum uplink_verb verb)
{
	CHECK(verb < UPLINK_VERBS);
	return verbs[verb];
}

bool
uplink_verb_by_name(struct str name, enum uplink_verb *out)
{
	for (size_t i = 0; i < UPLINK_VERBS; i++) {
		if (str_eqz(name, verbs[i])) {
			*out = (enum uplink_verb)i;
			return true;
		}
	}
	return false;
}

static bool
role_by_level(struct str level, unsigned *out)
{
	for (size_t i = 0; i < ROLE_ROWS; i++) {
		if (str_eqz(level, roles[i].level)) {
			*out = roles[i].role;
			return true;
		}
	}
	return false;
}

static const char *
role_level(unsigned role)
{
	for (size_t i = 0; i < ROLE_ROWS; i++) {
		if (roles[i].role == role)
			return roles[i].level;
	}
	return NULL;
}

char
topic_shard(const struct uuid *uid)
{
	return "0123456789abcdef"[uid->b[sizeof(uid->b) - 1] & 0x0F];
}

static bool
is_level_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool
device_id_valid(struct str did)
{
	if (did.n < 1 || did.n > DEVICE_ID_MAX)
		return false;
	for (size_t i = 0; i < did.n; i++) {
		if (!is_level_byte(did.p[i]))
			return false;
	}
	return true;
}

static bool
levels_valid(struct str s, size_t levels_max)
{
	size_t levels = 1, level_bytes = 0;

	if (s.n > TOPIC_BYTES_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (is_level_byte(s.p[i])) {
			level_bytes++;
			continue;
		}
		if (s.p[i] != '/' || level_bytes == 0 || ++levels > levels_max)
			return false;
		level_bytes = 0;
	}
	return level_bytes > 0;
}

bool
topic_valid(struct str topic)
{
	return levels_valid(topic, TOPIC_LEVELS_MAX);
}

/* Takes a trailing "/#" off, and tells whether there was one. */
static bool
strip_wildcard(struct str *filter)
{
	if (!str_ends(*filter, "/#"))
		return false;
	filter->n -= 2;
	return true;
}

bool
topic_filter_valid(struct str filter)
{
	if (filter.n > TOPIC_BYTES_MAX)
		return false;

	bool wildcard = strip_wildcard(&filter);

	return levels_valid(filter, wildcard ? TOPIC_LEVELS_MAX - 1 : TOPIC_LEVELS_MAX);
}

/* Both are valid. */
static bool
covers(struct str grant, struct str filter)
{
	if (!strip_wildcard(&grant))
		return str_eq(grant, filter);
	(void)strip_wildcard(&filter); /* with or without, the stem decides */
	if (filter.n < grant.n || memcmp(filter.p, grant.p, grant.n) != 0)
		return false;
	return filter.n == grant.n || filter.p[grant.n] == '/';
}

bool
topic_filter_subset(struct str filter, struct str grant)
{
	return topic_filter_valid(filter) && topic_filter_valid(grant) && covers(grant, filter);
}

bool
topic_matches(struct str filter, struct str topic)
{
	return covers(filter, topic);
}

/* Only the lower-case form is a level; the other would be a different topic. */
static bool
uuid_level(struct str level, struct uuid *out)
{
	for (size_t i = 0; i < level.n; i++) {
		if (!is_level_byte(level.p[i]))
			return false;
	}
	return uuid_parse(level, out);
}

static bool
shard_level(struct str level, char *out)
{
	if (level.n != 1 || !memchr("0123456789abcdef", level.p[0], 16))
		return false;
	*out = level.p[0];
	return true;
}

static bool
level_fits(struct str pattern, struct str level, struct capture *c)
{
	if (!str_starts(pattern, "{"))
		return str_eq(pattern, level);
	if (str_eqz(pattern, "{uid}"))
		return c->has_uid = uuid_level(level, &c->topic.id);
	if (str_eqz(pattern, "{shop}"))
		return uuid_level(level, &c->topic.id);
	if (str_eqz(pattern, "{s}"))
		return shard_level(level, &c->shard);
	if (str_eqz(pattern, "{verb}"))
		return uplink_verb_by_name(level, &c->topic.verb);
	if (str_eqz(pattern, "{role}"))
		return c->has_role = role_by_level(level, &c->topic.role);
	CHECK(str_eqz(pattern, "{did}"));
	c->topic.did = level;
	return device_id_valid(level);
}

/* Walks pattern and text level by level; a pattern's "#" takes all that is left. */
static bool
pattern_fits(const char *pattern, struct str text, struct capture *c)
{
	struct str pat_rest = str_of(pattern), text_rest = text;

	for (;;) {
		struct str pat, level;
		bool more_pat = str_cut(pat_rest, '/', &pat, &pat_rest);

		if (str_eqz(pat, "#"))
			break;

		bool more_text = str_cut(text_rest, '/', &level, &text_rest);

		if (!level_fits(pat, level, c) || more_pat != more_text)
			return false;
		if (!more_pat)
			break;
	}
	return c->shard == '\0' || c->shard == topic_shard(&c->topic.id);
}

bool
topic_parse(struct str topic, struct topic *out)
{
	if (!topic_valid(topic))
		return false;
	for (size_t i = 0; i < TOPIC_KINDS; i++) {
		struct capture c = { .topic.kind = (enum topic_kind)i };

		if (pattern_fits(topics[i].pattern, topic, &c)) {
			*out = c.topic;
			return true;
		}
	}
	return false;
}

bool
topic_grant_plausible(const struct topic_subject *who, enum topic_access access, struct str filter)
{
	if (!topic_filter_valid(filter))
		return false;
	for (size_t i = 0; i < GRANT_ROWS; i++) {
		struct capture c = { .shard = '\0' };

		if (grants[i].access != access || !(grants[i].roles & who->role) ||
			!pattern_fits(grants[i].pattern, filter, &c))
			continue;
		if ((!c.has_uid || uuid_eq(&c.topic.id, &who->uid)) &&
			(!c.has_role || c.topic.role == who->role))
			return true;
	}
	return false;
}

/* Puts one level of a grant's pattern; false when this user has nothing to put there. */
static bool
put_level(struct buf *b, struct str pattern, const struct topic_subject *who)
{
	char text[UUID_TEXT + 1];

	if (str_eqz(pattern, "{s}")) {
		buf_putc(b, topic_shard(&who->uid));
	} else if (str_eqz(pattern, "{uid}")) {
		uuid_text(&who->uid, text);
		buf_puts(b, text);
	} else if (str_eqz(pattern, "{shop}")) {
		if (uuid_is_nil(&who->shop))
			return false;
		uuid_text(&who->shop, text);
		buf_puts(b, text);
	} else if (str_eqz(pattern, "{role}")) {
		buf_puts(b, role_level(who->role));
	} else {
		buf_putstr(b, pattern);
	}
	return true;
}

static bool
expand(struct arena *a, const char *pattern, const struct topic_subject *who, struct str *out)
{
	struct str rest = str_of(pattern), level;
	struct buf b;
	bool more;

	buf_init(&b, a, TOPIC_BYTES_MAX);
	do {
		more = str_cut(rest, '/', &level, &rest);
		if (!put_level(&b, level, who))
			return false;
		if (more)
			buf_putc(&b, '/');
	} while (more);
	CHECK(!b.failed);
	*out = buf_str(&b);
	return true;
}

void
topics_grants(struct arena *a, const struct topic_subject *who, struct topic_grants *out)
{
	/* The programs of Plaza are no user, yet their rows have no variable of one. */
	CHECK(who->role == TR_BACKEND || role_level(who->role));
	*out = (struct topic_grants){ .sub_n = 0 };
	for (size_t i = 0; i < GRANT_ROWS; i++) {
		struct str filter;

		if (!(grants[i].roles & who->role) || !expand(a, grants[i].pattern, who, &filter))
			continue;

		bool sub = grants[i].access == TOPIC_SUB;
		size_t *n = sub ? &out->sub_n : &out->pub_n;

		CHECK(*n < TOPIC_GRANTS_MAX);
		(sub ? out->sub : out->pub)[(*n)++] = filter;
	}
}

__attribute__((format(printf, 2, 3))) static size_t
build(char out[TOPIC_TEXT + 1], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(out, TOPIC_TEXT + 1, fmt, ap);
	va_end(ap);
	CHECK(n > 0 && n <= TOPIC_TEXT);
	return (size_t)n;
}

size_t
topic_inbox(const struct uuid *uid, char out[TOPIC_TEXT + 1])
{
	char text[UUID_TEXT + 1];

	uuid_text(uid, text);
	return build(out, "u/%s/in", text);
}

size_t
topic_ephemeral(const struct uuid *uid, char out[TOPIC_TEXT + 1])
{
	char text[UUID_TEXT + 1];

	uuid_text(uid, text);
	return build(out, "u/%s/eph", text);
}

size_t
topic_device(const struct uuid *uid, struct str did, char out[TOPIC_TEXT + 1])
{
	char text[UUID_TEXT + 1];

	CHECK(device_id_valid(did));
	uuid_text(uid, text);
	return build(out, "u/%s/d/%.*s", text, STR_ARG(did));
}

size_t
topic_shop(const struct uuid *shop, char out[TOPIC_TEXT + 1])
{
	char text[UUID_TEXT + 1];

	uuid_text(shop, text);
	return build(out, "s/%s/in", text);
}

size_t
topic_uplink_prefix(const struct uuid *uid, char out[TOPIC_TEXT + 1])
{
	char text[UUID_TEXT + 1];

	uuid_text(uid, text);
	return build(out, "up/%c/%s", topic_shard(uid), text);
}

size_t
topic_uplink(const struct uuid *uid, enum uplink_verb verb, char out[TOPIC_TEXT + 1])
{
	char text[UUID_TEXT + 1];

	uuid_text(uid, text);
	return build(out, "up/%c/%s/%s", topic_shard(uid), text, uplink_verb_name(verb));
}
