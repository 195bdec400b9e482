/* plazactl: schema, keys, first account and health, for the one who runs Plaza. */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <termios.h>

#include "io/password.h"
#include "io/token.h"
#include "io/webpush.h"
#include "queries.h"

#define DEFAULT_CONF "/etc/plaza/plaza.conf"
#define ARENA_MAX (64 * 1024 * 1024)

int
ctl_fail(const struct ctl *c, const char *what)
{
	const char *text = c->err.detail[0] ? c->err.detail : c->err.log;

	fprintf(stderr, "plazactl: %s%s%s\n", what, *what ? ": " : "", text);
	return CTL_FAILED;
}

struct db *
ctl_db(const struct ctl *c, const char *role, bool bare)
{
	struct db *db = db_new(&(struct db_options){ .conninfo = c->conf->db,
		.user = role,
		.app = "plazactl",
		.statement_timeout_ms = bare ? 0 : (int)c->conf->db_statement_timeout_ms,
		.bare = bare });

	db_reset(db, c->arena);
	return db;
}

static int
keys_rotate(struct ctl *c, int argc, char **argv)
{
	(void)argv;
	if (argc > 0)
		return CTL_USAGE;
	if (token_keys_generate(c->conf->keys_dir, &c->err))
		return ctl_fail(c, c->conf->keys_dir);
	printf("a new key is in %s; plaza-auth signs with it when it starts again, and the others "
	       "learn it then\n",
		c->conf->keys_dir);
	return CTL_OK;
}

static int
keys_push(struct ctl *c, int argc, char **argv)
{
	(void)argv;
	if (argc > 0)
		return CTL_USAGE;
	if (vapid_generate(c->conf->push_dir, &c->err))
		return ctl_fail(c, c->conf->push_dir);
	printf("the key of Web Push is in %s; plaza-relay takes it when it starts again\n",
		c->conf->push_dir);
	return CTL_OK;
}

/* One line from standard input, which a terminal does not show. */
static bool
read_password(char *line, size_t size)
{
	struct termios shown;
	bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
	struct termios hidden = shown;

	hidden.c_lflag &= ~(tcflag_t)ECHO;
	if (terminal) {
		fputs("Password: ", stderr);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden); /* shown at worst */
	}
	bool got = fgets(line, (int)size, stdin) != NULL;
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	line[got ? strcspn(line, "\n") : 0] = '\0';
	return got;
}

static int
create_admin(struct ctl *c, int argc, char **argv)
{
	char line[PASSWORD_MAX + 3]; /* one too long, its newline and a NUL */
	struct q_admin_create in;
	struct rows *rows;
	struct db *db;
	int status = CTL_OK;

	if (argc < 1 || argc > 2)
		return CTL_USAGE;
	in.email = str_lower(c->arena, str_of(argv[0]));
	in.name = str_of(argc == 2 ? argv[1] : "Administrator");
	if (!read_password(line, sizeof(line))) {
		fputs("plazactl: no password on standard input\n", stderr);
		return CTL_FAILED;
	}
	if (password_init(c->conf->passwords_file, &c->err) ||
		password_check(str_of(line), in.email, &c->err) ||
		password_hash(c->arena, str_of(line), &in.hash, &c->err))
		return ctl_fail(c, "password");
	db = ctl_db(c, c->role, false);
	if (q_admin_create(db, &in, &rows, &c->err))
		status = ctl_fail(c, problem_info(c->err.problem)->title_en);
	else
		printf("administrator %.*s has the id %.*s\n", STR_ARG(in.email),
			STR_ARG(rows_str(rows, 0, Q_ADMIN_CREATE_ID)));
	db_close(db);
	return status;
}

static int
unlock(struct ctl *c, int argc, char **argv)
{
	struct rows *rows;
	struct db *db;
	int status = CTL_OK;

	if (argc != 1)
		return CTL_USAGE;
	struct str email = str_lower(c->arena, str_of(argv[0]));
	db = ctl_db(c, c->role, false);
	if (q_account_unlock(db, &(struct q_account_unlock){ .email = email }, &rows, &c->err)) {
		status = ctl_fail(c, "unlock");
	} else if (rows_count(rows) == 0) {
		fprintf(stderr, "plazactl: no account has the address %.*s\n", STR_ARG(email));
		status = CTL_FAILED;
	}
	db_close(db);
	return status;
}

