/* Rules for texts: administrators read and change them. */
#include "api/api.h"

#include "api/words.h"
#include "queries.h"

#define PATTERN_MAX 100
#define NOTE_MAX 500

static const char *const kinds[] = { "word", "pattern", "contact", NULL };
static const char *const new_kinds[] = { "word", "pattern", NULL };
static const char *const languages[] = { "en", "es", NULL };
static const char *const actions[] = { "refuse", "mask", "flag", NULL };

struct rule_query {
	int64_t limit;
	struct str cursor, kind, language;
};
static const struct field rule_query_fields[] = {
	FIELD(rule_query, limit, T_INT, .min = 1, .max = LIMIT_PAGE, .has_default = true,
		.def = LIMIT_PAGE_DEFAULT),
	FIELD(rule_query, cursor, T_TEXT),
	FIELD(rule_query, kind, T_ENUM, .values = kinds),
	FIELD(rule_query, language, T_ENUM, .values = languages),
};
static const struct schema rule_query_schema = SCHEMA("RuleQuery", rule_query, rule_query_fields);

struct rule_in {
	struct str kind, pattern, language, action, note;
	bool enabled;
};
static const struct field rule_in_fields[] = {
	FIELD(rule_in, kind, T_ENUM, .values = new_kinds, .required = true,
		.doc = "a pattern has a * at one end or both, where the word may go on"),
	FIELD(rule_in, pattern, T_TEXT, .required = true, .min = 1, .max = PATTERN_MAX,
		.doc = "a word or phrase as people write it; case, accents and disguises do not "
		       "matter"),
	FIELD(rule_in, language, T_ENUM, .values = languages,
		.doc = "for finding it here; texts of all languages are read"),
	FIELD(rule_in, action, T_ENUM, .values = actions, .required = true,
		.doc = "refuse the text, mask the word, or open a case"),
	FIELD(rule_in, note, T_TEXT, .max = NOTE_MAX),
	FIELD(rule_in, enabled, T_BOOL, .has_default = true, .def = 1),
};
static const struct schema rule_in_schema = SCHEMA("RuleCreate", rule_in, rule_in_fields);

struct rule_patch {
	struct str pattern, action, note;
	const bool *enabled;
	const int64_t *threshold;
};
static const struct field rule_patch_fields[] = {
	FIELD(rule_patch, pattern, T_TEXT, .min = 1, .max = PATTERN_MAX),
	FIELD(rule_patch, action, T_ENUM, .values = actions),
	FIELD(rule_patch, note, T_TEXT, .max = NOTE_MAX),
	FIELD(rule_patch, enabled, T_BOOL),
	FIELD(rule_patch, threshold, T_INT, .min = 7, .max = 15,
		.doc = "phone: fewest digits of a number that nothing else tells to be one"),
};
static const struct schema rule_patch_schema = SCHEMA("RulePatch", rule_patch, rule_patch_fields);

static const struct field rule_out_fields[] = {
	OUT("id", T_UUID),
	OUT("kind", T_ENUM, .values = kinds),
	OUT("pattern", T_TEXT, .doc = "of kind contact: phone, email, url or handle"),
	OUT_NULL("language", T_ENUM, .values = languages),
	OUT("action", T_ENUM, .values = actions),
	OUT("enabled", T_BOOL),
	OUT_NULL("threshold", T_INT),
	OUT("note", T_TEXT),
	OUT("version", T_INT),
	OUT("createdAt", T_TIME),
	OUT("updatedAt", T_TIME),
};
static const struct schema rule_out = SCHEMA_OUT("Rule", rule_out_fields);

static enum problem
rule_list(struct request *req)
{
	const struct rule_query *in = req->query;
	struct q_rule_page q = {
		.kind = in->kind, .language = in->language, .limit = (int32_t)in->limit
	};
	struct str part[CURSOR_PARTS];
	struct rows *rows;
	enum problem p;

	if (in->cursor.p) {
		if ((p = cursor_get(req, in->cursor, part, 2)))
			return p;
		q.after_kind = part[0];
		q.after = part[1];
	}
	p = q_rule_page(req->db, &q, &rows, &req->err);
	return p ? p : resp_page(req, rows, in->limit);
}

