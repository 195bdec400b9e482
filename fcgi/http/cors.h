/*
 * Cross-origin requests (Fetch standard, CORS protocol): an exact allow-list of
 * origins, never "*".
 */
#ifndef PLAZA_HTTP_CORS_H
#define PLAZA_HTTP_CORS_H

#include "http/request.h"

/* Answers OPTIONS: 204 with Allow, and the preflight headers for an allowed origin. */
enum problem cors_preflight(struct request *req, struct str allow);
/* Adds Access-Control-Allow-Origin when the request came from an allowed origin. */
void cors_headers(struct request *req);

#endif
