/*
 * The MQTT door: an uplink message becomes a request and runs the route row
 * whose `.mqtt` is its verb, by the same rules as over HTTP. The broker has
 * verified who sent it; the topic names the user.
 *
 * Members of `d` that the row's path names (chatId for :id, messageId for
 * :mid) become path parameters; the rest is the body, or the query of a GET.
 * The envelope's `id` is the Idempotency-Key and comes back as `ref`.
 */
#ifndef PLAZA_INGEST_UPLINK_H
#define PLAZA_INGEST_UPLINK_H

#include "http/app.h"
#include "topics.h"

/* The envelope of an uplink, checked. */
struct uplink {
	const struct topic *topic;
	struct str id;           /* absent when it had none */
	struct str did;          /* device that wants the answer; absent when unknown */
	const struct json *data; /* `d` */
};

/* Reads the envelope; P_BAD_JSON or P_INVALID with the fault in err. */
enum problem uplink_read(struct arena *a, const struct topic *topic, struct str payload,
	struct uplink *out, struct err *err) __attribute__((warn_unused_result));

/*
 * True when the user has sent too many of what no route's limit covers (hello,
 * watch, beat, history); the device is told.
 */
bool uplink_limited(struct app *app, const struct uplink *up);
/* Runs it. False when the verb has no route: presence handles those. */
bool uplink_run(struct app *app, const struct uplink *up);

/* Publishes an event to the device that sent the uplink, or to all of the user's; built in `a`. */
void uplink_answer(struct app *app, struct arena *a, const struct uplink *up, const char *type,
	struct str data);

#endif
