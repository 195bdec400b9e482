/* fcgi/io/ece, p256 and webpush against the examples of RFC 8188 and RFC 8291, and keys on disk. */
#include "io/webpush.h"

#include <sys/stat.h>

#include "base/encode.h"
#include "io/ece.h"
#include "io/json.h"
#include "unit.h"

#define WALRUS "I am the walrus"
#define MELON "When I grow up, I want to be a watermelon"
#define BROWSER \
	"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
#define SERVER \
	"BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
#define SERVER_SECRET "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
#define AUTH "BTBZMqHH6r4Tts7J_aSIgg"

static struct arena *arena;

static struct str
bytes(const char *text)
{
	struct str out;

	assert_true(base64url_get(arena, str_of(text), &out));
	return out;
}

static struct str
text_of(struct str raw)
{
	struct buf b;

	buf_init(&b, arena, 65536);
	base64url_put(&b, raw.p, raw.n);
	return buf_str(&b);
}

static struct str
sealed(const struct ece *e, struct str text)
{
	struct buf b;

	buf_init(&b, arena, 65536);
	assert_true(ece_seal(&b, e, text));
	return buf_str(&b);
}

static struct webpush_to
browser(void)
{
	return (struct webpush_to){ .point = bytes(BROWSER), .auth = bytes(AUTH) };
}

static void
rfc8188_one_record(void **state)
{
	struct ece e = { .ikm = bytes("yqdlZ-tYemfogSmv7Ws5PQ"), .record = 4096 };

	(void)state;
	memcpy(e.salt, bytes("I1BsxtFttlv3u_Oo94xnmw").p, ECE_SALT);
	assert_str(text_of(sealed(&e, STR(WALRUS))),
		"I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg");
}

static void
rfc8188_two_records_and_padding(void **state)
{
	struct ece e = {
		.ikm = bytes("BO3ZVPxUlnLORbVGMpbT1Q"), .record = 25, .keyid = STR("a1"), .pad = 1
	};

	(void)state;
	memcpy(e.salt, bytes("uNCkWiNYzKTnBN9ji3-qWA").p, ECE_SALT);
	assert_str(text_of(sealed(&e, STR(WALRUS))),
		"uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEU"
		"KEpgz3SsLWIqS_uA");
}

static void
a_record_has_room_for_something(void **state)
{
	struct ece e = { .ikm = STR("k"), .record = ECE_RECORD_MIN - 1 };
	struct buf b;

	(void)state;
	buf_init(&b, arena, 4096);
	assert_false(ece_seal(&b, &e, STR("x")));
	e.record = 25;
	e.pad = 8;
	assert_false(ece_seal(&b, &e, STR("x")));
	e.pad = 0;
	/* Header, and an empty last record of delimiter and tag. */
	assert_int_equal(sealed(&e, STR("")).n, 21 + 17);
	buf_init(&b, arena, 30);
	assert_false(ece_seal(&b, &e, STR("x")));
}

static void
rfc8291_appendix_a(void **state)
{
	struct p256 *own = p256_import(bytes(SERVER), bytes(SERVER_SECRET));
	struct webpush_to to = browser();
	struct buf b;

	(void)state;
	assert_non_null(own);
	buf_init(&b, arena, 8192);
	assert_true(webpush_seal_as(
		&b, &to, STR(MELON), own, (const uint8_t *)bytes("DGv6ra1nlYgDCS1FRnbzlw").p));
	assert_str(text_of(buf_str(&b)),
		"DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYL"
		"ocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyou"
		"BWLVWGNWQexSgSxsj_Qulcy4a-fN");
	p256_free(own);
}

static void
no_two_messages_are_alike(void **state)
{
	struct webpush_to to = browser();
	struct buf a, b;

	(void)state;
	buf_init(&a, arena, 8192);
	buf_init(&b, arena, 8192);
	assert_true(webpush_seal(&a, &to, STR(MELON)));
	assert_true(webpush_seal(&b, &to, STR(MELON)));
	assert_int_equal(a.n, b.n);
	assert_memory_not_equal(a.p, b.p, 16);           /* salt */
	assert_memory_not_equal(a.p + 21, b.p + 21, 65); /* our key */
}

static void
the_longest_message_fits_one_record(void **state)
{
	struct webpush_to to = browser();
	struct str text = { arena_calloc(arena, 1, WEBPUSH_TEXT_MAX + 1), WEBPUSH_TEXT_MAX };
	struct buf b;

	(void)state;
	buf_init(&b, arena, 8192);
	assert_true(webpush_seal(&b, &to, text));
	assert_int_equal(b.n, WEBPUSH_RECORD);
	text.n++;
	assert_false(webpush_seal(&b, &to, text));
}

