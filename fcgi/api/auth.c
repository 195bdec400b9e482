/* Opening an account, signing in, changing the password. */
#include "api/api.h"
#include "api/auth.h"
#include "base/log.h"
#include "io/password.h"
#include "queries.h"

#define LABEL_MAX 100

/* ---- shapes ---- */

static const char *const open_roles[] = { "client", "seller", NULL };

struct register_in {
	struct str email, password, name, username, phone, role, shop_name, device;
};
static const struct field register_fields[] = {
	FIELD(register_in, email, T_EMAIL, .required = true),
	FIELD(register_in, password, T_TEXT, .max = PASSWORD_MAX, .required = true),
	FIELD(register_in, name, T_TEXT, .min = 1, .max = NAME_MAX_CHARS,
		.doc = "may be left out where there is a username"),
	FIELD(register_in, username, T_TEXT, .min = USERNAME_MIN, .max = USERNAME_MAX),
	FIELD(register_in, phone, T_TEXT, .min = 1, .max = PHONE_MAX),
	FIELD(register_in, role, T_ENUM, .values = open_roles, .doc = "client when left out"),
	FIELD_AS(register_in, shop_name, "shopName", T_TEXT, .min = 1, .max = NAME_MAX_CHARS,
		.doc = "sellers only; their own name when left out"),
	FIELD(register_in, device, T_TEXT, .max = LABEL_MAX,
		.doc = "what the user calls this device"),
};
static const struct schema register_in = SCHEMA("Register", register_in, register_fields);

struct login_in {
	struct str email, password, device;
};
static const struct field login_fields[] = {
	FIELD(login_in, email, T_EMAIL, .required = true),
	FIELD(login_in, password, T_TEXT, .max = PASSWORD_MAX, .required = true),
	FIELD(login_in, device, T_TEXT, .max = LABEL_MAX, .doc = "what the user calls this device"),
};
static const struct schema login_in = SCHEMA("Login", login_in, login_fields);

struct password_in {
	struct str current, fresh;
};
static const struct field password_fields[] = {
	FIELD_AS(password_in, current, "currentPassword", T_TEXT, .max = PASSWORD_MAX,
		.required = true),
	FIELD_AS(password_in, fresh, "newPassword", T_TEXT, .max = PASSWORD_MAX, .required = true),
};
static const struct schema password_in = SCHEMA("PasswordChange", password_in, password_fields);

/* ---- common ---- */

static struct str
or_empty(struct str s)
{
	return s.p ? s : STR("");
}

/* Every result of an authentication is on record; the address of a wrong one is not: it may be a
 * password typed into the wrong field. */
static void
log_result(const struct request *req, const char *event, struct uuid user)
{
	char text[UUID_TEXT + 1] = "";

	if (!uuid_is_nil(&user))
		uuid_text(&user, text);
	log_event(LOG_INFO, event, LSTR("id", req->id), LZ("user", text),
		LSTR("address", req->remote_addr));
}

/* The columns of login_finish and account_register are the same. */
_Static_assert((int)Q_LOGIN_FINISH_BODY == (int)Q_ACCOUNT_REGISTER_BODY &&
		       (int)Q_LOGIN_FINISH_ACCOUNT == (int)Q_ACCOUNT_REGISTER_ACCOUNT &&
		       (int)Q_LOGIN_FINISH_ROLE == (int)Q_ACCOUNT_REGISTER_ROLE &&
		       (int)Q_LOGIN_FINISH_ENDS_AT == (int)Q_ACCOUNT_REGISTER_ENDS_AT,
	"read by one function");

static struct granted
granted_of(const struct rows *rows, const struct opening *o)
{
	return (struct granted){
		.user = rows_uuid(rows, 0, Q_LOGIN_FINISH_ACCOUNT),
		.session = o->session,
		.role = rows_str(rows, 0, Q_LOGIN_FINISH_ROLE),
		.ends_at = rows_i64(rows, 0, Q_LOGIN_FINISH_ENDS_AT),
		.body = rows_str(rows, 0, Q_LOGIN_FINISH_BODY),
		.refresh = o->refresh,
		.device = o->device,
	};
}

/* ---- register ---- */

/* Like a shape that refuses a member. */
static enum problem
refuse(struct request *req, const char *pointer, const char *code, const char *why)
{
	err_field(&req->err, pointer, code, "%s", why);
	return ERR(&req->err, P_INVALID, "%s", why);
}

/* What the shapes cannot say: the name may come from the username, the shop belongs to sellers. */
static enum problem
register_check(struct request *req, const struct register_in *in, bool seller, struct profile *out)
{
	*out = (struct profile){ in->name.p ? in->name : in->username, in->username, in->phone };
	if (!out->name.p)
		return refuse(req, "/name", "required", "is required without a username");
	if (in->shop_name.p && !seller)
		return refuse(req, "/shopName", "not_allowed", "only sellers have a shop");
	if (in->shop_name.p && str_trim(in->shop_name).n == 0)
		return refuse(req, "/shopName", "too_short", "only spaces");
	return profile_check(req, out);
}

