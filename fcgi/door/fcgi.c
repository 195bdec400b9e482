/* FastCGI door: epoll over the listener and the kept connections, libfcgi for the protocol. */
#include "door/fcgi.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CONNS_MAX 512
#define EVENTS_MAX 32
#define BACKLOG 512
#define DRAIN_MAX (256 * 1024) /* unread body that is worth reading to keep a connection */
#define ACCEPT_PAUSE_MS 500    /* after running out of descriptors */
#define IO_TIMEOUT_S 15        /* a web server that stalls in the middle of a request */
#define STOP_GRACE_MS 3000     /* nginx closes a kept connection after 2 s or 100 requests */

struct conn {
	FCGX_Request r;
	int fd; /* -1 = free slot */
};

struct door_state {
	struct app *app;
	int epoll_fd, listen_fd;
	bool listening;
	int64_t resume_us; /* when to listen again; 0 = not paused */
	size_t open;
	struct conn conns[CONNS_MAX];
};

static volatile sig_atomic_t stop_asked;

static void
on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

/* ---- listening socket ---- */

static int
listen_on(const char *path, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		(void)ERR_SAY(err, P_INTERNAL, "socket path is longer than %zu bytes",
			sizeof(sa.sun_path) - 1);
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)unlink(path); /* a socket left by a killed process; bind reports anything else */
	mode_t old = umask(0117);
	int bound = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	(void)umask(old);
	if (bound < 0 || listen(fd, BACKLOG) < 0) {
		(void)ERR_SAY(err, P_INTERNAL, "%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

int
fcgi_listen(const char *path, struct err *err)
{
	struct stat st;

	if (path)
		return listen_on(path, err);
	int passed = notify_listen_fd();
	if (passed >= 0)
		return passed;
	if (fstat(0, &st) == 0 && S_ISSOCK(st.st_mode))
		return 0;
	(void)ERR_SAY(err, P_INTERNAL,
		"no socket: give -s PATH, or start by systemd, spawn-fcgi or multiwatch");
	return -1;
}

/* ---- the door's view of a request ---- */

static struct str
door_header(struct request *req, const char *name)
{
	struct conn *c = req->door_data;
	char key[64];

	/* These two have no HTTP_ prefix in CGI (RFC 3875 section 4.1). */
	if (strcmp(name, "CONTENT_TYPE") == 0 || strcmp(name, "CONTENT_LENGTH") == 0)
		return str_of(FCGX_GetParam(name, c->r.envp));
	snprintf(key, sizeof(key), "HTTP_%s", name);
	return str_of(FCGX_GetParam(key, c->r.envp));
}

static long
door_read(struct request *req, char *p, size_t n)
{
	struct conn *c = req->door_data;
	int got = FCGX_GetStr(p, n > INT32_MAX ? INT32_MAX : (int)n, c->r.in);

	/* libfcgi reports a connection that broke in the middle as plain end of file. */
	if (FCGX_GetError(c->r.in))
		return -1;
	return got;
}

static const struct door fcgi_door = { "http", door_header, door_read };

static enum http_method
parse_method(struct str s)
{
	for (int m = HTTP_GET; m <= HTTP_OPTIONS; m++)
		if (str_eqz(s, http_method_name((enum http_method)m)))
			return (enum http_method)m;
	return HTTP_NONE;
}

/* REQUEST_URI is what the client sent; SCRIPT_NAME and PATH_INFO were decoded by then. */
static void
fill_request(struct request *req, struct conn *c)
{
	struct str uri = str_of(FCGX_GetParam("REQUEST_URI", c->r.envp));
	struct str length = str_of(FCGX_GetParam("CONTENT_LENGTH", c->r.envp));

	req->door = &fcgi_door;
	req->door_data = c;
	req->method = parse_method(str_of(FCGX_GetParam("REQUEST_METHOD", c->r.envp)));
	str_cut(uri, '?', &req->uri_path, &req->query_text);
	/* A copy: the access log is written when libfcgi has freed the parameters. */
	req->remote_addr = str_dup(req->arena, str_of(FCGX_GetParam("REMOTE_ADDR", c->r.envp)));
	if (length.n > 0 && !str_i64(length, &req->content_length))
		req->content_length = INT64_MAX; /* refused as too large */
}

static void
write_answer(struct conn *c, struct request *req)
{
	const struct response *resp = &req->resp;
	FCGX_Stream *out = c->r.out;
	struct str headers = buf_str(&resp->headers);

	FCGX_FPrintF(out, "Status: %d %s\r\n", resp->status, http_reason(resp->status));
	if (resp->content_type)
		FCGX_FPrintF(out, "Content-Type: %s\r\n", resp->content_type);
	if (resp->status != 204 && resp->status != 304 &&
		(resp->body.p || resp->content_type == NULL))
		FCGX_FPrintF(out, "Content-Length: %ld\r\n", (long)resp->body.n);
	FCGX_PutStr(headers.p, (int)headers.n, out);
	FCGX_PutStr("\r\n", 2, out);
	if (req->method != HTTP_HEAD && resp->body.n > 0)
		FCGX_PutStr(resp->body.p, (int)resp->body.n, out);
}

/* What is left of a body would be taken for the next request: read it or give the connection up. */
static void
drain(struct conn *c)
{
	char waste[4096];
	int total = 0;

	while (total < DRAIN_MAX) {
		int got = FCGX_GetStr(waste, sizeof(waste), c->r.in);
		total += got;
		if (got < (int)sizeof(waste))
			return;
	}
	c->r.keepConnection = 0;
}

/* ---- connections ---- */

static void
conn_forget(struct door_state *d, struct conn *c)
{
	c->fd = -1;
	d->open--;
}

static void
conn_close(struct door_state *d, struct conn *c)
{
	close(c->fd); /* epoll forgets a closed descriptor by itself */
	conn_forget(d, c);
}

static struct conn *
conn_slot(struct door_state *d)
{
	for (size_t i = 0; i < CONNS_MAX; i++)
		if (d->conns[i].fd < 0)
			return &d->conns[i];
	return NULL;
}

static void
listen_pause(struct door_state *d)
{
	(void)epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, d->listen_fd, NULL);
	d->listening = false;
	d->resume_us = clock_mono_us() + ACCEPT_PAUSE_MS * 1000;
}

static bool
listen_start(struct door_state *d)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL };

	d->resume_us = 0;
	d->listening = epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->listen_fd, &ev) == 0;
	return d->listening;
}

