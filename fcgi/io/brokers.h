/*
 * The brokers of this installation, k of them, none of which knows the others.
 * A user's own topics live on one broker, which the user's id tells; all other
 * topics live on every broker. Programs hold a connection to each and publish
 * by topic alone. With k = 1 everything goes the same way, to the one there is.
 *
 * One thread uses a set. Publishing never blocks, see io/mqtt.h.
 */
#ifndef PLAZA_IO_BROKERS_H
#define PLAZA_IO_BROKERS_H

#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"
#include "io/conf.h"
#include "io/mqtt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROKERS_MAX 16
#define BROKERS_ALL (~0u) /* as bits: broker i is 1 << i */
/* Rows on several brokers that wait to be confirmed; beyond them the oldest is forgotten. */
#define BROKERS_ROWS_MAX 4096

struct brokers;

/* How many there are; the lists of the settings must have the same length. */
enum problem brokers_count(const struct conf *c, size_t *count, struct err *err)
	__attribute__((warn_unused_result));
/* The broker of a user: the last 8 digits of the id (the first ones are a clock), modulo k. */
size_t brokers_shard(const struct uuid *user, size_t count);

/*
 * Fills in where broker n is and who we are there; the caller adds what it wants
 * of the connection. The texts live as long as the settings.
 */
enum problem brokers_options(struct conf *c, size_t n, const char *name, struct mqtt_options *out,
	struct err *err) __attribute__((warn_unused_result));

/* Connects to all; `name` begins the client ids. NULL and err->detail: wrong settings. */
struct brokers *brokers_new(struct conf *c, const char *name, struct err *err);
void brokers_free(struct brokers *b);

size_t brokers_size(const struct brokers *b);
bool brokers_up(const struct brokers *b, size_t n);
/* Messages of QoS 1 handed in for broker n and not confirmed, and for all of them. */
size_t brokers_pending_at(const struct brokers *b, size_t n);
size_t brokers_pending(const struct brokers *b);
/* Why broker n was last out of reach, see mqtt_error(). */
const char *brokers_error(const struct brokers *b, size_t n);

/* To the brokers of the topic; false when one of them dropped it. QoS 0 or 1. */
bool brokers_publish(struct brokers *b, struct str topic, struct str payload, int qos);
/* To broker n, whatever the topic. */
bool brokers_publish_at(struct brokers *b, size_t n, struct str topic, struct str payload, int qos);

/*
 * Publishes the events of a transaction with QoS 1; returns how many were queued.
 * Lines are id US topic US payload RS, see sql/README.md. Lines with id 0 share
 * the outbox row of the next line that has one.
 *
 * A row is confirmed when every broker that got a line of it has confirmed its
 * last one there (each confirms in order). When one line was refused the row never
 * is: it stays in the outbox and the relay sends it.
 */
int64_t brokers_publish_events(struct brokers *b, struct str lines);

/* The brokers of an outbox row, as bits. Its lines are topic US payload RS. */
unsigned brokers_of(const struct brokers *b, struct str lines);
/* Publishes the row's lines for the brokers `to`; false when it cannot be confirmed. */
bool brokers_publish_row(struct brokers *b, struct str lines, unsigned to, int64_t id);

/* Moves ids of up to `max` confirmed rows to out[]; returns how many. */
size_t brokers_confirmed(struct brokers *b, int64_t *out, size_t max);
/* Confirmations that wait to be taken; of rows on several brokers each counts. */
size_t brokers_confirmed_count(struct brokers *b);

#endif
