/*
 * io/db.c against a real server. Run by tests/sql/check, which sets PGHOST to a
 * private cluster with the schema and fixture.sql in it. The statements are
 * those of sql/queries/core.sql and test_db.sql.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "io/db.h"
#include "queries.h"

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

static struct db *
connect_as(const char *user, int timeout_ms, bool bare)
{
	return db_new(&(struct db_options){ .conninfo = "dbname=plaza",
		.user = user,
		.app = "test_db",
		.statement_timeout_ms = timeout_ms,
		.bare = bare });
}

static int64_t
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

static int
start_all(void **state)
{
	(void)state;
	admin_arena = arena_new(ARENA_MAX);
	admin = connect_as("postgres", 5000, true);
	return 0;
}

static int
stop_all(void **state)
{
	(void)state;
	db_close(admin);
	arena_free(admin_arena);
	return 0;
}

static int
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

static int
stop(void **state)
{
	struct fixture *f = *state;

	db_close(f->db);
	arena_free(f->arena);
	free(f);
	return 0;
}

/* As the worker does between two requests. */
static void
next_request(struct fixture *f)
{
	arena_clear(f->arena);
	db_reset(f->db, f->arena);
	err_clear(&f->err);
}

static void
act_as(struct fixture *f, const struct uuid *user, const struct uuid *session, const char *role)
{
	struct db_identity who = { .user = *user, .role = role };

	if (session)
		who.session = *session;
	db_identity(f->db, &who);
}

static void
assert_acts(struct fixture *f, const struct uuid *user, const char *role)
{
	struct rows *rows;
	struct uuid uid;

	assert_int_equal(q_t_identity(f->db, &(struct q_t_identity){ 0 }, &rows, &f->err), P_OK);
	uid = rows_uuid(rows, 0, Q_T_IDENTITY_UID);
	assert_memory_equal(&uid, user, sizeof(uid));
	assert_true(str_eqz(rows_str(rows, 0, Q_T_IDENTITY_ROLE), role));
}

static void
assert_acts_as_nobody(struct fixture *f)
{
	struct rows *rows;

	assert_int_equal(q_t_identity(f->db, &(struct q_t_identity){ 0 }, &rows, &f->err), P_OK);
	assert_null(rows_str(rows, 0, Q_T_IDENTITY_UID).p);
	assert_null(rows_str(rows, 0, Q_T_IDENTITY_ROLE).p);
	assert_int_equal(rows_str(rows, 0, Q_T_IDENTITY_RAW).n, 0);
}

static enum problem
write_row(struct fixture *f, const char *value, const int32_t *twin)
{
	struct rows *rows;

	return q_t_write(f->db, &(struct q_t_write){ str_of(value), twin }, &rows, &f->err);
}

static size_t
count_rows(struct fixture *f)
{
	struct rows *rows;

	assert_int_equal(q_t_rows(f->db, &(struct q_t_rows){ { NULL, 0 } }, &rows, &f->err), P_OK);
	return rows_count(rows);
}

static int64_t
backend_pid(struct fixture *f)
{
	struct rows *rows;

	assert_int_equal(q_t_pid(f->db, &(struct q_t_pid){ 0 }, &rows, &f->err), P_OK);
	return rows_i64(rows, 0, Q_T_PID_PID);
}

/* Ends the server process of this connection and waits until it is gone. */
static void
kill_backend(int64_t pid)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%lld, 5000)::int", (long long)pid);
	assert_int_equal(admin_run(sql), 1);
}

/* ---- parameters and results ---- */

