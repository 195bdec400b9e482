/*
 * The devices of the load generator: how they reach the broker, what they ask, and what they make
 * of what arrives. The order of it is that of realtime/client.
 */
#ifndef PLAZA_TESTS_LOAD_SWARM_DEVICE_H
#define PLAZA_TESTS_LOAD_SWARM_DEVICE_H

#include "swarm_net.h"

#define NS 1000000000u
#define MS 1000000u
#define LOOK_NS (20 * MS) /* how often timers are looked at */
#define TEXT_BYTES 100

enum state { AWAY, WAITING, ASKING, CONNECTING, GREETING, READY };
enum ask { ASK_SEND, ASK_SYNC, ASK_SESSION, ASK_LOGOUT };
enum mode { PAIRS, FANOUT, IDLE, CRASH, KICK, PRESENCE, MODES };

struct request {
	enum ask ask;
	uint32_t message; /* of ASK_SEND */
};

struct client {
	const char *user, *token, *chat, *peer, *did, *role;
	char *secret; /* token for the broker */
	struct conn link, http;
	enum state state;
	bool greeted, synced, busy, syncing, silent, refused;
	unsigned failures;
	uint64_t at;            /* of the next timer */
	uint64_t us;            /* last event without a gap before it */
	uint64_t highest;       /* event that came */
	uint64_t ahead, gap_at; /* events behind a gap, as bits from us + 2 on; when it is filled */
	uint64_t edge;          /* when it was signed out, came or went */
	struct request *queue;
	size_t queued, room;
};

struct message {
	uint64_t due, accepted, seen;
	uint32_t sender;
};

struct times {
	uint32_t *us;
	size_t n, room;
};

struct swarm {
	enum mode mode;
	double rate;
	size_t count;
	bool ask_always;
	enum wire wire;
	uint16_t http_port, mqtt_port;
	unsigned run_id; /* makes the ids of messages new */

	struct client *people, publisher;
	struct message *messages;
	uint32_t sent;
	uint64_t begin, end;         /* of the time that counts */
	uint64_t broke;              /* when the broker was killed */
	uint64_t everybody_at;       /* when all were back */
	struct times times, leaving; /* latencies; of presence those of going apart */

	size_t ready;
	uint64_t unsent; /* messages that were refused */
	uint64_t accepted, delivered, repeated, refusals, faults_5xx, closed, gaps, again;
};
extern struct swarm sw;

/* Of swarm.c: what a sender does whose message was accepted. */
void swarm_next(uint32_t sender);

void device_init(void);
void device_adopt(struct client *c);
void device_come(struct client *c);
void device_request(struct client *c, enum ask ask, uint32_t message);
void device_uplink(struct client *c, const char *verb, const char *id, const char *data);
/* Lets time pass and all devices live, until then or a little less; for so long. */
void device_turn(uint64_t until);
void device_turns(uint64_t ns);
uint64_t seconds_ns(double s);

#endif
