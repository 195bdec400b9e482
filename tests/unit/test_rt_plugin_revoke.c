/* realtime/plugin: the ends of connections, by expiry and by revocation */
#include "plugin/revoke.h"

#include "broker.h"

/* --- expiry ------------------------------------------------------------------------------- */

static void
a_token_warns_then_ends_its_connection(void **state)
{
	(void)state;
	struct mosquitto *c = online(device(ANNA, "phone"));
	const char *topic = "u/" ANNA "/d/phone";

	pass_time(3600 - 61);
	pass();
	assert_int_equal(published(topic, "auth:expiring"), 0);
	pass_time(1);
	pass();
	pass();
	assert_int_equal(published(topic, "auth:expiring"), 1);
	assert_non_null(strstr(c->last, "\"d\":{\"exp\":1800003600}}"));
	assert_non_null(strstr(c->last, "{\"v\":1,\"t\":\"auth:expiring\",\"id\":\""));
	assert_int_equal(published_qos(topic, "auth:expiring"), 1);

	pass_time(60 + 29);
	pass();
	assert_true(may(c, MOSQ_ACL_READ, "u/" ANNA "/in"));
	pass_time(1);
	pass();
	assert_false(may(c, MOSQ_ACL_READ, "u/" ANNA "/in"));
	assert_false(may(c, MOSQ_ACL_WRITE, "up/7/" ANNA "/send"));
	assert_false(may(c, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
	pass();
	pass();
	assert_false(c->online);
	assert_int_equal(broker.kicks, 1);
	assert_int_equal(published(topic, "auth:expiring"), 1);
	pass();
	assert_int_equal(broker.kicks, 1);
}

static void
a_short_token_warns_after_the_subscription(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);

	c.exp = now.s + 10;
	struct mosquitto *phone = online(client_with(&c));

	pass();
	assert_int_equal(published("u/" ANNA "/d/phone", "auth:expiring"), 0);
	pass_time(2);
	pass();
	assert_int_equal(published("u/" ANNA "/d/phone", "auth:expiring"), 1);
	/* The machine slept. */
	pass_time(10000);
	pass();
	pass();
	pass();
	assert_false(phone->online);
}

static void
a_renewed_connection_outlives_the_old_token(void **state)
{
	(void)state;
	struct mosquitto *old = device(ANNA, "web");

	old->websocket = true;
	online(old);
	pass_time(3000);
	pass();
	struct mosquitto *fresh = device(ANNA, "web");

	fresh->websocket = true;
	online(fresh);
	/* The old socket lingers; its end of life must not touch the new one. */
	assert_true(old->online);
	pass_time(700);
	for (int i = 0; i < 5; i++)
		pass();
	assert_int_equal(broker.kicks, 0);
	assert_int_equal(published("u/" ANNA "/d/web", "auth:expiring"), 0);
	forget_published();
	drop(old);
	assert_int_equal(broker.out_n, 0);
	assert_true(fresh->online);
	assert_true(may(fresh, MOSQ_ACL_READ, "u/" ANNA "/in"));
}

static void
many_expiries_are_spread_over_ticks(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);
	struct mosquitto *crowd[60];

	for (int i = 0; i < 60; i++) {
		c = claims_of(
			arena_printf(arena, "01890a5d-ac96-774b-bcce-%012d", i), "d", ROLE_CLIENT);
		c.exp -= i * 7 % 13; /* the heap has to sort them */
		crowd[i] = online(client_with(&c));
	}
	pass_time(3630);
	pass();
	assert_true(broker.kicks <= 32);
	for (int i = 0; i < 8; i++) {
		int before = broker.kicks;

		pass();
		assert_in_range(broker.kicks - before, 0, 32);
	}
	assert_int_equal(broker.kicks, 60);
	for (int i = 0; i < 60; i++)
		assert_false(crowd[i]->online);
}

/* --- revocation ------------------------------------------------------------------------------ */