static void
values_of_every_type_come_back(void **state)
{
	struct fixture *f = *state;
	int32_t n = -2147483647 - 1;
	int64_t bn = INT64_MIN;
	bool fn = true;
	struct rows *r;

	assert_int_equal(q_t_types(f->db,
				 &(struct q_t_types){ .t = STR("q'\"\\\n\xc3\xb1"),
					 .tn = STR(""),
					 .u = ann,
					 .un = &bob,
					 .i = 2147483647,
					 .n = &n,
					 .b = INT64_MAX,
					 .bn = &bn,
					 .f = false,
					 .fn = &fn },
				 &r, &f->err),
		P_OK);
	assert_int_equal(rows_count(r), 1);
	assert_str(rows_str(r, 0, Q_T_TYPES_T), "q'\"\\\n\xc3\xb1");
	assert_str(rows_str(r, 0, Q_T_TYPES_TN), "");
	assert_memory_equal(&(struct uuid[]){ rows_uuid(r, 0, Q_T_TYPES_U) }, &ann, sizeof(ann));
	assert_memory_equal(&(struct uuid[]){ rows_uuid(r, 0, Q_T_TYPES_UN) }, &bob, sizeof(bob));
	assert_true(rows_i64(r, 0, Q_T_TYPES_I) == 2147483647);
	assert_true(rows_i64(r, 0, Q_T_TYPES_N) == n);
	assert_true(rows_i64(r, 0, Q_T_TYPES_B) == INT64_MAX);
	assert_true(rows_i64(r, 0, Q_T_TYPES_BN) == INT64_MIN);
	assert_false(rows_bool(r, 0, Q_T_TYPES_F));
	assert_true(rows_bool(r, 0, Q_T_TYPES_FN));
	assert_int_equal(rows_column(r, "bn"), Q_T_TYPES_BN);
	assert_int_equal(rows_column(r, "nothing"), -1);
}

static void
absent_parameters_are_null(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(q_t_types(f->db, &(struct q_t_types){ .t = STR("") }, &r, &f->err), P_OK);
	assert_null(rows_str(r, 0, Q_T_TYPES_TN).p);
	assert_null(rows_str(r, 0, Q_T_TYPES_UN).p);
	assert_null(rows_str(r, 0, Q_T_TYPES_N).p);
	assert_null(rows_str(r, 0, Q_T_TYPES_BN).p);
	assert_null(rows_str(r, 0, Q_T_TYPES_FN).p);
	assert_int_equal(rows_i64(r, 0, Q_T_TYPES_BN), 0);
}

static void
a_missing_value_is_refused_before_it_is_sent(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(q_t_types(f->db, &(struct q_t_types){ 0 }, &r, &f->err), P_INTERNAL);
	assert_acts_as_nobody(f);
}

static void
arrays_need_no_quoting(void **state)
{
	struct fixture *f = *state;
	const struct uuid u[] = { ann, bob };
	const struct str t[] = { STR("a,b"), STR("{}\"\\"), STR(""), STR("NULL") };
	const int64_t b[] = { INT64_MIN, 7 };
	struct rows *r;

	assert_int_equal(
		q_t_arrays(f->db,
			&(struct q_t_arrays){ .u = { u, 2 }, .t = { t, 4 }, .b = { b, 2 } }, &r,
			&f->err),
		P_OK);
	assert_str(rows_str(r, 0, Q_T_ARRAYS_U), "{00000000-0000-7000-8000-000000000001,"
						 "00000000-0000-7000-8000-000000000002}");
	assert_str(rows_str(r, 0, Q_T_ARRAYS_T), "{\"a,b\",\"{}\\\"\\\\\",\"\",\"NULL\"}");
	assert_str(rows_str(r, 0, Q_T_ARRAYS_B), "{-9223372036854775808,7}");
	assert_null(rows_str(r, 0, Q_T_ARRAYS_N).p);
	assert_str(rows_str(r, 0, Q_T_ARRAYS_LAST), "NULL");
}

static void
an_empty_array_is_not_null(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(
		q_t_arrays(f->db, &(struct q_t_arrays){ .n = { &STR("x"), 0 } }, &r, &f->err),
		P_OK);
	assert_str(rows_str(r, 0, Q_T_ARRAYS_U), "{}");
	assert_str(rows_str(r, 0, Q_T_ARRAYS_N), "{}");
}

static void
bad_text_is_the_clients_fault(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(
		q_t_types(f->db, &(struct q_t_types){ .t = STR("a\0b") }, &r, &f->err), P_INVALID);
	assert_int_equal(
		q_t_types(f->db, &(struct q_t_types){ .t = STR("\xff") }, &r, &f->err), P_INVALID);
	assert_acts_as_nobody(f);
}

