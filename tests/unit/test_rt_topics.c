/* realtime/topics, realtime/events: the truth table of filters, topics and grants */
#include "topics.h"

#include "arena_kit.h"
#include "base/uuid.h"
#include "events.h"
#include "io/token.h"

#define ME "01890a5d-ac96-774b-bcce-b302099a8057"
#define SHOP "01890a5d-0000-7000-8000-00000000000a"
#define PEER "01890a5d-ac96-774b-bcce-b302099a8058"
#define LEVEL50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct uuid
id(const char *text)
{
	struct uuid u;

	assert_true(uuid_parse(str_of(text), &u));
	return u;
}

/* --- filters against one grant ------------------------------------------------ */

static const struct subset_row {
	const char *filter;
	const char *grant;
	bool subset;
} subset_rows[] = {
	{ "u/" ME "/#", "u/" ME "/#", true },
	{ "u/" ME "/in", "u/" ME "/#", true },
	{ "u/" ME "/eph", "u/" ME "/#", true },
	{ "u/" ME "/d/phone", "u/" ME "/#", true },
	{ "u/" ME "/d/#", "u/" ME "/#", true },
	{ "u/" ME "/d/phone/#", "u/" ME "/#", true },
	{ "u/" ME, "u/" ME "/#", true },
	{ "u/" ME "/", "u/" ME "/#", false },
	{ "u/" ME "//in", "u/" ME "/#", false },
	{ "u/" ME "x/#", "u/" ME "/#", false },
	{ "u/" ME "x", "u/" ME "/#", false },
	{ "u/" PEER "/#", "u/" ME "/#", false },
	{ "u/" PEER "/in", "u/" ME "/#", false },
	{ "u/+/in", "u/" ME "/#", false },
	{ "u/+/#", "u/" ME "/#", false },
	{ "+/" ME "/in", "u/" ME "/#", false },
	{ "+/+/in", "u/" ME "/#", false },
	{ "u/" ME "/+", "u/" ME "/#", false },
	{ "u/" ME "/d/+", "u/" ME "/#", false },
	{ "u/#", "u/" ME "/#", false },
	{ "u", "u/" ME "/#", false },
	{ "#", "u/" ME "/#", false },
	{ "+", "u/" ME "/#", false },
	{ "+/#", "u/" ME "/#", false },
	{ "/#", "u/" ME "/#", false },
	{ "", "u/" ME "/#", false },
	{ "/", "u/" ME "/#", false },
	{ "/u/" ME "/in", "u/" ME "/#", false },
	{ "u//" ME "/in", "u/" ME "/#", false },
	{ "u/" ME "/#/in", "u/" ME "/#", false },
	{ "u/" ME "/##", "u/" ME "/#", false },
	{ "u/" ME "/in#", "u/" ME "/#", false },
	{ "u/" ME "#", "u/" ME "/#", false },
	{ "U/" ME "/in", "u/" ME "/#", false },
	{ "u/" ME "/IN", "u/" ME "/#", false },
	{ "u/" ME "/in ", "u/" ME "/#", false },
	{ " u/" ME "/in", "u/" ME "/#", false },
	{ "u/" ME "/i n", "u/" ME "/#", false },
	{ "u/" ME "/in\n", "u/" ME "/#", false },
	{ "u/" ME "/in\x7f", "u/" ME "/#", false },
	{ "u/" ME "/\xc3\xa9", "u/" ME "/#", false },
	{ "u/" ME "/a.b", "u/" ME "/#", false },
	{ "u/" ME "/*", "u/" ME "/#", false },
	{ "u/" ME "/$in", "u/" ME "/#", false },
	{ "u/01890A5D-AC96-774B-BCCE-B302099A8057/in", "u/" ME "/#", false },
	{ "$SYS/#", "u/" ME "/#", false },
	{ "$SYS/broker/uptime", "u/" ME "/#", false },
	{ "$CONTROL/dynamic-security/v1", "u/" ME "/#", false },
	{ "$CONTROL/#", "u/" ME "/#", false },
	{ "$share/g/u/" ME "/#", "u/" ME "/#", false },
	{ "$share/g/up/#", "u/" ME "/#", false },
	{ "$share", "u/" ME "/#", false },
	{ "$queue/u/" ME "/in", "u/" ME "/#", false },
	{ "$share/g/#", "up/#", false },
	{ "u/" ME "/a/b/c/d", "u/" ME "/#", true },
	{ "u/" ME "/a/b/c/#", "u/" ME "/#", true },
	{ "u/" ME "/a/b/c/d/e", "u/" ME "/#", false },
	{ "u/" ME "/a/b/c/d/#", "u/" ME "/#", false },
	{ "u/" LEVEL50 LEVEL50 "/" LEVEL50 "/" LEVEL50, "u/#", false },
	{ "u/" LEVEL50 LEVEL50 "/" LEVEL50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "u/#",
		true },
	{ "u/" LEVEL50 LEVEL50 "/" LEVEL50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"u/#", false },
	{ "u/" LEVEL50 LEVEL50 "/" LEVEL50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/#", "u/#",
		true },
	{ "u/" LEVEL50 LEVEL50 "/" LEVEL50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/#",
		"u/#", false },
	{ "b/all", "b/all", true },
	{ "b/all/#", "b/all", false },
	{ "b/#", "b/all", false },
	{ "b", "b/all", false },
	{ "b/al", "b/all", false },
	{ "b/alll", "b/all", false },
	{ "b/all/x", "b/all", false },
	{ "b/+", "b/all", false },
	{ "b/role/client", "b/role/client", true },
	{ "b/role/seller", "b/role/client", false },
	{ "b/role/#", "b/role/client", false },
	{ "b/role/+", "b/role/client", false },
	{ "s/" SHOP "/#", "s/" SHOP "/#", true },
	{ "s/" SHOP "/in", "s/" SHOP "/#", true },
	{ "s/" ME "/in", "s/" SHOP "/#", false },
	{ "s/#", "s/" SHOP "/#", false },
	{ "s/+/in", "s/" SHOP "/#", false },
	{ "a/mod", "a/#", true },
	{ "a/stats", "a/#", true },
	{ "a/#", "a/#", true },
	{ "a", "a/#", true },
	{ "ab", "a/#", false },
	{ "ab/#", "a/#", false },
	{ "a/+", "a/#", false },
	{ "a/mod", "a/mod", true },
	{ "a/stats", "a/mod", false },
	{ "a/#", "a/mod", false },
	{ "up/#", "up/#", true },
	{ "up/7/#", "up/#", true },
	{ "up/7/" ME "/send", "up/#", true },
	{ "up/+/" ME "/send", "up/#", false },
	{ "sys/#", "sys/#", true },
	{ "sys/pres", "sys/#", true },
	{ "sys/#", "sys/pres", false },
	{ "u/x", "#", false },
	{ "u/x", "+/x", false },
	{ "u/x", "", false },
	{ "u/x", "u/x/", false },
};

