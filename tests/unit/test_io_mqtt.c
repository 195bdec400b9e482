/* fcgi/io/mqtt against a private mosquitto */
#include "io/mqtt.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server.h"
#include "unit.h"

#define MESSAGES 1000
#define WAIT_MS 20000
#define BLOCKED_US 1000
#define USER "plaza-backend"
#define PASSWORD "s3cret of the test"

static struct server broker;
static char config_path[96];
static char password_path[96];
static int port;

/* A port that was free a moment ago. */
static int
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		return -1;
	close(fd);
	return ntohs(at.sin_port);
}

static bool
write_config(void)
{
	snprintf(config_path, sizeof(config_path), "%s/conf", broker.dir);
	snprintf(password_path, sizeof(password_path), "%s/passwd", broker.dir);
	FILE *f = fopen(config_path, "w");
	if (!f)
		return false;
	/* The broker gives up root when it starts as root; the test's files are root's then. */
	fprintf(f,
		"user root\npersistence false\nlistener 0 %s\nlistener %d 127.0.0.1\n"
		"allow_anonymous false\npassword_file %s\nset_tcp_nodelay true\n"
		"max_packet_size %d\n",
		broker.socket, port, password_path, MQTT_PACKET_MAX);
	return fclose(f) == 0;
}

static bool
write_password(void)
{
	int status = -1;
	FILE *f = fopen(password_path, "w");

	if (!f || fclose(f) != 0)
		return false;
	pid_t child = fork();
	if (child == 0) {
		execlp("mosquitto_passwd", "mosquitto_passwd", "-b", password_path, USER, PASSWORD,
			(char *)NULL);
		_exit(127);
	}
	return waitpid(child, &status, 0) == child && status == 0;
}

static bool
start_broker(void)
{
	const char *const argv[] = { "mosquitto", "-c", config_path, NULL };

	return server_start(&broker, argv);
}

static int
start_group(void **state)
{
	(void)state;
	if (!server_init(&broker, "mqtt") || (port = free_port()) < 0)
		return -1;
	return write_config() && write_password() && start_broker() ? 0 : -1;
}

static int
end_group(void **state)
{
	(void)state;
	unlink(config_path);
	unlink(password_path);
	server_remove(&broker);
	return 0;
}

/* What a subscriber has seen; filled on its network thread. */
struct seen {
	atomic_int count;
	atomic_bool each[2 * MESSAGES];
	char topic[64];
	char payload[64];
	size_t payload_n;
};

static void
on_message(void *arg, struct str topic, struct str payload)
{
	struct seen *s = arg;

	if (payload.n < sizeof(s->payload) && topic.n < sizeof(s->topic)) {
		memcpy(s->topic, topic.p, topic.n);
		s->topic[topic.n] = '\0';
		memcpy(s->payload, payload.p, payload.n);
		s->payload[payload.n] = '\0';
		s->payload_n = payload.n;
		long i = strtol(s->payload, NULL, 10);
		if (i >= 0 && i < 2 * MESSAGES)
			s->each[i] = true;
	}
	s->count++;
}

static bool
until(bool (*fn)(void *), void *arg)
{
	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (fn(arg))
			return true;
		sleep_ms(5);
	}
	return fn(arg);
}

static bool
is_connected(void *m)
{
	return mqtt_connected(m);
}

static bool
is_away(void *m)
{
	return !mqtt_connected(m);
}

static bool
is_idle(void *m)
{
	return mqtt_pending(m) == 0;
}

static bool
has_one(void *seen)
{
	return ((struct seen *)seen)->count >= 1;
}

static struct mqtt *
client_at(const char *host, int at_port, const char *id, struct seen *seen)
{
	static const char *const filters[] = { "t/+", "u/#", NULL };
	struct mqtt_options o = {
		.host = host,
		.port = at_port,
		.client_id = id,
		.username = USER,
		.password = PASSWORD,
		.on_message = seen ? on_message : NULL,
		.arg = seen,
		.filters = filters,
	};
	struct mqtt *m = mqtt_new(&o);

	assert_non_null(m);
	if (seen)
		mqtt_select(m, 3);
	return m;
}

static struct mqtt *
client(const char *id, struct seen *seen)
{
	struct mqtt *m = client_at(broker.socket, 0, id, seen);

	assert_true(until(is_connected, m));
	return m;
}

