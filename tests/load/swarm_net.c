/* Sockets, WebSocket frames, MQTT packets and HTTP answers of the load generator. */
#include "swarm_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 512
#define READ_BYTES 65536
#define LENGTH_BYTES 4 /* of an MQTT packet's length */
#define NS 1000000000u

static int poller;
static const struct net_handlers *tell;

uint64_t
net_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* ---- bytes ---- */

static void
need(struct bytes *b, size_t more)
{
	if (b->n + more <= b->cap)
		return;
	b->cap = (b->n + more) * 2;
	b->p = realloc(b->p, b->cap);
	if (!b->p)
		abort();
}

void
bytes_put(struct bytes *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	need(b, n);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void
bytes_puts(struct bytes *b, const char *s)
{
	bytes_put(b, s, strlen(s));
}

void
bytes_printf(struct bytes *b, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	if (n < 0)
		abort();
	need(b, (size_t)n + 1);
	(void)vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
	b->n += (size_t)n;
	va_end(again);
	va_end(args);
}

void
bytes_put_mqtt(struct bytes *b, const char *s)
{
	size_t n = strlen(s);
	const uint8_t length[] = { (uint8_t)(n >> 8), (uint8_t)n };

	bytes_put(b, length, sizeof(length));
	bytes_put(b, s, n);
}

/* An idle connection keeps no memory: there are many of them. */
static void
bytes_drop(struct bytes *b, size_t n)
{
	b->n -= n;
	if (b->n > 0) {
		memmove(b->p, b->p + n, b->n);
		return;
	}
	free(b->p);
	*b = (struct bytes){ 0 };
}

/* ---- sockets ---- */

void
net_init(const struct net_handlers *handlers)
{
	tell = handlers;
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		abort();
}

void
conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->upgraded = c->wants_out = false;
	bytes_drop(&c->in, c->in.n);
	bytes_drop(&c->out, c->out.n);
	bytes_drop(&c->packets, c->packets.n);
}

static void
broken(struct conn *c)
{
	conn_close(c);
	tell->closed(c);
}

static void
watch_out(struct conn *c, bool out)
{
	struct epoll_event e = { .events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c };

	if (c->wants_out == out)
		return;
	c->wants_out = out;
	epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

/* An error is left to the next read, so that nobody is called back while sending. */
static void
flush(struct conn *c)
{
	size_t done = 0;

	while (done < c->out.n) {
		ssize_t n = send(c->fd, c->out.p + done, c->out.n - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	if (done > 0)
		bytes_drop(&c->out, done);
	watch_out(c, c->out.n > 0);
}

void
conn_open(struct conn *c, uint16_t port, enum wire wire)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	conn_close(c);
	c->wire = wire;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		perror("swarm: socket");
		exit(1);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS) {
		perror("swarm: connect");
		exit(1);
	}
	c->wants_out = true;
	epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
	if (wire == WIRE_MQTT_WS)
		bytes_printf(&c->out,
			"GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
			"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: c3dhcm0gb2YgZGV2aWNlcw==\r\n"
			"Sec-WebSocket-Protocol: mqtt\r\n\r\n",
			port);
	else if (wire == WIRE_MQTT)
		tell->opened(c);
}

/* ---- WebSocket ---- */

static void
put_frame(struct bytes *out, uint8_t opcode, const void *p, size_t n)
{
	/* Masked with zeros: what the mask protects from is not here. */
	uint8_t head[8] = { (uint8_t)(0x80 | opcode) };
	size_t k = 2;

	if (n < 126) {
		head[1] = (uint8_t)(0x80 | n);
	} else {
		head[1] = 0x80 | 126;
		head[2] = (uint8_t)(n >> 8);
		head[3] = (uint8_t)n;
		k = 4;
	}
	bytes_put(out, head, k + 4);
	bytes_put(out, p, n);
}

static bool
take_upgrade(struct conn *c)
{
	char *end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);

	if (!end)
		return false;
	if (c->in.n < 12 || memcmp(c->in.p + 9, "101", 3) != 0) {
		broken(c);
		return false;
	}
	bytes_drop(&c->in, (size_t)(end + 4 - c->in.p));
	c->upgraded = true;
	tell->opened(c);
	return true;
}

