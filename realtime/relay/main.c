/* plaza-relay: publishes what was left in the outbox, runs the jobs; one of several processes
 * leads. */
#include "relay/relay.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/blob.h"
#include "io/brokers.h"
#include "io/conf.h"
#include "io/db.h"
#include "io/notify.h"
#include "queries.h"
#include "relay/push.h"

#define DEFAULT_CONF "/etc/plaza/plaza.conf"
#define ARENA_MAX ((size_t)64 * 1024 * 1024)
#define DOCUMENT_MAX ((size_t)4 * 1024 * 1024)
#define TURN_MS 250

static volatile sig_atomic_t stop_asked;

static void
on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

void
relay_step(struct relay *r)
{
	arena_clear(r->arena);
	db_reset(r->db, r->arena);
}

static int
usage(FILE *to)
{
	fputs("usage: plaza-relay [-c FILE]\n"
	      "       plaza-relay -x topics|asyncapi\n",
		to);
	return to == stdout ? 0 : 2;
}

static int
print_document(const char *name)
{
	struct arena *a = arena_new(2 * DOCUMENT_MAX);
	struct buf b;

	buf_init(&b, a, DOCUMENT_MAX);
	if (strcmp(name, "topics") == 0)
		describe_topics(&b);
	else if (strcmp(name, "asyncapi") == 0)
		describe_asyncapi(&b);
	else
		return usage(stderr);
	bool good = !b.failed && fwrite(b.p, 1, b.n, stdout) == b.n && fflush(stdout) == 0;
	arena_free(a);
	return good ? 0 : 1;
}

static bool
leads(struct relay *r)
{
	struct err err = { 0 };
	struct rows *rows;

	relay_step(r);
	if (q_relay_lead(r->db, &(struct q_relay_lead){ 0 }, &rows, &err)) {
		log_event(LOG_WARN, "database", LZ("text", err.log));
		return false;
	}
	return rows_bool(rows, 0, Q_RELAY_LEAD_LEADS);
}

/* What waits for others: push messages have the time between two turns. */
static void
wait_turn(struct relay *r, bool lead, int ms)
{
	if (!r->push)
		(void)poll(NULL, 0, ms); /* a signal ends it early */
	else if (lead)
		push_turn(r->push, r, ms);
	else
		push_idle(r->push, ms);
}

static void
loop(struct relay *r)
{
	bool led = false;

	while (!stop_asked) {
		bool lead = leads(r), more = false;
		if (lead != led)
			log_event(LOG_INFO, lead ? "leading" : "standing_by", LI("pid", getpid()));
		if (lead && !led) {
			push_lead(r);
			sweep_lead(r);
		}
		led = lead;
		if (lead) {
			more = sweep_run(r);
			jobs_run(r, clock_mono_us());
		}
		notify_alive();
		wait_turn(r, lead, more ? 0 : TURN_MS);
	}
}

static bool
open_relay(struct relay *r, struct conf *conf, struct err *err)
{
	r->arena = arena_new(ARENA_MAX);
	r->blobs = blob_local_new(conf->blob_dir);
	r->db = db_new(&(struct db_options){ .conninfo = conf->db,
		.user = "plaza_relay",
		.app = "plaza-relay",
		.statement_timeout_ms = (int)conf->db_statement_timeout_ms });
	r->push = push_new(conf);
	r->brokers = brokers_new(conf, "plaza_relay", err);
	return r->brokers != NULL;
}

static int
serve(const char *conf_path)
{
	struct err err = { 0 };
	struct relay r = { 0 };
	struct sigaction stop = { .sa_handler = on_stop }, ignore = { .sa_handler = SIG_IGN };
	struct conf *conf = conf_load(conf_path, &err);

	log_init("plaza-relay", LOG_INFO);
	if (!conf || !open_relay(&r, conf, &err)) {
		log_event(LOG_ERROR, "start", LZ("detail", err.detail), LZ("text", err.log));
		conf_free(conf);
		return 1;
	}
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	log_event(LOG_INFO, "start", LZ("version", PLAZA_VERSION));
	notify_ready();
	loop(&r);
	notify_stopping();
	push_free(r.push);
	brokers_free(r.brokers);
	blob_free(r.blobs);
	db_close(r.db);
	arena_free(r.arena);
	conf_free(conf);
	log_event(LOG_INFO, "stop", LB("good", true));
	return 0;
}

int
main(int argc, char **argv)
{
	const char *conf = DEFAULT_CONF, *document = NULL;
	int opt;

	while ((opt = getopt(argc, argv, "c:x:h")) != -1) {
		if (opt == 'c')
			conf = optarg;
		else if (opt == 'x')
			document = optarg;
		else
			return usage(opt == 'h' ? stdout : stderr);
	}
	if (optind != argc)
		return usage(stderr);
	return document ? print_document(document) : serve(conf);
}
