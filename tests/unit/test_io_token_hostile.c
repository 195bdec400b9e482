/*
 * fcgi/io/token: a corpus of hostile tokens. Each must be refused by the gate,
 * for the reason told. Each row also tells what libjwt alone says about the
 * token, which shows what the gate is for.
 */
#include "io/token.h"

#include <stdlib.h>
#include <sys/resource.h>

#include <jwt.h>
#include <openssl/err.h>

#include "jws.h"
#include "unit.h"

#define ISSUER "https://plaza.test"
#define KID "2026-02-01T00-00-00"       /* signs */
#define OTHER_KID "2026-01-01T00-00-00" /* live as well */
#define NOW INT64_C(1795000000)
#define ARENA_MAX ((size_t)256 << 20)
#define HUGE ((size_t)10 << 20)

#define H(members) "{\"alg\":\"RS256\",\"typ\":\"JWT\"," members "}"
#define H_ALG(alg) "{\"alg\":" alg ",\"typ\":\"JWT\",\"kid\":\"" KID "\"}"
#define H_MORE(members) H("\"kid\":\"" KID "\"," members)

enum how {
	BY_KEY,
	BY_OTHER_KEY, /* live, but not the one that kid names */
	BY_STRANGER,  /* an RSA key that nobody here knows */
	BY_EC,
	BY_KEY_SHA384,
	BY_KEY_SHA512,
	BY_PEM_HS256, /* HMAC, with the text of the public key as secret */
	BY_PEM_HS384,
	BY_PEM_HS512,
	BY_EMPTY_HS256,
	BY_NOTHING, /* the segment is there and empty */
	BY_ZEROS,
};

enum verdict { REFUSES, ACCEPTS, CRASHES };

struct row {
	const char *name;
	const char *why;     /* the gate's reason, without the "token: " in front */
	enum verdict plain;  /* of jwt_decode() with the public key */
	bool plain_keyless;  /* …called with an empty key instead */
	const char *aud;     /* NULL: "api" */
	const char *header;  /* NULL: the right one */
	const char *payload; /* NULL: made of the usual claims */
	size_t payload_n;    /* 0: up to the NUL */
	const char *drop;    /* claims left out, each followed by a blank */
	const char *add;     /* raw members put at the end */
	enum how how;
	struct str (*twist)(struct arena *a, struct str token);
};

static EVP_PKEY *key, *other_key, *stranger, *ec_key;
static struct str public_pem;
static struct arena *arena;
static struct token_keys *keys;

static const struct {
	const char *name;
	const char *value;
} usual[] = {
	{ "iss", "\"" ISSUER "\"" },
	{ "aud", "\"api\"" },
	{ "kind", "\"access\"" },
	{ "sub", "\"017f22e2-79b0-7cc3-98c4-dc0c0c07398f\"" },
	{ "sid", "\"017f22e2-79b1-7cc3-98c4-dc0c0c07398f\"" },
	{ "jti", "\"017f22e2-79b2-7cc3-98c4-dc0c0c07398f\"" },
	{ "role", "\"client\"" },
	{ "iat", "1795000000" },
	{ "exp", "1795000900" },
};

#define BROKER "aud kind "
#define AS_BROKER "\"aud\":\"mqtt\",\"kind\":\"mqtt\","
#define DID "\"did\":\"phone-1\","
#define ACL "\"acl\":{\"sub\":[\"u/1/#\"],\"pub\":[\"up/1/1/#\"]}"

#define F10 "\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
#define F100 F10 F10 F10 F10 F10 F10 F10 F10 F10 F10

static bool
is_dropped(const struct row *row, const char *name)
{
	char word[16];

	snprintf(word, sizeof(word), "%s ", name);
	return row->drop && strstr(row->drop, word);
}

static struct str
payload_of(struct arena *a, const struct row *row)
{
	struct buf b;

	if (row->payload)
		return (struct str){ row->payload,
			row->payload_n ? row->payload_n : strlen(row->payload) };
	buf_init(&b, a, ARENA_MAX);
	for (size_t i = 0; i < COUNT(usual); i++)
		if (!is_dropped(row, usual[i].name))
			buf_printf(
				&b, "%c\"%s\":%s", b.n ? ',' : '{', usual[i].name, usual[i].value);
	if (row->add)
		buf_printf(&b, ",%s", row->add);
	buf_putc(&b, '}');
	return buf_str(&b);
}

