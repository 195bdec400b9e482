#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "io/conf.h"

/* A folder for the files of one test. */
struct fixture {
	char dir[64];
	struct err err;
};

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_io_conf.XXXXXX");
	*state = f;
	return mkdtemp(f->dir) ? 0 : -1;
}

static int
stop(void **state)
{
	struct fixture *f = *state;
	const char *const names[] = { "main", "a", "b", "secret" };
	char path[128];

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

static const char *
path_of(struct fixture *f, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static void
put(struct fixture *f, const char *name, const void *text, size_t n, mode_t mode)
{
	FILE *file = fopen(path_of(f, name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path_of(f, name), mode), 0);
}

static struct conf *
load(struct fixture *f, const char *text)
{
	err_clear(&f->err);
	put(f, "main", text, strlen(text), 0644);
	return conf_load(path_of(f, "main"), &f->err);
}

/* The text is refused, for this reason at this line. */
static void
assert_refused(struct fixture *f, const char *text, int line, const char *reason)
{
	char place[160];

	assert_null(load(f, text));
	snprintf(place, sizeof(place), "%s:%d: ", path_of(f, "main"), line);
	assert_ptr_equal(strstr(f->err.detail, place), f->err.detail);
	if (!strstr(f->err.detail, reason))
		fail_msg("'%s' does not say '%s'", f->err.detail, reason);
}

static void
without_a_file_there_are_defaults(void **state)
{
	struct fixture *f = *state;
	struct conf *c = conf_load(NULL, &f->err);

	assert_non_null(c);
	assert_string_equal(c->db, "dbname=plaza");
	assert_int_equal(c->access_ttl_s, 900);
	assert_string_equal(c->redis_user, "");
	conf_free(c);
	conf_free(NULL);
}

static void
a_file_changes_what_it_names(void **state)
{
	struct fixture *f = *state;
	struct conf *c = load(f, "# comment\n\n  db = host=/tmp dbname=x # y \n"
				 "access_ttl_s=60\n\tmqtt_urls\t=\nissuer = \xc3\xb1");

	assert_non_null(c);
	assert_string_equal(c->db, "host=/tmp dbname=x # y");
	assert_int_equal(c->access_ttl_s, 60);
	assert_string_equal(c->mqtt_urls, "");
	assert_string_equal(c->issuer, "\xc3\xb1");
	assert_int_equal(c->mqtt_ttl_s, 3600);
	conf_free(c);
}

static void
faults_are_told_with_their_line(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "db = x\nno_such_key = 1\n", 2, "unknown key 'no_such_key'");
	assert_refused(f, "db = x\n\ndb = y\n", 3, "db stands twice");
	assert_refused(f, "db\n", 1, "not key = value");
	assert_refused(f, "access_ttl_s = 59\n", 1, "not in 60 to 3600");
	assert_refused(f, "access_ttl_s = 3601\n", 1, "not in 60 to 3600");
	assert_refused(f, "access_ttl_s = 60s\n", 1, "not a whole number");
	assert_refused(f, "access_ttl_s =\n", 1, "not a whole number");
	assert_refused(f, "currency = US\n", 1, "length");
	assert_refused(f, "currency = USDX\n", 1, "length");
	assert_refused(f, "db = \n", 1, "length");
	assert_refused(f, "issuer = \xff\n", 1, "UTF-8");
	assert_refused(f, "issuer = a\r\n", 1, "UTF-8");
	assert_refused(f, "include \n", 1, "not key = value");
}

static void
a_missing_file_is_an_error(void **state)
{
	struct fixture *f = *state;

	assert_null(conf_load(path_of(f, "none"), &f->err));
	assert_non_null(strstr(f->err.detail, "No such file"));
	assert_null(conf_load(f->dir, &f->err));
	assert_non_null(strstr(f->err.detail, "not a regular file"));
	assert_refused(f, "\ninclude none\n", 2, "No such file");
}

static void
a_huge_file_is_an_error(void **state)
{
	struct fixture *f = *state;
	char *text = malloc(70000);

	memset(text, '\n', 70000);
	put(f, "a", text, 70000, 0644);
	free(text);
	assert_null(conf_load(path_of(f, "a"), &f->err));
	assert_non_null(strstr(f->err.detail, "too long"));
}

static void
files_include_others_beside_them(void **state)
{
	struct fixture *f = *state;
	struct conf *c;

	put(f, "a", "issuer = a\ninclude b\n", 21, 0644);
	put(f, "b", "currency = EUR\n", 15, 0644);
	c = load(f, "include a\ndb = x\n");
	assert_non_null(c);
	assert_string_equal(c->issuer, "a");
	assert_string_equal(c->currency, "EUR");
	assert_string_equal(c->db, "x");
	conf_free(c);
	assert_null(load(f, "currency = MXN\ninclude a\n"));
	assert_non_null(strstr(f->err.detail, "/b:1: currency stands twice"));
}

static void
a_file_that_includes_itself_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "include main\n", 1, "include one another");
}

