/*
 * Prepares every statement of sql/queries against the schema and compares what
 * the server says of it with its declaration. Run by tests/sql/check as the
 * superuser; PGHOST is a private cluster. For each statement:
 *   - names and types of its columns are the declared ones;
 *   - at least one of the programs' roles may run it (EXPLAIN starts the
 *     executor, which checks rights, and stops there);
 * and every constraint named in db_problems.def exists.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/db_wire.h"

static const char *const roles[] = { "plaza_web", "plaza_auth", "plaza_relay", "plaza_owner" };

static const char *const constraints[] = {
#define CONSTRAINT(name, problem, pointer, code) #name,
#include "io/db_problems.def"
#undef CONSTRAINT
	NULL,
};

static int faults;

static void complain(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
complain(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("%s: ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	faults++;
}

static PGconn *
connect_as(const char *role)
{
	const char *keys[] = { "dbname", "user", "options", NULL };
	const char *values[] = { "plaza", role, "-c search_path=plaza", NULL };
	PGconn *c = PQconnectdbParams(keys, values, 0);

	if (PQstatus(c) != CONNECTION_OK) {
		fputs(PQerrorMessage(c), stderr);
		exit(1);
	}
	return c;
}

static PGresult *
ask(PGconn *c, const char *sql, const char *a, const char *b)
{
	const char *values[] = { a, b };

	return PQexecParams(c, sql, b ? 2 : 1, NULL, values, NULL, NULL, 0);
}

/* The declared type has to name the one the server gives. */
static void
compare_column(PGconn *c, const struct query *q, const PGresult *d, int i)
{
	const char *type = strchr(q->columns[i], ' ') + 1;
	size_t name_n = (size_t)(type - q->columns[i]) - 1;
	const char *name = PQfname(d, i);
	char oid[16];
	PGresult *r;

	if (strlen(name) != name_n || strncmp(name, q->columns[i], name_n) != 0)
		complain(q->name, "column %d is named %s, not %.*s", i + 1, name, (int)name_n,
			q->columns[i]);
	snprintf(oid, sizeof(oid), "%u", PQftype(d, i));
	r = ask(c, "SELECT to_regtype($1) = $2::oid, format_type($2::oid, NULL)", type, oid);
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		complain(q->name, "column %s: %s", name, PQresultErrorMessage(r));
	else if (strcmp(PQgetvalue(r, 0, 0), "t") != 0)
		complain(q->name, "column %s is %s, not %s", name, PQgetvalue(r, 0, 1), type);
	PQclear(r);
}

/* exec runs functions for their effect, so what they return is of no interest. */
static void
compare(PGconn *c, const struct query *q)
{
	PGresult *d = PQdescribePrepared(c, q->name);
	int n = PQnfields(d);

	if (PQnparams(d) != (int)q->param_count)
		complain(q->name, "%d parameters, not %zu", PQnparams(d), q->param_count);
	if (q->result != DB_EXEC && n != (int)q->column_count)
		complain(q->name, "%d columns, not %zu", n, q->column_count);
	else if (q->result != DB_EXEC) {
		for (int i = 0; i < n; i++)
			compare_column(c, q, d, i);
	}
	PQclear(d);
}

static bool
prepare(PGconn *c, const struct query *q)
{
	Oid oids[DB_PARAMS_MAX];
	PGresult *r;
	bool ok;

	for (size_t i = 0; i < q->param_count; i++)
		oids[i] = bind_oid(q->params[i].type);
	r = PQprepare(c, q->name, q->sql, (int)q->param_count, oids);
	ok = PQresultStatus(r) == PGRES_COMMAND_OK;
	if (!ok)
		complain(q->name, "as %s: %s", PQuser(c), PQresultErrorMessage(r));
	PQclear(r);
	return ok;
}

/* Anything but a missing right is fine: a function may object to NULL while it is planned. */
static bool
may_run(PGconn *c, const struct query *q)
{
	char sql[200 + DB_PARAMS_MAX * 6];
	int n = snprintf(
		sql, sizeof(sql), "EXPLAIN EXECUTE %s%s", q->name, q->param_count ? "(NULL" : "");
	PGresult *r;
	const char *state;
	bool denied;

	for (size_t i = 1; i < q->param_count; i++)
		n += snprintf(sql + n, sizeof(sql) - (size_t)n, ", NULL");
	snprintf(sql + n, sizeof(sql) - (size_t)n, "%s", q->param_count ? ")" : "");
	r = PQexec(c, sql);
	state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	denied = state && strcmp(state, "42501") == 0;
	if (state && (strncmp(state, "42", 2) == 0 || strncmp(state, "XX", 2) == 0) && !denied)
		complain(q->name, "%s", PQresultErrorMessage(r));
	PQclear(r);
	return !denied;
}

static void
check_constraints(PGconn *c)
{
	for (size_t i = 0; constraints[i]; i++) {
		PGresult *r = ask(c,
			"SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = $1) OR "
			"EXISTS (SELECT FROM pg_index AS x JOIN pg_class AS k ON k.oid = "
			"x.indexrelid WHERE x.indisunique AND k.relname = $1)",
			constraints[i], NULL);

		if (PQresultStatus(r) != PGRES_TUPLES_OK || *PQgetvalue(r, 0, 0) != 't')
			complain(constraints[i], "no such constraint");
		PQclear(r);
	}
}

int
main(void)
{
	size_t n = sizeof(roles) / sizeof(roles[0]);
	PGconn *c[sizeof(roles) / sizeof(roles[0])];

	for (size_t i = 0; i < n; i++)
		c[i] = connect_as(roles[i]);
	for (size_t i = 0; i < db_query_count; i++) {
		const struct query *q = &db_queries[i];
		bool prepared = true;
		bool allowed = false;

		for (size_t k = 0; prepared && k < n; k++) {
			prepared = prepare(c[k], q);
			allowed = (prepared && may_run(c[k], q)) || allowed;
		}
		if (prepared)
			compare(c[0], q);
		if (prepared && !allowed)
			complain(q->name, "no role of a program may run it");
	}
	check_constraints(c[0]);
	for (size_t i = 0; i < n; i++)
		PQfinish(c[i]);
	printf("check_queries: %zu statements, %d faults\n", db_query_count, faults);
	return faults > 0;
}