static struct str
seal(struct arena *a, struct str input, enum how how)
{
	static const char zeros[256];

	switch (how) {
	case BY_OTHER_KEY:
		return jws_sign(a, input, other_key, "SHA256");
	case BY_STRANGER:
		return jws_sign(a, input, stranger, "SHA256");
	case BY_EC:
		return jws_sign(a, input, ec_key, "SHA256");
	case BY_KEY_SHA384:
		return jws_sign(a, input, key, "SHA384");
	case BY_KEY_SHA512:
		return jws_sign(a, input, key, "SHA512");
	case BY_PEM_HS256:
		return jws_hmac(a, input, public_pem, EVP_sha256());
	case BY_PEM_HS384:
		return jws_hmac(a, input, public_pem, EVP_sha384());
	case BY_PEM_HS512:
		return jws_hmac(a, input, public_pem, EVP_sha512());
	case BY_EMPTY_HS256:
		return jws_hmac(a, input, STR(""), EVP_sha256());
	case BY_NOTHING:
		return jws_join(a, input, "", 0);
	case BY_ZEROS:
		return jws_join(a, input, zeros, sizeof(zeros));
	case BY_KEY:
		break;
	}
	return jws_sign(a, input, key, "SHA256");
}

static struct str
make(struct arena *a, const struct row *row)
{
	const char *header = row->header ? row->header : H("\"kid\":\"" KID "\"");
	struct str input = jws_input(a, str_of(header), payload_of(a, row));
	struct str token = seal(a, input, row->how);

	return row->twist ? row->twist(a, token) : token;
}

/* --- twists: changes of the finished text ------------------------------------ */

static struct str
append(struct arena *a, struct str token, const char *tail, size_t n)
{
	char *p = arena_alloc(a, token.n + n + 1);

	memcpy(p, token.p, token.n);
	memcpy(p + token.n, tail, n);
	p[token.n + n] = '\0';
	return (struct str){ p, token.n + n };
}

#define APPEND(name, tail)                                    \
	static struct str name(struct arena *a, struct str t) \
	{                                                     \
		return append(a, t, tail, sizeof(tail) - 1);  \
	}

APPEND(four_equals, "====")
APPEND(one_equals, "=")
APPEND(two_bangs, "!!")
APPEND(newline, "\n")
APPEND(blank, " ")
APPEND(nul_and_text, "\0admin")
APPEND(nul_byte, "\0")
APPEND(fourth_segment, ".e30")
APPEND(dot, ".")

static size_t
last_dot(struct str t)
{
	size_t at = t.n;

	while (t.p[at - 1] != '.')
		at--;
	return at - 1;
}

static struct str
no_third_segment(struct arena *a, struct str t)
{
	return str_dup(a, str_sub(t, 0, last_dot(t)));
}

static struct str
only_header(struct arena *a, struct str t)
{
	return str_dup(a, str_sub(t, 0, str_find(t, '.', 0)));
}

static struct str
one_short(struct arena *a, struct str t)
{
	return str_dup(a, str_sub(t, 0, t.n - 1));
}

static struct str
half_signature(struct arena *a, struct str t)
{
	return str_dup(a, str_sub(t, 0, last_dot(t) + 1 + 172));
}

/* 256 bytes leave four bits of the last character unused; they have to be 0. */
static struct str
another_last_character(struct arena *a, struct str t)
{
	char *p = str_z(a, t);

	p[t.n - 1]++;
	return (struct str){ p, t.n };
}

static struct str
one_bit_of_the_signature(struct arena *a, struct str t)
{
	char *p = str_z(a, t);
	size_t at = last_dot(t) + 100;

	p[at] = p[at] == 'A' ? 'B' : 'A';
	return (struct str){ p, t.n };
}

static struct str
payload_exchanged(struct arena *a, struct str t)
{
	struct row admin = { .drop = "role ", .add = "\"role\":\"admin\"" };
	struct str input = jws_input(a, STR(H("\"kid\":\"" KID "\"")), payload_of(a, &admin));
	struct str tail = str_sub(t, last_dot(t), t.n);

	return append(a, input, tail.p, tail.n);
}

static struct str
other_alphabet(struct arena *a, struct str t)
{
	char *p = str_z(a, t);

	for (size_t i = last_dot(t); i < t.n; i++)
		p[i] = (char)(p[i] == '-' ? '+' : p[i] == '_' ? '/' : p[i]);
	return (struct str){ p, t.n };
}

static struct str
blank_in_front(struct arena *a, struct str t)
{
	return append(a, STR(" "), t.p, t.n);
}

static struct str
bearer_in_front(struct arena *a, struct str t)
{
	return append(a, STR("Bearer "), t.p, t.n);
}

static struct str
line_break_in_signature(struct arena *a, struct str t)
{
	size_t at = last_dot(t) + 77;
	struct str head = append(a, str_sub(t, 0, at), "\n", 1);

	return append(a, head, t.p + at, t.n - at);
}

/* The padding is under the signature, so the text is what the key's owner signed. */
static struct str
padded_and_signed(struct arena *a, struct str t)
{
	struct str payload = append(a, str_sub(t, 0, last_dot(t)), "=", 1);

	return jws_sign(a, payload, key, "SHA256");
}

