/*
 * Push messages: what waits in push_queue goes to the services of the browsers
 * and phones, at least once. The relay asks Redis whether a user is there when a
 * message is new, and PostgreSQL what is still true when it is due: presence is
 * no business of the transaction that sends a message.
 */
#ifndef PLAZA_PUSH_H
#define PLAZA_PUSH_H

#include "base/arena.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct conf;
struct fetch;
struct fetch_answer;
struct p256;
struct push;
struct relay;

/* What became of one. */
enum push_outcome { PUSH_SENT, PUSH_DEAD, PUSH_GONE, PUSH_RETRY };

/* One that was taken, as push_take() returns it; the views live as long as the step. */
struct push_row {
	struct uuid device, topic;
	int64_t seq;
	struct str host, address, point, auth;
	struct str title, body, kind, link;
	int64_t badge, ttl;
	int attempts;
	bool urgent;
};

/* ---- push.c ---- */

/* NULL when nothing is configured. */
struct push *push_new(struct conf *conf);
void push_free(struct push *p);
/* The process leads from now on: what another one had on its way is due. */
void push_lead(struct relay *r);
/* Sends what is due, and waits for answers, about `ms` in all. */
void push_turn(struct push *p, struct relay *r, int ms);
/* Only waits, while another process leads. */
void push_idle(struct push *p, int ms);

/* ---- push_web.c, push_fcm.c: one message as a request ---- */

/* Where a request goes and what comes back of it. */
struct push_call {
	struct fetch *fetch;
	struct arena *arena;
	void (*done)(void *arg, const struct fetch_answer *answer);
	void *arg;
};

/* False when it cannot be sent, ever: the subscription's keys are bad, or it is too long. */
bool push_web_send(const struct push_call *call, const struct push_row *row, const struct p256 *key,
	const char *contact);
enum push_outcome push_web_outcome(int status);

/* The access token that FCM wants, asked for in the background. */
struct fcm;
struct fcm *fcm_new(const struct conf *conf, struct fetch *fetch);
void fcm_free(struct fcm *f);
/* True when there is a token; else one is being asked for. */
bool fcm_ready(struct fcm *f);
bool push_fcm_send(const struct push_call *call, const struct push_row *row, const struct fcm *f);
enum push_outcome push_fcm_outcome(
	struct fcm *f, struct arena *a, const struct fetch_answer *answer);

#endif
