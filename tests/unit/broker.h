/*
 * A pretended broker for the tests of realtime/plugin. It keeps the order of
 * events of mosquitto 2.0.11: a takeover logs in before the old connection is
 * reported gone, the end is reported before the will is judged, notices leave
 * at the start of a pass and a tick ends it.
 */
#ifndef PLAZA_TESTS_BROKER_H
#define PLAZA_TESTS_BROKER_H

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "io/token.h"
#include "plugin/authn.h"
#include "plugin/plugin.h"
#include "unit.h"

#define ISSUER "https://plaza.test"
#define SECRET "a-secret-of-the-programs"
#define START ((int64_t)1800000000)
#define PUBLISHED_MAX 4096
#define LOG_MAX ((size_t)1 << 16)

/* --- memory that fails ---------------------------------------------------------- */

/*
 * These stand in front of the allocator of the C library (or of the sanitizer)
 * for the whole process, its shared libraries included.
 */
static struct {
	long until_failure; /* allocations that still succeed; negative: all do */
	bool failed;
	long live; /* pieces taken from the broker and not given back */
} memory = { .until_failure = -1 };

static inline bool
refuse_memory(void)
{
	if (memory.until_failure < 0)
		return false;
	if (memory.until_failure-- > 0)
		return false;
	memory.failed = true;
	return true;
}

static inline void *
next_allocator(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);

	if (!fn)
		abort();
	return fn;
}

void *
malloc(size_t n)
{
	static void *(*next)(size_t);

	if (!next)
		*(void **)&next = next_allocator("malloc");
	return refuse_memory() ? NULL : next(n);
}

void *
calloc(size_t n, size_t size)
{
	static void *(*next)(size_t, size_t);

	if (!next)
		*(void **)&next = next_allocator("calloc");
	return refuse_memory() ? NULL : next(n, size);
}

void *
realloc(void *p, size_t n)
{
	static void *(*next)(void *, size_t);

	if (!next)
		*(void **)&next = next_allocator("realloc");
	return refuse_memory() ? NULL : next(p, n);
}

/* --- the clock -------------------------------------------------------------------- */

static struct {
	int64_t s, us;
} now = { START, 1000000 };

int64_t __wrap_clock_unix_s(void);
int64_t __wrap_clock_mono_us(void);

int64_t
__wrap_clock_unix_s(void)
{
	return now.s;
}

int64_t
__wrap_clock_mono_us(void)
{
	return now.us;
}

static inline void
pass_time(int64_t seconds)
{
	now.s += seconds;
	now.us += seconds * 1000000;
}

/* --- the broker -------------------------------------------------------------------- */

struct mosquitto {
	char id[128];
	char username[64];
	char password[TOKEN_MAX + 64];
	bool no_id, durable, websocket;
	bool online;
	int sub_count;
	const char *will;
	bool will_sent;
	int heard; /* messages delivered */
	char last[512];
};

struct published {
	char topic[128];
	char payload[PLUGIN_OUT_MAX];
	int qos;
};

static struct {
	MOSQ_FUNC_generic_callback fn[16];
	void *userdata;
	struct mosquitto *clients[64];
	size_t client_n;
	struct published *out; /* since the last forget_published() */
	size_t out_n, flushed;
	char log[LOG_MAX];
	size_t log_n;
	int kicks;
	int phantom_kicks; /* of an id that was not connected: the real broker breaks */
} broker;

static struct plugin *plugin;
static char dir[64];
static struct token_keys *signer;
static struct arena *arena;

int
mosquitto_callback_register(mosquitto_plugin_id_t *id, int event, MOSQ_FUNC_generic_callback fn,
	const void *data, void *userdata)
{
	(void)id;
	(void)data;
	broker.fn[event] = fn;
	broker.userdata = userdata;
	return MOSQ_ERR_SUCCESS;
}

int
mosquitto_callback_unregister(
	mosquitto_plugin_id_t *id, int event, MOSQ_FUNC_generic_callback fn, const void *data)
{
	(void)id;
	(void)data;
	if (broker.fn[event] != fn)
		return MOSQ_ERR_NOT_FOUND;
	broker.fn[event] = NULL;
	return MOSQ_ERR_SUCCESS;
}

void *
mosquitto_calloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	memory.live += p != NULL;
	return p;
}

