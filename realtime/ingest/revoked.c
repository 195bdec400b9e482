/* Keeps the plugin's list of revoked sessions. */
#include "ingest/revoked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/brokers.h"
#include "io/json.h"
#include "queries.h"

#define US_PER_MS 1000
#define SOON_US INT64_C(100000)      /* kicks that come together are one look */
#define RETRY_US INT64_C(1000000)    /* after a failure */
#define ROUTINE_US INT64_C(60000000) /* what no kick has told of */
#define LIST_MAX ((size_t)16 << 20)  /* bytes; a longer file is not compared */
#define KICK_MAX 256                 /* bytes of a message */

struct revoked {
	struct app *app;
	size_t broker;
	const char *path; /* "" = there is none */
	int64_t due_us;
	bool tell;
};

struct revoked *
revoked_new(struct app *app, size_t broker)
{
	struct revoked *r = calloc(1, sizeof(*r));

	CHECK(r);
	r->app = app;
	r->broker = broker;
	r->path = str_z(app->conf->arena, conf_item(app->conf->revocations_file, broker));
	return r;
}

void
revoked_free(struct revoked *r)
{
	free(r);
}

void
revoked_ask(struct revoked *r)
{
	int64_t soon = clock_mono_us() + SOON_US;

	if (r->due_us > soon)
		r->due_us = soon;
}

void
revoked_tell(struct revoked *r)
{
	r->tell = true;
	revoked_ask(r);
}

/* ---- the file ---- */

static bool
write_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = str_sub(s, (size_t)n, s.n);
	}
	return true;
}

/* A reader sees the old list or the new one, never a part. */
static bool
replace(const char *path, const char *draft, struct str text)
{
	int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return false;
	bool good = write_all(fd, text) && fsync(fd) == 0;
	return close(fd) == 0 && good && rename(draft, path) == 0;
}

/* What the file says now; absent when it cannot be read. */
static struct str
current(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "re");
	struct buf b;

	if (!f)
		return (struct str){ 0 };
	buf_init(&b, a, LIST_MAX);
	while (!b.failed && !feof(f) && !ferror(f)) {
		char *room = buf_reserve(&b, 65536);

		if (room)
			buf_commit(&b, fread(room, 1, 65536, f));
	}
	bool good = !b.failed && !ferror(f);
	fclose(f);
	if (!good)
		return (struct str){ 0 };
	return b.n > 0 ? buf_str(&b) : STR("");
}

/* ---- what the broker does not know ---- */

static bool
kick(struct revoked *r, struct arena *a, struct str line)
{
	struct str uid, did, before;
	struct jsonw w;
	struct buf b;

	str_cut(line, ' ', &uid, &line);
	str_cut(line, ' ', &did, &before);
	buf_init(&b, a, KICK_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kstr(&w, "uid", uid);
	jsonw_kstr(&w, "did", did);
	jsonw_key(&w, "before");
	jsonw_raw(&w, before);
	jsonw_obj_end(&w);
	return brokers_publish_at(r->app->brokers, r->broker, STR("sys/kick"), buf_str(&b), 1);
}

static int
by_bytes(struct str a, struct str b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* Both lists are sorted. One that is not, of a stranger's making, leads to kicks too many. */
static bool
tell_new(struct revoked *r, struct arena *a, struct str old, struct str text)
{
	struct str line, known = { 0 };
	size_t n = 0;

	while (text.n > 0) {
		str_cut(text, '\n', &line, &text);
		while (old.n > 0 && (!known.p || by_bytes(known, line) < 0))
			str_cut(old, '\n', &known, &old);
		if (known.p && by_bytes(known, line) == 0)
			continue;
		if (!kick(r, a, line))
			return false;
		n++;
	}
	if (n > 0)
		log_event(LOG_INFO, "revoked", LI("told_again", (int64_t)n));
	return true;
}

/* ---- the look ---- */

static bool
look(struct revoked *r, struct arena *a)
{
	struct q_revoked_recent q = { .seconds = (int32_t)r->app->conf->mqtt_ttl_s };
	struct err err = { 0 };
	struct rows *rows;

	db_reset(r->app->db, a);
	if (q_revoked_recent(r->app->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "revoked", LZ("text", err.log));
		return false;
	}
	struct str text = rows_str(rows, 0, Q_REVOKED_RECENT_LINES);
	struct str old = current(a, r->path);
	/* Before the file has them: it would hide that they were never told. */
	if (r->tell && !tell_new(r, a, old, text)) {
		log_event(LOG_WARN, "revoked", LZ("text", "the broker takes no more"));
		return false;
	}
	if (old.p && str_eq(old, text))
		return true;
	if (replace(r->path, arena_printf(a, "%s.new", r->path), text))
		return true;
	log_event(LOG_WARN, "revoked", LZ("path", r->path), LZ("text", strerror(errno)));
	return false;
}

int
revoked_turn(struct revoked *r, struct arena *a)
{
	int64_t now = clock_mono_us();

	if (!r->path[0])
		return -1;
	if (now >= r->due_us) {
		arena_clear(a);
		bool good = look(r, a);
		if (good)
			r->tell = false;
		now = clock_mono_us();
		r->due_us = now + (good ? ROUTINE_US : RETRY_US);
	}
	return (int)((r->due_us - now) / US_PER_MS) + 1;
}
