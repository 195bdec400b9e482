/* fcgi/io/keys, as seen through io/token: loading, refusing, rotating and publishing keys. */
#include "io/token.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "token_kit.h"

#define OTHER "2026-03-01T00-00-00"

static void
the_newest_key_signs_and_all_verify(void **state)
{
	jws_install(dir, OLD, old_key);

	struct token_keys *before = load();
	struct claims c = api_claims();
	struct str by_old = sign(before, &c);
	struct token_keys *after = load_both();
	struct str by_new = sign(after, &c);

	(void)state;
	assert_str(json_str(json_member(segment(by_old, 0), "kid")), OLD);
	assert_str(json_str(json_member(segment(by_new, 0), "kid")), NEW);
	assert_int_equal(verify(after, by_old), P_OK);
	assert_int_equal(verify(after, by_new), P_OK);
	assert_int_equal(verify(before, by_new), P_OK);
	token_keys_free(before);
	token_keys_free(after);
}

static void
a_key_that_is_gone_verifies_no_more(void **state)
{
	struct token_keys *both = load_both();
	struct claims c = api_claims();

	(void)state;
	remove_file(NEW ".pem");
	remove_file(NEW ".pub.pem");

	struct token_keys *one = load();

	assert_int_equal(verify(one, sign(both, &c)), P_BAD_TOKEN);
	assert_int_equal(verify(one, sign(one, &c)), P_OK);
	token_keys_free(both);
	token_keys_free(one);
}

/* A rotation over several hosts: first everybody learns the public half, then one signs. */
static void
a_public_half_may_come_before_the_private_one(void **state)
{
	struct claims c = api_claims();

	(void)state;
	jws_install(dir, NEW, new_key);
	remove_file(NEW ".pem");

	struct token_keys *verifier = load();
	struct err err = { 0 };
	struct str out;

	assert_false(token_can_sign(verifier));
	assert_int_equal(token_sign(verifier, arena, &c, &out, &err), P_INTERNAL);
	jws_install(dir, OLD, old_key);

	struct token_keys *signer = load();

	assert_true(token_can_sign(signer));
	assert_str(json_str(json_member(segment(sign(signer, &c), 0), "kid")), OLD);
	jws_install(dir, NEW, new_key);

	struct token_keys *rotated = load();

	assert_int_equal(verify(verifier, sign(rotated, &c)), P_OK);
	token_keys_free(verifier);
	token_keys_free(signer);
	token_keys_free(rotated);
}

static int64_t clock_us;

int64_t __wrap_clock_mono_us(void);
int64_t
__wrap_clock_mono_us(void)
{
	return clock_us;
}

/* Who signs has restarted, who verifies has not. */
static void
a_verifier_learns_a_key_that_came_later(void **state)
{
	struct claims c = api_claims();

	(void)state;
	jws_install(dir, OLD, old_key);

	struct token_keys *verifier = load();
	struct str before = sign(verifier, &c);
	jws_install(dir, NEW, new_key);
	struct token_keys *rotated = load();

	assert_int_equal(verify(verifier, sign(rotated, &c)), P_OK);
	assert_int_equal(verify(verifier, before), P_OK);
	token_keys_free(verifier);
	token_keys_free(rotated);
}

/* Signed by a key that the folder does not have; it has the old one instead. */
static struct str
token_of_a_stranger(const struct claims *c)
{
	jws_install(dir, NEW, new_key);

	struct token_keys *stranger = load();
	struct str token = sign(stranger, c);

	token_keys_free(stranger);
	empty_folder();
	jws_install(dir, OLD, old_key);
	return token;
}

static void
unknown_kids_cost_one_reading_in_ten_seconds(void **state)
{
	struct claims c = api_claims();

	(void)state;
	struct str token = token_of_a_stranger(&c);
	struct token_keys *verifier = load();
	struct str before = sign(verifier, &c);

	assert_int_equal(verify(verifier, before), P_OK);
	assert_int_equal(verify(verifier, token), P_BAD_TOKEN);
	jws_install(dir, NEW, new_key);
	clock_us += 9999999;
	assert_int_equal(verify(verifier, token), P_BAD_TOKEN);
	clock_us += 1;
	assert_int_equal(verify(verifier, token), P_OK);
	/* The next reading finds a folder without the old key, and forgets what it had signed. */
	jws_install(dir, OTHER, new_key);
	struct token_keys *third = load();
	remove_file(OLD ".pem");
	remove_file(OLD ".pub.pem");
	clock_us += 10000000;
	assert_int_equal(verify(verifier, sign(third, &c)), P_OK);
	assert_int_equal(verify(verifier, before), P_BAD_TOKEN);
	token_keys_free(verifier);
	token_keys_free(third);
}

