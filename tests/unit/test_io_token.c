/* fcgi/io/token: making, accepting and remembering tokens. */
#include "io/token.h"

#include <dlfcn.h>

#include <jwt.h>
#include <openssl/err.h>

#include "token_kit.h"

/* --- OpenSSL and libjwt, seen and bent --------------------------------------------- */

static size_t verifications;
static bool any_signature; /* each is taken for right */
static bool key_lost;      /* libjwt makes tokens of alg none */

/* These stand in front of the libraries' own. */
int
EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *signature, size_t signature_n,
	const unsigned char *text, size_t n)
{
	int (*real)(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
	void *symbol = dlsym(RTLD_NEXT, "EVP_DigestVerify");

	verifications++;
	memcpy(&real, &symbol, sizeof(real));
	return any_signature ? 1 : real(ctx, signature, signature_n, text, n);
}

int
jwt_set_alg(jwt_t *jwt, jwt_alg_t alg, const unsigned char *key, int n)
{
	int (*real)(jwt_t *, jwt_alg_t, const unsigned char *, int);
	void *symbol = dlsym(RTLD_NEXT, "jwt_set_alg");

	memcpy(&real, &symbol, sizeof(real));
	return key_lost ? 0 : real(jwt, alg, key, n);
}

static struct claims
broker_claims(void)
{
	struct claims c = api_claims();

	memcpy(c.aud, "mqtt", 5);
	memcpy(c.did, "phone_1-a", 10);
	c.sub_acl[0] = STR("u/1/#");
	c.sub_acl[1] = STR("b/all");
	c.sub_acl_n = 2;
	c.pub_acl[0] = STR("up/1/\"\xc3\xb1/#");
	c.pub_acl_n = 1;
	return c;
}

/* --- making and accepting ---------------------------------------------------------- */

static void
roles_have_names_both_ways(void **state)
{
	static const enum role all[ROLE_COUNT] = { ROLE_CLIENT, ROLE_SELLER, ROLE_ADMIN,
		ROLE_MODERATOR, ROLE_SERVICE };

	(void)state;
	for (size_t i = 0; i < ROLE_COUNT; i++)
		assert_int_equal(role_by_name(str_of(role_name(all[i]))), all[i]);
	assert_string_equal(role_name(ROLE_SELLER), "seller");
	assert_string_equal(role_name(ROLE_NONE), "");
	assert_string_equal(role_name(ROLE_CLIENT | ROLE_ADMIN), "");
	assert_int_equal(role_by_name(STR("")), ROLE_NONE);
	assert_int_equal(role_by_name(STR("Seller")), ROLE_NONE);
	assert_int_equal(role_by_name((struct str){ NULL, 0 }), ROLE_NONE);
}

static void
an_api_token_says_what_was_signed(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = api_claims();
	struct err err = { 0 };
	struct claims got;

	(void)state;
	assert_int_equal(token_verify(k, arena, sign(k, &c), "api", NOW, &got, &err), P_OK);
	assert_true(uuid_eq(&got.sub, &c.sub));
	assert_true(uuid_eq(&got.sid, &c.sid));
	assert_true(uuid_eq(&got.jti, &c.jti));
	assert_int_equal(got.role, ROLE_SELLER);
	assert_int_equal(got.iat, c.iat);
	assert_int_equal(got.exp, c.exp);
	assert_string_equal(got.aud, "api");
	assert_string_equal(got.did, "");
	assert_int_equal(got.sub_acl_n + got.pub_acl_n, 0);
	token_keys_free(k);
}

static void
a_broker_token_says_what_was_signed(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = broker_claims();
	struct err err = { 0 };
	struct claims got;

	(void)state;
	assert_int_equal(token_verify(k, arena, sign(k, &c), "mqtt", NOW, &got, &err), P_OK);
	assert_true(uuid_eq(&got.sub, &c.sub));
	assert_string_equal(got.aud, "mqtt");
	assert_string_equal(got.did, "phone_1-a");
	assert_int_equal(got.sub_acl_n, 2);
	assert_true(str_eqz(got.sub_acl[0], "u/1/#") && str_eqz(got.sub_acl[1], "b/all"));
	assert_int_equal(got.pub_acl_n, 1);
	assert_true(str_eqz(got.pub_acl[0], "up/1/\"\xc3\xb1/#"));
	token_keys_free(k);
}

static void
only_a_broker_token_has_a_jid_and_only_where_wanted(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = broker_claims(), api = api_claims(), got;
	struct err err = { 0 };
	char uid[UUID_TEXT + 1];

	(void)state;
	assert_null(json_member(segment(sign(k, &c), 1), "jid"));
	c.jid_host = "";
	assert_null(json_member(segment(sign(k, &c), 1), "jid"));
	c.jid_host = api.jid_host = "chat.example";
	uuid_text(&c.sub, uid);
	assert_true(str_eqz(json_str(json_member(segment(sign(k, &c), 1), "jid")),
		arena_printf(arena, "%s@chat.example", uid)));
	assert_int_equal(token_verify(k, arena, sign(k, &c), "mqtt", NOW, &got, &err), P_OK);
	assert_null(json_member(segment(sign(k, &api), 1), "jid"));
	token_keys_free(k);
}

static void
the_text_is_an_ordinary_rs256_token(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = broker_claims();
	struct str token = sign(k, &c);
	const struct json *header = segment(token, 0);
	const struct json *payload = segment(token, 1);
	const struct json *acl = json_member(payload, "acl");
	struct str pem = jws_pem(arena, new_key, false);
	char sub[UUID_TEXT + 1];
	jwt_t *jwt = NULL;

	(void)state;
	assert_int_equal(json_size(header), 3);
	assert_str(json_str(json_member(header, "alg")), "RS256");
	assert_str(json_str(json_member(header, "typ")), "JWT");
	assert_str(json_str(json_member(header, "kid")), NEW);
	assert_str(json_str(json_member(payload, "iss")), ISSUER);
	assert_str(json_str(json_member(payload, "kind")), "mqtt");
	uuid_text(&c.sub, sub);
	assert_true(str_eqz(json_str(json_member(payload, "sub")), sub));
	assert_int_equal(json_int(json_member(payload, "exp")), NOW + 900);
	assert_int_equal(json_size(acl), 2);
	assert_str(json_str(json_item(json_member(acl, "sub"), 1)), "b/all");
	/* Another verifier accepts it. */
	assert_int_equal(jwt_decode(&jwt, token.p, (const unsigned char *)pem.p, (int)pem.n), 0);
	assert_int_equal(jwt_get_alg(jwt), JWT_ALG_RS256);
	jwt_free(jwt);
	token_keys_free(k);
}

static void
a_token_lives_from_iat_to_exp_with_leeway(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = api_claims();
	struct str token = sign(k, &c);

	(void)state;
	assert_int_equal(verify_at(k, token, "api", NOW - TOKEN_LEEWAY_S - 1), P_BAD_TOKEN);
	assert_int_equal(verify_at(k, token, "api", NOW - TOKEN_LEEWAY_S), P_OK);
	assert_int_equal(verify_at(k, token, "api", c.exp + TOKEN_LEEWAY_S - 1), P_OK);
	assert_int_equal(verify_at(k, token, "api", c.exp + TOKEN_LEEWAY_S), P_BAD_TOKEN);
	assert_int_equal(verify_at(k, token, "api", 0), P_BAD_TOKEN);
	token_keys_free(k);
}

static void
claims_that_would_be_refused_are_not_signed(void **state)
{
	struct token_keys *k = load_both();
	struct err err = { 0 };
	struct str out = STR("untouched");
	char long_filter[3000];
	struct claims bad[16];

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		bad[i] = i < 10 ? api_claims() : broker_claims();
	memset(&bad[0].sub, 0, sizeof(bad[0].sub));
	memset(&bad[1].sid, 0, sizeof(bad[1].sid));
	memset(&bad[2].jti, 0, sizeof(bad[2].jti));
	bad[3].role = ROLE_NONE;
	bad[4].role = ROLE_CLIENT | ROLE_ADMIN;
	bad[5].exp = bad[5].iat + 3601;
	bad[6].exp = bad[6].iat;
	memcpy(bad[7].aud, "mcp", 4);
	bad[8].iat = -100;
	bad[8].exp = 100;
	bad[9].iat = INT64_MIN;
	bad[9].exp = INT64_MAX;
	memset(bad[10].aud, 'x', sizeof(bad[10].aud));
	memset(bad[11].did, 'x', sizeof(bad[11].did));
	memcpy(bad[12].did, "a/b", 4);
	bad[13].pub_acl[0] = STR("");
	memset(long_filter, 'f', sizeof(long_filter));
	bad[14].pub_acl[0] = (struct str){ long_filter, sizeof(long_filter) };
	bad[15].pub_acl_n = TOKEN_ACL_MAX + 1;
	for (size_t i = 0; i < TOKEN_ACL_MAX; i++)
		bad[15].pub_acl[i] = STR("b/all");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(token_sign(k, arena, &bad[i], &out, &err), P_INTERNAL);
	assert_str(out, "untouched");
	token_keys_free(k);
}

static void
what_the_gate_would_refuse_is_not_handed_out(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = api_claims();
	struct err err = { 0 };
	struct str out = STR("untouched");
	enum problem p;

	(void)state;
	key_lost = true;
	p = token_sign(k, arena, &c, &out, &err);
	key_lost = false;
	assert_int_equal(p, P_INTERNAL);
	assert_str(out, "untouched");
	token_keys_free(k);
}

static void
nothing_is_left_in_the_error_queue(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = api_claims();
	struct str token = sign(k, &c);
	char *bad = str_z(arena, token);

	(void)state;
	assert_int_equal(ERR_peek_error(), 0);
	bad[token.n - 100] = bad[token.n - 100] == 'A' ? 'B' : 'A';
	assert_int_equal(verify(k, str_of(bad)), P_BAD_TOKEN);
	assert_int_equal(ERR_peek_error(), 0);
	token_keys_free(k);
}

/* --- remembering ----------------------------------------------------------------------- */

static void
a_repeated_token_costs_no_signature(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = api_claims();
	struct str token = sign(k, &c);
	struct err err = { 0 };
	struct claims first, second;

	(void)state;
	verifications = 0;
	assert_int_equal(token_verify(k, arena, token, "api", NOW, &first, &err), P_OK);
	assert_int_equal(verifications, 1);
	assert_int_equal(token_verify(k, arena, token, "api", NOW + 5, &second, &err), P_OK);
	assert_int_equal(verifications, 1);
	assert_true(uuid_eq(&first.sub, &second.sub) && uuid_eq(&first.sid, &second.sid));
	assert_true(uuid_eq(&first.jti, &second.jti));
	assert_int_equal(second.role, first.role);
	assert_int_equal(second.iat, first.iat);
	assert_int_equal(second.exp, first.exp);
	assert_string_equal(second.aud, "api");
	token_keys_free(k);
}

static void
a_remembered_token_still_has_its_time_and_audience(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = api_claims();
	struct str token = sign(k, &c);

	(void)state;
	verifications = 0;
	assert_int_equal(verify(k, token), P_OK);
	assert_int_equal(verify_at(k, token, "api", c.exp + TOKEN_LEEWAY_S), P_BAD_TOKEN);
	assert_int_equal(verify_at(k, token, "api", NOW - TOKEN_LEEWAY_S - 1), P_BAD_TOKEN);
	assert_int_equal(verify(k, token), P_OK);
	assert_int_equal(verifications, 1);
	assert_int_equal(verify_at(k, token, "mqtt", NOW), P_BAD_TOKEN);
	token_keys_free(k);
}

/* The wall clock may be set back behind an nbf that was in the past. */
static void
a_remembered_nbf_still_counts(void **state)
{
	struct token_keys *k = load_both();
	char *payload = arena_printf(arena,
		"{\"iss\":\"" ISSUER "\",\"aud\":\"api\",\"kind\":\"access\",\"role\":\"admin\","
		"\"sub\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","
		"\"sid\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","
		"\"jti\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","
		"\"iat\":%lld,\"nbf\":%lld,\"exp\":%lld}",
		(long long)NOW, (long long)NOW + 300, (long long)NOW + 900);
	struct str header = STR("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" NEW "\"}");
	struct str input = jws_input(arena, header, str_of(payload));
	struct str token = jws_sign(arena, input, new_key, "SHA256");

	(void)state;
	assert_int_equal(verify_at(k, token, "api", NOW + 200), P_BAD_TOKEN);
	assert_int_equal(verify_at(k, token, "api", NOW + 300), P_OK);
	verifications = 0;
	assert_int_equal(verify_at(k, token, "api", NOW + 200), P_BAD_TOKEN);
	assert_int_equal(verify_at(k, token, "api", NOW + 270), P_OK);
	assert_int_equal(verifications, 0);
	token_keys_free(k);
}

static void
refused_and_broker_tokens_are_not_remembered(void **state)
{
	struct token_keys *k = load_both();
	struct claims c = broker_claims();
	struct str broker = sign(k, &c);

	(void)state;
	c = api_claims();

	struct str good = sign(k, &c);
	char *bad = str_z(arena, good);

	bad[good.n - 100] = bad[good.n - 100] == 'A' ? 'B' : 'A';
	verifications = 0;
	for (size_t i = 1; i <= 3; i++) {
		assert_int_equal(verify_at(k, broker, "mqtt", NOW), P_OK);
		assert_int_equal(verify(k, str_of(bad)), P_BAD_TOKEN);
		assert_int_equal(verify_at(k, good, "api", c.exp + 100), P_BAD_TOKEN);
		assert_int_equal(verifications, 3 * i);
	}
	token_keys_free(k);
}

/* A token of its own for each number, with a signature that only the bent OpenSSL takes. */
static struct str
numbered_token(uint32_t number, int64_t life_s)
{
	static const char zeros[256];
	char *payload = arena_printf(arena,
		"{\"iss\":\"" ISSUER "\",\"aud\":\"api\",\"kind\":\"access\",\"role\":\"client\","
		"\"sub\":\"017f22e2-79b0-7cc3-98c4-0000%08x\","
		"\"sid\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\","
		"\"jti\":\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\",\"iat\":%lld,\"exp\":%lld}",
		number, (long long)NOW, (long long)(NOW + life_s));
	struct str header = STR("{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"" NEW "\"}");

	return jws_join(arena, jws_input(arena, header, str_of(payload)), zeros, sizeof(zeros));
}

/* How many of so many tokens had to be verified by their signature. */
static size_t
cost_of(struct token_keys *k, uint32_t tokens, int64_t life_s)
{
	verifications = 0;
	for (uint32_t i = 0; i < tokens; i++) {
		struct err err = { 0 };
		struct claims c;

		assert_int_equal(
			token_verify(k, arena, numbered_token(i, life_s), "api", NOW, &c, &err),
			P_OK);
		assert_int_equal(c.sub.b[15] | c.sub.b[14] << 8, i);
		arena_clear(arena);
	}
	return verifications;
}

static void
the_table_is_bounded_and_keeps_what_lives_longest(void **state)
{
	enum { MANY = 6000, FEW = 1000, SLOTS = 4096 };
	struct token_keys *k = load_both();

	(void)state;
	any_signature = true;
	assert_int_equal(cost_of(k, MANY, 600), MANY);
	/* At most as many are known again as there are slots. */
	assert_true(cost_of(k, MANY, 600) >= MANY - SLOTS);
	/* Those that live longer drive the others out and then stay. */
	assert_int_equal(cost_of(k, FEW, 900), FEW);
	(void)cost_of(k, MANY, 600);
	assert_true(cost_of(k, FEW, 900) < FEW / 100);
	any_signature = false;
	token_keys_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(roles_have_names_both_ways),
		TEST(an_api_token_says_what_was_signed),
		TEST(a_broker_token_says_what_was_signed),
		TEST(only_a_broker_token_has_a_jid_and_only_where_wanted),
		TEST(the_text_is_an_ordinary_rs256_token),
		TEST(a_token_lives_from_iat_to_exp_with_leeway),
		TEST(claims_that_would_be_refused_are_not_signed),
		TEST(what_the_gate_would_refuse_is_not_handed_out),
		TEST(nothing_is_left_in_the_error_queue),
		TEST(a_repeated_token_costs_no_signature),
		TEST(a_remembered_token_still_has_its_time_and_audience),
		TEST(a_remembered_nbf_still_counts),
		TEST(refused_and_broker_tokens_are_not_remembered),
		TEST(the_table_is_bounded_and_keeps_what_lives_longest),
	};

	return cmocka_run_group_tests_name("token", tests, make_keys, free_keys);
}
