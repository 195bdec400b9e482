/*
 * The calls of db.h: identity, transactions, claims, repetition. The messages
 * themselves are in db_wire.c.
 */
#include "io/db.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/rand.h"
#include "io/db_wire.h"
#include "queries.h"

#define CONFLICT_REPEATS 5
#define JITTER_MIN_MS 10
#define JITTER_MAX_MS 200
#define EVENTS_MAX (4 * 1024 * 1024)
#define ROLE_MAX 16
#define RETRY_AFTER_S 1

enum tx {
	TX_NONE,    /* each call is a transaction */
	TX_PENDING, /* BEGIN goes out with the next statement */
	TX_OPEN,
	TX_FAILED, /* rolled back; waits for db_rollback() */
};

struct db {
	struct wire wire;

	/* Since db_reset(). */
	struct arena *arena;
	enum tx tx;
	bool identified;
	struct uuid who, session;
	char role[ROLE_MAX];
	struct q_app_enter enter;
	bool claimed;
	bool lapsed; /* the claimed transaction, see db_claim_again() */
	struct q_idem_claim claim;
	bool replayed;
	int replay_status;
	struct str replay_headers, replay_body;
	struct buf events;  /* committed */
	struct buf pending; /* of the open transaction */
	int64_t us;
};

struct db *
db_new(const struct db_options *o)
{
	struct db *db = calloc(1, sizeof(*db));

	CHECK(db);
	wire_init(&db->wire, o);
	return db;
}

void
db_close(struct db *db)
{
	if (!db)
		return;
	wire_release(&db->wire);
	free(db);
}

enum problem
db_connect(struct db *db, struct err *err)
{
	return wire_connect(&db->wire, err);
}

enum problem
db_ping(struct db *db, struct err *err)
{
	struct exchange x = { .n = 0 };
	enum problem p;

	CHECK(db->tx == TX_NONE);
	wire_drop_if_ended(&db->wire);
	p = wire_connect(&db->wire, err);
	if (p || db->wire.bare)
		return p;
	if (wire_exchange(&db->wire, &x) != FAULT_NONE)
		p = error_problem(&db->wire, &x, err);
	exchange_clear(&x);
	return p;
}

void
db_reset(struct db *db, struct arena *a)
{
	db_rollback(db);
	db->arena = a;
	db->identified = false;
	db->claimed = false;
	db->lapsed = false;
	db->replayed = false;
	db->wire.statements = 0;
	db->us = 0;
	buf_init(&db->events, a, EVENTS_MAX);
	buf_init(&db->pending, a, EVENTS_MAX);
}

void
db_identity(struct db *db, const struct db_identity *who)
{
	CHECK(db->tx != TX_OPEN);
	db->identified = who && (!uuid_is_nil(&who->user) || (who->role && *who->role));
	if (!db->identified)
		return;
	db->who = who->user;
	db->session = who->session;
	snprintf(db->role, sizeof(db->role), "%s", who->role ? who->role : "");
	db->enter = (struct q_app_enter){
		.user = uuid_is_nil(&db->who) ? NULL : &db->who,
		.session = uuid_is_nil(&db->session) ? NULL : &db->session,
		.role = str_of(db->role),
	};
}

void
db_begin(struct db *db)
{
	CHECK(db->tx == TX_NONE && db->arena);
	db->tx = TX_PENDING;
	buf_clear(&db->pending);
}

void
db_claim(struct db *db, struct str scope, struct str key, struct str hash)
{
	struct buf hex;

	db_begin(db);
	buf_init(&hex, db->arena, 2 * hash.n + 1);
	hex_put(&hex, hash.p, hash.n);
	db->claimed = true;
	db->claim = (struct q_idem_claim){
		.scope = str_dup(db->arena, scope),
		.key = str_dup(db->arena, key),
		.hash = buf_str(&hex),
	};
}

bool
db_claim_again(struct db *db)
{
	if (!db->lapsed)
		return false;
	db->lapsed = false;
	db_begin(db);
	db->claimed = true;
	return true;
}

bool
db_replayed(const struct db *db, int *status, struct str *headers, struct str *body)
{
	if (!db->replayed)
		return false;
	*status = db->replay_status;
	*headers = db->replay_headers;
	*body = db->replay_body;
	return true;
}

bool
db_in_transaction(const struct db *db)
{
	return db->tx != TX_NONE;
}

void
db_rollback(struct db *db)
{
	wire_rollback(&db->wire); /* only if the server is in one */
	db->tx = TX_NONE;
	db->claimed = false;
}

/* BEGIN, identity and claim in front of a statement, where they are due. */
static enum problem
compose(struct db *db, struct exchange *x, const struct query *q, const void *params,
	struct err *err)
{
	const struct query *enter = &db_queries[QUERY_APP_ENTER];
	const struct query *claim = &db_queries[QUERY_IDEM_CLAIM];
	enum problem p = P_OK;