static struct str
nothing(struct arena *a, struct str t)
{
	(void)t;
	return str_dup(a, STR(""));
}

static struct str
two_dots(struct arena *a, struct str t)
{
	(void)t;
	return str_dup(a, STR(".."));
}

/* Signed anew with a claim that makes the token `n` bytes long, or one more. */
static struct str
filled_to(struct arena *a, size_t n)
{
	struct row row = { .add = "\"x\":\"\"" };
	size_t missing = n - make(a, &row).n;
	size_t fill = missing - missing / 4;
	char *x = arena_alloc(a, fill + 1);

	memset(x, 'x', fill);
	x[fill] = '\0';
	row.add = arena_printf(a, "\"x\":\"%s\"", x);
	return make(a, &row);
}

static struct str
just_too_long(struct arena *a, struct str t)
{
	(void)t;
	return filled_to(a, TOKEN_MAX + 1);
}

static struct str
just_short_enough(struct arena *a, struct str t)
{
	(void)t;
	return filled_to(a, TOKEN_MAX - 1);
}

static struct str
five_kilobytes(struct arena *a, struct str t)
{
	(void)t;
	return filled_to(a, 5120);
}

static struct str
ten_megabytes(struct arena *a, struct str t)
{
	(void)t;
	return filled_to(a, HUGE);
}

/* --- the corpus ---------------------------------------------------------------- */

#define NOT_B64 "not three segments of canonical base64url"
#define NOT_JSON "header or payload is not strict JSON"
#define NOT_OBJECT "header or payload is not an object"
#define MEMBERS "header members are not alg, typ, kid"
#define BAD_ALG "alg is not RS256"
#define BAD_TYP "typ is not JWT"
#define BAD_KID "unknown kid"
#define BAD_LENGTH "signature of a wrong length"
#define BAD_SIG "bad signature"
#define BAD_ID "sub, sid or jti is not a UUID"
#define BAD_ROLE "unknown role"
#define BAD_TIME "iat or exp is not an integer"
#define BAD_LIFE "exp is not within an hour after iat"
#define TOO_LONG "absent or too long"
#define TWO_PARTS "fewer than three segments"
#define WRONG_AUD "meant for another service"
#define TOO_EARLY "not valid yet"

#include "hostile_tokens.def"

/* --- running it ------------------------------------------------------------------ */

/* In a child, because a large token takes the process with it. */
static enum verdict
plain_verdict(struct str token, bool keyless)
{
	enum { CHILD_ACCEPTS = 70, CHILD_REFUSES = 71 };
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit stack = { (rlim_t)8 << 20, (rlim_t)8 << 20 };
		const unsigned char *pem = (const unsigned char *)public_pem.p;
		jwt_t *jwt = NULL;

		(void)setrlimit(RLIMIT_STACK, &stack);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);

		int rc = jwt_decode(&jwt, token.p, pem, keyless ? 0 : (int)public_pem.n);
		_exit(rc == 0 && jwt ? CHILD_ACCEPTS : CHILD_REFUSES);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_ACCEPTS)
		return ACCEPTS;
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_REFUSES)
		return REFUSES;
	return CRASHES;
}

static bool
gate_refuses(const struct row *row, struct str token)
{
	struct err err = { 0 };
	struct claims before;
	struct claims c;
	char why[128];

	memset(&before, 0x5A, sizeof(before));
	c = before;
	snprintf(why, sizeof(why), "token: %s", row->why);

	enum problem p =
		token_verify(keys, arena, token, row->aud ? row->aud : "api", NOW, &c, &err);
	/* An OpenSSL error left here would be taken for one of the next TLS call. */
	bool good = p == P_BAD_TOKEN && strcmp(err.log, why) == 0 && !err.detail[0] &&
		    memcmp(&c, &before, sizeof(c)) == 0 && ERR_peek_error() == 0;

	if (!good)
		print_error("%s: problem %d, %s\n", row->name, (int)p, err.log);
	return good;
}

static void
every_hostile_token_is_refused_for_its_reason(void **state)
{
	size_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(corpus); i++) {
		wrong += !gate_refuses(&corpus[i], make(arena, &corpus[i]));
		arena_clear(arena);
	}
	assert_int_equal(wrong, 0);
}

static void
libjwt_alone_says_what_the_table_tells(void **state)
{
	static const char *const verdicts[] = { "refuses", "accepts", "crashes" };
	size_t wrong = 0;
	size_t counts[COUNT(verdicts)] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(corpus); i++) {
		const struct row *row = &corpus[i];
		enum verdict got = plain_verdict(make(arena, row), row->plain_keyless);

		if (got != row->plain)
			print_error("%s: libjwt %s\n", row->name, verdicts[got]);
		wrong += got != row->plain;
		counts[got]++;
		arena_clear(arena);
	}
	print_message("%zu hostile tokens: libjwt alone refuses %zu, accepts %zu, crashes on %zu\n",
		COUNT(corpus), counts[REFUSES], counts[ACCEPTS], counts[CRASHES]);
	assert_int_equal(wrong, 0);
}

