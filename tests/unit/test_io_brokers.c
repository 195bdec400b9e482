/* fcgi/io/brokers on pretended connections, which confirm and refuse when the test wants it */
#include "io/brokers.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "unit.h"

#define SENT_MAX (2 * BROKERS_ROWS_MAX)
#define HOSTS "a,b,c"
#define PORTS "1,2,3"
/* Users by their broker, of three. */
#define USER0 "01900000-0000-7000-8000-000000000000"
#define USER1 "01900000-0000-7000-8000-0000ffffff01"
#define USER2 "01900000-0000-7000-8000-000000000002"
#define LINE(id, user) id "\x1fu/" user "/in\x1fx\x1e"

/* ---- the pretended connection ---- */

struct mqtt {
	char topics[8][64];
	int64_t tags[SENT_MAX];
	size_t sent;
	size_t first, last; /* confirmed and not taken */
	int64_t confirmed[SENT_MAX];
	bool refuses;
	bool up;
};

struct mqtt *__wrap_mqtt_new(const struct mqtt_options *o);
void __wrap_mqtt_stop(struct mqtt *m);
void __wrap_mqtt_free(struct mqtt *m);
bool __wrap_mqtt_connected(const struct mqtt *m);
bool __wrap_mqtt_publish(
	struct mqtt *m, struct str topic, struct str payload, int qos, int64_t tag);
size_t __wrap_mqtt_confirmed(struct mqtt *m, int64_t *out, size_t max);
size_t __wrap_mqtt_confirmed_count(struct mqtt *m);
size_t __wrap_mqtt_pending(struct mqtt *m);

static struct mqtt *conns[BROKERS_MAX];
static size_t conn_count;

struct mqtt *
__wrap_mqtt_new(const struct mqtt_options *o)
{
	struct mqtt *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	assert_in_range(o->host[0], 'a', 'c');
	assert_int_equal(o->port, o->host[0] - 'a' + 1);
	m->up = true;
	return conns[conn_count++] = m;
}

void
__wrap_mqtt_stop(struct mqtt *m)
{
	m->up = false;
}

void
__wrap_mqtt_free(struct mqtt *m)
{
	free(m);
}

bool
__wrap_mqtt_connected(const struct mqtt *m)
{
	return m->up;
}

bool
__wrap_mqtt_publish(struct mqtt *m, struct str topic, struct str payload, int qos, int64_t tag)
{
	(void)payload;
	(void)qos;
	if (m->refuses)
		return false;
	if (m->sent < COUNT(m->topics))
		snprintf(m->topics[m->sent], sizeof(m->topics[0]), "%.*s", STR_ARG(topic));
	m->tags[m->sent++] = tag;
	return true;
}

size_t
__wrap_mqtt_confirmed(struct mqtt *m, int64_t *out, size_t max)
{
	size_t n = 0;

	while (n < max && m->first < m->last)
		out[n++] = m->confirmed[m->first++];
	return n;
}

size_t
__wrap_mqtt_confirmed_count(struct mqtt *m)
{
	return m->last - m->first;
}

size_t
__wrap_mqtt_pending(struct mqtt *m)
{
	return m->sent;
}

/* The broker confirms its message n. */
static void
confirm(size_t broker, size_t n)
{
	struct mqtt *m = conns[broker];

	assert_true(n < m->sent);
	if (m->tags[n] != 0)
		m->confirmed[m->last++] = m->tags[n];
}

/* ---- what all tests need ---- */

struct fixture {
	struct conf *conf;
	char secret[64];
	struct err err;
	struct brokers *set;
};

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	FILE *file;

	snprintf(f->secret, sizeof(f->secret), "/tmp/test_io_brokers.XXXXXX");
	int fd = mkstemp(f->secret);
	if (fd < 0 || !(file = fdopen(fd, "w")))
		return -1;
	fputs("0123456789abcdef0123456789abcdef\n", file);
	fclose(file);
	f->conf = conf_load(NULL, &f->err);
	f->conf->mqtt_secret_file = f->secret;
	f->conf->mqtt_host = HOSTS;
	f->conf->mqtt_port = PORTS;
	conn_count = 0;
	f->set = brokers_new(f->conf, "test", &f->err);
	*state = f;
	return f->set ? 0 : -1;
}

static int
stop(void **state)
{
	struct fixture *f = *state;

	brokers_free(f->set);
	conf_free(f->conf);
	unlink(f->secret);
	free(f);
	return 0;
}

