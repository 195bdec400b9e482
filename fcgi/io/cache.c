/* Redis over a Unix socket: pipelined commands, short deadlines and a breaker. */
#include "io/cache.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/check.h"
#include "base/clock.h"

#define CONNECT_US 50000
#define COMMAND_US 20000
#define ERRORS_MAX 3
#define AWAY_US 5000000
#define ARGC_MAX 6
#define NUMBER_MAX 24 /* a 64-bit number as text */

struct cache {
	char *path;
	char *user;
	char *password;
	redisContext *ctx; /* NULL: not connected */
	int errors;        /* in a row */
	bool closed;       /* the last failure was a hang-up of the server, not its silence */
	int64_t away_until_us;
	char why[128];
};

/* The first absent argument ends the list. */
struct command {
	struct str argv[ARGC_MAX + 1];
};

static char *
copy_or_null(const char *z)
{
	char *copy = z ? strdup(z) : NULL;

	CHECK(copy || !z);
	return copy;
}

/* hiredis writes with write(2), so a closed socket would kill a process that has the default. */
static void
survive_sigpipe(void)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

struct cache *
cache_new(const char *path, const char *user, const char *password)
{
	struct cache *c = calloc(1, sizeof(*c));

	CHECK(c != NULL);
	c->path = copy_or_null(path);
	c->user = copy_or_null(user);
	c->password = copy_or_null(password);
	survive_sigpipe();
	return c;
}

static void
drop(struct cache *c)
{
	if (c->ctx)
		redisFree(c->ctx);
	c->ctx = NULL;
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	drop(c);
	if (c->password)
		explicit_bzero(c->password, strlen(c->password));
	free(c->password);
	free(c->user);
	free(c->path);
	free(c);
}

const char *
cache_error(const struct cache *c)
{
	return c->why;
}

/* Keeps the reason and gives up the connection: hiredis forbids to use it again. */
static redisReply *
fail(struct cache *c, const char *why)
{
	c->closed = c->ctx->err == REDIS_ERR_EOF ||
		    (c->ctx->err == REDIS_ERR_IO && (errno == EPIPE || errno == ECONNRESET));
	snprintf(c->why, sizeof(c->why), "%s", why);
	drop(c);
	return NULL;
}

static void
append(redisContext *ctx, const struct command *cmd)
{
	const char *argv[ARGC_MAX];
	size_t len[ARGC_MAX];
	int argc = 0;

	for (const struct str *a = cmd->argv; a->p; a++) {
		argv[argc] = a->p;
		len[argc] = a->n;
		argc++;
	}
	CHECK(redisAppendCommandArgv(ctx, argc, argv, len) == REDIS_OK);
}

