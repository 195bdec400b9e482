/* Files in a folder: random names, never a path that leaves the folder. */
#include "io/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/rand.h"

#define DIGITS 32 /* 128 bits */
#define ENDING_MAX 4
#define FILE_MODE 0640 /* the web server's group reads */
/*
 * The umask takes the group's write; the ACL that the relay may have instead is not
 * subject to it.
 */
#define FOLDER_MODE 0770

struct blob_ops {
	enum problem (*put)(
		struct blob_store *s, int fd, const struct blob_name *name, struct err *err);
	enum problem (*temporary)(struct blob_store *s, int *fd, struct err *err);
	enum problem (*remove)(struct blob_store *s, const struct blob_name *name, struct err *err);
	enum problem (*old)(struct blob_store *s, int64_t before_s, struct blob_name *out,
		size_t max, size_t *n, struct err *err);
	void (*free)(struct blob_store *s);
};

struct blob_store {
	const struct blob_ops *ops;
	char *dir;
	int root;  /* -1 before the first use */
	FTS *walk; /* of blob_old(), NULL between two rounds */
};

/* ---- names ---- */

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool
ending_valid(struct str s)
{
	if (s.n == 0 || s.n > ENDING_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 'a' || s.p[i] > 'z')
			return false;
	return true;
}

bool
blob_name_parse(struct str s, struct blob_name *out)
{
	if (s.n < DIGITS + 3 || s.n >= BLOB_NAME ||
		(s.p[0] != BLOB_PUBLIC && s.p[0] != BLOB_PRIVATE))
		return false;
	for (size_t i = 1; i <= DIGITS; i++)
		if (!is_hex(s.p[i]))
			return false;
	if (s.p[DIGITS + 1] != '.' || !ending_valid(str_sub(s, DIGITS + 2, s.n)))
		return false;
	memcpy(out->z, s.p, s.n);
	out->z[s.n] = '\0';
	return true;
}

static void
name_make(enum blob_class class, const char *ending, struct blob_name *out)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[DIGITS / 2];
	char *p = out->z;

	CHECK(ending_valid(str_of(ending)));
	rand_bytes(bytes, sizeof(bytes));
	*p++ = (char)class;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		*p++ = hex[bytes[i] >> 4];
		*p++ = hex[bytes[i] & 15];
	}
	snprintf(p, BLOB_NAME - DIGITS - 1, ".%s", ending);
}

/* "p/3f/e2": the folder of a name. */
#define FOLDER 8
static void
folder_of(const struct blob_name *name, char out[FOLDER])
{
	const char *z = name->z;

	snprintf(out, FOLDER, "%c/%.2s/%.2s", z[0], z + 1, z + 3);
}

void
blob_path(const struct blob_name *name, char out[BLOB_PATH])
{
	char folder[FOLDER];

	folder_of(name, folder);
	snprintf(out, BLOB_PATH, "%s/%s", folder, name->z);
}

/* ---- the folder ---- */

static enum problem
failed(struct err *err, const char *what, const char *path)
{
	return ERR(err, P_UNAVAILABLE, "blob: %s %s: %s", what, path, strerror(errno));
}

static enum problem
open_root(struct blob_store *s, struct err *err)
{
	if (s->root < 0)
		s->root = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->root < 0 ? failed(err, "open", s->dir) : P_OK;
}

/* A path below the root and nowhere else, whatever links somebody has put there. */
static int
open_beneath(const struct blob_store *s, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, s->root, path, &how, sizeof(how));
}

/* Makes the folders of a path of one-letter and two-digit names; each is on disk in its parent. */
static bool
make_folders(const struct blob_store *s, const char *path)
{
	char part[FOLDER], above[FOLDER] = ".";

	for (const char *end = path; *end;) {
		end += strcspn(end + 1, "/") + 1;
		snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
		int parent = open_beneath(s, above, O_RDONLY | O_DIRECTORY);
		if (parent < 0)
			return false;
		const char *leaf = strrchr(part, '/');
		int made = mkdirat(parent, leaf ? leaf + 1 : part, FOLDER_MODE);
		bool good = (made == 0 && fsync(parent) == 0) || (made < 0 && errno == EEXIST);
		close(parent);
		if (!good)
			return false;
		memcpy(above, part, sizeof(above));
	}
	return true;
}

/* The folder of a name, made if it is not there. */
static int
open_folder(const struct blob_store *s, const char *folder)
{
	int fd = open_beneath(s, folder, O_RDONLY | O_DIRECTORY);

	if (fd < 0 && errno == ENOENT && make_folders(s, folder))
		fd = open_beneath(s, folder, O_RDONLY | O_DIRECTORY);
	return fd;
}

