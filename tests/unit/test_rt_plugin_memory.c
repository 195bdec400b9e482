/* realtime/plugin: every allocation of a callback fails in turn */
#include "plugin/plugin.h"

#include "broker.h"

/* --- memory fails ----------------------------------------------------------------------------- */

/* Every allocation of a login fails in turn; `good` logins may only be refused, bad ones never
 * pass. */
static void
torture_login(struct mosquitto *(*make)(void), bool good)
{
	for (long i = 0;; i++) {
		struct mosquitto *c = make();
		size_t live = broker.client_n;

		memory.failed = false;
		memory.until_failure = i;
		int rc = ask_login(c);

		memory.until_failure = -1;
		assert_true(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_AUTH);
		if (!good)
			assert_int_equal(rc, MOSQ_ERR_AUTH);
		assert_int_equal(may(c, MOSQ_ACL_READ, "u/" ANNA "/in"), rc == MOSQ_ERR_SUCCESS);
		report_end(c);
		tick();
		broker.log_n = 0;
		assert_int_equal(broker.client_n, live);
		free(broker.clients[--broker.client_n]);
		forget_published();
		if (!memory.failed) {
			assert_int_equal(rc == MOSQ_ERR_SUCCESS, good);
			assert_true(i > 10);
			return;
		}
	}
}

static struct mosquitto *
make_good(void)
{
	return device(ANNA, "phone");
}

static struct mosquitto *
make_forged(void)
{
	struct mosquitto *c = device(ANNA, "phone");
	char *p = c->password + strlen(c->password) - 30;

	*p = *p == 'A' ? 'B' : 'A';
	return c;
}

static struct mosquitto *
make_greedy(void)
{
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);

	c.sub_acl[c.sub_acl_n++] = STR("u/#");
	return client_with(&c);
}

static struct mosquitto *
make_foreign(void)
{
	struct mosquitto *c = device(BERT, "phone");

	snprintf(c->id, sizeof(c->id), "%s", ANNA "_phone");
	return c;
}

static void
a_login_without_memory_is_refused(void **state)
{
	(void)state;
	torture_login(make_good, true);
	torture_login(make_forged, false);
	torture_login(make_greedy, false);
	torture_login(make_foreign, false);
}

/* Whatever fails, the revoked connection is gone and its token refused. */
static void
a_kick_without_memory_kicks_more_not_less(void **state)
{
	(void)state;
	struct mosquitto *program = backend();

	for (long i = 0;; i++) {
		pass_time(2);
		tick();
		struct mosquitto *phone = online(device(ANNA, "phone"));

		memory.failed = false;
		memory.until_failure = i;
		kick(program, ANNA, "*", now.s);
		memory.until_failure = -1;
		bool failed = memory.failed;

		pass();
		pass();
		assert_false(phone->online);
		assert_false(login(device(ANNA, "phone")));
		assert_true(may(program, MOSQ_ACL_WRITE, "sys/kick"));
		for (size_t j = broker.client_n; j-- > 1;)
			free(broker.clients[j]);
		broker.client_n = 1;
		broker.log_n = 0;
		forget_published();
		if (!failed) {
			assert_true(i > 5);
			return;
		}
	}
}

static void
ticks_ends_and_rights_need_no_memory(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);

	c.exp = now.s + 10;
	struct mosquitto *phone = online(client_with(&c)), *web = online(device(ANNA, "web"));

	for (int i = 0; i < 700; i++) {
		memory.until_failure = 0;
		assert_true(may(web, MOSQ_ACL_READ, "u/" ANNA "/in"));
		assert_true(may(web, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
		now.us += 100000;
		now.s += i % 10 == 0;
		tick();
		/* The broker's own copy of a notice may fail; the connection ends all the same. */
	}
	memory.until_failure = 0;
	report_end(web);
	memory.until_failure = -1;
	assert_false(phone->online);
	assert_false(may(web, MOSQ_ACL_READ, "u/" ANNA "/in"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_plugin, stop_plugin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_login_without_memory_is_refused),
		T(a_kick_without_memory_kicks_more_not_less),
		T(ticks_ends_and_rights_need_no_memory),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
