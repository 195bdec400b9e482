/* Several brokers behind one face: who gets what, and when a row of the outbox is through. */
#include "io/brokers.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/rand.h"

#define SECRET_MIN 32
#define USER_DIGITS 8 /* of an id, from its end */
#define USER_TOPIC "u/"

/*
 * The tag of a message is the id of its row, or, for a row on several brokers, the
 * number of a ticket. Numbers are never used twice, so a confirmation that comes
 * after its ticket was given up or replaced finds another number and counts for
 * nothing: above all not for a later attempt to send the same row.
 */
#define TICKET (INT64_C(1) << 62)

struct ticket {
	int64_t number; /* 0 = over */
	int64_t id;
	unsigned waiting; /* brokers that have not confirmed */
};

struct brokers {
	size_t count;
	struct mqtt *at[BROKERS_MAX];
	size_t turn; /* whose confirmations are taken first */
	int64_t last_number;
	struct ticket tickets[BROKERS_ROWS_MAX]; /* at number modulo size */
};

/* A line of an outbox row, or of the events of a transaction (`id`; else 0). */
struct line {
	int64_t id;
	struct str topic, payload;
};

/* What has to be known of a row before its first line is published. */
struct row {
	int64_t id;
	unsigned brokers;
	size_t lines;
	size_t last[BROKERS_MAX]; /* the number of the last line for each */
};

static unsigned
bit(size_t n)
{
	return 1u << n;
}

/* ---- settings ---- */

static enum problem
same_length(const char *name, const char *list, size_t count, struct err *err)
{
	size_t n = conf_items(list);

	if (n == count)
		return P_OK;
	return ERR_SAY(err, P_INTERNAL, "%s has %zu entries, mqtt_host has %zu", name, n, count);
}

static enum problem
check_ports(const struct conf *c, size_t count, struct err *err)
{
	int64_t port;

	for (size_t i = 0; i < count; i++)
		if (!str_i64(conf_item(c->mqtt_port, i), &port) || port < 0 || port > 65535)
			return ERR_SAY(err, P_INTERNAL, "mqtt_port %zu is not in 0 to 65535", i);
	return P_OK;
}

enum problem
brokers_count(const struct conf *c, size_t *count, struct err *err)
{
	size_t n = conf_items(c->mqtt_host);
	enum problem p;

	if (n > BROKERS_MAX)
		return ERR_SAY(err, P_INTERNAL, "mqtt_host has more than %d entries", BROKERS_MAX);
	for (size_t i = 0; i < n; i++)
		if (conf_item(c->mqtt_host, i).n == 0)
			return ERR_SAY(err, P_INTERNAL, "mqtt_host %zu is empty", i);
	if ((p = same_length("mqtt_port", c->mqtt_port, n, err)) || (p = check_ports(c, n, err)))
		return p;
	/* These two may be left out. */
	if (c->mqtt_urls[0] && (p = same_length("mqtt_urls", c->mqtt_urls, n, err)))
		return p;
	if (c->revocations_file[0] &&
		(p = same_length("revocations_file", c->revocations_file, n, err)))
		return p;
	*count = n;
	return P_OK;
}

size_t
brokers_shard(const struct uuid *user, size_t count)
{
	uint32_t n = 0;

	for (size_t i = sizeof(user->b) - USER_DIGITS / 2; i < sizeof(user->b); i++)
		n = n << 8 | user->b[i];
	return n % count;
}

enum problem
brokers_options(
	struct conf *c, size_t n, const char *name, struct mqtt_options *out, struct err *err)
{
	const char *secret;
	int64_t port;
	size_t count;
	enum problem p = brokers_count(c, &count, err);

	if (p)
		return p;
	if (n >= count)
		return ERR_SAY(
			err, P_INTERNAL, "there is no broker %zu, mqtt_host has %zu", n, count);
	if ((p = conf_secret(c, c->mqtt_secret_file, SECRET_MIN, &secret, err)))
		return p;
	CHECK(str_i64(conf_item(c->mqtt_port, n), &port));
	/* A process id alone is not unique where the programs stand on several machines. */
	*out = (struct mqtt_options){ .host = str_z(c->arena, conf_item(c->mqtt_host, n)),
		.port = (int)port,
		.client_id = arena_printf(c->arena, "%s_%d_%06x", name, (int)getpid(),
			(unsigned)rand_below(1u << 24)),
		.username = "plaza-backend",
		.password = secret };
	return P_OK;
}