static void
a_secret_file_open_to_others_is_refused(void **state)
{
	struct fixture *f = *state;
	char text[160];
	struct conf *c;

	put(f, "secret", "0123456789\n", 11, 0640);
	snprintf(text, sizeof(text), "\nmqtt_secret_file = %s\n", path_of(f, "secret"));
	c = load(f, text);
	assert_non_null(c);
	conf_free(c);
	assert_int_equal(chmod(path_of(f, "secret"), 0644), 0);
	assert_refused(f, text, 2, "others have access");
	assert_int_equal(chmod(path_of(f, "secret"), 0642), 0);
	assert_refused(f, text, 2, "others have access");
}

static void
the_secret_is_the_first_line(void **state)
{
	struct fixture *f = *state;
	struct conf *c = conf_load(NULL, &f->err);
	const char *secret = NULL;

	put(f, "secret", "0123456789\nmore\n", 16, 0600);
	assert_int_equal(conf_secret(c, path_of(f, "secret"), 10, &secret, &f->err), P_OK);
	assert_string_equal(secret, "0123456789");
	put(f, "secret", "no newline", 10, 0600);
	assert_int_equal(conf_secret(c, path_of(f, "secret"), 10, &secret, &f->err), P_OK);
	assert_string_equal(secret, "no newline");
	conf_free(c);
}

static void
a_bad_secret_leaves_the_output_alone(void **state)
{
	struct fixture *f = *state;
	struct conf *c = conf_load(NULL, &f->err);
	const char *secret = "before";

	assert_int_equal(conf_secret(c, path_of(f, "none"), 1, &secret, &f->err), P_INTERNAL);
	put(f, "secret", "012345678\n", 10, 0600);
	assert_int_equal(conf_secret(c, path_of(f, "secret"), 10, &secret, &f->err), P_INTERNAL);
	assert_non_null(strstr(f->err.detail, "less than 10 bytes"));
	put(f, "secret",
		"0123\0"
		"56789\n",
		11, 0600);
	assert_int_equal(conf_secret(c, path_of(f, "secret"), 1, &secret, &f->err), P_INTERNAL);
	put(f, "secret", "0123456789\n", 11, 0604);
	assert_int_equal(conf_secret(c, path_of(f, "secret"), 1, &secret, &f->err), P_INTERNAL);
	assert_non_null(strstr(f->err.detail, "others have access"));
	assert_null(strstr(f->err.detail, "0123456789"));
	assert_string_equal(secret, "before");
	conf_free(c);
}

static void
the_sample_is_accepted_and_names_every_key(void **state)
{
	struct fixture *f = *state;
	struct arena *a = arena_new(1024 * 1024);
	struct buf b;
	struct conf *c;
	char *text;
	size_t lines = 0;

	buf_init(&b, a, 100000);
	conf_print_sample(&b);
	text = str_z(a, buf_str(&b));
	c = load(f, text);
	assert_non_null(c);
	conf_free(c);
	/* With the keys uncommented it says what the defaults say. */
	for (char *p = text; (p = strstr(p, "\n#")); p++) {
		if (p[2] != ' ') {
			p[1] = ' ';
			lines++;
		}
	}
#define CONF(type, name, def, min, max, secret, text) lines--;
#include "io/conf.def"
#undef CONF
	assert_int_equal(lines, 0);
	c = load(f, text);
	assert_non_null(c);
	assert_int_equal(c->refresh_max_s, 7776000);
	conf_free(c);
	arena_free(a);
}

static void
the_manual_list_names_every_key(void **state)
{
	struct arena *a = arena_new(1024 * 1024);
	struct buf b;

	(void)state;
	buf_init(&b, a, 100000);
	conf_print_mdoc(&b);
	assert_true(str_starts(buf_str(&b), ".Bl "));
	assert_true(str_ends(buf_str(&b), ".El\n"));
#define CONF(type, name, def, min, max, secret, text) \
	assert_non_null(strstr(b.p, "\n.It Ic " #name " "));
#include "io/conf.def"
#undef CONF
	arena_free(a);
}

int
main(void)
{
#define CONF_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		CONF_TEST(without_a_file_there_are_defaults),
		CONF_TEST(a_file_changes_what_it_names),
		CONF_TEST(faults_are_told_with_their_line),
		CONF_TEST(a_missing_file_is_an_error),
		CONF_TEST(a_huge_file_is_an_error),
		CONF_TEST(files_include_others_beside_them),
		CONF_TEST(a_file_that_includes_itself_is_refused),
		CONF_TEST(a_secret_file_open_to_others_is_refused),
		CONF_TEST(the_secret_is_the_first_line),
		CONF_TEST(a_bad_secret_leaves_the_output_alone),
		CONF_TEST(the_sample_is_accepted_and_names_every_key),
		CONF_TEST(the_manual_list_names_every_key),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
