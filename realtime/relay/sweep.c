/* The outbox sweep: at least once, in the order of the rows. */
#include "relay/relay.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/db.h"
#include "io/mqtt.h"
#include "queries.h"

#define SWEEP_ROWS 500
#define CONFIRM_WAIT_MS 2000
#define CONFIRM_POLL_MS 5
#define CONFIRM_MAX 1000

/* Removes confirmed rows; those of earlier sweeps and of job events are among them. */
static size_t
confirm(struct relay *r)
{
	int64_t ids[CONFIRM_MAX];
	struct err err = { 0 };
	struct rows *rows;
	size_t n = mqtt_confirmed(r->mqtt, ids, CONFIRM_MAX);

	if (n == 0)
		return 0;
	relay_step(r);
	if (q_outbox_confirm(r->db, &(struct q_outbox_confirm){ .ids = { ids, n } }, &rows, &err))
		log_event(LOG_WARN, "outbox_confirm", LZ("text", err.log), LI("rows", n));
	return n;
}

/*
 * One row of the outbox. A row without a topic holds several events, each
 * topic US payload RS; the last one carries the tag, since the broker confirms
 * in order.
 */
static bool
publish_row(struct relay *r, struct str topic, struct str payload, int64_t id)
{
	struct str line, rest = payload;

	if (topic.n > 0)
		return mqtt_publish(r->mqtt, topic, payload, 1, id);
	while (str_cut(rest, '\x1e', &line, &rest)) {
		str_cut(line, '\x1f', &topic, &payload);
		if (!mqtt_publish(r->mqtt, topic, payload, 1, rest.n > 0 ? 0 : id))
			return false;
	}
	return true;
}

static size_t
publish_left(struct relay *r)
{
	struct err err = { 0 };
	struct rows *rows;
	size_t sent = 0;

	relay_step(r);
	if (q_outbox_left(r->db, &(struct q_outbox_left){ .limit = SWEEP_ROWS }, &rows, &err)) {
		log_event(LOG_WARN, "outbox_left", LZ("text", err.log));
		return 0;
	}
	for (size_t i = 0; i < rows_count(rows); i++)
		sent += publish_row(r, rows_str(rows, i, Q_OUTBOX_LEFT_TOPIC),
			rows_str(rows, i, Q_OUTBOX_LEFT_PAYLOAD),
			rows_i64(rows, i, Q_OUTBOX_LEFT_ID));
	return sent;
}

bool
sweep_run(struct relay *r)
{
	if (!mqtt_connected(r->mqtt))
		return false;
	(void)confirm(r);
	size_t sent = publish_left(r), done = 0;
	int64_t end = clock_mono_us() + CONFIRM_WAIT_MS * 1000;
	/* Rows that are not confirmed in time are sent again by a later sweep: a duplicate is
	 * harmless. */
	while (done < sent && clock_mono_us() < end) {
		size_t n = confirm(r);
		done += n;
		if (n == 0)
			(void)poll(NULL, 0, CONFIRM_POLL_MS);
	}
	if (sent > 0)
		log_event(LOG_INFO, "sweep", LI("sent", sent), LI("confirmed", done));
	return sent == SWEEP_ROWS;
}
