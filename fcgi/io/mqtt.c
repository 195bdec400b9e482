/*
 * The publishing side of MQTT. One thread per connection is the only user of
 * libmosquitto: callers put messages into a queue and wake it. So a caller
 * never waits for the network, and an acknowledgement cannot overtake the
 * message id it belongs to. libmosquitto's own thread is not used: it ends for
 * good after some errors and counts its reconnect delay in whole seconds.
 */
#include "io/mqtt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <mosquitto.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rand.h"

#define KEEPALIVE_S 10
#define TICK_US 1000000 /* libmosquitto looks at its keepalive this often */
#define STOP_TICK_US 20000
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 1000 /* until then the relay serves in its place, 500 ms late */
/* On the same machine it costs nothing to ask, and devices are back in no time. */
#define RETRY_SOCKET_MS 50
#define FREE_WAIT_US 2000000
/*
 * Messages that libmosquitto holds at a time. It walks its list for each
 * publish and each acknowledgement, so a long backlog stays in our queue.
 */
#define WINDOW 256
#define CONFIRMED_MAX 16384
#define PACKET_OVERHEAD 16 /* fixed header, lengths, message id; rounded up */

struct message {
	struct message *next;
	int64_t tag;
	int qos;
	size_t topic_n;
	size_t payload_n;
	char data[]; /* topic, NUL, payload */
};

struct flight {
	int mid;
	int64_t tag;
};

struct mqtt {
	/* Used by the network thread only once it runs. */
	struct mosquitto *mosq;
	char *host;
	int port;
	void (*on_message)(void *arg, struct str topic, struct str payload);
	void *arg;
	const char *const *filters;
	uint32_t asked; /* for these of them the broker was asked in this connection */
	struct flight flight[WINDOW];
	size_t flights;
	int64_t retry_at_us;
	uint32_t retry_ms;
	int64_t tick_us;
	bool open; /* there is a socket, perhaps not yet an accepted session */

	pthread_t thread;
	int wake_fd;
	atomic_bool up;
	atomic_uint connects;
	_Atomic(uint32_t) wanted;  /* of the filters */
	_Atomic(const char *) why; /* static text */

	pthread_mutex_t lock; /* guards what follows */
	struct message *head;
	struct message **tail;
	size_t queued;
	size_t queued_bytes;
	size_t pending; /* QoS 1, queued or in flight */
	int64_t confirmed[CONFIRMED_MAX];
	size_t confirmed_at;
	size_t confirmed_n;
	int64_t stop_at_us; /* 0 = go on */
};

static void
wake(struct mqtt *m)
{
	const uint64_t one = 1;

	/* A full counter has woken the thread already. */
	if (write(m->wake_fd, &one, sizeof(one)) < 0)
		CHECK(errno == EAGAIN || errno == EINTR);
}

static void
push(struct mqtt *m, struct message *msg)
{
	msg->next = NULL;
	*m->tail = msg;
	m->tail = &msg->next;
	m->queued++;
	m->queued_bytes += msg->topic_n + msg->payload_n;
	m->pending += msg->qos > 0;
}

/* Takes the message at *at out of the queue; its QoS 1 stays pending. */
static struct message *
unlink_at(struct mqtt *m, struct message **at)
{
	struct message *msg = *at;

	*at = msg->next;
	if (m->tail == &msg->next)
		m->tail = at;
	m->queued--;
	m->queued_bytes -= msg->topic_n + msg->payload_n;
	return msg;
}

static struct message *
pop(struct mqtt *m)
{
	struct message *msg = NULL;

	pthread_mutex_lock(&m->lock);
	if (m->head)
		msg = unlink_at(m, &m->head);
	pthread_mutex_unlock(&m->lock);
	return msg;
}

/* Ephemeral messages are worth nothing after a pause. */
static void
drop_ephemeral(struct mqtt *m)
{
	pthread_mutex_lock(&m->lock);
	for (struct message **at = &m->head; *at;) {
		if ((*at)->qos == 0)
			free(unlink_at(m, at));
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&m->lock);
}

