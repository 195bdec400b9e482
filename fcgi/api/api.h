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
extern const struct route_table category_routes;
extern const struct route_table product_routes;
extern const struct route_table search_routes;
extern const struct route_table image_routes;
extern const struct route_table file_routes;
extern const struct route_table chat_routes;
extern const struct route_table message_routes;
extern const struct route_table chat_more_routes;
extern const struct route_table group_routes;
extern const struct route_table canned_routes;
extern const struct route_table people_routes;
extern const struct route_table notify_routes;
extern const struct route_table preference_routes;
extern const struct route_table device_routes;
extern const struct route_table realtime_routes;
extern const struct route_table broadcast_routes;
extern const struct route_table figure_routes;
extern const struct route_table presence_routes;
extern const struct route_table lifecycle_routes;
extern const struct route_table livemarket_routes;
extern const struct route_table livemarket_chat_routes;
extern const struct route_table ecommerce_routes;
extern const struct route_table ecommerce_chat_routes;
extern const struct route_table moderation_routes;
extern const struct route_table moderation_rule_routes;
extern const struct route_table appeal_routes;
extern const struct route_table audit_routes;

#endif
