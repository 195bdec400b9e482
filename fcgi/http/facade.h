/*
 * The clients of an older system keep their paths and their JSON. Each such
 * path is a row of its own with `.at`, the prefix where those clients call it;
 * there it stands in front of the canonical row. Its handler runs the canonical
 * one and only renames (api/compat.h). What the stages in front of the handler
 * refuse is put into the old form by what stands here.
 */
#ifndef PLAZA_HTTP_FACADE_H
#define PLAZA_HTTP_FACADE_H

#include "base/buf.h"
#include "base/err.h"

struct request;
struct route;

#define FACADE_STATUSES 4

struct facade_name {
	const char *old, *canonical; /* RFC 6901 pointers */
};

struct facade {
	const char *name; /* of its document: plaza-fcgi -x openapi-NAME */
	const char *title;
	const char *doc;
	/* Failures that those clients know by another status; the rest keeps ours. */
	struct {
		enum problem problem;
		int status;
	} statuses[FACADE_STATUSES];
	/* Members by which those clients know members of canonical bodies; ends with NULL. */
	const struct facade_name *names;
	const char *media; /* of a failure */
	void (*failure)(struct request *req, enum problem p, struct buf *b);
	const char *failure_schema; /* JSON Schema of what `failure` writes */
};

/* Status with which a row tells of a problem. */
int facade_status(const struct route *r, enum problem p);

/* All of them, ended by NULL; api/routes.c. */
extern const struct facade *const facades[];
/* By name, or NULL. */
const struct facade *facade_by_name(const char *name);

#endif
