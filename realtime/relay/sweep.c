/* The outbox sweep: at least once, in the order of the rows. */
#include "relay/relay.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/brokers.h"
#include "io/db.h"
#include "queries.h"

#define SWEEP_ROWS 500
#define CONFIRM_WAIT_US INT64_C(1000000)
#define CONFIRM_POLL_MS 5
#define CONFIRM_MAX 1000

/* What one sweep did, for the log. */
struct sweep {
	unsigned to; /* brokers that take something, as bits */
	size_t sent, parked, confirmed;
	bool more;
};

/*
 * Parked rows belong to brokers as they were counted then. When their number has
 * changed every user reconnects, and reads what it missed from its feed.
 */
void
sweep_lead(struct relay *r)
{
	struct q_outbox_unpark q = { .brokers = (int32_t)brokers_size(r->brokers) };
	struct err err = { 0 };
	struct rows *rows;

	r->parked = BROKERS_ALL;
	relay_step(r);
	if (q_outbox_unpark(r->db, &q, &rows, &err))
		log_event(LOG_WARN, "outbox_unpark", LZ("text", err.log));
}

/*
 * A connection says nothing of a broker that hangs. One that was slow gets no more
 * until it has confirmed all: else the same rows would fill its queue.
 */
static unsigned
usable(struct relay *r)
{
	unsigned to = 0;

	for (size_t i = 0; i < brokers_size(r->brokers); i++) {
		if (brokers_pending_at(r->brokers, i) == 0)
			r->stuck &= ~(1u << i);
		if (brokers_up(r->brokers, i) && !(r->stuck >> i & 1))
			to |= 1u << i;
	}
	return to;
}

/* Removes confirmed rows; those of earlier sweeps and of job events are among them. */
static size_t
confirm(struct relay *r)
{
	int64_t ids[CONFIRM_MAX];
	struct err err = { 0 };
	struct rows *rows;
	size_t n = brokers_confirmed(r->brokers, ids, CONFIRM_MAX);

	if (n == 0)
		return 0;
	relay_step(r);
	if (q_outbox_sent(r->db, &(struct q_outbox_sent){ .ids = { ids, n } }, &rows, &err))
		log_event(LOG_WARN, "outbox_sent", LZ("text", err.log), LI("rows", n));
	return n;
}

/* Each of these rows becomes one for every broker that it has lines for. */
static bool
park(struct relay *r, const int64_t *ids, size_t n)
{
	struct q_outbox_park q = { .ids = { ids, n },
		.brokers = (int32_t)brokers_size(r->brokers) };
	struct err err = { 0 };
	struct rows *rows;

	relay_step(r);
	if (q_outbox_park(r->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "outbox_park", LZ("text", err.log), LI("rows", n));
		return false;
	}
	r->parked = BROKERS_ALL;
	return true;
}

static void
publish_left(struct relay *r, struct sweep *s)
{
	int64_t ids[SWEEP_ROWS];
	struct err err = { 0 };
	struct rows *rows;
	size_t n = 0;

	relay_step(r);
	if (q_outbox_left(r->db, &(struct q_outbox_left){ .limit = SWEEP_ROWS }, &rows, &err)) {
		log_event(LOG_WARN, "outbox_left", LZ("text", err.log));
		return;
	}
	size_t count = rows_count(rows);
	for (size_t i = 0; i < count; i++) {
		struct str lines = rows_str(rows, i, Q_OUTBOX_LEFT_LINES);
		int64_t id = rows_i64(rows, i, Q_OUTBOX_LEFT_ID);

		if (brokers_of(r->brokers, lines) & ~s->to)
			ids[n++] = id;
		else
			s->sent += brokers_publish_row(r->brokers, lines, s->to, id);
	}
	s->more = count == SWEEP_ROWS;
	if (n > 0 && park(r, ids, n))
		s->parked = n;
}

/* What waited for broker n, now that it takes something. */
static void
publish_parked(struct relay *r, size_t n, struct sweep *s)
{
	struct q_outbox_parked q = { .broker = (int32_t)n, .limit = SWEEP_ROWS };
	struct err err = { 0 };
	struct rows *rows;

	relay_step(r);
	if (q_outbox_parked(r->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "outbox_parked", LZ("text", err.log));
		return;
	}
	size_t count = rows_count(rows);
	for (size_t i = 0; i < count; i++)
		s->sent += brokers_publish_row(r->brokers, rows_str(rows, i, Q_OUTBOX_PARKED_LINES),
			1u << n, rows_i64(rows, i, Q_OUTBOX_PARKED_ID));
	if (count == SWEEP_ROWS)
		s->more = true;
	else if (count == 0)
		r->parked &= ~(1u << n);
}

static bool
all_confirmed(const struct relay *r, unsigned to)
{
	for (size_t i = 0; i < brokers_size(r->brokers); i++)
		if (to >> i & 1 && brokers_pending_at(r->brokers, i) > 0)
			return false;
	return true;
}

/* Rows that are not confirmed in time are sent again by a later sweep: a duplicate is harmless. */
static void
await_confirmations(struct relay *r, struct sweep *s)
{
	int64_t end = clock_mono_us() + CONFIRM_WAIT_US;
	bool all = false;

	while (!all && clock_mono_us() < end) {
		all = all_confirmed(r, s->to);
		size_t n = confirm(r);
		s->confirmed += n;
		if (!all && n == 0)
			(void)poll(NULL, 0, CONFIRM_POLL_MS);
	}
	for (size_t i = 0; i < brokers_size(r->brokers); i++)
		if (brokers_pending_at(r->brokers, i) > 0)
			r->stuck |= 1u << i;
}

bool
sweep_run(struct relay *r)
{
	struct sweep s = { .to = usable(r) };

	(void)confirm(r);
	if (s.to == 0)
		return false;
	publish_left(r, &s);
	for (size_t i = 0; i < brokers_size(r->brokers); i++)
		if (s.to & r->parked & 1u << i)
			publish_parked(r, i, &s);
	if (s.sent > 0)
		await_confirmations(r, &s);
	if (s.sent > 0 || s.parked > 0)
		log_event(LOG_INFO, "sweep", LI("sent", s.sent), LI("confirmed", s.confirmed),
			LI("parked", s.parked));
	return s.more;
}