static enum problem
local_put(struct blob_store *s, int fd, const struct blob_name *name, struct err *err)
{
	char folder[FOLDER], source[32];

	enum problem p = open_root(s, err);
	if (p)
		return p;
	if (fchmod(fd, FILE_MODE) < 0 || fsync(fd) < 0)
		return failed(err, "write", name->z);
	folder_of(name, folder);
	int at = open_folder(s, folder);
	if (at < 0)
		return failed(err, "folder", folder);
	/* An unnamed file has no other handle for those without CAP_DAC_READ_SEARCH. */
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, source, at, name->z, AT_SYMLINK_FOLLOW) < 0 || fsync(at) < 0)
		p = failed(err, "link", name->z);
	close(at);
	return p;
}

static enum problem
local_temporary(struct blob_store *s, int *fd, struct err *err)
{
	int made = open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (made < 0)
		return failed(err, "temporary file in", s->dir);
	*fd = made;
	return P_OK;
}

static enum problem
local_remove(struct blob_store *s, const struct blob_name *name, struct err *err)
{
	char folder[FOLDER];

	enum problem p = open_root(s, err);
	if (p)
		return p;
	folder_of(name, folder);
	int at = open_beneath(s, folder, O_RDONLY | O_DIRECTORY);
	if (at < 0 && errno == ENOENT)
		return P_OK;
	if (at < 0)
		return failed(err, "folder", folder);
	if (unlinkat(at, name->z, 0) < 0 && errno != ENOENT)
		p = failed(err, "remove", name->z);
	close(at);
	return p;
}

/* Files of other names are not ours, and a link is not followed. */
static bool
is_old(const FTSENT *e, int64_t before_s, struct blob_name *out)
{
	return e->fts_info == FTS_F && e->fts_statp->st_mtime < before_s &&
	       blob_name_parse((struct str){ e->fts_name, e->fts_namelen }, out);
}

static enum problem
local_old(struct blob_store *s, int64_t before_s, struct blob_name *out, size_t max, size_t *n,
	struct err *err)
{
	char *const roots[] = { s->dir, NULL };
	size_t found = 0;

	if (!s->walk)
		s->walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!s->walk)
		return failed(err, "walk", s->dir);
	for (int i = 0; i < BLOB_LOOKS && found < max; i++) {
		FTSENT *e = fts_read(s->walk);
		if (!e) {
			fts_close(s->walk);
			s->walk = NULL;
			break;
		}
		/* A file that went meanwhile is no fault; the folder of the store is. */
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
			(e->fts_info == FTS_NS && e->fts_level == FTS_ROOTLEVEL)) {
			errno = e->fts_errno;
			return failed(err, "read", e->fts_path);
		}
		found += is_old(e, before_s, &out[found]);
	}
	*n = found;
	return P_OK;
}

static void
local_free(struct blob_store *s)
{
	if (s->walk)
		fts_close(s->walk);
	if (s->root >= 0)
		close(s->root);
	free(s->dir);
	free(s);
}

static const struct blob_ops local_ops = {
	.put = local_put,
	.temporary = local_temporary,
	.remove = local_remove,
	.old = local_old,
	.free = local_free,
};

struct blob_store *
blob_local_new(const char *dir)
{
	struct blob_store *s = calloc(1, sizeof(*s));

	CHECK(s);
	s->ops = &local_ops;
	s->dir = strdup(dir);
	CHECK(s->dir);
	s->root = -1;
	return s;
}

/* ---- any store ---- */

void
blob_free(struct blob_store *s)
{
	if (s)
		s->ops->free(s);
}

enum problem
blob_put(struct blob_store *s, int fd, enum blob_class class, const char *ending,
	struct blob_name *out, struct err *err)
{
	struct blob_name name = { "" };

	name_make(class, ending, &name);
	enum problem p = s->ops->put(s, fd, &name, err);
	if (!p)
		*out = name;
	return p;
}

enum problem
blob_temporary(struct blob_store *s, int *fd, struct err *err)
{
	return s->ops->temporary(s, fd, err);
}

enum problem
blob_remove(struct blob_store *s, const struct blob_name *name, struct err *err)
{
	return s->ops->remove(s, name, err);
}

enum problem
blob_old(struct blob_store *s, int64_t before_s, struct blob_name *out, size_t max, size_t *n,
	struct err *err)
{
	return s->ops->old(s, before_s, out, max, n, err);
}