/* ---- the set ---- */

struct brokers *
brokers_new(struct conf *c, const char *name, struct err *err)
{
	struct brokers *b = calloc(1, sizeof(*b));
	struct mqtt_options o;
	size_t count;

	CHECK(b);
	if (brokers_count(c, &count, err))
		goto fail;
	for (; b->count < count; b->count++) {
		if (brokers_options(c, b->count, name, &o, err))
			goto fail;
		b->at[b->count] = mqtt_new(&o);
		if (!b->at[b->count]) {
			(void)ERR_SAY(err, P_INTERNAL, "libmosquitto does not start");
			goto fail;
		}
	}
	return b;
fail:
	brokers_free(b);
	return NULL;
}

void
brokers_free(struct brokers *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->count; i++)
		mqtt_stop(b->at[i]);
	for (size_t i = 0; i < b->count; i++)
		mqtt_free(b->at[i]);
	free(b);
}

size_t
brokers_size(const struct brokers *b)
{
	return b->count;
}

bool
brokers_up(const struct brokers *b, size_t n)
{
	return mqtt_connected(b->at[n]);
}

const char *
brokers_error(const struct brokers *b, size_t n)
{
	return mqtt_error(b->at[n]);
}

size_t
brokers_pending_at(const struct brokers *b, size_t n)
{
	return mqtt_pending(b->at[n]);
}

size_t
brokers_pending(const struct brokers *b)
{
	size_t sum = 0;

	for (size_t i = 0; i < b->count; i++)
		sum += mqtt_pending(b->at[i]);
	return sum;
}

/* ---- routing ---- */

static unsigned
brokers_of_topic(const struct brokers *b, struct str topic)
{
	const size_t begin = sizeof(USER_TOPIC) - 1;
	struct uuid user;

	if (str_starts(topic, USER_TOPIC) &&
		uuid_parse(str_sub(topic, begin, begin + UUID_TEXT), &user))
		return bit(brokers_shard(&user, b->count));
	return bit(b->count) - 1;
}

bool
brokers_publish_at(struct brokers *b, size_t n, struct str topic, struct str payload, int qos)
{
	return mqtt_publish(b->at[n], topic, payload, qos, 0);
}

bool
brokers_publish(struct brokers *b, struct str topic, struct str payload, int qos)
{
	unsigned to = brokers_of_topic(b, topic);
	bool good = true;

	for (size_t i = 0; i < b->count; i++)
		if (to & bit(i))
			good = mqtt_publish(b->at[i], topic, payload, qos, 0) && good;
	return good;
}

/* ---- rows ---- */

/* The next line; what is none is left out. False at the end. */
static bool
take_line(struct str *rest, bool with_id, struct line *out)
{
	struct str text, id;

	while (rest->n > 0) {
		str_cut(*rest, '\x1e', &text, rest);
		out->id = 0;
		if (with_id) {
			if (!str_cut(text, '\x1f', &id, &text))
				continue;
			CHECK(str_i64(id, &out->id));
		}
		if (str_cut(text, '\x1f', &out->topic, &out->payload))
			return true;
	}
	return false;
}

/* Looks at a row without publishing it: up to the line that has the id, or the end. */
static void
look_ahead(const struct brokers *b, struct str lines, bool with_id, unsigned to, struct row *row)
{
	struct line line;

	while (row->id == 0 && take_line(&lines, with_id, &line)) {
		unsigned brokers = brokers_of_topic(b, line.topic) & to;

		row->id = line.id;
		row->brokers |= brokers;
		for (size_t i = 0; i < b->count; i++)
			if (brokers & bit(i))
				row->last[i] = row->lines;
		row->lines++;
	}
}

