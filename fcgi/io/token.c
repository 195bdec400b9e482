/* Access and broker tokens: making them (libjwt), and the gate that every token has to pass. */
#include "io/token.h"

#include <stdlib.h>

#include <jwt.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/encode.h"
#include "io/claims.h"
#include "io/digest.h"
#include "io/json.h"
#include "io/keys.h"

#define SEEN_SLOTS 4096 /* a power of two; 500 KiB where all are used */
#define SEEN_PROBE 8    /* slots one digest may use */
#define REREAD_US INT64_C(10000000)

_Static_assert(TOKEN_KEYS_MAX == KEYS_MAX, "the limit is told twice");
_Static_assert((SEEN_SLOTS & (SEEN_SLOTS - 1)) == 0, "the slot is cut from the digest by a mask");

/* An opened token, remembered without what only broker tokens have. exp is 0 in an empty slot. */
struct seen {
	uint8_t digest[SHA256_BYTES];
	struct uuid sub, sid, jti;
	int64_t iat, exp, nbf;
	const struct audience *audience;
	enum role role;
};

struct token_keys {
	struct keyring ring;
	char *dir, *issuer;
	struct seen *seen;
	int64_t reread_at_us; /* not before */
};

static const struct {
	enum role role;
	const char *name;
} roles[ROLE_COUNT] = {
	{ ROLE_CLIENT, "client" },
	{ ROLE_SELLER, "seller" },
	{ ROLE_ADMIN, "admin" },
	{ ROLE_MODERATOR, "moderator" },
	{ ROLE_SERVICE, "service" },
};

const char *
role_name(enum role r)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (roles[i].role == r)
			return roles[i].name;
	return "";
}

enum role
role_by_name(struct str s)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (str_eqz(s, roles[i].name))
			return roles[i].role;
	return ROLE_NONE;
}

struct token_keys *
token_keys_load(const char *dir, const char *issuer, struct err *err)
{
	struct token_keys *k = calloc(1, sizeof(*k));

	if (!k || !(k->seen = calloc(SEEN_SLOTS, sizeof(*k->seen))) || !(k->dir = strdup(dir)) ||
		!(k->issuer = strdup(issuer)))
		(void)ERR(err, P_INTERNAL, "token: out of memory");
	else if (keyring_load(&k->ring, dir, err) == P_OK)
		return k;
	token_keys_free(k);
	return NULL;
}

void
token_keys_free(struct token_keys *k)
{
	if (!k)
		return;
	keyring_release(&k->ring);
	free(k->seen);
	free(k->dir);
	free(k->issuer);
	free(k);
}

bool
token_can_sign(const struct token_keys *k)
{
	return keyring_signer(&k->ring) != NULL;
}

enum problem
token_keys_generate(const char *dir, struct err *err)
{
	return keyring_generate(dir, err);
}

/* --- the gate --------------------------------------------------------------- */

/* A token taken apart. */
struct segments {
	struct str signed_text;                /* the first two, as they stand in the token */
	struct str header, payload, signature; /* decoded */
};

static enum problem
split(struct arena *a, struct str token, struct segments *out, struct err *err)
{
	struct str header, payload, signature, rest;

	if (!str_cut(token, '.', &header, &rest) || !str_cut(rest, '.', &payload, &signature))
		return REFUSE(err, "fewer than three segments");
	/* A second spelling of one signature would be a second token for all that compare texts. */
	if (!base64url_get(a, header, &out->header) || !base64url_get(a, payload, &out->payload) ||
		!base64url_get(a, signature, &out->signature))
		return REFUSE(err, "not three segments of canonical base64url");
	out->signed_text = str_sub(token, 0, header.n + 1 + payload.n);
	return P_OK;
}

static enum problem
parse_object(struct arena *a, struct str text, const struct json **out, struct err *err)
{
	const struct json *v;
	enum problem p = json_parse(a, text, &v, err);

	if (p == P_BAD_JSON) {
		if (err)
			err_clear(err); /* what the parser found is not told */
		return REFUSE(err, "header or payload is not strict JSON");
	}
	if (p)
		return p;
	if (json_kind_of(v) != JSON_OBJ)
		return REFUSE(err, "header or payload is not an object");
	*out = v;
	return P_OK;
}

/*
 * Exactly alg, typ and kid: with any other member (crit, jwk, jku, x5c, b64 …)
 * somebody wants the token read in a way that is not ours.
 */
static enum problem
check_header(const struct keyring *ring, const struct json *header, const struct key **out,
	struct err *err)
{
	if (json_size(header) != 3)
		return REFUSE(err, "header members are not alg, typ, kid");
	if (!str_eqz(claims_text(header, "typ"), "JWT"))
		return REFUSE(err, "typ is not JWT");
	/* The rule of RFC 8725 section 3.1: the verifier names the algorithm, not the token. */
	if (!str_eqz(claims_text(header, "alg"), "RS256"))
		return REFUSE(err, "alg is not RS256");