/* All confirmed rows that wait are these. */
static void
assert_rows(struct fixture *f, const int64_t *ids, size_t n)
{
	int64_t got[16];

	assert_int_equal(brokers_confirmed(f->set, got, COUNT(got)), n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i], ids[i]);
}

#define ASSERT_ROWS(f, ...) \
	assert_rows(f, (int64_t[]){ __VA_ARGS__ }, COUNT(((int64_t[]){ __VA_ARGS__ })))
#define ASSERT_NO_ROWS(f) assert_rows(f, NULL, 0)

/* ---- routing ---- */

static size_t
shard(const char *user, size_t count)
{
	struct uuid u;

	assert_true(uuid_parse(str_of(user), &u));
	return brokers_shard(&u, count);
}

static void
the_end_of_an_id_tells_the_broker(void **state)
{
	(void)state;
	assert_int_equal(shard("01900000-0000-7000-8000-ffff00000000", 3), 0);
	assert_int_equal(shard("01900000-0000-7000-8000-000000000005", 3), 2);
	/* All 32 bits count, without a sign. */
	assert_int_equal(shard("01900000-0000-7000-8000-0000ffffffff", 16), 15);
	assert_int_equal(shard("01900000-0000-7000-8000-0000ffffffff", 7), 3);
	assert_int_equal(shard("01900000-0000-7000-8000-000080000000", 3), 2);
	assert_int_equal(shard("ffffffff-ffff-7fff-bfff-ffffffffffff", 1), 0);
	assert_int_equal(shard(USER1, 3), 1);
}

static void
a_topic_finds_its_brokers(void **state)
{
	struct fixture *f = *state;

	assert_true(brokers_publish(f->set, STR("u/" USER2 "/eph"), STR("x"), 0));
	assert_string_equal(conns[2]->topics[0], "u/" USER2 "/eph");
	assert_int_equal(conns[0]->sent + conns[1]->sent + conns[2]->sent, 1);
	assert_true(brokers_publish(f->set, STR("b/all"), STR("x"), 0));
	assert_true(brokers_publish(f->set, STR("s/" USER1 "/in"), STR("x"), 1));
	assert_true(brokers_publish(f->set, STR("u/nobody/in"), STR("x"), 1));
	assert_int_equal(conns[0]->sent, 3);
	assert_int_equal(conns[1]->sent, 3);
	assert_int_equal(conns[2]->sent, 4);
	conns[1]->refuses = true;
	assert_true(brokers_publish(f->set, STR("u/" USER2 "/eph"), STR("x"), 0));
	assert_false(brokers_publish(f->set, STR("b/all"), STR("x"), 0));
	assert_int_equal(conns[2]->sent, 6);
	assert_true(brokers_publish_at(f->set, 0, STR("u/" USER2 "/eph"), STR("x"), 1));
	assert_int_equal(conns[0]->sent, 5);
}

/* ---- confirmations ---- */

static void
a_row_on_one_broker_is_confirmed_by_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(brokers_publish_events(f->set, STR("")), 0);
	assert_int_equal(brokers_publish_events(
				 f->set, STR(LINE("0", USER1) LINE("5", USER1) LINE("6", USER0))),
		3);
	ASSERT_NO_ROWS(f);
	confirm(1, 0);
	ASSERT_NO_ROWS(f);
	confirm(1, 1);
	ASSERT_ROWS(f, 5);
	confirm(0, 0);
	ASSERT_ROWS(f, 6);
	ASSERT_NO_ROWS(f);
}

static void
a_row_on_several_brokers_is_confirmed_by_the_last(void **state)
{
	struct fixture *f = *state;
	const struct str lines = STR(LINE("0", USER0) LINE("0", USER1) LINE("0", USER1)
			LINE("7", USER0) LINE("8", USER2));

	assert_int_equal(brokers_publish_events(f->set, lines), 5);
	confirm(0, 0);
	confirm(1, 0);
	assert_int_equal(brokers_confirmed_count(f->set), 0);
	confirm(0, 1);
	ASSERT_NO_ROWS(f);
	/* The same one again is not the other one. */
	confirm(0, 1);
	ASSERT_NO_ROWS(f);
	confirm(1, 1);
	ASSERT_ROWS(f, 7);
	confirm(1, 1);
	ASSERT_NO_ROWS(f);
	confirm(2, 0);
	ASSERT_ROWS(f, 8);
}