static void
a_filter_passes_only_inside_its_grant(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(subset_rows); i++) {
		const struct subset_row *r = &subset_rows[i];

		if (topic_filter_subset(str_of(r->filter), str_of(r->grant)) != r->subset)
			fail_msg("'%s' in '%s': expected %d", r->filter, r->grant, r->subset);
	}
}

/* Whatever a subset matches, its grant matches: the rows above against every topic below. */
static const char *const probes[] = {
	"u/" ME "/in",
	"u/" ME "/eph",
	"u/" ME "/d/phone",
	"u/" ME,
	"u/" PEER "/in",
	"u/" PEER "/eph",
	"b/all",
	"b/role/client",
	"b/role/seller",
	"s/" SHOP "/in",
	"s/" ME "/in",
	"a/mod",
	"a/stats",
	"a",
	"up/7/" ME "/send",
	"up/8/" PEER "/x",
	"sys/kick",
	"sys/pres",
	"ab",
	"u",
};

static void
a_subset_never_matches_more_than_its_grant(void **state)
{
	(void)state;
	size_t matches = 0;

	for (size_t i = 0; i < COUNT(subset_rows); i++) {
		if (!subset_rows[i].subset)
			continue;
		for (size_t j = 0; j < COUNT(probes); j++) {
			if (!topic_matches(str_of(subset_rows[i].filter), str_of(probes[j])))
				continue;
			matches++;
			assert_true(topic_matches(str_of(subset_rows[i].grant), str_of(probes[j])));
		}
	}
	assert_true(matches > 20);
}

