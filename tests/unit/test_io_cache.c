/* fcgi/io/cache against a private redis-server */
#include "io/cache.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "server.h"
#include "unit.h"

#define PASSWORD "s3cret of the test"
#define PROCESSES 8
#define HITS_EACH 500
#define POURS_EACH 60
#define ADMITTED 100
#define ARENA_LIMIT (1u << 20)

static struct server redis;

static bool
start_redis(void)
{
	const char *const argv[] = {
		"redis-server",
		"--port",
		"0",
		"--unixsocket",
		redis.socket,
		"--dir",
		redis.dir,
		"--save",
		"",
		"--appendonly",
		"no",
		"--requirepass",
		PASSWORD,
		NULL,
	};

	return server_start(&redis, argv);
}

/* What no function of the cache does, through the server's own client. */
static void
run_client(const char *command, const char *key)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("redis-cli", "redis-cli", "-s", redis.socket, "-a", PASSWORD, command, key,
			(char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int
start_group(void **state)
{
	(void)state;
	return server_init(&redis, "cache") && start_redis() ? 0 : -1;
}

static int
end_group(void **state)
{
	(void)state;
	server_remove(&redis);
	return 0;
}

static struct cache *
connected(void)
{
	struct cache *c = cache_new(redis.socket, "default", PASSWORD);

	assert_true(cache_up(c));
	assert_string_equal(cache_error(c), "");
	return c;
}

static int64_t
elapsed_ms(int64_t since_us)
{
	return (clock_mono_us() - since_us) / 1000;
}

static void
a_value_is_set_and_read(void **state)
{
	struct arena *a = arena_new(ARENA_LIMIT);
	struct cache *c = connected();
	struct str value = STR("untouched");

	(void)state;
	assert_int_equal(cache_get(c, a, STR("v"), &value), CACHE_MISS);
	assert_str(value, "untouched");
	assert_int_equal(cache_set(c, STR("v"), STR("a\0b \r\n$1"), 60), CACHE_OK);
	assert_int_equal(cache_get(c, a, STR("v"), &value), CACHE_OK);
	assert_str(value, "a\0b \r\n$1");
	assert_int_equal(cache_set(c, STR("v"), STR(""), 60), CACHE_OK);
	assert_int_equal(cache_get(c, a, STR("v"), &value), CACHE_OK);
	assert_str(value, "");
	value = STR("untouched");
	assert_int_equal(cache_swap(c, a, STR("swapped"), STR("one"), 60, &value), CACHE_MISS);
	assert_str(value, "untouched");
	assert_int_equal(cache_swap(c, a, STR("swapped"), STR("two"), 60, &value), CACHE_OK);
	assert_str(value, "one");
	cache_free(c);
	arena_free(a);
}

static void
a_key_is_never_taken_for_syntax(void **state)
{
	struct arena *a = arena_new(ARENA_LIMIT);
	struct cache *c = connected();
	struct str odd = STR("%s %b\r\nFLUSHALL\r\n \0*");
	struct str value;

	(void)state;
	assert_int_equal(cache_set(c, STR("keep"), STR("1"), 60), CACHE_OK);
	assert_int_equal(cache_set(c, odd, STR("x"), 60), CACHE_OK);
	assert_int_equal(cache_get(c, a, odd, &value), CACHE_OK);
	assert_str(value, "x");
	assert_int_equal(cache_get(c, a, STR("keep"), &value), CACHE_OK);
	cache_free(c);
	arena_free(a);
}

static void
a_window_counts_and_ends(void **state)
{
	struct cache *c = connected();
	int64_t count = -1, left = -1;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(cache_hit(c, STR("w"), 60, &count, &left), CACHE_OK);
		assert_int_equal(count, i);
		assert_in_range(left, 59, 60);
	}

	assert_int_equal(cache_hit(c, STR("short"), 1, &count, &left), CACHE_OK);
	assert_int_equal(left, 1);
	sleep_ms(600);
	/* A later hit does not prolong the window. */
	assert_int_equal(cache_hit(c, STR("short"), 1, &count, &left), CACHE_OK);
	assert_int_equal(count, 2);
	sleep_ms(600);
	assert_int_equal(cache_hit(c, STR("short"), 1, &count, &left), CACHE_OK);
	assert_int_equal(count, 1);
	cache_free(c);
}

static void
a_counter_without_an_end_gets_one(void **state)
{
	struct cache *c = connected();
	int64_t count, left;

	(void)state;
	assert_int_equal(cache_set(c, STR("endless"), STR("41"), 1000), CACHE_OK);
	run_client("PERSIST", "endless");
	assert_int_equal(cache_hit(c, STR("endless"), 30, &count, &left), CACHE_OK);
	assert_int_equal(count, 42);
	assert_int_equal(left, 30);
	assert_int_equal(cache_hit(c, STR("endless"), 90, &count, &left), CACHE_OK);
	assert_in_range(left, 29, 30);
	cache_free(c);
}

static void
hit_many(int *admitted)
{
	struct cache *c = cache_new(redis.socket, NULL, PASSWORD);
	int64_t count, left;

	for (int i = 0; i < HITS_EACH; i++) {
		if (cache_hit(c, STR("shared"), 60, &count, &left) != CACHE_OK)
			_exit(1);
		*admitted += count <= ADMITTED;
	}
	cache_free(c);
	_exit(0);
}

/* What many processes count, each for itself, all together. */
static int
sum_of_processes(void (*count)(int *))
{
	size_t size = PROCESSES * sizeof(int);
	int *counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[PROCESSES];
	int sum = 0;

	assert_true(counts != MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0)
			count(&counts[i]);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = -1;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
		sum += counts[i];
	}
	munmap(counts, size);
	return sum;
}