	x->n = 0;
	if (db->tx == TX_PENDING)
		exchange_add(x, "BEGIN", NULL);
	if (db->tx != TX_OPEN && db->identified)
		p = bind_params(db->arena, exchange_add(x, NULL, enter), &db->enter, err);
	if (!p && db->tx == TX_PENDING && db->claimed)
		p = bind_params(db->arena, exchange_add(x, NULL, claim), &db->claim, err);
	return p ? p : bind_params(db->arena, exchange_add(x, NULL, q), params, err);
}

static void
sleep_jitter(void)
{
	uint32_t ms = JITTER_MIN_MS + rand_below(JITTER_MAX_MS - JITTER_MIN_MS);
	struct timespec t = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&t, NULL);
}

/*
 * Whether a fault may be followed by another try. Never inside of a
 * transaction: what the caller has read from it would not hold. A lost
 * connection leaves open whether a single call was committed, but one that
 * opened a transaction was surely not.
 */
static bool
may_repeat(const struct db *db, const struct query *q, enum fault fault, int tries)
{
	if (db->tx == TX_OPEN)
		return false;
	if (fault == FAULT_CONFLICT)
		return tries < CONFLICT_REPEATS;
	return fault == FAULT_LOST && tries == 0 && (q->read_only || db->tx == TX_PENDING);
}

/* Too many events for the fast path are left to the relay, which reads the outbox. */
static void
collect_events(struct buf *to, const PGresult *r)
{
	int col = PQfnumber(r, "events");

	for (int i = 0; col >= 0 && i < PQntuples(r); i++)
		buf_put(to, PQgetvalue(r, i, col), (size_t)PQgetlength(r, i, col));
}

/* The result of the last step, from now on the arena's. */
static struct rows *
take_rows(struct db *db, struct exchange *x)
{
	struct rows *rows = rows_new(db->arena, x->results[x->n - 1]);

	x->results[x->n - 1] = NULL;
	return rows;
}

static enum problem
check_count(const struct query *q, const PGresult *r, struct err *err)
{
	int n = PQntuples(r);

	if ((q->result == DB_ONE && n != 1) || (q->result == DB_MAYBE && n > 1))
		return ERR(err, P_INTERNAL, "%s gave %d rows", q->name, n);
	return P_OK;
}

/*
 * Sends until it succeeds or may not be repeated. P_OK with x->fault set to
 * FAULT_FINISHED: the claimed key has its answer.
 */
static enum problem
try_run(struct db *db, struct exchange *x, const struct query *q, const void *params,
	struct err *err)
{
	for (int tries = 0;; tries++) {
		enum problem p;

		wire_drop_if_ended(&db->wire);
		if (!db->wire.conn && db->tx == TX_OPEN)
			return error_unavailable(err, db->wire.lost);
		p = wire_connect(&db->wire, err);
		if (!p)
			p = compose(db, x, q, params, err);
		if (p)
			return p;
		wire_exchange(&db->wire, x);
		if (x->fault == FAULT_NONE)
			return check_count(q, x->results[x->n - 1], err);
		if (!may_repeat(db, q, x->fault, tries))
			break;
		wire_rollback(&db->wire);
		if (x->fault == FAULT_CONFLICT)
			sleep_jitter();
		exchange_clear(x);
	}
	return x->fault == FAULT_FINISHED && db->claimed ? P_OK : error_problem(&db->wire, x, err);
}

/* The key's stored answer, read in a transaction of its own under the same identity. */
static enum problem
fetch_replay(struct db *db, struct exchange *x, struct err *err)
{
	struct q_idem_fetch key = { .scope = db->claim.scope, .key = db->claim.key };
	struct rows *rows;
	enum problem p;

	exchange_clear(x);
	db_rollback(db);
	p = try_run(db, x, &db_queries[QUERY_IDEM_FETCH], &key, err);
	if (p)
		return p;
	rows = take_rows(db, x);
	if (rows_count(rows) == 0) {
		err->retry_after_s = RETRY_AFTER_S;
		return ERR(err, P_KEY_IN_FLIGHT, "the answer vanished while it was read");
	}
	db->replay_status = (int)rows_i64(rows, 0, Q_IDEM_FETCH_STATUS);
	db->replay_headers = rows_str(rows, 0, Q_IDEM_FETCH_HEADERS);
	db->replay_body = rows_str(rows, 0, Q_IDEM_FETCH_BODY);
	db->replayed = true;
	return P_OK;
}