static void
the_number_of_rows_is_checked(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(q_t_one(f->db, &(struct q_t_one){ 1 }, &r, &f->err), P_OK);
	assert_int_equal(q_t_one(f->db, &(struct q_t_one){ 0 }, &r, &f->err), P_INTERNAL);
	assert_int_equal(q_t_one(f->db, &(struct q_t_one){ 2 }, &r, &f->err), P_INTERNAL);
	assert_int_equal(q_t_maybe(f->db, &(struct q_t_maybe){ 0 }, &r, &f->err), P_OK);
	assert_int_equal(rows_count(r), 0);
	assert_int_equal(q_t_maybe(f->db, &(struct q_t_maybe){ 1 }, &r, &f->err), P_OK);
	assert_int_equal(q_t_maybe(f->db, &(struct q_t_maybe){ 2 }, &r, &f->err), P_INTERNAL);
}

/* ---- identity ---- */

static void
the_identity_travels_with_each_call(void **state)
{
	struct fixture *f = *state;

	assert_acts_as_nobody(f);
	act_as(f, &ann, &ann_session, "client");
	assert_acts(f, &ann, "client");
	assert_acts(f, &ann, "client");
	act_as(f, &bob, NULL, "seller");
	assert_acts(f, &bob, "seller");
	db_identity(f->db, NULL);
	assert_acts_as_nobody(f);
}

static void
the_identity_ends_with_the_request(void **state)
{
	struct fixture *f = *state;

	act_as(f, &ann, &ann_session, "client");
	assert_acts(f, &ann, "client");
	next_request(f);
	assert_acts_as_nobody(f);
}

static void
the_identity_ends_after_an_error(void **state)
{
	struct fixture *f = *state;
	int64_t pid = backend_pid(f);

	act_as(f, &ann, &ann_session, "client");
	assert_int_equal(write_row(f, "bad", NULL), P_INVALID);
	next_request(f);
	assert_acts_as_nobody(f);
	assert_true(backend_pid(f) == pid);
}

static void
the_identity_ends_after_a_rollback(void **state)
{
	struct fixture *f = *state;

	act_as(f, &ann, &ann_session, "client");
	db_begin(f->db);
	assert_int_equal(write_row(f, "a", NULL), P_OK);
	assert_acts(f, &ann, "client");
	db_rollback(f->db);
	db_identity(f->db, NULL);
	assert_acts_as_nobody(f);

	act_as(f, &ann, &ann_session, "client");
	db_begin(f->db);
	assert_int_equal(write_row(f, "b", NULL), P_OK);
	next_request(f); /* forgets an open transaction */
	assert_acts_as_nobody(f);
	assert_int_equal(count_rows(f), 0);
}

static void
a_dead_session_stops_the_statement(void **state)
{
	struct fixture *f = *state;

	act_as(f, &bob, &ann_session, "seller");
	assert_int_equal(write_row(f, "a", NULL), P_BAD_TOKEN);
	next_request(f);
	assert_int_equal(count_rows(f), 0);
}

/* ---- errors ---- */

static void
a_raised_problem_keeps_its_parts(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(q_t_problem(f->db,
				 &(struct q_t_problem){ STR("out-of-stock"), STR("product 7"),
					 STR("retry=9"), STR("/items/0"), STR("stock") },
				 &r, &f->err),
		P_OUT_OF_STOCK);
	assert_string_equal(f->err.detail, "product 7");
	assert_int_equal(f->err.retry_after_s, 9);
	assert_int_equal(f->err.field_count, 1);
	assert_string_equal(f->err.fields[0].pointer, "/items/0");
	assert_string_equal(f->err.fields[0].code, "stock");
	assert_int_equal(q_t_problem(f->db,
				 &(struct q_t_problem){
					 STR("no-such-slug"), STR(""), STR(""), STR(""), STR("") },
				 &r, &f->err),
		P_INTERNAL);
}