/* A sign that the search does not know would be taken for a gap: "a$$" must not become "a". */
static enum problem
check_pattern(struct request *req, struct str pattern)
{
	if (!pattern.p || words_add(words_new(req->arena), pattern, FILTER_FLAG))
		return P_OK;
	err_field(&req->err, "/pattern", "format", "takes letters, digits and spaces");
	return ERR(&req->err, P_INVALID, "empty pattern");
}

static enum problem
rule_create(struct request *req)
{
	const struct rule_in *in = req->body;
	struct q_rule_create q = { .id = uuid_new(),
		.kind = in->kind,
		.pattern = str_trim(in->pattern),
		.language = in->language,
		.action = in->action,
		.enabled = in->enabled,
		.note = in->note.p ? in->note : STR(""),
		.request = req->id };
	struct rows *rows;
	enum problem p = check_pattern(req, q.pattern);

	if (p || (p = q_rule_create(req->db, &q, &rows, &req->err)))
		return p;
	return resp_row(req, rows);
}

static enum problem
rule_patch(struct request *req)
{
	const struct rule_patch *in = req->body;
	struct q_rule_update q = { .pattern = in->pattern.p ? str_trim(in->pattern) : in->pattern,
		.action = in->action,
		.enabled = in->enabled,
		.note = in->note,
		.request = req->id };
	int32_t threshold;
	int64_t version;
	struct rows *rows;
	enum problem p;

	if ((p = req_uuid(req, 0, &q.id)) || (p = req_if_match(req, &version)) ||
		(p = check_pattern(req, q.pattern)))
		return p;
	if (in->threshold) {
		threshold = (int32_t)*in->threshold;
		q.threshold = &threshold;
	}
	q.version = version > INT32_MAX ? INT32_MAX : (int32_t)version;
	p = q_rule_update(req->db, &q, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

static enum problem
rule_delete(struct request *req)
{
	struct q_rule_delete q = { .request = req->id };
	struct rows *rows;
	enum problem p = req_uuid(req, 0, &q.id);

	if (p || (p = q_rule_delete(req->db, &q, &rows, &req->err)))
		return p;
	return resp_empty(req);
}

static const struct route rows[] = {
	{ HTTP_GET, "/admin/moderation/filters", rule_list, .roles = ROLE_ADMIN,
		.query = &rule_query_schema, .returns = &rule_out, .page = true,
		.problems = { P_BAD_CURSOR }, .tag = "Moderation", .name = "filterList",
		.doc = "Rules for messages, for names of users, shops and groups, for texts of "
		       "products and canned replies; in force within a few seconds" },
	{ HTTP_POST, "/admin/moderation/filters", rule_create, .roles = ROLE_ADMIN,
		.body = &rule_in_schema, .status = 201, .returns = &rule_out, .limit = LIMIT_WRITE,
		.problems = { P_CONFLICT }, .tag = "Moderation", .name = "filterCreate",
		.doc = "A new rule" },
	{ HTTP_PATCH, "/admin/moderation/filters/:id", rule_patch, .roles = ROLE_ADMIN,
		.body = &rule_patch_schema, .returns = &rule_out, .limit = LIMIT_WRITE,
		.if_match = true, .problems = { P_CONFLICT }, .tag = "Moderation",
		.name = "filterPatch", .doc = "Changes a rule, or a class of contact data" },
	{ HTTP_DELETE, "/admin/moderation/filters/:id", rule_delete, .roles = ROLE_ADMIN,
		.status = 204, .limit = LIMIT_WRITE, .problems = { P_CONFLICT },
		.tag = "Moderation", .name = "filterDelete", .doc = "Removes a rule" },
};
const struct route_table moderation_rule_routes = ROUTES(rows);