/* --- matching ------------------------------------------------------------------- */

static const struct match_row {
	const char *filter;
	const char *topic;
	bool match;
} match_rows[] = {
	{ "a/#", "a/b", true },
	{ "a/#", "a/b/c", true },
	{ "a/#", "a", true },
	{ "a/#", "ab", false },
	{ "a/#", "b/a", false },
	{ "a/b", "a/b", true },
	{ "a/b", "a/b/c", false },
	{ "a/b", "a", false },
	{ "a/b/#", "a/b", true },
	{ "a/b/#", "a/bc", false },
	{ "a/b/#", "a", false },
};

static void
a_trailing_wildcard_matches_its_parent_and_all_below(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(match_rows); i++) {
		const struct match_row *r = &match_rows[i];

		if (topic_matches(str_of(r->filter), str_of(r->topic)) != r->match)
			fail_msg("'%s' on '%s': expected %d", r->filter, r->topic, r->match);
	}
}

/* --- parsing --------------------------------------------------------------------- */

static const struct parse_row {
	const char *topic;
	int kind; /* -1: no topic of ours */
} parse_rows[] = {
	{ "u/" ME "/in", TOPIC_INBOX },
	{ "u/" ME "/eph", TOPIC_EPHEMERAL },
	{ "u/" ME "/d/web-1_a", TOPIC_DEVICE },
	{ "up/7/" ME "/send", TOPIC_UPLINK },
	{ "up/7/" ME "/read", TOPIC_UPLINK },
	{ "up/7/" ME "/delivered", TOPIC_UPLINK },
	{ "up/7/" ME "/edit", TOPIC_UPLINK },
	{ "up/7/" ME "/delete", TOPIC_UPLINK },
	{ "up/7/" ME "/typing", TOPIC_UPLINK },
	{ "up/7/" ME "/watch", TOPIC_UPLINK },
	{ "up/7/" ME "/beat", TOPIC_UPLINK },
	{ "up/7/" ME "/history", TOPIC_UPLINK },
	{ "up/7/" ME "/hello", TOPIC_UPLINK },
	{ "up/7/" ME "/nclear", TOPIC_UPLINK },
	{ "up/7/" ME "/bye", TOPIC_UPLINK },
	{ "up/8/" PEER "/send", TOPIC_UPLINK },
	{ "s/" SHOP "/in", TOPIC_SHOP },
	{ "b/all", TOPIC_ALL },
	{ "b/role/client", TOPIC_ROLE },
	{ "b/role/service", TOPIC_ROLE },
	{ "a/mod", TOPIC_MODERATION },
	{ "a/stats", TOPIC_STATS },
	{ "sys/kick", TOPIC_KICK },
	{ "sys/pres", TOPIC_PRESENCE },
	{ "up/8/" ME "/send", -1 }, /* shard of somebody else */
	{ "up/0/" ME "/send", -1 },
	{ "up/7/" ME "/steal", -1 },
	{ "up/7/" ME "/send/x", -1 },
	{ "up/7/" ME, -1 },
	{ "up/7/" ME "/SEND", -1 },
	{ "up/77/" ME "/send", -1 },
	{ "up/g/" ME "/send", -1 },
	{ "up//" ME "/send", -1 },
	{ "up/7/me/send", -1 },
	{ "u/" ME, -1 },
	{ "u/" ME "/out", -1 },
	{ "u/" ME "/in/x", -1 },
	{ "u/" ME "/d", -1 },
	{ "u/" ME "/d/", -1 },
	{ "u/" ME "/d/a/b", -1 },
	{ "u/" ME "/d/Phone", -1 },
	{ "u/" ME "/d/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -1 },
	{ "u/01890A5D-AC96-774B-BCCE-B302099A8057/in", -1 },
	{ "u/01890a5dac96774bbcceb302099a8057/in", -1 },
	{ "u//in", -1 },
	{ "s/" SHOP, -1 },
	{ "s/in", -1 },
	{ "b/everybody", -1 },
	{ "b/role/king", -1 },
	{ "b/role/backend", -1 },
	{ "a/other", -1 },
	{ "sys/x", -1 },
	{ "$SYS/broker", -1 },
	{ "$CONTROL/dynamic-security/v1", -1 },
	{ "u/" ME "/#", -1 },
	{ "u/+/in", -1 },
	{ "", -1 },
	{ "/", -1 },
	{ "u", -1 },
};

static void
only_rows_of_the_table_are_topics(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(parse_rows); i++) {
		const struct parse_row *r = &parse_rows[i];
		struct topic t = { .kind = TOPIC_KINDS };
		bool known = topic_parse(str_of(r->topic), &t);

		if (known != (r->kind >= 0) || (known && (int)t.kind != r->kind))
			fail_msg("'%s': known %d, kind %d", r->topic, known, (int)t.kind);
		if (!known)
			assert_int_equal(t.kind, TOPIC_KINDS);
	}
}