static void
many_processes_admit_exactly_the_limit(void **state)
{
	int64_t count, left;

	(void)state;
	assert_int_equal(sum_of_processes(hit_many), ADMITTED);
	struct cache *c = connected();
	assert_int_equal(cache_hit(c, STR("shared"), 60, &count, &left), CACHE_OK);
	assert_int_equal(count, PROCESSES * HITS_EACH + 1);
	cache_free(c);
}

#define SECOND INT64_C(1000000)
#define HOUR (INT64_C(3600) * SECOND)

static bool
poured(struct cache *c, struct cache_bucket *b, size_t n, int64_t now_us)
{
	assert_int_equal(cache_pour(c, b, n, now_us), CACHE_OK);
	for (size_t i = 0; i < n; i++)
		if (b[i].over_us > 0)
			return false;
	return true;
}

static void
a_bucket_takes_its_room_at_once_and_then_as_it_leaks(void **state)
{
	struct cache_bucket b = { .key = STR("bucket"), .cost_us = SECOND, .room_us = 3 * SECOND };
	struct cache *c = connected();
	int64_t now = clock_unix_ms() * 1000;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(poured(c, &b, 1, now));
	/* However often it is refused, the wait grows no longer. */
	for (int i = 0; i < 5; i++) {
		assert_false(poured(c, &b, 1, now));
		assert_int_equal(b.over_us, SECOND);
	}
	assert_false(poured(c, &b, 1, now + SECOND - 1));
	assert_true(poured(c, &b, 1, now + SECOND));
	assert_false(poured(c, &b, 1, now + SECOND));
	/* An hour of silence saves up no more than the room. */
	for (int i = 0; i < 3; i++)
		assert_true(poured(c, &b, 1, now + HOUR));
	assert_false(poured(c, &b, 1, now + HOUR));
	assert_int_equal(cache_unpour(c, &b, 1), CACHE_OK);
	assert_true(poured(c, &b, 1, now + HOUR));
	cache_free(c);
}

static void
a_hit_that_one_bucket_refuses_counts_in_none(void **state)
{
	struct cache_bucket b[2] = {
		{ .key = STR("wide"), .cost_us = SECOND, .room_us = 2 * SECOND },
		{ .key = STR("narrow"), .cost_us = SECOND, .room_us = SECOND },
	};
	struct cache *c = connected();
	int64_t now = clock_unix_ms() * 1000;

	(void)state;
	assert_true(poured(c, b, 2, now));
	assert_false(poured(c, b, 2, now));
	assert_true(b[0].over_us <= 0);
	assert_true(poured(c, b, 1, now));
	assert_false(poured(c, b, 1, now));
	cache_free(c);
}

static void
pour_many(int *admitted)
{
	struct cache *c = cache_new(redis.socket, NULL, PASSWORD);
	struct cache_bucket b = { .key = STR("pool"), .cost_us = HOUR, .room_us = ADMITTED * HOUR };

	for (int i = 0; i < POURS_EACH; i++) {
		if (cache_pour(c, &b, 1, clock_unix_ms() * 1000) != CACHE_OK)
			_exit(1);
		*admitted += b.over_us <= 0;
	}
	cache_free(c);
	_exit(0);
}

static void
many_processes_fill_a_bucket_to_its_brim(void **state)
{
	(void)state;
	assert_int_equal(sum_of_processes(pour_many), ADMITTED);
}