	const struct key *key = keyring_find(ring, claims_text(header, "kid"));
	if (!key)
		return ERR(err, P_NOT_FOUND, "token: unknown kid");
	*out = key;
	return P_OK;
}

/* Everything about a token that does not depend on the time. P_NOT_FOUND: not one of our keys. */
static enum problem
open_token(const struct token_keys *k, struct arena *a, struct str token, struct opened *out,
	struct err *err)
{
	const struct json *header, *payload;
	const struct key *key = NULL;
	struct segments s;

	enum problem p = split(a, token, &s, err);
	if (p)
		return p;
	p = parse_object(a, s.header, &header, err);
	if (p)
		return p;
	p = check_header(&k->ring, header, &key, err);
	if (p)
		return p;
	if (s.signature.n != key->signature_bytes)
		return REFUSE(err, "signature of a wrong length");
	if (!key_verifies(key, s.signed_text, s.signature))
		return REFUSE(err, "bad signature");
	p = parse_object(a, s.payload, &payload, err);
	if (p)
		return p;
	return claims_read(a, payload, k->issuer, out, err);
}

static enum problem
check_alive(const struct opened *o, const struct audience *want, int64_t now, struct err *err)
{
	if (o->audience != want)
		return REFUSE(err, "meant for another service");
	if (o->c.iat > now + TOKEN_LEEWAY_S || o->nbf > now + TOKEN_LEEWAY_S)
		return REFUSE(err, "not valid yet");
	if (o->c.exp <= now - TOKEN_LEEWAY_S)
		return REFUSE(err, "expired");
	return P_OK;
}

/* --- tokens that were opened before ------------------------------------------ */

/* The first of the slots of a digest; the digest is as good as random. */
static size_t
seen_start(const uint8_t digest[SHA256_BYTES])
{
	uint32_t bits;

	memcpy(&bits, digest, sizeof(bits));
	return bits & (SEEN_SLOTS - 1);
}

static bool
seen_get(const struct token_keys *k, const uint8_t digest[SHA256_BYTES], struct opened *out)
{
	size_t start = seen_start(digest);

	for (size_t i = 0; i < SEEN_PROBE; i++) {
		const struct seen *s = &k->seen[(start + i) & (SEEN_SLOTS - 1)];

		if (s->exp == 0 || memcmp(s->digest, digest, SHA256_BYTES) != 0)
			continue;
		*out = (struct opened){
			.c.sub = s->sub,
			.c.sid = s->sid,
			.c.jti = s->jti,
			.c.role = s->role,
			.c.iat = s->iat,
			.c.exp = s->exp,
			.nbf = s->nbf,
			.audience = s->audience,
		};
		return true;
	}
	return false;
}

/* Takes an empty slot, else the one that ends first: exp 0 makes both one rule. */
static void
seen_put(struct token_keys *k, const uint8_t digest[SHA256_BYTES], const struct opened *o)
{
	size_t start = seen_start(digest);
	struct seen *to = &k->seen[start];

	for (size_t i = 1; i < SEEN_PROBE; i++) {
		struct seen *s = &k->seen[(start + i) & (SEEN_SLOTS - 1)];

		if (s->exp < to->exp)
			to = s;
	}
	*to = (struct seen){
		.sub = o->c.sub,
		.sid = o->c.sid,
		.jti = o->c.jti,
		.role = o->c.role,
		.iat = o->c.iat,
		.exp = o->c.exp,
		.nbf = o->nbf,
		.audience = o->audience,
	};
	memcpy(to->digest, digest, SHA256_BYTES);
}

/* A flood of tokens with invented kids costs one reading in so much time. */
static bool
reread(struct token_keys *k)
{
	struct keyring fresh;
	struct err ignored = { 0 };
	int64_t now = clock_mono_us();

	if (now < k->reread_at_us)
		return false;
	k->reread_at_us = now + REREAD_US;
	if (keyring_load(&fresh, k->dir, &ignored))
		return false;
	keyring_release(&k->ring);
	k->ring = fresh;
	/* A key may have gone, and what it had signed with it. */
	memset(k->seen, 0, SEEN_SLOTS * sizeof(*k->seen));
	return true;
}

/* open_token(), with a second look at the folder for a key that came after our start. */
static enum problem
open_with_new_keys(struct token_keys *k, struct arena *a, struct str token, struct opened *out,
	struct err *err)
{
	enum problem p = open_token(k, a, token, out, err);