static void
a_kick_ends_all_devices_within_two_ticks(void **state)
{
	(void)state;
	struct mosquitto *program = backend();
	struct mosquitto *phone = online(device(ANNA, "phone")), *web = online(device(ANNA, "web"));
	struct mosquitto *bert = online(device(BERT, "phone"));

	kick(program, ANNA, "*", now.s);
	/* At once: no right but to hear why. */
	assert_false(may(phone, MOSQ_ACL_READ, "u/" ANNA "/in"));
	assert_false(may(phone, MOSQ_ACL_READ, "u/" ANNA "/d/web"));
	assert_false(may(phone, MOSQ_ACL_WRITE, "up/7/" ANNA "/send"));
	assert_false(may(phone, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
	assert_true(may(phone, MOSQ_ACL_READ, "u/" ANNA "/d/phone"));
	tick(); /* of the pass that brought the message */
	assert_true(phone->online);
	pass();
	assert_false(phone->online);
	assert_false(web->online);
	assert_true(bert->online);
	assert_non_null(strstr(phone->last, "\"session:revoked\""));
	assert_non_null(strstr(web->last, "\"d\":{\"reason\":\"logout\"}}"));
	assert_null(strstr(bert->last, "session:revoked"));
	assert_int_equal(broker.kicks, 2);
}

static void
a_kick_refuses_older_tokens_and_lets_newer_in(void **state)
{
	(void)state;
	struct mosquitto *program = backend();
	struct mosquitto *before = device(ANNA, "phone");

	pass_time(5);
	tick();
	struct mosquitto *same_second = device(ANNA, "phone");

	kick(program, ANNA, "*", now.s);
	assert_false(login(before));
	assert_true(logged("revoked token"));
	assert_false(login(same_second));
	pass_time(1);
	tick();
	assert_true(login(device(ANNA, "phone")));
	assert_true(login(device(BERT, "phone")));
	/* The newer one is not kicked by the older message either. */
	kick(program, ANNA, "*", now.s - 1);
	pass();
	pass();
	assert_int_equal(broker.kicks, 0);
}

static void
a_kick_of_one_device_leaves_the_others(void **state)
{
	(void)state;
	struct mosquitto *program = backend();
	struct mosquitto *phone = online(device(ANNA, "phone")), *web = online(device(ANNA, "web"));

	kick(program, ANNA, "web", now.s);
	pass();
	pass();
	assert_true(phone->online);
	assert_false(web->online);
	assert_false(login(device(ANNA, "web")));
	assert_true(login(device(ANNA, "phone")));
}

static void
a_connection_that_left_is_not_kicked(void **state)
{
	(void)state;
	struct mosquitto *program = backend();
	struct mosquitto *phone = online(device(ANNA, "phone"));

	kick(program, ANNA, "*", now.s);
	drop(phone);
	pass();
	pass();
	pass();
	assert_int_equal(broker.kicks, 0);
}

static void
only_programs_kick(void **state)
{
	(void)state;
	struct mosquitto *program = backend(), *phone = online(device(ANNA, "phone"));

	kick(phone, ANNA, "*", now.s);
	message_from(program, "u/" ANNA "/in", "{}");
	pass();
	pass();
	assert_true(phone->online);
	assert_true(login(device(ANNA, "web")));
}

static void
an_odd_kick_of_a_user_counts_for_all_its_devices(void **state)
{
	(void)state;
	static const char *const odd[] = { "{\"uid\":\"" ANNA "\"}",
		"{\"uid\":\"" ANNA "\",\"did\":\"*\",\"before\":\"1800000000\"}",
		"{\"uid\":\"" ANNA "\",\"did\":\"*\",\"before\":1.5}",
		"{\"uid\":\"" ANNA "\",\"did\":\"My Phone\",\"before\":1900000000}" };
	struct mosquitto *program = backend(), *bert = online(device(BERT, "phone"));

	for (size_t i = 0; i < COUNT(odd); i++) {
		pass_time(1);
		tick();
		struct mosquitto *phone = online(device(ANNA, "phone"));

		message_from(program, "sys/kick", odd[i]);
		pass();
		pass();
		assert_false(phone->online);
		assert_true(bert->online);
	}
}

static void
a_kick_that_cannot_be_read_concerns_everybody(void **state)
{
	(void)state;
	static const char *const unreadable[] = { "", "{}", "[]", "null", "x",
		"{\"uid\":\"me\",\"did\":\"*\",\"before\":1800000000}",
		"{\"uid\":\"" ANNA "\",\"did\":\"*\",\"before\":1800000000", NULL };
	struct mosquitto *program = backend();
	char *big = arena_alloc(arena, 3000);

	memset(big, ' ', 3000);
	big[2999] = '\0';
	for (size_t i = 0; i < COUNT(unreadable); i++) {
		pass_time(1);
		tick();
		struct mosquitto *anna = online(device(ANNA, "phone"));
		struct mosquitto *bert = online(device(BERT, "phone"));

		message_from(program, "sys/kick", unreadable[i] ? unreadable[i] : big);
		pass();
		pass();
		assert_false(anna->online);
		assert_false(bert->online);
		assert_false(login(device(BERT, "web")));
	}
	assert_true(logged("sys/kick not understood"));
	assert_true(program->online);
}

static void
a_kick_of_the_future_counts_as_now(void **state)
{
	(void)state;
	struct mosquitto *program = backend();

	kick(program, ANNA, "*", now.s * 1000);
	pass_time(1);
	tick();
	assert_true(login(device(ANNA, "phone")));
}

static void
a_strange_reason_is_replaced(void **state)
{
	(void)state;
	struct mosquitto *program = backend();

	online(device(ANNA, "phone"));
	message_from(program, "sys/kick",
		"{\"uid\":\"" ANNA "\",\"did\":\"*\",\"before\":1800000000,\"reason\":\"a\\\"b\"}");
	assert_int_equal(published("u/" ANNA "/d/phone", "{\"reason\":\"revoked\"}"), 1);
}

static struct revocation
row(const char *uid, const char *did, int64_t before)
{
	struct revocation r = { .uid = id(uid), .before = before };

	snprintf(r.did, sizeof(r.did), "%s", did);
	return r;
}

static void
revocations_end_with_their_tokens(void **state)
{
	(void)state;
	struct revocations *r = revocations_new();
	struct revocation what = row(ANNA, "phone", START);

	revocations_add(r, &what, START);
	what.before = START - 100; /* an older message that comes late */
	revocations_add(r, &what, START);
	assert_true(revocations_hit(r, &what.uid, "phone", START));
	assert_false(revocations_hit(r, &what.uid, "phone", START + 1));
	assert_false(revocations_hit(r, &what.uid, "web", START));
	revocations_sweep(r, START + 3660);
	assert_true(revocations_hit(r, &what.uid, "phone", START));
	revocations_sweep(r, START + 3661);
	assert_false(revocations_hit(r, &what.uid, "phone", START));
	revocations_add(r, &what, START + 10000); /* too old to matter */
	assert_false(revocations_hit(r, &what.uid, "phone", START - 100));
	revocations_free(r);
}

static void
a_full_table_forgets_no_revocation(void **state)
{
	(void)state;
	struct revocations *r = revocations_new();
	struct revocation what = row(ANNA, "*", START);
	const uint32_t n = REVOCATIONS_MAX + 100;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(what.uid.b + 8, &i, sizeof(i));
		memcpy(what.uid.b + 12, &i, sizeof(i));
		what.before = START + (int64_t)(i / 1000);
		revocations_add(r, &what, START + 100);
	}
	for (uint32_t i = 0; i < n; i++) {
		memcpy(what.uid.b + 8, &i, sizeof(i));
		memcpy(what.uid.b + 12, &i, sizeof(i));
		assert_true(revocations_hit(r, &what.uid, "d", START + (int64_t)(i / 1000)));
	}
	/* The price: an old token of somebody else. A new one passes. */
	what = row(ANNA, "*", START);
	assert_true(revocations_hit(r, &what.uid, "d", START - 50));
	assert_false(revocations_hit(r, &what.uid, "d", START + 100));
	/* After the sweep the rows serve again. */
	for (int i = 0; i < REVOCATIONS_MAX; i++)
		revocations_sweep(r, START + 10000);
	what.before = START + 10000;
	revocations_add(r, &what, START + 10000);
	assert_true(revocations_hit(r, &what.uid, "d", START + 10000));
	revocations_free(r);
}

static void
restart(void)
{
	assert_int_equal(mosquitto_plugin_cleanup(plugin, NULL, 0), MOSQ_ERR_SUCCESS);
	assert_int_equal(start_plugin(NULL), MOSQ_ERR_SUCCESS);
}

static void
the_list_is_read_before_the_first_login(void **state)
{
	(void)state;
	assert_true(logged("no list of revocations yet"));
	write_text("revocations",
		"# written by plaza-ingest\n\n" ANNA " * 1800000000\n" BERT " web 1800000000\n");
	restart();
	assert_false(login(device(ANNA, "phone")));
	assert_false(login(device(BERT, "web")));
	assert_true(login(device(BERT, "phone")));
}

static void
a_spoilt_list_refuses_all_old_tokens(void **state)
{
	(void)state;
	static const char *const spoilt[] = { ANNA "\n", ANNA " *\n", ANNA " * x\n",
		ANNA " * 1800000000 x\n", "x * 1800000000\n", ANNA " A 1800000000\n",
		ANNA " * 18000", ANNA " * 1800000000" };

	for (size_t i = 0; i < COUNT(spoilt); i++) {
		write_text("revocations", spoilt[i]);
		restart();
		assert_true(logged("all tokens made before now are refused"));
		assert_false(login(device(BERT, "phone")));
		now.s++;
		assert_true(login(device(BERT, "phone")));
		now.s--;
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_plugin, stop_plugin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_token_warns_then_ends_its_connection),
		T(a_short_token_warns_after_the_subscription),
		T(a_renewed_connection_outlives_the_old_token),
		T(many_expiries_are_spread_over_ticks),
		T(a_kick_ends_all_devices_within_two_ticks),
		T(a_kick_refuses_older_tokens_and_lets_newer_in),
		T(a_kick_of_one_device_leaves_the_others),
		T(a_connection_that_left_is_not_kicked),
		T(only_programs_kick),
		T(an_odd_kick_of_a_user_counts_for_all_its_devices),
		T(a_kick_that_cannot_be_read_concerns_everybody),
		T(a_kick_of_the_future_counts_as_now),
		T(a_strange_reason_is_replaced),
		T(revocations_end_with_their_tokens),
		T(a_full_table_forgets_no_revocation),
		T(the_list_is_read_before_the_first_login),
		T(a_spoilt_list_refuses_all_old_tokens),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
