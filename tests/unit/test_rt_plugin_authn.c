/* realtime/plugin: who is let in, at start, at login and after a reload */
#include "plugin/authn.h"

#include "broker.h"

/* --- logins ---------------------------------------------------------------------------- */

static void
a_token_opens_its_own_client_id_only(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);
	const char *token = sign(&c);

	assert_true(login(client(ANNA "_phone", ANNA, token)));
	assert_false(login(client(BERT "_phone", ANNA, token)));
	assert_false(login(client(ANNA "_web", ANNA, token)));
	assert_false(login(client(ANNA "-phone", ANNA, token)));
	assert_false(login(client(ANNA "_phone2", ANNA, token)));
	assert_false(login(client(ANNA, ANNA, token)));
	assert_false(login(client("", ANNA, token)));
	assert_false(login(client(ANNA "_phone", BERT, token)));
	assert_false(login(client(ANNA "_phone", BACKEND_USERNAME, token)));
	assert_false(login(client(ANNA "_phone", "", token)));
	assert_false(login(client(ANNA "_phone", ANNA, "")));
	assert_true(logged("is not that of the token"));
}

static void
a_spoilt_token_does_not_open(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);
	char *token = arena_printf(arena, "%s", sign(&c));
	size_t n = strlen(token);
	char too_long[TOKEN_MAX + 32];

	token[n - 20] = token[n - 20] == 'A' ? 'B' : 'A';
	assert_false(login(client(ANNA "_phone", ANNA, token)));
	assert_false(login(client(ANNA "_phone", ANNA, "x.y.z")));
	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	assert_false(login(client(ANNA "_phone", ANNA, too_long)));
}

static void
a_token_of_the_api_does_not_open(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);

	snprintf(c.aud, sizeof(c.aud), "api");
	assert_false(login(client_with(&c)));
	assert_true(logged("meant for another service"));
}

static void
an_expired_token_does_not_open(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);

	c.iat -= 3700;
	c.exp -= 3700;
	assert_false(login(client_with(&c)));
	assert_true(logged("expired"));
}

static void
a_durable_session_is_refused(void **state)
{
	(void)state;
	struct mosquitto *c = device(ANNA, "phone");

	c->durable = true;
	assert_false(login(c));
	assert_true(logged("durable session"));
	c = client("plaza-relay-1", BACKEND_USERNAME, SECRET);
	c->durable = true;
	assert_false(login(c));
}

static void
the_programs_need_the_secret(void **state)
{
	(void)state;
	assert_true(login(client("any", BACKEND_USERNAME, SECRET)));
	assert_false(login(client("any", BACKEND_USERNAME, SECRET "x")));
	assert_false(login(client("any", BACKEND_USERNAME, "a-secret-of-the-program")));
	assert_false(login(client("any", "plaza-backend2", SECRET)));
	assert_true(logged("wrong secret"));
	assert_false(logged(SECRET));
}

static void
a_token_that_claims_too_much_is_refused(void **state)
{
	(void)state;
	static const char *const filters[] = { "u/#", "u/" BERT "/#", "up/#", "sys/#", "a/#",
		"s/" SHOP "/#", "b/role/admin", "#", "+/+/in", "$SYS/#" };

	for (size_t i = 0; i < COUNT(filters); i++) {
		struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);

		c.sub_acl[c.sub_acl_n++] = str_of(filters[i]);
		assert_false(login(client_with(&c)));
		c = claims_of(ANNA, "phone", ROLE_CLIENT);
		c.pub_acl[c.pub_acl_n++] = str_of(filters[i]);
		assert_false(login(client_with(&c)));
	}
	assert_true(logged("claims topics"));
}

static void
the_devices_of_a_user_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < DEVICES_PER_USER + 1; i++)
		assert_int_equal(
			login(device(ANNA, arena_printf(arena, "d%d", i))), i < DEVICES_PER_USER);
	/* A device that is there may come again. */
	assert_true(login(device(ANNA, "d3")));
	assert_true(login(device(BERT, "d1")));
}

static void
without_ticks_nobody_is_let_in(void **state)
{
	(void)state;
	pass_time(11);
	assert_false(login(device(ANNA, "phone")));
	assert_true(logged("per_listener_settings"));
	tick();
	assert_true(login(device(ANNA, "phone")));
}

static void
nothing_of_a_client_reaches_the_log_raw(void **state)
{
	(void)state;
	struct claims c = claims_of(ANNA, "phone", ROLE_CLIENT);
	const char *token = sign(&c);

	assert_false(login(client("evil\n2030: forged line\x1b[31m\xff", ANNA, token)));
	assert_true(logged("evil?2030: forged line?[31m?"));
	assert_false(logged(token));
	assert_null(strchr(broker.log, '\x1b'));

	/* A flood is counted, not written. */
	struct mosquitto *flood = client("flood", ANNA, "bad");

	for (int i = 0; i < 200; i++)
		assert_false(login(flood));
	pass_time(1);
	tick();
	assert_false(login(flood));
	assert_true(logged("lines were not written"));
}

/* --- reload ------------------------------------------------------------------------------- */

/* SIGHUP: the event, then a login of every known session, then the tick. Counts who is ended. */
static int
reload(void)
{
	struct mosquitto_evt_reload ed = { .option_count = 0 };
	int ended = 0;

	assert_int_equal(broker.fn[MOSQ_EVT_RELOAD](MOSQ_EVT_RELOAD, &ed, broker.userdata),
		MOSQ_ERR_SUCCESS);
	for (size_t i = 0; i < broker.client_n; i++) {
		if (ask_login(broker.clients[i]) == MOSQ_ERR_SUCCESS)
			continue;
		ended++;
		if (!broker.clients[i]->online)
			broker.phantom_kicks++;
		broker.clients[i]->online = false;
		report_end(broker.clients[i]);
	}
	return ended;
}