static void
a_folder_that_cannot_be_read_again_leaves_the_keys(void **state)
{
	struct claims c = api_claims();

	(void)state;
	struct str token = token_of_a_stranger(&c);
	struct token_keys *verifier = load();
	struct str before = sign(verifier, &c);

	empty_folder();
	assert_int_equal(verify(verifier, token), P_BAD_TOKEN);
	assert_int_equal(verify(verifier, before), P_OK);
	token_keys_free(verifier);
}

static void
tokens_of_another_issuer_are_refused(void **state)
{
	struct token_keys *k = load_both();
	struct err err = { 0 };
	struct token_keys *other = token_keys_load(dir, "https://other.test", &err);
	struct claims c = api_claims();

	(void)state;
	assert_int_equal(verify(k, sign(other, &c)), P_BAD_TOKEN);
	assert_int_equal(verify(other, sign(other, &c)), P_OK);
	token_keys_free(k);
	token_keys_free(other);
}

/* True when the folder, as it is, is refused with this text in the reason. */
static bool
load_fails(const char *why)
{
	struct err err = { 0 };
	struct token_keys *k = token_keys_load(dir, ISSUER, &err);
	bool failed = !k && err.problem == P_INTERNAL && strstr(err.log, why);

	if (!failed)
		print_error("expected: %s; got: %s\n", why, k ? "a ring" : err.log);
	token_keys_free(k);
	empty_folder();
	return failed;
}

static void
write_public(const char *name, EVP_PKEY *pk, mode_t mode)
{
	jws_write(dir, name, jws_pem(arena, pk, false), mode);
	EVP_PKEY_free(pk);
}

/* Of the RSA family, but bound to another padding. */
static EVP_PKEY *
pss_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *pk = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &pk), 1);
	assert_int_equal(EVP_PKEY_get_bits(pk), 2048);
	EVP_PKEY_CTX_free(ctx);
	return pk;
}

static void
unsound_public_keys_are_refused(void **state)
{
	(void)state;
	assert_true(load_fails("no key"));
	write_public("a.pub.pem", EVP_RSA_gen(1024), 0644);
	assert_true(load_fails("not an RSA key"));
	write_public("a.pub.pem", EVP_EC_gen("P-256"), 0644);
	assert_true(load_fails("not an RSA key"));
	write_public("a.pub.pem", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), 0644);
	assert_true(load_fails("not an RSA key"));
	write_public("a.pub.pem", pss_key(), 0644);
	assert_true(load_fails("not an RSA key"));
	jws_write(dir, "a.pub.pem", STR("no PEM"), 0644);
	assert_true(load_fails("not an RSA key"));
	jws_write(dir, "a.pub.pem", jws_pem(arena, new_key, true), 0644);
	assert_true(load_fails("not an RSA key"));
	jws_write(dir, "a.pub.pem", STR(""), 0644);
	assert_true(load_fails("empty or too long"));
	jws_write(dir, "a.pub.pem", (struct str){ arena_calloc(arena, 1, 9000), 9000 }, 0644);
	assert_true(load_fails("empty or too long"));
	jws_write(dir, "a.pub.pem", jws_pem(arena, new_key, false), 0646);
	assert_true(load_fails("too open"));
	jws_write(dir, "a b.pub.pem", jws_pem(arena, new_key, false), 0644);
	assert_true(load_fails("bad name"));
	for (char name[] = "a.pub.pem"; name[0] <= 'e'; name[0]++)
		jws_write(dir, name, jws_pem(arena, new_key, false), 0644);
	assert_true(load_fails("more than 4 keys"));
}

/* A public key of any numbers: the modulus of new_key times `factor`, and the exponent. */
static EVP_PKEY *
odd_key(const BIGNUM *factor, BN_ULONG exponent)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BN_CTX *numbers = BN_CTX_new();
	BIGNUM *e = BN_new(), *n = NULL;
	EVP_PKEY *pk = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(new_key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	assert_int_equal(BN_mul(n, n, factor, numbers), 1);
	assert_int_equal(BN_set_word(e, exponent), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e), 1);

	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);

	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &pk, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_CTX_free(numbers);
	BN_free(n);
	BN_free(e);
	return pk;
}