void *
mosquitto_realloc(void *p, size_t n)
{
	bool fresh = !p;
	void *grown = realloc(p, n);

	memory.live += grown && fresh;
	return grown;
}

void
mosquitto_free(void *p)
{
	memory.live -= p != NULL;
	free(p);
}

void mosquitto_log_printf(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void
mosquitto_log_printf(int level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	int n = vsnprintf(broker.log + broker.log_n, LOG_MAX - broker.log_n, fmt, ap);
	va_end(ap);
	assert_true(n > 0 && (size_t)n < LOG_MAX - broker.log_n - 1);
	broker.log_n += (size_t)n;
	broker.log[broker.log_n++] = '\n';
	broker.log[broker.log_n] = '\0';
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
	return !c->durable;
}

const char *
mosquitto_client_id(const struct mosquitto *c)
{
	return c->no_id ? NULL : c->id;
}

int
mosquitto_client_protocol(const struct mosquitto *c)
{
	return c->websocket ? mp_websockets : mp_mqtt;
}

int
mosquitto_client_sub_count(const struct mosquitto *c)
{
	return c->sub_count;
}

int
mosquitto_broker_publish(const char *id, const char *topic, int n, void *payload, int qos,
	bool retain, mosquitto_property *properties)
{
	struct published *p = &broker.out[broker.out_n];

	assert_null(id);
	assert_null(properties);
	assert_false(retain);
	assert_in_range(n, 1, PLUGIN_OUT_MAX - 1);
	assert_int_equal(((const char *)payload)[n], '\0');
	if (refuse_memory())
		return MOSQ_ERR_NOMEM;
	assert_true(broker.out_n < PUBLISHED_MAX);
	snprintf(p->topic, sizeof(p->topic), "%s", topic);
	memcpy(p->payload, payload, (size_t)n + 1);
	p->qos = qos;
	broker.out_n++;
	mosquitto_free(payload);
	return MOSQ_ERR_SUCCESS;
}

static inline int
ask(struct mosquitto *c, int access, const char *topic)
{
	struct mosquitto_evt_acl_check ed = { .client = c, .topic = topic, .access = access };
	int rc = broker.fn[MOSQ_EVT_ACL_CHECK](MOSQ_EVT_ACL_CHECK, &ed, broker.userdata);

	assert_true(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_ACL_DENIED);
	return rc;
}

static inline bool
may(struct mosquitto *c, int access, const char *topic)
{
	return ask(c, access, topic) == MOSQ_ERR_SUCCESS;
}

static inline int
write_as(struct mosquitto *c, const char *topic, uint8_t qos, bool retain)
{
	struct mosquitto_evt_acl_check ed = {
		.client = c, .topic = topic, .access = MOSQ_ACL_WRITE, .qos = qos, .retain = retain
	};

	return broker.fn[MOSQ_EVT_ACL_CHECK](MOSQ_EVT_ACL_CHECK, &ed, broker.userdata);
}

static inline void
report_end(struct mosquitto *c)
{
	struct mosquitto_evt_disconnect ed = { .client = c, .reason = -1 };

	assert_int_equal(broker.fn[MOSQ_EVT_DISCONNECT](MOSQ_EVT_DISCONNECT, &ed, broker.userdata),
		MOSQ_ERR_SUCCESS);
}

static inline void
send_will(struct mosquitto *c)
{
	if (c->will && may(c, MOSQ_ACL_WRITE, c->will))
		c->will_sent = true;
	c->will = NULL;
}

/* The socket breaks. */
static inline void
drop(struct mosquitto *c)
{
	c->online = false;
	report_end(c);
	send_will(c);
}

static inline int
ask_login(struct mosquitto *c)
{
	struct mosquitto_evt_basic_auth ed = { .client = c,
		.username = c->username[0] ? c->username : NULL,
		.password = c->password[0] ? c->password : NULL };

	return broker.fn[MOSQ_EVT_BASIC_AUTH](MOSQ_EVT_BASIC_AUTH, &ed, broker.userdata);
}

/* A CONNECT packet; a WebSocket that is taken over closes only when the caller drops it. */
static inline bool
login(struct mosquitto *c)
{
	int rc = ask_login(c);

	assert_true(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_AUTH);
	if (rc != MOSQ_ERR_SUCCESS) {
		c->no_id = true;
		report_end(c);
		c->no_id = false;
		return false;
	}
	for (size_t i = 0; i < broker.client_n; i++) {
		struct mosquitto *old = broker.clients[i];

		if (old == c || !old->online || strcmp(old->id, c->id) != 0)
			continue;
		send_will(old);
		if (!old->websocket)
			drop(old);
	}
	c->online = true;
	return true;
}

int
mosquitto_kick_client_by_clientid(const char *id, bool with_will)
{
	assert_non_null(id);
	assert_false(with_will);
	broker.kicks++;
	for (size_t i = broker.client_n; i-- > 0;) {
		struct mosquitto *c = broker.clients[i];

		if (!c->online || strcmp(c->id, id) != 0)
			continue;
		c->online = false;
		report_end(c);
		return MOSQ_ERR_SUCCESS;
	}
	broker.phantom_kicks++;
	return MOSQ_ERR_NOT_FOUND;
}

static inline void
tick(void)
{
	struct mosquitto_evt_tick ed = { .now_s = 0 };

	assert_int_equal(
		broker.fn[MOSQ_EVT_TICK](MOSQ_EVT_TICK, &ed, broker.userdata), MOSQ_ERR_SUCCESS);
}

/* One pass of the loop: what was published goes out, then comes the tick. */
static inline void
pass(void)
{
	for (; broker.flushed < broker.out_n; broker.flushed++) {
		const struct published *p = &broker.out[broker.flushed];

		for (size_t i = 0; i < broker.client_n; i++) {
			struct mosquitto *c = broker.clients[i];

			if (!c->online || !may(c, MOSQ_ACL_READ, p->topic))
				continue;
			c->heard++;
			snprintf(c->last, sizeof(c->last), "%.500s", p->payload);
		}
	}
	now.us += 100000;
	tick();
}

static inline void
forget_published(void)
{
	broker.out_n = broker.flushed = 0;
}

static inline size_t
published(const char *topic, const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < broker.out_n; i++)
		n += strcmp(broker.out[i].topic, topic) == 0 &&
		     strstr(broker.out[i].payload, part) != NULL;
	return n;
}

