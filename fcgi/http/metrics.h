/*
 * Counters in files that the workers of a pool map, so that any worker can
 * answer GET /metrics for all of all pools, plaza-ingest among them (Prometheus
 * text format 0.0.4).
 */
#ifndef PLAZA_HTTP_METRICS_H
#define PLAZA_HTTP_METRICS_H

#include "base/buf.h"
#include "http/request.h"

struct metrics;

/* Maps the pool's file in PLAZA_METRICS_DIR or /dev/shm; private memory when that fails. */
struct metrics *metrics_open(const char *pool);
void metrics_close(struct metrics *m);
/* One finished request. */
void metrics_count(struct metrics *m, const struct request *req, int64_t us);
/* One handful of events given to the broker. */
void metrics_published(struct metrics *m, int64_t n);
/* All pools; `own` stands for `pool`, and the others are read from their files. */
void metrics_print(struct metrics *own, const char *pool, struct buf *b);

#endif
