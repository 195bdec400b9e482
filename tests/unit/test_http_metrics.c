/* fcgi/http/metrics: rows go by the name of the operation, figures by pool */
#include "http/metrics.h"

#include <stdlib.h>

#include "http/route.h"
#include "unit.h"

#define TEXT_MAX (1 << 20)

static char dir[64];
static struct arena *arena;

static int
start(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/plaza-metrics-XXXXXX");
	arena = arena_new(4 * TEXT_MAX);
	return mkdtemp(dir) && setenv("PLAZA_METRICS_DIR", dir, 1) == 0 ? 0 : -1;
}

static int
end(void **state)
{
	static const char *const pools[] = { "web", "auth" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < COUNT(pools); i++) {
		snprintf(path, sizeof(path), "%s/plaza-metrics-2-%s", dir, pools[i]);
		(void)unlink(path);
	}
	arena_free(arena);
	return rmdir(dir);
}

static void
count(struct metrics *m, const struct route *r, int status)
{
	static struct request req; /* large */

	req.route = r;
	req.resp.status = status;
	metrics_count(m, &req, 1500);
}

static const char *
printed(struct metrics *own)
{
	struct buf b;

	buf_init(&b, arena, TEXT_MAX);
	metrics_print(own, "web", &b);
	return str_z(arena, buf_str(&b));
}

static void
assert_line(const char *text, const char *line)
{
	if (!strstr(text, line))
		print_error("no %s in:\n%s\n", line, text);
	assert_non_null(strstr(text, line));
}

/* A program of another version has the same operation at another place of its tables. */
static void
a_row_is_found_by_its_name(void **state)
{
	static const struct route elsewhere = { HTTP_GET, "/metrics", .name = "metrics" };
	struct metrics *m = metrics_open("web"), *other = metrics_open("web");

	(void)state;
	count(m, router_by_name("metrics"), 200);
	count(other, &elsewhere, 200);
	count(m, NULL, 404);
	const char *text = printed(m);
	assert_line(
		text, "plaza_requests_total{pool=\"web\",operation=\"metrics\",class=\"2xx\"} 2\n");
	assert_line(
		text, "plaza_requests_total{pool=\"web\",operation=\"none\",class=\"4xx\"} 1\n");
	assert_line(text, "plaza_request_seconds_bucket{pool=\"web\",operation=\"metrics\","
			  "le=\"0.0025\"} 2\n");
	metrics_close(m);
	metrics_close(other);
}

static void
every_pool_is_told_by_each(void **state)
{
	struct metrics *web = metrics_open("web"), *auth = metrics_open("auth");

	(void)state;
	count(auth, router_by_name("authLogin"), 401);
	metrics_published(auth, 3);
	const char *text = printed(web);
	assert_line(text,
		"plaza_requests_total{pool=\"auth\",operation=\"authLogin\",class=\"4xx\"} 1\n");
	assert_line(text, "plaza_events_published_total{pool=\"auth\"} 3\n");
	assert_line(text, "plaza_events_published_total{pool=\"web\"} 0\n");
	assert_null(strstr(text, "pool=\"egress\""));
	metrics_close(web);
	metrics_close(auth);
}

static void
more_operations_than_rows_do_no_harm(void **state)
{
	struct metrics *web = metrics_open("web");

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct route r = { HTTP_GET, "/", .name = arena_printf(arena, "operation%d", i) };

		count(web, &r, 200);
	}
	assert_line(printed(web), "plaza_events_published_total{pool=\"web\"} 0\n");
	metrics_close(web);
}

/* A file that is cut while it is read would end the process by SIGBUS. */
static void
a_file_of_another_size_is_passed_over(void **state)
{
	struct metrics *web = metrics_open("web");
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/plaza-metrics-2-auth", dir);
	FILE *f = fopen(path, "w");
	assert_true(f && fputs("short", f) >= 0 && fclose(f) == 0);
	assert_null(strstr(printed(web), "pool=\"auth\""));
	metrics_close(web);
}

int
main(void)
{
#define IN_A_FOLDER(name) cmocka_unit_test_setup_teardown(name, start, end)
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(a_row_is_found_by_its_name),
		IN_A_FOLDER(every_pool_is_told_by_each),
		IN_A_FOLDER(more_operations_than_rows_do_no_harm),
		IN_A_FOLDER(a_file_of_another_size_is_passed_over),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
