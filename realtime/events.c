/* events.def as tables. */
#include "events.h"

#include "base/check.h"

#define FIELD(name, type, required, doc) { #name, EVENT_##type, required, NULL, doc },
#define CHOICE(name, choices, required, doc) { #name, EVENT_TEXT, required, choices, doc },
#define ON(kind) (1u << TOPIC_##kind)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define EVENT(id, type, topics, durable, doc, ...) \
	static const struct event_field event_##id[] = { __VA_ARGS__ };
#define UPLINK(id, verb, qos, doc, ...) \
	static const struct event_field uplink_##id[] = { __VA_ARGS__ };
#define CONTROL(id, topic, doc, ...) \
	static const struct event_field control_##id[] = { __VA_ARGS__ };
#include "events.def"

static const struct event_info events[] = {
#define EVENT(id, type, topics, durable, doc, ...) \
	{ type, topics, durable, -1, doc, event_##id, COUNT(event_##id) },
#include "events.def"
};

static const struct event_info uplinks[UPLINK_VERBS] = {
#define UPLINK(id, verb, qos, doc, ...) \
	[UPLINK_##id] = { verb, ON(UPLINK), false, qos, doc, uplink_##id, COUNT(uplink_##id) },
#include "events.def"
};

static const struct event_info controls[] = {
#define CONTROL(id, topic, doc, ...) \
	{ #id, ON(topic), false, -1, doc, control_##id, COUNT(control_##id) },
#include "events.def"
};

const struct event_info *
event_rows(size_t *count)
{
	*count = COUNT(events);
	return events;
}

const struct event_info *
uplink_row(enum uplink_verb verb)
{
	CHECK(verb < UPLINK_VERBS);
	return &uplinks[verb];
}

const struct event_info *
control_rows(size_t *count)
{
	*count = COUNT(controls);
	return controls;
}

const struct event_info *
event_by_type(struct str type)
{
	for (size_t i = 0; i < COUNT(events); i++) {
		if (str_eqz(type, events[i].type))
			return &events[i];
	}
	return NULL;
}
