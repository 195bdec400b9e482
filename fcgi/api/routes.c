/* The list of all domains' route tables. */
#include "api/api.h"
#include "api/compat.h"

const struct route_table *const route_tables[] = {
	&system_routes,
	&auth_routes,
	&auth_session_routes,
	&user_routes,
	&cart_routes,
	&order_routes,
	&category_routes,
	&product_routes,
	&search_routes,
	&image_routes,
	&file_routes,
	&chat_routes,
	&message_routes,
	&chat_more_routes,
	&group_routes,
	&canned_routes,
	&people_routes,
	&notify_routes,
	&preference_routes,
	&device_routes,
	&realtime_routes,
	&broadcast_routes,
	&figure_routes,
	&presence_routes,
	&lifecycle_routes,
	&livemarket_routes,
	&livemarket_chat_routes,
	&ecommerce_routes,
	&ecommerce_chat_routes,
	&moderation_routes,
	&moderation_rule_routes,
	&appeal_routes,
	&audit_routes,
};

const struct facade *const facades[] = { &livemarket, &ecommerce, NULL };

const size_t route_table_count = sizeof(route_tables) / sizeof(route_tables[0]);
