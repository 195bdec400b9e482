/*
 * Turns the named statements of sql/queries (format: sql/README.md) into C:
 *   mkqueries OUT.h OUT.c FILE.sql...
 * A host tool: libc only. Every fault is reported as FILE:LINE and ends the run
 * before anything is written. Memory lives until the end of the process.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define ITEMS_MAX 64
#define STATEMENTS_MAX 2000
#define POOL_BYTES (16 * 1024 * 1024)
#define MARK "-- query:"
#define INDENT "--    " /* of a header that goes on */

struct type {
	const char *sql;
	const char *id; /* enum db_type */
	const char *member;
	const char *nullable; /* member when the name ends in '?' */
};

static const struct type types[] = {
	{ "text", "DB_TEXT", "struct str ", "struct str " },
	{ "uuid", "DB_UUID", "struct uuid ", "const struct uuid *" },
	{ "int", "DB_INT", "int32_t ", "const int32_t *" },
	{ "bigint", "DB_BIGINT", "int64_t ", "const int64_t *" },
	{ "bool", "DB_BOOL", "bool ", "const bool *" },
	{ "uuid[]", "DB_UUID_ARRAY", "struct uuid_array ", "struct uuid_array " },
	{ "text[]", "DB_TEXT_ARRAY", "struct str_array ", "struct str_array " },
	{ "bigint[]", "DB_BIGINT_ARRAY", "struct i64_array ", "struct i64_array " },
};

static const struct {
	const char *word;
	const char *id;
} results[] = { { "exec", "DB_EXEC" }, { "one", "DB_ONE" }, { "maybe", "DB_MAYBE" },
	{ "many", "DB_MANY" } };

/* A parameter or a column. */
struct item {
	struct str name;
	struct str type;
	const struct type *c; /* parameters only, as the rest */
	bool nullable;
	bool used;
};

struct list {
	struct item v[ITEMS_MAX];
	size_t n;
};

struct statement {
	struct str name;
	const char *path;
	int line;
	struct list params;
	struct list columns;
	size_t result; /* index in results */
	bool read_only;
	char *sql;
	size_t sql_n;
};

/* Reading position in a file, or in the header of one statement. */
struct source {
	const char *path;
	const char *p;
	const char *end;
	int line;
};

static struct statement statements[STATEMENTS_MAX];
static size_t statement_count;

/* All text: the files, which the views point into, and the rewritten statements. */
static char pool[POOL_BYTES];
static size_t pool_n;