/* A message is through, or (with tag 0) given up. */
static void
settle(struct mqtt *m, int64_t tag)
{
	pthread_mutex_lock(&m->lock);
	m->pending--;
	if (tag != 0) {
		if (m->confirmed_n == CONFIRMED_MAX) {
			m->confirmed_at = (m->confirmed_at + 1) % CONFIRMED_MAX;
			m->confirmed_n--;
		}
		m->confirmed[(m->confirmed_at + m->confirmed_n) % CONFIRMED_MAX] = tag;
		m->confirmed_n++;
	}
	pthread_mutex_unlock(&m->lock);
}

/* Called for QoS 0 as well, when it is written; those ids are not in flight. */
static void
on_publish(struct mosquitto *mosq, void *arg, int mid)
{
	struct mqtt *m = arg;

	(void)mosq;
	for (size_t i = 0; i < m->flights; i++) {
		if (m->flight[i].mid != mid)
			continue;
		settle(m, m->flight[i].tag);
		m->flights--;
		memmove(&m->flight[i], &m->flight[i + 1], (m->flights - i) * sizeof(m->flight[0]));
		return;
	}
}

/*
 * When the connection breaks here libmosquitto keeps a QoS 1 message and sends
 * it again after the next connect; only what it refuses to take is given up.
 * False when the connection is broken.
 */
static bool
send_message(struct mqtt *m, const struct message *msg)
{
	int mid = 0;
	int rc = mosquitto_publish(m->mosq, &mid, msg->data, (int)msg->payload_n,
		msg->data + msg->topic_n + 1, msg->qos, false);
	bool broken = rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_CONN_LOST || rc == MOSQ_ERR_ERRNO;

	if (msg->qos > 0) {
		if (rc == MOSQ_ERR_SUCCESS || broken)
			m->flight[m->flights++] = (struct flight){ mid, msg->tag };
		else
			settle(m, 0);
	}
	return !broken;
}

/* Unwritten bytes hold the queue back, so that a stopped broker cannot fill the memory. */
static void
pump(struct mqtt *m)
{
	bool on = true;

	while (on && m->flights < WINDOW && !mosquitto_want_write(m->mosq)) {
		struct message *msg = pop(m);
		if (!msg)
			return;
		on = send_message(m, msg);
		free(msg);
	}
}

/*
 * Brings what the broker was asked for to what is wanted. With QoS 1 the broker would let few
 * messages be under way (max_inflight_messages, the same for all its clients), and a storm of
 * them would overrun its queue; and what was not handled is lost with the connection all the same.
 */
static void
subscribe(struct mqtt *m)
{
	uint32_t wanted = m->wanted;

	for (unsigned i = 0; i < MQTT_FILTERS_MAX; i++) {
		uint32_t bit = UINT32_C(1) << i;
		int rc = MOSQ_ERR_SUCCESS;

		if (wanted & ~m->asked & bit)
			rc = mosquitto_subscribe(m->mosq, NULL, m->filters[i], 0);
		else if (m->asked & ~wanted & bit)
			rc = mosquitto_unsubscribe(m->mosq, NULL, m->filters[i]);
		if (rc == MOSQ_ERR_INVAL || rc == MOSQ_ERR_MALFORMED_UTF8)
			m->why = "a subscription is malformed";
	}
	m->asked = wanted;
}

static void
on_connect(struct mosquitto *mosq, void *arg, int rc)
{
	struct mqtt *m = arg;

	(void)mosq;
	if (rc != 0) {
		m->why = mosquitto_connack_string(rc);
		return;
	}
	m->asked = 0;
	subscribe(m);
	m->retry_ms = RETRY_MIN_MS;
	m->connects++;
	m->up = true;
}

static void
on_subscribe(struct mosquitto *mosq, void *arg, int mid, int n, const int *granted)
{
	struct mqtt *m = arg;

	(void)mosq;
	(void)mid;
	for (int i = 0; i < n; i++)
		if (granted[i] > 2)
			m->why = "a subscription was refused";
}

static void
on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *in)
{
	struct mqtt *m = arg;
	struct str payload = { in->payload ? in->payload : "", (size_t)in->payloadlen };

	(void)mosq;
	m->on_message(m->arg, str_of(in->topic), payload);
}

/* Half of the delay is random, so that workers do not come back in one burst. */
static void
retry_later(struct mqtt *m)
{
	uint32_t most_ms = m->port == 0 ? RETRY_SOCKET_MS : m->retry_ms;
	uint32_t delay_ms = most_ms / 2 + rand_below(most_ms / 2 + 1);

	m->retry_at_us = clock_mono_us() + (int64_t)delay_ms * 1000;
	m->retry_ms = m->retry_ms < RETRY_MAX_MS / 2 ? m->retry_ms * 2 : RETRY_MAX_MS;
}

