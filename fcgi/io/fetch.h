/*
 * HTTP requests to other people's servers (libcurl), many at a time. What they
 * name is not trusted: https only, no redirects, no proxy of the environment,
 * and no address of a special purpose (RFC 6890), judged when the connection is
 * made, so that a name which resolves to something else the second time gains
 * nothing. Every request ends within its deadline.
 */
#ifndef PLAZA_IO_FETCH_H
#define PLAZA_IO_FETCH_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define FETCH_MAX 128          /* requests at a time */
#define FETCH_PER_HOST 32      /* of them to one host, so that a slow one leaves room */
#define FETCH_ANSWER_MAX 16384 /* bytes of an answer; what is longer is cut off */
#define FETCH_HEADERS_MAX 8    /* of a request */
#define FETCH_URL_MAX 2048
#define FETCH_HOST_MAX 255

struct sockaddr;

/* Whether an address belongs to nobody else: loopback, private, multicast, … */
bool address_is_special(const struct sockaddr *address);

/* The parts of "https://HOST[:PORT]/PATH". */
struct fetch_url {
	struct str origin; /* scheme, host, port: "https://push.example:8443" */
	struct str host;   /* with the port when it is another than 443 */
};

/*
 * Takes a URL apart; false when it must not be called: another scheme than
 * https, a user or a fragment in it, another port than 443, a host that is an
 * address of a special purpose or no host name. With `loopback`, for tests,
 * http and all ports and addresses are fine.
 */
bool fetch_url_parse(struct str url, bool loopback, struct fetch_url *out);

struct fetch_answer {
	int status;        /* of HTTP; 0 = there was no answer */
	int retry_after_s; /* 0 = not said */
	struct str body;
	const char *error; /* why there was none; "" when there was one */
};

struct fetch_request {
	struct str url;
	const char *const *headers; /* "Name: value", `header_count` of them */
	size_t header_count;
	struct str body; /* of a POST */
	/* Called once, from fetch_run() or fetch_free(); the answer lives as long as the call. */
	void (*done)(void *arg, const struct fetch_answer *answer);
	void *arg;
};

struct fetch;

/* Never returns NULL. */
struct fetch *fetch_new(bool loopback);
/* Requests that are under way end without an answer. */
void fetch_free(struct fetch *f);
/* Takes a request, with copies of all that it names; P_UNAVAILABLE when FETCH_MAX are under way. */
enum problem fetch_post(struct fetch *f, const struct fetch_request *r, struct err *err)
	__attribute__((warn_unused_result));
/* Moves all requests on and waits for them, `wait_ms` at most. */
void fetch_run(struct fetch *f, int wait_ms);
/* Requests under way. */
size_t fetch_count(const struct fetch *f);

#endif
