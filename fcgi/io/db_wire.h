/*
 * Private to io/db*.c: the parts under db.c. libpq is seen here and nowhere
 * else.
 *
 * The connection is always in pipeline mode: whatever a call needs (BEGIN,
 * identity, claim, statement) goes out in one message, an exchange, that ends
 * with a Sync. Without BEGIN the server takes everything up to the Sync as one
 * transaction and commits there, so an exchange has succeeded only when the
 * answer to its Sync was read without an error. A connection whose state is in
 * doubt is closed, never mended.
 */
#ifndef PLAZA_IO_DB_WIRE_H
#define PLAZA_IO_DB_WIRE_H

#include "io/db.h"

#include <libpq-fe.h>

#define DB_PARAMS_MAX 64
#define EXCHANGE_STEPS 4 /* BEGIN, identity, claim, statement */

struct wire {
	char *conninfo;
	char *user;
	char *app;
	int statement_timeout_ms;
	bool bare;
	PGconn *conn;        /* NULL = not connected */
	int64_t attempt_us;  /* when the last attempt to connect began; 0 = never */
	char lost[256];      /* why the last connection was closed, without data */
	unsigned statements; /* sent */
};

/* Parameters in the form libpq takes, all binary. */
struct bound {
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX];
	int formats[DB_PARAMS_MAX];
	uint64_t scratch[DB_PARAMS_MAX]; /* numbers in network order */
};

struct step {
	const char *sql;       /* a command without parameters, or */
	const struct query *q; /* a prepared statement */
	struct bound bound;
};

enum fault {
	FAULT_NONE,
	FAULT_REFUSED,  /* the server said no; the connection is fine */
	FAULT_CONFLICT, /* said no because of a concurrent transaction */
	FAULT_FINISHED, /* the claimed key has its answer already */
	FAULT_LOST,     /* the connection is closed */
};

/* What one message to the server holds and what came back. Start with .n = 0. */
struct exchange {
	struct step steps[EXCHANGE_STEPS];
	PGresult *results[EXCHANGE_STEPS];
	size_t n;
	enum fault fault;
	PGresult *failure; /* the first error, or NULL */
	size_t failed;     /* its step; n = the commit at the Sync */
};

struct rows {
	PGresult *result;
};

/* ---- db_wire.c ---- */

void wire_init(struct wire *w, const struct db_options *o);
void wire_release(struct wire *w);
/* Opens and prepares unless open. */
enum problem wire_connect(struct wire *w, struct err *err) __attribute__((warn_unused_result));
/* Closes; `why` is kept for the log. */
void wire_drop(struct wire *w, const char *why);
/* Closes a connection at rest that the other side has ended. */
void wire_drop_if_ended(struct wire *w);

/* Adds a step; exactly one of sql and q is not NULL. */
struct step *exchange_add(struct exchange *x, const char *sql, const struct query *q);
/* Sends all steps, none is fine, and reads all answers; returns x->fault. */
enum fault wire_exchange(struct wire *w, struct exchange *x);
void exchange_clear(struct exchange *x);
/* Ends the server's transaction, open or aborted; the connection is clean or closed afterwards. */
void wire_rollback(struct wire *w);

/* ---- db_bind.c ---- */

/* PostgreSQL's id of a parameter type. */
Oid bind_oid(enum db_type type);
/* Binds the parameters of s->q; arrays are written to the arena. */
enum problem bind_params(struct arena *a, struct step *s, const void *params, struct err *err)
	__attribute__((warn_unused_result));

/* ---- db_error.c ---- */

/* The value of a field of an error, "" when it has none. */
const char *error_field(const PGresult *r, int code);
/* What a failed exchange means to the client. */
enum problem error_problem(const struct wire *w, const struct exchange *x, struct err *err);
/* P_UNAVAILABLE with Retry-After. */
enum problem error_unavailable(struct err *err, const char *text);

/* ---- db_rows.c ---- */

/* Takes the result over into the arena. */
struct rows *rows_new(struct arena *a, PGresult *r);

#endif
