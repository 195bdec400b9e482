/*
 * plazactl migrate: brings the schema forward. Each migration runs once, in one
 * transaction with the row that records it; a recorded one must not change any
 * more. Functions and views are applied again every time, all in one
 * transaction, and functions that the files no longer make are dropped. A lock
 * in the database keeps two runs apart.
 *
 * The SQL stands here and not in sql/queries: a named statement is prepared
 * against the schema, which does not exist yet. Its text is made of constants,
 * of names that good_name() or functions_in() has passed, of checksums, of
 * numbers and of signatures as the server prints them.
 */
#include "ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/encode.h"
#include "io/digest.h"

#define FILE_MAX (4 * 1024 * 1024)
#define NAME_MAX_CHARS 100
#define LOCK_KEY "7096531201" /* any number that nothing else in the database locks */
#define DEFAULT_DIR PLAZA_PREFIX "/share/plaza/sql"
#define MADE_MAX (256 * 1024) /* bytes of the names of all functions */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_"

struct migrator {
	struct db *db;
	struct arena *arena;
	const char *dir;
	const char *at;  /* file in work, for messages */
	struct buf made; /* functions that the files make: 'a','b', */
	struct err *err;
};

struct names {
	const char **v;
	size_t n;
};

struct script {
	const char *sql;
	const char *checksum; /* SHA-256, hexadecimal */
};

