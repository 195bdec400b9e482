/* Prints topics.def and events.def: a plain table, and AsyncAPI 3.0. */
#include "relay/relay.h"

#include <stdio.h>

#include "events.h"
#include "io/json.h"
#include "topics.h"

#define ENVELOPE_VERSION 1

void
describe_topics(struct buf *b)
{
	for (int k = 0; k < TOPIC_KINDS; k++) {
		const struct topic_info *t = topic_info((enum topic_kind)k);
		buf_printf(b, "%s\t%s\tqos %d\t%s\n", t->name, t->pattern, t->qos, t->doc);
	}
}

/* ---- schemas ---- */

static const char *
json_type(enum event_type t)
{
	switch (t) {
	case EVENT_BOOL:
		return "boolean";
	case EVENT_INT:
		return "integer";
	case EVENT_MONEY:
	case EVENT_OBJECT:
		return "object";
	case EVENT_TEXTS:
	case EVENT_UUIDS:
	case EVENT_OBJECTS:
		return "array";
	case EVENT_TEXT:
	case EVENT_UUID:
	case EVENT_TIME:
		break;
	}
	return "string";
}

static void
print_choices(struct jsonw *w, const char *choices)
{
	struct str rest = str_of(choices), one;

	jsonw_key(w, "enum");
	jsonw_arr(w);
	while (rest.n > 0) {
		str_cut(rest, '|', &one, &rest);
		jsonw_str(w, one);
	}
	jsonw_arr_end(w);
}

static void
print_field(struct jsonw *w, const struct event_field *f)
{
	jsonw_key(w, f->name);
	jsonw_obj(w);
	jsonw_key(w, "type");
	if (f->required) {
		jsonw_z(w, json_type(f->type));
	} else {
		jsonw_arr(w);
		jsonw_z(w, json_type(f->type));
		jsonw_z(w, "null");
		jsonw_arr_end(w);
	}
	if (f->type == EVENT_UUID)
		jsonw_kz(w, "format", "uuid");
	if (f->type == EVENT_TIME)
		jsonw_kz(w, "format", "date-time");
	if (f->choices && f->required)
		print_choices(w, f->choices);
	jsonw_kz(w, "description", f->doc);
	jsonw_obj_end(w);
}

static void
print_fields(struct jsonw *w, const struct event_info *e)
{
	jsonw_obj(w);
	jsonw_kz(w, "type", "object");
	jsonw_key(w, "properties");
	jsonw_obj(w);
	for (size_t i = 0; i < e->field_count; i++)
		print_field(w, &e->fields[i]);
	jsonw_obj_end(w);
	jsonw_key(w, "required");
	jsonw_arr(w);
	for (size_t i = 0; i < e->field_count; i++)
		if (e->fields[i].required)
			jsonw_z(w, e->fields[i].name);
	jsonw_arr_end(w);
	jsonw_kbool(w, "additionalProperties", false);
	jsonw_obj_end(w);
}

/* What stands around `d`: realtime messages in both directions share it. */
static void
print_envelope(struct jsonw *w, const struct event_info *e, bool uplink)
{
	jsonw_obj(w);
	jsonw_kz(w, "type", "object");
	jsonw_key(w, "properties");
	jsonw_obj(w);
	jsonw_key(w, "v");
	jsonw_obj(w);
	jsonw_kint(w, "const", ENVELOPE_VERSION);
	jsonw_obj_end(w);
	if (!uplink) {
		jsonw_key(w, "t");
		jsonw_obj(w);
		jsonw_kz(w, "const", e->type);
		jsonw_obj_end(w);
	}
	jsonw_key(w, "id");
	jsonw_raw(w, STR("{\"type\":\"string\"}"));
	jsonw_key(w, "ts");
	jsonw_raw(w, STR("{\"type\":\"string\",\"format\":\"date-time\"}"));
	if (uplink) {
		jsonw_key(w, "did");
		jsonw_raw(w, STR("{\"type\":\"string\",\"description\":\"device that the answer "
				 "goes to\"}"));
	}
	if (e->durable) {
		jsonw_key(w, "us");
		jsonw_raw(w, STR("{\"type\":\"integer\",\"description\":\"place in the user's "
				 "feed, without gaps\"}"));
		jsonw_key(w, "ep");
		jsonw_raw(w, STR("{\"type\":\"string\",\"description\":\"epoch of the feed; "
				 "another one means reload\"}"));
	}
	jsonw_key(w, "d");
	print_fields(w, e);
	jsonw_obj_end(w);
	jsonw_key(w, "required");
	jsonw_raw(w, uplink       ? STR("[\"v\",\"d\"]")
		     : e->durable ? STR("[\"v\",\"t\",\"id\",\"ts\",\"us\",\"ep\",\"d\"]")
				  : STR("[\"v\",\"t\",\"id\",\"ts\",\"d\"]"));
	jsonw_kbool(w, "additionalProperties", false);
	jsonw_obj_end(w);
}

