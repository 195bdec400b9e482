/* Devices: requests, the way to the broker and back to it, what arrives. */
#include "swarm_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_NS (40ull * NS)
#define KEEPALIVE_S 60
#define KEEP_HTTP_MAX 5000
#define SHORT_KEEPALIVE_S 5   /* of who falls silent */
#define ANSWER_NS (5ull * NS) /* then a connection is not waited for any longer */
#define GREETING_S 8          /* nor is the answer to hello, more or less */
#define GAP_NS (NS / 5)       /* an event that is missing may be on its way */

static uint64_t random_state = 88172645463325252u;

static double
random_unit(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (double)(random_state >> 11) / 9007199254740992.0;
}

uint64_t
seconds_ns(double s)
{
	return (uint64_t)(s * 1e9);
}

static void
keep_time(struct times *t, uint64_t ns)
{
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 65536;
		t->us = realloc(t->us, t->room * sizeof(*t->us));
		if (!t->us)
			abort();
	}
	t->us[t->n++] = (uint32_t)(ns / 1000);
}

static struct client *
peer_of(const struct client *c)
{
	return &sw.people[(size_t)(c - sw.people) ^ 1];
}

/* ---- requests: one at a time for each client, as many wait ---- */

static void
transmit(struct client *c)
{
	static struct bytes text, body;
	const struct request *r = &c->queue[0];

	text.n = body.n = 0;
	if (c->busy || c->queued == 0)
		return;
	c->busy = true;
	if (c->http.fd < 0)
		conn_open(&c->http, sw.http_port, WIRE_HTTP);
	if (r->ask == ASK_SYNC) {
		bytes_printf(&text, "GET /api/v1/sync?since=%llu", (unsigned long long)c->us);
	} else if (r->ask == ASK_SESSION) {
		bytes_puts(&text, "POST /api/v1/realtime/session");
	} else if (r->ask == ASK_LOGOUT) {
		bytes_puts(&text, "POST /api/v1/auth/logout");
		c->edge = net_now();
	} else {
		bytes_printf(&text, "POST /api/v1/chats/%s/messages", c->chat);
		bytes_printf(&body,
			"{\"cmid\":\"%08x-0000-4000-8000-%012x\",\"body\":\"rt:%u;%0*d\"}",
			sw.run_id, r->message, r->message, TEXT_BYTES - 12, 0);
	}
	bytes_printf(
		&text, " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n", c->token);
	if (text.p[0] == 'P')
		bytes_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			r->ask == ASK_SEND ? body.n : 2);
	bytes_puts(&text, "\r\n");
	if (text.p[0] == 'P')
		bytes_put(
			&text, r->ask == ASK_SEND ? body.p : "{}", r->ask == ASK_SEND ? body.n : 2);
	conn_send(&c->http, text.p, text.n);
}

void
device_request(struct client *c, enum ask ask, uint32_t message)
{
	if (ask == ASK_SYNC && c->syncing)
		return;
	c->syncing |= ask == ASK_SYNC;
	if (c->queued == c->room) {
		c->room = c->room ? 2 * c->room : 4;
		c->queue = realloc(c->queue, c->room * sizeof(*c->queue));
		if (!c->queue)
			abort();
	}
	c->queue[c->queued++] = (struct request){ ask, message };
	transmit(c);
}

/* ---- the way to the broker ---- */

void
device_uplink(struct client *c, const char *verb, const char *id, const char *data)
{
	static struct bytes b;
	char topic[128];
	static uint16_t packet;

	(void)snprintf(
		topic, sizeof(topic), "up/%c/%s/%s", c->user[strlen(c->user) - 1], c->user, verb);
	b.n = 0;
	bytes_put_mqtt(&b, topic);
	packet = (uint16_t)(packet % 60000 + 1);
	const uint8_t number[] = { (uint8_t)(packet >> 8), (uint8_t)packet };
	bytes_put(&b, number, sizeof(number));
	bytes_printf(&b, "{\"v\":1,\"id\":\"%s\",\"did\":\"%s\",\"d\":%s}", id, c->did, data);
	conn_packet(&c->link, 0x32, &b);
}

static void
greet(struct client *c)
{
	char data[48];

	(void)snprintf(data, sizeof(data), "{\"lastUs\":%llu}", (unsigned long long)c->us);
	device_uplink(c, "hello", "00000000-0000-4000-8000-000000000001", data);
	c->at = net_now() + seconds_ns(GREETING_S * (0.6 + 0.8 * random_unit()));
}

