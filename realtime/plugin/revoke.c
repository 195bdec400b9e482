/* Revoked tokens: the table, its file, and the message that adds to it. */
#include "plugin/revoke.h"

#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "io/json.h"
#include "plugin/notice.h"
#include "plugin/plugin.h"

#define TOKEN_LIFE_MAX_S 3660 /* the longest life of a token, and leeway */
#define BUCKETS 16384
#define SWEEP_ROWS 4
#define LINE_MAX_BYTES 128
#define KICK_BYTES_MAX 1024
#define REASON_MAX 32

struct row {
	struct revocation what;
	uint32_t next; /* in the chain of a bucket or of free rows; 0 ends, n means rows[n - 1] */
	bool used;
};

struct revocations {
	uint32_t heads[BUCKETS];
	struct row rows[REVOCATIONS_MAX];
	uint32_t free;    /* chain of rows that were given back */
	uint32_t touched; /* rows[touched..] were never used */
	uint32_t cursor;  /* of the sweep */
	int64_t floor;
};

struct revocations *
revocations_new(void)
{
	return mosquitto_calloc(1, sizeof(struct revocations));
}

void
revocations_free(struct revocations *r)
{
	mosquitto_free(r);
}

/* The end of an id is random. */
static uint32_t *
head_of(struct revocations *r, const struct uuid *uid)
{
	uint32_t bits;

	memcpy(&bits, uid->b + 12, sizeof(bits));
	return &r->heads[bits % BUCKETS];
}

static void
unlink_row(struct revocations *r, uint32_t n)
{
	struct row *row = &r->rows[n - 1];
	uint32_t *at = head_of(r, &row->what.uid);

	while (*at != n)
		at = &r->rows[*at - 1].next;
	*at = row->next;
	*row = (struct row){ .next = r->free };
	r->free = n;
}

/* Gives up the oldest row near the cursor, and with it everybody's tokens of its time. */
static void
make_room(struct revocations *r)
{
	uint32_t n = r->cursor % REVOCATIONS_MAX + 1;

	revocations_floor(r, r->rows[n - 1].what.before);
	r->cursor++;
	unlink_row(r, n);
}

static uint32_t
take_row(struct revocations *r)
{
	if (!r->free && r->touched < REVOCATIONS_MAX)
		return ++r->touched;
	if (!r->free)
		make_room(r);

	uint32_t n = r->free;

	r->free = r->rows[n - 1].next;
	return n;
}

static struct row *
find_row(struct revocations *r, const struct revocation *what)
{
	for (uint32_t n = *head_of(r, &what->uid); n; n = r->rows[n - 1].next) {
		struct row *row = &r->rows[n - 1];

		if (uuid_eq(&row->what.uid, &what->uid) && strcmp(row->what.did, what->did) == 0)
			return row;
	}
	return NULL;
}

void
revocations_add(struct revocations *r, const struct revocation *what, int64_t now)
{
	int64_t before = what->before < now ? what->before : now;
	struct row *row = find_row(r, what);

	if (before + TOKEN_LIFE_MAX_S < now)
		return;
	if (row) {
		if (row->what.before < before)
			row->what.before = before;
		return;
	}

	uint32_t n = take_row(r);
	uint32_t *head = head_of(r, &what->uid);

	r->rows[n - 1] = (struct row){ .what = *what, .next = *head, .used = true };
	r->rows[n - 1].what.before = before;
	*head = n;
}

bool
revocations_hit(const struct revocations *r, const struct uuid *uid, const char *did, int64_t iat)
{
	uint32_t bits;

	if (iat <= r->floor)
		return true;
	memcpy(&bits, uid->b + 12, sizeof(bits));
	for (uint32_t n = r->heads[bits % BUCKETS]; n; n = r->rows[n - 1].next) {
		const struct revocation *what = &r->rows[n - 1].what;

		if (iat <= what->before && uuid_eq(&what->uid, uid) &&
			(strcmp(what->did, "*") == 0 || strcmp(what->did, did) == 0))
			return true;
	}
	return false;
}

void
revocations_floor(struct revocations *r, int64_t before)
{
	if (r->floor < before)
		r->floor = before;
}

void
revocations_sweep(struct revocations *r, int64_t now)
{
	for (int i = 0; i < SWEEP_ROWS && r->touched > 0; i++) {
		uint32_t n = r->cursor++ % r->touched + 1;
		const struct row *row = &r->rows[n - 1];

		if (row->used && row->what.before + TOKEN_LIFE_MAX_S < now)
			unlink_row(r, n);
	}
}

