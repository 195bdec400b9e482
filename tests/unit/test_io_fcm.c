/* fcgi/io/fcm: the service account as Google gives it out, and the statement that is signed with
 * it. */
#include "io/fcm.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/encode.h"
#include "io/json.h"
#include "unit.h"

#define NOW 1700000000
#define PREFIX "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="

static struct arena *arena;
static EVP_PKEY *key;
static char path[64];

/* The file, with `pem` as its key and `uri` as its token_uri; NULL leaves a member out. */
static void
write_account(struct str pem, const char *uri, mode_t mode)
{
	struct jsonw w;
	struct buf b;
	FILE *f;

	buf_init(&b, arena, 16384);
	jsonw_init(&w, &b);
	jsonw_obj(&w);
	jsonw_kz(&w, "type", "service_account");
	jsonw_kz(&w, "project_id", "shop-1");
	jsonw_kz(&w, "private_key_id", "k1");
	if (pem.p)
		jsonw_kstr(&w, "private_key", pem);
	jsonw_kz(&w, "client_email", "push@shop-1.example");
	if (uri)
		jsonw_kz(&w, "token_uri", uri);
	jsonw_obj_end(&w);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static struct str
pem_of(EVP_PKEY *pk)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;

	assert_int_equal(PEM_write_bio_PrivateKey(bio, pk, NULL, NULL, 0, NULL, NULL), 1);
	long n = BIO_get_mem_data(bio, &p);
	struct str text = { arena_dup(arena, p, (size_t)n), (size_t)n };
	BIO_free(bio);
	return text;
}

static struct str
bytes(struct str text)
{
	struct str out;

	assert_true(base64url_get(arena, text, &out));
	return out;
}

static void
the_statement_says_who_asks_for_what(void **state)
{
	struct fcm_account account;
	struct err err = { 0 };
	struct str form, head, claims, signature, rest, input;
	const struct json *doc;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	(void)state;
	write_account(pem_of(key), "https://auth.example/token", 0640);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_OK);
	assert_str(account.project, "shop-1");
	assert_int_equal(fcm_token_form(arena, &account, NOW, &form, &err), P_OK);
	assert_true(str_starts(form, PREFIX));
	form = str_sub(form, strlen(PREFIX), form.n);
	assert_true(str_cut(form, '.', &head, &rest) && str_cut(rest, '.', &claims, &signature));
	assert_str(bytes(head), "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
	assert_int_equal(json_parse(arena, bytes(claims), &doc, &err), P_OK);
	assert_str(json_str(json_member(doc, "iss")), "push@shop-1.example");
	assert_str(json_str(json_member(doc, "aud")), "https://auth.example/token");
	assert_str(json_str(json_member(doc, "scope")),
		"https://www.googleapis.com/auth/firebase.messaging");
	assert_int_equal(json_int(json_member(doc, "iat")), NOW);
	assert_int_equal(json_int(json_member(doc, "exp")), NOW + 3600);
	input = str_sub(form, 0, head.n + 1 + claims.n);
	signature = bytes(signature);
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
				 (const unsigned char *)input.p, input.n),
		1);
	EVP_MD_CTX_free(ctx);
}

static void
files_that_are_no_account_are_refused(void **state)
{
	struct fcm_account account;
	struct err err = { 0 };
	FILE *f;

	(void)state;
	write_account(pem_of(key), "https://auth.example/token", 0644);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_INTERNAL);
	write_account(pem_of(key), NULL, 0640);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_INTERNAL);
	write_account((struct str){ 0 }, "https://auth.example/token", 0640);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_INTERNAL);
	f = fopen(path, "w");
	fputs("{", f);
	fclose(f);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_BAD_JSON);
	f = fopen(path, "w");
	fclose(f);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_INTERNAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_INTERNAL);
}

static void
keys_that_cannot_sign_are_refused(void **state)
{
	struct fcm_account account;
	struct err err = { 0 };
	struct str form = { 0 };
	EVP_PKEY *ec = EVP_EC_gen("P-256");

	(void)state;
	write_account(STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"https://auth.example/token", 0640);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_OK);
	assert_int_equal(fcm_token_form(arena, &account, NOW, &form, &err), P_INTERNAL);
	write_account(pem_of(ec), "https://auth.example/token", 0640);
	assert_int_equal(fcm_account_load(arena, path, &account, &err), P_OK);
	assert_int_equal(fcm_token_form(arena, &account, NOW, &form, &err), P_INTERNAL);
	assert_null(form.p);
	EVP_PKEY_free(ec);
}

static int
set_up(void **state)
{
	int fd;

	(void)state;
	arena = arena_new((size_t)1 << 20);
	key = EVP_RSA_gen(2048);
	snprintf(path, sizeof(path), "/tmp/plaza-fcm.XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || close(fd) || !key ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	EVP_PKEY_free(key);
	arena_free(arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_statement_says_who_asks_for_what),
		cmocka_unit_test(files_that_are_no_account_are_refused),
		cmocka_unit_test(keys_that_cannot_sign_are_refused),
	};

	return cmocka_run_group_tests_name("fcm", tests, set_up, tear_down);
}
