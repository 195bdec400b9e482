/* The outbox sweep: at least once, in the order of the rows. */
#include "relay/relay.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/brokers.h"
#include "io/db.h"
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
	size_t n = brokers_confirmed(r->brokers, ids, CONFIRM_MAX);

	if (n == 0)
		return 0;
	relay_step(r);
	if (q_outbox_confirm(r->db, &(struct q_outbox_confirm){ .ids = { ids, n } }, &rows, &err))
		log_event(LOG_WARN, "outbox_confirm", LZ("text", err.log), LI("rows", n));
	return n;
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
		sent += brokers_publish_row(r->brokers, rows_str(rows, i, Q_OUTBOX_LEFT_LINES),
			BROKERS_ALL, rows_i64(rows, i, Q_OUTBOX_LEFT_ID));
	return sent;
}

static bool
any_up(const struct relay *r)
{
	for (size_t i = 0; i < brokers_size(r->brokers); i++)
		if (brokers_up(r->brokers, i))
			return true;
	return false;
}

bool
sweep_run(struct relay *r)
{
	if (!any_up(r))
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
