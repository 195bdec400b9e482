/* The log: one JSON object per line, one write(2) per record. */
#include "base/log.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"

#define RECORD_MAX 8192
/* The last bytes of a record from which members were dropped; always kept free. */
#define ENDING ",\"truncated\":true}\n"

static const char *component = "plaza";
static enum log_level threshold = LOG_INFO;

void
log_init(const char *name, enum log_level level)
{
	component = name;
	threshold = level;
}

bool
log_enabled(enum log_level level)
{
	return level <= threshold;
}

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARN:
		return "warn";
	case LOG_INFO:
		return "info";
	case LOG_DEBUG:
		return "debug";
	}
	return "error";
}

static void
put_value(struct buf *b, const struct log_kv *kv)
{
	switch (kv->type) {
	case LOG_STR:
		if (kv->s.p)
			json_put(b, kv->s);
		else
			buf_puts(b, "null");
		break;
	case LOG_I64:
		buf_puti(b, kv->i);
		break;
	case LOG_BOOL:
		buf_puts(b, kv->i ? "true" : "false");
		break;
	}
}

/* Adds the whole member or, when it does not fit, nothing. */
static bool
put_member(struct buf *b, const struct log_kv *kv)
{
	size_t before = b->n;

	if (before > 1)
		buf_putc(b, ',');
	json_put(b, str_of(kv->key));
	buf_putc(b, ':');
	put_value(b, kv);
	if (!b->failed)
		return true;
	b->n = before;
	b->failed = false;
	return false;
}

static bool
put_members(struct buf *b, const struct log_kv *kv, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!put_member(b, &kv[i]))
			return false;
	}
	return true;
}

void
log_write(enum log_level level, const char *event, const struct log_kv *kv, size_t n)
{
	char record[RECORD_MAX];
	/* Never grows, because its memory already reaches the limit; so it needs no arena. */
	struct buf b = { .p = record, .cap = sizeof(record) };
	char now[RFC3339_TEXT + 1];

	if (!log_enabled(level))
		return;
	clock_rfc3339(clock_unix_ms(), now);

	struct log_kv head[] = { LZ("time", now), LZ("level", level_name(level)),
		LZ("component", component), LZ("event", event) };
	size_t head_n = sizeof(head) / sizeof(head[0]);

	b.limit = sizeof(record) - sizeof(ENDING);
	buf_putc(&b, '{');
	bool whole = put_members(&b, head, head_n) && put_members(&b, kv, n);

	/* What was kept free takes the end. */
	b.limit = sizeof(record) - 1;
	buf_puts(&b, whole ? "}\n" : ENDING);
	/* Nothing is left to tell that the log cannot be written. */
	if (write(STDERR_FILENO, b.p, b.n) < 0)
		return;
}
