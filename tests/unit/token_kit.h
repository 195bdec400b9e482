/*
 * What the tests of tokens and of their keys share: a folder of keys, two of them, and
 * short forms.
 */
#ifndef PLAZA_TESTS_TOKEN_KIT_H
#define PLAZA_TESTS_TOKEN_KIT_H

#include <dirent.h>
#include <stdlib.h>

#include "io/json.h"
#include "io/token.h"
#include "jws.h"
#include "unit.h"

#define ISSUER "https://plaza.test"
#define OLD "2026-01-01T00-00-00"
#define NEW "2026-02-01T00-00-00"
#define NOW INT64_C(1795000000)
#define ARENA_MAX ((size_t)64 << 20)

static EVP_PKEY *old_key, *new_key;
static struct arena *arena;
static char dir[64];

static inline struct claims
api_claims(void)
{
	return (struct claims){ .sub = uuid_new(),
		.sid = uuid_new(),
		.jti = uuid_new(),
		.role = ROLE_SELLER,
		.iat = NOW,
		.exp = NOW + 900,
		.aud = "api" };
}

static inline void
empty_folder(void)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			assert_int_equal(unlink(path), 0);
	}
	closedir(d);
}

static inline void
remove_file(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(unlink(path), 0);
}

static inline struct token_keys *
load(void)
{
	static struct err err; /* large */
	struct token_keys *k = token_keys_load(dir, ISSUER, &err);

	if (!k)
		print_error("%s\n", err.log);
	assert_non_null(k);
	return k;
}

static inline struct token_keys *
load_both(void)
{
	jws_install(dir, OLD, old_key);
	jws_install(dir, NEW, new_key);
	return load();
}

static inline struct str
sign(const struct token_keys *k, const struct claims *c)
{
	static struct err err; /* large */
	struct str token;
	enum problem p = token_sign(k, arena, c, &token, &err);

	if (p)
		print_error("%s\n", err.log);
	assert_int_equal(p, P_OK);
	return token;
}

static inline enum problem
verify_at(struct token_keys *k, struct str token, const char *aud, int64_t now)
{
	static struct err err; /* large */
	struct claims c;

	return token_verify(k, arena, token, aud, now, &c, &err);
}

static inline enum problem
verify(struct token_keys *k, struct str token)
{
	return verify_at(k, token, "api", NOW);
}

static inline const struct json *
segment(struct str token, size_t number)
{
	const struct json *v;
	struct str text, head;
	static struct err err;

	for (size_t i = 0; i <= number; i++)
		str_cut(token, '.', &head, &token);
	assert_true(base64url_get(arena, head, &text));
	assert_int_equal(json_parse(arena, text, &v, &err), P_OK);
	return v;
}

static inline int
each_set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/plaza-keys-XXXXXX");
	arena = arena_new(ARENA_MAX);
	return mkdtemp(dir) ? 0 : -1;
}

static inline int
each_tear_down(void **state)
{
	(void)state;
	empty_folder();
	arena_free(arena);
	return rmdir(dir);
}

static inline int
make_keys(void **state)
{
	(void)state;
	old_key = EVP_RSA_gen(2048);
	new_key = EVP_RSA_gen(2048);
	return old_key && new_key ? 0 : -1;
}

static inline int
free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(old_key);
	EVP_PKEY_free(new_key);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, each_set_up, each_tear_down)

#endif
