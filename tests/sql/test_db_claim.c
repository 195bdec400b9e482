/* io/db.c against a real server: events of a commit, Idempotency-Keys. */
#include "db_kit.h"

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
	const struct CMUnitTest tests[] = {
		DB_TEST(events_appear_after_the_commit_only),
		DB_TEST(a_claimed_answer_is_replayed),
		DB_TEST(keys_belong_to_a_caller_and_a_payload),
		DB_TEST(a_running_key_is_not_waited_for),
		DB_TEST(a_failed_statement_frees_its_key),
		DB_TEST(a_claim_survives_a_conflict_and_a_lost_connection),
	};

	return cmocka_run_group_tests_name("db_claim", tests, start_all, stop_all);
}
