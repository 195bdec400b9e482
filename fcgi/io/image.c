/* Runs plaza-image and waits for it, not longer than allowed. */
#include "io/image.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/json.h"

#define REPORT_MAX 512
#define FD_SAFE 16 /* above the numbers that the program expects */
#define FDS 4      /* its descriptors 0, 1, 3, 4 */
#define NOT_RUN 127

struct run {
	pid_t pid;
	int report; /* reading end of its standard output */
	int64_t deadline_us;
	char text[REPORT_MAX];
	size_t n;
	int status;
};

/* Duplicates above FD_SAFE, so that none is overwritten while they are put in their places. */
static bool
lift(const int fds[FDS], int lifted[FDS])
{
	bool good = true;

	for (size_t i = 0; i < FDS; i++) {
		lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_SAFE);
		good = good && lifted[i] >= 0;
	}
	return good;
}

static int
spawn(const struct image_job *job, struct arena *a, const int fds[FDS], pid_t *pid)
{
	static const int places[FDS] = { 0, 1, 3, 4 };
	/* One thread: its system calls are limited, and so is its memory. */
	char locale[] = "LANG=C.UTF-8", threads[] = "VIPS_CONCURRENCY=1";
	char *const env[] = { locale, threads, NULL };
	char *const argv[] = { str_z(a, str_of(job->tool)),
		str_z(a, str_of(media_info(job->media)->name)), NULL };
	posix_spawn_file_actions_t actions;
	int e = posix_spawn_file_actions_init(&actions);

	if (e)
		return e;
	for (size_t i = 0; i < FDS && !e; i++)
		e = posix_spawn_file_actions_adddup2(&actions, fds[i], places[i]);
	if (!e)
		e = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	/*
	 * Connections that a library forgot to mark: what takes the program over must
	 * not find one.
	 */
	if (!e)
		e = posix_spawn_file_actions_addclosefrom_np(&actions, places[FDS - 1] + 1);
	if (!e)
		e = posix_spawn(pid, job->tool, &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	return e;
}

static void
close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static enum problem
start(const struct image_job *job, struct arena *a, struct run *r, struct err *err)
{
	int report[2] = { -1, -1 }, lifted[FDS] = { -1, -1, -1, -1 }, e = 0;

	if (pipe2(report, O_CLOEXEC) < 0)
		return ERR(err, P_UNAVAILABLE, "image: pipe: %s", strerror(errno));
	if (!lift((const int[FDS]){ job->in, report[1], job->out, job->thumb }, lifted))
		e = errno;
	if (!e)
		e = spawn(job, a, lifted, &r->pid);
	close_all(lifted, FDS);
	close(report[1]);
	if (e) {
		close(report[0]);
		return ERR(err, P_UNAVAILABLE, "image: %s: %s", job->tool, strerror(e));
	}
	r->report = report[0];
	return P_OK;
}

/* Waits for the descriptor until the deadline; false when it passed. */
static bool
wait_readable(const struct run *r, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left_ms = (r->deadline_us - clock_mono_us() + 999) / 1000;
		if (left_ms <= 0)
			return false;
		int n = poll(&p, 1, (int)left_ms);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static bool
read_report(struct run *r)
{
	while (wait_readable(r, r->report)) {
		ssize_t n = read(r->report, r->text + r->n, sizeof(r->text) - r->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		r->n += (size_t)n;
		if (r->n == sizeof(r->text))
			return false;
	}
	return false;
}

/* The program is dead afterwards, one way or the other; true when it ended by itself in time. */
static bool
finish(struct run *r)
{
	int handle = (int)syscall(SYS_pidfd_open, r->pid, 0);
	bool good = read_report(r) && handle >= 0 && wait_readable(r, handle);

	if (!good)
		kill(r->pid, SIGKILL);
	while (waitpid(r->pid, &r->status, 0) < 0 && errno == EINTR)
		;
	if (handle >= 0)
		close(handle);
	close(r->report);
	return good;
}

static enum problem
judge(const struct run *r, struct arena *a, struct image_size *out, struct err *err)
{
	const struct json *doc;
	struct err ignored = { 0 };

	if (!WIFEXITED(r->status))
		return ERR_SAY(err, P_BAD_IMAGE, "the picture takes too much time or memory");
	if (WEXITSTATUS(r->status) == NOT_RUN ||
		json_parse(a, (struct str){ r->text, r->n }, &doc, &ignored))
		return ERR(err, P_UNAVAILABLE, "image: the program ended with %d",
			WEXITSTATUS(r->status));
	if (WEXITSTATUS(r->status) != 0)
		return ERR_SAY(
			err, P_BAD_IMAGE, "%.*s", STR_ARG(json_str(json_member(doc, "error"))));
	out->width = (int)json_int(json_member(doc, "width"));
	out->height = (int)json_int(json_member(doc, "height"));
	return P_OK;
}

enum problem
image_process(const struct image_job *job, struct arena *a, struct image_size *out, struct err *err)
{
	struct run r = { .deadline_us =
				 clock_mono_us() +
				 (int64_t)(job->timeout_ms ? job->timeout_ms : IMAGE_TIMEOUT_MS) *
					 1000 };

	enum problem p = start(job, a, &r, err);
	if (p)
		return p;
	if (!finish(&r))
		return ERR_SAY(err, P_BAD_IMAGE, "the picture takes too much time");
	return judge(&r, a, out, err);
}