static _Noreturn void fail(const struct source *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static _Noreturn void
fail(const struct source *s, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: error: ", s->path, s->line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static bool
same(struct str a, struct str b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static bool
starts(const struct source *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, prefix, n) == 0;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static char
peek(const struct source *s, ptrdiff_t ahead)
{
	return s->end - s->p > ahead ? s->p[ahead] : '\0';
}

/* ---- header line ---- */

/* A header that goes on in the next line starts there with "--" as well. */
static void
skip_blanks(struct source *s)
{
	while (s->p < s->end && isspace((unsigned char)*s->p))
		s->p += starts(s, "\n--") ? 3 : 1;
}

static bool
accept(struct source *s, const char *token)
{
	skip_blanks(s);
	if (!starts(s, token))
		return false;
	s->p += strlen(token);
	return true;
}

/* Lower-case identifier: it becomes a name in C. */
static struct str
take_name(struct source *s, const char *what)
{
	struct str name;

	skip_blanks(s);
	name.p = s->p;
	while (s->p < s->end && is_word(*s->p) && !isupper((unsigned char)*s->p))
		s->p++;
	name.n = (size_t)(s->p - name.p);
	if (name.n == 0 || isdigit((unsigned char)*name.p))
		fail(s, "%s is missing or not a lower-case name", what);
	return name;
}

static struct item *
take_item(struct source *s, struct list *list, const char *what)
{
	struct item *it = &list->v[list->n];

	if (list->n == ITEMS_MAX)
		fail(s, "more than %d of them: %s", ITEMS_MAX, what);
	it->name = take_name(s, what);
	for (size_t i = 0; i < list->n; i++) {
		if (same(list->v[i].name, it->name))
			fail(s, "%s '%.*s' stands twice", what, STR_ARG(it->name));
	}
	list->n++;
	return it;
}

static void
parse_params(struct source *s, struct list *list)
{
	if (!accept(s, "("))
		fail(s, "'(' expected behind the name");
	if (accept(s, ")"))
		return;
	do {
		struct item *it = take_item(s, list, "parameter");

		it->type = take_name(s, "type of a parameter");
		if (accept(s, "[]"))
			it->type.n += 2;
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			if (same(it->type, str_of(types[i].sql)))
				it->c = &types[i];
		}
		if (!it->c)
			fail(s, "unknown type '%.*s' of a parameter", STR_ARG(it->type));
		it->nullable = accept(s, "?");
	} while (accept(s, ","));
	if (!accept(s, ")"))
		fail(s, "',' or ')' expected behind a parameter");
}

/* The type of a column may hold blanks, and commas inside of parentheses: numeric(12, 2). */
static void
parse_columns(struct source *s, struct list *list)
{
	do {
		struct item *it = take_item(s, list, "column");
		int depth = 0;

		skip_blanks(s);
		it->type.p = s->p;
		for (; s->p < s->end && *s->p != '\n' && (*s->p != ',' || depth > 0); s->p++)
			depth += (*s->p == '(') - (*s->p == ')');
		it->type.n = (size_t)(s->p - it->type.p);
		while (it->type.n > 0 && isspace((unsigned char)it->type.p[it->type.n - 1]))
			it->type.n--;
		if (it->type.n == 0)
			fail(s, "type of column '%.*s' is missing", STR_ARG(it->name));
	} while (accept(s, ","));
}

static void
parse_header(struct source *s, struct statement *q)
{
	size_t n = sizeof(results) / sizeof(results[0]);
	struct str word;

	q->path = s->path;
	q->line = s->line;
	q->name = take_name(s, "name of the statement");
	for (size_t i = 0; i < statement_count; i++) {
		if (same(statements[i].name, q->name))
			fail(s, "statement '%.*s' is also in %s:%d", STR_ARG(q->name),
				statements[i].path, statements[i].line);
	}
	parse_params(s, &q->params);
	word = take_name(s, "number of rows");
	while (q->result < n && !same(word, str_of(results[q->result].word)))
		q->result++;
	if (q->result == n)
		fail(s, "'%.*s' is none of exec, one, maybe, many", STR_ARG(word));
	q->read_only = accept(s, "read");
	if (accept(s, "->"))
		parse_columns(s, &q->columns);
	skip_blanks(s);
	if (s->p < s->end)
		fail(s, "cannot read the header from '%.*s' on", (int)(s->end - s->p), s->p);
	if ((q->result == 0) != (q->columns.n == 0))
		fail(s, "%s", q->result == 0 ? "exec has no columns" : "columns are missing");
}

/* ---- the statement itself ---- */

static void
put(struct statement *q, const char *p, size_t n)
{
	memcpy(q->sql + q->sql_n, p, n);
	q->sql_n += n;
}

/* Moves on by n bytes, which stay in the statement. */
static void
keep(struct source *s, struct statement *q, size_t n)
{
	put(q, s->p, n);
	for (; n > 0; n--)
		s->line += *s->p++ == '\n';
}

/* A doubled quote is two literals side by side, so only the backslash needs care. */
static void
lex_quoted(struct source *s, struct statement *q, bool backslash)
{
	struct source start = *s;
	char quote = *s->p;

	keep(s, q, 1);
	while (peek(s, 0) != quote) {
		if (s->p >= s->end)
			fail(&start, "the literal that starts here does not end");
		keep(s, q, backslash && *s->p == '\\' && s->end - s->p > 1 ? 2 : 1);
	}
	keep(s, q, 1);
}

static void
lex_dollar(struct source *s, struct statement *q)
{
	struct source start = *s;
	size_t n = 1;

	if (isdigit((unsigned char)peek(s, 1)))
		fail(s, "parameters have names: write :name");
	while (is_word(peek(s, (ptrdiff_t)n)))
		n++;
	if (peek(s, (ptrdiff_t)n) != '$')
		fail(s, "'$' is not the start of a dollar quote");
	n++;
	keep(s, q, n);
	while ((size_t)(s->end - s->p) >= n && memcmp(s->p, start.p, n) != 0)
		keep(s, q, 1);
	if ((size_t)(s->end - s->p) < n)
		fail(&start, "the dollar quote that starts here does not end");
	keep(s, q, n);
}

static void
lex_line_comment(struct source *s)
{
	if (starts(s, MARK))
		fail(s, "the statement before this one does not end with ';'");
	while (s->p < s->end && *s->p != '\n')
		s->p++;
}

/* PostgreSQL nests them. */
static void
lex_block_comment(struct source *s, struct statement *q)
{
	struct source start = *s;
	int depth = 0;

	do {
		if (s->end - s->p < 2)
			fail(&start, "the comment that starts here does not end");
		if (starts(s, "/*") || starts(s, "*/")) {
			depth += starts(s, "/*") ? 1 : -1;
			s->p++;
		}
		s->line += *s->p++ == '\n';
	} while (depth > 0);
	put(q, " ", 1);
}

static void
lex_colon(struct source *s, struct statement *q)
{
	char number[16];
	struct str name;
	size_t i = 0;

	if (peek(s, 1) == ':' || peek(s, 1) == '=') {
		keep(s, q, 2);
		return;
	}
	if (!is_word(peek(s, 1)) || isdigit((unsigned char)peek(s, 1))) {
		keep(s, q, 1);
		return;
	}
	s->p++;
	name.p = s->p;
	while (is_word(peek(s, 0)))
		s->p++;
	name.n = (size_t)(s->p - name.p);
	while (i < q->params.n && !same(q->params.v[i].name, name))
		i++;
	if (i == q->params.n)
		fail(s, "':%.*s' is no parameter of %.*s", STR_ARG(name), STR_ARG(q->name));
	q->params.v[i].used = true;
	put(q, number, (size_t)snprintf(number, sizeof(number), "$%zu", i + 1));
}

/* Copies words whole, so that the E of E'...' is seen only where it stands alone. */
static void
lex_word(struct source *s, struct statement *q)
{
	const char *word = s->p;

	while (is_word(peek(s, 0)) || (s->p > word && peek(s, 0) == '$'))
		keep(s, q, 1);
	if (s->p - word == 1 && (*word == 'E' || *word == 'e') && peek(s, 0) == '\'')
		lex_quoted(s, q, true);
}

static void
parse_sql(struct source *s, struct statement *q)
{
	/* ":a" may become "$12": the text grows by less than its length. */
	if (pool_n + 2 * (size_t)(s->end - s->p) > POOL_BYTES)
		fail(s, "the files have more than %d bytes", POOL_BYTES);
	q->sql = pool + pool_n;
	for (;;) {
		char c = peek(s, 0);

		if (s->p >= s->end)
			fail(s, "statement '%.*s' does not end with ';'", STR_ARG(q->name));
		if (c == ';')
			break;
		if (starts(s, "--"))
			lex_line_comment(s);
		else if (starts(s, "/*"))
			lex_block_comment(s, q);
		else if (c == '\'' || c == '"')
			lex_quoted(s, q, false);
		else if (c == '$')
			lex_dollar(s, q);
		else if (c == ':')
			lex_colon(s, q);
		else if (is_word(c))
			lex_word(s, q);
		else
			keep(s, q, 1);
	}
	s->p++;
	while (q->sql_n > 0 && isspace((unsigned char)q->sql[q->sql_n - 1]))
		q->sql_n--;
	pool_n += q->sql_n;
}

/* ---- files ---- */

static struct str
take_line(struct source *s)
{
	const char *nl = memchr(s->p, '\n', (size_t)(s->end - s->p));
	struct str line = { s->p, (size_t)((nl ? nl : s->end) - s->p) };

	s->p = nl ? nl + 1 : s->end;
	s->line++;
	return line;
}

static void
parse_statement(struct source *s)
{
	struct statement *q = &statements[statement_count];
	struct source header = { s->path, NULL, NULL, s->line };
	bool purpose = false;

	if (statement_count == STATEMENTS_MAX)
		fail(&header, "more than %d statements", STATEMENTS_MAX);
	header.p = s->p + strlen(MARK);
	do
		take_line(s);
	while (starts(s, INDENT));
	header.end = s->p;
	parse_header(&header, q);
	statement_count++;
	while (starts(s, "--") && !starts(s, MARK))
		purpose = take_line(s).n > strlen("-- ") || purpose;
	if (!purpose)
		fail(&header, "say in a comment what '%.*s' is for", STR_ARG(q->name));
	parse_sql(s, q);
	if (q->sql_n == 0)
		fail(&header, "statement '%.*s' is empty", STR_ARG(q->name));
	for (size_t i = 0; i < q->params.n; i++) {
		if (!q->params.v[i].used)
			fail(&header, "parameter '%.*s' is not used", STR_ARG(q->params.v[i].name));
	}
}

static void
read_file(const char *path)
{
	struct source s = { path, pool + pool_n, NULL, 1 };
	FILE *f = fopen(path, "r");

	if (!f)
		fail(&s, "%s", strerror(errno));
	pool_n += fread(pool + pool_n, 1, POOL_BYTES - pool_n, f);
	if (ferror(f) || pool_n == POOL_BYTES)
		fail(&s, "cannot be read, or is too long");
	fclose(f);
	s.end = pool + pool_n;
	while (s.p < s.end) {
		if (starts(&s, MARK))
			parse_statement(&s);
		else if (starts(&s, "--"))
			take_line(&s);
		else if (isspace((unsigned char)*s.p))
			s.line += *s.p++ == '\n';
		else
			fail(&s, "text outside of a statement");
	}
}

/* ---- output ---- */

static void
print_upper(FILE *f, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		fputc(toupper((unsigned char)s.p[i]), f);
}

static void
print_declarations(FILE *f, const struct statement *q)
{
	fprintf(f, "\n/* %s:%d */\nstruct q_%.*s {\n", q->path, q->line, STR_ARG(q->name));
	for (size_t i = 0; i < q->params.n; i++) {
		const struct item *it = &q->params.v[i];

		fprintf(f, "\t%s%.*s;\n", it->nullable ? it->c->nullable : it->c->member,
			STR_ARG(it->name));
	}
	fprintf(f, "%s};\n", q->params.n == 0 ? "\tint no_parameters;\n" : "");
	for (size_t i = 0; i < q->columns.n; i++) {
		fputs(i == 0 ? "enum { Q_" : ", Q_", f);
		print_upper(f, q->name);
		fputc('_', f);
		print_upper(f, q->columns.v[i].name);
	}
	fprintf(f,
		"%senum problem q_%.*s(struct db *db, const struct q_%.*s *params, "
		"struct rows **rows,\n\tstruct err *err) __attribute__((warn_unused_result));\n",
		q->columns.n > 0 ? " };\n" : "", STR_ARG(q->name), STR_ARG(q->name));
}

static void
print_header(FILE *f)
{
	fputs("/* Made by mkqueries from sql/queries; do not edit. */\n"
	      "#ifndef PLAZA_GEN_QUERIES_H\n#define PLAZA_GEN_QUERIES_H\n\n"
	      "#include \"io/db.h\"\n\nenum query_id {\n",
		f);
	for (size_t i = 0; i < statement_count; i++) {
		fputs("\tQUERY_", f);
		print_upper(f, statements[i].name);
		fputs(",\n", f);
	}
	fputs("\tQUERY_COUNT_ALL\n};\n", f);
	for (size_t i = 0; i < statement_count; i++)
		print_declarations(f, &statements[i]);
	fputs("\n#endif\n", f);
}

/* Question marks are escaped because two of them would start a trigraph. */
static void
print_literal(FILE *f, const char *p, size_t n)
{
	fputs("\t\t\"", f);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			fputs(i + 1 < n ? "\\n\"\n\t\t\"" : "\\n", f);
		else if (p[i] == '\t')
			fputs("\\t", f);
		else if (p[i] == '"' || p[i] == '\\' || p[i] == '?')
			fprintf(f, "\\%c", p[i]);
		else
			fputc(p[i], f);
	}
	fputc('"', f);
}

static void
print_row(FILE *f, const struct statement *q)
{
	fprintf(f, "\t{\n\t\t.name = \"%.*s\",\n\t\t.sql =\n", STR_ARG(q->name));
	print_literal(f, q->sql, q->sql_n);
	fprintf(f, ",\n\t\t.params = (const struct db_param[]){\n");
	for (size_t i = 0; i < q->params.n; i++) {
		const struct item *it = &q->params.v[i];

		fprintf(f, "\t\t\t{ \"%.*s\", %s, %s, offsetof(struct q_%.*s, %.*s) },\n",
			STR_ARG(it->name), it->c->id, it->nullable ? "true" : "false",
			STR_ARG(q->name), STR_ARG(it->name));
	}
	fprintf(f, "\t\t\t{ 0 } },\n\t\t.param_count = %zu,\n", q->params.n);
	fputs("\t\t.columns = (const char *const[]){", f);
	for (size_t i = 0; i < q->columns.n; i++)
		fprintf(f, " \"%.*s %.*s\",", STR_ARG(q->columns.v[i].name),
			STR_ARG(q->columns.v[i].type));
	fprintf(f, " NULL },\n\t\t.column_count = %zu,\n", q->columns.n);
	fprintf(f, "\t\t.result = %s,\n\t\t.read_only = %s,\n\t},\n", results[q->result].id,
		q->read_only ? "true" : "false");
}

static void
print_source(FILE *f)
{
	fputs("/* Made by mkqueries from sql/queries; do not edit. */\n"
	      "#include \"queries.h\"\n",
		f);
	fputs("\nconst struct query db_queries[] = {\n", f);
	for (size_t i = 0; i < statement_count; i++)
		print_row(f, &statements[i]);
	/* An array may not be empty, so one row more stands behind the counted ones. */
	fprintf(f, "\t{ 0 },\n};\nconst size_t db_query_count = %zu;\n", statement_count);
	for (size_t i = 0; i < statement_count; i++) {
		struct str name = statements[i].name;

		fprintf(f,
			"\nenum problem\nq_%.*s(struct db *db, const struct q_%.*s *params, "
			"struct rows **rows,\n\tstruct err *err)\n{\n"
			"\treturn db_run(db, &db_queries[%zu], params, rows, err);\n}\n",
			STR_ARG(name), STR_ARG(name), i);
	}
}

static void
write_file(const char *path, void (*print)(FILE *))
{
	FILE *f = fopen(path, "w");

	if (f)
		print(f);
	if (!f || ferror(f) || fclose(f) != 0) {
		fprintf(stderr, "mkqueries: %s: %s\n", path, strerror(errno));
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: mkqueries OUT.h OUT.c FILE.sql...\n", stderr);
		return 2;
	}
	for (int i = 3; i < argc; i++)
		read_file(argv[i]);
	write_file(argv[1], print_header);
	write_file(argv[2], print_source);
	return 0;
}