	if (p == P_NOT_FOUND && reread(k)) {
		if (err)
			err_clear(err);
		p = open_token(k, a, token, out, err);
	}
	if (p == P_NOT_FOUND)
		return REFUSE(err, "unknown kid");
	return p;
}

enum problem
token_verify(struct token_keys *k, struct arena *a, struct str token, const char *aud, int64_t now,
	struct claims *out, struct err *err)
{
	const struct audience *want = audience_by_name(str_of(aud));
	uint8_t digest[SHA256_BYTES];
	struct opened o = { 0 };

	CHECK(want != NULL);
	/* Before all else: nothing below costs more than this length allows. */
	if (!token.p || token.n > TOKEN_MAX)
		return REFUSE(err, "absent or too long");
	/* The broker's are not remembered, and sha256() ends a process without memory. */
	if (!want->broker)
		sha256(token, digest);

	bool known = !want->broker && seen_get(k, digest, &o);
	enum problem p = known ? P_OK : open_with_new_keys(k, a, token, &o, err);
	if (p)
		return p;
	p = check_alive(&o, want, now, err);
	if (p)
		return p;
	if (!known && !want->broker)
		seen_put(k, digest, &o);
	memcpy(o.c.aud, want->aud, strlen(want->aud) + 1);
	*out = o.c;
	return P_OK;
}

/* --- making ----------------------------------------------------------------- */

static enum problem
sign(const struct key *key, const char *payload, struct arena *a, struct str *out, struct err *err)
{
	const unsigned char *pem = (const unsigned char *)key->private_pem.p;
	enum problem p = P_OK;
	char *text = NULL;
	jwt_t *jwt = NULL;

	if (jwt_new(&jwt) || jwt_set_alg(jwt, JWT_ALG_RS256, pem, (int)key->private_pem.n) ||
		jwt_add_header(jwt, "kid", key->kid) || jwt_add_grants_json(jwt, payload) ||
		!(text = jwt_encode_str(jwt))) {
		p = ERR(err, P_INTERNAL, "token: cannot be signed");
		keyring_forget_errors();
	} else {
		*out = str_dup(a, str_of(text));
	}
	free(text);
	jwt_free(jwt);
	return p;
}

/*
 * Our own gate has the last word: libjwt loses its key without a word when
 * memory is short, and a faulty RSA signature gives the private key away.
 */
static enum problem
check_made(const struct token_keys *k, struct arena *a, struct str token, struct err *err)
{
	struct opened o = { 0 };

	if (token.n > TOKEN_MAX)
		return ERR(err, P_INTERNAL, "token: longer than %d bytes", TOKEN_MAX);
	if (open_token(k, a, token, &o, NULL))
		return ERR(err, P_INTERNAL, "token: made, but it would be refused");
	return P_OK;
}

enum problem
token_sign(const struct token_keys *k, struct arena *a, const struct claims *c, struct str *out,
	struct err *err)
{
	const struct audience *audience =
		audience_by_name((struct str){ c->aud, strnlen(c->aud, sizeof(c->aud)) });
	const struct key *key = keyring_signer(&k->ring);
	struct str token;
	struct buf b;

	if (!key)
		return ERR(err, P_INTERNAL, "token: no private key is loaded");
	if (!audience)
		return ERR(err, P_INTERNAL, "token: not made: unknown audience");

	const char *fault = claims_fault(c, audience);
	if (fault)
		return ERR(err, P_INTERNAL, "token: not made: %s", fault);
	buf_init(&b, a, TOKEN_MAX);
	claims_put(&b, k->issuer, c);
	if (b.failed)
		return ERR(err, P_INTERNAL, "token: longer than %d bytes", TOKEN_MAX);

	enum problem p = sign(key, b.p, a, &token, err);
	if (p)
		return p;
	p = check_made(k, a, token, err);
	if (p)
		return p;
	*out = token;
	return P_OK;
}

/* --- publishing ------------------------------------------------------------- */

struct str
token_jwks(const struct token_keys *k, struct arena *a)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, a, (size_t)TOKEN_KEYS_MAX * 2048);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_key(&w, "keys");
	jsonw_arr(&w);
	for (size_t i = 0; i < k->ring.count; i++) {
		const struct key *key = &k->ring.key[i];

		jsonw_obj(&w);
		jsonw_kz(&w, "kty", "RSA");
		jsonw_kz(&w, "use", "sig");
		jsonw_kz(&w, "alg", "RS256");
		jsonw_kz(&w, "kid", key->kid);
		jsonw_kstr(&w, "n", key->n);
		jsonw_kstr(&w, "e", key->e);
		jsonw_obj_end(&w);
	}
	jsonw_arr_end(&w);
	jsonw_obj_end(&w);
	CHECK(!b.failed);
	return buf_str(&b);
}
