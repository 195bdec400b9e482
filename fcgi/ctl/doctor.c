/* plazactl config check and doctor: a table of what was tried and how it went. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/brokers.h"
#include "io/cache.h"
#include "io/password.h"
#include "io/token.h"
#include "io/webpush.h"

#define BROKER_WAIT_US INT64_C(3000000)
#define BROKER_STEP_MS 20

/* A row of the table; returns `good`. */
static bool row(bool good, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool
row(bool good, const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("%-7s %-20s ", good ? "ok" : "FAILED", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return good;
}

/* The row of something that filled c->err when it failed. */
static bool
result(struct ctl *c, enum problem p, const char *name, const char *good)
{
	const char *text = c->err.detail[0] ? c->err.detail : c->err.log;
	bool ok = row(!p, name, "%s", p ? text : good);

	err_clear(&c->err);
	return ok;
}

static bool
check_secret(struct ctl *c, const char *name, const char *path, size_t min)
{
	const char *secret;

	return result(c, conf_secret(c->conf, path, min, &secret, &c->err), name, path);
}

static bool
check_path(const char *name, const char *path, int mode, mode_t type)
{
	struct stat st;

	if (stat(path, &st) != 0 || access(path, mode) != 0)
		return row(false, name, "%s: %s", path, strerror(errno));
	if ((st.st_mode & S_IFMT) != type)
		return row(false, name, "%s: %s", path,
			type == S_IFDIR ? "not a folder" : "not a file");
	return row(true, name, "%s", path);
}

static bool
check_keys(struct ctl *c)
{
	struct token_keys *k = token_keys_load(c->conf->keys_dir, c->conf->issuer, &c->err);
	bool ok = result(c, k ? P_OK : P_INTERNAL, "keys_dir",
		k && token_can_sign(k) ? "keys to check and to sign" : "keys to check only");

	token_keys_free(k);
	return ok;
}

static bool
check_push(struct ctl *c)
{
	const struct conf *f = c->conf;
	struct p256 *key = NULL;
	bool ok = true;

	if (f->push_dir[0]) {
		enum problem p = vapid_load(c->arena, f->push_dir, &key, &c->err);

		ok = result(c, p, "push_dir", "the key of Web Push");
		p256_free(key);
	}
	if (f->fcm_account_file[0])
		ok = check_path("fcm_account_file", f->fcm_account_file, F_OK, S_IFREG) && ok;
	return ok;
}

static bool
check_files(struct ctl *c)
{
	const struct conf *f = c->conf;
	bool ok = check_keys(c);

	ok = check_secret(c, "mqtt_secret_file", f->mqtt_secret_file, CTL_SECRET_MIN) && ok;
	ok = check_secret(c, "blob_secret_file", f->blob_secret_file, CTL_SECRET_MIN) && ok;
	if (f->redis_password_file[0])
		ok = check_secret(c, "redis_password_file", f->redis_password_file, 1) && ok;
	ok = check_push(c) && ok;
	ok = check_path("blob_dir", f->blob_dir, R_OK | X_OK, S_IFDIR) && ok;
	ok = check_path("image_tool", f->image_tool, X_OK, S_IFREG) && ok;
	return result(c, password_init(f->passwords_file, &c->err), "passwords_file",
		       f->passwords_file[0] ? f->passwords_file : "no list") &&
	       ok;
}

/* As many entries in each list as in the others. */
static bool
check_lists(struct ctl *c)
{
	size_t count = 0;
	enum problem p = brokers_count(c->conf, &count, &c->err);

	return result(c, p, "brokers", arena_printf(c->arena, "%zu", count));
}

int
ctl_config_check(struct ctl *c, int argc, char **argv)
{
	(void)argv;
	if (argc > 0)
		return CTL_USAGE;
	if (!result(c, c->conf ? P_OK : P_INTERNAL, "configuration", c->conf_path))
		return CTL_FAILED;
	bool ok = check_lists(c);
	return check_files(c) && ok ? CTL_OK : CTL_FAILED;
}

/* Connects as a program does, which prepares every statement. */
static bool
check_database(struct ctl *c, const char *role)
{
	struct db *db = ctl_db(c, role, false);
	int64_t start = clock_mono_us();
	enum problem p = db_connect(db, &c->err);
	int64_t connected = clock_mono_us();
	bool ok;

	if (!p)
		p = db_ping(db, &c->err);
	ok = result(c, p, role,
		arena_printf(c->arena, "%zu statements fit; connect %lld us, round trip %lld us",
			db_query_count, (long long)(connected - start),
			(long long)(clock_mono_us() - connected)));
	db_close(db);
	return ok;
}

static bool
check_redis(struct ctl *c)
{
	const struct conf *f = c->conf;
	const char *password = NULL;
	struct cache *cache;
	bool ok;

	if (f->redis_password_file[0] &&
		conf_secret(c->conf, f->redis_password_file, 1, &password, &c->err))
		return result(c, P_INTERNAL, "redis", "");
	cache = cache_new(f->redis_socket, f->redis_user[0] ? f->redis_user : NULL, password);
	ok = cache_up(cache);
	(void)row(ok, "redis", "%s", ok ? f->redis_socket : cache_error(cache));
	cache_free(cache);
	return ok;
}

/* Waits together: those that answer do so at once. */
static bool
check_broker(struct ctl *c, const struct brokers *b, size_t n, int64_t until_us)
{
	const struct timespec pause = { .tv_nsec = BROKER_STEP_MS * 1000000L };
	const char *name =
		brokers_size(b) == 1 ? "broker" : arena_printf(c->arena, "broker %zu", n);
	struct str host = conf_item(c->conf->mqtt_host, n), port = conf_item(c->conf->mqtt_port, n);

	while (!brokers_up(b, n) && clock_mono_us() < until_us)
		nanosleep(&pause, NULL);
	if (brokers_up(b, n))
		return row(true, name, "%.*s:%.*s", STR_ARG(host), STR_ARG(port));
	return row(false, name, "%.*s:%.*s: %s", STR_ARG(host), STR_ARG(port),
		*brokers_error(b, n) ? brokers_error(b, n) : "no answer");
}

static bool
check_brokers(struct ctl *c)
{
	int64_t until_us = clock_mono_us() + BROKER_WAIT_US;
	struct brokers *b = brokers_new(c->conf, "plazactl", &c->err);
	bool ok = true;

	if (!b)
		return result(c, P_INTERNAL, "broker", "");
	for (size_t i = 0; i < brokers_size(b); i++)
		ok = check_broker(c, b, i, until_us) && ok;
	brokers_free(b);
	return ok;
}

int
ctl_doctor(struct ctl *c, int argc, char **argv)
{
	static const char *const roles[] = { "plaza_web", "plaza_auth", "plaza_relay" };
	bool ok;

	(void)argv;
	if (argc > 0)
		return CTL_USAGE;
	ok = row(true, "configuration", "%s", c->conf_path);
	ok = check_files(c) && ok;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		ok = check_database(c, roles[i]) && ok;
	ok = check_redis(c) && ok;
	ok = check_brokers(c) && ok;
	return ok ? CTL_OK : CTL_FAILED;
}
