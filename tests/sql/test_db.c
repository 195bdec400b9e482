/* io/db.c against a real server: values, identity, errors. */
#include "db_kit.h"

#include "base/clock.h"

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

int
main(void)
{
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
	};

	return cmocka_run_group_tests_name("db", tests, start_all, stop_all);
}
