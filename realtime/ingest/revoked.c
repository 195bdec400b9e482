/* Writes the plugin's list of revoked sessions. */
#include "ingest/revoked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "queries.h"

static bool
write_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			s = str_sub(s, (size_t)n, s.n);
	}
	return true;
}

/* A reader sees the old list or the new one, never a part. */
static bool
replace(const char *path, const char *draft, struct str text)
{
	int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return false;
	bool good = write_all(fd, text) && fsync(fd) == 0;
	return close(fd) == 0 && good && rename(draft, path) == 0;
}

void
revoked_write(struct app *app, struct arena *a)
{
	const char *path = app->conf->revocations_file;
	struct err err = { 0 };
	struct rows *rows;

	if (!path[0])
		return;
	db_reset(app->db, a);
	struct q_revoked_recent q = { .seconds = (int32_t)app->conf->mqtt_ttl_s };
	if (q_revoked_recent(app->db, &q, &rows, &err)) {
		log_event(LOG_WARN, "revoked", LZ("text", err.log));
		return;
	}
	struct str text = rows_str(rows, 0, Q_REVOKED_RECENT_LINES);
	if (!replace(path, arena_printf(a, "%s.new", path), text))
		log_event(LOG_WARN, "revoked", LZ("path", path), LZ("text", strerror(errno)));
}