/* --- reading ---------------------------------------------------------------------- */

static bool
did_or_star(struct str did)
{
	return str_eqz(did, "*") || device_id_valid(did);
}

static bool
read_line(struct str line, struct revocation *out)
{
	struct str uid, did, before;

	if (!str_cut(line, ' ', &uid, &line) || !str_cut(line, ' ', &did, &before))
		return false;
	if (!uuid_parse(uid, &out->uid) || !did_or_star(did) || !str_i64(before, &out->before))
		return false;
	snprintf(out->did, sizeof(out->did), "%.*s", STR_ARG(did));
	return true;
}

static enum problem
load_lines(struct revocations *r, FILE *f, int64_t now, struct err *err)
{
	char text[LINE_MAX_BYTES];
	int number = 0;

	while (fgets(text, sizeof(text), f)) {
		struct revocation what = { .before = 0 };
		struct str line = str_of(text);

		number++;
		if (!str_ends(line, "\n"))
			return ERR(err, P_INTERNAL, "line %d is too long or cut off", number);
		line.n--;
		if (line.n == 0 || str_starts(line, "#"))
			continue;
		if (!read_line(line, &what))
			return ERR(err, P_INTERNAL, "line %d is not UID DID BEFORE", number);
		revocations_add(r, &what, now);
	}
	if (ferror(f))
		return ERR(err, P_INTERNAL, "%s", strerror(errno));
	return P_OK;
}

enum problem
revocations_load(struct revocations *r, const char *path, int64_t now, struct err *err)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return ERR(err, errno == ENOENT ? P_NOT_FOUND : P_INTERNAL, "%s", strerror(errno));

	enum problem p = load_lines(r, f, now, err);

	fclose(f);
	return p;
}

static struct str
text_member(const struct json *obj, const char *name)
{
	const struct json *v = json_member(obj, name);

	return v && json_kind_of(v) == JSON_STR ? json_str(v) : (struct str){ NULL, 0 };
}

static bool
reason_valid(struct str reason)
{
	return reason.n <= REASON_MAX && device_id_valid(reason);
}

/* What is missing or odd is taken in the widest sense; without a user there is none. */
static bool
read_kick(const struct json *v, int64_t now, struct revocation *out, struct str *reason)
{
	if (json_kind_of(v) != JSON_OBJ || !uuid_parse(text_member(v, "uid"), &out->uid))
		return false;

	const struct json *before = json_member(v, "before");
	struct str did = text_member(v, "did");

	out->before = before && json_kind_of(before) == JSON_INT ? json_int(before) : now;
	snprintf(out->did, sizeof(out->did), "%.*s", STR_ARG(did_or_star(did) ? did : STR("*")));
	*reason = text_member(v, "reason");
	if (!reason_valid(*reason))
		*reason = STR("revoked");
	return true;
}

static void
end_connection(struct plugin *pl, struct conn *conn)
{
	conn->state = CONN_REVOKED;
	conns_kick_at(&pl->conns, conn, pl->tick + KICK_TICKS);
}

/* Whoever remains connected under a revoked token hears why and is kicked by a later tick. */
static void
end_connections(struct plugin *pl, const struct uuid *uid, struct str reason)
{
	struct conn *conn = NULL;

	while ((conn = conns_of_user(&pl->conns, uid, conn))) {
		if (conn->state != CONN_LIVE ||
			!revocations_hit(pl->revocations, uid, conn->did, conn->iat))
			continue;
		notice_revoked(pl, conn, reason);
		end_connection(pl, conn);
	}
}

/* A revocation that cannot be read, for want of memory perhaps, may concern anybody. */
static void
revoke_everybody(struct plugin *pl)
{
	plugin_log(pl, MOSQ_LOG_ERR, "sys/kick not understood: all tokens made before now end");
	revocations_floor(pl->revocations, pl->now_s);
	for (size_t i = 0; i < pl->conns.heap_n; i++) {
		if (pl->conns.heap[i]->state == CONN_LIVE)
			end_connection(pl, pl->conns.heap[i]);
	}
}

void
revoke_message(struct plugin *pl, struct str payload)
{
	struct revocation what = { .before = 0 };
	const struct json *v;
	struct str reason;

	if (payload.n > KICK_BYTES_MAX || json_parse(pl->arena, payload, &v, NULL) ||
		!read_kick(v, pl->now_s, &what, &reason)) {
		revoke_everybody(pl);
		return;
	}
	revocations_add(pl->revocations, &what, pl->now_s);
	end_connections(pl, &what.uid, reason);
}