static int
is_script(const struct dirent *e)
{
	return e->d_name[0] != '.' && str_ends(str_of(e->d_name), ".sql");
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The scripts of a folder in the order of their names; a folder that is missing has none. */
static enum problem
list(struct migrator *m, const char *folder, struct names *out)
{
	struct dirent **entries;
	int n;

	m->at = folder;
	n = scandir(arena_printf(m->arena, "%s/%s", m->dir, folder), &entries, is_script, by_name);
	if (n < 0 && errno == ENOENT)
		n = 0;
	else if (n < 0)
		return ERR_SAY(m->err, P_INTERNAL, "%s", strerror(errno));
	out->v = arena_calloc(m->arena, (size_t)n + 1, sizeof(*out->v));
	out->n = (size_t)n;
	for (int i = 0; i < n; i++) {
		out->v[i] = arena_dup(m->arena, entries[i]->d_name, strlen(entries[i]->d_name));
		free(entries[i]);
	}
	if (n > 0)
		free(entries);
	return P_OK;
}

static enum problem
load(struct migrator *m, const char *folder, const char *name, struct script *out)
{
	FILE *f = fopen(arena_printf(m->arena, "%s/%s/%s", m->dir, folder, name), "re");
	uint8_t digest[SHA256_BYTES];
	struct buf text, hex;

	m->at = name;
	if (!f)
		return ERR_SAY(m->err, P_INTERNAL, "%s", strerror(errno));
	buf_init(&text, m->arena, FILE_MAX);
	while (!text.failed && !feof(f) && !ferror(f)) {
		char *room = buf_reserve(&text, 65536);

		if (room)
			buf_commit(&text, fread(room, 1, 65536, f));
	}
	bool bad = ferror(f) || text.failed || (text.n && memchr(text.p, '\0', text.n));
	fclose(f);
	if (bad)
		return ERR_SAY(m->err, P_INTERNAL, "cannot be read, is too long or has a NUL");
	sha256(buf_str(&text), digest);
	buf_init(&hex, m->arena, 2 * sizeof(digest));
	hex_put(&hex, digest, sizeof(digest));
	out->sql = text.p ? text.p : "";
	out->checksum = hex.p;
	return P_OK;
}

/* The name stands in SQL text, so it has to be harmless: NNNN_words.sql. */
static bool
good_name(const char *name)
{
	size_t digits = strspn(name, "0123456789");
	size_t n = strspn(name, NAME_CHARS);

	return digits == 4 && name[4] == '_' && n > 5 && n < NAME_MAX_CHARS &&
	       strcmp(name + n, ".sql") == 0;
}

/* Migrations on disk are the recorded ones, unchanged, and new ones behind them. */
static enum problem
compare(struct migrator *m, const struct names *files, const struct rows *done)
{
	for (size_t i = 0; i < files->n; i++) {
		m->at = files->v[i];
		if (!good_name(files->v[i]))
			return ERR_SAY(m->err, P_INTERNAL, "the name is not NNNN_words.sql");
		if (i > 0 && strncmp(files->v[i - 1], files->v[i], 4) == 0)
			return ERR_SAY(m->err, P_INTERNAL, "the number stands twice");
	}
	for (size_t i = 0; i < rows_count(done); i++) {
		struct str name = rows_str(done, i, 0);
		struct script s;
		enum problem p;

		m->at = str_z(m->arena, name);
		if (i >= files->n || !str_eqz(name, files->v[i]))
			return ERR_SAY(m->err, P_INTERNAL,
				"was applied before, but is not number %zu of the folder", i + 1);
		p = load(m, "migrations", files->v[i], &s);
		if (p)
			return p;
		if (!str_eqz(rows_str(done, i, 1), s.checksum))
			return ERR_SAY(m->err, P_INTERNAL, "was changed after it was applied");
	}
	return P_OK;
}

static enum problem
prepare(struct migrator *m, struct rows **done)
{
	enum problem p;

	m->at = "database";
	p = db_exec_script(m->db, "SELECT pg_advisory_lock(" LOCK_KEY ")", done, m->err);
	if (!p)
		p = db_exec_script(m->db,
			"CREATE TABLE IF NOT EXISTS plaza.migration ("
			" name text NOT NULL, checksum text NOT NULL,"
			" applied_at timestamptz NOT NULL DEFAULT now(),"
			" CONSTRAINT migration_pkey PRIMARY KEY (name));"
			"CREATE TABLE IF NOT EXISTS plaza.migration_function ("
			" signature text NOT NULL,"
			" CONSTRAINT migration_function_pkey PRIMARY KEY (signature));"
			"SELECT name, checksum FROM plaza.migration ORDER BY name COLLATE \"C\"",
			done, m->err);
	return p;
}

/* Several statements in one message are one transaction, so the record comes with the change. */
static enum problem
apply_migration(struct migrator *m, const char *name)
{
	struct script s;
	struct rows *rows;
	enum problem p = load(m, "migrations", name, &s);

	if (!p)
		p = db_exec_script(m->db,
			arena_printf(m->arena,
				"%s\n;INSERT INTO plaza.migration (name, checksum) "
				"VALUES ('%s', '%s')",
				s.sql, name, s.checksum),
			&rows, m->err);
	if (!p)
		printf("applied %s\n", name);
	return p;
}

/* Remembers which functions a file makes; one that is written otherwise is never dropped. */
static void
functions_in(struct migrator *m, const char *sql)
{
	static const char make[] = "CREATE OR REPLACE FUNCTION ";

	while ((sql = strstr(sql, make))) {
		sql += sizeof(make) - 1;
		size_t n = strspn(sql, NAME_CHARS);
		if (n == 0 || sql[n] != '(')
			continue;
		buf_puts(&m->made, "'");
		buf_put(&m->made, sql, n);
		buf_puts(&m->made, "',");
	}
}

static enum problem
apply_folder(struct migrator *m, const char *folder)
{
	struct names files;
	enum problem p = list(m, folder, &files);

	for (size_t i = 0; !p && i < files.n; i++) {
		struct script s;
		struct rows *rows;

		p = load(m, folder, files.v[i], &s);
		if (!p)
			p = db_exec_script(m->db, s.sql, &rows, m->err);
		if (!p)
			functions_in(m, s.sql);
	}
	return p;
}

/*
 * What the files have just made carries the number of this transaction; of what
 * they made before, the rest is gone from them. Functions of migrations and of
 * extensions were never among it. By name alone an old set of parameters would
 * stay, and a mere GRANT carries the number too: so both are looked at.
 */
static enum problem
find_gone(struct migrator *m, struct rows **gone)
{
	return db_exec_script(m->db,
		arena_printf(m->arena,
			"INSERT INTO plaza.migration_function (signature) "
			"SELECT p.oid::regprocedure FROM pg_proc AS p "
			"WHERE p.pronamespace = 'plaza'::regnamespace"
			" AND p.xmin = pg_current_xact_id()::xid AND p.proname IN (%.*s'') "
			"ON CONFLICT DO NOTHING;"
			"DELETE FROM plaza.migration_function"
			" WHERE to_regprocedure(signature) IS NULL;"
			"SELECT f.signature, EXISTS (SELECT FROM pg_depend AS d"
			" WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid) "
			"FROM plaza.migration_function AS f "
			"JOIN pg_proc AS p ON p.oid = to_regprocedure(f.signature) "
			"WHERE p.xmin <> pg_current_xact_id()::xid ORDER BY f.signature",
			STR_ARG(buf_str(&m->made))),
		gone, m->err);
}

/* One that a table, a trigger or a policy needs stays: only a migration can take it away. */
static enum problem
drop_gone(struct migrator *m)
{
	struct rows *gone, *none;
	enum problem p;

	m->at = "functions";
	if (m->made.failed)
		return ERR_SAY(m->err, P_INTERNAL, "too many functions");
	p = find_gone(m, &gone);
	for (size_t i = 0; !p && i < rows_count(gone); i++) {
		struct str signature = rows_str(gone, i, 0);

		if (rows_bool(gone, i, 1)) {
			printf("kept %.*s, which something needs\n", STR_ARG(signature));
			continue;
		}
		m->at = str_z(m->arena, signature);
		p = db_exec_script(m->db,
			arena_printf(m->arena, "DROP FUNCTION %.*s", STR_ARG(signature)), &none,
			m->err);
		if (!p)
			printf("dropped %.*s\n", STR_ARG(signature));
	}
	return p;
}

/* One by one, so that the message can name the function. */
static enum problem
check_bodies(struct migrator *m)
{
	struct rows *functions;
	struct rows *none;
	enum problem p;

	m->at = "functions";
	p = db_exec_script(m->db,
		"SET LOCAL check_function_bodies = on;"
		"SELECT CASE l.lanname WHEN 'sql' THEN 'fmgr_sql' ELSE 'plpgsql' END,"
		" p.oid, p.oid::regprocedure "
		"FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang "
		"WHERE p.pronamespace = 'plaza'::regnamespace AND l.lanname IN ('sql', 'plpgsql') "
		"ORDER BY p.proname, p.oid",
		&functions, m->err);
	for (size_t i = 0; !p && i < rows_count(functions); i++) {
		m->at = str_z(m->arena, rows_str(functions, i, 2));
		p = db_exec_script(m->db,
			arena_printf(m->arena, "SELECT %.*s_validator(%lld)",
				STR_ARG(rows_str(functions, i, 0)),
				(long long)rows_i64(functions, i, 1)),
			&none, m->err);
	}
	return p;
}

/*
 * The order of names is not the order of dependence: bodies are checked when
 * all are there. A failure drops the connection and the transaction with it.
 */
static enum problem
apply_code(struct migrator *m)
{
	struct rows *rows;
	enum problem p = db_exec_script(
		m->db, "BEGIN; SET LOCAL check_function_bodies = off", &rows, m->err);

	if (!p)
		p = apply_folder(m, "functions");
	if (!p)
		p = apply_folder(m, "views");
	if (!p)
		p = drop_gone(m);
	if (!p)
		p = check_bodies(m);
	return p ? p : db_exec_script(m->db, "COMMIT", &rows, m->err);
}

static enum problem
migrate(struct migrator *m)
{
	struct names files;
	struct rows *done;
	enum problem p = list(m, "migrations", &files);

	if (!p && files.n == 0)
		return ERR_SAY(m->err, P_INTERNAL, "no migrations in %s", m->dir);
	if (!p)
		p = prepare(m, &done);
	if (!p)
		p = compare(m, &files, done);
	for (size_t i = p ? 0 : rows_count(done); !p && i < files.n; i++)
		p = apply_migration(m, files.v[i]);
	if (!p)
		p = apply_code(m);
	if (!p)
		printf("schema is at %s\n", files.v[files.n - 1]);
	return p;
}

int
ctl_migrate(struct ctl *c, int argc, char **argv)
{
	struct migrator m = { .arena = c->arena, .dir = DEFAULT_DIR, .err = &c->err };
	int status = CTL_OK;

	if (argc == 2 && strcmp(argv[0], "-d") == 0)
		m.dir = argv[1];
	else if (argc != 0)
		return CTL_USAGE;
	buf_init(&m.made, c->arena, MADE_MAX);
	m.db = ctl_db(c, c->role, true);
	if (migrate(&m))
		status = ctl_fail(c, m.at);
	db_close(m.db);
	return status;
}
