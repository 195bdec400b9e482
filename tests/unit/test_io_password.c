/* fcgi/io/password */
#include "io/password.h"

#include <stdlib.h>
#include <time.h>

#include "unit.h"

#define ARENA_MAX ((size_t)64 * 1024)

/* Made with the argon2 tool: "correct horse", salt "somesaltsomesalt". */
#define TAIL "$c29tZXNhbHRzb21lc2FsdA$"
static const char today[] =
	"$argon2id$v=19$m=19456,t=2,p=1" TAIL "k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF4";
static const char weaker[] =
	"$argon2id$v=19$m=8192,t=1,p=1" TAIL "+jQGvnLH9sd/RHpVFdneZ1pWEi8VDK30k/E/IE+o3IE";
static const char argon2i[] =
	"$argon2i$v=19$m=19456,t=2,p=1" TAIL "kCIwe+lExuSE4vBNEk4bmVooOydS5cnSLCDOLE9zOOU";

static void
a_password_is_known_by_its_hash(void **state)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct err err = { 0 };
	struct str hash;
	bool rehash = true;

	(void)state;
	assert_int_equal(password_hash(a, STR("s\xc3\xa9same ouvre"), &hash, &err), P_OK);
	assert_true(str_starts(hash, "$argon2id$v=19$m=19456,t=2,p=1$"));
	assert_true(password_verify(hash, STR("s\xc3\xa9same ouvre"), &rehash));
	assert_false(rehash);
	assert_false(password_verify(hash, STR("s\xc3\xa9same ouvrf"), NULL));
	assert_false(password_verify(hash, STR(""), NULL));
	arena_free(a);
}

static void
two_hashes_of_one_password_differ(void **state)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct err err = { 0 };
	struct str one, two;

	(void)state;
	assert_int_equal(password_hash(a, STR("the same text"), &one, &err), P_OK);
	assert_int_equal(password_hash(a, STR("the same text"), &two, &err), P_OK);
	assert_false(str_eq(one, two));
	arena_free(a);
}

static void
a_hash_of_another_program_is_verified(void **state)
{
	bool rehash = true;

	(void)state;
	assert_true(password_verify(str_of(today), STR("correct horse"), &rehash));
	assert_false(rehash);
}

static void
a_hash_is_read_only_within_its_view(void **state)
{
	char text[sizeof(today) + 4];

	(void)state;
	memcpy(text, today, sizeof(today) - 1);
	memcpy(text + sizeof(today) - 1, "AAAA", 5);
	assert_true(password_verify(
		(struct str){ text, sizeof(today) - 1 }, STR("correct horse"), NULL));
	assert_false(password_verify(str_of(text), STR("correct horse"), NULL));
}

static void
weaker_parameters_ask_for_a_new_hash(void **state)
{
	bool rehash = false;

	(void)state;
	assert_true(password_verify(str_of(weaker), STR("correct horse"), &rehash));
	assert_true(rehash);
	/* Whoever does not know the password learns nothing about the hash. */
	assert_false(password_verify(str_of(weaker), STR("wrong horse"), &rehash));
	assert_false(rehash);
}

static void
hashes_of_other_kinds_open_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"!",
		"correct horse",
		"$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
		argon2i,
		"$argon2id$v=19$",
		"$argon2id$v=19$m=19456,t=2,p=1",
		"$argon2id$v=19$m=19456,t=2,p=1$",
		"$argon2id$v=19$m=19456,t=2,p=1" TAIL,
		"$argon2id$v=16$m=19456,t=2,p=1" TAIL "k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF4",
		"$argon2id$v=19$t=2,m=19456,p=1" TAIL "k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF4",
		"$argon2id$v=19$m=19456,t=2,p=1" TAIL "k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(password_verify(str_of(bad[i]), STR("correct horse"), NULL));
}

/* The right hashes of the password, each beyond one limit: false means that none was computed. */
static void
a_hash_that_asks_for_too_much_is_not_computed(void **state)
{
	static const char *const heavy[] = {
		"$argon2id$v=19$m=64,t=17,p=1" TAIL "B+twtdEkxtBP1ivm9MDvlTdwQBw6QSNQUoojPbuyLqo",
		"$argon2id$v=19$m=64,t=1,p=5" TAIL "gCMWrJ000jn+9EWALNT6nGUcfCNyuAvcPnE49mbioiA",
		"$argon2id$v=19$m=262145,t=1,p=1" TAIL
		"de7Og518BTorikVzIe9XhqTNkO/n6B7i6YeppgvE6Do",
	};
	static const char just[] =
		"$argon2id$v=19$m=64,t=16,p=4" TAIL "AvF0GQMhUUsiSvujhsyxNOytw80LK05e1Q/SrRW1Jf0";

	(void)state;
	for (size_t i = 0; i < COUNT(heavy); i++)
		assert_false(password_verify(str_of(heavy[i]), STR("correct horse"), NULL));
	assert_true(password_verify(str_of(just), STR("correct horse"), NULL));
}

