/* What the program says of itself: the documents printed by `plaza-fcgi -x`. */
#ifndef PLAZA_HTTP_DESCRIBE_H
#define PLAZA_HTTP_DESCRIBE_H

#include "base/buf.h"

/* OpenAPI 3.1 of all routes; `server` is the base URL. */
void describe_openapi(const char *server, struct buf *b);
/* One line a route: method, path, roles, name. Tab-separated. */
void describe_routes(struct buf *b);
/* One line a problem: status, slug, title, meaning. */
void describe_problems(struct buf *b);
/* One line a named statement. */
void describe_queries(struct buf *b);

#endif