void
device_come(struct client *c)
{
	if (c->secret && !c->refused && !sw.ask_always) {
		c->state = CONNECTING;
		conn_open(&c->link, sw.wire == WIRE_MQTT ? sw.mqtt_port : sw.http_port, sw.wire);
		c->at = net_now() + 2 * ANSWER_NS;
		return;
	}
	c->state = ASKING;
	device_request(c, ASK_SESSION, 0);
}

static void
come_later(struct client *c)
{
	double pause = 1u << (c->failures < 5 ? c->failures : 5);

	c->state = WAITING;
	pause *= 1.5;
	c->at = net_now() + seconds_ns((pause < 30 ? pause : 30) * (0.1 + 1.8 * random_unit()));
}

static void
introduce(struct conn *link)
{
	struct client *c = link->owner;
	static struct bytes b;
	char id[128];
	uint16_t keepalive = c->silent ? SHORT_KEEPALIVE_S : KEEPALIVE_S;
	const uint8_t head[] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2, (uint8_t)(keepalive >> 8),
		(uint8_t)keepalive };

	if (link->wire == WIRE_HTTP)
		return;
	b.n = 0;
	bytes_put(&b, head, sizeof(head));
	(void)snprintf(id, sizeof(id), "%s_%s", c->user, c->did);
	bytes_put_mqtt(&b, c == &sw.publisher ? "plaza-load" : id);
	bytes_put_mqtt(&b, c->user);
	bytes_put_mqtt(&b, c->secret);
	conn_packet(link, 0x10, &b);
}

static void
subscribe(struct client *c)
{
	static struct bytes b;
	char inbox[64], role[64];
	const char *const filters[] = { inbox, "b/all", role };

	(void)snprintf(inbox, sizeof(inbox), "u/%s/#", c->user);
	(void)snprintf(role, sizeof(role), "b/role/%s", c->role);
	b.n = 0;
	bytes_put(&b, "\0\1", 2);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		bytes_put_mqtt(&b, filters[i]);
		bytes_put(&b, "\1", 1);
	}
	conn_packet(&c->link, 0x82, &b);
}

static void
settle(struct client *c)
{
	if (c->state != GREETING || !c->greeted || !c->synced)
		return;
	c->state = READY;
	c->failures = 0;
	c->at = net_now() + PING_NS;
	if (++sw.ready == sw.count && sw.broke)
		sw.everybody_at = net_now();
}

static void
subscribed(struct client *c)
{
	c->state = GREETING;
	c->greeted = false;
	c->synced = sw.broke == 0; /* the first time all is loaded, which is not ours */
	greet(c);
}

/* ---- what arrives ---- */

static void
accept_message(struct message *m)
{
	if (m->accepted)
		return;
	m->accepted = net_now();
	sw.accepted += m->accepted >= sw.begin && m->accepted < sw.end;
	if (sw.rate == 0 && sw.mode == PAIRS)
		swarm_next(m->sender);
}

static void
see(struct client *c, struct message *m)
{
	uint64_t now = net_now();

	if (sw.mode == FANOUT) {
		sw.delivered++;
		keep_time(&sw.times, now - m->due);
		return;
	}
	if (c == &sw.people[m->sender]) {
		accept_message(m);
		return;
	}
	sw.repeated += m->seen != 0;
	if (m->seen)
		return;
	m->seen = now;
	if (m->due < sw.begin || m->due >= sw.end)
		return;
	sw.delivered++;
	keep_time(&sw.times, now - m->due);
}

/* The texts of all messages in it, whatever is around them. */
static void
look_for_messages(struct client *c, const char *p, size_t n)
{
	const char *at;

	while (n > 3 && (at = memmem(p, n, "\"rt:", 4))) {
		n -= (size_t)(at + 4 - p);
		p = at + 4;
		unsigned long i = strtoul(p, NULL, 10);
		if (i < sw.sent)
			see(c, &sw.messages[i]);
	}
}