static void
open_socket(struct mqtt *m)
{
	int rc = mosquitto_connect_async(m->mosq, m->host, m->port, KEEPALIVE_S);

	m->open = rc == MOSQ_ERR_SUCCESS;
	if (m->open)
		return;
	m->why = rc == MOSQ_ERR_ERRNO ? "the broker does not listen" : mosquitto_strerror(rc);
	retry_later(m);
}

static void
notice_close(struct mqtt *m)
{
	if (!m->open || mosquitto_socket(m->mosq) >= 0)
		return;
	if (m->up)
		m->why = "the connection was lost";
	m->open = false;
	m->up = false;
	drop_ephemeral(m);
	retry_later(m);
}

static int
wait_ms(const struct mqtt *m)
{
	int64_t us = m->tick_us;

	if (!m->open) {
		int64_t left_us = m->retry_at_us - clock_mono_us();
		us = left_us < us ? left_us : us;
	}
	return us > 0 ? (int)(us / 1000) + 1 : 0;
}

static void
network_step(struct mqtt *m)
{
	struct pollfd fds[2] = {
		{ .fd = m->wake_fd, .events = POLLIN },
		{ .fd = m->open ? mosquitto_socket(m->mosq) : -1, .events = POLLIN },
	};
	uint64_t wakes;

	if (m->open && mosquitto_want_write(m->mosq))
		fds[1].events |= POLLOUT;
	if (poll(fds, 2, wait_ms(m)) < 0)
		CHECK(errno == EINTR);
	if (fds[0].revents && read(m->wake_fd, &wakes, sizeof(wakes)) < 0)
		CHECK(errno == EAGAIN || errno == EINTR);
	/* Each of these closes the socket itself when it fails. */
	if (fds[1].revents & (POLLIN | POLLERR | POLLHUP))
		(void)mosquitto_loop_read(m->mosq, 1);
	if (fds[1].revents & POLLOUT)
		(void)mosquitto_loop_write(m->mosq, 1);
	(void)mosquitto_loop_misc(m->mosq);
	notice_close(m);
}

static bool
finished(struct mqtt *m)
{
	pthread_mutex_lock(&m->lock);
	bool stop = m->stop_at_us != 0;
	bool idle = m->queued == 0 && m->pending == 0;
	bool late = clock_mono_us() >= m->stop_at_us;
	pthread_mutex_unlock(&m->lock);
	m->tick_us = stop ? STOP_TICK_US : TICK_US;
	return stop && (idle || late);
}

static void *
network(void *arg)
{
	struct mqtt *m = arg;

	while (!finished(m)) {
		if (!m->open && clock_mono_us() >= m->retry_at_us)
			open_socket(m);
		network_step(m);
		if (m->up && m->asked != m->wanted)
			subscribe(m);
		if (m->up)
			pump(m);
	}
	(void)mosquitto_disconnect(m->mosq);
	m->up = false;
	return NULL;
}

static bool
set_up_library(struct mqtt *m, const struct mqtt_options *o)
{
	struct mosquitto *mosq = m->mosq = mosquitto_new(o->client_id, true, m);

	if (!mosq)
		return false;
	mosquitto_connect_callback_set(mosq, on_connect);
	mosquitto_publish_callback_set(mosq, on_publish);
	mosquitto_subscribe_callback_set(mosq, on_subscribe);
	if (o->on_message)
		mosquitto_message_callback_set(mosq, on_message);
	return mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V311) == 0 &&
	       mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, o->port != 0) == 0 &&
	       mosquitto_max_inflight_messages_set(mosq, 0) == 0 && /* WINDOW is the limit */
	       mosquitto_username_pw_set(mosq, o->username, o->password) == 0;
}

/* Signals belong to the main thread. */
static bool
start_thread(struct mqtt *m)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&m->thread, NULL, network, m) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (started)
		pthread_setname_np(m->thread, "mqtt");
	return started;
}

static void
release(struct mqtt *m)
{
	while (m->head)
		free(unlink_at(m, &m->head));
	mosquitto_destroy(m->mosq);
	if (m->wake_fd >= 0)
		close(m->wake_fd);
	pthread_mutex_destroy(&m->lock);
	free(m->host);
	free(m);
	mosquitto_lib_cleanup();
}