/* Would run for hours, or take all memory. */
static void
a_hostile_hash_costs_one_hash(void **state)
{
	static const char *const params[] = {
		"m=4194304,t=2,p=1",
		"m=19456,t=4294967295,p=1",
		"m=99999999999999,t=2,p=1",
		"m=-1,t=2,p=1",
	};
	char text[400];

	(void)state;
	for (size_t i = 0; i < COUNT(params); i++) {
		snprintf(text, sizeof(text),
			"$argon2id$v=19$%s" TAIL "k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF4",
			params[i]);
		assert_false(password_verify(str_of(text), STR("correct horse"), NULL));
	}
	memset(text, 'A', sizeof(text));
	memcpy(text, today, sizeof(today) - 1);
	assert_false(
		password_verify((struct str){ text, sizeof(text) }, STR("correct horse"), NULL));
}

static int
by_value(const void *a, const void *b)
{
	const int64_t *x = a;
	const int64_t *y = b;

	return (*x > *y) - (*x < *y);
}

static int64_t
processor_us(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Of the processor: what else the machine does is no matter. */
static int64_t
median_us(struct str hash)
{
	enum { ROUNDS = 7 };
	int64_t us[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++) {
		int64_t start = processor_us();

		assert_false(password_verify(hash, STR("wrong horse"), NULL));
		us[i] = processor_us() - start;
	}
	qsort(us, ROUNDS, sizeof(us[0]), by_value);
	return us[ROUNDS / 2];
}

/* A comparison left out would be a thousand times faster. */
static void
an_unknown_user_takes_the_time_of_a_known_one(void **state)
{
	int64_t known = median_us(str_of(today));
	int64_t unknown = median_us((struct str){ NULL, 0 });
	int64_t broken = median_us(STR("!"));

	(void)state;
	assert_true(unknown > known / 2 && unknown < known * 2);
	assert_true(broken > known / 2 && broken < known * 2);
}

static void
nobody_can_log_in_as_the_unknown_user(void **state)
{
	(void)state;
	assert_false(password_verify((struct str){ NULL, 0 }, STR(""), NULL));
	assert_false(password_verify((struct str){ NULL, 0 }, STR("nobody"), NULL));
	assert_false(password_verify(str_of(today), (struct str){ NULL, 0 }, NULL));
}

static void
a_long_password_is_refused_and_never_cut(void **state)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct err err = { 0 };
	char text[PASSWORD_MAX + 1];
	struct str hash;

	(void)state;
	memset(text, 'k', sizeof(text));
	assert_int_equal(password_hash(a, (struct str){ text, PASSWORD_MAX }, &hash, &err), P_OK);
	assert_true(password_verify(hash, (struct str){ text, PASSWORD_MAX }, NULL));
	assert_false(password_verify(hash, (struct str){ text, PASSWORD_MAX + 1 }, NULL));
	assert_false(password_verify(hash, (struct str){ text, PASSWORD_MAX - 1 }, NULL));
	assert_int_equal(
		password_hash(a, (struct str){ text, PASSWORD_MAX + 1 }, &hash, &err), P_INTERNAL);
	arena_free(a);
}

static enum problem
check(const char *password, const char *email)
{
	struct err err = { 0 };

	return password_check(str_of(password), str_of(email), &err);
}

