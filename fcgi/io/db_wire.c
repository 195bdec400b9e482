/* One connection to PostgreSQL and the exchange of messages over it. */
#include "io/db_wire.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/check.h"
#include "base/clock.h"

#define RECONNECT_US 200000  /* at most one attempt in this time */
#define LOCK_TIMEOUT_MS 2000 /* a worker that waits keeps others waiting */
/* A program that stops inside of a transaction gives its locks up before others give up waiting for
 * them. */
#define IDLE_TIMEOUT_MS (LOCK_TIMEOUT_MS / 2)
#define GRACE_MS 2000 /* beyond the statement timeout; then the server counts as gone */

void
wire_drop(struct wire *w, const char *why)
{
	if (w->conn) {
		snprintf(w->lost, sizeof(w->lost), "%.*s", (int)sizeof(w->lost) - 1, why);
		PQfinish(w->conn);
	}
	w->conn = NULL;
}

/* Until something happens on the socket; false when the deadline passes. 0 = no deadline. */
static bool
wait_socket(struct wire *w, short events, int64_t deadline_us)
{
	struct pollfd fd = { .fd = PQsocket(w->conn), .events = events };
	int64_t left_ms = -1;
	int n;

	do {
		if (deadline_us)
			left_ms = (deadline_us - clock_mono_us()) / 1000;
		if (deadline_us && left_ms <= 0)
			return false;
		n = poll(&fd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
	} while (n < 0 && errno == EINTR);
	return n > 0 && (!(fd.revents & (POLLIN | POLLHUP | POLLERR)) || PQconsumeInput(w->conn));
}

static bool
flush(struct wire *w, int64_t deadline_us)
{
	int r;

	while ((r = PQflush(w->conn)) == 1) {
		/* Reading as well, or both sides could wait with full buffers. */
		if (!wait_socket(w, POLLIN | POLLOUT, deadline_us))
			return false;
	}
	return r == 0;
}

/* The next result, NULL at the end of a step; false when the connection is of no use any more. */
static bool
next_result(struct wire *w, int64_t deadline_us, PGresult **out)
{
	while (PQisBusy(w->conn)) {
		if (wait_socket(w, POLLIN, deadline_us))
			continue;
		if (PQstatus(w->conn) == CONNECTION_OK)
			return false;
		break; /* the next result says what happened to the connection */
	}
	*out = PQgetResult(w->conn);
	return true;
}

static void
keep_failure(struct exchange *x, size_t step, PGresult *r)
{
	if (x->failure) {
		PQclear(r);
		return;
	}
	x->failure = r;
	x->failed = step;
}

/* One step: its result, then the NULL that ends it. */
static bool
receive_step(struct wire *w, struct exchange *x, size_t i, int64_t deadline_us)
{
	PGresult *r;

	while (next_result(w, deadline_us, &r)) {
		if (!r)
			return true;
		switch (PQresultStatus(r)) {
		case PGRES_TUPLES_OK:
		case PGRES_COMMAND_OK:
			if (i < EXCHANGE_STEPS && !x->results[i])
				x->results[i] = r;
			else
				PQclear(r);
			break;
		case PGRES_PIPELINE_ABORTED:
			PQclear(r);
			break;
		case PGRES_FATAL_ERROR:
			keep_failure(x, i, r);
			if (PQstatus(w->conn) != CONNECTION_OK)
				return false;
			break;
		default:
			PQclear(r);
			return false;
		}
	}
	return false;
}

/* The answer to the Sync; an error in front of it is a failed commit. */
static bool
receive_sync(struct wire *w, struct exchange *x, int64_t deadline_us)
{
	PGresult *r;

	while (next_result(w, deadline_us, &r)) {
		if (r && PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
			PQclear(r);
			return true;
		}
		if (r && PQresultStatus(r) != PGRES_FATAL_ERROR) {
			PQclear(r);
			return false;
		}
		if (r)
			keep_failure(x, x->n, r);
		if (PQstatus(w->conn) != CONNECTION_OK)
			return false;
	}
	return false;
}

static bool
is_state(const char *state, const char *const *list)
{
	while (*list && strncmp(state, *list, strlen(*list)) != 0)
		list++;
	return *list != NULL;
}

/* What the failed exchange means for the connection; an error without a state is libpq's own. */
static enum fault
fault_of(const PGresult *failure)
{
	/*
	 * Server going away or turned read-only by a failover; a prepared statement that is
	 * gone or whose result has changed since (deploy). All need a new connection.
	 */
	static const char *const lost[] = { "08", "57P", "25006", "25P03", "26000", "0A000", NULL };
	static const char *const conflict[] = { "40001", "40P01", NULL };
	const char *state = error_field(failure, PG_DIAG_SQLSTATE);

	if (!failure)
		return FAULT_NONE;
	if (!*state || is_state(state, lost))
		return FAULT_LOST;
	if (is_state(state, conflict))
		return FAULT_CONFLICT;
	return strcmp(state, "PZ001") == 0 ? FAULT_FINISHED : FAULT_REFUSED;
}

static int64_t
deadline(const struct wire *w)
{
	if (w->statement_timeout_ms <= 0)
		return 0;
	return clock_mono_us() + ((int64_t)w->statement_timeout_ms + GRACE_MS) * 1000;
}

/* Ends the message of n steps, sends it and reads all answers. */
static enum fault
complete(struct wire *w, struct exchange *x)
{
	int64_t until = deadline(w);
	bool ok = PQpipelineSync(w->conn) && flush(w, until);

	for (size_t i = 0; ok && i < x->n; i++)
		ok = receive_step(w, x, i, until);
	ok = ok && receive_sync(w, x, until);
	x->fault = ok ? fault_of(x->failure) : FAULT_LOST;
	if (x->fault == FAULT_LOST && x->failure)
		wire_drop(w, PQresultErrorMessage(x->failure));
	else if (x->fault == FAULT_LOST)
		wire_drop(w,
			*PQerrorMessage(w->conn) ? PQerrorMessage(w->conn) : "no answer in time");
	return x->fault;
}

enum fault
wire_exchange(struct wire *w, struct exchange *x)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct step *s = &x->steps[i];
		const struct bound *b = &s->bound;
		int sent;

		if (s->sql)
			sent = PQsendQueryParams(w->conn, s->sql, 0, NULL, NULL, NULL, NULL, 0);
		else
			sent = PQsendQueryPrepared(w->conn, s->q->name, (int)s->q->param_count,
				b->values, b->lengths, b->formats, 0);
		if (!sent) {
			wire_drop(w, PQerrorMessage(w->conn));
			return x->fault = FAULT_LOST;
		}
		w->statements++;
	}
	return complete(w, x);
}