/* Absent for clients; a shop is called like its owner unless told. */
static struct str
shop_name(const struct register_in *in, bool seller, struct str owner)
{
	if (!seller)
		return (struct str){ NULL, 0 };
	return in->shop_name.p ? str_trim(in->shop_name) : owner;
}

static enum problem
open_account(struct request *req, bool seller)
{
	const struct register_in *in = req->body;
	struct str email = str_lower(req->arena, in->email), hash;
	struct filtered hint = { 0 };
	struct profile profile;
	struct opening o;
	struct rows *rows;
	char text[UUID_TEXT + 1];

	enum problem p = register_check(req, in, seller, &profile);
	if (!p)
		p = profile_filter(req, &profile, &hint);
	if (p)
		return p;
	struct str shop = shop_name(in, seller, profile.name);
	if ((p = filter_public(req, &shop, "/shopName", true, &hint)))
		return p;
	p = password_take(req, "/password", in->password, email, &hash);
	if (p)
		return p;
	opening_init(&o, req, (struct str){ NULL, 0 });
	filter_begin(req, &hint);
	p = q_account_register(req->db,
		&(struct q_account_register){ .email = email,
			.hash = hash,
			.name = profile.name,
			.username = profile.username,
			.phone = profile.phone,
			.locale = req->locale == LOCALE_ES ? STR("es") : STR("en"),
			.shop = shop,
			.session = o.session,
			.label = or_empty(in->device),
			.agent = o.agent,
			.address = o.address,
			.refresh = o.refresh_hash,
			.device = o.device_hash,
			.idle = o.idle_s,
			.max = o.max_s },
		&rows, &req->err);
	struct granted g = { 0 };
	if (!p)
		g = granted_of(rows, &o);
	if ((p = filter_end_public(req, p, &hint, &g.user)))
		return p;
	log_result(req, "register", g.user);
	uuid_text(&g.user, text);
	resp_header(req, "Location", "/api/v1/users/%s", text);
	return grant_answer(req, &g);
}

static enum problem
auth_register(struct request *req)
{
	const struct register_in *in = req->body;

	return open_account(req, str_eqz(in->role, "seller"));
}

/* These two take the role from the path; the body may repeat it but not contradict. */
static enum problem
register_as(struct request *req, const char *role)
{
	const struct register_in *in = req->body;

	if (in->role.p && !str_eqz(in->role, role))
		return refuse(req, "/role", "not_allowed", "another role than that of the path");
	return open_account(req, strcmp(role, "seller") == 0);
}

static enum problem
register_client(struct request *req)
{
	return register_as(req, "client");
}

static enum problem
register_seller(struct request *req)
{
	return register_as(req, "seller");
}

/* ---- login ---- */

/* The password was right: the count of the attempt, which went back with the refusal, ends. */
static enum problem
tell_suspended(struct request *req, const struct rows *begun)
{
	struct q_login_clear q = { .account = rows_uuid(begun, 0, Q_LOGIN_BEGIN_ACCOUNT),
		.seen = rows_str(begun, 0, Q_LOGIN_BEGIN_HASH),
		.known = rows_bool(begun, 0, Q_LOGIN_BEGIN_KNOWN) };
	struct err ignored = { 0 };
	struct rows *rows;

	log_result(req, "login_suspended", q.account);
	(void)!q_login_clear(req->db, &q, &rows, &ignored);
	return P_SUSPENDED;
}

/* Opens the session of somebody whose password was right. `begun` is the row of login_begin. */
static enum problem
login_finish(struct request *req, const struct rows *begun, bool rehash)
{
	const struct login_in *in = req->body;
	bool known = rows_bool(begun, 0, Q_LOGIN_BEGIN_KNOWN);
	struct str seen = rows_str(begun, 0, Q_LOGIN_BEGIN_HASH), better = { NULL, 0 };
	struct opening o;
	struct rows *rows;

	if (rehash) {
		enum problem p = password_hash(req->arena, in->password, &better, &req->err);
		if (p)
			return p;
	}
	opening_init(&o, req, known ? device_sent(req) : (struct str){ NULL, 0 });
	enum problem p = q_login_finish(req->db,
		&(struct q_login_finish){ .account = rows_uuid(begun, 0, Q_LOGIN_BEGIN_ACCOUNT),
			.seen = seen,
			.rehash = better,
			.known = known,
			.session = o.session,
			.label = or_empty(in->device),
			.agent = o.agent,
			.address = o.address,
			.refresh = o.refresh_hash,
			.device = o.device_hash,
			.idle = o.idle_s,
			.max = o.max_s },
		&rows, &req->err);
	if (p == P_SUSPENDED)
		return tell_suspended(req, begun);
	if (p)
		return p;
	struct granted g = granted_of(rows, &o);
	log_result(req, "login", g.user);
	return grant_answer(req, &g);
}

/*
 * An unknown address, a wrong password, a locked account and a wrong role take the same steps in
 * the same time and get the same answer: SQL gives no hash then, and comparing with none costs as
 * much as comparing with one. That an account is suspended is told to who has its password.
 */
