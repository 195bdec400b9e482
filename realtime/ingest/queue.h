/*
 * Hands messages from the network thread to the main thread: a bounded ring
 * with an eventfd to wait on. When it is full the newest is dropped: its device
 * gets no answer and sends again.
 */
#ifndef PLAZA_INGEST_QUEUE_H
#define PLAZA_INGEST_QUEUE_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_MAX 8192

struct queue;

/* Never returns NULL. */
struct queue *queue_new(void);
void queue_free(struct queue *q);
/* Readable while something waits. */
int queue_fd(const struct queue *q);
/* Copies both; false when the ring is full. Any thread. */
bool queue_put(struct queue *q, struct str topic, struct str payload);
/* The oldest message, copied into the arena; false when there is none. Main thread. */
bool queue_take(struct queue *q, struct arena *a, struct str *topic, struct str *payload);
/* Messages dropped since the last call. */
uint64_t queue_dropped(struct queue *q);

#endif
