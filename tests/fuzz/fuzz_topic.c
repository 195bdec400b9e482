/*
 * Fuzz target of the topic grammar. The input is three lines: a filter, a
 * grant, a topic. Whatever the grammar lets pass must keep its promises.
 */
#include "topics.h"

#include "base/check.h"

#define LEVEL_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-_"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
clean(struct str s)
{
	size_t levels = 1;

	for (size_t i = 0; i < s.n; i++) {
		levels += s.p[i] == '/';
		if (!memchr(LEVEL_BYTES "/", s.p[i], sizeof(LEVEL_BYTES)))
			return false;
	}
	return levels <= TOPIC_LEVELS_MAX && s.n > 0 && s.n <= TOPIC_BYTES_MAX;
}

static void
try_topic(struct str topic)
{
	char again[TOPIC_TEXT + 1];
	struct topic t;

	if (!topic_parse(topic, &t))
		return;
	CHECK(topic_valid(topic) && clean(topic));
	switch (t.kind) {
	case TOPIC_INBOX:
		topic_inbox(&t.id, again);
		break;
	case TOPIC_EPHEMERAL:
		topic_ephemeral(&t.id, again);
		break;
	case TOPIC_DEVICE:
		topic_device(&t.id, t.did, again);
		break;
	case TOPIC_UPLINK:
		topic_uplink(&t.id, t.verb, again);
		break;
	case TOPIC_SHOP:
		topic_shop(&t.id, again);
		break;
	default:
		return;
	}
	CHECK(str_eqz(topic, again));
}

static void
try_subset(struct str filter, struct str grant, struct str topic)
{
	struct str stem = filter;

	if (!topic_filter_subset(filter, grant))
		return;
	CHECK(topic_filter_valid(filter) && topic_filter_valid(grant));
	if (str_ends(filter, "/#"))
		stem.n -= 2;
	CHECK(clean(stem));
	if (topic_valid(topic) && topic_matches(filter, topic))
		CHECK(topic_matches(grant, topic));
	CHECK(topic_filter_subset(filter, filter));
	if (topic_filter_subset(grant, filter))
		CHECK(str_eq(grant, filter));
}

/* What the plugin would believe of a user lies inside what the table gives to that user. */
static void
try_claim(struct arena *a, struct str filter)
{
	static const unsigned roles[] = { TR_CLIENT, TR_SELLER, TR_ADMIN, TR_MODERATOR };
	struct topic_subject who = { .uid = { { 1, 2, 3 } } };
	struct topic_grants g;
	bool found = false;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		who.role = roles[i];
		if (!topic_grant_plausible(&who, TOPIC_SUB, filter))
			continue;
		if (who.role == TR_SELLER && str_starts(filter, "s/"))
			continue; /* any shop may pass */
		topics_grants(a, &who, &g);
		for (size_t j = 0; j < g.sub_n; j++)
			found = found || topic_filter_subset(filter, g.sub[j]);
		CHECK(found);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size }, filter, grant;
	struct arena *a = arena_new((size_t)1 << 20);

	(void)str_cut(rest, '\n', &filter, &rest); /* fewer lines are empty ones */
	(void)str_cut(rest, '\n', &grant, &rest);
	try_subset(filter, grant, rest);
	try_topic(rest);
	try_topic(filter);
	try_claim(a, filter);
	arena_free(a);
	return 0;
}