/* Each character of a token replaced by each of a few others, and each length. */
static void
no_change_of_one_character_passes(void **state)
{
	static const char others[] = "A-_.=+ \n\x80";
	struct row good = { 0 };
	struct claims c;
	struct err err;

	(void)state;
	struct str token = str_dup(arena, make(arena, &good));
	struct arena *a = arena_new(ARENA_MAX);

	for (size_t i = 0; i < token.n; i++) {
		char *text = str_z(a, token);

		/* In the signature, each check costs an RSA operation: every fifth will do. */
		if (i > last_dot(token) && i % 5 != 0)
			continue;
		text[i] = text[i] == others[i % (sizeof(others) - 1)]
				  ? '~'
				  : others[i % (sizeof(others) - 1)];
		assert_int_equal(
			token_verify(keys, a, (struct str){ text, token.n }, "api", NOW, &c, &err),
			P_BAD_TOKEN);
		assert_int_equal(token_verify(keys, a, str_sub(token, 0, i), "api", NOW, &c, &err),
			P_BAD_TOKEN);
		arena_clear(a);
	}
	assert_int_equal(token_verify(keys, a, token, "api", NOW, &c, &err), P_OK);
	arena_free(a);
	arena_clear(arena);
}

/*
 * What the rows are made of passes where nothing is wrong with it: else they would
 * prove nothing.
 */
static void
the_usual_token_is_accepted(void **state)
{
	static const struct row good[] = {
		{ .name = "api" },
		{ .name = "later claims", .add = "\"shop\":7,\"scope\":[\"a\"]" },
		{ .name = "an hour", .drop = "exp ", .add = "\"exp\":1795003600" },
		{ .name = "nbf", .add = "\"nbf\":1795000000" },
		{ .name = "broker", .aud = "mqtt", .drop = BROKER, .add = AS_BROKER DID ACL },
		{ .name = "no filters",
			.aud = "mqtt",
			.drop = BROKER,
			.add = AS_BROKER DID "\"acl\":{\"pub\":[],\"sub\":[]}" },
		{ .name = "order of members",
			.header = "{\"kid\":\"" KID "\",\"typ\":\"JWT\",\"alg\":\"RS256\"}" },
		{ .name = "as long as may be", .twist = just_short_enough },
		{ .name = "the other live key",
			.how = BY_OTHER_KEY,
			.header = H("\"kid\":\"" OTHER_KID "\"") },
	};
	struct err err = { 0 };
	struct claims c;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		const char *aud = good[i].aud ? good[i].aud : "api";
		enum problem p =
			token_verify(keys, arena, make(arena, &good[i]), aud, NOW, &c, &err);

		if (p)
			print_error("%s: %s\n", good[i].name, err.log);
		assert_int_equal(p, P_OK);
		assert_string_equal(c.aud, aud);
	}
	arena_clear(arena);
}

static int
set_up(void **state)
{
	static char dir[] = "/tmp/plaza-token-XXXXXX";
	struct err err = { 0 };

	if (!mkdtemp(dir))
		return -1;
	*state = dir;
	key = EVP_RSA_gen(2048);
	other_key = EVP_RSA_gen(2048);
	stranger = EVP_RSA_gen(2048);
	ec_key = EVP_EC_gen("P-256");
	jws_install(dir, KID, key);
	jws_install(dir, OTHER_KID, other_key);

	struct arena *a = arena_new((size_t)64 * 1024);
	struct str pem = jws_pem(a, key, false);

	public_pem = (struct str){ strndup(pem.p, pem.n), pem.n };
	arena_free(a);
	arena = arena_new(ARENA_MAX);
	keys = token_keys_load(dir, ISSUER, &err);
	return keys ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { KID ".pem", KID ".pub.pem", OTHER_KID ".pem",
		OTHER_KID ".pub.pem" };
	char path[256];

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", (const char *)*state, names[i]);
		unlink(path);
	}
	rmdir(*state);
	token_keys_free(keys);
	arena_free(arena);
	free((void *)public_pem.p);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(stranger);
	EVP_PKEY_free(ec_key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_usual_token_is_accepted),
		cmocka_unit_test(every_hostile_token_is_refused_for_its_reason),
		cmocka_unit_test(libjwt_alone_says_what_the_table_tells),
		cmocka_unit_test(no_change_of_one_character_passes),
	};

	return cmocka_run_group_tests_name("token, hostile", tests, set_up, tear_down);
}