static void
every_class_of_error_has_its_problem(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *state;
		enum problem problem;
	} cases[] = {
		{ "23505", P_CONFLICT },
		{ "23503", P_NOT_FOUND },
		{ "23514", P_INVALID },
		{ "23502", P_INVALID },
		{ "22P02", P_INVALID },
		{ "22003", P_INVALID },
		{ "55P03", P_UNAVAILABLE },
		{ "57014", P_UNAVAILABLE },
		{ "53300", P_UNAVAILABLE },
		{ "42501", P_INTERNAL },
		{ "42P01", P_INTERNAL },
		{ "P0001", P_INTERNAL },
		{ "XX000", P_INTERNAL },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct q_t_fail in = { str_of(cases[i].state), 1000 };
		struct rows *r;

		err_clear(&f->err);
		assert_int_equal(q_t_fail(f->db, &in, &r, &f->err), cases[i].problem);
		assert_int_equal(f->err.problem, cases[i].problem);
		assert_string_equal(f->err.detail, "");
		assert_non_null(strstr(f->err.log, cases[i].state));
		assert_int_equal(f->err.retry_after_s, cases[i].problem == P_UNAVAILABLE);
	}
}

static void
text_of_the_database_stays_in_the_log(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(write_row(f, "secret", NULL), P_OK);
	assert_int_equal(write_row(f, "secret", NULL), P_CONFLICT);
	assert_string_equal(f->err.detail, "");
	assert_non_null(strstr(f->err.log, "t_row_value_key"));
	assert_null(strstr(f->err.log, "secret"));
}

static void
a_constraint_that_breaks_at_the_commit_is_seen(void **state)
{
	struct fixture *f = *state;
	int32_t nobody = 999999;

	assert_int_equal(write_row(f, "a", &nobody), P_NOT_FOUND);
	assert_null(db_events(f->db).p);

	db_begin(f->db);
	assert_int_equal(write_row(f, "a", &nobody), P_OK);
	assert_int_equal(db_commit(f->db, &f->err), P_NOT_FOUND);
	assert_null(db_events(f->db).p);
	assert_false(db_in_transaction(f->db));
	assert_int_equal(count_rows(f), 0);
}

static void
a_slow_statement_is_stopped(void **state)
{
	struct fixture *f = *state;
	struct db *slow = connect_as("plaza_web", 100, false);
	struct rows *r;

	db_reset(slow, f->arena);
	assert_int_equal(q_t_sleep(slow, &(struct q_t_sleep){ 5000 }, &r, &f->err), P_UNAVAILABLE);
	assert_non_null(strstr(f->err.log, "57014"));
	assert_int_equal(q_t_sleep(slow, &(struct q_t_sleep){ 1 }, &r, &f->err), P_OK);
	db_close(slow);
}

static void
a_server_that_hangs_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct db *hung = connect_as("plaza_web", 100, false);
	struct rows *r;
	pid_t pid;
	int64_t us = clock_mono_us();

	db_reset(hung, f->arena);
	assert_int_equal(q_t_pid(hung, &(struct q_t_pid){ 0 }, &r, &f->err), P_OK);
	pid = (pid_t)rows_i64(r, 0, Q_T_PID_PID);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(
		q_t_pid_write(hung, &(struct q_t_pid_write){ 0 }, &r, &f->err), P_UNAVAILABLE);
	us = clock_mono_us() - us;
	kill(pid, SIGCONT);
	assert_non_null(strstr(f->err.log, "no answer in time"));
	assert_true(us < 5000000);
	assert_int_equal(q_t_pid(hung, &(struct q_t_pid){ 0 }, &r, &f->err), P_OK);
	db_close(hung);
}

static void
more_than_the_sockets_hold_goes_both_ways(void **state)
{
	struct fixture *f = *state;
	size_t n = 8 * 1024 * 1024;
	char *text = malloc(n);
	struct rows *r;

	memset(text, 'x', n);
	assert_int_equal(
		q_t_types(f->db, &(struct q_t_types){ .t = { text, n } }, &r, &f->err), P_OK);
	assert_int_equal(rows_str(r, 0, Q_T_TYPES_T).n, n);
	free(text);
}

/* ---- repetition ---- */

static void
conflicts_are_repeated_up_to_five_times(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("40001"), 5 }, &r, &f->err), P_OK);
	assert_int_equal(rows_i64(r, 0, Q_T_FAIL_N), 6);
	assert_int_equal(f->err.problem, P_OK);
	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("40P01"), 7 }, &r, &f->err), P_OK);
	assert_int_equal(rows_i64(r, 0, Q_T_FAIL_N), 8);
	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("40001"), 1000 }, &r, &f->err),
		P_UNAVAILABLE);
	assert_int_equal(admin_run("SELECT last_value FROM plaza.t_tries"), 14);
}

