/*
 * What the tests of io/db.c share: a connection for each test, one of the
 * superuser, and short forms. Run by tests/sql/check, which sets PGHOST to a
 * private cluster with the schema and fixture.sql in it. The statements are
 * those of sql/queries/core.sql and test_db.sql.
 */
#ifndef PLAZA_TESTS_DB_KIT_H
#define PLAZA_TESTS_DB_KIT_H

#include <stdlib.h>

#include "base/arena.h"
#include "io/db.h"
#include "queries.h"
#include "tests/unit/unit.h"

#define ARENA_MAX (16 * 1024 * 1024)
#define RECONNECT_PAUSE_US 210000 /* more than the shortest time between two attempts */

static const struct uuid ann = { { 0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x01 } };
static const struct uuid bob = { { 0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x02 } };
static const struct uuid ann_session = { { 0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0,
	0x11 } };

struct fixture {
	struct arena *arena;
	struct db *db;
	struct err err;
};

/* A second connection, of the superuser, that runs scripts. */
static struct db *admin;
static struct arena *admin_arena;

static inline struct db *
connect_as(const char *user, int timeout_ms, bool bare)
{
	return db_new(&(struct db_options){ .conninfo = "dbname=plaza",
		.user = user,
		.app = "test_db",
		.statement_timeout_ms = timeout_ms,
		.bare = bare });
}

static inline int64_t
admin_run(const char *sql)
{
	struct rows *rows;
	struct err err = { 0 };
	int64_t v;

	db_reset(admin, admin_arena);
	if (db_exec_script(admin, sql, &rows, &err))
		fail_msg("%s: %s", sql, err.detail);
	v = rows_count(rows) > 0 ? rows_i64(rows, 0, 0) : 0;
	arena_clear(admin_arena);
	return v;
}

static inline int
start_all(void **state)
{
	(void)state;
	admin_arena = arena_new(ARENA_MAX);
	admin = connect_as("postgres", 5000, true);
	return 0;
}

static inline int
stop_all(void **state)
{
	(void)state;
	db_close(admin);
	arena_free(admin_arena);
	return 0;
}

static inline int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct rows *rows;

	f->arena = arena_new(ARENA_MAX);
	f->db = connect_as("plaza_web", 2000, false);
	db_reset(f->db, f->arena);
	*state = f;
	return (int)q_t_reset(f->db, &(struct q_t_reset){ 0 }, &rows, &f->err);
}

static inline int
stop(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	arena_free(f->arena);
	free(f);
	return 0;
}

/* As the worker does between two requests. */
static inline void
next_request(struct fixture *f)
{
	arena_clear(f->arena);
	db_reset(f->db, f->arena);
	err_clear(&f->err);
}

static inline void
act_as(struct fixture *f, const struct uuid *user, const struct uuid *session, const char *role)
{
	struct db_identity who = { .user = *user, .role = role };

	if (session)
		who.session = *session;
	db_identity(f->db, &who);
}

static inline void
assert_acts(struct fixture *f, const struct uuid *user, const char *role)
{
	struct rows *rows;
	struct uuid uid;

	assert_int_equal(q_t_identity(f->db, &(struct q_t_identity){ 0 }, &rows, &f->err), P_OK);
	uid = rows_uuid(rows, 0, Q_T_IDENTITY_UID);
	assert_memory_equal(&uid, user, sizeof(uid));
	assert_true(str_eqz(rows_str(rows, 0, Q_T_IDENTITY_ROLE), role));
}

static inline void
assert_acts_as_nobody(struct fixture *f)
{
	struct rows *rows;

	assert_int_equal(q_t_identity(f->db, &(struct q_t_identity){ 0 }, &rows, &f->err), P_OK);
	assert_null(rows_str(rows, 0, Q_T_IDENTITY_UID).p);
	assert_null(rows_str(rows, 0, Q_T_IDENTITY_ROLE).p);
	assert_int_equal(rows_str(rows, 0, Q_T_IDENTITY_RAW).n, 0);
}

static inline enum problem
write_row(struct fixture *f, const char *value, const int32_t *twin)
{
	struct rows *rows;

	return q_t_write(f->db, &(struct q_t_write){ str_of(value), twin }, &rows, &f->err);
}

static inline size_t
count_rows(struct fixture *f)
{
	struct rows *rows;

	assert_int_equal(q_t_rows(f->db, &(struct q_t_rows){ { NULL, 0 } }, &rows, &f->err), P_OK);
	return rows_count(rows);
}

static inline int64_t
backend_pid(struct fixture *f)
{
	struct rows *rows;

	assert_int_equal(q_t_pid(f->db, &(struct q_t_pid){ 0 }, &rows, &f->err), P_OK);
	return rows_i64(rows, 0, Q_T_PID_PID);
}

/* Ends the server process of this connection and waits until it is gone. */
static inline void
kill_backend(int64_t pid)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%lld, 5000)::int", (long long)pid);
	assert_int_equal(admin_run(sql), 1);
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

#endif
