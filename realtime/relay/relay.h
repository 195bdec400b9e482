/* plaza-relay: the outbox sweep, push messages and the jobs, run by whichever process leads. */
#ifndef PLAZA_RELAY_H
#define PLAZA_RELAY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct blob_store;
struct brokers;
struct db;
struct rows;
struct push;

struct relay {
	struct db *db;
	struct brokers *brokers;
	unsigned stuck;  /* brokers that were slow to confirm, as bits, until they have */
	unsigned parked; /* brokers for which rows may be parked */
	struct blob_store *blobs;
	struct push *push;   /* NULL = none */
	struct arena *arena; /* of the current step */
};

/* A cleared arena for the next step. */
void relay_step(struct relay *r);

/* To be called when this process begins to lead. */
void sweep_lead(struct relay *r);
/*
 * Publishes what the workers left in the outbox and removes what the brokers
 * confirmed. Returns true when there may be more at once. What belongs to a
 * broker that is away or hangs is parked until it is back, so that it stands in
 * nobody's way; while all are away the rows wait where they are.
 */
bool sweep_run(struct relay *r);

/* Runs the jobs that are due at `now_us` of the monotonic clock. */
void jobs_run(struct relay *r, int64_t now_us);

/*
 * A piece of the job that removes stored files which no row has named for a
 * day: an upload of unknown outcome, a program that ended between row and file.
 */
enum problem orphans_remove(struct relay *r, struct rows **rows, struct err *err)
	__attribute__((warn_unused_result));

/* Documents of `plaza-relay -x`. */
void describe_topics(struct buf *b);
void describe_asyncapi(struct buf *b);

#endif
