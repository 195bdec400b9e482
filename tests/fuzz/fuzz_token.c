/*
 * The gate of the tokens. The first byte of an input tells what the rest is:
 *   t  a token as it stands;
 *   m  changes of a good token: place (two bytes) and new byte, or an end;
 *   p  header, LF, payload, signed: the signature is taken for right.
 * The first two may be accepted only when they are the good token, the third
 * only with claims that hold what the header of io/token promises.
 */
#include "io/token.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "../unit/jws.h"

#define ISSUER "https://plaza.test"
#define KID "2026-02-01T00-00-00"
#define NOW INT64_C(1795000000)
#define ARENA_BYTES ((size_t)8 * 1024 * 1024)
#define LIFE_MAX_S 3600

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct token_keys *strict, *credulous; /* two, because each remembers what it accepted */
static struct str good;
static bool any_signature;

/* Stands in front of OpenSSL's own. */
int
EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *signature, size_t signature_n,
	const unsigned char *text, size_t n)
{
	int (*real)(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
	void *symbol = dlsym(RTLD_NEXT, "EVP_DigestVerify");

	memcpy(&real, &symbol, sizeof(real));
	return any_signature ? 1 : real(ctx, signature, signature_n, text, n);
}

static void
remove_folder(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/" KID ".pem", dir);
	CHECK(unlink(path) == 0);
	snprintf(path, sizeof(path), "%s/" KID ".pub.pem", dir);
	CHECK(unlink(path) == 0);
	CHECK(rmdir(dir) == 0);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char dir[] = "/tmp/plaza-fuzz-XXXXXX";
	struct arena *a = arena_new(ARENA_BYTES);
	EVP_PKEY *pk = EVP_RSA_gen(2048);
	struct claims c = { .sub = uuid_new(),
		.sid = uuid_new(),
		.jti = uuid_new(),
		.role = ROLE_CLIENT,
		.iat = NOW,
		.exp = NOW + 900,
		.aud = "api" };
	struct err err;
	struct str token;

	(void)argc;
	(void)argv;
	CHECK(pk && mkdtemp(dir));
	jws_install(dir, KID, pk);
	strict = token_keys_load(dir, ISSUER, &err);
	credulous = token_keys_load(dir, ISSUER, &err);
	CHECK(strict && credulous && !token_sign(strict, a, &c, &token, &err));
	good = (struct str){ strndup(token.p, token.n), token.n };
	remove_folder(dir);
	EVP_PKEY_free(pk);
	arena_free(a);
	return 0;
}

static void
try_token(struct arena *a, struct str token)
{
	static const char *const audiences[] = { "api", "mqtt" };
	struct claims c;
	struct err err;

	for (size_t i = 0; i < 2; i++) {
		enum problem p = token_verify(strict, a, token, audiences[i], NOW, &c, &err);

		CHECK(p ? p == P_BAD_TOKEN : i == 0 && str_eq(token, good));
	}
}

static void
try_change(struct arena *a, const uint8_t *data, size_t size)
{
	struct str token = { str_z(a, good), good.n };
	char *text = str_z(a, good);

	for (size_t i = 0; i + 3 <= size; i += 3) {
		size_t at = ((size_t)data[i] << 8 | data[i + 1]) % (good.n * 2);

		if (at >= good.n)
			token.n = at - good.n;
		else
			text[at] = (char)data[i + 2];
	}
	token.p = text;
	try_token(a, token);
}

static void
check_filters(const struct str *filter, size_t n)
{
	CHECK(n <= TOKEN_ACL_MAX);
	for (size_t i = 0; i < n; i++)
		CHECK(filter[i].n > 0 && filter[i].n < TOKEN_MAX && text_valid(filter[i]));
}

static void
check_claims(const struct claims *c, const char *aud)
{
	size_t did_n = strnlen(c->did, sizeof(c->did));

	CHECK(strcmp(c->aud, aud) == 0);
	CHECK(!uuid_is_nil(&c->sub) && !uuid_is_nil(&c->sid) && !uuid_is_nil(&c->jti));
	CHECK(role_name(c->role)[0] != '\0');
	CHECK(c->exp > c->iat && c->exp - c->iat <= LIFE_MAX_S);
	CHECK(c->iat <= NOW + TOKEN_LEEWAY_S && c->exp > NOW - TOKEN_LEEWAY_S);
	check_filters(c->sub_acl, c->sub_acl_n);
	check_filters(c->pub_acl, c->pub_acl_n);
	if (strcmp(aud, "api") == 0)
		CHECK(did_n == 0 && c->sub_acl_n == 0 && c->pub_acl_n == 0);
	else
		CHECK(did_n > 0 && did_n <= 36 && !strpbrk(c->did, "/+#"));
}

static void
try_signed(struct arena *a, struct str text)
{
	static const char zeros[256];
	struct str header, payload;
	struct claims c[2];
	struct err err;

	(void)str_cut(text, '\n', &header, &payload);

	struct str token = jws_join(a, jws_input(a, header, payload), zeros, sizeof(zeros));

	any_signature = true;
	if (token_verify(credulous, a, token, "api", NOW, &c[0], &err) == P_OK) {
		check_claims(&c[0], "api");
		/* Remembered, and the same. */
		CHECK(token_verify(credulous, a, token, "api", NOW, &c[1], &err) == P_OK);
		CHECK(uuid_eq(&c[0].jti, &c[1].jti) && c[0].role == c[1].role);
		CHECK(token_verify(credulous, a, token, "mqtt", NOW, &c[1], &err) == P_BAD_TOKEN);
	} else if (token_verify(credulous, a, token, "mqtt", NOW, &c[0], &err) == P_OK) {
		check_claims(&c[0], "mqtt");
	}
	any_signature = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(ARENA_BYTES);

	if (size > 0) {
		/* A copy of the exact length: reading past the end becomes visible. */
		char *copy = malloc(size);

		CHECK(copy != NULL);
		memcpy(copy, data + 1, size - 1);

		struct str rest = { copy, size - 1 };

		if (data[0] == 'p')
			try_signed(a, rest);
		else if (data[0] == 'm')
			try_change(a, data + 1, size - 1);
		else
			try_token(a, rest);
		free(copy);
	}
	arena_free(a);
	return 0;
}
