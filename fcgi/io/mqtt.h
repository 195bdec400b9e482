/*
 * The publishing side of MQTT (libmosquitto) with its own network thread.
 * Publishing never blocks and never fails the caller: while the broker is away
 * messages are queued up to a bound, then dropped; the outbox holds the truth.
 */
#ifndef PLAZA_IO_MQTT_H
#define PLAZA_IO_MQTT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds of what waits for the broker; a message beyond them is dropped. */
#define MQTT_PENDING_MAX 10000
#define MQTT_PENDING_BYTES ((size_t)16 << 20)
/* Largest packet, as max_packet_size in the broker's configuration. */
#define MQTT_PACKET_MAX 65536
#define MQTT_FILTERS_MAX 32

struct mqtt;

struct mqtt_options {
	const char *host; /* address, or path of a Unix socket when port is 0 */
	int port;
	const char *client_id; /* unique per process */
	const char *username;  /* "plaza-backend" */
	const char *password;
	/*
	 * Called on the network thread for each message of a subscription; may be
	 * NULL. It may publish; while it runs nothing is sent or received.
	 */
	void (*on_message)(void *arg, struct str topic, struct str payload);
	void *arg;
	/* Filters, NULL-terminated, kept; at most MQTT_FILTERS_MAX. See mqtt_select(). */
	const char *const *filters;
};

/* Starts the thread; connects and reconnects by itself. NULL when the library fails. */
struct mqtt *mqtt_new(const struct mqtt_options *o);
/* Waits up to 2 s for what is pending, disconnects, waits for the thread. */
void mqtt_free(struct mqtt *m);
/* Lets that begin without waiting, where several connections are to end. */
void mqtt_stop(struct mqtt *m);
/*
 * Which filters are subscribed to from now on, and after each connect: bit i for
 * filters[i], QoS 0. None until it is called. Does not wait.
 */
void mqtt_select(struct mqtt *m, uint32_t filters);
bool mqtt_connected(const struct mqtt *m);
/* How often the broker has let it in: who sees another number than before has missed messages. */
unsigned mqtt_connects(const struct mqtt *m);
/* Why the broker was last out of reach or refused something, for the log; "" at first. */
const char *mqtt_error(const struct mqtt *m);

/*
 * Queues a message of QoS 0 or 1; false when it was dropped: a bound, a bad
 * topic, or QoS 0 while there is no connection. With QoS 1 `tag` (0 = none) is
 * reported by mqtt_confirmed(), in the order of publishing. Any thread.
 */
bool mqtt_publish(struct mqtt *m, struct str topic, struct str payload, int qos, int64_t tag);

/*
 * Moves up to `max` confirmed tags to out[]; returns how many. Any thread.
 * When nobody asks, the oldest of 16,384 are forgotten.
 */
size_t mqtt_confirmed(struct mqtt *m, int64_t *out, size_t max);
/* Confirmed tags that wait. */
size_t mqtt_confirmed_count(struct mqtt *m);
/* Messages of QoS 1 handed in and not yet confirmed. */
size_t mqtt_pending(struct mqtt *m);

#endif
