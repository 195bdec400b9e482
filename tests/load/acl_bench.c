/*
 * What the plugin costs the broker's thread: microseconds of the processor for a login and for
 * each kind of right, over many connections. Fails when a right costs more than
 * 20 on average, since the broker asks once for every receiver of a message.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/clock.h"
#include "io/token.h"
#include "plugin/authn.h"
#include "plugin/plugin.h"

#define CONNECTIONS 2000
#define ROUNDS 500
#define RIGHT_US_MAX 20.0
#define ISSUER "https://bench.test"

struct mosquitto {
	char id[CLIENT_ID_BYTES];
	char username[UUID_TEXT + 1];
	char password[TOKEN_MAX + 1];
	char inbox[TOPIC_TEXT + 1], all[TOPIC_TEXT + 1], uplink[TOPIC_TEXT + 1];
};

static MOSQ_FUNC_generic_callback callback[16];

int
mosquitto_callback_register(mosquitto_plugin_id_t *id, int event, MOSQ_FUNC_generic_callback fn,
	const void *data, void *userdata)
{
	(void)id;
	(void)data;
	(void)userdata;
	callback[event] = fn;
	return MOSQ_ERR_SUCCESS;
}

int
mosquitto_callback_unregister(
	mosquitto_plugin_id_t *id, int event, MOSQ_FUNC_generic_callback fn, const void *data)
{
	(void)id;
	(void)event;
	(void)fn;
	(void)data;
	return MOSQ_ERR_SUCCESS;
}

void *
mosquitto_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void *
mosquitto_realloc(void *p, size_t n)
{
	return realloc(p, n);
}

void
mosquitto_free(void *p)
{
	free(p);
}

/* Writing denials down is measured, printing them is not. */
void
mosquitto_log_printf(int level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

const char *
mosquitto_client_address(const struct mosquitto *c)
{
	(void)c;
	return "127.0.0.1";
}

bool
mosquitto_client_clean_session(const struct mosquitto *c)
{
	(void)c;
	return true;
}

const char *
mosquitto_client_id(const struct mosquitto *c)
{
	return c->id;
}

int
mosquitto_client_protocol(const struct mosquitto *c)
{
	(void)c;
	return mp_mqtt;
}

int
mosquitto_client_sub_count(const struct mosquitto *c)
{
	(void)c;
	return 1;
}

int
mosquitto_broker_publish(const char *id, const char *topic, int n, void *payload, int qos,
	bool retain, mosquitto_property *properties)
{
	(void)id;
	(void)topic;
	(void)n;
	(void)qos;
	(void)retain;
	(void)properties;
	mosquitto_free(payload);
	return MOSQ_ERR_SUCCESS;
}

int
mosquitto_kick_client_by_clientid(const char *id, bool with_will)
{
	(void)id;
	(void)with_will;
	return MOSQ_ERR_NOT_FOUND;
}

/* Of this process alone: the machine may be busy with other things. */
static double
cpu_us(void)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void
remove_all(struct arena *a, const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *entry;

	CHECK(d != NULL);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		char *child = arena_printf(a, "%s/%s", path, entry->d_name);

		if (unlink(child))
			remove_all(a, child);
	}
	closedir(d);
	rmdir(path);
}

static struct plugin *
start(struct arena *a, const char *dir)
{
	char *conf = arena_printf(a, "%s/plaza.conf", dir);
	char *secret = arena_printf(a, "%s/secret", dir);
	struct mosquitto_opt option = { (char *)"conf", conf };
	void *plugin;

	write_text(secret, "a-secret-of-the-programs\n");
	write_text(conf, arena_printf(a, "keys_dir = %s/keys\nissuer = %s\nmqtt_secret_file = %s\n",
				 dir, ISSUER, secret));
	CHECK(mosquitto_plugin_init(NULL, &plugin, &option, 1) == MOSQ_ERR_SUCCESS);
	return plugin;
}

