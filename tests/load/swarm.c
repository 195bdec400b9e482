/*
 * Plays many devices: swarm MODE NAME=VALUE…
 *   pairs     clients i and i^1 talk: `rate` messages a second in all, or, with rate=0, each sender
 * the next one when the last was accepted; send=rest|uplink fanout    `rate` announcements a second
 * to all clients idle      all are connected and silent crash     as pairs, and after `calm`
 * seconds the process `kill` ends by SIGKILL: until everybody is back and has everything kick
 * `rate` clients a second sign out: until their connections end presence  `rate` clients a second
 * come, then fall silent: until the peer who watches is told env=FILE of deploy/run; clients=FILE,
 * `count` lines of it: user, token, chat, peer, broker token, device, role, with tabs between;
 * wire=ws|tcp; ask=1: a new broker token for each connection. START and END bracket what counts;
 * RESULT tells it. A latency runs from the moment a message was due to its arrival at the peer.
 * Devices come back as those of realtime/client do: after 0.15 to 2.85 s, doubled by each failure,
 * with the token they have unless it was refused.
 */
#include "swarm_device.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define TOGETHER 100 /* connect at a time, at first */
#define SETTLE_NS (1ull * NS)
#define DRAIN_NS (5ull * NS)
#define BACK_NS (60ull * NS) /* for everybody to come back */
#define JOIN_NS (120ull * NS)
#define MESSAGES_MAX 4000000

static const char *const mode_names[MODES] = { "pairs", "fanout", "idle", "crash", "kick",
	"presence" };
static const char *clients_file, *env_file, *send_by = "rest";
static double seconds = 8, warm, calm = 2;
static pid_t victim;
static char secret_of_backend[128];
struct swarm sw = { .count = 200, .wire = WIRE_MQTT_WS };

/* Every `step`th client from `first`; all of them must come. */
static void
join(size_t first, size_t step)
{
	uint64_t limit = net_now() + JOIN_NS;
	size_t wanted = sw.ready, before = sw.ready;

	for (size_t i = first; i < sw.count; i += step) {
		while (wanted - sw.ready >= TOGETHER && net_now() < limit)
			device_turn(net_now() + LOOK_NS);
		device_come(&sw.people[i]);
		wanted++;
	}
	while (sw.ready < wanted && net_now() < limit)
		device_turn(net_now() + LOOK_NS);
	if (sw.ready < wanted) {
		(void)fprintf(stderr, "swarm: %zu of %zu are there\n", sw.ready - before,
			wanted - before);
		exit(1);
	}
}

/* ---- modes ---- */

static void
announce(uint32_t i)
{
	static struct bytes b;

	b.n = 0;
	bytes_put_mqtt(&b, "b/all");
	bytes_printf(&b, "{\"v\":1,\"t\":\"broadcast\",\"d\":{\"text\":\"rt:%u;%0*d\"}}", i,
		TEXT_BYTES - 12, 0);
	conn_packet(&sw.publisher.link, 0x30, &b);
}

static void
say(size_t sender, uint64_t due)
{
	struct client *c = &sw.people[sender];
	uint32_t i = sw.sent;
	char id[40], data[256];

	if (i == MESSAGES_MAX)
		return;
	sw.sent++;
	sw.messages[i] = (struct message){ .due = due, .sender = (uint32_t)sender };
	if (sw.mode == FANOUT) {
		announce(i);
	} else if (send_by[0] == 'r') {
		device_request(c, ASK_SEND, i);
	} else {
		(void)snprintf(id, sizeof(id), "%08x-0000-4000-8000-%012x", sw.run_id, i);
		(void)snprintf(data, sizeof(data), "{\"chatId\":\"%s\",\"body\":\"rt:%u;%0*d\"}",
			c->chat, i, TEXT_BYTES - 12, 0);
		device_uplink(c, "send", id, data);
	}
}

void
swarm_next(uint32_t sender)
{
	uint64_t now = net_now();

	if (now < sw.end)
		say(sender, now);
}

/* What an ordered message does: it is sent, or somebody comes or goes. */
static void
act(size_t turn_n, uint64_t due)
{
	if (sw.mode == KICK)
		device_request(&sw.people[turn_n % sw.count], ASK_LOGOUT, 0);
	else if (sw.mode == PRESENCE)
		device_come(&sw.people[(turn_n * 2 + 1) % sw.count]);
	else
		say(turn_n % sw.count, due);
}

/* Of the first `n` messages each has arrived; one that was refused never will. */
static bool
all_there(uint32_t n)
{
	uint64_t missing = 0;

	for (uint32_t i = 0; i < n; i++)
		missing += !sw.messages[i].accepted || !sw.messages[i].seen;
	return missing <= sw.unsent;
}