static void
the_start_of_a_transaction_is_repeated_but_nothing_after_it(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	act_as(f, &ann, &ann_session, "client");
	db_begin(f->db);
	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("40001"), 2 }, &r, &f->err), P_OK);
	assert_acts(f, &ann, "client");
	assert_int_equal(write_row(f, "a", NULL), P_OK);
	assert_int_equal(
		q_t_fail(f->db, &(struct q_t_fail){ STR("40001"), 4 }, &r, &f->err), P_UNAVAILABLE);
	assert_int_equal(admin_run("SELECT last_value FROM plaza.t_tries"), 4);
	assert_int_equal(write_row(f, "b", NULL), P_INTERNAL);
	assert_int_equal(db_commit(f->db, &f->err), P_INTERNAL);
	assert_int_equal(count_rows(f), 0);
}

static void
a_connection_that_ended_at_rest_is_not_noticed(void **state)
{
	struct fixture *f = *state;
	struct rows *r;
	int64_t pid = backend_pid(f);

	usleep(RECONNECT_PAUSE_US);
	kill_backend(pid);
	assert_int_equal(q_t_pid_write(f->db, &(struct q_t_pid_write){ 0 }, &r, &f->err), P_OK);
	assert_true(rows_i64(r, 0, Q_T_PID_WRITE_PID) != pid);
	assert_int_equal(db_ping(f->db, &f->err), P_OK);
}

static void
a_read_is_repeated_when_the_connection_breaks(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(db_ping(f->db, &f->err), P_OK);
	usleep(RECONNECT_PAUSE_US);
	assert_int_equal(
		q_t_fail_read(f->db, &(struct q_t_fail_read){ STR("57P01"), 1 }, &r, &f->err),
		P_OK);
	assert_int_equal(rows_i64(r, 0, Q_T_FAIL_READ_N), 2);
}

static void
a_write_is_not_repeated_when_the_connection_breaks(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	assert_int_equal(db_ping(f->db, &f->err), P_OK);
	usleep(RECONNECT_PAUSE_US);
	assert_int_equal(
		q_t_fail(f->db, &(struct q_t_fail){ STR("57P01"), 1 }, &r, &f->err), P_UNAVAILABLE);
	assert_int_equal(admin_run("SELECT last_value FROM plaza.t_tries"), 1);
	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("57P01"), 1 }, &r, &f->err), P_OK);
}

static void
a_transaction_that_loses_its_connection_fails_to_commit(void **state)
{
	struct fixture *f = *state;
	int64_t pid;

	db_begin(f->db);
	assert_int_equal(write_row(f, "a", NULL), P_OK);
	pid = backend_pid(f);
	kill_backend(pid);
	assert_int_equal(write_row(f, "b", NULL), P_UNAVAILABLE);
	assert_int_equal(db_commit(f->db, &f->err), P_INTERNAL);

	usleep(RECONNECT_PAUSE_US);
	db_begin(f->db);
	assert_int_equal(write_row(f, "a", NULL), P_OK);
	kill_backend(backend_pid(f));
	assert_int_equal(db_commit(f->db, &f->err), P_UNAVAILABLE);
	assert_null(db_events(f->db).p);
	usleep(RECONNECT_PAUSE_US);
	assert_int_equal(count_rows(f), 0);
}

static void
attempts_to_connect_are_paced(void **state)
{
	struct fixture *f = *state;
	struct db *nowhere = db_new(&(struct db_options){
		.conninfo = "dbname=no_such_database", .user = "plaza_web", .app = "test_db" });
	int64_t start;

	assert_int_equal(db_connect(nowhere, &f->err), P_UNAVAILABLE);
	assert_int_equal(f->err.retry_after_s, 1);
	start = clock_mono_us();
	for (int i = 0; i < 100; i++)
		assert_int_equal(db_connect(nowhere, &f->err), P_UNAVAILABLE);
	assert_true(clock_mono_us() - start < 100000);
	db_close(nowhere);
}

