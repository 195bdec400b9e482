/* fcgi/io/fetch: which URLs and addresses are called, and what comes of a call. */
#include "io/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "unit.h"

/* ---- which URLs ---- */

static const char *const bad_urls[] = { "", "https://", "https:///x", "push.example/x",
	"http://push.example/x", "ftp://push.example/x", "HTTPS://push.example/x",
	"file:///etc/passwd", "gopher://push.example/x", "https:/push.example/x",
	"https://push.example", /* no path is no subscription */
	"https://push.example:80/x", "https://push.example:8443/x", "https://push.example:/x",
	"https://push.example:0443/x", "https://push.example:443x/x",
	"https://push.example:443:443/x", "https://user@push.example/x",
	"https://user:pw@push.example/x", "https://push.example@127.0.0.1/x",
	"https://push.example#@127.0.0.1/x", "https://127.0.0.1\\@push.example/x",
	"https://push.example/x#y", "https://push.example/x y", "https://push.example/\r\nX: y",
	"https://push.example/\tx", "https://push.example/\xc3\xa9",
	"https://p\xc3\xbcsh.example/x", "https://localhost/x", "https://LOCALHOST/x",
	"https://localhost:443/x", "https://localhost./x", "https://push.example./x",
	"https://.push.example/x", "https://push..example/x", "https://-push.example/x",
	"https://push_service.example/x", "https://push,example/x", "https://push%2eexample/x",
	"https://%31%32%37.0.0.1/x", "https://push.example?@127.0.0.1/x", "https://127.0.0.1/x",
	"https://127.0.0.1:443/x", "https://127.1/x", "https://127.0.1/x", "https://0/x",
	"https://0.0.0.0/x", "https://2130706433/x", "https://017700000001/x",
	"https://0177.0.0.1/x", "https://0x7f000001/x", "https://0x7f.1/x", "https://0x7f.0.0.1/x",
	"https://127.0.0.1.:443/x", "https://10.0.0.1/x", "https://172.16.0.1/x",
	"https://192.168.1.1/x", "https://169.254.169.254/latest/meta-data/",
	"https://100.64.0.1/x", "https://8.8.8.8/x", "https://1.1.1.1/x", "https://224.0.0.1/x",
	"https://255.255.255.255/x", "https://[::1]/x", "https://[::]/x",
	"https://[::ffff:127.0.0.1]/x", "https://[::ffff:7f00:1]/x", "https://[64:ff9b::7f00:1]/x",
	"https://[fe80::1]/x", "https://[fe80::1%25eth0]/x", "https://[fc00::1]/x",
	"https://[ff02::1]/x", "https://[2001:db8::1]/x", "https://[2606:4700::1111]/x",
	"https://[::1/x", "https://::1/x", "https://push.example.1/x", "https://push.0x1/x",
	"https://push.1e9/x", "https://a.9999999999/x", "https://1.2.3.4.5/x",
	"https://x@y@push.example/x", "//push.example/x", "javascript:alert(1)", "data:,x",
	"https://push.example\\x/y", "https://push.example|x/y", "https://push.example;x/y" };

static void
bad_urls_are_not_called(void **state)
{
	struct fetch_url out;

	(void)state;
	assert_true(COUNT(bad_urls) >= 80);
	for (size_t i = 0; i < COUNT(bad_urls); i++)
		if (fetch_url_parse(str_of(bad_urls[i]), false, &out))
			fail_msg("taken: %s", bad_urls[i]);
}

static void
good_urls_come_apart(void **state)
{
	struct fetch_url out;

	(void)state;
	assert_true(fetch_url_parse(
		STR("https://updates.push.services.mozilla.com/wpush/v2/gAAA-_=?a=b"), false,
		&out));
	assert_str(out.origin, "https://updates.push.services.mozilla.com");
	assert_str(out.host, "updates.push.services.mozilla.com");
	assert_true(fetch_url_parse(STR("https://web.push.apple.com:443/Q"), false, &out));
	assert_str(out.origin, "https://web.push.apple.com");
	assert_str(out.host, "web.push.apple.com");
	assert_true(fetch_url_parse(STR("https://fcm.googleapis.com/fcm/send/a:b"), false, &out));
	assert_true(fetch_url_parse(STR("http://127.0.0.1:4810/push/1"), true, &out));
	assert_str(out.origin, "http://127.0.0.1:4810");
	assert_false(fetch_url_parse(STR("ftp://127.0.0.1/x"), true, &out));
	assert_false(fetch_url_parse(STR("http://u@127.0.0.1/x"), true, &out));
}

static void
a_long_url_is_refused(void **state)
{
	static char url[FETCH_URL_MAX + 2] = "https://push.example/";
	struct fetch_url out;

	(void)state;
	memset(url + 21, 'x', sizeof(url) - 22);
	assert_false(fetch_url_parse(str_of(url), false, &out));
	url[FETCH_URL_MAX] = '\0';
	assert_true(fetch_url_parse(str_of(url), false, &out));
}

/* ---- which addresses ---- */

static bool
special(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return address_is_special((struct sockaddr *)&in);
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return address_is_special((struct sockaddr *)&in6);
}

static void
addresses_of_special_purpose(void **state)
{
	static const char *const yes[] = { "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
		"100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254",
		"172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1",
		"192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1",
		"::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:1ff::1", "2001:db8::1", "2002:7f00:1::", "3fff::1",
		"5f00::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1" };
	static const char *const no[] = { "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
		"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "203.0.112.1", "223.255.255.255", "2001:200::1",
		"2606:4700::1111", "2a00:1450::1", "2003::1", "2400::1" };
	struct sockaddr_un {
		sa_family_t family;
	} local = { AF_UNIX };

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		if (!special(yes[i]))
			fail_msg("not special: %s", yes[i]);
	for (size_t i = 0; i < COUNT(no); i++)
		if (special(no[i]))
			fail_msg("special: %s", no[i]);
	assert_true(address_is_special((struct sockaddr *)(void *)&local));
}

