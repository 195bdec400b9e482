/* io/db.c against a real server: what is repeated after a conflict or a lost connection. */
#include "db_kit.h"

#include "base/clock.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(conflicts_are_repeated_up_to_five_times),
		DB_TEST(the_start_of_a_transaction_is_repeated_but_nothing_after_it),
		DB_TEST(a_connection_that_ended_at_rest_is_not_noticed),
		DB_TEST(a_read_is_repeated_when_the_connection_breaks),
		DB_TEST(a_write_is_not_repeated_when_the_connection_breaks),
		DB_TEST(a_transaction_that_loses_its_connection_fails_to_commit),
		DB_TEST(attempts_to_connect_are_paced),
		DB_TEST(a_role_that_may_not_prepare_is_told_so),
	};

	return cmocka_run_group_tests_name("db_repeat", tests, start_all, stop_all);
}
