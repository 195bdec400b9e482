/* The domains of the API. A domain is one file with its handlers and, at the end, its table. */
#ifndef PLAZA_API_API_H
#define PLAZA_API_API_H

#include "http/app.h"
#include "http/route.h"

extern const struct route_table system_routes;
extern const struct route_table auth_routes;
extern const struct route_table auth_session_routes;
extern const struct route_table user_routes;
extern const struct route_table cart_routes;
extern const struct route_table order_routes;

#endif