static void
parsing_tells_whose_topic_it_is(void **state)
{
	(void)state;
	struct uuid me = id(ME), shop = id(SHOP);
	struct topic t;

	assert_true(topic_parse(STR("u/" ME "/d/phone"), &t));
	assert_true(uuid_eq(&t.id, &me));
	assert_str(t.did, "phone");
	assert_true(topic_parse(STR("up/7/" ME "/typing"), &t));
	assert_true(uuid_eq(&t.id, &me));
	assert_int_equal(t.verb, UPLINK_TYPING);
	assert_true(topic_parse(STR("s/" SHOP "/in"), &t));
	assert_true(uuid_eq(&t.id, &shop));
	assert_true(topic_parse(STR("b/role/moderator"), &t));
	assert_int_equal(t.role, TR_MODERATOR);
	/* A view may end in the middle of a longer text. */
	assert_true(topic_parse((struct str){ "b/allx", 5 }, &t));
	assert_int_equal(t.kind, TOPIC_ALL);
}

/* --- grants ------------------------------------------------------------------------ */

enum who { CLIENT, SELLER, SELLER_NO_SHOP, ADMIN, MODERATOR, SERVICE, BACKEND, WHO_COUNT };

static struct topic_subject
subject(enum who who)
{
	static const unsigned role[WHO_COUNT] = { TR_CLIENT, TR_SELLER, TR_SELLER, TR_ADMIN,
		TR_MODERATOR, TR_SERVICE, TR_BACKEND };
	struct topic_subject s = { .uid = id(ME), .role = role[who] };

	if (who == SELLER)
		s.shop = id(SHOP);
	return s;
}

#define BIT(who) (1u << (who))
#define EVERY_USER (BIT(BACKEND) - 1)

/* Who may subscribe, and who may publish. */
static const struct right_row {
	const char *topic;
	unsigned sub, pub;
} right_rows[] = {
	{ "u/" ME "/in", EVERY_USER, BIT(BACKEND) },
	{ "u/" ME "/eph", EVERY_USER, BIT(BACKEND) },
	{ "u/" ME "/d/phone", EVERY_USER, BIT(BACKEND) },
	{ "u/" PEER "/in", 0, BIT(BACKEND) },
	{ "u/" PEER "/d/phone", 0, BIT(BACKEND) },
	{ "up/7/" ME "/send", BIT(BACKEND), EVERY_USER },
	{ "up/7/" ME "/bye", BIT(BACKEND), EVERY_USER },
	{ "up/8/" PEER "/send", BIT(BACKEND), 0 },
	{ "up/8/" ME "/send", BIT(BACKEND), 0 },
	{ "s/" SHOP "/in", BIT(SELLER), BIT(BACKEND) },
	{ "s/" ME "/in", 0, BIT(BACKEND) },
	{ "b/all", EVERY_USER, BIT(BACKEND) },
	{ "b/role/client", BIT(CLIENT), BIT(BACKEND) },
	{ "b/role/seller", BIT(SELLER) | BIT(SELLER_NO_SHOP), BIT(BACKEND) },
	{ "b/role/admin", BIT(ADMIN), BIT(BACKEND) },
	{ "b/role/moderator", BIT(MODERATOR), BIT(BACKEND) },
	{ "b/role/service", BIT(SERVICE), BIT(BACKEND) },
	{ "a/mod", BIT(ADMIN) | BIT(MODERATOR), BIT(BACKEND) },
	{ "a/stats", BIT(ADMIN), BIT(BACKEND) },
	{ "sys/kick", BIT(BACKEND), BIT(BACKEND) },
	{ "sys/pres", BIT(BACKEND), BIT(BACKEND) },
};

