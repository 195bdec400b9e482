/* fcgi/io/digest */
#include "io/digest.h"

#include "base/arena.h"
#include "base/encode.h"
#include "unit.h"

#define TEXT_MAX 4096

/* Compares with lower-case hexadecimal text. */
static void
assert_digest(const uint8_t got[SHA256_BYTES], const char *hex)
{
	struct arena *a = arena_new(TEXT_MAX);
	struct buf b;

	buf_init(&b, a, TEXT_MAX);
	hex_put(&b, got, SHA256_BYTES);
	assert_string_equal(b.p, hex);
	arena_free(a);
}

static struct str
filled(char *room, char byte, size_t n)
{
	memset(room, byte, n);
	return (struct str){ room, n };
}

/* The examples of FIPS 180-4 that RFC 6234 repeats, and the empty text. */
static void
sha256_gives_the_published_values(void **state)
{
	static const struct {
		const char *in;
		const char *hex;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	uint8_t out[SHA256_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		sha256(str_of(cases[i].in), out);
		assert_digest(out, cases[i].hex);
	}
}

static void
sha256_of_absent_text_is_that_of_empty_text(void **state)
{
	uint8_t absent[SHA256_BYTES];
	uint8_t empty[SHA256_BYTES];

	(void)state;
	sha256((struct str){ NULL, 0 }, absent);
	sha256(STR(""), empty);
	assert_memory_equal(absent, empty, SHA256_BYTES);
}

/* RFC 4231, all cases that are not cut short. */
static void
hmac_gives_the_values_of_rfc_4231(void **state)
{
	static const char long_key[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	static const char long_data[] =
		"This is a test using a larger than block-size key and a larger than block-size "
		"data. The key needs to be hashed before being used by the HMAC algorithm.";
	char k1[20], k3[20], d3[50], k4[25], d4[50], k6[131];
	uint8_t out[SHA256_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(k4); i++)
		k4[i] = (char)(i + 1);
	hmac_sha256(filled(k1, 0x0b, sizeof(k1)), STR("Hi There"), out);
	assert_digest(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
	assert_digest(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_sha256(filled(k3, (char)0xaa, 20), filled(d3, (char)0xdd, 50), out);
	assert_digest(out, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	hmac_sha256((struct str){ k4, sizeof(k4) }, filled(d4, (char)0xcd, 50), out);
	assert_digest(out, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	hmac_sha256(filled(k6, (char)0xaa, 131), STR(long_key), out);
	assert_digest(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_sha256(filled(k6, (char)0xaa, 131), STR(long_data), out);
	assert_digest(out, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* An absent key must not mean "the key of the call before". */
static void
hmac_with_an_absent_key_does_not_depend_on_the_last_key(void **state)
{
	uint8_t after_a[SHA256_BYTES];
	uint8_t after_b[SHA256_BYTES];
	uint8_t other[SHA256_BYTES];

	(void)state;
	hmac_sha256(STR("first"), STR("x"), other);
	hmac_sha256((struct str){ NULL, 0 }, STR("x"), after_a);
	assert_memory_not_equal(other, after_a, SHA256_BYTES);
	hmac_sha256(STR("second"), STR("x"), other);
	hmac_sha256(STR(""), STR("x"), after_b);
	assert_memory_equal(after_a, after_b, SHA256_BYTES);
}

static void
parts_are_hashed_with_their_lengths(void **state)
{
	const struct str parts[] = { STR("ab"), STR(""), STR("c") };
	static const char flat[] = "\0\0\0\0\0\0\0\2ab"
				   "\0\0\0\0\0\0\0\0"
				   "\0\0\0\0\0\0\0\1c";
	uint8_t got[SHA256_BYTES];
	uint8_t want[SHA256_BYTES];

	(void)state;
	sha256_parts(parts, COUNT(parts), got);
	sha256((struct str){ flat, sizeof(flat) - 1 }, want);
	assert_memory_equal(got, want, SHA256_BYTES);
}

static void
moving_a_border_changes_the_hash_of_parts(void **state)
{
	const struct str one[] = { STR("ab"), STR("c") };
	const struct str other[] = { STR("a"), STR("bc") };
	uint8_t a[SHA256_BYTES];
	uint8_t b[SHA256_BYTES];

	(void)state;
	sha256_parts(one, COUNT(one), a);
	sha256_parts(other, COUNT(other), b);
	assert_memory_not_equal(a, b, SHA256_BYTES);
}

static void
secrets_are_equal_only_when_every_byte_is(void **state)
{
	char secret[64];
	char guess[64];

	(void)state;
	memset(secret, 'x', sizeof(secret));
	for (size_t i = 0; i < sizeof(secret); i++) {
		memcpy(guess, secret, sizeof(guess));
		assert_true(secret_eq((struct str){ secret, 64 }, (struct str){ guess, 64 }));
		guess[i] = (char)(guess[i] ^ 1);
		assert_false(secret_eq((struct str){ secret, 64 }, (struct str){ guess, 64 }));
	}
	assert_false(secret_eq(STR("secret"), STR("secre")));
	assert_false(secret_eq(STR("secre"), STR("secret")));
	assert_false(secret_eq(STR("a\0b"), STR("a\0c")));
}

static void
an_absent_secret_equals_nothing(void **state)
{
	const struct str absent = { NULL, 0 };

	(void)state;
	assert_false(secret_eq(absent, absent));
	assert_false(secret_eq(absent, STR("")));
	assert_false(secret_eq(STR(""), absent));
	assert_true(secret_eq(STR(""), STR("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_values),
		cmocka_unit_test(sha256_of_absent_text_is_that_of_empty_text),
		cmocka_unit_test(hmac_gives_the_values_of_rfc_4231),
		cmocka_unit_test(hmac_with_an_absent_key_does_not_depend_on_the_last_key),
		cmocka_unit_test(parts_are_hashed_with_their_lengths),
		cmocka_unit_test(moving_a_border_changes_the_hash_of_parts),
		cmocka_unit_test(secrets_are_equal_only_when_every_byte_is),
		cmocka_unit_test(an_absent_secret_equals_nothing),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
