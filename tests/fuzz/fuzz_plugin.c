/*
 * Fuzz target of the plugin as a whole: the input is a story of logins, ends,
 * kicks, reloads and hours that pass, played by a pretended broker. Whatever
 * the story, the plugin kicks only who is connected, lets nobody read for
 * longer than the token says, and gives all memory back.
 */
#include "plugin/plugin.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/check.h"
#include "io/token.h"
#include "plugin/authn.h"
#include "plugin/revoke.h"

#define ISSUER "https://fuzz.test"
#define SECRET "a-secret-of-the-programs"
#define START ((int64_t)1800000000)
#define SLOTS 8
#define USERS 3
#define TOKENS (USERS * 2 * 2) /* two devices, an early and a late token of each */
#define LIFE_S 3600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int64_t __wrap_clock_unix_s(void);
int64_t __wrap_clock_mono_us(void);

struct ticket {
	struct uuid uid;
	char id[CLIENT_ID_BYTES], username[UUID_TEXT + 1], *token;
	char inbox[TOPIC_TEXT + 1], bye[TOPIC_TEXT + 1];
	int64_t exp;
};

struct mosquitto {
	const struct ticket *ticket; /* NULL: one of the programs */
	bool online, websocket, durable;
};

static struct {
	struct ticket tickets[TOKENS];
	struct mosquitto slots[SLOTS];
	MOSQ_FUNC_generic_callback callback[16];
	struct plugin *plugin;
	struct arena *arena;
	char *dir;
	const char *conf;
	int64_t now_s;
	long live;
} world;

int64_t
__wrap_clock_unix_s(void)
{
	return world.now_s;
}

int64_t
__wrap_clock_mono_us(void)
{
	return world.now_s * 1000000;
}

int
mosquitto_callback_register(mosquitto_plugin_id_t *id, int event, MOSQ_FUNC_generic_callback fn,
	const void *data, void *userdata)
{
	(void)id;
	(void)data;
	(void)userdata;
	world.callback[event] = fn;
	return MOSQ_ERR_SUCCESS;
}

int
mosquitto_callback_unregister(
	mosquitto_plugin_id_t *id, int event, MOSQ_FUNC_generic_callback fn, const void *data)
{
	(void)id;
	(void)data;
	CHECK(world.callback[event] == fn);
	return MOSQ_ERR_SUCCESS;
}

void *
mosquitto_calloc(size_t n, size_t size)
{
	world.live++;
	return calloc(n, size);
}

void *
mosquitto_realloc(void *p, size_t n)
{
	world.live += !p;
	return realloc(p, n);
}

void
mosquitto_free(void *p)
{
	world.live -= p != NULL;
	free(p);
}

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
	return NULL;
}

bool
mosquitto_client_clean_session(const struct mosquitto *c)
{
	return !c->durable;
}

const char *
mosquitto_client_id(const struct mosquitto *c)
{
	return c->ticket ? c->ticket->id : "program";
}

int
mosquitto_client_protocol(const struct mosquitto *c)
{
	return c->websocket ? mp_websockets : mp_mqtt;
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
	struct topic t;

	(void)properties;
	CHECK(!id && !retain && (qos == 0 || qos == 1));
	CHECK(n > 0 && n < PLUGIN_OUT_MAX && strlen(payload) == (size_t)n);
	CHECK(topic_parse(str_of(topic), &t));
	mosquitto_free(payload);
	return MOSQ_ERR_SUCCESS;
}

static int
event(int kind, void *data)
{
	return world.callback[kind](kind, data, world.plugin);
}

static bool
may(struct mosquitto *c, int access, const char *topic)
{
	struct mosquitto_evt_acl_check ed = { .client = c, .topic = topic, .access = access };
	int rc = event(MOSQ_EVT_ACL_CHECK, &ed);

	CHECK(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_ACL_DENIED);
	return rc == MOSQ_ERR_SUCCESS;
}

static void
end(struct mosquitto *c)
{
	struct mosquitto_evt_disconnect ed = { .client = c, .reason = -1 };

	c->online = c->websocket = false;
	CHECK(event(MOSQ_EVT_DISCONNECT, &ed) == MOSQ_ERR_SUCCESS);
	/* Its will. */
	CHECK(!may(c, MOSQ_ACL_WRITE, "sys/kick"));
}