static int64_t
ticket_take(struct brokers *b, const struct row *row)
{
	struct ticket *t = &b->tickets[++b->last_number % BROKERS_ROWS_MAX];

	*t = (struct ticket){ b->last_number, row->id, row->brokers };
	return b->last_number | TICKET;
}

static struct ticket *
ticket_find(struct brokers *b, int64_t tag)
{
	int64_t number = tag & ~TICKET;
	struct ticket *t = &b->tickets[number % BROKERS_ROWS_MAX];

	return t->number == number ? t : NULL;
}

static int64_t
tag_of(struct brokers *b, const struct row *row)
{
	bool several = (row->brokers & (row->brokers - 1)) != 0;

	return several && row->id != 0 ? ticket_take(b, row) : row->id;
}

/* Line n of a row to all its brokers; the last one of each carries the tag, unless that is 0. */
static bool
publish_line(struct brokers *b, const struct row *row, size_t n, const struct line *line,
	int64_t tag, unsigned to)
{
	unsigned brokers = brokers_of_topic(b, line->topic) & to;
	bool good = true;

	for (size_t i = 0; i < b->count; i++)
		if (brokers & bit(i))
			good = mqtt_publish(b->at[i], line->topic, line->payload, 1,
				       row->last[i] == n ? tag : 0) &&
			       good;
	return good;
}

/*
 * Publishes the lines of one row and moves behind them; *count grows by those that were queued.
 * After a refusal the one that refused gets no tag any more, and without its confirmation the row
 * has none.
 */
static bool
publish_lines(struct brokers *b, struct str *lines, bool with_id, unsigned to, struct row *row,
	int64_t *count)
{
	int64_t tag = tag_of(b, row);
	struct line line;

	for (size_t n = 0; n < row->lines && take_line(lines, with_id, &line); n++) {
		if (publish_line(b, row, n, &line, tag, to))
			++*count;
		else
			tag = 0;
	}
	return tag != 0;
}

int64_t
brokers_publish_events(struct brokers *b, struct str lines)
{
	int64_t count = 0;

	while (lines.n > 0) {
		struct row row = { 0 };

		look_ahead(b, lines, true, BROKERS_ALL, &row);
		if (row.lines == 0)
			break;
		(void)publish_lines(b, &lines, true, BROKERS_ALL, &row, &count);
	}
	return count;
}

unsigned
brokers_of(const struct brokers *b, struct str lines)
{
	struct row row = { 0 };

	look_ahead(b, lines, false, BROKERS_ALL, &row);
	return row.brokers;
}

bool
brokers_publish_row(struct brokers *b, struct str lines, unsigned to, int64_t id)
{
	struct row row = { 0 };
	int64_t count = 0;

	look_ahead(b, lines, false, to, &row);
	row.id = id;
	return publish_lines(b, &lines, false, to, &row, &count);
}

/* ---- confirmations ---- */

/* The id that a tag of broker n completes, or 0. */
static int64_t
settle(struct brokers *b, size_t n, int64_t tag)
{
	struct ticket *t;

	if (!(tag & TICKET))
		return tag;
	t = ticket_find(b, tag);
	if (!t || (t->waiting &= ~bit(n)) != 0)
		return 0;
	t->number = 0;
	return t->id;
}

size_t
brokers_confirmed(struct brokers *b, int64_t *out, size_t max)
{
	size_t n = 0;

	/* Another one first each time, so that a busy broker does not keep the others waiting. */
	b->turn++;
	for (size_t i = 0; i < b->count; i++) {
		size_t at = (b->turn + i) % b->count, kept = n;
		size_t end = n + mqtt_confirmed(b->at[at], out + n, max - n);

		for (; n < end; n++) {
			int64_t id = settle(b, at, out[n]);

			if (id != 0)
				out[kept++] = id;
		}
		n = kept;
	}
	return n;
}

size_t
brokers_confirmed_count(struct brokers *b)
{
	size_t sum = 0;

	for (size_t i = 0; i < b->count; i++)
		sum += mqtt_confirmed_count(b->at[i]);
	return sum;
}