void
exchange_clear(struct exchange *x)
{
	for (size_t i = 0; i < EXCHANGE_STEPS; i++)
		PQclear(x->results[i]);
	PQclear(x->failure);
	memset(x->results, 0, sizeof(x->results));
	x->failure = NULL;
	x->n = 0;
}

struct step *
exchange_add(struct exchange *x, const char *sql, const struct query *q)
{
	struct step *s = &x->steps[x->n++];

	CHECK(x->n <= EXCHANGE_STEPS);
	s->sql = sql;
	s->q = q;
	return s;
}

void
wire_rollback(struct wire *w)
{
	struct exchange x = { .n = 0 };

	if (!w->conn || PQtransactionStatus(w->conn) == PQTRANS_IDLE)
		return;
	exchange_add(&x, "ROLLBACK", NULL);
	if (wire_exchange(w, &x) != FAULT_NONE || PQtransactionStatus(w->conn) != PQTRANS_IDLE)
		wire_drop(w, "rollback failed");
	exchange_clear(&x);
}

static void
ignore_notice(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r;
}

static char *
copy_text(const char *z)
{
	char *copy = z ? strdup(z) : NULL;

	CHECK(!z || copy);
	return copy;
}

void
wire_init(struct wire *w, const struct db_options *o)
{
	w->conninfo = copy_text(o->conninfo);
	w->user = copy_text(o->user);
	w->app = copy_text(o->app);
	w->statement_timeout_ms = o->statement_timeout_ms;
	w->bare = o->bare;
}