static bool
any_matches(const struct str *filters, size_t n, const char *topic)
{
	for (size_t i = 0; i < n; i++) {
		if (topic_matches(filters[i], str_of(topic)))
			return true;
	}
	return false;
}

static void
grants_reach_exactly_what_the_role_may(void **state)
{
	(void)state;
	for (enum who who = 0; who < WHO_COUNT; who++) {
		struct topic_subject s = subject(who);
		struct topic_grants g;

		topics_grants(arena, &s, &g);
		for (size_t i = 0; i < COUNT(right_rows); i++) {
			const struct right_row *r = &right_rows[i];

			if (any_matches(g.sub, g.sub_n, r->topic) != !!(r->sub & BIT(who)))
				fail_msg("%s: subscribe by %d", r->topic, (int)who);
			if (any_matches(g.pub, g.pub_n, r->topic) != !!(r->pub & BIT(who)))
				fail_msg("%s: publish by %d", r->topic, (int)who);
		}
	}
}

/* The masks of TOPIC rows say what the GRANT rows do. */
static void
rows_and_grants_agree(void **state)
{
	(void)state;
	static const char *const example[TOPIC_KINDS] = {
		[TOPIC_INBOX] = "u/" ME "/in",
		[TOPIC_EPHEMERAL] = "u/" ME "/eph",
		[TOPIC_DEVICE] = "u/" ME "/d/phone",
		[TOPIC_UPLINK] = "up/7/" ME "/send",
		[TOPIC_SHOP] = "s/" SHOP "/in",
		[TOPIC_ALL] = "b/all",
		[TOPIC_MODERATION] = "a/mod",
		[TOPIC_STATS] = "a/stats",
		[TOPIC_KICK] = "sys/kick",
		[TOPIC_PRESENCE] = "sys/pres",
	};

	for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
		const struct topic_info *info = topic_info(kind);

		for (enum who who = 0; who < WHO_COUNT; who++) {
			struct topic_subject s = subject(who);
			struct topic_grants g;
			const char *topic = example[kind];

			if (who == SELLER_NO_SHOP || (kind == TOPIC_ROLE && who == BACKEND))
				continue;
			if (kind == TOPIC_ROLE)
				topic = arena_printf(
					arena, "b/role/%s", role_name((enum role)s.role));
			topics_grants(arena, &s, &g);
			assert_int_equal(
				any_matches(g.sub, g.sub_n, topic), !!(info->sub & s.role));
			assert_int_equal(
				any_matches(g.pub, g.pub_n, topic), !!(info->pub & s.role));
		}
	}
}

static void
every_granted_filter_is_valid_and_plausible(void **state)
{
	(void)state;
	for (enum who who = 0; who < WHO_COUNT; who++) {
		struct topic_subject s = subject(who);
		struct topic_grants g;

		topics_grants(arena, &s, &g);
		assert_in_range(g.sub_n, 2, TOKEN_ACL_MAX);
		assert_in_range(g.pub_n, 1, TOKEN_ACL_MAX);
		for (size_t i = 0; i < g.sub_n; i++) {
			assert_true(topic_filter_valid(g.sub[i]));
			assert_true(topic_grant_plausible(&s, TOPIC_SUB, g.sub[i]));
		}
		for (size_t i = 0; i < g.pub_n; i++) {
			assert_true(topic_filter_valid(g.pub[i]));
			assert_true(topic_grant_plausible(&s, TOPIC_PUB, g.pub[i]));
		}
	}
}