static void
unsound_numbers_are_refused(void **state)
{
	BIGNUM *factor = BN_new();

	(void)state;
	assert_int_equal(BN_one(factor), 1);
	write_public("a.pub.pem", odd_key(factor, 65537), 0644);
	token_keys_free(load());
	empty_folder();
	write_public("a.pub.pem", odd_key(factor, 1), 0644);
	assert_true(load_fails("not an RSA key"));
	write_public("a.pub.pem", odd_key(factor, 65536), 0644);
	assert_true(load_fails("not an RSA key"));
	/* A modulus that anybody can factor. */
	assert_int_equal(BN_set_word(factor, 3), 1);
	write_public("a.pub.pem", odd_key(factor, 65537), 0644);
	assert_true(load_fails("not an RSA key"));
	/* 4097 bits or more, of large primes only. */
	assert_int_equal(EVP_PKEY_get_bn_param(old_key, OSSL_PKEY_PARAM_RSA_N, &factor), 1);
	assert_int_equal(BN_mul_word(factor, 1000003), 1);
	write_public("a.pub.pem", odd_key(factor, 65537), 0644);
	assert_true(load_fails("not an RSA key"));
	BN_free(factor);
}

static void
unsound_private_keys_are_refused(void **state)
{
	static const char secret[] = "passphrase";
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;

	(void)state;
	jws_install(dir, NEW, new_key);
	jws_write(dir, NEW ".pem", jws_pem(arena, old_key, true), 0640);
	assert_true(load_fails("not the private half"));
	jws_install(dir, NEW, new_key);
	jws_write(dir, NEW ".pem", jws_pem(arena, new_key, true), 0644);
	assert_true(load_fails("too open"));
	jws_install(dir, NEW, new_key);
	jws_write(dir, NEW ".pem", STR("no PEM"), 0600);
	assert_true(load_fails("not the private half"));
	/* Nobody is asked for a passphrase. */
	assert_int_equal(PEM_write_bio_PrivateKey(bio, new_key, EVP_aes_128_cbc(),
				 (const unsigned char *)secret, sizeof(secret) - 1, NULL, NULL),
		1);
	jws_install(dir, NEW, new_key);

	size_t n = (size_t)BIO_get_mem_data(bio, &p);

	jws_write(dir, NEW ".pem", (struct str){ p, n }, 0640);
	assert_true(load_fails("not the private half"));
	BIO_free(bio);
}

static void
a_folder_that_is_not_there_is_told(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_null(token_keys_load("/nonexistent/keys", ISSUER, &err));
	assert_non_null(strstr(err.log, "No such file"));
	assert_int_equal(token_keys_generate("/nonexistent/keys", &err), P_INTERNAL);
	token_keys_free(NULL);
}

static void
hidden_and_other_files_are_passed_over(void **state)
{
	(void)state;
	jws_write(dir, ".half.pub.pem", STR("-----BEGIN"), 0644);
	jws_write(dir, "README", STR("keys"), 0644);
	jws_write(dir, "lonely.pem", STR("no public half"), 0600);
	token_keys_free(load_both());
}

static mode_t
mode_of(const char *kid, const char *ending)
{
	struct stat st;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s%s", dir, kid, ending);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
a_generated_pair_signs_and_is_closed_to_others(void **state)
{
	mode_t before = umask(0077);
	struct err err = { 0 };
	struct claims c = api_claims();

	(void)state;
	assert_int_equal(token_keys_generate(dir, &err), P_OK);
	umask(before);

	struct token_keys *k = load();
	struct str token = sign(k, &c);
	struct str kid = json_str(json_member(segment(token, 0), "kid"));

	assert_int_equal(verify(k, token), P_OK);
	/* 2026-01-31T09-30-00.000Z: the names sort by time. */
	assert_int_equal(kid.n, 24);
	assert_true(kid.p[4] == '-' && kid.p[10] == 'T' && kid.p[13] == '-' && kid.p[23] == 'Z');
	assert_int_equal(mode_of(str_z(arena, kid), ".pem"), 0640);
	assert_int_equal(mode_of(str_z(arena, kid), ".pub.pem"), 0644);
	token_keys_free(k);
}

static size_t
files_in_folder(void)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(d)))
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void
rotation_adds_keys_until_the_folder_is_full(void **state)
{
	struct err err = { 0 };
	struct claims c = api_claims();
	struct str tokens[TOKEN_KEYS_MAX];
	struct token_keys *k = NULL;

	(void)state;
	for (size_t i = 0; i < TOKEN_KEYS_MAX; i++) {
		assert_int_equal(token_keys_generate(dir, &err), P_OK);
		token_keys_free(k);
		k = load();
		tokens[i] = sign(k, &c);
	}
	for (size_t i = 0; i < TOKEN_KEYS_MAX; i++) {
		assert_int_equal(verify(k, tokens[i]), P_OK);
		assert_true(i == 0 ||
			    memcmp(json_str(json_member(segment(tokens[i - 1], 0), "kid")).p,
				    json_str(json_member(segment(tokens[i], 0), "kid")).p, 24) < 0);
	}
	assert_int_equal(token_keys_generate(dir, &err), P_CONFLICT);
	assert_int_equal(files_in_folder(), 2 * TOKEN_KEYS_MAX);
	token_keys_free(k);
}