static void
a_role_that_may_not_prepare_is_told_so(void **state)
{
	struct fixture *f = *state;
	struct db *report;

	admin_run("REVOKE USAGE ON SCHEMA plaza FROM plaza_relay");
	report = connect_as("plaza_relay", 1000, false);
	assert_int_equal(db_connect(report, &f->err), P_INTERNAL);
	assert_non_null(strstr(f->err.log, "app_enter"));
	db_close(report);
	admin_run("GRANT USAGE ON SCHEMA plaza TO plaza_relay");
}

/* ---- events ---- */

static void
events_appear_after_the_commit_only(void **state)
{
	struct fixture *f = *state;
	struct str e;

	assert_int_equal(write_row(f, "a", NULL), P_OK);
	e = db_events(f->db);
	assert_true(str_ends(e, "\x1ft/row\x1f{\"value\":\"a\"}\x1e"));

	next_request(f);
	assert_null(db_events(f->db).p);
	db_begin(f->db);
	assert_int_equal(write_row(f, "b", NULL), P_OK);
	assert_int_equal(write_row(f, "c", NULL), P_OK);
	assert_null(db_events(f->db).p);
	assert_int_equal(db_commit(f->db, &f->err), P_OK);
	e = db_events(f->db);
	assert_true(str_ends(e, "\x1ft/row\x1f{\"value\":\"c\"}\x1e"));
	assert_int_equal(str_find(e, '\x1e', str_find(e, '\x1e', 0) + 1), e.n - 1);

	next_request(f);
	db_begin(f->db);
	assert_int_equal(write_row(f, "d", NULL), P_OK);
	db_rollback(f->db);
	assert_null(db_events(f->db).p);
}

/* ---- idempotency ---- */

static void
claim(struct fixture *f, const char *key, const char *payload)
{
	db_claim(f->db, STR("t_write"), str_of(key), str_of(payload));
}

static void
a_claimed_answer_is_replayed(void **state)
{
	struct fixture *f = *state;
	struct str headers, body;
	int status = 0;

	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(write_row(f, "a", NULL), P_OK);
	assert_false(db_replayed(f->db, &status, &headers, &body));
	assert_int_equal(
		db_claim_commit(f->db, 201, STR("ETag: 1"), STR("{\"id\":1}"), &f->err), P_OK);
	assert_non_null(db_events(f->db).p);

	next_request(f);
	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(write_row(f, "a", NULL), P_REPLAYED);
	assert_true(db_replayed(f->db, &status, &headers, &body));
	assert_int_equal(status, 201);
	assert_str(headers, "ETag: 1");
	assert_str(body, "{\"id\":1}");
	assert_null(db_events(f->db).p);
	assert_int_equal(f->err.problem, P_OK);
	next_request(f);
	assert_int_equal(count_rows(f), 1);
}

static void
keys_belong_to_a_caller_and_a_payload(void **state)
{
	struct fixture *f = *state;
	struct str headers, body;
	int status;

	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(write_row(f, "a", NULL), P_OK);
	assert_int_equal(db_claim_commit(f->db, 201, STR(""), STR(""), &f->err), P_OK);

	next_request(f);
	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "another payload");
	assert_int_equal(write_row(f, "b", NULL), P_KEY_REUSED);

	next_request(f);
	act_as(f, &bob, NULL, "seller");
	claim(f, "k1", "another payload");
	assert_int_equal(write_row(f, "c", NULL), P_OK);
	assert_false(db_replayed(f->db, &status, &headers, &body));
	assert_int_equal(db_claim_commit(f->db, 201, STR(""), STR(""), &f->err), P_OK);
	next_request(f);
	assert_int_equal(count_rows(f), 2);
}

static void
a_running_key_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct fixture other = { .arena = arena_new(ARENA_MAX) };

	other.db = connect_as("plaza_web", 2000, false);
	db_reset(other.db, other.arena);
	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(write_row(f, "a", NULL), P_OK);

	act_as(&other, &ann, &ann_session, "client");
	claim(&other, "k1", "payload");
	assert_int_equal(write_row(&other, "b", NULL), P_KEY_IN_FLIGHT);
	assert_int_equal(other.err.retry_after_s, 1);

	db_rollback(f->db);
	next_request(&other);
	act_as(&other, &ann, &ann_session, "client");
	claim(&other, "k1", "payload");
	assert_int_equal(write_row(&other, "b", NULL), P_OK);
	assert_int_equal(db_claim_commit(other.db, 201, STR(""), STR(""), &other.err), P_OK);
	db_close(other.db);
	arena_free(other.arena);
}

