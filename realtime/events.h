/*
 * The rows of events.def as tables, for the AsyncAPI document, the manual and
 * the tests: which message types each topic carries and what is in them.
 */
#ifndef PLAZA_EVENTS_H
#define PLAZA_EVENTS_H

#include "topics.h"

#include <stdbool.h>
#include <stddef.h>

enum event_type {
	EVENT_BOOL,
	EVENT_INT,
	EVENT_TEXT,
	EVENT_TEXTS, /* array */
	EVENT_UUID,
	EVENT_UUIDS, /* array */
	EVENT_TIME,  /* RFC 3339 */
	EVENT_MONEY, /* {"amount": minor units, "currency": ISO 4217} */
	EVENT_OBJECT,
	EVENT_OBJECTS, /* array */
};

struct event_field {
	const char *name;
	enum event_type type;
	bool required;
	const char *choices; /* "a|b", or NULL */
	const char *doc;
};

/* One message: an event, an uplink or a control message. */
struct event_info {
	const char *type; /* `t` of an event, the verb of an uplink, a name for control */
	unsigned topics;  /* set of 1 << enum topic_kind */
	bool durable;     /* has `us` and `ep`, stands in the feed */
	int qos;          /* uplinks: what the device should send with; else that of the topic */
	const char *doc;
	const struct event_field *fields;
	size_t field_count;
};

/* Rows in the order of the file. */
const struct event_info *event_rows(size_t *count);
const struct event_info *uplink_row(enum uplink_verb verb);
const struct event_info *control_rows(size_t *count);
/* The event of this `t`, or NULL. */
const struct event_info *event_by_type(struct str type);

#endif