static void
length_is_counted_in_characters(void **state)
{
	char text[PASSWORD_MAX + 2];

	(void)state;
	assert_int_equal(check("kq7wv2z", "a@b.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("kq7wv2zx", "a@b.example"), P_OK);
	/* Four characters in eight bytes, then eight in sixteen. */
	assert_int_equal(check("\xc3\xa1\xc3\xa9\xc3\xad\xc3\xb3", ""), P_WEAK_PASSWORD);
	assert_int_equal(
		check("\xc3\xa1\xc3\xa9\xc3\xad\xc3\xb3\xc3\xba\xc3\xb1\xc3\xbc\xc3\xa7", ""),
		P_OK);
	memset(text, 'k', sizeof(text));
	text[PASSWORD_MAX] = '\0';
	assert_int_equal(check(text, ""), P_OK);
	text[PASSWORD_MAX] = 'k';
	text[PASSWORD_MAX + 1] = '\0';
	assert_int_equal(check(text, ""), P_WEAK_PASSWORD);
	assert_int_equal(check(NULL, ""), P_WEAK_PASSWORD);
}

static void
what_is_not_text_is_refused(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(check("kq7wv2zx\xff", ""), P_WEAK_PASSWORD);
	assert_int_equal(check("kq7wv2zx\x01", ""), P_WEAK_PASSWORD);
	assert_int_equal(password_check(STR("kq7w\0v2zx"), STR(""), &err), P_WEAK_PASSWORD);
}

static void
no_characters_are_demanded(void **state)
{
	(void)state;
	assert_int_equal(check("only lower case and blanks", "a@b.example"), P_OK);
	assert_int_equal(check("84620713", "a@b.example"), P_OK);
}

static void
the_address_and_the_product_do_not_carry_a_password(void **state)
{
	(void)state;
	assert_int_equal(
		check("Ana.Perez@tienda.example", "ana.perez@tienda.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("ana.perez", "Ana.Perez@tienda.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("ANA.PEREZ2024", "ana.perez@tienda.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("1ana.perezana.perez!", "ana.perez@t.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("plaza1234", "a@b.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("Plazaplaza", "a@b.example"), P_WEAK_PASSWORD);
	/* Enough stands beside it. */
	assert_int_equal(check("ana.perez walks dogs", "ana.perez@t.example"), P_OK);
	/* A local part of three letters says nothing. */
	assert_int_equal(check("bananaxy", "ana@t.example"), P_OK);
	/* A text without an '@' counts as a whole. */
	assert_int_equal(check("bananaxy1", "bananaxy"), P_WEAK_PASSWORD);
}

static void
write_list(char path[], const char *text, size_t n)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void
every_word_of_the_list_is_found_and_no_other(void **state)
{
	static const char list[] = "abcdefgh\nbaseball1\nbasketball\npassword\npassword1\n"
				   "qwertyuiop\nzzzzzzzz\n";
	static const char *const words[] = { "abcdefgh", "baseball1", "basketball", "password",
		"password1", "qwertyuiop", "zzzzzzzz" };
	static const char *const others[] = { "aaaaaaaa", "abcdefg ", "abcdefghi", "baseball",
		"baseball12", "passwore", "passworda", "zzzzzzzzz" };
	char path[] = "/tmp/plaza-passwords-XXXXXX";
	struct err err = { 0 };

	(void)state;
	write_list(path, list, sizeof(list) - 1);
	assert_int_equal(password_init(path, &err), P_OK);
	for (size_t i = 0; i < COUNT(words); i++)
		assert_int_equal(check(words[i], "a@b.example"), P_WEAK_PASSWORD);
	assert_int_equal(check("PassWord", "a@b.example"), P_WEAK_PASSWORD);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_int_equal(check(others[i], "a@b.example"), P_OK);
	/* Without a list nothing is common. */
	assert_int_equal(password_init("", &err), P_OK);
	assert_int_equal(check("password", "a@b.example"), P_OK);
	unlink(path);
}

static void
a_list_of_the_wrong_form_is_refused_and_the_old_one_kept(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} bad[] = {
#define BAD(text) { text, sizeof(text) - 1 }
		BAD(""),
		BAD("unsorted\nbytewise\n"),
		BAD("twiceone\ntwiceone\n"),
		BAD("noendofline"),
		BAD("emptyline\n\n"),
		BAD("Uppercase\n"),
#undef BAD
	};
	char good[] = "/tmp/plaza-passwords-XXXXXX";
	struct err err = { 0 };

	(void)state;
	write_list(good, "password\n", 9);
	assert_int_equal(password_init(good, &err), P_OK);
	for (size_t i = 0; i < COUNT(bad); i++) {
		char path[] = "/tmp/plaza-passwords-XXXXXX";

		write_list(path, bad[i].text, bad[i].n);
		assert_int_equal(password_init(path, &err), P_INTERNAL);
		unlink(path);
	}
	assert_int_equal(password_init("/nonexistent/list", &err), P_INTERNAL);
	assert_int_equal(password_init("/", &err), P_INTERNAL);
	assert_int_equal(check("password", "a@b.example"), P_WEAK_PASSWORD);
	assert_int_equal(password_init(NULL, &err), P_OK);
	unlink(good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_is_known_by_its_hash),
		cmocka_unit_test(two_hashes_of_one_password_differ),
		cmocka_unit_test(a_hash_of_another_program_is_verified),
		cmocka_unit_test(a_hash_is_read_only_within_its_view),
		cmocka_unit_test(weaker_parameters_ask_for_a_new_hash),
		cmocka_unit_test(hashes_of_other_kinds_open_nothing),
		cmocka_unit_test(a_hash_that_asks_for_too_much_is_not_computed),
		cmocka_unit_test(a_hostile_hash_costs_one_hash),
		cmocka_unit_test(an_unknown_user_takes_the_time_of_a_known_one),
		cmocka_unit_test(nobody_can_log_in_as_the_unknown_user),
		cmocka_unit_test(a_long_password_is_refused_and_never_cut),
		cmocka_unit_test(length_is_counted_in_characters),
		cmocka_unit_test(what_is_not_text_is_refused),
		cmocka_unit_test(no_characters_are_demanded),
		cmocka_unit_test(the_address_and_the_product_do_not_carry_a_password),
		cmocka_unit_test(every_word_of_the_list_is_found_and_no_other),
		cmocka_unit_test(a_list_of_the_wrong_form_is_refused_and_the_old_one_kept),
	};

	return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
