/* The jobs: one row each, with its period and its statement. */
#include "relay/relay.h"

#include "base/log.h"
#include "io/brokers.h"
#include "io/db.h"
#include "queries.h"

#define ROUNDS_MAX 100 /* pieces of one job before the others get their turn */

static enum problem
expire_orders(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_expire_orders(r->db, &(struct q_job_expire_orders){ 0 }, rows, err);
}

static enum problem
expire_carts(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_expire_carts(r->db, &(struct q_job_expire_carts){ 0 }, rows, err);
}

static enum problem
purge_auth(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_purge_auth(r->db, &(struct q_job_purge_auth){ 0 }, rows, err);
}

static enum problem
end_sanctions(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_end_sanctions(r->db, &(struct q_job_end_sanctions){ 0 }, rows, err);
}

static enum problem
settle_shops(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_settle_shops(r->db, &(struct q_job_settle_shops){ 0 }, rows, err);
}

static enum problem
purge_idempotency(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_purge_idempotency(r->db, &(struct q_job_purge_idempotency){ 0 }, rows, err);
}

static enum problem
partitions(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_partitions(r->db, &(struct q_job_partitions){ 0 }, rows, err);
}

static enum problem
index_messages(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_index_messages(r->db, &(struct q_job_index_messages){ 0 }, rows, err);
}

static enum problem
purge_messages(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_purge_messages(r->db, &(struct q_job_purge_messages){ 0 }, rows, err);
}

static enum problem
erase(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_erase(r->db, &(struct q_job_erase){ 0 }, rows, err);
}

static enum problem
close_connections(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_connections(r->db, &(struct q_job_connections){ 0 }, rows, err);
}

static enum problem
cart_news(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_cart_news(r->db, &(struct q_job_cart_news){ 0 }, rows, err);
}

static enum problem
figures(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_figures(r->db, &(struct q_job_figures){ 0 }, rows, err);
}

static enum problem
purge_notifications(struct relay *r, struct rows **rows, struct err *err)
{
	return q_job_purge_notifications(
		r->db, &(struct q_job_purge_notifications){ 0 }, rows, err);
}

static struct job {
	const char *name;
	int period_s;
	enum problem (*run)(struct relay *r, struct rows **rows, struct err *err);
	int64_t due_us;
} jobs[] = {
	{ "expire_orders", 10, expire_orders, 0 },
	{ "expire_carts", 60, expire_carts, 0 },
	{ "index_messages", 3, index_messages, 0 },
	{ "end_sanctions", 10, end_sanctions, 0 },
	{ "settle_shops", 2, settle_shops, 0 },
	{ "purge_auth", 300, purge_auth, 0 },
	{ "purge_idempotency", 600, purge_idempotency, 0 },
	{ "partitions", 3600, partitions, 0 },
	{ "purge_messages", 600, purge_messages, 0 },
	{ "erase", 60, erase, 0 },
	{ "cart_news", 2, cart_news, 0 },
	{ "figures", 10, figures, 0 },
	{ "close_connections", 60, close_connections, 0 },
	{ "purge_notifications", 600, purge_notifications, 0 },
	{ "remove_orphans", 60, orphans_remove, 0 },
};

/* Repeats the job's piece while it finds something to do; true when there is more. */
static bool
run_job(struct relay *r, struct job *job)
{
	struct err err = { 0 };
	struct rows *rows;
	int64_t total = 0, piece = 1;

	for (int i = 0; i < ROUNDS_MAX && piece > 0; i++) {
		relay_step(r);
		if (job->run(r, &rows, &err)) {
			log_event(LOG_WARN, "job", LZ("name", job->name), LZ("text", err.log));
			return false;
		}
		piece = rows_i64(rows, 0, (size_t)rows_column(rows, "done"));
		total += piece;
		(void)brokers_publish_events(r->brokers, db_events(r->db));
	}
	if (total > 0)
		log_event(LOG_INFO, "job", LZ("name", job->name), LI("done", total));
	return piece > 0;
}

void
jobs_run(struct relay *r, int64_t now_us)
{
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (now_us < jobs[i].due_us)
			continue;
		if (!run_job(r, &jobs[i]))
			jobs[i].due_us = now_us + jobs[i].period_s * INT64_C(1000000);
	}
}