int
mosquitto_kick_client_by_clientid(const char *id, bool with_will)
{
	CHECK(!with_will);
	for (size_t i = 0; i < SLOTS; i++) {
		struct mosquitto *c = &world.slots[i];

		if (!c->online || strcmp(mosquitto_client_id(c), id) != 0)
			continue;
		end(c);
		return MOSQ_ERR_SUCCESS;
	}
	check_failed("kicked somebody who is not there", __FILE__, __LINE__);
}

static int
ask_login(struct mosquitto *c)
{
	struct mosquitto_evt_basic_auth ed = { .client = c,
		.username = c->ticket ? (char *)c->ticket->username : (char *)BACKEND_USERNAME,
		.password = c->ticket ? c->ticket->token : (char *)SECRET };
	int rc = event(MOSQ_EVT_BASIC_AUTH, &ed);

	CHECK(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_AUTH);
	return rc;
}

static void
login(struct mosquitto *c, uint8_t how)
{
	if (c->online)
		end(c);
	c->ticket = how % 16 < TOKENS ? &world.tickets[how % 16] : NULL;
	c->websocket = how & 0x10;
	c->durable = (how & 0xE0) == 0xE0;
	if (ask_login(c) != MOSQ_ERR_SUCCESS) {
		end(c);
		return;
	}
	CHECK(!c->durable && (!c->ticket || world.now_s <= c->ticket->exp + TOKEN_LEEWAY_S));
	for (size_t i = 0; c->ticket && i < SLOTS; i++) {
		struct mosquitto *old = &world.slots[i];

		if (old != c && old->online && old->ticket &&
			strcmp(old->ticket->id, c->ticket->id) == 0)
			end(old);
	}
	c->online = true;
}

static void
tick(void)
{
	struct mosquitto_evt_tick ed = { .now_s = 0 };

	CHECK(event(MOSQ_EVT_TICK, &ed) == MOSQ_ERR_SUCCESS);
}

static void
reload(void)
{
	struct mosquitto_evt_reload ed = { .option_count = 0 };

	CHECK(event(MOSQ_EVT_RELOAD, &ed) == MOSQ_ERR_SUCCESS);
	for (size_t i = 0; i < SLOTS; i++) {
		struct mosquitto *c = &world.slots[i];

		if (!c->ticket || ask_login(c) == MOSQ_ERR_SUCCESS)
			continue;
		/* Ending an offline session would break the broker. */
		CHECK(c->online);
		end(c);
	}
	tick();
}

static void
message(struct mosquitto *from, const char *payload, size_t n)
{
	char topic[] = "sys/kick";
	struct mosquitto_evt_message ed = { .client = from,
		.topic = topic,
		.payload = (char *)payload,
		.payloadlen = (uint32_t)n };

	CHECK(event(MOSQ_EVT_MESSAGE, &ed) == MOSQ_ERR_SUCCESS);
}

static void
kick(struct mosquitto *from, uint8_t whom)
{
	const struct ticket *t = &world.tickets[whom % TOKENS];
	char text[256];
	int n = snprintf(text, sizeof(text), "{\"uid\":\"%s\",\"did\":\"%s\",\"before\":%lld}",
		t->username, whom & 0x80 ? "*" : t->id + UUID_TEXT + 1, (long long)world.now_s);

	message(from, text, (size_t)n);
}

/* What must hold at any moment. */
static void
check_rights(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct mosquitto *c = &world.slots[i];

		for (size_t j = 0; j < TOKENS; j++) {
			const struct ticket *t = &world.tickets[j];

			if (!may(c, MOSQ_ACL_READ, t->inbox))
				continue;
			CHECK(c->online && c->ticket && uuid_eq(&c->ticket->uid, &t->uid));
			CHECK(world.now_s < c->ticket->exp + EXPIRY_GRACE_S);
		}
		CHECK(!may(c, MOSQ_ACL_SUBSCRIBE, "#") && !may(c, MOSQ_ACL_READ, "$SYS/x"));
		CHECK(!c->ticket || !may(c, MOSQ_ACL_WRITE, "sys/kick"));
	}
}

