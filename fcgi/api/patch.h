/* Merge patches (RFC 7396) of resources that have members which must be there. */
#ifndef PLAZA_API_PATCH_H
#define PLAZA_API_PATCH_H

#include "http/request.h"
#include "http/schema.h"

#define PATCH_NULLS_MAX 8

/*
 * The members of the body that were sent as null, by name. Only the first
 * `clearable` fields of the schema may be; another one is P_INVALID. The
 * schema has `present`, and no numbers or truth values but by pointer.
 */
enum problem patch_nulls(struct request *req, const struct schema *s, size_t clearable,
	struct str names[PATCH_NULLS_MAX], size_t *n) __attribute__((warn_unused_result));

/* The version of If-Match for a PATCH, 0 for a PUT, whose last writer wins. */
enum problem patch_version(struct request *req, int32_t *version)
	__attribute__((warn_unused_result));

#endif