static const struct claim_row {
	enum who who;
	enum topic_access access;
	const char *filter;
	bool plausible;
} claim_rows[] = {
	{ CLIENT, TOPIC_SUB, "u/" ME "/#", true },
	{ CLIENT, TOPIC_SUB, "u/" ME "/in", true },
	{ CLIENT, TOPIC_SUB, "u/" PEER "/#", false },
	{ CLIENT, TOPIC_SUB, "u/#", false },
	{ CLIENT, TOPIC_SUB, "u/+/#", false },
	{ CLIENT, TOPIC_SUB, "#", false },
	{ CLIENT, TOPIC_SUB, "s/" SHOP "/#", false },
	{ CLIENT, TOPIC_SUB, "a/#", false },
	{ CLIENT, TOPIC_SUB, "b/#", false },
	{ CLIENT, TOPIC_SUB, "b/role/#", false },
	{ CLIENT, TOPIC_SUB, "b/role/admin", false },
	{ CLIENT, TOPIC_SUB, "up/#", false },
	{ CLIENT, TOPIC_SUB, "up/7/" ME "/#", false },
	{ CLIENT, TOPIC_SUB, "sys/#", false },
	{ CLIENT, TOPIC_SUB, "$SYS/#", false },
	{ CLIENT, TOPIC_PUB, "up/7/" ME "/#", true },
	{ CLIENT, TOPIC_PUB, "up/7/" ME "/bye", true },
	{ CLIENT, TOPIC_PUB, "up/8/" ME "/#", false },
	{ CLIENT, TOPIC_PUB, "up/8/" PEER "/#", false },
	{ CLIENT, TOPIC_PUB, "up/7/#", false },
	{ CLIENT, TOPIC_PUB, "up/#", false },
	{ CLIENT, TOPIC_PUB, "u/" ME "/#", false },
	{ CLIENT, TOPIC_PUB, "sys/kick", false },
	{ CLIENT, TOPIC_PUB, "b/all", false },
	{ SELLER, TOPIC_SUB, "s/" SHOP "/#", true },
	{ SELLER, TOPIC_SUB, "s/" PEER "/#", true }, /* whose shop it is, only the issuer knows */
	{ SELLER, TOPIC_SUB, "s/#", false },
	{ SELLER, TOPIC_PUB, "s/" SHOP "/in", false },
	{ MODERATOR, TOPIC_SUB, "a/mod", true },
	{ MODERATOR, TOPIC_SUB, "a/stats", false },
	{ MODERATOR, TOPIC_SUB, "a/#", false },
	{ ADMIN, TOPIC_SUB, "a/#", true },
	{ ADMIN, TOPIC_SUB, "a/mod", true },
	{ ADMIN, TOPIC_SUB, "u/" PEER "/#", false },
	{ ADMIN, TOPIC_PUB, "b/all", false },
	{ ADMIN, TOPIC_PUB, "sys/#", false },
	{ SERVICE, TOPIC_SUB, "up/#", false },
	{ SERVICE, TOPIC_PUB, "u/#", false },
	{ BACKEND, TOPIC_PUB, "u/#", true },
	{ BACKEND, TOPIC_SUB, "up/#", true },
	{ BACKEND, TOPIC_SUB, "u/#", false },
};

static void
a_token_cannot_claim_more_than_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(claim_rows); i++) {
		const struct claim_row *r = &claim_rows[i];
		struct topic_subject s = subject(r->who);

		if (topic_grant_plausible(&s, r->access, str_of(r->filter)) != r->plausible)
			fail_msg("%d claims '%s'", (int)r->who, r->filter);
	}
}

static void
the_truth_table_is_large_enough(void **state)
{
	(void)state;
	size_t rights = 2 * COUNT(right_rows) * WHO_COUNT;

	assert_true(COUNT(subset_rows) + COUNT(parse_rows) + COUNT(claim_rows) >= 200);
	assert_true(rights >= 200);
}

/* --- builders and tables --------------------------------------------------------- */