/* In pieces, so that no statement runs into its time limit. */
static int
restored(struct ctl *c, int argc, char **argv)
{
	struct q_feed_restored in = { 0 };
	struct rows *rows;
	int64_t all = 0, done;

	(void)argv;
	if (argc > 0)
		return CTL_USAGE;
	struct db *db = ctl_db(c, c->role, false);
	do {
		if (q_feed_restored(db, &in, &rows, &c->err)) {
			db_close(db);
			return ctl_fail(c, "restored");
		}
		done = rows_i64(rows, 0, Q_FEED_RESTORED_DONE);
		if (done > 0)
			in.after = rows_uuid(rows, 0, Q_FEED_RESTORED_UPTO);
		all += done;
	} while (done > 0);
	db_close(db);
	printf("%lld feeds have another epoch; their applications load everything again\n",
		(long long)all);
	return CTL_OK;
}

static const struct command {
	const char *words[2];
	const char *arguments;
	const char *text;
	int (*run)(struct ctl *c, int argc, char **argv);
	bool any_conf; /* runs even when the configuration cannot be read */
} commands[] = {
	{ { "migrate" }, "[-d DIR]", "apply new migrations, then all functions and views",
		ctl_migrate, false },
	{ { "create-admin" }, "EMAIL [NAME]", "open an administrator's account; password on stdin",
		create_admin, false },
	{ { "unlock" }, "EMAIL", "end the delays that failed attempts to sign in have caused",
		unlock, false },
	{ { "keys", "rotate" }, "", "make a new token key; it signs from the next start on",
		keys_rotate, false },
	{ { "keys", "push" }, "", "make the key by which push services know Plaza, once", keys_push,
		false },
	{ { "restored" }, "", "after a restore: make all applications load everything again",
		restored, false },
	{ { "config", "check" }, "", "read the configuration and look at what it names",
		ctl_config_check, true },
	{ { "doctor" }, "", "try every part that Plaza depends on", ctl_doctor, false },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int
usage(FILE *to)
{
	fputs("usage: plazactl [-c FILE] [-U ROLE] COMMAND\n"
	      "       plazactl -V\n\n"
	      "  -c FILE  configuration, " DEFAULT_CONF " unless given\n"
	      "  -U ROLE  database role of commands that need one, plaza_owner unless given\n\n",
		to);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *k = &commands[i];
		int n = fprintf(to, "  %s%s%s%s%s", k->words[0], k->words[1] ? " " : "",
			k->words[1] ? k->words[1] : "", *k->arguments ? " " : "", k->arguments);

		fprintf(to, "%*s%s\n", n < 30 ? 30 - n : 1, "", k->text);
	}
	return to == stdout ? CTL_OK : CTL_USAGE;
}

/* Words that the command's name has, or 0 when it is another. */
static int
match(const struct command *k, int argc, char **argv)
{
	int n = k->words[1] ? 2 : 1;

	if (argc < n || strcmp(argv[0], k->words[0]) != 0)
		return 0;
	return n == 1 || strcmp(argv[1], k->words[1]) == 0 ? n : 0;
}

static int
run(struct ctl *c, const struct command *k, int argc, char **argv)
{
	int status;

	c->conf = conf_load(c->conf_path, &c->err);
	if (!c->conf && !k->any_conf)
		return ctl_fail(c, "configuration");
	c->arena = arena_new(ARENA_MAX);
	status = k->run(c, argc, argv);
	arena_free(c->arena);
	conf_free(c->conf);
	return status == CTL_USAGE ? usage(stderr) : status;
}

int
main(int argc, char **argv)
{
	struct ctl c = { .conf_path = DEFAULT_CONF, .role = "plaza_owner" };
	int opt;

	/* '+': options behind the command are the command's. */
	while ((opt = getopt(argc, argv, "+c:U:Vh")) != -1) {
		if (opt == 'c')
			c.conf_path = optarg;
		else if (opt == 'U')
			c.role = optarg;
		else if (opt == 'V')
			return puts("plazactl " PLAZA_VERSION) < 0;
		else
			return usage(opt == 'h' ? stdout : stderr);
	}
	argc -= optind;
	argv += optind;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		int n = match(&commands[i], argc, argv);

		if (n > 0)
			return run(&c, &commands[i], argc - n, argv + n);
	}
	return usage(stderr);
}