/* Size of the frame's head, 0 when it is not whole yet. */
static size_t
frame_head(const uint8_t *p, size_t left, size_t *n)
{
	size_t k = 2;

	if (left < 2)
		return 0;
	*n = p[1] & 127;
	if (*n == 126) {
		k = 4;
		*n = left < k ? 0 : (size_t)p[2] << 8 | p[3];
	} else if (*n == 127) { /* no packet of ours is that long */
		k = 10;
		*n = left < k ? 0
			      : (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
	}
	return left < k || left < k + *n ? 0 : k;
}

/* False when the connection has ended. */
static bool
take_frames(struct conn *c)
{
	size_t at = 0, k, n = 0;

	if (!c->upgraded && (c->in.n == 0 || !take_upgrade(c)))
		return c->fd >= 0;
	while ((k = frame_head((uint8_t *)c->in.p + at, c->in.n - at, &n)) > 0) {
		uint8_t opcode = (uint8_t)c->in.p[at] & 15;
		if (opcode == 8) {
			broken(c);
			return false;
		}
		if (opcode == 9)
			put_frame(&c->out, 10, c->in.p + at + k, n);
		else if (opcode <= 2)
			bytes_put(&c->packets, c->in.p + at + k, n);
		at += k + n;
	}
	if (at > 0)
		bytes_drop(&c->in, at);
	if (c->out.n > 0)
		flush(c);
	return true;
}

/* ---- MQTT ---- */

void
conn_send(struct conn *c, const void *p, size_t n)
{
	if (c->fd < 0)
		return;
	if (c->wire == WIRE_MQTT_WS)
		put_frame(&c->out, 2, p, n);
	else
		bytes_put(&c->out, p, n);
	flush(c);
}

void
conn_packet(struct conn *c, uint8_t first, const struct bytes *body)
{
	static struct bytes whole;
	size_t n = body->n;

	whole.n = 0;
	bytes_put(&whole, &first, 1);
	do {
		uint8_t digit = (uint8_t)((n & 127) | (n > 127 ? 128 : 0));
		bytes_put(&whole, &digit, 1);
		n >>= 7;
	} while (n > 0);
	bytes_put(&whole, body->p, body->n);
	conn_send(c, whole.p, whole.n);
}

/* Size of the packet's head, 0 when the packet is not whole yet. */
static size_t
packet_head(const uint8_t *p, size_t left, size_t *n)
{
	*n = 0;
	for (size_t k = 1; k <= LENGTH_BYTES && k < left; k++) {
		*n |= (size_t)(p[k] & 127) << (7 * (k - 1));
		if (!(p[k] & 128))
			return left < k + 1 + *n ? 0 : k + 1;
	}
	return 0;
}

static void
take_packets(struct conn *c)
{
	struct bytes got = c->packets;
	size_t at = 0, k, n;

	/* A handler may close the connection, or open it again; then the rest is of the old one. */
	c->packets = (struct bytes){ 0 };
	int fd = c->fd;
	while (c->fd == fd && (k = packet_head((uint8_t *)got.p + at, got.n - at, &n)) > 0) {
		tell->packet(c, (uint8_t)got.p[at], got.p + at + k, n);
		at += k + n;
	}
	if (c->fd == fd)
		bytes_put(&c->packets, got.p + at, got.n - at);
	free(got.p);
}

/* ---- HTTP ---- */

/* Size of the whole answer, 0 when there is more to come. */
static size_t
reply_size(struct bytes *in, size_t *head)
{
	char *end = memmem(in->p, in->n, "\r\n\r\n", 4);

	if (!end)
		return 0;
	*head = (size_t)(end + 4 - in->p);
	*end = '\0';
	const char *length = strcasestr(in->p, "\r\nContent-Length:");
	bool chunked = strcasestr(in->p, "\r\nTransfer-Encoding: chunked") != NULL;
	*end = '\r';
	size_t n = length ? strtoul(length + 17, NULL, 10) : 0;
	if (chunked) {
		const char *last = memmem(end + 2, in->n - *head + 2, "\r\n0\r\n\r\n", 7);
		if (!last)
			return 0;
		n = (size_t)(last + 7 - in->p) - *head;
	}
	return in->n < *head + n ? 0 : *head + n;
}

static void
take_reply(struct conn *c)
{
	size_t head = 0, size = reply_size(&c->in, &head);

	if (size == 0)
		return;
	struct bytes got = c->in;
	c->in = (struct bytes){ 0 };
	bytes_put(&c->in, got.p + size, got.n - size);
	/* Ends the body for who searches in it. */
	bytes_put(&got, "", 1);
	tell->reply(c, (int)strtol(got.p + 9, NULL, 10), got.p + head, size - head);
	free(got.p);
}

/* ---- the loop ---- */

static void
take_in(struct conn *c)
{
	static char buffer[READ_BYTES];
	struct bytes *to = c->wire == WIRE_MQTT ? &c->packets : &c->in;
	ssize_t n;

	do {
		n = recv(c->fd, buffer, sizeof(buffer), 0);
		if (n > 0)
			bytes_put(to, buffer, (size_t)n);
	} while (n == READ_BYTES);
	bool ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	int fd = c->fd;
	if (c->wire == WIRE_HTTP)
		take_reply(c);
	else if (c->wire == WIRE_MQTT || take_frames(c))
		take_packets(c);
	if (ended && c->fd == fd)
		broken(c);
}

void
net_turn(uint64_t ns)
{
	struct epoll_event ev[EVENTS];
	struct timespec wait = { (time_t)(ns / NS), (long)(ns % NS) };
	int n = epoll_pwait2(poller, ev, EVENTS, &wait, NULL);

	for (int i = 0; i < n; i++) {
		struct conn *c = ev[i].data.ptr;
		if (c->fd >= 0 && ev[i].events & EPOLLOUT)
			flush(c);
		if (c->fd >= 0 && ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			take_in(c);
	}
}
