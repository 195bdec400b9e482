/* Requests to other people's servers, by libcurl's multi interface. */
#include "io/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "base/check.h"

#define CONNECT_MS 2000L
#define TOTAL_MS 10000L
#define RETRY_AFTER_MAX 86400
#define IDLE_CONNECTIONS 16L

struct call {
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	void (*done)(void *arg, const struct fetch_answer *answer);
	void *arg;
	char error[CURL_ERROR_SIZE];
	char answer[FETCH_ANSWER_MAX];
	size_t answer_n;
};

struct fetch {
	CURLM *multi;
	struct call *call[FETCH_MAX];
	size_t n;
	bool loopback;
};

/* ---- addresses ---- */

/* Networks of special purposes: IANA's registries, RFC 6890 and its successors. */
static const struct net4 {
	uint8_t b[4];
	unsigned bits;
} nets4[] = {
	{ { 0, 0, 0, 0 }, 8 },
	{ { 10, 0, 0, 0 }, 8 },
	{ { 100, 64, 0, 0 }, 10 },
	{ { 127, 0, 0, 0 }, 8 },
	{ { 169, 254, 0, 0 }, 16 },
	{ { 172, 16, 0, 0 }, 12 },
	{ { 192, 0, 0, 0 }, 24 },
	{ { 192, 0, 2, 0 }, 24 },
	{ { 192, 88, 99, 0 }, 24 },
	{ { 192, 168, 0, 0 }, 16 },
	{ { 198, 18, 0, 0 }, 15 },
	{ { 198, 51, 100, 0 }, 24 },
	{ { 203, 0, 113, 0 }, 24 },
	{ { 224, 0, 0, 0 }, 4 },
	{ { 240, 0, 0, 0 }, 4 },
};

static const struct net6 {
	uint8_t b[16];
	unsigned bits;
} nets6[] = {
	{ { 0 }, 96 },                        /* ::, ::1, IPv4 in disguise */
	{ { [10] = 0xff, [11] = 0xff }, 96 }, /* IPv4-mapped */
	{ { 0x00, 0x64, 0xff, 0x9b }, 32 },   /* NAT64, both */
	{ { 0x01, 0x00 }, 64 },               /* discard */
	{ { 0x20, 0x01, 0x00 }, 23 },         /* protocols, Teredo */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 },   /* documentation */
	{ { 0x20, 0x02 }, 16 },               /* 6to4 */
	{ { 0x3f, 0xff }, 20 },               /* documentation */
	{ { 0x5f, 0x00 }, 16 },               /* segment routing */
	{ { 0xfc }, 7 },                      /* unique local */
	{ { 0xfe, 0x80 }, 10 },               /* link local */
	{ { 0xfe, 0xc0 }, 10 },               /* site local */
	{ { 0xff }, 8 },                      /* multicast */
};

static bool
within(const uint8_t *address, const uint8_t *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest) & 0xff);

	return memcmp(address, net, whole) == 0 &&
	       (rest == 0 || (address[whole] & mask) == (net[whole] & mask));
}

bool
address_is_special(const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->sa_family == AF_INET) {
		for (size_t i = 0; i < sizeof(nets4) / sizeof(nets4[0]); i++)
			if (within((const uint8_t *)&in->sin_addr, nets4[i].b, nets4[i].bits))
				return true;
		return false;
	}
	if (address->sa_family != AF_INET6)
		return true;
	for (size_t i = 0; i < sizeof(nets6) / sizeof(nets6[0]); i++)
		if (within(in6->sin6_addr.s6_addr, nets6[i].b, nets6[i].bits))
			return true;
	return false;
}

/* ---- URLs ---- */

/*
 * A name of letters, digits, hyphens and dots whose last label is no number:
 * whatever a resolver might take for an address (octal, hexadecimal, one big
 * number) is none of these.
 */
static bool
is_host_name(struct str host)
{
	size_t label = 0;

	if (host.n == 0 || host.n > FETCH_HOST_MAX || host.p[0] == '.' || host.p[0] == '-')
		return false;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];

		if (c == '.' && (i + 1 == host.n || host.p[i + 1] == '.'))
			return false;
		if (c == '.')
			label = i + 1;
		else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				 (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return label > 0 && (host.p[label] < '0' || host.p[label] > '9');
}

bool
fetch_url_parse(struct str url, bool loopback, struct fetch_url *out)
{
	bool https = str_starts(url, "https://");
	size_t start = https ? 8 : 7, end, colon;
	struct str host, port;

	if (url.n > FETCH_URL_MAX || (!https && !(loopback && str_starts(url, "http://"))))
		return false;
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] > '~' || url.p[i] == '\\' || url.p[i] == '#')
			return false;
	end = str_find(url, '/', start);
	/* An origin does not show the default port (RFC 6454 section 6.2). */
	out->host = str_sub(url, start, end);
	if (https && str_ends(out->host, ":443"))
		out->host.n -= strlen(":443");
	out->origin = str_sub(url, 0, start + out->host.n);
	colon = str_find(out->host, ':', 0);
	host = str_sub(out->host, 0, colon);
	port = str_sub(out->host, colon, out->host.n);
	if (loopback)
		return host.n > 0 && str_find(host, '@', 0) == host.n;
	return end < url.n && is_host_name(host) && port.n == 0;
}

