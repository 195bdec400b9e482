/* Drives the host tool mkqueries, which the build leaves two folders above this program. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define TEXT_MAX 20000

static char tool[512];

struct fixture {
	char dir[64];
	char header[TEXT_MAX]; /* what the tool wrote */
	char source[TEXT_MAX];
	char message[TEXT_MAX];
	int status;
};

static const char *
path_of(const struct fixture *f, const char *name)
{
	static char paths[4][128];
	static size_t next;
	char *path = paths[next++ % COUNT(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
	return path;
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/test_mkqueries.XXXXXX");
	*state = f;
	return mkdtemp(f->dir) ? 0 : -1;
}

static void
remove_outputs(const struct fixture *f)
{
	unlink(path_of(f, "out.h"));
	unlink(path_of(f, "out.c"));
	unlink(path_of(f, "message"));
}

static int
stop(void **state)
{
	struct fixture *f = *state;

	remove_outputs(f);
	unlink(path_of(f, "a.sql"));
	unlink(path_of(f, "b.sql"));
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
put(const struct fixture *f, const char *name, const char *text)
{
	FILE *file = fopen(path_of(f, name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* The text of a file; empty when there is none. */
static void
get(const struct fixture *f, const char *name, char *text)
{
	FILE *file = fopen(path_of(f, name), "r");
	size_t n = file ? fread(text, 1, TEXT_MAX - 1, file) : 0;

	text[n] = '\0';
	if (file)
		fclose(file);
}

/* Runs the tool over the files with these texts; NULL = no file. */
static void
run(struct fixture *f, const char *a, const char *b)
{
	char *argv[] = { tool, strdup(path_of(f, "out.h")), strdup(path_of(f, "out.c")),
		a ? strdup(path_of(f, "a.sql")) : NULL, b ? strdup(path_of(f, "b.sql")) : NULL,
		NULL };

	if (a)
		put(f, "a.sql", a);
	if (b)
		put(f, "b.sql", b);
	remove_outputs(f);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int fd = open(path_of(f, "message"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, STDERR_FILENO);
		execv(tool, argv);
		_exit(127);
	}
	while (waitpid(child, &f->status, 0) < 0)
		assert_int_equal(errno, EINTR);
	get(f, "out.h", f->header);
	get(f, "out.c", f->source);
	get(f, "message", f->message);
	for (size_t i = 1; argv[i]; i++)
		free(argv[i]);
}

static void
assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in:\n%s", part, text);
}

/* Runs a statement without parameters and compares the SQL that comes out. */
static void
assert_kept(struct fixture *f, const char *sql, const char *literal)
{
	char text[1000];

	snprintf(text, sizeof(text), "-- query: q (a int, b text) exec\n-- Why.\n%s :a :b;\n", sql);
	run(f, text, NULL);
	if (f->status != 0)
		fail_msg("%s: %s", sql, f->message);
	snprintf(text, sizeof(text), "\"%s $1 $2\"", literal);
	assert_has(f->source, text);
}

static void
no_files_give_an_empty_list(void **state)
{
	struct fixture *f = *state;

	run(f, NULL, NULL);
	assert_int_equal(f->status, 0);
	assert_has(f->source, "db_query_count = 0;");
	assert_has(f->header, "enum query_id");
	run(f, "-- nothing but a comment\n\n", NULL);
	assert_int_equal(f->status, 0);
	assert_has(f->source, "db_query_count = 0;");
}

static void
a_statement_becomes_a_verb(void **state)
{
	struct fixture *f = *state;

	run(f,
		"-- query: get (id uuid, v uuid?, n int?, big bigint, on bool?, t text?,\n"
		"--     ids uuid[], names text[]?, at bigint[]) maybe read\n"
		"--     -> body text, price numeric(12, 2), at timestamp with time zone\n"
		"-- What it is for.\n"
		"SELECT a, b, c FROM t\n"
		"WHERE id = :id AND :v::uuid = ANY (:ids) AND :n + :big > 0\n"
		"  AND :on AND :t = ANY (:names) AND 1 = ANY (:at);\n",
		NULL);
	assert_string_equal(f->message, "");
	assert_int_equal(f->status, 0);
	assert_has(f->header, "struct q_get {\n\tstruct uuid id;\n\tconst struct uuid *v;\n"
			      "\tconst int32_t *n;\n\tint64_t big;\n\tconst bool *on;\n"
			      "\tstruct str t;\n\tstruct uuid_array ids;\n"
			      "\tstruct str_array names;\n\tstruct i64_array at;\n};\n");
	assert_has(f->header, "enum { Q_GET_BODY, Q_GET_PRICE, Q_GET_AT };");
	assert_has(f->header, "enum problem q_get(struct db *db, const struct q_get *params");
	assert_has(f->source, "\"WHERE id = $1 AND $2::uuid = ANY ($7) AND $3 + $4 > 0\\n\"");
	assert_has(f->source, "{ \"v\", DB_UUID, true, offsetof(struct q_get, v) }");
	assert_has(f->source, "\"price numeric(12, 2)\"");
	assert_has(
		f->source, ".column_count = 3,\n\t\t.result = DB_MAYBE,\n\t\t.read_only = true,");
}

static void
a_struct_is_never_empty(void **state)
{
	struct fixture *f = *state;

	run(f, "-- query: q () exec\n-- Why.\nSELECT 1;\n", NULL);
	assert_int_equal(f->status, 0);
	assert_has(f->header, "struct q_q {\n\tint no_parameters;\n};");
}

static void
statements_keep_their_order_over_files(void **state)
{
	struct fixture *f = *state;

	run(f, "-- query: z () exec\n-- Why.\nSELECT 1;\n-- query: y () exec\n-- Why.\nSELECT 2;\n",
		"-- query: a () exec\n-- Why.\nSELECT 3;\n");
	assert_int_equal(f->status, 0);
	assert_has(f->header, "\tQUERY_Z,\n\tQUERY_Y,\n\tQUERY_A,\n");
	assert_has(f->source, "db_run(db, &db_queries[2], params, rows, err)");
}

static void
colons_in_literals_are_no_parameters(void **state)
{
	struct fixture *f = *state;

	assert_kept(f, "SELECT ':x'", "SELECT ':x'");
	assert_kept(f, "SELECT 'it''s :x'", "SELECT 'it''s :x'");
	assert_kept(f, "SELECT E'\\':x'", "SELECT E'\\\\':x'");
	assert_kept(f, "SELECT 'a\\'", "SELECT 'a\\\\'");
	assert_kept(f, "SELECT name'\\'", "SELECT name'\\\\'");
	assert_kept(f, "SELECT \":x\"", "SELECT \\\":x\\\"");
	assert_kept(f, "SELECT $$:x;$$", "SELECT $$:x;$$");
	assert_kept(f, "SELECT $t$:x $$ ;$t$", "SELECT $t$:x $$ ;$t$");
	assert_kept(f, "SELECT a$b, ';', '--', '/*'", "SELECT a$b, ';', '--', '/*'");
}

static void
colons_of_sql_stay(void **state)
{
	struct fixture *f = *state;

	assert_kept(f, "SELECT x::text, f(y := 1)", "SELECT x::text, f(y := 1)");
	assert_kept(f, "SELECT a[1:2], a[1 : n], a[:3]", "SELECT a[1:2], a[1 : n], a[:3]");
	assert_kept(f, "SELECT :a::text,:b", "SELECT $1::text,$2");
}

static void
comments_are_dropped(void **state)
{
	struct fixture *f = *state;

	assert_kept(f, "SELECT -- it's :x;\n1", "SELECT \\n\"\n\t\t\"1");
	assert_kept(f, "SELECT /* it's :x; /* nested */ ; */ 1", "SELECT   1");
}

static void
no_trigraph_comes_out(void **state)
{
	struct fixture *f = *state;

	assert_kept(f, "SELECT j ?| 'a' \?\?/ '\t'", "SELECT j \\?| 'a' \\?\\?/ '\\t'");
}

static void
faults_are_told_with_file_and_line(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		int line;
		const char *reason;
	} cases[] = {
		{ "-- query: q (a int) exec\n-- W.\nSELECT :b;", 3, "':b' is no parameter of q" },
		{ "\n-- query: q (a int) exec\n-- W.\nSELECT 1;", 2, "'a' is not used" },
		{ "-- query: q () exec\nSELECT 1;", 1, "what 'q' is for" },
		{ "-- query: q () exec\n--\nSELECT 1;", 1, "what 'q' is for" },
		{ "-- query: q () exec\n-- W.\nSELECT 1;\n-- query: q () exec\n-- W.\nSELECT 1;", 4,
			"'q' is also in" },
		{ "-- query: q (a int, a int) exec\n-- W.\nSELECT :a;", 1, "'a' stands twice" },
		{ "-- query: q () one -> a int, a int\n-- W.\nSELECT 1;", 1, "'a' stands twice" },
		{ "-- query: q (a numeric) exec\n-- W.\nSELECT :a;", 1, "unknown type 'numeric'" },
		{ "-- query: q (a int[]) exec\n-- W.\nSELECT :a;", 1, "unknown type 'int[]'" },
		{ "-- query: q (a int exec\n-- W.\nSELECT :a;", 1, "',' or ')' expected" },
		{ "-- query: q exec\n-- W.\nSELECT 1;", 1, "'(' expected" },
		{ "-- query: Q () exec\n-- W.\nSELECT 1;", 1, "not a lower-case name" },
		{ "-- query: q () some\n-- W.\nSELECT 1;", 1, "'some' is none of" },
		{ "-- query: q () exec more\n-- W.\nSELECT 1;", 1, "cannot read the header" },
		{ "-- query: q () exec -> a int\n-- W.\nSELECT 1;", 1, "exec has no columns" },
		{ "-- query: q () one\n-- W.\nSELECT 1;", 1, "columns are missing" },
		{ "-- query: q () one -> a\n-- W.\nSELECT 1;", 1, "type of column 'a'" },
		{ "-- query: q () exec\n-- W.\nSELECT 1\n", 4, "does not end with ';'" },
		{ "-- query: q () exec\n-- W.\nSELECT 1\n-- query: r () exec\n", 4,
			"does not end with ';'" },
		{ "-- query: q () exec\n-- W.\n\n;", 1, "'q' is empty" },
		{ "-- query: q () exec\n-- W.\nSELECT 'a\n;\n", 3, "does not end" },
		{ "-- query: q () exec\n-- W.\nSELECT $x$a$;\n", 3, "does not end" },
		{ "-- query: q () exec\n-- W.\nSELECT 1 /* a /* */;\n", 3, "does not end" },
		{ "-- query: q () exec\n-- W.\nSELECT $1;\n", 3, "write :name" },
		{ "-- query: q () exec\n-- W.\nSELECT 1; SELECT 2;\n", 3,
			"outside of a statement" },
		{ "SELECT 1;\n", 1, "outside of a statement" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char place[200];

		run(f, cases[i].text, NULL);
		if (!WIFEXITED(f->status) || WEXITSTATUS(f->status) != 1)
			fail_msg("status %d for:\n%s", f->status, cases[i].text);
		snprintf(
			place, sizeof(place), "%s:%d: error: ", path_of(f, "a.sql"), cases[i].line);
		assert_has(f->message, place);
		assert_has(f->message, cases[i].reason);
		assert_string_equal(f->header, "");
		assert_string_equal(f->source, "");
	}
}

static void
a_file_that_is_not_there_is_a_fault(void **state)
{
	struct fixture *f = *state;

	run(f, "-- nothing\n", NULL);
	unlink(path_of(f, "a.sql"));
	char *argv[] = { tool, strdup(path_of(f, "out.h")), strdup(path_of(f, "out.c")),
		strdup(path_of(f, "a.sql")), NULL };
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		execv(tool, argv);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &f->status, 0), child);
	assert_int_equal(WEXITSTATUS(f->status), 1);
	for (size_t i = 1; argv[i]; i++)
		free(argv[i]);
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

#define MKQ_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		MKQ_TEST(no_files_give_an_empty_list),
		MKQ_TEST(a_statement_becomes_a_verb),
		MKQ_TEST(a_struct_is_never_empty),
		MKQ_TEST(statements_keep_their_order_over_files),
		MKQ_TEST(colons_in_literals_are_no_parameters),
		MKQ_TEST(colons_of_sql_stay),
		MKQ_TEST(comments_are_dropped),
		MKQ_TEST(no_trigraph_comes_out),
		MKQ_TEST(faults_are_told_with_file_and_line),
		MKQ_TEST(a_file_that_is_not_there_is_a_fault),
	};

	(void)argc;
	snprintf(tool, sizeof(tool), "%.*s/../../mkqueries", slash ? (int)(slash - argv[0]) : 1,
		slash ? argv[0] : ".");
	return cmocka_run_group_tests_name("mkqueries", tests, NULL, NULL);
}