static enum problem
login_as(struct request *req, const char *role)
{
	const struct login_in *in = req->body;
	struct str device = device_sent(req);
	struct rows *rows;
	bool rehash;

	enum problem p = q_login_begin(req->db,
		&(struct q_login_begin){ .email = str_lower(req->arena, in->email),
			.role = str_of(role),
			.device = device.p ? secret_hash(req->arena, device) : device },
		&rows, &req->err);
	if (p)
		return p;
	if (!password_verify(rows_str(rows, 0, Q_LOGIN_BEGIN_HASH), in->password, &rehash)) {
		log_result(req, "login_refused", rows_uuid(rows, 0, Q_LOGIN_BEGIN_ACCOUNT));
		return ERR(&req->err, P_BAD_CREDENTIALS, "refused");
	}
	return login_finish(req, rows, rehash);
}

static enum problem
auth_login(struct request *req)
{
	return login_as(req, NULL);
}

static enum problem
login_client(struct request *req)
{
	return login_as(req, "client");
}

static enum problem
login_seller(struct request *req)
{
	return login_as(req, "seller");
}

static enum problem
login_admin(struct request *req)
{
	return login_as(req, "admin");
}

/* ---- password ---- */

static enum problem
change_password(struct request *req)
{
	const struct password_in *in = req->body;
	struct str device = device_sent(req), seen, hash;
	struct rows *rows;

	enum problem p =
		q_password_begin(req->db, &(struct q_password_begin){ 0 }, &rows, &req->err);
	if (p)
		return p;
	seen = rows_str(rows, 0, Q_PASSWORD_BEGIN_HASH);
	if (!password_verify(seen, in->current, NULL)) {
		log_result(req, "password_refused", req->who.user);
		return ERR(&req->err, P_BAD_CREDENTIALS, "wrong current password");
	}
	p = password_take(
		req, "/newPassword", in->fresh, rows_str(rows, 0, Q_PASSWORD_BEGIN_EMAIL), &hash);
	if (p)
		return p;
	p = q_password_change(req->db,
		&(struct q_password_change){ .seen = seen,
			.hash = hash,
			.session = req->who.session,
			.device = device.p ? secret_hash(req->arena, device) : device },
		&rows, &req->err);
	if (p)
		return p;
	log_result(req, "password_change", req->who.user);
	return resp_empty(req);
}

/* ---- table ---- */

#define REGISTER                                                                    \
	.roles = ROLE_PUBLIC, .signs_in = true, .bare = true, .body = &register_in, \
	.returns = &grant_out, .status = 201, .limit = LIMIT_REGISTER,              \
	.problems = { P_EMAIL_TAKEN, P_CONFLICT, P_WEAK_PASSWORD, P_FILTERED }, .tag = "Auth"
#define LOGIN                                                                           \
	.roles = ROLE_PUBLIC, .signs_in = true, .bare = true, .body = &login_in,        \
	.returns = &grant_out, .limit = LIMIT_LOGIN, .problems = { P_BAD_CREDENTIALS }, \
	.tag = "Auth"

static const struct route rows[] = {
	{ HTTP_POST, "/auth/register", auth_register, REGISTER, .name = "authRegister",
		.doc = "Opens an account of a client or a seller and signs in" },
	{ HTTP_POST, "/auth/signup", auth_register, REGISTER, .hidden = true, .name = "authSignup",
		.doc = "As POST /auth/register" },
	{ HTTP_POST, "/auth/register/client", register_client, REGISTER, .hidden = true,
		.name = "authRegisterClient", .doc = "As POST /auth/register, for clients" },
	{ HTTP_POST, "/auth/register/seller", register_seller, REGISTER, .hidden = true,
		.name = "authRegisterSeller", .doc = "As POST /auth/register, for sellers" },
	{ HTTP_POST, "/auth/login", auth_login, LOGIN, .name = "authLogin",
		.doc = "Opens a session. What of e-mail and password was wrong is never told" },
	{ HTTP_POST, "/auth/login/client", login_client, LOGIN, .hidden = true,
		.name = "authLoginClient", .doc = "As POST /auth/login, for clients only" },
	{ HTTP_POST, "/auth/login/seller", login_seller, LOGIN, .hidden = true,
		.name = "authLoginSeller", .doc = "As POST /auth/login, for sellers only" },
	{ HTTP_POST, "/auth/login/admin", login_admin, LOGIN, .hidden = true,
		.name = "authLoginAdmin", .doc = "As POST /auth/login, for administrators only" },
	{ HTTP_POST, "/auth/change-password", change_password, .roles = ROLE_ANY, .bare = true,
		.body = &password_in, .status = 204, .limit = LIMIT_LOGIN,
		.problems = { P_BAD_CREDENTIALS, P_WEAK_PASSWORD }, .tag = "Auth",
		.name = "authChangePassword",
		.doc = "Sets a new password after the current one, and ends all other sessions" },
};
const struct route_table auth_routes = ROUTES(rows);
