/* realtime/plugin: rights, and the last will */
#include "plugin/acl.h"

#include "broker.h"

/* --- rights ------------------------------------------------------------------------------ */

enum side { SUB = MOSQ_ACL_SUBSCRIBE, READ = MOSQ_ACL_READ, WRITE = MOSQ_ACL_WRITE };

static const struct right {
	enum side side;
	const char *topic;
	bool anna, seller, admin, program;
} rights[] = {
	{ SUB, "u/" ANNA "/#", true, false, false, false },
	{ SUB, "u/" ANNA "/in", true, false, false, false },
	{ SUB, "u/" BERT "/#", false, true, false, false },
	{ SUB, "u/+/in", false, false, false, false },
	{ SUB, "u/#", false, false, false, false },
	{ SUB, "#", false, false, false, false },
	{ SUB, "+/#", false, false, false, false },
	{ SUB, "$SYS/#", false, false, false, false },
	{ SUB, "$SYS/broker/clients/connected", false, false, false, false },
	{ SUB, "$CONTROL/#", false, false, false, false },
	{ SUB, "$share/g/u/" ANNA "/#", false, false, false, false },
	{ SUB, "$share/g/up/#", false, false, false, false },
	{ SUB, "b/all", true, true, true, false },
	{ SUB, "b/#", false, false, false, false },
	{ SUB, "b/role/client", true, false, false, false },
	{ SUB, "b/role/seller", false, true, false, false },
	{ SUB, "b/role/admin", false, false, true, false },
	{ SUB, "s/" SHOP "/#", false, true, false, false },
	{ SUB, "s/" ANNA "/#", false, false, false, false },
	{ SUB, "a/#", false, false, true, false },
	{ SUB, "a/mod", false, false, true, false },
	{ SUB, "up/#", false, false, false, true },
	{ SUB, "up/7/" ANNA "/#", false, false, false, true },
	{ SUB, "sys/#", false, false, false, true },
	{ READ, "u/" ANNA "/in", true, false, false, false },
	{ READ, "u/" ANNA "/d/other", true, false, false, false },
	{ READ, "u/" BERT "/in", false, true, false, false },
	{ READ, "$SYS/broker/uptime", false, false, false, false },
	{ READ, "b/all", true, true, true, false },
	{ READ, "b/role/admin", false, false, true, false },
	{ READ, "s/" SHOP "/in", false, true, false, false },
	{ READ, "a/stats", false, false, true, false },
	{ READ, "up/7/" ANNA "/send", false, false, false, true },
	{ READ, "sys/pres", false, false, false, true },
	{ WRITE, "up/7/" ANNA "/send", true, false, false, false },
	{ WRITE, "up/7/" ANNA "/typing", true, false, false, false },
	{ WRITE, "up/7/" ANNA "/bye", true, false, false, false },
	{ WRITE, "up/7/" ANNA "/root", false, false, false, false },
	{ WRITE, "up/7/" ANNA "/send/x", false, false, false, false },
	{ WRITE, "up/7/" ANNA, false, false, false, false },
	{ WRITE, "up/8/" ANNA "/send", false, false, false, false },
	{ WRITE, "up/8/" BERT "/send", false, true, false, false },
	{ WRITE, "u/" ANNA "/in", false, false, false, true },
	{ WRITE, "u/" BERT "/in", false, false, false, true },
	{ WRITE, "s/" SHOP "/in", false, false, false, true },
	{ WRITE, "b/all", false, false, false, true },
	{ WRITE, "a/mod", false, false, false, true },
	{ WRITE, "sys/kick", false, false, false, true },
	{ WRITE, "sys/pres", false, false, false, true },
	{ WRITE, "$SYS/x", false, false, false, false },
	{ WRITE, "$CONTROL/dynamic-security/v1", false, false, false, false },
	{ WRITE, "x", false, false, false, false },
};

static void
everybody_has_exactly_their_rights(void **state)
{
	(void)state;
	struct claims seller = claims_of(BERT, "web", ROLE_SELLER);
	struct claims admin = claims_of("01890a5d-ac96-774b-bcce-b302099a8059", "web", ROLE_ADMIN);
	struct mosquitto *who[4] = { online(device(ANNA, "phone")), online(client_with(&seller)),
		online(client_with(&admin)), backend() };

	for (size_t i = 0; i < COUNT(rights); i++) {
		const struct right *r = &rights[i];
		bool expected[4] = { r->anna, r->seller, r->admin, r->program };

		for (size_t j = 0; j < 4; j++) {
			if (may(who[j], (int)r->side, r->topic) != expected[j])
				fail_msg("%zu: access %d to %s", j, (int)r->side, r->topic);
			assert_true(may(who[j], MOSQ_ACL_UNSUBSCRIBE, r->topic));
		}
	}
	assert_false(may(who[0], 0x40, "u/" ANNA "/in"));
}