/* Sends all commands at once and returns the last reply; NULL when any step failed. */
static redisReply *
exchange(struct cache *c, const struct command *cmds, size_t n)
{
	redisReply *reply = NULL;

	for (size_t i = 0; i < n; i++)
		append(c->ctx, &cmds[i]);
	for (size_t i = 0; i < n; i++) {
		void *r = NULL;

		if (reply)
			freeReplyObject(reply);
		if (redisGetReply(c->ctx, &r) != REDIS_OK)
			return fail(c, c->ctx->errstr);
		reply = r;
	}
	CHECK(reply);
	if (reply->type == REDIS_REPLY_ERROR) {
		fail(c, reply->str);
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

static bool
authenticate(struct cache *c)
{
	struct command with_user = { { STR("AUTH"), str_of(c->user), str_of(c->password) } };
	struct command plain = { { STR("AUTH"), str_of(c->password) } };
	redisReply *r;

	if (!c->password)
		return true;
	r = exchange(c, c->user ? &with_user : &plain, 1);
	if (!r)
		return false;
	freeReplyObject(r);
	return true;
}

static bool
open_connection(struct cache *c)
{
	struct timeval connect = { .tv_usec = CONNECT_US };
	struct timeval command = { .tv_usec = COMMAND_US };

	c->ctx = redisConnectUnixWithTimeout(c->path, connect);
	CHECK(c->ctx != NULL);
	if (c->ctx->err || redisSetTimeout(c->ctx, command) != REDIS_OK)
		return fail(c, c->ctx->errstr) != NULL;
	return authenticate(c);
}

/* One round trip behind the breaker. A kept connection that the server closed is opened anew. */
static redisReply *
ask(struct cache *c, const struct command *cmds, size_t n)
{
	bool kept = c->ctx != NULL;
	redisReply *r = NULL;

	if (c->away_until_us > clock_mono_us())
		return NULL;
	if (kept)
		r = exchange(c, cmds, n);
	if (!r && (!kept || c->closed) && open_connection(c))
		r = exchange(c, cmds, n);
	if (r) {
		c->errors = 0;
		return r;
	}
	/* The count stays at its bound: after the pause one more failure is enough. */
	if (c->errors < ERRORS_MAX)
		c->errors++;
	if (c->errors == ERRORS_MAX)
		c->away_until_us = clock_mono_us() + AWAY_US;
	return NULL;
}

/* `cmds` begins with MULTI, ends with EXEC; the reply has an element for each command between. */
static redisReply *
transact(struct cache *c, const struct command *cmds, size_t n)
{
	redisReply *r = ask(c, cmds, n);

	if (r && (r->type != REDIS_REPLY_ARRAY || r->elements != n - 2)) {
		freeReplyObject(r);
		return NULL;
	}
	return r;
}

static struct str
number(char text[NUMBER_MAX], int64_t v)
{
	snprintf(text, NUMBER_MAX, "%" PRId64, v);
	return str_of(text);
}

static bool
is_integer(const redisReply *r)
{
	return r->type == REDIS_REPLY_INTEGER;
}

static struct str
text_of(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING ? (struct str){ r->str, r->len } : (struct str){ 0 };
}

/* A command whose reply is of no interest as long as it came. */
static enum cache_result
done(redisReply *r)
{
	if (!r)
		return CACHE_DOWN;
	freeReplyObject(r);
	return CACHE_OK;
}

bool
cache_up(struct cache *c)
{
	const struct command ping = { { STR("PING") } };

	return done(ask(c, &ping, 1)) == CACHE_OK;
}

static int64_t
whole_seconds(int64_t ms)
{
	return (ms + 999) / 1000;
}

/* A counter without an end would lock its owner out for ever; somebody else must have made it. */
static enum cache_result
give_end(struct cache *c, struct str key, struct str window)
{
	const struct command expire = { { STR("EXPIRE"), key, window } };

	return done(ask(c, &expire, 1));
}

enum cache_result
cache_hit(struct cache *c, struct str key, int window_s, int64_t *count, int64_t *left_s)
{
	char text[NUMBER_MAX];
	struct str window = number(text, window_s);
	const struct command cmds[] = {
		{ { STR("MULTI") } },
		{ { STR("SET"), key, STR("0"), STR("EX"), window, STR("NX") } },
		{ { STR("INCR"), key } },
		{ { STR("PTTL"), key } },
		{ { STR("EXEC") } },
	};
	enum cache_result result = CACHE_DOWN;

	CHECK(window_s > 0 && key.n > 0);
	redisReply *r = transact(c, cmds, sizeof(cmds) / sizeof(cmds[0]));
	if (!r)
		return CACHE_DOWN;
	if (is_integer(r->element[1]) && is_integer(r->element[2])) {
		int64_t hits = r->element[1]->integer;
		int64_t left_ms = r->element[2]->integer;

		result = left_ms < 0 ? give_end(c, key, window) : CACHE_OK;
		if (result == CACHE_OK) {
			*count = hits;
			*left_s = left_ms < 0 ? window_s : whole_seconds(left_ms);
		}
	}
	freeReplyObject(r);
	return result;
}

/* ---- buckets: a sorted set with one member, whose score is when the bucket will be empty ---- */

#define POUR_COMMANDS 3 /* for each bucket */
#define BUCKET_MEMBER STR("t")

struct pour_texts {
	char now[NUMBER_MAX], cost[NUMBER_MAX], life[NUMBER_MAX];
};

/* An empty bucket is as one that is empty now; GT lets no clock turn another's time back. */
static void
pour_one(struct command *out, const struct cache_bucket *b, int64_t now_us, struct pour_texts *t)
{
	int64_t life_ms = (b->room_us + b->cost_us) / 1000 + 1000;

	out[0] = (struct command){ { STR("ZADD"), b->key, STR("GT"), number(t->now, now_us),
		BUCKET_MEMBER } };
	out[1] = (struct command){ { STR("ZINCRBY"), b->key, number(t->cost, b->cost_us),
		BUCKET_MEMBER } };
	out[2] = (struct command){ { STR("PEXPIRE"), b->key, number(t->life, life_ms) } };
}

static bool
read_levels(const redisReply *r, struct cache_bucket *buckets, size_t n, int64_t now_us)
{
	for (size_t i = 0; i < n; i++) {
		struct str score = text_of(r->element[POUR_COMMANDS * i + 1]);
		char *end;

		if (!score.p)
			return false;
		double empty_at = strtod(score.p, &end);
		if (*end)
			return false;
		buckets[i].over_us = (int64_t)empty_at - now_us - buckets[i].room_us;
	}
	return true;
}

enum cache_result
cache_pour(struct cache *c, struct cache_bucket *buckets, size_t n, int64_t now_us)
{
	struct command cmds[POUR_COMMANDS * CACHE_BUCKETS_MAX + 2] = { { { STR("MULTI") } } };
	struct pour_texts texts[CACHE_BUCKETS_MAX];
	bool taken = true;

	CHECK(n > 0 && n <= CACHE_BUCKETS_MAX);
	for (size_t i = 0; i < n; i++)
		pour_one(&cmds[1 + POUR_COMMANDS * i], &buckets[i], now_us, &texts[i]);
	cmds[1 + POUR_COMMANDS * n] = (struct command){ { STR("EXEC") } };
	redisReply *r = transact(c, cmds, POUR_COMMANDS * n + 2);
	if (!r)
		return CACHE_DOWN;
	bool good = read_levels(r, buckets, n, now_us);
	freeReplyObject(r);
	if (!good)
		return CACHE_DOWN;
	for (size_t i = 0; i < n; i++)
		taken = taken && buckets[i].over_us <= 0;
	/* What is refused leaves nothing behind, or who goes on trying would never be heard. */
	return taken ? CACHE_OK : cache_unpour(c, buckets, n);
}

enum cache_result
cache_unpour(struct cache *c, const struct cache_bucket *buckets, size_t n)
{
	struct command cmds[CACHE_BUCKETS_MAX + 2] = { { { STR("MULTI") } } };
	char back[CACHE_BUCKETS_MAX][NUMBER_MAX];

	CHECK(n > 0 && n <= CACHE_BUCKETS_MAX);
	for (size_t i = 0; i < n; i++)
		cmds[1 + i] = (struct command){ { STR("ZINCRBY"), buckets[i].key,
			number(back[i], -buckets[i].cost_us), BUCKET_MEMBER } };
	cmds[1 + n] = (struct command){ { STR("EXEC") } };
	redisReply *r = transact(c, cmds, n + 2);
	return done(r);
}

enum cache_result
cache_set(struct cache *c, struct str key, struct str value, int ttl_s)
{
	char text[NUMBER_MAX];
	const struct command set = {
		{ STR("SET"), key, value, STR("EX"), number(text, ttl_s) },
	};

	CHECK(ttl_s > 0 && key.n > 0 && value.p && value.n <= CACHE_VALUE_MAX);
	return done(ask(c, &set, 1));
}

/* The value in the reply of `cmd`, if there is one. */
static enum cache_result
ask_value(struct cache *c, struct arena *a, const struct command *cmd, struct str *value)
{
	enum cache_result result = CACHE_MISS;
	redisReply *r = ask(c, cmd, 1);

	if (!r)
		return CACHE_DOWN;
	struct str text = text_of(r);
	if (text.p && text.n <= CACHE_VALUE_MAX) {
		*value = str_dup(a, text);
		result = CACHE_OK;
	}
	freeReplyObject(r);
	return result;
}

enum cache_result
cache_get(struct cache *c, struct arena *a, struct str key, struct str *value)
{
	const struct command get = { { STR("GET"), key } };

	CHECK(key.n > 0);
	return ask_value(c, a, &get, value);
}

enum cache_result
cache_swap(struct cache *c, struct arena *a, struct str key, struct str value, int ttl_s,
	struct str *was)
{
	char text[NUMBER_MAX];
	const struct command set = {
		{ STR("SET"), key, value, STR("EX"), number(text, ttl_s), STR("GET") },
	};

	CHECK(ttl_s > 0 && key.n > 0 && value.p && value.n <= CACHE_VALUE_MAX);
	return ask_value(c, a, &set, was);
}

enum cache_result
cache_zadd(struct cache *c, struct str key, struct str member, int ttl_s)
{
	char now_text[NUMBER_MAX], end_text[NUMBER_MAX], ttl_text[NUMBER_MAX];
	int64_t now_ms = clock_unix_ms();
	struct str ttl = number(ttl_text, ttl_s);
	struct str end = number(end_text, now_ms + (int64_t)ttl_s * 1000);
	/* The key lives as long as its last member: NX for a new key, GT to prolong. */
	const struct command cmds[] = {
		{ { STR("MULTI") } },
		{ { STR("ZREMRANGEBYSCORE"), key, STR("-inf"), number(now_text, now_ms) } },
		{ { STR("ZADD"), key, end, member } },
		{ { STR("EXPIRE"), key, ttl, STR("NX") } },
		{ { STR("EXPIRE"), key, ttl, STR("GT") } },
		{ { STR("EXEC") } },
	};

	CHECK(ttl_s > 0 && key.n > 0 && member.p);
	redisReply *r = transact(c, cmds, sizeof(cmds) / sizeof(cmds[0]));
	if (!r)
		return CACHE_DOWN;
	enum cache_result result = is_integer(r->element[1]) ? CACHE_OK : CACHE_DOWN;
	freeReplyObject(r);
	return result;
}

enum cache_result
cache_zrem(struct cache *c, struct str key, struct str member)
{
	const struct command zrem = { { STR("ZREM"), key, member } };

	CHECK(key.n > 0 && member.p);
	return done(ask(c, &zrem, 1));
}

enum cache_result
cache_zcount(struct cache *c, const struct str *keys, size_t n, int64_t *counts)
{
	struct command cmds[CACHE_SETS_MAX + 2] = { { { STR("MULTI") } } };
	char text[NUMBER_MAX];
	struct str now = number(text, clock_unix_ms() + 1);
	bool good = true;

	CHECK(n > 0 && n <= CACHE_SETS_MAX);
	for (size_t i = 0; i < n; i++)
		cmds[1 + i] = (struct command){ { STR("ZCOUNT"), keys[i], now, STR("+inf") } };
	cmds[1 + n] = (struct command){ { STR("EXEC") } };
	redisReply *r = transact(c, cmds, n + 2);
	if (!r)
		return CACHE_DOWN;
	for (size_t i = 0; i < n; i++)
		good = good && is_integer(r->element[i]);
	for (size_t i = 0; good && i < n; i++)
		counts[i] = r->element[i]->integer;
	freeReplyObject(r);
	return good ? CACHE_OK : CACHE_DOWN;
}

enum cache_result
cache_zlive(struct cache *c, struct arena *a, struct str key, struct str **members, size_t *n)
{
	char now[NUMBER_MAX], last[NUMBER_MAX];
	const struct command cmds[] = {
		{ { STR("MULTI") } },
		{ { STR("ZREMRANGEBYSCORE"), key, STR("-inf"), number(now, clock_unix_ms()) } },
		{ { STR("ZRANGE"), key, STR("0"), number(last, CACHE_MEMBERS_MAX - 1) } },
		{ { STR("EXEC") } },
	};

	CHECK(key.n > 0);
	redisReply *r = transact(c, cmds, sizeof(cmds) / sizeof(cmds[0]));
	if (!r)
		return CACHE_DOWN;
	const redisReply *range = r->element[1];
	if (range->type != REDIS_REPLY_ARRAY) {
		freeReplyObject(r);
		return CACHE_DOWN;
	}
	*members = arena_calloc(a, range->elements, sizeof(**members));
	*n = range->elements;
	for (size_t i = 0; i < *n; i++)
		(*members)[i] = str_dup(a, text_of(range->element[i]));
	freeReplyObject(r);
	return CACHE_OK;
}
