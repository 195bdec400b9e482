/* Renders problems as RFC 9457 documents; the only place that formats an error. */
#ifndef PLAZA_HTTP_PROBLEM_H
#define PLAZA_HTTP_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"
#include "http/request.h"

struct jsonw;

/*
 * Answers with problem p: status, application/problem+json, Retry-After where
 * known, WWW-Authenticate for 401. Anything the handler had prepared is dropped.
 */
void problem_respond(struct request *req, enum problem p);

/* The members of the document alone, into an open object. */
void problem_members(const struct request *req, enum problem p, struct jsonw *w);

#endif