static void
a_reload_keeps_who_is_there(void **state)
{
	(void)state;
	struct mosquitto *phone = online(device(ANNA, "phone")), *program = backend();
	struct mosquitto *offline = online(device(BERT, "web"));

	drop(offline);
	pass();
	forget_published();
	assert_int_equal(reload(), 0);
	assert_int_equal(broker.out_n, 0);
	assert_true(logged("were read again"));
	/* The broker may keep the session; it has no rights. */
	assert_false(may(offline, MOSQ_ACL_READ, "u/" BERT "/in"));
	tick();
	assert_true(may(phone, MOSQ_ACL_READ, "u/" ANNA "/in"));
	assert_true(may(program, MOSQ_ACL_READ, "sys/pres"));
}

static void
a_session_that_ended_in_the_pass_of_the_reload_stays(void **state)
{
	(void)state;
	drop(online(device(ANNA, "phone")));
	assert_int_equal(reload(), 0);
}

static void
a_websocket_that_comes_during_a_reload_is_judged(void **state)
{
	(void)state;
	assert_int_equal(reload(), 0);
	struct mosquitto *good = device(ANNA, "web"), *bad = device(BERT, "web");

	good->websocket = bad->websocket = true;
	bad->password[0] = 'x';
	assert_true(login(good));
	assert_false(login(bad));
	assert_true(may(good, MOSQ_ACL_SUBSCRIBE, "u/" ANNA "/#"));
}

static void
a_reload_ends_who_lost_the_right(void **state)
{
	(void)state;
	struct mosquitto *program = backend(), *phone = online(device(ANNA, "phone"));

	write_text("secret", "another-secret-of-the-programs\n");
	write_text("revocations", ANNA " phone 1800000000\n");
	assert_int_equal(reload(), 2);
	assert_false(program->online);
	assert_false(phone->online);
	tick();
	assert_false(login(client("p", BACKEND_USERNAME, SECRET)));
	assert_true(login(client("p", BACKEND_USERNAME, "another-secret-of-the-programs")));
}

static void
a_reload_that_fails_changes_nothing(void **state)
{
	(void)state;
	struct mosquitto *program = backend();

	write_text("plaza.conf", "no such key\n");
	assert_int_equal(reload(), 0);
	assert_true(logged("stay in use"));
	tick();
	assert_true(program->online);
	assert_true(login(device(ANNA, "phone")));
}

static void
a_key_that_was_taken_away_ends_its_tokens(void **state)
{
	(void)state;
	struct mosquitto *phone = online(device(ANNA, "phone"));

	run_command(arena_printf(arena, "mv %s %s.kept", path("keys"), path("keys")));
	assert_int_equal(mkdir(path("keys"), 0700), 0);
	struct err err;

	err_clear(&err);
	assert_int_equal(token_keys_generate(path("keys"), &err), P_OK);
	assert_int_equal(reload(), 1);
	assert_false(phone->online);
	run_command(arena_printf(
		arena, "rm -r %s && mv %s.kept %s", path("keys"), path("keys"), path("keys")));
}

/* --- start -------------------------------------------------------------------------------- */

static void
a_plugin_that_cannot_judge_does_not_start(void **state)
{
	(void)state;
	struct mosquitto_opt good = { (char *)"conf", (char *)path("plaza.conf") };
	struct mosquitto_opt unknown[] = { good, { (char *)"confg", (char *)"x" } };
	struct mosquitto_opt missing = { (char *)"conf", (char *)path("nowhere.conf") };
	struct plugin *running = plugin;

	assert_int_not_equal(start_with(NULL, 0), MOSQ_ERR_SUCCESS);
	assert_int_not_equal(start_with(unknown, 2), MOSQ_ERR_SUCCESS);
	assert_int_not_equal(start_with(&missing, 1), MOSQ_ERR_SUCCESS);
	write_text("secret", "short\n");
	assert_int_not_equal(start_with(&good, 1), MOSQ_ERR_SUCCESS);
	write_text("secret", SECRET "\n");
	assert_int_equal(chmod(path("secret"), 0644), 0);
	assert_int_not_equal(start_with(&good, 1), MOSQ_ERR_SUCCESS);
	assert_int_equal(chmod(path("secret"), 0600), 0);
	plugin = running;
}

static void
the_plugin_speaks_version_5_only(void **state)
{
	(void)state;
	const int some[] = { 2, 3, 4, 5 }, old[] = { 2, 3, 4 };

	assert_int_equal(mosquitto_plugin_version(4, some), 5);
	assert_int_equal(mosquitto_plugin_version(3, old), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_plugin, stop_plugin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_token_opens_its_own_client_id_only),
		T(a_spoilt_token_does_not_open),
		T(a_token_of_the_api_does_not_open),
		T(an_expired_token_does_not_open),
		T(a_durable_session_is_refused),
		T(the_programs_need_the_secret),
		T(a_token_that_claims_too_much_is_refused),
		T(the_devices_of_a_user_are_bounded),
		T(without_ticks_nobody_is_let_in),
		T(nothing_of_a_client_reaches_the_log_raw),
		T(a_reload_keeps_who_is_there),
		T(a_session_that_ended_in_the_pass_of_the_reload_stays),
		T(a_websocket_that_comes_during_a_reload_is_judged),
		T(a_reload_ends_who_lost_the_right),
		T(a_reload_that_fails_changes_nothing),
		T(a_key_that_was_taken_away_ends_its_tokens),
		T(a_plugin_that_cannot_judge_does_not_start),
		cmocka_unit_test(the_plugin_speaks_version_5_only),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