/* ---- calls ---- */

static int listener;
static unsigned port;
static pthread_t server;
static int served; /* connections */

static void
serve_one(int fd)
{
	static char big[100000];
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	if (strstr(text, "POST /moved"))
		dprintf(fd,
			"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/ok\r\n"
			"Content-Length: 0\r\nConnection: close\r\n\r\n",
			port);
	else if (strstr(text, "POST /busy"))
		dprintf(fd, "HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 0\r\n"
			    "Connection: close\r\n\r\n");
	else if (strstr(text, "POST /big")) {
		memset(big, 'x', sizeof(big));
		dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			sizeof(big));
		if (write(fd, big, sizeof(big)) < 0)
			return;
	} else if (strstr(text, "POST /ok")) {
		const char *body = strstr(text, "\r\n\r\n");
		dprintf(fd,
			"HTTP/1.1 201 Created\r\nContent-Length: %zu\r\nConnection: close\r\n"
			"\r\n%s%s",
			strlen(body + 4) + 2,
			strstr(text, "\r\nX-One: 1\r\n") ? "1:" : "0:", body + 4);
	}
}

static void *
serve(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		__atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
		serve_one(fd);
		close(fd);
	}
	return NULL;
}

static int
start_server(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof(at);

	(void)state;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&at, n) || listen(listener, 64) ||
		getsockname(listener, (struct sockaddr *)&at, &n))
		return -1;
	port = ntohs(at.sin_port);
	return pthread_create(&server, NULL, serve, NULL);
}

static int
stop_server(void **state)
{
	(void)state;
	shutdown(listener, SHUT_RDWR);
	close(listener);
	return pthread_join(server, NULL);
}

struct got {
	int calls, status, retry_after_s;
	size_t body_n;
	char body[64];
	bool error;
};

static void
on_done(void *arg, const struct fetch_answer *a)
{
	struct got *g = arg;

	g->calls++;
	g->status = a->status;
	g->retry_after_s = a->retry_after_s;
	g->body_n = a->body.n;
	snprintf(g->body, sizeof(g->body), "%.*s", STR_ARG(str_sub(a->body, 0, 60)));
	g->error = a->error[0] != '\0';
}

static void
post(struct fetch *f, const char *scheme, const char *path, struct got *g)
{
	static const char *const headers[] = { "X-One: 1", "Expect:" };
	char url[128];
	struct err err = { 0 };

	snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, port, path);
	*g = (struct got){ 0 };
	assert_int_equal(fetch_post(f,
				 &(struct fetch_request){ .url = str_of(url),
					 .headers = headers,
					 .header_count = COUNT(headers),
					 .body = STR("hello"),
					 .done = on_done,
					 .arg = g },
				 &err),
		P_OK);
	memset(url, 0, sizeof(url)); /* it has copies */
}

static void
wait_all(struct fetch *f)
{
	for (int i = 0; i < 200 && fetch_count(f) > 0; i++)
		fetch_run(f, 50);
	assert_int_equal(fetch_count(f), 0);
}

static void
answers_come_back(void **state)
{
	struct fetch *f = fetch_new(true);
	struct got ok, moved, busy, big;

	(void)state;
	post(f, "http", "/ok", &ok);
	post(f, "http", "/moved", &moved);
	post(f, "http", "/busy", &busy);
	post(f, "http", "/big", &big);
	wait_all(f);
	assert_int_equal(ok.status, 201);
	assert_string_equal(ok.body, "1:hello");
	assert_int_equal(moved.status, 302);
	assert_int_equal(busy.status, 429);
	assert_int_equal(busy.retry_after_s, 7);
	assert_int_equal(big.status, 200);
	assert_int_equal(big.body_n, FETCH_ANSWER_MAX);
	assert_int_equal(ok.calls + moved.calls + busy.calls + big.calls, 4);
	fetch_free(f);
}

/* Whatever the URL said: the address is judged when the socket is made. */
static void
a_private_address_is_not_connected_to(void **state)
{
	struct fetch *f = fetch_new(false);
	struct got g;
	int before = __atomic_load_n(&served, __ATOMIC_SEQ_CST);

	(void)state;
	post(f, "https", "/ok", &g);
	wait_all(f);
	assert_int_equal(g.status, 0);
	assert_true(g.error);
	post(f, "http", "/ok", &g);
	wait_all(f);
	assert_int_equal(g.status, 0);
	assert_int_equal(__atomic_load_n(&served, __ATOMIC_SEQ_CST), before);
	fetch_free(f);
}

static void
what_is_under_way_is_bounded_and_ends(void **state)
{
	struct fetch *f = fetch_new(true);
	struct got g[FETCH_MAX];
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < FETCH_MAX; i++)
		post(f, "http", "/ok", &g[i]);
	assert_int_equal(
		fetch_post(f, &(struct fetch_request){ .url = STR("http://127.0.0.1/x") }, &err),
		P_UNAVAILABLE);
	fetch_free(f);
	for (size_t i = 0; i < FETCH_MAX; i++)
		assert_int_equal(g[i].calls, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_urls_are_not_called),
		cmocka_unit_test(good_urls_come_apart),
		cmocka_unit_test(a_long_url_is_refused),
		cmocka_unit_test(addresses_of_special_purpose),
		cmocka_unit_test(answers_come_back),
		cmocka_unit_test(a_private_address_is_not_connected_to),
		cmocka_unit_test(what_is_under_way_is_bounded_and_ends),
	};

	return cmocka_run_group_tests_name("fetch", tests, start_server, stop_server);
}