/* A seller has the most filters of all users but administrators. */
static void
make_client(struct arena *a, const struct token_keys *keys, struct mosquitto *c)
{
	struct topic_subject who = { .uid = uuid_new(), .role = TR_SELLER, .shop = uuid_new() };
	struct claims claims = { .sub = who.uid,
		.sid = uuid_new(),
		.jti = uuid_new(),
		.role = ROLE_SELLER,
		.iat = clock_unix_s(),
		.exp = clock_unix_s() + 3600,
		.aud = "mqtt",
		.did = "bench-device" };
	struct topic_grants g;
	struct str token;

	topics_grants(a, &who, &g);
	memcpy(claims.sub_acl, g.sub, sizeof(g.sub));
	memcpy(claims.pub_acl, g.pub, sizeof(g.pub));
	claims.sub_acl_n = g.sub_n;
	claims.pub_acl_n = g.pub_n;
	CHECK(token_sign(keys, a, &claims, &token, NULL) == P_OK);
	memcpy(c->password, token.p, token.n + 1);
	uuid_text(&who.uid, c->username);
	snprintf(c->id, sizeof(c->id), "%s_%s", c->username, claims.did);
	topic_inbox(&who.uid, c->inbox);
	snprintf(c->all, sizeof(c->all), "u/%s/#", c->username);
	topic_uplink(&who.uid, UPLINK_SEND, c->uplink);
}

static void
log_in(struct plugin *plugin, struct mosquitto *clients)
{
	double from = cpu_us();

	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct mosquitto_evt_basic_auth ed = { .client = &clients[i],
			.username = clients[i].username,
			.password = clients[i].password };

		CHECK(callback[MOSQ_EVT_BASIC_AUTH](MOSQ_EVT_BASIC_AUTH, &ed, plugin) ==
			MOSQ_ERR_SUCCESS);
	}
	printf("login      %7.2f us\n", (cpu_us() - from) / CONNECTIONS);
}

/* Asks for the topic at `member` of every client, again and again; an own and a foreign one in
 * turn. */
static bool
measure(struct plugin *plugin, struct mosquitto *clients, const char *what, int access,
	size_t member)
{
	double from = cpu_us();
	size_t allowed = 0;

	for (size_t i = 0; i < (size_t)ROUNDS * CONNECTIONS; i++) {
		size_t at = i * 7919 % CONNECTIONS; /* not in the order of memory */
		size_t whose = i % 2 ? at : (at + 1) % CONNECTIONS;
		struct mosquitto_evt_acl_check ed = { .client = &clients[at],
			.topic = (const char *)&clients[whose] + member,
			.access = access };

		allowed += callback[MOSQ_EVT_ACL_CHECK](MOSQ_EVT_ACL_CHECK, &ed, plugin) ==
			   MOSQ_ERR_SUCCESS;
	}

	double us = (cpu_us() - from) / ((double)ROUNDS * CONNECTIONS);

	printf("%-10s %7.3f us\n", what, us);
	/* Uplinks have a rate, so only their first ones pass. */
	CHECK(access == MOSQ_ACL_WRITE || allowed == (size_t)ROUNDS * CONNECTIONS / 2);
	return us < RIGHT_US_MAX;
}

static void
measure_tick(struct plugin *plugin)
{
	double from = cpu_us();

	for (int i = 0; i < 100000; i++)
		callback[MOSQ_EVT_TICK](MOSQ_EVT_TICK, NULL, plugin);
	printf("tick       %7.3f us\n", (cpu_us() - from) / 100000);
}

int
main(void)
{
	struct arena *a = arena_new((size_t)256 << 20);
	struct mosquitto *clients = calloc(CONNECTIONS, sizeof(*clients));
	char dir[] = "/tmp/plaza-bench-XXXXXX";

	CHECK(clients && mkdtemp(dir));
	char *keys_dir = arena_printf(a, "%s/keys", dir);

	CHECK(mkdir(keys_dir, 0700) == 0 && token_keys_generate(keys_dir, NULL) == P_OK);
	struct token_keys *keys = token_keys_load(keys_dir, ISSUER, NULL);

	CHECK(keys != NULL);
	for (size_t i = 0; i < CONNECTIONS; i++)
		make_client(a, keys, &clients[i]);

	struct plugin *plugin = start(a, dir);

	log_in(plugin, clients);
	bool good =
		measure(plugin, clients, "read", MOSQ_ACL_READ, offsetof(struct mosquitto, inbox));

	good = measure(plugin, clients, "subscribe", MOSQ_ACL_SUBSCRIBE,
		       offsetof(struct mosquitto, all)) &&
	       good;
	good = measure(plugin, clients, "write", MOSQ_ACL_WRITE,
		       offsetof(struct mosquitto, uplink)) &&
	       good;
	measure_tick(plugin);
	mosquitto_plugin_cleanup(plugin, NULL, 0);
	token_keys_free(keys);
	remove_all(a, dir);
	free(clients);
	arena_free(a);
	return good ? 0 : 1;
}