static void
members_live_as_long_as_they_were_told(void **state)
{
	struct arena *a = arena_new(ARENA_LIMIT);
	struct cache *c = connected();
	const struct str sets[] = { STR("z"), STR("none") };
	int64_t counts[] = { 99, 99 };
	struct str *members;
	size_t n = 99;

	(void)state;
	assert_int_equal(cache_zlive(c, a, STR("z"), &members, &n), CACHE_OK);
	assert_int_equal(n, 0);
	assert_int_equal(cache_zadd(c, STR("z"), STR("long"), 60), CACHE_OK);
	assert_int_equal(cache_zadd(c, STR("z"), STR("short"), 1), CACHE_OK);
	assert_int_equal(cache_zadd(c, STR("z"), STR("middle"), 30), CACHE_OK);
	assert_int_equal(cache_zlive(c, a, STR("z"), &members, &n), CACHE_OK);
	assert_int_equal(n, 3);
	assert_str(members[0], "short");
	assert_str(members[1], "middle");
	assert_str(members[2], "long");
	assert_int_equal(cache_zrem(c, STR("z"), STR("middle")), CACHE_OK);
	sleep_ms(1100);
	assert_int_equal(cache_zcount(c, sets, 2, counts), CACHE_OK);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 0);
	/* A short member must not have cut the life of the whole set. */
	assert_int_equal(cache_zlive(c, a, STR("z"), &members, &n), CACHE_OK);
	assert_int_equal(n, 1);
	assert_str(members[0], "long");
	/* Added again, a member lives longer. */
	assert_int_equal(cache_zadd(c, STR("y"), STR("m"), 1), CACHE_OK);
	assert_int_equal(cache_zadd(c, STR("y"), STR("m"), 60), CACHE_OK);
	sleep_ms(1100);
	assert_int_equal(cache_zlive(c, a, STR("y"), &members, &n), CACHE_OK);
	assert_int_equal(n, 1);
	cache_free(c);
	arena_free(a);
}

static void
an_answer_of_the_wrong_kind_is_no_answer(void **state)
{
	struct arena *a = arena_new(ARENA_LIMIT);
	struct cache *c = connected();
	int64_t count = -1, left = -1;
	struct str *members = NULL;
	size_t n = 99;

	(void)state;
	assert_int_equal(cache_zadd(c, STR("set"), STR("m"), 60), CACHE_OK);
	assert_int_equal(cache_hit(c, STR("set"), 60, &count, &left), CACHE_DOWN);
	assert_int_equal(count, -1);
	assert_int_equal(left, -1);
	assert_int_equal(cache_set(c, STR("text"), STR("x"), 60), CACHE_OK);
	assert_int_equal(cache_zlive(c, a, STR("text"), &members, &n), CACHE_DOWN);
	assert_int_equal(cache_zcount(c, &(struct str){ "text", 4 }, 1, &count), CACHE_DOWN);
	assert_int_equal(cache_zadd(c, STR("text"), STR("m"), 60), CACHE_DOWN);
	assert_int_equal(cache_hit(c, STR("text"), 60, &count, &left), CACHE_DOWN);
	assert_int_equal(count, -1);
	assert_int_equal(n, 99);
	assert_true(cache_up(c));
	cache_free(c);
	arena_free(a);
}

static void
a_wrong_password_is_told_and_breaks(void **state)
{
	struct cache *c = cache_new(redis.socket, "default", "wrong");
	int64_t count, left;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(cache_hit(c, STR("k"), 60, &count, &left), CACHE_DOWN);
	assert_non_null(strstr(cache_error(c), "WRONGPASS"));
	assert_null(strstr(cache_error(c), "wrong"));
	cache_free(c);
}

static void
a_missing_server_is_given_up_at_once(void **state)
{
	struct cache *c = cache_new("/nonexistent/socket", NULL, NULL);
	int64_t start = clock_mono_us();

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_false(cache_up(c));
	assert_in_range(elapsed_ms(start), 0, 100);
	assert_non_null(strstr(cache_error(c), "No such file"));
	cache_free(c);
}

static void
a_hung_server_costs_100_ms_once(void **state)
{
	struct cache *c = connected();
	int64_t count = -1, left = -1;
	int64_t start = clock_mono_us();

	(void)state;
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(cache_hit(c, STR("hung"), 60, &count, &left), CACHE_DOWN);
	assert_in_range(elapsed_ms(start), 50, 100);
	assert_int_equal(count, -1);

	start = clock_mono_us();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(cache_hit(c, STR("hung"), 60, &count, &left), CACHE_DOWN);
	assert_in_range(elapsed_ms(start), 0, 20);

	assert_int_equal(kill(redis.pid, SIGCONT), 0);
	assert_int_equal(cache_hit(c, STR("hung"), 60, &count, &left), CACHE_DOWN);
	/* After the pause one more failure would be enough; here it works again. */
	sleep_ms(5100);
	assert_int_equal(cache_hit(c, STR("hung"), 60, &count, &left), CACHE_OK);
	/* No answer of before the pause is taken for a new one. */
	int64_t before = count;
	assert_int_equal(cache_hit(c, STR("hung"), 60, &count, &left), CACHE_OK);
	assert_int_equal(count, before + 1);
	cache_free(c);
}

