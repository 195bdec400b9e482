/* What a token says: writing the payload, reading it, and what must hold in both. */
#include "io/claims.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define LIFE_MAX_S 3600 /* from iat to exp */
#define DID_MAX 36
#define HOST_MAX 255

static const struct audience audiences[] = {
	{ "api", "access", false },
	{ "mqtt", "mqtt", true },
};
#define AUDIENCES (sizeof(audiences) / sizeof(audiences[0]))

const struct audience *
audience_by_name(struct str aud)
{
	for (size_t i = 0; i < AUDIENCES; i++)
		if (str_eqz(aud, audiences[i].aud))
			return &audiences[i];
	return NULL;
}

static bool
did_valid(struct str did)
{
	if (did.n == 0 || did.n > DID_MAX)
		return false;
	for (size_t i = 0; i < did.n; i++) {
		char c = did.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static bool
filters_valid(const struct str *filter, size_t n)
{
	if (n > TOKEN_ACL_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (filter[i].n == 0)
			return false;
	return true;
}

const char *
claims_fault(const struct claims *c, const struct audience *audience)
{
	if (uuid_is_nil(&c->sub) || uuid_is_nil(&c->sid) || uuid_is_nil(&c->jti))
		return "a nil id";
	if (!*role_name(c->role))
		return "unknown role";
	/* Bounds first, so that the difference cannot overflow. */
	if (c->iat <= 0 || c->exp <= c->iat || c->exp - c->iat > LIFE_MAX_S)
		return "exp is not within an hour after iat";
	if (!audience->broker)
		return NULL;
	if (!did_valid((struct str){ c->did, strnlen(c->did, sizeof(c->did)) }))
		return "bad did";
	if (!filters_valid(c->sub_acl, c->sub_acl_n) || !filters_valid(c->pub_acl, c->pub_acl_n))
		return "bad acl";
	return NULL;
}

static void
put_uuid(struct jsonw *w, const char *name, const struct uuid *u)
{
	char text[UUID_TEXT + 1];

	uuid_text(u, text);
	jsonw_kz(w, name, text);
}

static void
put_filters(struct jsonw *w, const char *name, const struct str *filter, size_t n)
{
	jsonw_key(w, name);
	jsonw_arr(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, filter[i]);
	jsonw_arr_end(w);
}

/* ejabberd looks for the user here, and nowhere else. */
static void
put_jid(struct jsonw *w, const struct uuid *u, const char *host)
{
	char jid[UUID_TEXT + sizeof("@") + HOST_MAX];

	uuid_text(u, jid);
	(void)snprintf(jid + UUID_TEXT, sizeof(jid) - UUID_TEXT, "@%s", host);
	jsonw_kz(w, "jid", jid);
}

void
claims_put(struct buf *b, const char *issuer, const struct claims *c)
{
	const struct audience *audience = audience_by_name(str_of(c->aud));
	struct jsonw w;

	CHECK(audience != NULL);
	jsonw_init(&w, b);
	jsonw_obj(&w);
	jsonw_kz(&w, "iss", issuer);
	jsonw_kz(&w, "aud", audience->aud);
	jsonw_kz(&w, "kind", audience->kind);
	put_uuid(&w, "sub", &c->sub);
	put_uuid(&w, "sid", &c->sid);
	put_uuid(&w, "jti", &c->jti);
	jsonw_kz(&w, "role", role_name(c->role));
	jsonw_kint(&w, "iat", c->iat);
	jsonw_kint(&w, "exp", c->exp);
	if (audience->broker) {
		/* The object form of `acl` is the one in which EMQX denies what is not listed. */
		jsonw_kz(&w, "did", c->did);
		if (c->jid_host && *c->jid_host)
			put_jid(&w, &c->sub, c->jid_host);
		jsonw_key(&w, "acl");
		jsonw_obj(&w);
		put_filters(&w, "sub", c->sub_acl, c->sub_acl_n);
		put_filters(&w, "pub", c->pub_acl, c->pub_acl_n);
		jsonw_obj_end(&w);
	}
	jsonw_obj_end(&w);
}

struct str
claims_text(const struct json *obj, const char *name)
{
	return json_str(json_member(obj, name));
}

/* False unless the member exists and is an integer; 3600.0 is none. */
static bool
int_of(const struct json *obj, const char *name, int64_t *out)
{
	const struct json *v = json_member(obj, name);

	if (!v || json_kind_of(v) != JSON_INT)
		return false;
	*out = json_int(v);
	return true;
}

static enum problem
read_audience(const struct json *payload, const char *issuer, struct opened *o, struct err *err)
{
	if (!str_eqz(claims_text(payload, "iss"), issuer))
		return REFUSE(err, "wrong iss");
	o->audience = audience_by_name(claims_text(payload, "aud"));
	if (!o->audience)
		return REFUSE(err, "unknown aud");
	if (!str_eqz(claims_text(payload, "kind"), o->audience->kind))
		return REFUSE(err, "kind does not fit aud");
	return P_OK;
}

static enum problem
read_times(const struct json *payload, struct opened *o, struct err *err)
{
	if (!int_of(payload, "iat", &o->c.iat) || !int_of(payload, "exp", &o->c.exp))
		return REFUSE(err, "iat or exp is not an integer");
	o->nbf = o->c.iat;
	if (json_member(payload, "nbf") && !int_of(payload, "nbf", &o->nbf))
		return REFUSE(err, "nbf is not an integer");
	return P_OK;
}

static bool
read_filters(
	struct arena *a, const struct json *acl, const char *name, struct str *filter, size_t *n)
{
	const struct json *list = json_member(acl, name);

	if (!list || json_kind_of(list) != JSON_ARR || json_size(list) > TOKEN_ACL_MAX)
		return false;
	for (size_t i = 0; i < json_size(list); i++) {
		const struct json *v = json_item(list, i);

		if (json_kind_of(v) != JSON_STR)
			return false;
		filter[i] = str_dup(a, json_str(v));
	}
	*n = json_size(list);
	return true;
}

/* did and acl, of which nothing may be missing or unknown. */
static enum problem
read_broker(struct arena *a, const struct json *payload, struct claims *c, struct err *err)
{
	const struct json *acl = json_member(payload, "acl");
	struct str did = claims_text(payload, "did");

	if (!did_valid(did))
		return REFUSE(err, "bad did");
	memcpy(c->did, did.p, did.n);
	if (!acl || json_kind_of(acl) != JSON_OBJ || json_size(acl) != 2 ||
		!read_filters(a, acl, "sub", c->sub_acl, &c->sub_acl_n) ||
		!read_filters(a, acl, "pub", c->pub_acl, &c->pub_acl_n))
		return REFUSE(err, "bad acl");
	return P_OK;
}

enum problem
claims_read(struct arena *a, const struct json *payload, const char *issuer, struct opened *o,
	struct err *err)
{
	enum problem p = read_audience(payload, issuer, o, err);
	if (p)
		return p;
	p = read_times(payload, o, err);
	if (p)
		return p;
	if (!uuid_parse(claims_text(payload, "sub"), &o->c.sub) ||
		!uuid_parse(claims_text(payload, "sid"), &o->c.sid) ||
		!uuid_parse(claims_text(payload, "jti"), &o->c.jti))
		return REFUSE(err, "sub, sid or jti is not a UUID");
	o->c.role = role_by_name(claims_text(payload, "role"));
	if (o->audience->broker) {
		p = read_broker(a, payload, &o->c, err);
		if (p)
			return p;
	}

	const char *fault = claims_fault(&o->c, o->audience);
	return fault ? REFUSE(err, fault) : P_OK;
}
