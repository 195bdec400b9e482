/*
 * plazactl migrate: brings the schema forward. Each migration runs once, in one
 * transaction with the row that records it; a recorded one must not change any
 * more. Functions and views are applied again every time, all in one
 * transaction. A lock in the database keeps two runs apart.
 *
 * The SQL stands here and not in sql/queries: a named statement is prepared
 * against the schema, which does not exist yet. Its text is made of constants,
 * of names that good_name() has passed, of checksums and of numbers only.
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

struct migrator {
	struct db *db;
	struct arena *arena;
	const char *dir;
	const char *at; /* file in work, for messages */
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
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

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
	m.db = ctl_db(c, c->role, true);
	if (migrate(&m))
		status = ctl_fail(c, m.at);
	db_close(m.db);
	return status;
}