/* A point that is not on the curve would give away bits of our key. */
static void
bad_subscriptions_are_refused(void **state)
{
	struct webpush_to to = browser();
	char *off = arena_dup(arena, to.point.p, to.point.n);
	struct buf b;

	(void)state;
	buf_init(&b, arena, 8192);
	assert_true(webpush_to_valid(&to));
	off[40] ^= 1;
	to.point.p = off;
	assert_false(webpush_to_valid(&to));
	assert_false(webpush_seal(&b, &to, STR(MELON)));
	to = browser();
	to.point.n--;
	assert_false(webpush_to_valid(&to));
	to = browser();
	to.auth.n--;
	assert_false(webpush_to_valid(&to));
	assert_false(webpush_seal(&b, &to, STR(MELON)));
	to.auth = (struct str){ 0 };
	assert_false(webpush_to_valid(&to));
}

static void
halves_must_belong_together(void **state)
{
	(void)state;
	assert_null(p256_import(bytes(BROWSER), bytes(SERVER_SECRET)));
	assert_null(p256_import(bytes(SERVER), STR("short")));
}

static void
both_sides_agree(void **state)
{
	struct p256 *a = p256_new(), *b = p256_new();
	uint8_t one[P256_SECRET], two[P256_SECRET];

	(void)state;
	assert_true(p256_agree(a, b, one));
	assert_true(p256_agree(b, a, two));
	assert_memory_equal(one, two, sizeof(one));
	p256_free(a);
	p256_free(b);
}

/* Who verifies such a header is in tests/interop; here is what stands in it. */
static void
vapid_header_names_us(void **state)
{
	struct p256 *key = p256_import(bytes(SERVER), bytes(SERVER_SECRET));
	struct str head = vapid_header(arena, key, STR("https://push.example"), STR("mailto:a@b.c"),
			   1700000000),
		   part, rest, claims;
	const struct json *doc;
	struct err err = { 0 };

	(void)state;
	assert_true(str_starts(head, "vapid t="));
	assert_true(str_ends(head, ", k=" SERVER));
	assert_true(str_cut(str_sub(head, 8, head.n - strlen(", k=" SERVER)), '.', &part, &rest));
	assert_str(bytes(str_z(arena, part)), "{\"typ\":\"JWT\",\"alg\":\"ES256\"}");
	assert_true(str_cut(rest, '.', &part, &rest));
	claims = bytes(str_z(arena, part));
	assert_int_equal(json_parse(arena, claims, &doc, &err), P_OK);
	assert_str(json_str(json_member(doc, "aud")), "https://push.example");
	assert_str(json_str(json_member(doc, "sub")), "mailto:a@b.c");
	assert_int_equal(json_int(json_member(doc, "exp")), 1700000000);
	assert_int_equal(bytes(str_z(arena, rest)).n, P256_SIGNATURE);
	p256_free(key);
}

/* ---- files ---- */

static char dir[64];

static void
path_of(char out[128], const char *name)
{
	snprintf(out, 128, "%s/%s", dir, name);
}

static void
keys_are_made_once(void **state)
{
	struct err err = { 0 };
	struct str shown;
	struct p256 *key;
	char path[128];
	struct stat st;

	(void)state;
	assert_int_equal(vapid_public(arena, dir, &shown, &err), P_NOT_FOUND);
	assert_int_equal(vapid_load(arena, dir, &key, &err), P_NOT_FOUND);
	assert_int_equal(vapid_generate(dir, &err), P_OK);
	assert_int_equal(vapid_public(arena, dir, &shown, &err), P_OK);
	assert_int_equal(shown.n, WEBPUSH_KEY_TEXT);
	assert_int_equal(vapid_load(arena, dir, &key, &err), P_OK);
	p256_free(key);
	path_of(path, "vapid.secret");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(vapid_generate(dir, &err), P_CONFLICT);
}

static void
keys_that_others_read_or_that_differ_are_refused(void **state)
{
	struct err err = { 0 };
	struct p256 *key;
	char path[128];
	FILE *f;

	(void)state;
	assert_int_equal(vapid_generate(dir, &err), P_OK);
	path_of(path, "vapid.secret");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(vapid_load(arena, dir, &key, &err), P_INTERNAL);
	assert_non_null(strstr(err.log, "others can read it"));
	assert_int_equal(chmod(path, 0600), 0);
	path_of(path, "vapid.pub");
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(BROWSER "\n", f);
	fclose(f);
	assert_int_equal(vapid_load(arena, dir, &key, &err), P_INTERNAL);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("not base64url!\n", f);
	fclose(f);
	struct str shown;
	assert_int_equal(vapid_public(arena, dir, &shown, &err), P_INTERNAL);
}

static int
set_up(void **state)
{
	(void)state;
	arena = arena_new((size_t)1 << 20);
	snprintf(dir, sizeof(dir), "/tmp/plaza-webpush.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
tear_down(void **state)
{
	char path[128];

	(void)state;
	path_of(path, "vapid.secret");
	unlink(path);
	path_of(path, "vapid.pub");
	unlink(path);
	arena_free(arena);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rfc8188_one_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rfc8188_two_records_and_padding, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_has_room_for_something, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rfc8291_appendix_a, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_two_messages_are_alike, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_longest_message_fits_one_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_subscriptions_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(halves_must_belong_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(both_sides_agree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(vapid_header_names_us, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_are_made_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			keys_that_others_read_or_that_differ_are_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("webpush", tests, NULL, NULL);
}