void
wire_release(struct wire *w)
{
	wire_drop(w, "closed");
	free(w->conninfo);
	free(w->user);
	free(w->app);
}

static PGconn *
open_connection(const struct wire *w)
{
	char options[256];
	/*
	 * What stands later wins: the configured text, taken apart in place of dbname, beats the
	 * defaults in front of it, and what follows beats the text.
	 */
	const char *keys[] = {
		"connect_timeout",
		"tcp_user_timeout",
		"keepalives_idle",
		"keepalives_interval",
		"keepalives_count",
		"target_session_attrs",
		"dbname",
		"user",
		"application_name",
		"client_encoding",
		"options",
		NULL,
	};
	const char *values[] = {
		"2",
		"5000",
		"5",
		"2",
		"3",
		"read-write",
		w->conninfo,
		w->user,
		w->app,
		"UTF8",
		options,
		NULL,
	};

	snprintf(options, sizeof(options),
		"-c statement_timeout=%d -c lock_timeout=%d -c "
		"idle_in_transaction_session_timeout=%d "
		"-c search_path=plaza -c TimeZone=UTC -c DateStyle=ISO "
		/* The statements are made for it; else those with optional filters are planned each
		   time. */
		"-c plan_cache_mode=force_generic_plan",
		w->statement_timeout_ms, w->statement_timeout_ms > 0 ? LOCK_TIMEOUT_MS : 0,
		IDLE_TIMEOUT_MS);
	return PQconnectdbParams(keys, values, 1);
}

/* All in one message: 150 statements take 5 ms so, and 17 ms one by one. */
static enum problem
prepare_all(struct wire *w, struct err *err)
{
	struct exchange x = { .n = db_query_count };
	Oid oids[DB_PARAMS_MAX];
	enum problem p = P_OK;
	bool sent = true;

	for (size_t i = 0; sent && i < db_query_count; i++) {
		const struct query *q = &db_queries[i];

		CHECK(q->param_count <= DB_PARAMS_MAX);
		for (size_t k = 0; k < q->param_count; k++)
			oids[k] = bind_oid(q->params[k].type);
		sent = PQsendPrepare(w->conn, q->name, q->sql, (int)q->param_count, oids);
	}
	if (!sent)
		return error_unavailable(err, PQerrorMessage(w->conn));
	if (complete(w, &x) == FAULT_LOST)
		p = error_unavailable(err, w->lost);
	else if (x.fault != FAULT_NONE)
		p = ERR(err, P_INTERNAL, "statement %s does not fit the schema: %s",
			x.failed < db_query_count ? db_queries[x.failed].name : "?",
			error_field(x.failure, PG_DIAG_MESSAGE_PRIMARY));
	exchange_clear(&x);
	return p;
}

enum problem
wire_connect(struct wire *w, struct err *err)
{
	int64_t now = clock_mono_us();
	enum problem p = P_OK;

	if (w->conn)
		return P_OK;
	if (w->attempt_us && now - w->attempt_us < RECONNECT_US)
		return error_unavailable(
			err, *w->lost ? w->lost : "connection was refused just now");
	w->attempt_us = now;
	w->conn = open_connection(w);
	CHECK(w->conn);
	PQsetNoticeReceiver(w->conn, ignore_notice, NULL);
	if (PQstatus(w->conn) != CONNECTION_OK)
		p = error_unavailable(err, PQerrorMessage(w->conn));
	else if (!w->bare && (!PQenterPipelineMode(w->conn) || PQsetnonblocking(w->conn, 1) != 0))
		p = error_unavailable(err, PQerrorMessage(w->conn));
	else if (!w->bare)
		p = prepare_all(w, err);
	if (p)
		wire_drop(w, err->log);
	return p;
}

/* Nobody speaks to a connection at rest but a server or a network that ends it. */
void
wire_drop_if_ended(struct wire *w)
{
	struct pollfd fd = { .events = POLLIN };

	if (!w->conn)
		return;
	fd.fd = PQsocket(w->conn);
	if (poll(&fd, 1, 0) != 0)
		wire_drop(w, "the server ended the connection");
}
