/*
 * multipart/form-data (RFC 7578, RFC 2046 section 5.1), read as a stream:
 * files go to unnamed temporary files, fields to the arena. Refused with
 * P_BAD_MULTIPART: a missing or overlong boundary, a preamble, too many parts,
 * long part headers, nested multipart, a field sent twice, a body without its
 * final boundary or with something behind it. A file part may repeat its name.
 */
#ifndef PLAZA_HTTP_MULTIPART_H
#define PLAZA_HTTP_MULTIPART_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "http/limits.h"

#include <stdbool.h>
#include <stddef.h>

struct request;

struct part {
	struct str name;
	bool is_file;
	struct str filename;     /* as the client called it: a label, never a path */
	struct str content_type; /* as the client declared it */
	struct str text;         /* fields */
	int fd; /* files: opened for reading at 0, closed with the arena; -1 for fields */
	size_t size;
};

struct multipart {
	struct part v[LIMIT_PARTS];
	size_t n;
};

/* Where the bytes come from: up to n bytes, 0 at the end, -1 when the stream broke. */
struct multipart_source {
	long (*read)(void *arg, char *p, size_t n);
	void *arg;
	size_t max;          /* of the whole body */
	size_t file_max;     /* of one file: P_TOO_LARGE */
	const char *tmp_dir; /* on the file system where the files will stay */
};

enum problem multipart_parse(struct arena *a, struct str content_type,
	const struct multipart_source *src, struct multipart *out, struct err *err)
	__attribute__((warn_unused_result));

/* The body of a request; its length must be the announced one. */
enum problem multipart_read(struct request *req, size_t file_max, struct multipart *out)
	__attribute__((warn_unused_result));

/* The first part of this name, or NULL. */
const struct part *multipart_find(const struct multipart *m, const char *name);

#endif