static void
strangers_have_no_rights(void **state)
{
	(void)state;
	struct mosquitto *c = device(ANNA, "phone");

	assert_false(may(c, MOSQ_ACL_READ, "u/" ANNA "/in"));
	assert_false(may(c, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
	assert_false(may(c, MOSQ_ACL_WRITE, "up/7/" ANNA "/send"));
	assert_true(may(c, MOSQ_ACL_UNSUBSCRIBE, "u/" ANNA "/#"));
	online(c);
	drop(c);
	assert_false(may(c, MOSQ_ACL_READ, "u/" ANNA "/in"));
	assert_false(may(c, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
	assert_false(may(c, MOSQ_ACL_WRITE, "up/7/" ANNA "/send"));
}

static void
nobody_publishes_retained_or_with_qos_2(void **state)
{
	(void)state;
	struct mosquitto *anna = online(device(ANNA, "phone")), *program = backend();

	assert_int_equal(write_as(anna, "up/7/" ANNA "/send", 1, false), MOSQ_ERR_SUCCESS);
	assert_int_equal(write_as(anna, "up/7/" ANNA "/send", 2, false), MOSQ_ERR_ACL_DENIED);
	assert_int_equal(write_as(anna, "up/7/" ANNA "/send", 1, true), MOSQ_ERR_ACL_DENIED);
	assert_int_equal(write_as(program, "u/" ANNA "/in", 1, false), MOSQ_ERR_SUCCESS);
	assert_int_equal(write_as(program, "u/" ANNA "/in", 2, false), MOSQ_ERR_ACL_DENIED);
	assert_int_equal(write_as(program, "u/" ANNA "/in", 1, true), MOSQ_ERR_ACL_DENIED);
}

static int
send_many(struct mosquitto *c, int n)
{
	int passed = 0;

	for (int i = 0; i < n; i++)
		passed += may(c, MOSQ_ACL_WRITE, "up/7/" ANNA "/send");
	return passed;
}

static void
uplinks_have_a_rate_the_programs_have_none(void **state)
{
	(void)state;
	struct mosquitto *anna = online(device(ANNA, "phone")), *program = backend();

	assert_int_equal(send_many(anna, 100), 60);
	now.us += 1000000;
	assert_int_equal(send_many(anna, 100), 5);
	now.us += 199999;
	assert_int_equal(send_many(anna, 1), 0);
	now.us += 1;
	assert_int_equal(send_many(anna, 2), 1);
	now.us += 100 * 1000000;
	tick();
	assert_int_equal(send_many(anna, 100), 60);
	for (int i = 0; i < 1000; i++)
		assert_true(may(program, MOSQ_ACL_WRITE, "u/" ANNA "/in"));
}

static void
all_devices_of_a_user_share_one_rate(void **state)
{
	(void)state;
	struct mosquitto *phone = online(device(ANNA, "phone")), *web = online(device(ANNA, "web"));

	assert_int_equal(send_many(phone, 40), 40);
	assert_int_equal(send_many(web, 40), 20);
	assert_int_equal(send_many(phone, 1), 0);
	/* Whoever comes later finds what is left, also after the one who sent is gone. */
	drop(phone);
	assert_int_equal(send_many(online(device(ANNA, "tablet")), 1), 0);
	drop(web);
	now.us += 1000000;
	assert_int_equal(send_many(online(device(ANNA, "phone")), 100), 5);
	assert_true(may(online(device(BERT, "phone")), MOSQ_ACL_WRITE, "up/8/" BERT "/send"));
}

static void
subscriptions_are_bounded(void **state)
{
	(void)state;
	struct mosquitto *c = online(device(ANNA, "phone"));

	c->sub_count = 31;
	assert_true(may(c, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
	c->sub_count = 32;
	assert_false(may(c, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
}

/* --- the last will, and pointers ---------------------------------------------------------- */

static void
a_last_will_may_only_say_bye(void **state)
{
	(void)state;
	static const struct {
		const char *topic;
		bool sent;
	} wills[] = {
		{ "up/7/" ANNA "/bye", true },
		{ "up/7/" ANNA "/send", false },
		{ "up/8/" BERT "/bye", false },
		{ "u/" BERT "/in", false },
		{ "u/" ANNA "/in", false },
		{ "sys/kick", false },
		{ "$CONTROL/dynamic-security/v1", false },
	};

	for (size_t i = 0; i < COUNT(wills); i++) {
		struct mosquitto *c = device(ANNA, "phone");

		c->will = wills[i].topic;
		online(c);
		drop(c);
		assert_int_equal(c->will_sent, wills[i].sent);
	}
	/* Programs need none. */
	struct mosquitto *program = backend();

	program->will = "u/" ANNA "/in";
	drop(program);
	assert_false(program->will_sent);
}

static void
a_closed_connection_is_forgotten_at_the_next_tick(void **state)
{
	(void)state;
	struct mosquitto *c = online(device(ANNA, "phone"));

	drop(c);
	assert_true(may(c, MOSQ_ACL_WRITE, "up/7/" ANNA "/bye"));
	tick();
	assert_false(may(c, MOSQ_ACL_WRITE, "up/7/" ANNA "/bye"));
}

static void
a_pointer_that_is_used_again_is_a_new_connection(void **state)
{
	(void)state;
	struct mosquitto *c = online(device(ANNA, "phone"));
	struct mosquitto *fresh = device(BERT, "web");

	drop(c);
	memcpy(c, fresh, sizeof(*c));
	online(c);
	assert_true(may(c, MOSQ_ACL_SUBSCRIBE, "u/" BERT "/#"));
	assert_false(may(c, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
	pass();
	assert_true(may(c, MOSQ_ACL_READ, "u/" BERT "/in"));

	/* The same when a refusal follows: nothing of the old one remains. */
	drop(c);
	snprintf(c->password, sizeof(c->password), "bad");
	assert_false(login(c));
	assert_false(may(c, MOSQ_ACL_WRITE, "up/8/" BERT "/bye"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_plugin, stop_plugin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(everybody_has_exactly_their_rights),
		T(strangers_have_no_rights),
		T(nobody_publishes_retained_or_with_qos_2),
		T(uplinks_have_a_rate_the_programs_have_none),
		T(all_devices_of_a_user_share_one_rate),
		T(subscriptions_are_bounded),
		T(a_last_will_may_only_say_bye),
		T(a_closed_connection_is_forgotten_at_the_next_tick),
		T(a_pointer_that_is_used_again_is_a_new_connection),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