/* ---- messages, channels ---- */

static void
message_name(const struct event_info *e, bool uplink, char out[80])
{
	snprintf(out, 80, "%s%s", uplink ? "uplink:" : "", e->type);
}

static void
print_message(struct jsonw *w, const struct event_info *e, bool uplink)
{
	char name[80];

	message_name(e, uplink, name);
	jsonw_key(w, name);
	jsonw_obj(w);
	jsonw_kz(w, "name", name);
	jsonw_kz(w, "summary", e->doc);
	jsonw_kz(w, "contentType", "application/json");
	jsonw_key(w, "payload");
	print_envelope(w, e, uplink);
	jsonw_obj_end(w);
}

static void
print_messages(struct jsonw *w)
{
	size_t n;
	const struct event_info *rows = event_rows(&n);

	jsonw_key(w, "components");
	jsonw_obj(w);
	jsonw_key(w, "messages");
	jsonw_obj(w);
	for (size_t i = 0; i < n; i++)
		print_message(w, &rows[i], false);
	for (int v = 0; v < UPLINK_VERBS; v++)
		print_message(w, uplink_row((enum uplink_verb)v), true);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void
print_message_ref(struct jsonw *w, const struct event_info *e, bool uplink)
{
	char name[80], ref[128];

	message_name(e, uplink, name);
	snprintf(ref, sizeof(ref), "#/components/messages/%s", name);
	jsonw_key(w, name);
	jsonw_obj(w);
	jsonw_kz(w, "$ref", ref);
	jsonw_obj_end(w);
}

static void
print_channel(struct jsonw *w, enum topic_kind kind)
{
	const struct topic_info *t = topic_info(kind);
	size_t n;
	const struct event_info *rows = event_rows(&n);

	jsonw_key(w, t->name);
	jsonw_obj(w);
	jsonw_kz(w, "address", t->pattern);
	jsonw_kz(w, "description", t->doc);
	jsonw_key(w, "messages");
	jsonw_obj(w);
	for (size_t i = 0; i < n; i++)
		if (rows[i].topics & (1u << kind))
			print_message_ref(w, &rows[i], false);
	for (int v = 0; v < UPLINK_VERBS && kind == TOPIC_UPLINK; v++)
		print_message_ref(w, uplink_row((enum uplink_verb)v), true);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

static void
print_operation(struct jsonw *w, enum topic_kind kind)
{
	const struct topic_info *t = topic_info(kind);
	char ref[64];

	snprintf(ref, sizeof(ref), "#/channels/%s", t->name);
	jsonw_key(w, t->name);
	jsonw_obj(w);
	jsonw_kz(w, "action", t->dir == TOPIC_DIR_UP ? "receive" : "send");
	jsonw_key(w, "channel");
	jsonw_obj(w);
	jsonw_kz(w, "$ref", ref);
	jsonw_obj_end(w);
	jsonw_obj_end(w);
}

/* False of topics where only the operator's programs send, in a form of their own. */
static bool
carries(enum topic_kind kind)
{
	size_t n;
	const struct event_info *rows = event_rows(&n);

	for (size_t i = 0; i < n; i++)
		if (rows[i].topics & (1u << kind))
			return true;
	return kind == TOPIC_UPLINK;
}

/* Topics between our own programs are no part of the public document. */
static void
each_channel(struct jsonw *w, const char *key, void (*print)(struct jsonw *w, enum topic_kind kind))
{
	jsonw_key(w, key);
	jsonw_obj(w);
	for (int k = 0; k < TOPIC_KINDS; k++)
		if (topic_info((enum topic_kind)k)->dir != TOPIC_DIR_CONTROL &&
			carries((enum topic_kind)k))
			print(w, (enum topic_kind)k);
	jsonw_obj_end(w);
}

void
describe_asyncapi(struct buf *b)
{
	struct jsonw w;

	jsonw_init(&w, b);
	jsonw_obj(&w);
	jsonw_kz(&w, "asyncapi", "3.0.0");
	jsonw_key(&w, "info");
	jsonw_obj(&w);
	jsonw_kz(&w, "title", "Plaza");
	jsonw_kz(&w, "version", PLAZA_VERSION);
	jsonw_kz(&w, "description",
		"Events over MQTT 3.1.1. POST /realtime/session tells a client all it needs.");
	jsonw_obj_end(&w);
	jsonw_kz(&w, "defaultContentType", "application/json");
	each_channel(&w, "channels", print_channel);
	each_channel(&w, "operations", print_operation);
	print_messages(&w);
	jsonw_obj_end(&w);
}