static void
make_ticket(const struct token_keys *keys, struct ticket *t, size_t i)
{
	struct topic_subject who = { .uid = { .b = { 1, (uint8_t)(i / 4) } }, .role = TR_CLIENT };
	struct claims c = { .sub = who.uid,
		.sid = uuid_new(),
		.jti = uuid_new(),
		.role = ROLE_CLIENT,
		.iat = START + (i % 2 ? 1000 : 0),
		.aud = "mqtt" };
	struct topic_grants g;
	struct str token;

	c.exp = c.iat + LIFE_S;
	snprintf(c.did, sizeof(c.did), "d%zu", i / 2 % 2);
	topics_grants(world.arena, &who, &g);
	memcpy(c.sub_acl, g.sub, sizeof(g.sub));
	memcpy(c.pub_acl, g.pub, sizeof(g.pub));
	c.sub_acl_n = g.sub_n;
	c.pub_acl_n = g.pub_n;
	CHECK(token_sign(keys, world.arena, &c, &token, NULL) == P_OK);
	t->uid = who.uid;
	t->token = str_z(world.arena, token);
	t->exp = c.exp;
	uuid_text(&who.uid, t->username);
	snprintf(t->id, sizeof(t->id), "%s_%s", t->username, c.did);
	topic_inbox(&who.uid, t->inbox);
	topic_uplink(&who.uid, UPLINK_BYE, t->bye);
}

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void
remove_all(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		char *child = arena_printf(world.arena, "%s/%s", path, entry->d_name);

		if (unlink(child))
			remove_all(child);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void
end_world(void)
{
	CHECK(mosquitto_plugin_cleanup(world.plugin, NULL, 0) == MOSQ_ERR_SUCCESS);
	CHECK(world.live == 0);
	remove_all(world.dir);
	arena_free(world.arena);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	world.arena = arena_new((size_t)16 << 20);
	world.dir = arena_printf(world.arena, "/tmp/plaza-fuzz-XXXXXX");
	CHECK(mkdtemp(world.dir) && atexit(end_world) == 0);
	const char *keys_dir = arena_printf(world.arena, "%s/keys", world.dir);
	const char *secret = arena_printf(world.arena, "%s/secret", world.dir);

	world.conf = arena_printf(world.arena, "%s/plaza.conf", world.dir);
	CHECK(mkdir(keys_dir, 0700) == 0 && token_keys_generate(keys_dir, NULL) == P_OK);
	struct token_keys *keys = token_keys_load(keys_dir, ISSUER, NULL);

	CHECK(keys != NULL);
	for (size_t i = 0; i < TOKENS; i++)
		make_ticket(keys, &world.tickets[i], i);
	token_keys_free(keys);
	write_text(secret, SECRET "\n");
	write_text(world.conf,
		arena_printf(world.arena, "keys_dir = %s\nissuer = %s\nmqtt_secret_file = %s\n",
			keys_dir, ISSUER, secret));

	struct mosquitto_opt option = { (char *)"conf", (char *)world.conf };

	world.now_s = START;
	CHECK(mosquitto_plugin_init(NULL, (void **)&world.plugin, &option, 1) == MOSQ_ERR_SUCCESS);
	return 0;
}

/* One step of the story takes two bytes: what, and how or to whom. */
static size_t
play(const uint8_t *data, size_t size)
{
	uint8_t what = data[0], how = data[1];
	struct mosquitto *c = &world.slots[what / 16 % SLOTS];
	size_t n = how % 64 < size - 2 ? how % 64 : size - 2;
	struct mosquitto nobody = { .online = false };

	switch (what % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
		login(c, how);
		break;
	case 4:
	case 5:
		end(c);
		break;
	case 6:
	case 7:
		kick(c, how);
		break;
	case 8:
		message(c, (const char *)data + 2, n);
		return 2 + n;
	case 9:
		world.now_s += how;
		tick();
		break;
	case 10:
		world.now_s += how * 16;
		tick();
		break;
	case 11:
		if (how < 4) /* slow: it reads the keys */
			reload();
		else
			check_rights();
		break;
	case 12:
		end(&nobody);
		break;
	default:
		tick();
	}
	return 2;
}

/* Reading the keys costs more than all stories together, so one plugin plays them all. */
static void
clear_world(void)
{
	for (size_t i = 0; i < SLOTS; i++)
		end(&world.slots[i]);
	tick();
	revocations_free(world.plugin->revocations);
	world.plugin->revocations = revocations_new();
	memset(world.slots, 0, sizeof(world.slots));
	/* Only the heap of expiries stays at its size. */
	CHECK(world.plugin->conns.heap_n == 0 && world.live <= 3);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world.now_s = START;
	tick();
	for (size_t at = 0; at + 2 <= size;) {
		at += play(data + at, size - at);
		check_rights();
	}
	clear_world();
	return 0;
}