struct mqtt *
mqtt_new(const struct mqtt_options *o)
{
	struct mqtt *m = calloc(1, sizeof(*m));

	CHECK(m != NULL);
	mosquitto_lib_init();
	m->host = strdup(o->host);
	m->port = o->port;
	m->on_message = o->on_message;
	m->arg = o->arg;
	m->filters = o->filters;
	m->tail = &m->head;
	m->retry_ms = RETRY_MIN_MS;
	m->why = "";
	m->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&m->lock, NULL);
	if (m->host && m->wake_fd >= 0 && set_up_library(m, o) && start_thread(m))
		return m;
	release(m);
	return NULL;
}

void
mqtt_stop(struct mqtt *m)
{
	pthread_mutex_lock(&m->lock);
	if (m->stop_at_us == 0)
		m->stop_at_us = clock_mono_us() + FREE_WAIT_US;
	pthread_mutex_unlock(&m->lock);
	wake(m);
}

void
mqtt_free(struct mqtt *m)
{
	if (!m)
		return;
	mqtt_stop(m);
	pthread_join(m->thread, NULL);
	release(m);
}

void
mqtt_select(struct mqtt *m, uint32_t filters)
{
	m->wanted = filters;
	wake(m);
}

bool
mqtt_connected(const struct mqtt *m)
{
	return m->up;
}

unsigned
mqtt_connects(const struct mqtt *m)
{
	return m->connects;
}

const char *
mqtt_error(const struct mqtt *m)
{
	return m->why;
}

/* A broker ends the connection over a bad topic or packet, and the message would come again. */
static bool
publishable(struct str topic, struct str payload)
{
	return topic.n > 0 && topic.n <= MQTT_PACKET_MAX && payload.n <= MQTT_PACKET_MAX &&
	       topic.n + payload.n + PACKET_OVERHEAD <= MQTT_PACKET_MAX &&
	       mosquitto_validate_utf8(topic.p, (int)topic.n) == MOSQ_ERR_SUCCESS &&
	       mosquitto_pub_topic_check2(topic.p, topic.n) == MOSQ_ERR_SUCCESS;
}

bool
mqtt_publish(struct mqtt *m, struct str topic, struct str payload, int qos, int64_t tag)
{
	CHECK((qos == 0 || qos == 1) && tag >= 0);
	if (!publishable(topic, payload) || (qos == 0 && !m->up))
		return false;

	size_t bytes = topic.n + payload.n;
	struct message *msg = malloc(sizeof(*msg) + bytes + 1);
	CHECK(msg != NULL);
	*msg = (struct message){
		.tag = tag,
		.qos = qos,
		.topic_n = topic.n,
		.payload_n = payload.n,
	};
	memcpy(msg->data, topic.p, topic.n);
	msg->data[topic.n] = '\0';
	if (payload.n > 0)
		memcpy(msg->data + topic.n + 1, payload.p, payload.n);

	pthread_mutex_lock(&m->lock);
	/* With messages in the queue the thread is awake or waits for the broker. */
	bool sleeping = m->queued == 0;
	bool room = m->pending < MQTT_PENDING_MAX && m->queued < MQTT_PENDING_MAX &&
		    m->queued_bytes + bytes <= MQTT_PENDING_BYTES;
	if (room)
		push(m, msg);
	pthread_mutex_unlock(&m->lock);

	if (!room)
		free(msg);
	else if (sleeping)
		wake(m);
	return room;
}

size_t
mqtt_confirmed(struct mqtt *m, int64_t *out, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&m->lock);
	for (; n < max && m->confirmed_n > 0; n++) {
		out[n] = m->confirmed[m->confirmed_at];
		m->confirmed_at = (m->confirmed_at + 1) % CONFIRMED_MAX;
		m->confirmed_n--;
	}
	pthread_mutex_unlock(&m->lock);
	return n;
}

size_t
mqtt_confirmed_count(struct mqtt *m)
{
	pthread_mutex_lock(&m->lock);
	size_t n = m->confirmed_n;
	pthread_mutex_unlock(&m->lock);
	return n;
}

size_t
mqtt_pending(struct mqtt *m)
{
	pthread_mutex_lock(&m->lock);
	size_t n = m->pending;
	pthread_mutex_unlock(&m->lock);
	return n;
}
