/* realtime/plugin: what sys/pres tells */
#include "plugin/presence.h"

#include <jansson.h>

#include "broker.h"

static void
an_end_that_was_not_told_is_made_good_at_the_next_login(void **state)
{
	(void)state;
	struct mosquitto *c = online(device(ANNA, "phone"));
	struct mosquitto *fresh = device(BERT, "web");

	memcpy(c, fresh, sizeof(*c));
	forget_published();
	online(c);
	assert_int_equal(published("sys/pres", "\"uid\":\"" ANNA "\",\"did\":\"phone\""), 1);
	assert_int_equal(published("sys/pres", "\"up\":false"), 1);
	assert_int_equal(published("sys/pres", "\"uid\":\"" BERT "\""), 1);
}

static void
a_takeover_leaves_the_device_online(void **state)
{
	(void)state;
	struct mosquitto *old = online(device(ANNA, "phone"));

	old->will = "up/7/" ANNA "/bye";
	forget_published();
	pass_time(1);
	struct mosquitto *fresh = online(device(ANNA, "phone"));

	assert_false(old->online);
	assert_true(old->will_sent);
	assert_int_equal(published("sys/pres", "\"up\":true"), 1);
	assert_int_equal(published("sys/pres", "\"up\":false"), 0);
	pass();
	assert_true(may(fresh, MOSQ_ACL_READ, "u/" ANNA "/in"));
	drop(fresh);
	assert_int_equal(published("sys/pres", "\"up\":false"), 1);
	assert_int_equal(published("sys/pres", "\"transport\":\"tcp\""), 2);
}

static void
two_devices_come_and_go_alone(void **state)
{
	(void)state;
	struct mosquitto *phone = online(device(ANNA, "phone"));
	struct mosquitto *web = device(ANNA, "web");

	web->websocket = true;
	online(web);
	assert_int_equal(published("sys/pres", "\"up\":true"), 2);
	assert_int_equal(published("sys/pres", "\"did\":\"web\",\"ctx\":2,\"up\":true"), 1);
	assert_int_equal(published("sys/pres", "\"transport\":\"ws\""), 1);
	drop(phone);
	assert_int_equal(published("sys/pres", "\"did\":\"phone\",\"ctx\":1,\"up\":false"), 1);
	assert_int_equal(published("sys/pres", "\"up\":false"), 1);
	assert_true(may(web, MOSQ_ACL_READ, "u/" ANNA "/in"));
	assert_int_equal(broker.out[0].qos, 0);
}

static void
an_end_that_the_plugin_made_has_its_reason(void **state)
{
	(void)state;
	struct mosquitto *phone = online(device(ANNA, "phone"));

	drop(phone);
	assert_int_equal(published("sys/pres", "\"reason\""), 0);
	online(device(BERT, "web"));
	pass_time(3600 + 30);
	for (int i = 0; i < 4; i++)
		pass();
	assert_int_equal(published("sys/pres", "\"up\":false"), 2);
	assert_int_equal(published("sys/pres", "\"transport\":\"tcp\",\"reason\":\"expired\"}"), 1);
}

static void
phantom_ends_change_nothing(void **state)
{
	(void)state;
	struct mosquitto *c = online(device(ANNA, "phone"));
	struct mosquitto nobody = { .no_id = true };

	forget_published();
	report_end(&nobody);
	drop(c);
	report_end(c); /* a session that is resumed or expires ends a second time */
	assert_int_equal(broker.out_n, 1);
	pass();
	report_end(c);
	assert_int_equal(broker.out_n, 1);
	assert_int_equal(published("sys/pres", "\"up\":false"), 1);
}

static void
the_programs_have_no_presence(void **state)
{
	(void)state;
	drop(backend());
	assert_int_equal(broker.out_n, 0);
}

static void
the_snapshot_names_every_device_once_a_minute(void **state)
{
	(void)state;
	struct mosquitto *old = device(ANNA, "phone");

	old->websocket = true;
	online(old);
	online(device(ANNA, "phone")); /* superseded: told once */
	for (int i = 0; i < 50; i++)
		online(device(arena_printf(arena, "01890a5d-ac96-774b-bcce-%012d", i), "d"));
	backend();
	forget_published();
	for (int i = 0; i < 595; i++)
		pass();
	assert_int_equal(broker.out_n, 0);
	for (int i = 0; i < 100; i++)
		pass();
	size_t live = 0;

	for (size_t i = 0; i < broker.out_n; i++) {
		struct err err;
		json_t *v = json_loads(broker.out[i].payload, 0, NULL);

		err_clear(&err);
		assert_string_equal(broker.out[i].topic, "sys/pres");
		assert_non_null(v);
		live += json_array_size(json_object_get(v, "live"));
		json_decref(v);
	}
	assert_int_equal(live, 51);
	assert_int_equal(published("sys/pres", ANNA), 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start_plugin, stop_plugin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_end_that_was_not_told_is_made_good_at_the_next_login),
		T(a_takeover_leaves_the_device_online),
		T(two_devices_come_and_go_alone),
		T(an_end_that_the_plugin_made_has_its_reason),
		T(phantom_ends_change_nothing),
		T(the_programs_have_no_presence),
		T(the_snapshot_names_every_device_once_a_minute),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
