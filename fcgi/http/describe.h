/* What the program says of itself: the documents printed by `plaza-fcgi -x`. */
#ifndef PLAZA_HTTP_DESCRIBE_H
#define PLAZA_HTTP_DESCRIBE_H

#include "base/buf.h"

struct facade;

/* OpenAPI 3.1 of all routes, or of those of an older system; `server` is the base URL. */
void describe_openapi(const char *server, const struct facade *facade, struct buf *b);
/* One line a route: method, path, roles, name, marks. Tab-separated; the mark of a row of an older
 * system is SYSTEM:PREFIX. */
void describe_routes(struct buf *b);
/* One line a problem: status, slug, title, meaning. */
void describe_problems(struct buf *b);
/* One line a named statement. */
void describe_queries(struct buf *b);

#endif
