/*
 * The FastCGI door (FastCGI 1.0 responder role, libfcgi).
 *
 * One process serves many kept connections one request at a time: its own
 * epoll loop watches the listening socket and every open connection, and
 * libfcgi speaks the protocol on whichever is readable. An idle kept
 * connection costs nothing and blocks nobody.
 */
#ifndef PLAZA_DOOR_FCGI_H
#define PLAZA_DOOR_FCGI_H

#include "base/err.h"
#include "http/app.h"

/*
 * The listening socket: `path` when given, else the one systemd passed
 * (LISTEN_FDS), else descriptor 0 (spawn-fcgi, multiwatch, mod_fcgid).
 * -1 with err on failure.
 */
int fcgi_listen(const char *path, struct err *err);

/*
 * Serves until SIGTERM, SIGINT or SIGUSR1; the current request is finished first.
 * `max_requests` > 0 ends the loop after so many. False when the loop cannot run.
 */
bool fcgi_serve(struct app *app, int listen_fd, int64_t max_requests);

#endif