/* ---- calls ---- */

/* libcurl asks for a socket when it knows the address: the last moment to say no. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	const struct fetch *f = arg;

	(void)purpose;
	if (!f->loopback && address_is_special(&address->addr))
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct call *c = arg;
	size_t room = sizeof(c->answer) - c->answer_n, take = size * n < room ? size * n : room;

	memcpy(c->answer + c->answer_n, p, take);
	c->answer_n += take;
	/* Fewer bytes than were offered end the transfer. */
	return take;
}

static void
call_free(struct call *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	free(c->body);
	free(c);
}

static struct call *
call_new(const struct fetch_request *r)
{
	struct call *c = calloc(1, sizeof(*c));

	CHECK(c && r->header_count <= FETCH_HEADERS_MAX);
	c->done = r->done;
	c->arg = r->arg;
	c->easy = curl_easy_init();
	c->body = malloc(r->body.n + 1);
	CHECK(c->easy && c->body);
	memcpy(c->body, r->body.n ? r->body.p : "", r->body.n);
	for (size_t i = 0; i < r->header_count; i++) {
		struct curl_slist *more = curl_slist_append(c->headers, r->headers[i]);

		CHECK(more);
		c->headers = more;
	}
	return c;
}

/* True when libcurl took every option. */
static bool
call_set(struct fetch *f, struct call *c, const struct fetch_request *r)
{
	char url[FETCH_URL_MAX + 1];
	CURL *e = c->easy;

	if (r->url.n > FETCH_URL_MAX)
		return false;
	memcpy(url, r->url.p, r->url.n);
	url[r->url.n] = '\0';
	return !curl_easy_setopt(e, CURLOPT_URL, url) &&
	       !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, f->loopback ? "http,https" : "https") &&
	       !curl_easy_setopt(e, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) &&
	       !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) &&
	       !curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, TOTAL_MS) &&
	       !curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
	       !curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, f) &&
	       !curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->body) &&
	       !curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, (long)r->body.n) &&
	       !curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers) &&
	       !curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) &&
	       !curl_easy_setopt(e, CURLOPT_WRITEDATA, c) &&
	       !curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
}

struct fetch *
fetch_new(bool loopback)
{
	struct fetch *f = calloc(1, sizeof(*f));

	CHECK(f && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	f->multi = curl_multi_init();
	CHECK(f->multi);
	f->loopback = loopback;
	CHECK(curl_multi_setopt(f->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)FETCH_PER_HOST) ==
		CURLM_OK);
	CHECK(curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS) == CURLM_OK);
	return f;
}

enum problem
fetch_post(struct fetch *f, const struct fetch_request *r, struct err *err)
{
	struct call *c;

	if (f->n == FETCH_MAX)
		return ERR(err, P_UNAVAILABLE, "fetch: %d requests are under way", FETCH_MAX);
	c = call_new(r);
	if (!call_set(f, c, r) || curl_multi_add_handle(f->multi, c->easy)) {
		call_free(c);
		return ERR(err, P_INTERNAL, "fetch: libcurl refuses %.*s", STR_ARG(r->url));
	}
	f->call[f->n++] = c;
	return P_OK;
}

/* Ends the i-th call, whose place the last one takes. */
static void
finish(struct fetch *f, size_t i, CURLcode result)
{
	struct call *c = f->call[i];
	struct fetch_answer answer = { .body = { c->answer, c->answer_n }, .error = "" };
	long status = 0;
	curl_off_t retry = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &retry);
	/* The status is there before the body: a cut one changes nothing. */
	if (result == CURLE_OK || (result == CURLE_WRITE_ERROR && status > 0))
		answer.status = (int)status;
	else
		answer.error = c->error[0] ? c->error : curl_easy_strerror(result);
	if (retry > 0)
		answer.retry_after_s = retry > RETRY_AFTER_MAX ? RETRY_AFTER_MAX : (int)retry;
	f->call[i] = f->call[--f->n];
	(void)curl_multi_remove_handle(f->multi, c->easy);
	c->done(c->arg, &answer);
	call_free(c);
}

void
fetch_run(struct fetch *f, int wait_ms)
{
	int left = 0;
	CURLMsg *m;

	if (f->n == 0) {
		(void)poll(NULL, 0, wait_ms); /* a signal ends it early */
		return;
	}
	(void)curl_multi_perform(f->multi, &left);
	if (left == (int)f->n) {
		(void)curl_multi_poll(f->multi, NULL, 0, wait_ms, NULL);
		(void)curl_multi_perform(f->multi, &left);
	}
	while ((m = curl_multi_info_read(f->multi, &left))) {
		size_t i = 0;

		while (i < f->n && f->call[i]->easy != m->easy_handle)
			i++;
		CHECK(i < f->n && m->msg == CURLMSG_DONE);
		finish(f, i, m->data.result);
	}
}

size_t
fetch_count(const struct fetch *f)
{
	return f->n;
}

void
fetch_free(struct fetch *f)
{
	if (!f)
		return;
	while (f->n > 0)
		finish(f, f->n - 1, CURLE_ABORTED_BY_CALLBACK);
	curl_multi_cleanup(f->multi);
	curl_global_cleanup();
	free(f);
}
