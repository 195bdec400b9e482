/*
 * Counters of this worker in shared memory of the pool, so that any worker can
 * answer GET /metrics for all (Prometheus text format 0.0.4).
 */
#ifndef PLAZA_HTTP_METRICS_H
#define PLAZA_HTTP_METRICS_H

#include "base/buf.h"
#include "http/request.h"

struct metrics;

/* Maps the pool's table `/plaza-POOL` in /dev/shm or PLAZA_METRICS_DIR; private memory when that
 * fails. */
struct metrics *metrics_open(const char *pool);
void metrics_close(struct metrics *m);
/* One finished request. */
void metrics_count(struct metrics *m, const struct request *req, int64_t us);
/* One handful of events given to the broker. */
void metrics_published(struct metrics *m, int64_t n);
void metrics_print(const struct metrics *m, struct buf *b);

#endif