static void
an_announcement_waits_for_all(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(brokers_publish_events(f->set, STR("9\x1f"
							    "b/all\x1fx\x1e")),
		1);
	confirm(2, 0);
	confirm(0, 0);
	ASSERT_NO_ROWS(f);
	confirm(1, 0);
	ASSERT_ROWS(f, 9);
}

/* One broker that refuses, the others have their share of the row and confirm it. */
static void
a_row_that_lost_a_line_is_never_confirmed(void **state)
{
	struct fixture *f = *state;

	conns[1]->refuses = true;
	assert_int_equal(brokers_publish_events(f->set,
				 STR(LINE("0", USER0) LINE("3", USER1) LINE("0", USER1) LINE(
					 "4", USER2) LINE("5", USER1) LINE("6", USER0))),
		3);
	conns[1]->refuses = false;
	for (size_t i = 0; i < 2; i++)
		confirm(0, i);
	confirm(2, 0);
	ASSERT_ROWS(f, 6);
	/* What follows is a row of its own. */
	assert_int_equal(brokers_publish_events(f->set, STR(LINE("7", USER1))), 1);
	confirm(1, 0);
	ASSERT_ROWS(f, 7);
}

/* A first attempt failed half way; its late confirmation is none of the second one's. */
static void
an_attempt_is_confirmed_by_its_own_messages(void **state)
{
	struct fixture *f = *state;
	const struct str lines = STR("u/" USER0 "/in\x1fx\x1eu/" USER1 "/in\x1fx\x1e");

	conns[1]->refuses = true;
	assert_false(brokers_publish_row(f->set, lines, BROKERS_ALL, 11));
	conns[1]->refuses = false;
	assert_true(brokers_publish_row(f->set, lines, BROKERS_ALL, 11));
	confirm(1, 0);
	confirm(0, 0); /* of the first attempt */
	ASSERT_NO_ROWS(f);
	confirm(0, 1);
	ASSERT_ROWS(f, 11);
	/* Two that both went out confirm for themselves. */
	assert_true(brokers_publish_row(f->set, lines, BROKERS_ALL, 12));
	assert_true(brokers_publish_row(f->set, lines, BROKERS_ALL, 12));
	confirm(0, 2);
	confirm(1, 2);
	ASSERT_NO_ROWS(f);
	confirm(0, 3);
	ASSERT_ROWS(f, 12);
}

static void
the_oldest_row_is_forgotten(void **state)
{
	struct fixture *f = *state;
	const struct str lines = STR("u/" USER0 "/in\x1fx\x1eu/" USER1 "/in\x1fx\x1e");

	for (int64_t id = 1; id <= BROKERS_ROWS_MAX + 1; id++)
		assert_true(brokers_publish_row(f->set, lines, BROKERS_ALL, id));
	for (size_t i = 0; i < 2; i++) {
		confirm(i, 0);
		confirm(i, BROKERS_ROWS_MAX);
		confirm(i, 1);
	}
	ASSERT_ROWS(f, BROKERS_ROWS_MAX + 1, 2);
}

static void
a_row_goes_where_it_is_wanted(void **state)
{
	struct fixture *f = *state;
	const struct str lines = STR("u/" USER0 "/in\x1fx\x1eu/" USER1 "/in\x1fx\x1e"
				     "b/all\x1fx\x1e");
	const struct str pair = STR("u/" USER0 "/in\x1fx\x1eu/" USER2 "/in\x1fx\x1e");

	assert_int_equal(brokers_of(f->set, pair), 5);
	assert_int_equal(brokers_of(f->set, lines), 7);
	assert_true(brokers_publish_row(f->set, lines, 2, 13));
	assert_int_equal(conns[0]->sent + conns[2]->sent, 0);
	assert_int_equal(conns[1]->sent, 2);
	confirm(1, 0);
	ASSERT_NO_ROWS(f);
	confirm(1, 1);
	ASSERT_ROWS(f, 13);
}

static void
no_broker_keeps_the_others_waiting(void **state)
{
	struct fixture *f = *state;
	int64_t got[1];
	bool seen = false;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(brokers_publish_events(f->set, STR(LINE("1", USER0))), 1);
		confirm(0, (size_t)i);
	}
	assert_int_equal(brokers_publish_events(f->set, STR(LINE("2", USER1))), 1);
	confirm(1, 0);
	assert_int_equal(brokers_confirmed_count(f->set), 11);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(brokers_confirmed(f->set, got, 1), 1);
		seen = seen || got[0] == 2;
	}
	assert_true(seen);
}