static void
play(void)
{
	size_t n = 0, most = sw.mode == KICK       ? sw.count
			     : sw.mode == PRESENCE ? sw.count / 2
						   : SIZE_MAX;
	uint64_t first = net_now(), step = sw.rate > 0 ? seconds_ns(1 / sw.rate) : 0, due = first,
		 now;
	bool said = false;

	sw.begin = first + seconds_ns(warm);
	sw.end = sw.begin + seconds_ns(seconds);
	if (sw.rate == 0 && sw.mode == PAIRS)
		for (size_t i = 0; i < sw.count; i++)
			say(i, net_now());
	while ((now = net_now()) < sw.end) {
		if (!said && now >= sw.begin) {
			said = true;
			(void)puts("START");
		}
		for (; step && due <= now && n < most; due += step)
			act(n++, due);
		if (victim && !sw.broke && now >= sw.begin + seconds_ns(calm)) {
			sw.broke = now;
			kill(victim, SIGKILL);
		}
		device_turn(step && due < sw.end ? due : sw.end);
	}
}

static bool
is_done(void)
{
	switch (sw.mode) {
	case FANOUT:
		return sw.delivered >= (uint64_t)sw.sent * sw.count;
	case KICK:
		return sw.delivered >= sw.count;
	case PRESENCE:
		return sw.delivered >= sw.count / 2;
	case CRASH:
		return sw.everybody_at && all_there(sw.sent);
	default:
		return all_there(sw.sent);
	}
}

/* Until nothing is missing, or it has taken too long. */
static void
drain(void)
{
	uint64_t limit = sw.end + (sw.broke || sw.mode == PRESENCE ? BACK_NS : DRAIN_NS);

	while (!is_done() && net_now() < limit)
		device_turns(LOOK_NS);
}

/* ---- result ---- */

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double
quantile(const struct times *t, double q)
{
	return t->n ? t->us[(size_t)((double)(t->n - 1) * q)] / 1000.0 : -1;
}

struct sums {
	uint64_t lost;      /* accepted, but never seen; or what else should have come */
	uint64_t left;      /* sent, but never accepted */
	uint64_t caught_at; /* when the last of what was sent before everybody was back had arrived
			     */
};

static struct sums
count_messages(void)
{
	struct sums s = { .caught_at = sw.everybody_at };

	for (uint32_t i = 0; i < sw.sent; i++) {
		const struct message *m = &sw.messages[i];
		s.lost += m->accepted && !m->seen;
		s.left += !m->accepted;
		if (m->due <= sw.everybody_at && m->seen > s.caught_at)
			s.caught_at = m->seen;
	}
	return s;
}

static struct sums
sum_up(void)
{
	switch (sw.mode) {
	case FANOUT:
		return (struct sums){ .lost = (uint64_t)sw.sent * sw.count - sw.delivered };
	case KICK:
		return (struct sums){ .lost = sw.count - sw.delivered };
	case PRESENCE:
		return (struct sums){ .lost = sw.count / 2 - sw.delivered };
	default:
		return count_messages();
	}
}

static void
put_count(const char *name, uint64_t n)
{
	(void)printf("\"%s\":%llu,", name, (unsigned long long)n);
}

static double
since_broke(uint64_t at)
{
	return at ? (double)(at - sw.broke) / NS : -1;
}

static void
result(void)
{
	struct sums s = sum_up();

	qsort(sw.times.us, sw.times.n, sizeof(uint32_t), compare);
	qsort(sw.leaving.us, sw.leaving.n, sizeof(uint32_t), compare);
	(void)printf("RESULT {\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f,",
		quantile(&sw.times, 0.5), quantile(&sw.times, 0.9), quantile(&sw.times, 0.99),
		quantile(&sw.times, 1));
	if (sw.mode == PRESENCE)
		(void)printf("\"offline_p50\":%.0f,\"offline_max\":%.0f,",
			quantile(&sw.leaving, 0.5), quantile(&sw.leaving, 1));
	if (sw.broke)
		(void)printf("\"back_s\":%.2f,\"caught_s\":%.2f,", since_broke(sw.everybody_at),
			since_broke(s.caught_at));
	(void)printf("\"accepted_s\":%.0f,", (double)sw.accepted / seconds);
	put_count("sent", sw.sent);
	put_count("accepted", sw.accepted);
	put_count("delivered", sw.delivered);
	put_count("lost", s.lost);
	put_count("left", s.left);
	put_count("twice", sw.repeated);
	put_count("ready", sw.ready);
	put_count("closed", sw.closed);
	put_count("gaps", sw.gaps);
	put_count("again", sw.again);
	put_count("5xx", sw.faults_5xx);
	(void)printf("\"errors\":%llu}\n", (unsigned long long)sw.refusals);
}

/* ---- start ---- */

static void
read_env(void)
{
	char line[1024], path[1100] = "";
	FILE *f = fopen(env_file, "r");

	if (!f) {
		perror(env_file);
		exit(2);
	}
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "BASE_URL=", 9) == 0)
			sw.http_port = (uint16_t)strtoul(strrchr(line, ':') + 1, NULL, 10);
		else if (strncmp(line, "MQTT_PORT=", 10) == 0)
			sw.mqtt_port = (uint16_t)strtoul(line + 10, NULL, 10);
		else if (strncmp(line, "RUN_DIR=", 8) == 0)
			(void)snprintf(path, sizeof(path), "%s/conf/mqtt.secret", line + 8);
	}
	(void)fclose(f);
	f = sw.mode == FANOUT ? fopen(path, "r") : NULL;
	if (f && fgets(secret_of_backend, sizeof(secret_of_backend), f))
		secret_of_backend[strcspn(secret_of_backend, "\n")] = '\0';
	if (f)
		(void)fclose(f);
}