static uint64_t
number_behind(const char *p, size_t n, const char *name)
{
	const char *at = memmem(p, n, name, strlen(name));

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* One event more is there, and those behind it that came before it. */
static void
advance(struct client *c)
{
	for (c->us++; c->ahead & 1; c->us++)
		c->ahead >>= 1;
	c->ahead >>= 1;
}

static void
place(struct client *c, const char *p, size_t n)
{
	uint64_t us = number_behind(p, n < 200 ? n : 200, "\"us\":");

	if (us == 0)
		return;
	if (us > c->highest)
		c->highest = us;
	if (us == c->us + 1) {
		advance(c);
	} else if (us > c->us + 1 && c->state == READY) {
		if (us - c->us - 2 < 64)
			c->ahead |= UINT64_C(1) << (us - c->us - 2);
		if (!c->gap_at)
			c->gap_at = net_now() + GAP_NS;
	}
}

/* What came in another order has filled it, or something is missing. */
static void
look_at_gap(struct client *c)
{
	c->gap_at = 0;
	if (c->highest <= c->us || c->state != READY)
		return;
	sw.gaps++;
	device_request(c, ASK_SYNC, 0);
}

/* Told to a watcher; what it hears before the edge is the answer to its question. */
static void
status(struct client *c, const char *p, size_t n)
{
	struct client *who = peer_of(c);
	bool offline = memmem(p, n, "\"offline\"", 9) != NULL;

	if (!who->edge || !memmem(p, n, who->user, strlen(who->user)) ||
		offline != (who->link.fd < 0))
		return;
	keep_time(offline ? &sw.leaving : &sw.times, net_now() - who->edge);
	who->edge = 0;
	sw.delivered += offline;
}

static void
arrived(struct client *c, const char *p, size_t n)
{
	size_t topic = (size_t)(uint8_t)p[0] << 8 | (uint8_t)p[1];
	const char *type;

	if (n < topic + 2)
		return;
	p += 2 + topic;
	n -= 2 + topic;
	type = memmem(p, n, "\"t\":\"", 5);
	if (type && strncmp(type + 5, "session:resumed", 15) == 0) {
		uint64_t to = number_behind(p, n, "\"to\":");
		if (sw.broke == 0)
			c->us = to;
		c->greeted = true;
		c->synced |= c->us >= to;
		if (!c->synced)
			device_request(c, ASK_SYNC, 0);
		settle(c);
	} else if (type && strncmp(type + 5, "user:status", 11) == 0) {
		status(c, p, n);
	} else if (type && strncmp(type + 5, "message:error", 13) == 0) {
		sw.unsent++;
		if (sw.refusals++ < 3)
			(void)fprintf(stderr, "swarm: %.*s\n", (int)(n < 300 ? n : 300), p);
	} else {
		place(c, p, n);
		look_for_messages(c, p, n);
	}
}

static void
refused(struct client *c, const char *what)
{
	if (sw.closed++ < 3)
		(void)fprintf(stderr, "swarm: %s: %s\n", c->user, what);
	c->refused = true;
	c->failures++;
	conn_close(&c->link);
	come_later(c);
}

static void
packet(struct conn *link, uint8_t first, const char *body, size_t n)
{
	struct client *c = link->owner;
	static struct bytes ack;

	switch (first >> 4) {
	case 2: /* CONNACK */
		if (n < 2 || body[1] != 0) {
			refused(c, "CONNECT was refused");
		} else if (c == &sw.publisher) {
			c->state = READY;
		} else {
			if (c->silent)
				c->edge = net_now();
			subscribe(c);
		}
		return;
	case 9: /* SUBACK */
		if (n < 3 || (uint8_t)body[2] & 128)
			refused(c, "SUBSCRIBE was refused");
		else
			subscribed(c);
		return;
	case 3: /* PUBLISH */
		if (n < 2)
			return;
		if (first & 6) {
			size_t topic = (size_t)(uint8_t)body[0] << 8 | (uint8_t)body[1];
			ack.n = 0;
			bytes_put(&ack, body + 2 + topic, 2);
			conn_packet(link, 0x40, &ack);
		}
		arrived(c, body, n);
		return;
	default:
		return;
	}
}

static void
take_secret(struct client *c, const char *body)
{
	static const char name[] = "\"password\":\"";
	const char *at = strstr(body, name);

	if (!at)
		return;
	at += sizeof(name) - 1;
	c->secret = strndup(at, strcspn(at, "\""));
	c->refused = false;
	c->state = CONNECTING;
	conn_open(&c->link, sw.wire == WIRE_MQTT ? sw.mqtt_port : sw.http_port, sw.wire);
	c->at = net_now() + 2 * ANSWER_NS;
}

static void
synced(struct client *c, const char *body, size_t n)
{
	uint64_t to = number_behind(body, n, "\"to\":");

	look_for_messages(c, body, n);
	while (c->us < to)
		advance(c);
	c->syncing = false;
	if (memmem(body, n < 200 ? n : 200, "\"more\":true", 11)) {
		device_request(c, ASK_SYNC, 0);
		return;
	}
	c->synced = true;
	settle(c);
}

static void
reply(struct conn *http, int code, const char *body, size_t n)
{
	struct client *c = http->owner;
	struct request r = c->queue[0];

	c->busy = false;
	c->queued--;
	memmove(c->queue, c->queue + 1, c->queued * sizeof(*c->queue));
	sw.faults_5xx += code >= 500;
	if (code < 200 || code > 299) {
		if (sw.refusals++ < 3)
			(void)fprintf(
				stderr, "swarm: %d %.*s\n", code, (int)(n < 300 ? n : 300), body);
		c->syncing &= r.ask != ASK_SYNC;
		sw.unsent += r.ask == ASK_SEND;
		c->failures++;
		if (r.ask == ASK_SESSION)
			come_later(c);
		else if (r.ask == ASK_SYNC)
			c->at = net_now() + NS; /* look() asks again */
	} else if (r.ask == ASK_SEND) {
		accept_message(&sw.messages[r.message]);
	} else if (r.ask == ASK_SESSION) {
		take_secret(c, body);
	} else if (r.ask == ASK_SYNC) {
		synced(c, body, n);
	}
	transmit(c);
	/* The descriptors of so many would not do for two connections each. */
	if (!c->busy && sw.count > KEEP_HTTP_MAX)
		conn_close(&c->http);
}

static void
link_closed(struct client *c)
{
	if (c->state == READY || c->state == GREETING) {
		sw.ready -= c->state == READY;
		c->failures = 0;
	} else {
		/* It never stood: the token may be why. */
		c->refused = true;
		c->failures++;
	}
	if (sw.mode == KICK) {
		c->state = AWAY;
		sw.delivered++;
		keep_time(&sw.times, net_now() - c->edge);
	} else if (c->silent) {
		c->state = AWAY;
		c->edge = net_now();
	} else {
		sw.closed++;
		come_later(c);
	}
}

static void
conn_ended(struct conn *conn)
{
	struct client *c = conn->owner;

	if (conn == &c->link) {
		link_closed(c);
		return;
	}
	/* Closed while idle, or together with our request: nothing is lost by asking again. */
	c->busy = false;
	sw.again += c->queued > 0;
	transmit(c);
}

/* ---- time ---- */

static void
look_at(struct client *c, uint64_t now)
{
	if (c->gap_at && now >= c->gap_at)
		look_at_gap(c);
	if (c->state == AWAY || c->state == ASKING || now < c->at || c == &sw.publisher)
		return;
	c->at = now + ANSWER_NS;
	if (c->state == WAITING) {
		device_come(c);
	} else if (c->state == CONNECTING) {
		refused(c, "no answer");
	} else if (c->state == GREETING) {
		/* No answer to hello: the feed tells as well. */
		sw.again++;
		c->greeted = true;
		if (!c->synced)
			device_request(c, ASK_SYNC, 0);
		settle(c);
	} else if (!c->silent) {
		conn_send(&c->link, "\xc0\0", 2);
		c->at = now + PING_NS;
	}
}

void
device_turn(uint64_t until)
{
	static uint64_t looked;
	uint64_t now = net_now();

	if (now - looked > LOOK_NS) {
		looked = now;
		for (size_t i = 0; i < sw.count; i++)
			look_at(&sw.people[i], now);
	}
	net_turn(until <= now ? 0 : until - now < LOOK_NS ? until - now : LOOK_NS);
}

void
device_turns(uint64_t ns)
{
	for (uint64_t until = net_now() + ns; net_now() < until;)
		device_turn(until);
}

/* ---- start ---- */

void
device_init(void)
{
	static const struct net_handlers handlers = { introduce, packet, reply, conn_ended };

	net_init(&handlers);
}

void
device_adopt(struct client *c)
{
	c->link = c->http = (struct conn){ .fd = -1, .owner = c };
}
