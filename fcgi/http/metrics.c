/* Request counters in memory that all workers of a pool share; updated with relaxed atomics. */
#include "http/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/check.h"
#include "http/route.h"

#define METRICS_ROUTES 512
#define METRICS_LAYOUT 1 /* part of the file's name: another layout is another file */

static const int64_t bucket_us[] = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	1000000 };
#define BUCKETS (sizeof(bucket_us) / sizeof(bucket_us[0]))

struct counters {
	_Atomic uint64_t by_class[6]; /* index = status / 100; 0 = no route */
	_Atomic uint64_t total_us;
	_Atomic uint64_t bucket[BUCKETS + 1];
};

struct metrics {
	struct counters
		route[METRICS_ROUTES + 1]; /* the last one counts requests without a route */
	_Atomic uint64_t published;
};

struct metrics *
metrics_open(const char *pool)
{
	const char *dir = getenv("PLAZA_METRICS_DIR");
	char path[256];
	void *p = MAP_FAILED;
	int fd;

	snprintf(path, sizeof(path), "%s/plaza-metrics-%d-%s", dir ? dir : "/dev/shm",
		METRICS_LAYOUT, pool);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	if (fd >= 0 && ftruncate(fd, sizeof(struct metrics)) == 0)
		p = mmap(NULL, sizeof(struct metrics), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	/* A worker that may not share still works; its figures are then its own. */
	if (p == MAP_FAILED)
		p = mmap(NULL, sizeof(struct metrics), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

void
metrics_close(struct metrics *m)
{
	if (m)
		munmap(m, sizeof(*m));
}

/* Number of a row over all tables; stable for one build of the program. */
static size_t
route_index(const struct route *r)
{
	size_t base = 0;

	for (size_t t = 0; r && t < route_table_count; t++) {
		const struct route_table *table = route_tables[t];
		if (r >= table->rows && r < table->rows + table->count)
			return base + (size_t)(r - table->rows);
		base += table->count;
	}
	return METRICS_ROUTES;
}

static void
add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void
metrics_count(struct metrics *m, const struct request *req, int64_t us)
{
	size_t i = route_index(req->route), b = 0, status = (size_t)req->resp.status / 100;
	struct counters *c = &m->route[i < METRICS_ROUTES ? i : METRICS_ROUTES];

	while (b < BUCKETS && us > bucket_us[b])
		b++;
	add(&c->by_class[status < 6 ? status : 0], 1);
	add(&c->total_us, us > 0 ? (uint64_t)us : 0);
	add(&c->bucket[b], 1);
}

void
metrics_published(struct metrics *m, int64_t n)
{
	add(&m->published, (uint64_t)n);
}

static uint64_t
get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void
print_route(const char *name, const struct counters *c, struct buf *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= BUCKETS; i++)
		sum += get(&c->bucket[i]);
	if (sum == 0)
		return;
	for (size_t i = 1; i < 6; i++)
		if (get(&c->by_class[i]))
			buf_printf(b,
				"plaza_requests_total{operation=\"%s\",class=\"%zuxx\"} %" PRIu64
				"\n",
				name, i, get(&c->by_class[i]));
	for (size_t i = 0, run = 0; i < BUCKETS; i++) {
		run += (size_t)get(&c->bucket[i]);
		buf_printf(b, "plaza_request_seconds_bucket{operation=\"%s\",le=\"%g\"} %zu\n",
			name, (double)bucket_us[i] / 1e6, run);
	}
	buf_printf(b, "plaza_request_seconds_bucket{operation=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
		name, sum);
	buf_printf(b, "plaza_request_seconds_sum{operation=\"%s\"} %g\n", name,
		(double)get(&c->total_us) / 1e6);
	buf_printf(b, "plaza_request_seconds_count{operation=\"%s\"} %" PRIu64 "\n", name, sum);
}

void
metrics_print(const struct metrics *m, struct buf *b)
{
	size_t i = 0;

	buf_puts(b, "# HELP plaza_requests_total Requests by operation and status class.\n"
		    "# TYPE plaza_requests_total counter\n"
		    "# HELP plaza_request_seconds Time from reading a request to its answer.\n"
		    "# TYPE plaza_request_seconds histogram\n");
	for (size_t t = 0; t < route_table_count; t++)
		for (size_t k = 0; k < route_tables[t]->count && i < METRICS_ROUTES; k++, i++)
			print_route(route_tables[t]->rows[k].name, &m->route[i], b);
	print_route("none", &m->route[METRICS_ROUTES], b);
	buf_printf(b,
		"# HELP plaza_events_published_total Events handed to the broker.\n"
		"# TYPE plaza_events_published_total counter\n"
		"plaza_events_published_total %" PRIu64 "\n",
		get(&m->published));
}
