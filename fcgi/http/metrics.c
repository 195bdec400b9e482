/* Request counters in memory that all workers of a pool share; updated with atomics. */
#include "http/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/check.h"
#include "http/route.h"

#define ROWS 1024        /* several times the routes; a power of two */
#define METRICS_LAYOUT 2 /* part of the file's name: another layout is another file */
#define PATH_SIZE 256

/* All that the deployment knows; each may be away. */
static const char *const pools[] = { "web", "auth", "egress", "ingest" };
#define POOLS (sizeof(pools) / sizeof(pools[0]))

static const int64_t bucket_us[] = { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	1000000 };
#define BUCKETS (sizeof(bucket_us) / sizeof(bucket_us[0]))

/*
 * The key is made of the operation's name, so programs of two versions, whose
 * tables differ, may share a file while one replaces the other.
 */
struct counters {
	_Atomic uint64_t key;         /* 0 = free; never changes again */
	_Atomic uint64_t by_class[6]; /* index = status / 100 */
	_Atomic uint64_t total_us;
	_Atomic uint64_t bucket[BUCKETS + 1];
};

struct metrics {
	struct counters row[ROWS];
	_Atomic uint64_t published;
};

static void
path_of(const char *pool, char out[PATH_SIZE])
{
	const char *dir = getenv("PLAZA_METRICS_DIR");

	snprintf(out, PATH_SIZE, "%s/plaza-metrics-%d-%s", dir ? dir : "/dev/shm", METRICS_LAYOUT,
		pool);
}

struct metrics *
metrics_open(const char *pool)
{
	char path[PATH_SIZE];
	void *p = MAP_FAILED;

	path_of(pool, path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
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

/* The table of a pool to read; NULL when there is none, or it is not as long as it must be. */
static struct metrics *
look_at(const char *pool)
{
	char path[PATH_SIZE];
	void *p = MAP_FAILED;
	struct stat st;

	path_of(pool, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size == sizeof(struct metrics))
		p = mmap(NULL, sizeof(struct metrics), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- counting ---- */

static uint64_t
get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static const char *
name_of(const struct route *r)
{
	return r ? r->name : "none";
}

/* FNV-1a. */
static uint64_t
key_of(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

/* The row of an operation, a free one if there is none yet; NULL when all are taken. */
static struct counters *
row_of(struct metrics *m, uint64_t key)
{
	for (uint64_t i = 0; i < ROWS; i++) {
		struct counters *c = &m->row[(key + i) % ROWS];
		uint64_t have = get(&c->key);

		/* When somebody else is faster `have` tells whose row it is now. */
		if (have == 0 && atomic_compare_exchange_strong(&c->key, &have, key))
			return c;
		if (have == key)
			return c;
	}
	return NULL;
}

static const struct counters *
find_row(const struct metrics *m, uint64_t key)
{
	for (uint64_t i = 0; i < ROWS; i++) {
		const struct counters *c = &m->row[(key + i) % ROWS];
		uint64_t have = get(&c->key);

		if (have == key)
			return c;
		if (have == 0)
			return NULL;
	}
	return NULL;
}

static void
add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void
metrics_count(struct metrics *m, const struct request *req, int64_t us)
{
	size_t b = 0, status = (size_t)req->resp.status / 100;
	struct counters *c = row_of(m, key_of(name_of(req->route)));

	if (!c)
		return;
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

/* ---- printing: what belongs to one metric stands together ---- */

/* Prints the rows of one operation in one pool. */
typedef void print_fn(const char *pool, const char *name, const struct counters *c, struct buf *b);

static void
print_classes(const char *pool, const char *name, const struct counters *c, struct buf *b)
{
	for (size_t i = 1; i < 6; i++)
		if (get(&c->by_class[i]))
			buf_printf(b,
				"plaza_requests_total{pool=\"%s\",operation=\"%s\",class=\"%zuxx\"}"
				" "
				"%" PRIu64 "\n",
				pool, name, i, get(&c->by_class[i]));
}

static void
print_seconds(const char *pool, const char *name, const struct counters *c, struct buf *b)
{
	uint64_t run = 0;

	for (size_t i = 0; i <= BUCKETS; i++) {
		char le[16] = "+Inf";

		run += get(&c->bucket[i]);
		if (i < BUCKETS)
			snprintf(le, sizeof(le), "%g", (double)bucket_us[i] / 1e6);
		buf_printf(b,
			"plaza_request_seconds_bucket{pool=\"%s\",operation=\"%s\",le=\"%s\"} "
			"%" PRIu64 "\n",
			pool, name, le, run);
	}
	buf_printf(b, "plaza_request_seconds_sum{pool=\"%s\",operation=\"%s\"} %g\n", pool, name,
		(double)get(&c->total_us) / 1e6);
	buf_printf(b, "plaza_request_seconds_count{pool=\"%s\",operation=\"%s\"} %" PRIu64 "\n",
		pool, name, run);
}

static void
print_operation(
	const struct metrics *m, const char *pool, const char *name, print_fn *print, struct buf *b)
{
	const struct counters *c = find_row(m, key_of(name));

	if (c)
		print(pool, name, c, b);
}

static void
print_operations(struct metrics *const seen[POOLS], print_fn *print, struct buf *b)
{
	for (size_t i = 0; i < POOLS; i++) {
		if (!seen[i])
			continue;
		for (size_t t = 0; t < route_table_count; t++)
			for (size_t k = 0; k < route_tables[t]->count; k++)
				print_operation(
					seen[i], pools[i], route_tables[t]->rows[k].name, print, b);
		print_operation(seen[i], pools[i], name_of(NULL), print, b);
	}
}

void
metrics_print(struct metrics *own, const char *pool, struct buf *b)
{
	struct metrics *seen[POOLS];

	for (size_t i = 0; i < POOLS; i++)
		seen[i] = strcmp(pools[i], pool) == 0 ? own : look_at(pools[i]);
	buf_puts(b, "# HELP plaza_requests_total Requests by pool, operation and status class.\n"
		    "# TYPE plaza_requests_total counter\n");
	print_operations(seen, print_classes, b);
	buf_puts(b, "# HELP plaza_request_seconds Time from reading a request to its answer.\n"
		    "# TYPE plaza_request_seconds histogram\n");
	print_operations(seen, print_seconds, b);
	buf_puts(b, "# HELP plaza_events_published_total Events handed to the broker.\n"
		    "# TYPE plaza_events_published_total counter\n");
	for (size_t i = 0; i < POOLS; i++) {
		if (!seen[i])
			continue;
		buf_printf(b, "plaza_events_published_total{pool=\"%s\"} %" PRIu64 "\n", pools[i],
			get(&seen[i]->published));
		if (seen[i] != own)
			metrics_close(seen[i]);
	}
}
