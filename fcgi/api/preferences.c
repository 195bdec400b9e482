/* What a user wants to be told, by which way, and when not. */
#include "api/api.h"

#include "queries.h"

#define TYPES_MAX 100
#define WEEK 7

/* ---- shapes ---- */

struct quiet {
	struct str from, to, timeZone;
	struct array days;
};
static const struct field quiet_fields[] = {
	FIELD(quiet, from, T_TEXT, .required = true, .max = 5, .doc = "HH:MM"),
	FIELD(quiet, to, T_TEXT, .required = true, .max = 5,
		.doc = "HH:MM; not after `from` means: of the next day"),
	FIELD(quiet, timeZone, T_TEXT, .required = true, .max = 64,
		.doc = "of the IANA database, e.g. America/Guayaquil"),
	FIELD(quiet, days, T_ARRAY, .item = T_INT, .max = WEEK,
		.doc = "on which they begin, 1 is Monday; every day when absent"),
};
static const struct schema quiet_schema = SCHEMA("QuietHours", quiet, quiet_fields);

struct choice {
	struct str type;
	const bool *inbox, *push, *email, *sms;
};
static const struct field choice_fields[] = {
	FIELD(choice, type, T_TEXT, .required = true, .max = 64),
	FIELD(choice, inbox, T_BOOL, .doc = "in the list of notifications"),
	FIELD(choice, push, T_BOOL),
	FIELD(choice, email, T_BOOL),
	FIELD(choice, sms, T_BOOL),
};
static const struct schema choice_schema = SCHEMA("PreferenceChoice", choice, choice_fields);

struct preferences {
	const bool *preview;
	const struct quiet *quietHours;
	struct array types;
};
static const struct field preferences_fields[] = {
	FIELD(preferences, preview, T_BOOL, .doc = "push messages show what was written"),
	FIELD(preferences, quietHours, T_OBJECT, .of = &quiet_schema, .nullable = true,
		.doc = "no push messages then, but critical ones; null ends them"),
	FIELD(preferences, types, T_ARRAY, .of = &choice_schema, .max = TYPES_MAX,
		.doc = "kinds that are to change"),
};
static const struct schema preferences_schema =
	SCHEMA("PreferencesPut", preferences, preferences_fields);

static const struct field quiet_out_fields[] = {
	OUT("from", T_TEXT),
	OUT("to", T_TEXT),
	OUT("timeZone", T_TEXT),
	OUT("days", T_ARRAY, .item = T_INT),
};
static const struct schema quiet_out = SCHEMA_OUT("QuietHoursSet", quiet_out_fields);
static const struct field preference_fields[] = {
	OUT("type", T_TEXT),
	OUT("title", T_TEXT, .doc = "for people, in the user's language"),
	OUT("critical", T_BOOL, .doc = "waits for nobody and passes quiet hours"),
	OUT("inbox", T_BOOL),
	OUT("inboxFixed", T_BOOL, .doc = "`inbox` cannot be changed"),
	OUT("push", T_BOOL),
	OUT("email", T_BOOL),
	OUT("sms", T_BOOL),
};
static const struct schema preference_out = SCHEMA_OUT("Preference", preference_fields);
static const struct field preferences_out_fields[] = {
	OUT("preview", T_BOOL),
	OUT_NULL("quietHours", T_OBJECT, .of = &quiet_out),
	OUT("types", T_ARRAY, .of = &preference_out),
};
static const struct schema preferences_out = SCHEMA_OUT("Preferences", preferences_out_fields);

/* ---- handlers ---- */

static enum problem
preferences_get(struct request *req)
{
	struct rows *rows;
	enum problem p =
		q_preference_get(req->db, &(struct q_preference_get){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

/* The shape of the body has been checked; SQL reads the text, where absent and null differ. */
static enum problem
preferences_put(struct request *req)
{
	struct q_preference_put q = { .doc = req->body_text.n ? req->body_text : STR("{}") };
	struct rows *rows;
	enum problem p = q_preference_put(req->db, &q, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/preferences", preferences_get, .roles = ROLE_ANY, .returns = &preferences_out,
		.tag = "Notifications", .name = "preferencesGet",
		.doc = "What the caller wants to be told, and how" },
	{ HTTP_PUT, "/preferences", preferences_put, .roles = ROLE_ANY, .body = &preferences_schema,
		.returns = &preferences_out, .limit = LIMIT_WRITE, .tag = "Notifications",
		.name = "preferencesPut", .doc = "Changes what the body names, leaves the rest" },
};
const struct route_table preference_routes = ROUTES(rows);
