/* A private server for a unit test: its own directory, started, stopped, killed by process id. */
#ifndef PLAZA_TESTS_SERVER_H
#define PLAZA_TESTS_SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVER_START_MS 10000

struct server {
	char dir[64];
	char socket[96];
	pid_t pid; /* 0: not running */
};

static inline void
sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static inline bool
server_answers(const struct server *s)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", s->socket);
	bool up = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
	if (fd >= 0)
		close(fd);
	return up;
}

static inline bool
server_init(struct server *s, const char *name)
{
	const char *tmp = getenv("TMPDIR");

	*s = (struct server){ 0 };
	snprintf(s->dir, sizeof(s->dir), "%.40s/%s-XXXXXX", tmp ? tmp : "/tmp", name);
	if (!mkdtemp(s->dir))
		return false;
	snprintf(s->socket, sizeof(s->socket), "%s/socket", s->dir);
	return true;
}

/* Starts the program and waits until its socket takes connections. */
static inline bool
server_start(struct server *s, const char *const argv[])
{
	unlink(s->socket);
	fflush(NULL);
	s->pid = fork();
	if (s->pid == 0) {
		/* A test that crashes leaves no server behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		/* exec takes what it does not change as not const, for old compilers. */
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	for (int ms = 0; s->pid > 0 && ms < SERVER_START_MS; ms += 10) {
		if (server_answers(s))
			return true;
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
			break;
		sleep_ms(10);
	}
	return false;
}

static inline void
server_end(struct server *s, int sig)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, sig);
	kill(s->pid, SIGCONT);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

static inline void
server_remove(struct server *s)
{
	server_end(s, SIGKILL);
	unlink(s->socket);
	rmdir(s->dir);
}

#endif
