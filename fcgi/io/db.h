/*
 * PostgreSQL (libpq). One blocking connection a process; every statement is a
 * named one from sql/queries, prepared when the connection opens, so a schema
 * that does not fit stops the process at its start.
 *
 * The generated verbs call db_run():
 *   enum problem q_NAME(struct db *, const struct q_NAME *params, struct rows **out, struct err *);
 *
 * Transactions. Outside db_begin()/db_commit() each call is a transaction of
 * its own. When an identity is set (db_identity()), it travels in front of the
 * statement in the same round trip and holds for that transaction only; row
 * level security and every SQL function read it. A connection never carries an
 * identity from one request to the next.
 *
 * Lost connections: the failed call reports P_UNAVAILABLE and the next one
 * reconnects. Repeated once on a new connection are: a call outside a
 * transaction by a statement marked read-only, and the call that opens a
 * transaction (it cannot have been committed). Serialization failures and
 * deadlocks (40001, 40P01) of the same two kinds, and of other single calls,
 * are repeated up to 5 times with jitter. Nothing else is repeated: the
 * outcome would be unknown.
 */
#ifndef PLAZA_IO_DB_H
#define PLAZA_IO_DB_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct rows;

/* ---- what mkqueries generates ---- */

enum db_type {
	DB_TEXT,
	DB_UUID,
	DB_INT,
	DB_BIGINT,
	DB_BOOL,
	DB_UUID_ARRAY,
	DB_TEXT_ARRAY,
	DB_BIGINT_ARRAY
};

enum db_result { DB_EXEC, DB_ONE, DB_MAYBE, DB_MANY };

/* Arrays: elements stay with the caller for the duration of the call. */
struct uuid_array {
	const struct uuid *v;
	size_t n;
};
struct str_array {
	const struct str *v;
	size_t n;
};
struct i64_array {
	const int64_t *v;
	size_t n;
};

/* A column of a statement's parameter struct. */
struct db_param {
	const char *name;
	enum db_type type;
	bool nullable; /* the member is a pointer (numbers, bool, uuid), or a str or array whose p
			  or v may be NULL */
	size_t offset; /* in struct q_NAME */
};

struct query {
	const char *name;
	const char *sql; /* with $1, $2, … */
	const struct db_param *params;
	size_t param_count;
	const char *const *columns; /* declared result columns, "name type" */
	size_t column_count;
	enum db_result result; /* how many rows are right */
	bool read_only;        /* may be repeated after a lost connection */
};

/* All statements of the program, in build/gen/queries.c; index = enum query_id. */
extern const struct query db_queries[];
extern const size_t db_query_count;

/* ---- connection ---- */

/* Who acts, for row level security and the SQL functions. All-zero = nobody (public). */
struct db_identity {
	struct uuid user;    /* nil = anonymous */
	struct uuid session; /* nil = none to check (MQTT uplink, jobs) */
	const char *role;    /* "client", "seller", …; "" for anonymous */
};

struct db_options {
	const char *conninfo;     /* libpq connection string without user */
	const char *user;         /* database role of this pool: plaza_web, plaza_auth, … */
	const char *app;          /* application_name */
	int statement_timeout_ms; /* 0 = none */
	bool bare; /* prepare nothing: for db_exec_script(), before the schema is there */
};

/* Never fails: the connection is opened by the first use. Release with db_close(). */
struct db *db_new(const struct db_options *o);
void db_close(struct db *db);

/* Connects and prepares now; P_UNAVAILABLE when the server is away, P_INTERNAL when a statement
 * does not fit. */
enum problem db_connect(struct db *db, struct err *err) __attribute__((warn_unused_result));
/* A round trip to the server, for readiness. */
enum problem db_ping(struct db *db, struct err *err) __attribute__((warn_unused_result));

/*
 * The arena that holds results from now on, and forgets identity and claim: call it
 * once a request.
 */
void db_reset(struct db *db, struct arena *a);
/* Acts as this identity until db_reset(); NULL = nobody. */
void db_identity(struct db *db, const struct db_identity *who);

/*
 * Idempotency (draft-ietf-httpapi-idempotency-key-header-07). After
 * db_claim() the next statement opens a transaction in which the key is
 * claimed first, in the same round trip. If the key is taken that statement
 * does not run and the call returns P_KEY_IN_FLIGHT, P_KEY_REUSED, or
 * P_REPLAYED: then db_replayed() has the stored answer and no further call
 * may be made for this request.
 * `scope` is the route's name, `hash` 32 bytes over method, path and payload.
 */
void db_claim(struct db *db, struct str scope, struct str key, struct str hash);
/* True when the claimed key has a finished answer; *status, *headers and *body are then the stored
 * ones. */
bool db_replayed(const struct db *db, int *status, struct str *headers, struct str *body);
/* Stores the answer beside the claim and commits, one round trip. Only after db_claim() and a
 * statement. */
enum problem db_claim_commit(struct db *db, int status, struct str headers, struct str body,
	struct err *err) __attribute__((warn_unused_result));
/*
 * After db_claim_commit() has failed: true when the server had given the transaction up because
 * this process stood still in the middle of it. Nothing has happened then; the key is claimed anew
 * by the next statement, and all that was done since db_claim() may be done again.
 */
bool db_claim_again(struct db *db);

/* Explicit transaction for the few writes that need more than one statement. They do not nest. */
void db_begin(struct db *db);
enum problem db_commit(struct db *db, struct err *err) __attribute__((warn_unused_result));
/* Safe at any time; does nothing outside a transaction. */
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);

/* Runs a statement; `params` is its struct q_NAME. Use the generated verbs instead. */
enum problem db_run(struct db *db, const struct query *q, const void *params, struct rows **out,
	struct err *err) __attribute__((warn_unused_result));

/*
 * For plazactl only: runs a script over a connection made with .bare. Text of
 * the server is in err->detail. *out is the result of the last statement.
 */
enum problem db_exec_script(struct db *db, const char *sql, struct rows **out, struct err *err)
	__attribute__((warn_unused_result));

/* ---- results: live in the arena given to db_reset() ---- */

size_t rows_count(const struct rows *r);
/* View of a value, absent for SQL NULL; valid until the arena is cleared. CHECKs its bounds. */
struct str rows_str(const struct rows *r, size_t row, size_t col);
/* The value as a number; CHECKs that it is one. NULL gives 0. */
int64_t rows_i64(const struct rows *r, size_t row, size_t col);
bool rows_bool(const struct rows *r, size_t row, size_t col);
struct uuid rows_uuid(const struct rows *r, size_t row, size_t col);
/* Number of the column with this name, or -1. */
int rows_column(const struct rows *r, const char *name);

/*
 * Events of the transactions committed since db_reset(), for the fast path:
 * the concatenated values of the `events` columns (see sql/README.md). Absent
 * when there were none.
 */
struct str db_events(const struct db *db);

/* For the access log: statements and microseconds since db_reset(). */
void db_stats(const struct db *db, unsigned *statements, int64_t *us);

#endif