static void
conn_open(struct door_state *d)
{
	struct timeval limit = { .tv_sec = IO_TIMEOUT_S };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP };
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			listen_pause(d);
		return; /* EAGAIN: another worker was faster */
	}
	struct conn *c = conn_slot(d);
	if (!c || FCGX_InitRequest(&c->r, -1, 0) != 0) {
		close(fd);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	c->fd = fd;
	ev.data.ptr = c;
	d->open++;
	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		conn_close(d, c);
}

/* Serves one request of a readable connection. */
static bool
conn_serve(struct door_state *d, struct conn *c)
{
	char peek;

	if (recv(c->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
		conn_close(d, c);
		return false;
	}
	/*
	 * Without a listening socket libfcgi cannot fall back to accept() when the
	 * stream is bad.
	 */
	c->r.ipcFd = c->fd;
	c->r.keepConnection = 1;
	c->r.listen_sock = -1;
	if (FCGX_Accept_r(&c->r) < 0) {
		conn_forget(d, c); /* libfcgi has closed it */
		return false;
	}
	struct request *req = app_request(d->app);
	fill_request(req, c);
	app_handle(req);
	write_answer(c, req);
	drain(c);
	FCGX_Finish_r(&c->r);
	app_finish(req);
	if (c->r.ipcFd < 0)
		conn_forget(d, c);
	return true;
}

/* ---- the loop ---- */

static bool
set_up(struct door_state *d)
{
	int flags = fcntl(d->listen_fd, F_GETFL);

	if (FCGX_Init() != 0 || flags < 0 || fcntl(d->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return false;
	for (size_t i = 0; i < CONNS_MAX; i++)
		d->conns[i].fd = -1;
	/* After FCGX_Init(), which has handlers of its own. */
	struct sigaction stop = { .sa_handler = on_stop }, ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGUSR1, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return d->epoll_fd >= 0 && listen_start(d);
}

static int
wait_ms(struct door_state *d)
{
	int idle = app_idle(d->app);

	if (d->resume_us == 0)
		return idle;
	int64_t left = (d->resume_us - clock_mono_us()) / 1000;
	if (left <= 0) {
		(void)listen_start(d);
		return idle;
	}
	return idle >= 0 && idle < left ? idle : (int)left;
}

/* Waits once and serves what is there. */
static bool
serve_ready(struct door_state *d, int timeout_ms, const sigset_t *mask, int64_t *served)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_pwait(d->epoll_fd, events, EVENTS_MAX, timeout_ms, mask);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		if (!c)
			conn_open(d);
		else if (c->fd >= 0)
			*served += conn_serve(d, c);
	}
	return n >= 0 || errno == EINTR;
}

/*
 * The web server may be writing to a kept connection at any moment, and a request that meets our
 * close is lost: so it is left to the web server to close them, for a while.
 */
static void
finish_kept(struct door_state *d)
{
	int64_t end = clock_mono_us() + STOP_GRACE_MS * 1000, left, served = 0;

	if (d->listening)
		(void)epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, d->listen_fd, NULL);
	while (d->open > 0 && (left = end - clock_mono_us()) > 0)
		if (!serve_ready(d, (int)(left / 1000) + 1, NULL, &served))
			return;
}

bool
fcgi_serve(struct app *app, int listen_fd, int64_t max_requests)
{
	struct door_state *d = calloc(1, sizeof(*d));
	sigset_t blocked, normal;
	int64_t served = 0;

	CHECK(d);
	d->app = app;
	d->listen_fd = listen_fd;
	/* Signals are taken only while waiting, so none is missed between check and wait. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &normal);
	bool good = set_up(d);
	while (good && !stop_asked && (max_requests == 0 || served < max_requests))
		good = serve_ready(d, wait_ms(d), &normal, &served);
	if (good)
		finish_kept(d);
	for (size_t i = 0; i < CONNS_MAX && good; i++)
		if (d->conns[i].fd >= 0)
			close(d->conns[i].fd);
	close(d->epoll_fd);
	free(d);
	return good;
}