static void
builders_make_what_the_parser_reads(void **state)
{
	(void)state;
	char out[TOPIC_TEXT + 1];
	struct uuid me = id(ME), shop = id(SHOP);
	struct topic t;

	size_t n = topic_inbox(&me, out);

	assert_int_equal(n, strlen(out));
	assert_string_equal(out, "u/" ME "/in");
	topic_ephemeral(&me, out);
	assert_string_equal(out, "u/" ME "/eph");
	topic_device(&me, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), out);
	assert_true(topic_parse(str_of(out), &t));
	assert_int_equal(t.kind, TOPIC_DEVICE);
	topic_shop(&shop, out);
	assert_string_equal(out, "s/" SHOP "/in");
	topic_uplink_prefix(&me, out);
	assert_string_equal(out, "up/7/" ME);
	for (enum uplink_verb verb = 0; verb < UPLINK_VERBS; verb++) {
		topic_uplink(&me, verb, out);
		assert_true(topic_parse(str_of(out), &t));
		assert_int_equal(t.kind, TOPIC_UPLINK);
		assert_int_equal(t.verb, verb);
	}
}

static void
fresh_ids_spread_over_the_shards(void **state)
{
	(void)state;
	unsigned seen = 0;

	for (int i = 0; i < 1000; i++) {
		struct uuid u = uuid_new();
		const char *digit = strchr("0123456789abcdef", topic_shard(&u));

		assert_non_null(digit);
		seen |= 1u << (digit - "0123456789abcdef");
	}
	assert_int_equal(seen, 0xFFFF);
}

static void
roles_are_those_of_the_token(void **state)
{
	(void)state;
	for (unsigned role = 1; role < TR_BACKEND; role <<= 1) {
		struct topic t;
		const char *name = role_name((enum role)role);

		assert_true(*name);
		assert_true(topic_parse(str_of(arena_printf(arena, "b/role/%s", name)), &t));
		assert_int_equal(t.role, role);
	}
	assert_int_equal(TR_USERS, TR_BACKEND - 1);
}

static void
check_fields(const struct event_info *e)
{
	assert_true(e->topics != 0 && *e->doc && e->field_count > 0);
	for (size_t i = 0; i < e->field_count; i++) {
		const struct event_field *f = &e->fields[i];

		assert_true(*f->name && *f->doc);
		assert_null(strchr(f->name, '_'));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(f->name, e->fields[j].name);
	}
}

static void
every_topic_carries_a_documented_message(void **state)
{
	unsigned carried = 0;
	size_t n;
	const struct event_info *e = event_rows(&n);

	(void)state;

	for (size_t i = 0; i < n; i++) {
		check_fields(&e[i]);
		assert_ptr_equal(event_by_type(str_of(e[i].type)), &e[i]);
		/* The feed is the inbox: what is durable is there, and only that. */
		assert_int_equal(e[i].durable, (e[i].topics & 1u << TOPIC_INBOX) != 0);
		carried |= e[i].topics;
	}
	for (enum uplink_verb verb = 0; verb < UPLINK_VERBS; verb++) {
		check_fields(uplink_row(verb));
		assert_string_equal(uplink_row(verb)->type, uplink_verb_name(verb));
		carried |= uplink_row(verb)->topics;
	}
	e = control_rows(&n);
	for (size_t i = 0; i < n; i++) {
		check_fields(&e[i]);
		carried |= e[i].topics;
	}
	for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
		const struct topic_info *info = topic_info(kind);

		assert_true(*info->name && *info->doc && info->qos <= 1);
		if (!(carried & 1u << kind))
			fail_msg("%s carries nothing", info->name);
	}
	assert_null(event_by_type(STR("message:stolen")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_passes_only_inside_its_grant),
		cmocka_unit_test(a_subset_never_matches_more_than_its_grant),
		cmocka_unit_test(a_trailing_wildcard_matches_its_parent_and_all_below),
		cmocka_unit_test(only_rows_of_the_table_are_topics),
		cmocka_unit_test(parsing_tells_whose_topic_it_is),
		cmocka_unit_test_setup_teardown(
			grants_reach_exactly_what_the_role_may, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(rows_and_grants_agree, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(
			every_granted_filter_is_valid_and_plausible, open_arena, close_arena),
		cmocka_unit_test(a_token_cannot_claim_more_than_the_table),
		cmocka_unit_test(the_truth_table_is_large_enough),
		cmocka_unit_test(builders_make_what_the_parser_reads),
		cmocka_unit_test(fresh_ids_spread_over_the_shards),
		cmocka_unit_test_setup_teardown(
			roles_are_those_of_the_token, open_arena, close_arena),
		cmocka_unit_test(every_topic_carries_a_documented_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
