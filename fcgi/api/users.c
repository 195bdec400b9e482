/* Profiles: what users tell of themselves. */
#include "api/api.h"
#include "api/auth.h"
#include "queries.h"

const char *const user_roles[] = { "client", "seller", "admin", "moderator", "service", NULL };
static const char *const statuses[] = { "active", "suspended", NULL };
static const char *const locales[] = { "en", "es", NULL };

static const struct field user_out_fields[] = {
	OUT("id", T_UUID),
	OUT_NULL("username", T_TEXT),
	OUT("name", T_TEXT),
	OUT("role", T_ENUM, .values = user_roles),
	OUT_NULL("avatarUrl", T_URL),
	OUT_NULL("shopId", T_UUID, .doc = "of sellers"),
	OUT("createdAt", T_TIME),
	OUT_OPT("email", T_EMAIL, .doc = "as all that follows, for the user and administrators"),
	OUT_OPT("emailVerified", T_BOOL),
	{ .name = "phone", .type = T_TEXT, .nullable = true },
	OUT_OPT("status", T_ENUM, .values = statuses),
	OUT_OPT("locale", T_ENUM, .values = locales),
	OUT_OPT("version", T_INT),
	OUT_OPT("updatedAt", T_TIME),
};
const struct schema user_out = SCHEMA_OUT("User", user_out_fields);

/* The bits of `present`; what can be emptied comes first. */
#define CLEARABLE 3
#define MEMBERS 5

struct user_in {
	uint64_t present;
	struct str username, phone, avatar_url, name, locale;
};
static const struct field user_in_fields[] = {
	FIELD(user_in, username, T_TEXT, .min = USERNAME_MIN, .max = USERNAME_MAX, .nullable = true,
		.doc = "letters, digits, dot, hyphen, underscore"),
	FIELD(user_in, phone, T_TEXT, .min = 1, .max = PHONE_MAX, .nullable = true),
	FIELD_AS(user_in, avatar_url, "avatarUrl", T_URL, .nullable = true),
	FIELD(user_in, name, T_TEXT, .min = 1, .max = NAME_MAX_CHARS),
	FIELD(user_in, locale, T_ENUM, .values = locales),
};
static const struct schema user_in = SCHEMA_PATCH("UserUpdate", user_in, user_in_fields);

struct sharing {
	const bool *readReceipts, *typing, *presence;
};
static const struct field sharing_fields[] = {
	FIELD(sharing, readReceipts, T_BOOL),
	FIELD(sharing, typing, T_BOOL),
	FIELD(sharing, presence, T_BOOL),
};
static const struct schema sharing_schema = SCHEMA("SharingUpdate", sharing, sharing_fields);
static const struct field sharing_out_fields[] = {
	OUT("readReceipts", T_BOOL,
		.doc = "others see what the user has read, and the user what they have"),
	OUT("typing", T_BOOL, .doc = "the same for typing"),
	OUT("presence", T_BOOL, .doc = "the same for being there, and when last"),
};
static const struct schema sharing_out = SCHEMA_OUT("Sharing", sharing_out_fields);

static bool
is_of(struct str s, const char *also)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    strchr(also, c)))
			return false;
	}
	return true;
}

static bool
is_phone(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("0123456789+-() .", s.p[i]))
			return false;
	return true;
}

enum problem
profile_check(struct request *req, struct profile *p)
{
	size_t before = req->err.field_count;

	/* One script only: names that look alike in two would be two users. */
	if (p->username.p && !is_of(p->username, "._-"))
		err_field(&req->err, "/username", "invalid_username",
			"only letters a-z, digits, dot, hyphen and underscore");
	if (p->phone.p && !is_phone(p->phone))
		err_field(
			&req->err, "/phone", "invalid_phone", "only digits, spaces and + - ( ) .");
	p->name = str_trim(p->name);
	if (p->name.p && p->name.n == 0)
		err_field(&req->err, "/name", "too_short", "only spaces");
	if (req->err.field_count > before)
		return ERR(&req->err, P_INVALID, "profile");
	return P_OK;
}

/* A username is refused as a whole or taken: it has no stars. */
enum problem
profile_filter(struct request *req, struct profile *p, struct filtered *hint)
{
	struct str username = p->username;
	enum problem e = filter_public(req, &p->name, "/name", true, hint);

	if (!e)
		e = filter_public(req, &username, "/username", false, hint);
	if (e || str_eq(username, p->username))
		return e;
	err_field(&req->err, "/username", "word", "a refused word");
	return ERR(&req->err, P_FILTERED, "masked username");
}