/* --- the JWK set ------------------------------------------------------------------------ */

static BIGNUM *
number(const struct json *jwk, const char *name)
{
	struct str bytes;

	assert_true(base64url_get(arena, json_str(json_member(jwk, name)), &bytes));
	assert_true(bytes.n > 0 && bytes.p[0] != 0); /* no leading zero: RFC 7518 section 2 */
	return BN_bin2bn((const unsigned char *)bytes.p, (int)bytes.n, NULL);
}

static bool
is_key(const struct json *jwk, const EVP_PKEY *pk)
{
	BIGNUM *n = NULL, *e = NULL;
	BIGNUM *jwk_n = number(jwk, "n"), *jwk_e = number(jwk, "e");

	assert_int_equal(EVP_PKEY_get_bn_param(pk, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(pk, OSSL_PKEY_PARAM_RSA_E, &e), 1);

	bool same = BN_cmp(n, jwk_n) == 0 && BN_cmp(e, jwk_e) == 0;

	BN_free(n);
	BN_free(e);
	BN_free(jwk_n);
	BN_free(jwk_e);
	return same;
}

static void
the_jwk_set_has_the_public_keys_and_nothing_else(void **state)
{
	struct token_keys *k = load_both();
	const struct json *set;
	struct err err;

	(void)state;
	assert_int_equal(json_parse(arena, token_jwks(k, arena), &set, &err), P_OK);

	const struct json *list = json_member(set, "keys");

	assert_int_equal(json_size(set), 1);
	assert_int_equal(json_size(list), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct json *jwk = json_item(list, i);

		/* kty, use, alg, kid, n, e: no room for a private member. */
		assert_int_equal(json_size(jwk), 6);
		assert_str(json_str(json_member(jwk, "kty")), "RSA");
		assert_str(json_str(json_member(jwk, "use")), "sig");
		assert_str(json_str(json_member(jwk, "alg")), "RS256");
		assert_true(str_eqz(json_str(json_member(jwk, "kid")), i ? NEW : OLD));
		assert_true(is_key(jwk, i ? new_key : old_key));
		assert_false(is_key(jwk, i ? old_key : new_key));
	}
	assert_str(json_str(json_member(json_item(list, 0), "e")), "AQAB");
	token_keys_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newest_key_signs_and_all_verify),
		TEST(a_key_that_is_gone_verifies_no_more),
		TEST(a_public_half_may_come_before_the_private_one),
		TEST(tokens_of_another_issuer_are_refused),
		TEST(unsound_public_keys_are_refused),
		TEST(unsound_numbers_are_refused),
		TEST(unsound_private_keys_are_refused),
		TEST(a_folder_that_is_not_there_is_told),
		TEST(a_verifier_learns_a_key_that_came_later),
		TEST(unknown_kids_cost_one_reading_in_ten_seconds),
		TEST(a_folder_that_cannot_be_read_again_leaves_the_keys),
		TEST(hidden_and_other_files_are_passed_over),
		TEST(a_generated_pair_signs_and_is_closed_to_others),
		TEST(rotation_adds_keys_until_the_folder_is_full),
		TEST(the_jwk_set_has_the_public_keys_and_nothing_else),
	};

	return cmocka_run_group_tests_name("keys", tests, make_keys, free_keys);
}