/* After the exchange that opened the transaction, or not, or ended it. */
static void
settle(struct db *db, const struct exchange *x, enum problem p)
{
	if (p && db->tx != TX_NONE) {
		wire_rollback(&db->wire);
		db->tx = TX_FAILED;
	} else if (!p) {
		collect_events(
			db->tx == TX_NONE ? &db->events : &db->pending, x->results[x->n - 1]);
		db->tx = db->tx == TX_PENDING ? TX_OPEN : db->tx;
	}
}

enum problem
db_run(struct db *db, const struct query *q, const void *params, struct rows **out, struct err *err)
{
	struct exchange x = { .n = 0 };
	int64_t start = clock_mono_us();
	enum problem p = P_OK;

	CHECK(db->arena && !db->wire.bare);
	if (db->tx == TX_FAILED)
		return ERR(err, P_INTERNAL, "%s: the transaction has failed before", q->name);
	CHECK(!db->replayed); /* P_REPLAYED has told the caller to stop */
	p = try_run(db, &x, q, params, err);
	if (!p && x.fault == FAULT_FINISHED) {
		p = fetch_replay(db, &x, err);
		p = p ? p : P_REPLAYED;
	} else {
		settle(db, &x, p);
	}
	if (!p)
		*out = take_rows(db, &x);
	exchange_clear(&x);
	db->us += clock_mono_us() - start;
	return p;
}

/*
 * Whether the server had ended the transaction before it saw these steps,
 * because nothing had come for too long (25P03): none of them was executed.
 */
static bool
came_too_late(const struct exchange *x)
{
	return strcmp(error_field(x->failure, PG_DIAG_SQLSTATE), "25P03") == 0;
}

/* Sends the steps and COMMIT behind them. Whatever happens, the transaction is over. */
static enum problem
commit(struct db *db, struct exchange *x, struct err *err)
{
	int64_t start = clock_mono_us();
	enum problem p = P_OK;

	exchange_add(x, "COMMIT", NULL);
	if (!db->wire.conn || wire_exchange(&db->wire, x) != FAULT_NONE)
		p = error_problem(&db->wire, x, err);
	else if (strcmp(PQcmdStatus(x->results[x->n - 1]), "COMMIT") != 0)
		p = ERR(err, P_INTERNAL, "the server rolled back at COMMIT");
	else
		buf_putstr(&db->events, buf_str(&db->pending));
	db->lapsed = db->claimed && p && came_too_late(x);
	wire_rollback(&db->wire);
	db->tx = TX_NONE;
	db->claimed = false;
	exchange_clear(x);
	db->us += clock_mono_us() - start;
	return p;
}

enum problem
db_commit(struct db *db, struct err *err)
{
	struct exchange x = { .n = 0 };
	enum tx was = db->tx;

	CHECK(was != TX_NONE);
	if (was == TX_OPEN)
		return commit(db, &x, err);
	db_rollback(db);
	return was == TX_FAILED ? ERR(err, P_INTERNAL, "commit of a failed transaction") : P_OK;
}

enum problem
db_claim_commit(struct db *db, int status, struct str headers, struct str body, struct err *err)
{
	struct q_idem_store store = {
		.scope = db->claim.scope,
		.key = db->claim.key,
		.hash = db->claim.hash,
		.status = status,
		.headers = headers,
		.body = body,
	};
	struct exchange x = { .n = 0 };
	enum problem p;

	if (db->tx != TX_OPEN || !db->claimed) {
		db_rollback(db);
		return ERR(err, P_INTERNAL, "no claimed transaction to commit");
	}
	p = bind_params(
		db->arena, exchange_add(&x, NULL, &db_queries[QUERY_IDEM_STORE]), &store, err);
	if (!p)
		return commit(db, &x, err);
	db_rollback(db);
	return p;
}

/* ---- scripts, for plazactl ---- */

enum problem
db_exec_script(struct db *db, const char *sql, struct rows **out, struct err *err)
{
	enum problem p;
	PGresult *r;

	CHECK(db->wire.bare && db->arena);
	p = wire_connect(&db->wire, err);
	if (p)
		return p;
	r = PQexec(db->wire.conn, sql);
	if (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK ||
		PQresultStatus(r) == PGRES_EMPTY_QUERY) {
		*out = rows_new(db->arena, r);
		return P_OK;
	}
	p = ERR_SAY(err, P_INTERNAL, "%s", PQerrorMessage(db->wire.conn));
	PQclear(r);
	wire_drop(&db->wire, err->detail); /* and with it the rest of the script's transaction */
	return p;
}

struct str
db_events(const struct db *db)
{
	return db->events.n > 0 ? buf_str(&db->events) : (struct str){ NULL, 0 };
}

void
db_stats(const struct db *db, unsigned *statements, int64_t *us)
{
	*statements = db->wire.statements;
	*us = db->us;
}
