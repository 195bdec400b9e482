/* A bounded ring between two threads. */
#include "ingest/queue.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include "base/check.h"

struct message {
	char *bytes; /* topic and payload, one behind the other */
	size_t topic_n, payload_n;
};

struct queue {
	pthread_mutex_t lock;
	int fd;
	size_t first, n;
	uint64_t dropped;
	struct message ring[QUEUE_MAX];
};

struct queue *
queue_new(void)
{
	struct queue *q = calloc(1, sizeof(*q));

	CHECK(q);
	CHECK(pthread_mutex_init(&q->lock, NULL) == 0);
	q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(q->fd >= 0);
	return q;
}

void
queue_free(struct queue *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->n; i++)
		free(q->ring[(q->first + i) % QUEUE_MAX].bytes);
	close(q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int
queue_fd(const struct queue *q)
{
	return q->fd;
}

bool
queue_put(struct queue *q, struct str topic, struct str payload)
{
	struct message m = { malloc(topic.n + payload.n + 1), topic.n, payload.n };
	uint64_t one = 1;
	bool room;

	if (m.bytes) {
		memcpy(m.bytes, topic.p, topic.n);
		memcpy(m.bytes + topic.n, payload.p ? payload.p : "", payload.n);
	}
	pthread_mutex_lock(&q->lock);
	room = m.bytes && q->n < QUEUE_MAX;
	if (room)
		q->ring[(q->first + q->n++) % QUEUE_MAX] = m;
	else
		q->dropped++;
	pthread_mutex_unlock(&q->lock);
	if (!room)
		free(m.bytes);
	/* Full only after 2^64 wake-ups; the reader is awake then anyway. */
	(void)!write(q->fd, &one, sizeof(one));
	return room;
}

bool
queue_take(struct queue *q, struct arena *a, struct str *topic, struct str *payload)
{
	struct message m = { 0 };
	uint64_t count;

	pthread_mutex_lock(&q->lock);
	if (q->n > 0) {
		m = q->ring[q->first];
		q->first = (q->first + 1) % QUEUE_MAX;
		q->n--;
	}
	if (q->n == 0)
		(void)!read(q->fd, &count, sizeof(count));
	pthread_mutex_unlock(&q->lock);
	if (!m.bytes)
		return false;
	*topic = (struct str){ arena_dup(a, m.bytes, m.topic_n), m.topic_n };
	*payload = (struct str){ arena_dup(a, m.bytes + m.topic_n, m.payload_n), m.payload_n };
	free(m.bytes);
	return true;
}

uint64_t
queue_dropped(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	uint64_t n = q->dropped;
	q->dropped = 0;
	pthread_mutex_unlock(&q->lock);
	return n;
}