/* Of the first such message; others may come in between, as those of the presence do. */
static inline int
published_qos(const char *topic, const char *part)
{
	for (size_t i = 0; i < broker.out_n; i++) {
		const struct published *p = &broker.out[i];

		if (strcmp(p->topic, topic) == 0 && strstr(p->payload, part))
			return p->qos;
	}
	return -1;
}

static inline void
message_from(struct mosquitto *c, const char *topic, const char *payload)
{
	char topic_copy[128], payload_copy[4096];
	struct mosquitto_evt_message ed = { .client = c,
		.topic = topic_copy,
		.payload = payload_copy,
		.payloadlen = (uint32_t)strlen(payload) };

	snprintf(topic_copy, sizeof(topic_copy), "%s", topic);
	snprintf(payload_copy, sizeof(payload_copy), "%s", payload);
	assert_int_equal(broker.fn[MOSQ_EVT_MESSAGE](MOSQ_EVT_MESSAGE, &ed, broker.userdata),
		MOSQ_ERR_SUCCESS);
}

/* --- start and end of a test ---------------------------------------------------------- */

static inline const char *
path(const char *name)
{
	return arena_printf(arena, "%s/%s", dir, name);
}

static inline void
write_text(const char *name, const char *text)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline void
run_command(const char *command)
{
	pid_t child = fork();

	if (child == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static inline int
make_folder(void **state)
{
	struct err err;

	(void)state;
	arena = arena_new(16 << 20);
	snprintf(dir, sizeof(dir), "/tmp/plaza-plugin-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mkdir(path("keys"), 0700), 0);
	err_clear(&err);
	assert_int_equal(token_keys_generate(path("keys"), &err), P_OK);
	signer = token_keys_load(path("keys"), ISSUER, &err);
	assert_non_null(signer);
	broker.out = calloc(PUBLISHED_MAX, sizeof(*broker.out));
	assert_non_null(broker.out);
	return 0;
}

static inline int
remove_folder(void **state)
{
	(void)state;
	run_command(arena_printf(arena, "rm -rf %s", dir));
	token_keys_free(signer);
	free(broker.out);
	arena_free(arena);
	return 0;
}

static inline int
start_with(struct mosquitto_opt *options, int count)
{
	return mosquitto_plugin_init(NULL, (void **)&plugin, options, count);
}

static inline int
start_plugin(void **state)
{
	(void)state;
	struct mosquitto_opt option = { (char *)"conf", (char *)path("plaza.conf") };
	const char *keys =
		arena_printf(arena, "keys_dir = %s\nissuer = %s\n", path("keys"), ISSUER);

	write_text("secret", SECRET "\n");
	write_text("plaza.conf",
		arena_printf(arena, "%smqtt_secret_file = %s\nrevocations_file = %s\n", keys,
			path("secret"), path("revocations")));
	memory.live = 0;
	now.s = START;
	broker.log_n = 0;
	broker.kicks = broker.phantom_kicks = 0;
	forget_published();
	return start_with(&option, 1);
}

static inline int
stop_plugin(void **state)
{
	(void)state;
	memory.until_failure = -1;
	assert_int_equal(mosquitto_plugin_cleanup(plugin, NULL, 0), MOSQ_ERR_SUCCESS);
	for (size_t i = 0; i < COUNT(broker.fn); i++)
		assert_null(broker.fn[i]);
	assert_int_equal(memory.live, 0);
	assert_int_equal(broker.phantom_kicks, 0);
	for (size_t i = 0; i < broker.client_n; i++)
		free(broker.clients[i]);
	broker.client_n = 0;
	unlink(path("revocations"));
	return 0;
}

static inline bool
logged(const char *part)
{
	return broker.log_n > 0 && strstr(broker.log, part) != NULL;
}

/* --- people --------------------------------------------------------------------------- */

#define ANNA "01890a5d-ac96-774b-bcce-b302099a8057"
#define BERT "01890a5d-ac96-774b-bcce-b302099a8058"
#define SHOP "01890a5d-0000-7000-8000-00000000000a"

static inline struct uuid
id(const char *text)
{
	struct uuid u;

	assert_true(uuid_parse(str_of(text), &u));
	return u;
}

static inline struct claims
claims_of(const char *uid, const char *did, enum role role)
{
	struct topic_subject who = { .uid = id(uid), .role = (unsigned)role };
	struct claims c = {
		.sub = who.uid, .sid = uuid_new(), .jti = uuid_new(), .role = role, .aud = "mqtt"
	};
	struct topic_grants g;

	if (role == ROLE_SELLER)
		who.shop = id(SHOP);
	c.iat = now.s;
	c.exp = now.s + 3600;
	snprintf(c.did, sizeof(c.did), "%s", did);
	topics_grants(arena, &who, &g);
	memcpy(c.sub_acl, g.sub, sizeof(g.sub));
	memcpy(c.pub_acl, g.pub, sizeof(g.pub));
	c.sub_acl_n = g.sub_n;
	c.pub_acl_n = g.pub_n;
	return c;
}

static inline const char *
sign(const struct claims *c)
{
	struct str token;
	struct err err;

	err_clear(&err);
	assert_int_equal(token_sign(signer, arena, c, &token, &err), P_OK);
	return str_z(arena, token);
}

static inline struct mosquitto *
client(const char *client_id, const char *username, const char *password)
{
	struct mosquitto *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_true(broker.client_n < COUNT(broker.clients));
	broker.clients[broker.client_n++] = c;
	snprintf(c->id, sizeof(c->id), "%s", client_id);
	snprintf(c->username, sizeof(c->username), "%s", username);
	snprintf(c->password, sizeof(c->password), "%s", password);
	return c;
}

static inline struct mosquitto *
client_with(const struct claims *c)
{
	char uid[UUID_TEXT + 1];

	uuid_text(&c->sub, uid);
	return client(arena_printf(arena, "%s_%s", uid, c->did), uid, sign(c));
}

static inline struct mosquitto *
device(const char *uid, const char *did)
{
	struct claims c = claims_of(uid, did, ROLE_CLIENT);

	return client_with(&c);
}

static inline struct mosquitto *
online(struct mosquitto *c)
{
	assert_true(login(c));
	return c;
}

static inline struct mosquitto *
backend(void)
{
	return online(client("plaza-relay-1", BACKEND_USERNAME, SECRET));
}

static inline void
kick(struct mosquitto *from, const char *uid, const char *did, int64_t before)
{
	message_from(from, "sys/kick",
		arena_printf(arena,
			"{\"uid\":\"%s\",\"did\":\"%s\",\"before\":%lld,\"reason\":\"logout\"}",
			uid, did, (long long)before));
}

#endif
