/*
 * Rate limits by class: fixed windows in Redis, per address, per network around
 * it and per signed-in user. When Redis is away each process counts by itself, at
 * a fraction of the limit, so a limit never becomes "unlimited".
 */
#ifndef PLAZA_HTTP_LIMIT_H
#define PLAZA_HTTP_LIMIT_H

#include "base/err.h"
#include "http/route.h"

/* Counts one hit of the class; P_RATE_LIMITED with Retry-After when used up. */
enum problem limit_hit(struct request *req, enum limit_class class)
	__attribute__((warn_unused_result));
/* The same with the class of the route. */
enum problem limit_request(struct request *req) __attribute__((warn_unused_result));

#endif
