/* Secrets, tokens and the answer that carries them. */
#include "api/auth.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/rand.h"
#include "http/app.h"
#include "io/digest.h"
#include "io/json.h"
#include "io/password.h"

#define SECRET_BYTES 32
#define AGENT_MAX 256
#define GRANT_MAX (16 * 1024)

static const struct field grant_out_fields[] = {
	OUT("accessToken", T_TEXT, .doc = "JWT, for Authorization: Bearer"),
	OUT("tokenType", T_TEXT),
	OUT("expiresIn", T_INT, .doc = "life of the access token, seconds"),
	OUT("refreshToken", T_TEXT, .doc = "good for one POST /auth/refresh"),
	OUT("sessionId", T_UUID),
	OUT("user", T_OBJECT, .of = &user_out),
	OUT_OPT("deviceToken", T_TEXT,
		.doc = "to be sent as X-Device-Token with the next sign-in from this device: "
		       "failed "
		       "attempts of others then do not delay it"),
};
const struct schema grant_out = SCHEMA_OUT("Grant", grant_out_fields);

struct str
secret_new(struct arena *a)
{
	uint8_t bits[SECRET_BYTES];
	struct buf b;

	rand_bytes(bits, sizeof(bits));
	buf_init(&b, a, SECRET_TEXT + 1);
	base64url_put(&b, bits, sizeof(bits));
	return buf_str(&b);
}

static struct str
hex(struct arena *a, const uint8_t hash[SHA256_BYTES])
{
	struct buf b;

	buf_init(&b, a, 2 * SHA256_BYTES + 1);
	hex_put(&b, hash, SHA256_BYTES);
	return buf_str(&b);
}

struct str
secret_hash(struct arena *a, struct str secret)
{
	uint8_t hash[SHA256_BYTES];

	sha256(secret, hash);
	return hex(a, hash);
}

struct str
refresh_successor(struct request *req, struct str spent, struct str salt)
{
	struct str parts[] = { STR("plaza refresh token"), spent, salt };
	uint8_t hash[SHA256_BYTES], mac[SHA256_BYTES];
	struct buf b;

	sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), hash);
	hmac_sha256(str_of(req->app->blob_secret), (struct str){ (const char *)hash, sizeof(hash) },
		mac);
	buf_init(&b, req->arena, SECRET_TEXT + 1);
	base64url_put(&b, mac, sizeof(mac));
	return buf_str(&b);
}

struct str
device_sent(struct request *req)
{
	struct str token = req_header(req, "X_DEVICE_TOKEN"), bits;

	if (token.n != SECRET_TEXT || !base64url_get(req->arena, token, &bits))
		return (struct str){ NULL, 0 };
	return token;
}

void
opening_init(struct opening *o, struct request *req, struct str device)
{
	const struct conf *conf = req->app->conf;
	struct str agent = str_sub(req_header(req, "USER_AGENT"), 0, AGENT_MAX);

	*o = (struct opening){
		.session = uuid_new(),
		.refresh = secret_new(req->arena),
		.device = device.p ? device : secret_new(req->arena),
		.agent = agent.p && text_valid(agent) ? agent : STR(""),
		.address = req->remote_addr.p ? req->remote_addr : STR(""),
		.idle_s = (int32_t)conf->refresh_idle_s,
		.max_s = (int32_t)conf->refresh_max_s,
	};
	o->refresh_hash = secret_hash(req->arena, o->refresh);
	o->device_hash = secret_hash(req->arena, o->device);
}

/* No token outlives its session. */
static enum problem
sign_access(struct request *req, const struct granted *g, struct str *token, int64_t *life_s)
{
	int64_t now = clock_unix_s(), end = now + req->app->conf->access_ttl_s;
	struct claims claims = {
		.sub = g->user,
		.sid = g->session,
		.jti = uuid_new(),
		.role = role_by_name(g->role),
		.iat = now,
		.exp = end < g->ends_at ? end : g->ends_at,
		.aud = "api",
	};

	*life_s = claims.exp - now;
	return token_sign(req->app->keys, req->arena, &claims, token, &req->err);
}

enum problem
grant_answer(struct request *req, const struct granted *g)
{
	char session[UUID_TEXT + 1];
	struct str token;
	int64_t life_s;
	struct jsonw w;
	struct buf b;

	enum problem p = sign_access(req, g, &token, &life_s);
	if (p)
		return p;
	uuid_text(&g->session, session);
	buf_init(&b, req->arena, GRANT_MAX);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kstr(&w, "accessToken", token);
	jsonw_kz(&w, "tokenType", "Bearer");
	jsonw_kint(&w, "expiresIn", life_s);
	jsonw_kstr(&w, "refreshToken", g->refresh);
	jsonw_kz(&w, "sessionId", session);
	jsonw_key(&w, "user");
	jsonw_raw(&w, g->body);
	if (g->device.p)
		jsonw_kstr(&w, "deviceToken", g->device);
	jsonw_obj_end(&w);
	return resp_json(req, buf_str(&b));
}

enum problem
password_take(struct request *req, const char *pointer, struct str password, struct str email,
	struct str *hash)
{
	enum problem p = password_check(password, email, &req->err);

	if (p) {
		err_field(&req->err, pointer, "weak_password", "%s", req->err.detail);
		return p;
	}
	return password_hash(req->arena, password, hash, &req->err);
}