static void
a_failed_statement_frees_its_key(void **state)
{
	struct fixture *f = *state;

	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(write_row(f, "bad", NULL), P_INVALID);
	assert_int_equal(db_claim_commit(f->db, 201, STR(""), STR(""), &f->err), P_INTERNAL);
	next_request(f);
	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(write_row(f, "good", NULL), P_OK);
	assert_int_equal(db_claim_commit(f->db, 201, STR(""), STR(""), &f->err), P_OK);
}

static void
a_claim_survives_a_conflict_and_a_lost_connection(void **state)
{
	struct fixture *f = *state;
	struct rows *r;

	act_as(f, &ann, &ann_session, "client");
	claim(f, "k1", "payload");
	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("40001"), 2 }, &r, &f->err), P_OK);
	assert_int_equal(db_claim_commit(f->db, 200, STR(""), STR(""), &f->err), P_OK);

	next_request(f);
	usleep(RECONNECT_PAUSE_US);
	act_as(f, &ann, &ann_session, "client");
	claim(f, "k2", "payload");
	assert_int_equal(q_t_fail(f->db, &(struct q_t_fail){ STR("57P01"), 4 }, &r, &f->err), P_OK);
	assert_int_equal(rows_i64(r, 0, Q_T_FAIL_N), 5);
	assert_acts(f, &ann, "client");
	assert_int_equal(db_claim_commit(f->db, 200, STR(""), STR(""), &f->err), P_OK);
	assert_int_equal(admin_run("SELECT count(*) FROM plaza.idempotency"), 2);
}

int
main(void)
{
#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		DB_TEST(values_of_every_type_come_back),
		DB_TEST(absent_parameters_are_null),
		DB_TEST(a_missing_value_is_refused_before_it_is_sent),
		DB_TEST(arrays_need_no_quoting),
		DB_TEST(an_empty_array_is_not_null),
		DB_TEST(bad_text_is_the_clients_fault),
		DB_TEST(the_number_of_rows_is_checked),
		DB_TEST(the_identity_travels_with_each_call),
		DB_TEST(the_identity_ends_with_the_request),
		DB_TEST(the_identity_ends_after_an_error),
		DB_TEST(the_identity_ends_after_a_rollback),
		DB_TEST(a_dead_session_stops_the_statement),
		DB_TEST(a_raised_problem_keeps_its_parts),
		DB_TEST(every_class_of_error_has_its_problem),
		DB_TEST(text_of_the_database_stays_in_the_log),
		DB_TEST(a_constraint_that_breaks_at_the_commit_is_seen),
		DB_TEST(a_slow_statement_is_stopped),
		DB_TEST(a_server_that_hangs_is_given_up),
		DB_TEST(more_than_the_sockets_hold_goes_both_ways),
		DB_TEST(conflicts_are_repeated_up_to_five_times),
		DB_TEST(the_start_of_a_transaction_is_repeated_but_nothing_after_it),
		DB_TEST(a_connection_that_ended_at_rest_is_not_noticed),
		DB_TEST(a_read_is_repeated_when_the_connection_breaks),
		DB_TEST(a_write_is_not_repeated_when_the_connection_breaks),
		DB_TEST(a_transaction_that_loses_its_connection_fails_to_commit),
		DB_TEST(attempts_to_connect_are_paced),
		DB_TEST(a_role_that_may_not_prepare_is_told_so),
		DB_TEST(events_appear_after_the_commit_only),
		DB_TEST(a_claimed_answer_is_replayed),
		DB_TEST(keys_belong_to_a_caller_and_a_payload),
		DB_TEST(a_running_key_is_not_waited_for),
		DB_TEST(a_failed_statement_frees_its_key),
		DB_TEST(a_claim_survives_a_conflict_and_a_lost_connection),
	};

	return cmocka_run_group_tests_name("db", tests, start_all, stop_all);
}