static void
a_pause_is_followed_by_one_probe(void **state)
{
	struct cache *c = connected();

	(void)state;
	assert_int_equal(kill(redis.pid, SIGSTOP), 0);
	for (int i = 0; i < 3; i++)
		assert_false(cache_up(c));
	sleep_ms(5100);
	int64_t start = clock_mono_us();
	for (int i = 0; i < 100; i++)
		assert_false(cache_up(c));
	assert_in_range(elapsed_ms(start), 15, 50);
	assert_int_equal(kill(redis.pid, SIGCONT), 0);
	cache_free(c);
}

static void
a_restarted_server_is_found_without_a_lost_call(void **state)
{
	struct cache *c = connected();
	struct arena *a = arena_new(ARENA_LIMIT);
	struct str value;
	int64_t count, left;

	(void)state;
	server_end(&redis, SIGKILL);
	assert_true(start_redis());
	assert_int_equal(cache_hit(c, STR("again"), 60, &count, &left), CACHE_OK);
	assert_int_equal(count, 1);

	server_end(&redis, SIGKILL);
	assert_int_equal(cache_get(c, a, STR("again"), &value), CACHE_DOWN);
	assert_true(start_redis());
	assert_int_equal(cache_get(c, a, STR("again"), &value), CACHE_MISS);
	cache_free(c);
	arena_free(a);
}

static void
an_emptied_server_starts_windows_anew(void **state)
{
	struct cache *c = connected();
	int64_t count, left;

	(void)state;
	assert_int_equal(cache_hit(c, STR("flushed"), 60, &count, &left), CACHE_OK);
	assert_int_equal(cache_hit(c, STR("flushed"), 60, &count, &left), CACHE_OK);
	run_client("FLUSHALL", NULL);
	assert_int_equal(cache_hit(c, STR("flushed"), 60, &count, &left), CACHE_OK);
	assert_int_equal(count, 1);
	assert_in_range(left, 59, 60);
	cache_free(c);
}

static void
hit_without_a_window(void)
{
	int64_t count, left;

	(void)cache_hit(cache_new("/nonexistent", NULL, NULL), STR("k"), 0, &count, &left);
}

static void
set_without_an_end(void)
{
	(void)cache_set(cache_new("/nonexistent", NULL, NULL), STR("k"), STR("v"), 0);
}

static void
absent_key(void)
{
	(void)cache_set(cache_new("/nonexistent", NULL, NULL), (struct str){ 0 }, STR("v"), 60);
}

static void
misuse_ends_the_process(void **state)
{
	char text[2048];

	(void)state;
	assert_true(aborts(hit_without_a_window, text, sizeof(text)));
	assert_true(aborts(set_without_an_end, text, sizeof(text)));
	assert_true(aborts(absent_key, text, sizeof(text)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_set_and_read),
		cmocka_unit_test(a_key_is_never_taken_for_syntax),
		cmocka_unit_test(a_window_counts_and_ends),
		cmocka_unit_test(a_counter_without_an_end_gets_one),
		cmocka_unit_test(many_processes_admit_exactly_the_limit),
		cmocka_unit_test(a_bucket_takes_its_room_at_once_and_then_as_it_leaks),
		cmocka_unit_test(a_hit_that_one_bucket_refuses_counts_in_none),
		cmocka_unit_test(many_processes_fill_a_bucket_to_its_brim),
		cmocka_unit_test(members_live_as_long_as_they_were_told),
		cmocka_unit_test(an_answer_of_the_wrong_kind_is_no_answer),
		cmocka_unit_test(a_wrong_password_is_told_and_breaks),
		cmocka_unit_test(a_missing_server_is_given_up_at_once),
		cmocka_unit_test(a_hung_server_costs_100_ms_once),
		cmocka_unit_test(a_pause_is_followed_by_one_probe),
		cmocka_unit_test(a_restarted_server_is_found_without_a_lost_call),
		cmocka_unit_test(an_emptied_server_starts_windows_anew),
		cmocka_unit_test(misuse_ends_the_process),
	};

	return cmocka_run_group_tests_name("io/cache", tests, start_group, end_group);
}