static enum problem
user_get(struct request *req)
{
	struct uuid id;
	struct rows *rows;

	enum problem p = req_uuid(req, 0, &id);
	if (p)
		return p;
	p = q_user_get(req->db, &(struct q_user_get){ .id = id }, &rows, &req->err);
	return p ? p : resp_row(req, rows);
}

/* The members that were sent as null, which empties them; a name and a locale there must be. */
static enum problem
take_nulls(struct request *req, struct str names[CLEARABLE], size_t *n)
{
	const struct user_in *in = req->body;
	const struct str values[MEMBERS] = { in->username, in->phone, in->avatar_url, in->name,
		in->locale };

	*n = 0;
	for (size_t i = 0; i < MEMBERS; i++) {
		const char *name = user_in_fields[i].name;

		if (!(in->present >> i & 1) || values[i].p)
			continue;
		if (i < CLEARABLE) {
			names[(*n)++] = str_of(name);
			continue;
		}
		err_field(&req->err, arena_printf(req->arena, "/%s", name), "wrong_type",
			"must not be null");
		return ERR(&req->err, P_INVALID, "%s is null", name);
	}
	return P_OK;
}

static enum problem
update(struct request *req, int64_t version)
{
	const struct user_in *in = req->body;
	struct profile profile = { in->name, in->username, in->phone };
	struct filtered hint = { 0 };
	struct str names[CLEARABLE];
	size_t n;
	struct uuid id;
	struct rows *rows;

	enum problem p = req_uuid(req, 0, &id);
	if (!p)
		p = profile_check(req, &profile);
	if (!p)
		p = take_nulls(req, names, &n);
	if (!p)
		p = profile_filter(req, &profile, &hint);
	if (p)
		return p;
	filter_begin(req, &hint);
	p = q_user_update(req->db,
		&(struct q_user_update){ .id = id,
			.version = version > INT32_MAX ? INT32_MAX : (int32_t)version,
			.name = profile.name,
			.username = profile.username,
			.phone = profile.phone,
			.avatar_url = in->avatar_url,
			.locale = in->locale,
			.clear = { names, n } },
		&rows, &req->err);
	p = filter_end_public(req, p, &hint, NULL);
	return p ? p : resp_row(req, rows);
}

/* As the older clients do it: whoever writes last wins. */
static enum problem
user_put(struct request *req)
{
	return update(req, 0);
}

static enum problem
user_patch(struct request *req)
{
	int64_t version;

	enum problem p = req_if_match(req, &version);
	return p ? p : update(req, version);
}

static enum problem
sharing_get(struct request *req)
{
	struct rows *rows;
	enum problem p = q_sharing_get(req->db, &(struct q_sharing_get){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
sharing_set(struct request *req)
{
	const struct sharing *in = req->body;
	struct q_sharing_set q = {
		.read = in->readReceipts, .typing = in->typing, .presence = in->presence
	};
	struct rows *rows;
	enum problem p = q_sharing_set(req->db, &q, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/users/me/sharing", sharing_get, .roles = ROLE_ANY, .bare = true,
		.returns = &sharing_out, .tag = "Users", .name = "sharingGet",
		.doc = "What the caller shows to others, and sees of them in return" },
	{ HTTP_PATCH, "/users/me/sharing", sharing_set, .roles = ROLE_ANY, .bare = true,
		.body = &sharing_schema, .returns = &sharing_out, .limit = LIMIT_WRITE,
		.tag = "Users", .name = "sharingUpdate",
		.doc = "Changes it, from now on; what was shown stays" },
	{ HTTP_GET, "/users/:id", user_get, .roles = ROLE_PUBLIC, .bare = true,
		.returns = &user_out, .tag = "Users", .name = "userGet",
		.doc = "A profile; users see their own, and administrators all, in full" },
	{ HTTP_PUT, "/users/:id", user_put, .roles = ROLE_ANY, .bare = true, .body = &user_in,
		.returns = &user_out, .limit = LIMIT_WRITE, .problems = { P_CONFLICT, P_FILTERED },
		.tag = "Users", .name = "userPut", .doc = "Changes the members that are sent" },
	{ HTTP_PATCH, "/users/:id", user_patch, .roles = ROLE_ANY, .bare = true, .body = &user_in,
		.returns = &user_out, .limit = LIMIT_WRITE, .if_match = true,
		.problems = { P_CONFLICT, P_FILTERED }, .tag = "Users", .name = "userPatch",
		.doc = "Merge patch (RFC 7396) of the own profile" },
};
const struct route_table user_routes = ROUTES(rows);
