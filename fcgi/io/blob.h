/*
 * Where uploaded files live. A file gets a random name when it is put: its
 * class, 128 bits in hexadecimal, an ending; nothing of it comes from a client.
 * The name is all that anybody needs to find it again.
 *
 * There is one kind of store, a folder of this machine; others take the place
 * of its functions.
 */
#ifndef PLAZA_IO_BLOB_H
#define PLAZA_IO_BLOB_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Who may read a file is known by its name: the first letter. */
enum blob_class { BLOB_PUBLIC = 'p', BLOB_PRIVATE = 'f' };

#define BLOB_NAME 40 /* bytes with the NUL; "p" and 32 digits, ".webp" */
#define BLOB_PATH 48 /* "p/3f/e2/" in front */

struct blob_name {
	char z[BLOB_NAME];
};

struct blob_store;

/* Files in a folder, two levels deep by the first digits. Release with blob_free(). */
struct blob_store *blob_local_new(const char *dir);
void blob_free(struct blob_store *s);

/*
 * Keeps the content of `fd`, an unnamed file (O_TMPFILE) on the file system of
 * the store, on disk for good when the call returns. `ending` is without the
 * dot: 1 to 4 lower-case letters.
 */
enum problem blob_put(struct blob_store *s, int fd, enum blob_class class, const char *ending,
	struct blob_name *out, struct err *err) __attribute__((warn_unused_result));
/* An empty unnamed file where blob_put() can keep it; closed with the process's use of it. */
enum problem blob_temporary(struct blob_store *s, int *fd, struct err *err)
	__attribute__((warn_unused_result));
/* One that is gone already is fine. */
enum problem blob_remove(struct blob_store *s, const struct blob_name *name, struct err *err)
	__attribute__((warn_unused_result));

/*
 * Looks at some stored files, going on where the call before stopped and from
 * the start again behind the last one. Gives up to `max` names of those that
 * were written before `before_s` (Unix seconds), maybe none.
 */
#define BLOB_LOOKS 5000
enum problem blob_old(struct blob_store *s, int64_t before_s, struct blob_name *out, size_t max,
	size_t *n, struct err *err) __attribute__((warn_unused_result));

/* False when `s` is not exactly such a name. */
bool blob_name_parse(struct str s, struct blob_name *out);
/* The name with its folders, as the web server wants it. */
void blob_path(const struct blob_name *name, char out[BLOB_PATH]);

#endif
