/* Renders problems as RFC 9457 documents; the only place that formats an error. */
#ifndef PLAZA_HTTP_PROBLEM_H
#define PLAZA_HTTP_PROBLEM_H

#include "base/buf.h"
#include "base/err.h"
#include "http/request.h"

/*
 * Answers with problem p: status, application/problem+json, Retry-After where
 * known, WWW-Authenticate for 401. Anything the handler had prepared is dropped.
 */
void problem_respond(struct request *req, enum problem p);

/* The document alone, as the MQTT door sends it in message:error. */
void problem_print(const struct request *req, enum problem p, struct buf *b);

#endif