static void
read_clients(void)
{
	FILE *f = fopen(clients_file, "r");
	char *line = NULL;
	size_t room = 0, n = 0;

	sw.people = calloc(sw.count, sizeof(*sw.people));
	sw.messages = calloc(MESSAGES_MAX, sizeof(*sw.messages));
	if (!f || !sw.people || !sw.messages) {
		perror(clients_file);
		exit(2);
	}
	for (; n < sw.count && getline(&line, &room, f) > 0; n++) {
		struct client *c = &sw.people[n];
		line[strcspn(line, "\n")] = '\0';
		char *rest = strdup(line);
		c->user = strsep(&rest, "\t");
		c->token = strsep(&rest, "\t");
		c->chat = strsep(&rest, "\t");
		c->peer = strsep(&rest, "\t");
		c->secret = strsep(&rest, "\t");
		c->did = strsep(&rest, "\t");
		c->role = rest;
		device_adopt(c);
		c->silent = sw.mode == PRESENCE && n % 2 == 1;
		if (!c->role) {
			(void)fprintf(stderr, "swarm: line %zu has too few columns\n", n + 1);
			exit(2);
		}
	}
	free(line);
	(void)fclose(f);
	if (n < sw.count) {
		(void)fprintf(stderr, "swarm: %s has only %zu clients\n", clients_file, n);
		exit(2);
	}
}

static bool
option(const char *name, const char *value)
{
	if (strcmp(name, "env") == 0)
		env_file = value;
	else if (strcmp(name, "clients") == 0)
		clients_file = value;
	else if (strcmp(name, "count") == 0)
		sw.count = strtoul(value, NULL, 10);
	else if (strcmp(name, "rate") == 0)
		sw.rate = strtod(value, NULL);
	else if (strcmp(name, "seconds") == 0)
		seconds = strtod(value, NULL);
	else if (strcmp(name, "warm") == 0)
		warm = strtod(value, NULL);
	else if (strcmp(name, "calm") == 0)
		calm = strtod(value, NULL);
	else if (strcmp(name, "send") == 0)
		send_by = value;
	else if (strcmp(name, "wire") == 0)
		sw.wire = strcmp(value, "tcp") == 0 ? WIRE_MQTT : WIRE_MQTT_WS;
	else if (strcmp(name, "ask") == 0)
		sw.ask_always = value[0] == '1';
	else if (strcmp(name, "kill") == 0)
		victim = (pid_t)strtol(value, NULL, 10);
	else
		return false;
	return true;
}

static void
watch_peers(void)
{
	char data[96];

	for (size_t i = 0; i < sw.count; i += 2) {
		(void)snprintf(data, sizeof(data), "{\"userIds\":[\"%s\"]}", sw.people[i].peer);
		device_uplink(&sw.people[i], "watch", "00000000-0000-4000-8000-000000000002", data);
	}
}

static void
open_publisher(void)
{
	sw.publisher = (struct client){ .user = "plaza-backend", .secret = secret_of_backend };
	device_adopt(&sw.publisher);
	conn_open(&sw.publisher.link, sw.mqtt_port, WIRE_MQTT);
	for (int i = 0; i < 100 && sw.publisher.state != READY; i++)
		device_turns(LOOK_NS);
	if (sw.publisher.state != READY)
		exit(1);
}

static void
limits(void)
{
	struct rlimit files = { 65536, 65536 }, now;

	(void)prctl(PR_SET_TIMERSLACK, 1000);
	if (setrlimit(RLIMIT_NOFILE, &files) == 0 || getrlimit(RLIMIT_NOFILE, &now))
		return;
	now.rlim_cur = now.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &now);
}

int
main(int argc, char **argv)
{
	int at = 0;

	for (int i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (value)
			*value++ = '\0';
		if (!value || !option(argv[i], value)) {
			(void)fprintf(stderr, "swarm: what is %s?\n", argv[i]);
			return 2;
		}
	}
	if (argc < 2 || !env_file || !clients_file) {
		(void)fputs("usage: swarm MODE env=FILE clients=FILE [NAME=VALUE…]\n", stderr);
		return 2;
	}
	while (at < MODES && strcmp(mode_names[at], argv[1]) != 0)
		at++;
	if (at == MODES) {
		(void)fprintf(stderr, "swarm: no such mode: %s\n", argv[1]);
		return 2;
	}
	sw.mode = (enum mode)at;
	sw.run_id = (unsigned)(net_now() / 1000) ^ (unsigned)getpid() << 16;
	limits();
	setvbuf(stdout, NULL, _IOLBF, 0);
	device_init();
	read_env();
	read_clients();
	join(0, sw.mode == PRESENCE ? 2 : 1);
	if (sw.mode == FANOUT)
		open_publisher();
	if (sw.mode == PRESENCE)
		watch_peers();
	device_turns(SETTLE_NS);
	play();
	drain();
	(void)puts("END");
	result();
	return 0;
}