static void
with_one_broker_a_tag_is_a_row(void **state)
{
	struct fixture *f = *state;

	brokers_free(f->set);
	conn_count = 0;
	f->conf->mqtt_host = "a";
	f->conf->mqtt_port = "1";
	f->set = brokers_new(f->conf, "test", &f->err);
	assert_non_null(f->set);
	assert_int_equal(brokers_publish_events(
				 f->set, STR(LINE("0", USER0) LINE("5", USER1) "6\x1f"
									       "b/all\x1fx\x1e")),
		3);
	assert_int_equal(conns[0]->tags[0], 0);
	assert_int_equal(conns[0]->tags[1], 5);
	assert_int_equal(conns[0]->tags[2], 6);
}

/* ---- settings ---- */

static void
assert_refused(struct fixture *f, const char *why)
{
	size_t count = 99;

	err_clear(&f->err);
	assert_int_equal(brokers_count(f->conf, &count, &f->err), P_INTERNAL);
	assert_non_null(strstr(f->err.detail, why));
	assert_int_equal(count, 99);
	err_clear(&f->err);
	assert_null(brokers_new(f->conf, "test", &f->err));
	assert_non_null(strstr(f->err.detail, why));
}

static void
lists_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct mqtt_options o;
	size_t count = 0;

	f->conf->mqtt_urls = "ws://a mqtt://a, ws://b ,ws://c";
	f->conf->revocations_file = "/a,/b,/c";
	assert_int_equal(brokers_count(f->conf, &count, &f->err), P_OK);
	assert_int_equal(count, 3);
	assert_str(conf_item(f->conf->mqtt_urls, 1), "ws://b");
	assert_null(conf_item(f->conf->mqtt_urls, 3).p);
	f->conf->mqtt_urls = "ws://a,ws://b";
	assert_refused(f, "mqtt_urls has 2 entries, mqtt_host has 3");
	f->conf->mqtt_urls = "";
	f->conf->revocations_file = "/a";
	assert_refused(f, "revocations_file has 1 entries");
	f->conf->revocations_file = "";
	f->conf->mqtt_port = "1,2";
	assert_refused(f, "mqtt_port has 2 entries");
	f->conf->mqtt_port = "1,65536,3";
	assert_refused(f, "mqtt_port 1 is not in 0 to 65535");
	f->conf->mqtt_port = "1,,3";
	assert_refused(f, "mqtt_port 1 is not in 0 to 65535");
	f->conf->mqtt_port = PORTS;
	f->conf->mqtt_host = "a,,c";
	assert_refused(f, "mqtt_host 1 is empty");
	f->conf->mqtt_host = "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a";
	assert_refused(f, "more than 16");
	f->conf->mqtt_host = HOSTS;
	assert_int_equal(brokers_options(f->conf, 3, "test", &o, &f->err), P_INTERNAL);
	assert_non_null(strstr(f->err.detail, "there is no broker 3"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_an_id_tells_the_broker),
		cmocka_unit_test_setup_teardown(a_topic_finds_its_brokers, start, stop),
		cmocka_unit_test_setup_teardown(
			a_row_on_one_broker_is_confirmed_by_it, start, stop),
		cmocka_unit_test_setup_teardown(
			a_row_on_several_brokers_is_confirmed_by_the_last, start, stop),
		cmocka_unit_test_setup_teardown(an_announcement_waits_for_all, start, stop),
		cmocka_unit_test_setup_teardown(
			a_row_that_lost_a_line_is_never_confirmed, start, stop),
		cmocka_unit_test_setup_teardown(
			an_attempt_is_confirmed_by_its_own_messages, start, stop),
		cmocka_unit_test_setup_teardown(the_oldest_row_is_forgotten, start, stop),
		cmocka_unit_test_setup_teardown(a_row_goes_where_it_is_wanted, start, stop),
		cmocka_unit_test_setup_teardown(no_broker_keeps_the_others_waiting, start, stop),
		cmocka_unit_test_setup_teardown(with_one_broker_a_tag_is_a_row, start, stop),
		cmocka_unit_test_setup_teardown(lists_that_do_not_fit_are_refused, start, stop),
	};

	return cmocka_run_group_tests_name("io/brokers", tests, NULL, NULL);
}