/* Publishes i as text with tag i + 1; returns how long the caller was held up. */
static int64_t
publish_number(struct mqtt *m, int i)
{
	char text[16];
	int64_t start = clock_mono_us();

	snprintf(text, sizeof(text), "%d", i);
	assert_true(mqtt_publish(m, STR("t/number"), str_of(text), 1, i + 1));
	return clock_mono_us() - start;
}

/* Every tag from 1 to n was confirmed exactly once. */
static void
assert_confirmed(struct mqtt *m, size_t n)
{
	bool *got = calloc(n + 1, sizeof(*got));
	int64_t tags[64];
	size_t k, sum = 0;

	assert_non_null(got);
	assert_int_equal(mqtt_confirmed_count(m), n);
	while ((k = mqtt_confirmed(m, tags, COUNT(tags))) > 0) {
		for (size_t i = 0; i < k; i++) {
			assert_in_range(tags[i], 1, n);
			assert_false(got[tags[i]]);
			got[tags[i]] = true;
		}
		sum += k;
	}
	assert_int_equal(sum, n);
	assert_int_equal(mqtt_confirmed_count(m), 0);
	free(got);
}

static int
compare_times(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The worst of many may be the scheduler's doing on a busy machine; the 99th percentile is ours. */
static int64_t
percentile_99(int64_t *us, size_t n)
{
	qsort(us, n, sizeof(*us), compare_times);
	return us[n * 99 / 100];
}

static void
a_message_arrives_as_it_was(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct mqtt *m = client("one", seen);

	(void)state;
	sleep_ms(100); /* the subscription follows the connection */
	assert_true(mqtt_publish(m, STR("u/7/in"), STR("a\0b"), 1, 0));
	assert_true(until(has_one, seen));
	assert_true(until(is_idle, m));
	assert_string_equal(seen->topic, "u/7/in");
	assert_int_equal(seen->payload_n, 3);
	assert_memory_equal(seen->payload, "a\0b", 3);
	/* Without a tag there is nothing to confirm. */
	assert_int_equal(mqtt_confirmed_count(m), 0);
	seen->count = 0;
	assert_true(mqtt_publish(m, STR("t/x"), STR(""), 0, 0));
	assert_true(until(has_one, seen));
	assert_int_equal(seen->payload_n, 0);
	assert_int_equal(mqtt_pending(m), 0);
	mqtt_free(m);
	free(seen);
}

static void
a_thousand_messages_are_confirmed(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct mqtt *sub = client("sub", seen);
	struct mqtt *m = client("pub", NULL);

	(void)state;
	sleep_ms(100);
	for (int i = 0; i < MESSAGES; i++)
		publish_number(m, i);
	assert_true(until(is_idle, m));
	assert_confirmed(m, MESSAGES);
	for (int ms = 0; ms < WAIT_MS && seen->count < MESSAGES; ms += 5)
		sleep_ms(5);
	assert_int_equal(seen->count, MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		assert_true(seen->each[i]);
	mqtt_free(m);
	mqtt_free(sub);
	free(seen);
}

static void
tcp_works_as_the_socket_does(void **state)
{
	struct mqtt *m = client_at("127.0.0.1", port, "tcp", NULL);

	(void)state;
	assert_true(until(is_connected, m));
	for (int i = 0; i < 100; i++)
		publish_number(m, i);
	assert_true(until(is_idle, m));
	assert_confirmed(m, 100);
	mqtt_free(m);
}

static void
nobody_waits_for_a_stopped_broker(void **state)
{
	struct mqtt *m = client("away", NULL);
	int64_t us[MESSAGES];

	(void)state;
	server_end(&broker, SIGKILL);
	assert_true(until(is_away, m));
	assert_false(mqtt_publish(m, STR("t/x"), STR("typing"), 0, 0));
	for (int i = 0; i < MESSAGES; i++)
		us[i] = publish_number(m, i);
	assert_in_range(percentile_99(us, MESSAGES), 0, BLOCKED_US);
	assert_int_equal(mqtt_pending(m), MESSAGES);
	assert_int_equal(mqtt_confirmed_count(m), 0);
	assert_string_not_equal(mqtt_error(m), "");

	assert_true(start_broker());
	assert_true(until(is_idle, m));
	assert_confirmed(m, MESSAGES);
	mqtt_free(m);
}

static void
messages_in_flight_survive_a_crash(void **state)
{
	struct mqtt *m = client("crash", NULL);
	int64_t us[MESSAGES];

	(void)state;
	/* Hung first: what was written is lost with the process, unacknowledged. */
	assert_int_equal(kill(broker.pid, SIGSTOP), 0);
	for (int i = 0; i < MESSAGES; i++)
		us[i] = publish_number(m, i);
	assert_in_range(percentile_99(us, MESSAGES), 0, BLOCKED_US);
	sleep_ms(100);
	assert_int_equal(mqtt_pending(m), MESSAGES);
	server_end(&broker, SIGKILL);
	assert_true(start_broker());
	assert_true(until(is_idle, m));
	assert_confirmed(m, MESSAGES);
	mqtt_free(m);
}

static void
a_hung_broker_cannot_fill_the_memory(void **state)
{
	struct mqtt *m = client("bound", NULL);
	char *big = calloc(1, 60000);
	size_t taken = 0;

	(void)state;
	assert_non_null(big);
	assert_int_equal(kill(broker.pid, SIGSTOP), 0);
	/* QoS 0 has no acknowledgement that could hold it back; the bound must. */
	for (int i = 0; i < 1000; i++)
		taken += mqtt_publish(m, STR("t/big"), (struct str){ big, 60000 }, 0, 0);
	assert_in_range(taken, 1, 2 * MQTT_PENDING_BYTES / 60000);
	assert_int_equal(kill(broker.pid, SIGCONT), 0);
	mqtt_free(m);
	free(big);
}

static void
the_bound_of_messages_holds(void **state)
{
	struct mqtt *m = client_at("/nonexistent/socket", 0, "full", NULL);

	(void)state;
	for (int i = 0; i < MQTT_PENDING_MAX; i++)
		assert_true(mqtt_publish(m, STR("t/x"), STR("x"), 1, i + 1));
	assert_false(mqtt_publish(m, STR("t/x"), STR("x"), 1, 1));
	assert_int_equal(mqtt_pending(m), MQTT_PENDING_MAX);
	/* Waits for them a bounded time only. */
	int64_t start = clock_mono_us();
	mqtt_free(m);
	assert_in_range(clock_mono_us() - start, 1900000, 2500000);
}

static void
an_idle_client_ends_at_once(void **state)
{
	struct mqtt *m = client("idle", NULL);
	int64_t start = clock_mono_us();

	(void)state;
	mqtt_free(m);
	assert_in_range(clock_mono_us() - start, 0, 200000);
	mqtt_free(NULL);
}

static void
ending_waits_for_what_is_pending(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct mqtt *sub = client("late", seen);
	struct mqtt *m = client("hurry", NULL);

	(void)state;
	sleep_ms(100);
	for (int i = 0; i < 500; i++)
		publish_number(m, i);
	mqtt_free(m);
	for (int ms = 0; ms < WAIT_MS && seen->count < 500; ms += 5)
		sleep_ms(5);
	assert_int_equal(seen->count, 500);
	mqtt_free(sub);
	free(seen);
}

static void
what_the_broker_would_not_take_is_refused_here(void **state)
{
	struct mqtt *m = client("bad", NULL);
	char *big = calloc(1, MQTT_PACKET_MAX + 1);

	(void)state;
	assert_non_null(big);
	assert_false(mqtt_publish(m, STR(""), STR("x"), 1, 1));
	assert_false(mqtt_publish(m, STR("a/+"), STR("x"), 1, 1));
	assert_false(mqtt_publish(m, STR("a/#"), STR("x"), 1, 1));
	assert_false(mqtt_publish(m, STR("a\0b"), STR("x"), 1, 1));
	assert_false(mqtt_publish(m, STR("\xff"), STR("x"), 1, 1));
	assert_false(mqtt_publish(m, STR("t/x"), (struct str){ big, MQTT_PACKET_MAX }, 1, 1));
	assert_int_equal(mqtt_pending(m), 0);
	/* The largest that is taken goes through. */
	assert_true(
		mqtt_publish(m, STR("t/x"), (struct str){ big, MQTT_PACKET_MAX - 16 - 3 }, 1, 9));
	assert_true(until(is_idle, m));
	assert_true(mqtt_connected(m));
	assert_int_equal(mqtt_confirmed_count(m), 1);
	mqtt_free(m);
	free(big);
}

static void
a_wrong_password_is_told(void **state)
{
	struct mqtt_options o = {
		.host = broker.socket, .client_id = "w", .username = USER, .password = "wrong"
	};
	struct mqtt *m = mqtt_new(&o);

	(void)state;
	assert_non_null(m);
	sleep_ms(500);
	assert_false(mqtt_connected(m));
	assert_non_null(strstr(mqtt_error(m), "not authorised"));
	mqtt_free(m);
}

static void
echo(void *arg, struct str topic, struct str payload)
{
	struct mqtt **m = arg;

	if (str_eqz(topic, "t/ask"))
		(void)mqtt_publish(*m, STR("t/answer"), payload, 1, 5);
}

static bool
has_a_confirmation(void *m)
{
	return mqtt_confirmed_count(m) == 1;
}

static void
a_subscriber_may_answer(void **state)
{
	static const char *const filters[] = { "t/ask", NULL };
	struct mqtt *m = NULL;
	struct mqtt_options o = {
		.host = broker.socket,
		.client_id = "echo",
		.username = USER,
		.password = PASSWORD,
		.on_message = echo,
		.arg = &m,
		.filters = filters,
	};

	(void)state;
	m = mqtt_new(&o);
	assert_non_null(m);
	mqtt_select(m, 1);
	assert_true(until(is_connected, m));
	sleep_ms(100);
	assert_true(mqtt_publish(m, STR("t/ask"), STR("?"), 1, 0));
	assert_true(until(has_a_confirmation, m));
	mqtt_free(m);
}

/* The broker keeps the order: what is not heard would come before what is. */
static void
assert_hears(struct mqtt *m, struct seen *seen, const char *topic, const char *other)
{
	int before = seen->count;

	sleep_ms(100);
	assert_true(mqtt_publish(m, str_of(other), STR("1"), 1, 0));
	assert_true(mqtt_publish(m, str_of(topic), STR("2"), 1, 0));
	assert_true(until(is_idle, m));
	sleep_ms(100);
	assert_int_equal(seen->count, before + 1);
	assert_string_equal(seen->topic, topic);
}

static void
what_is_heard_can_change(void **state)
{
	static struct seen seen;
	struct mqtt *m = client("choosy", &seen);

	(void)state;
	mqtt_select(m, 2);
	assert_hears(m, &seen, "u/a", "t/a");
	mqtt_select(m, 1);
	assert_hears(m, &seen, "t/a", "u/a");
	mqtt_free(m);
}

struct writer {
	struct mqtt *m;
	int first;
	int n;
};

static void *
write_some(void *arg)
{
	const struct writer *w = arg;

	for (int i = w->first; i < w->first + w->n; i++)
		publish_number(w->m, i);
	return NULL;
}

static void
several_threads_may_publish(void **state)
{
	struct mqtt *m = client("threads", NULL);
	struct writer writers[4];
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		writers[i] = (struct writer){ m, i * 500, 500 };
		assert_int_equal(pthread_create(&threads[i], NULL, write_some, &writers[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(until(is_idle, m));
	assert_confirmed(m, 2000);
	mqtt_free(m);
}

static void
qos_two(void)
{
	struct mqtt_options o = { .host = "/nonexistent", .client_id = "x" };

	(void)mqtt_publish(mqtt_new(&o), STR("t/x"), STR("x"), 2, 0);
}

static void
misuse_ends_the_process(void **state)
{
	char text[2048];

	(void)state;
	assert_true(aborts(qos_two, text, sizeof(text)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_arrives_as_it_was),
		cmocka_unit_test(a_thousand_messages_are_confirmed),
		cmocka_unit_test(tcp_works_as_the_socket_does),
		cmocka_unit_test(nobody_waits_for_a_stopped_broker),
		cmocka_unit_test(messages_in_flight_survive_a_crash),
		cmocka_unit_test(a_hung_broker_cannot_fill_the_memory),
		cmocka_unit_test(the_bound_of_messages_holds),
		cmocka_unit_test(an_idle_client_ends_at_once),
		cmocka_unit_test(ending_waits_for_what_is_pending),
		cmocka_unit_test(what_the_broker_would_not_take_is_refused_here),
		cmocka_unit_test(a_wrong_password_is_told),
		cmocka_unit_test(a_subscriber_may_answer),
		cmocka_unit_test(what_is_heard_can_change),
		cmocka_unit_test(several_threads_may_publish),
		cmocka_unit_test(misuse_ends_the_process),
	};

	return cmocka_run_group_tests_name("io/mqtt", tests, start_group, end_group);
}
