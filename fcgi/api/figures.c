/* Figures of the platform and of shops; they are also told live when they change. */
#include "api/api.h"

#include "queries.h"

static const struct field platform_fields[] = {
	OUT("day", T_TEXT, .doc = "in UTC, as 2026-01-31"),
	OUT("ordersToday", T_INT),
	OUT("revenueToday", T_ARRAY, .item = T_MONEY, .doc = "what is paid, by currency"),
	OUT("usersOnline", T_INT),
	OUT("devicesOnline", T_INT),
	OUT("openReports", T_INT),
	OUT("messagesLastMinute", T_INT, .doc = "counted up to 10,000"),
};
static const struct schema platform_out = SCHEMA_OUT("PlatformStats", platform_fields);

static const struct field shop_fields[] = {
	OUT("shopId", T_UUID),
	OUT("day", T_TEXT, .doc = "in UTC, as 2026-01-31"),
	OUT("ordersToday", T_INT),
	OUT("cancelledToday", T_INT),
	OUT("revenueToday", T_ARRAY, .item = T_MONEY, .doc = "what is paid, by currency"),
};
static const struct schema shop_out = SCHEMA_OUT("ShopStats", shop_fields);

static enum problem
platform_stats(struct request *req)
{
	struct rows *rows;
	enum problem p =
		q_platform_stats(req->db, &(struct q_platform_stats){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static enum problem
shop_stats(struct request *req)
{
	struct rows *rows;
	enum problem p = q_shop_stats(req->db, &(struct q_shop_stats){ 0 }, &rows, &req->err);

	return p ? p : resp_row(req, rows);
}

static const struct route rows[] = {
	{ HTTP_GET, "/admin/stats", platform_stats, .roles = ROLE_ADMIN, .returns = &platform_out,
		.tag = "Administration", .name = "platformStats",
		.doc = "What happens today; the same is told on a/stats when it changes" },
	{ HTTP_GET, "/sellers/me/stats", shop_stats, .roles = ROLE_SELLER, .returns = &shop_out,
		.tag = "Orders", .name = "shopStats",
		.doc = "What the caller's shop sells today; the same is told to the shop" },
};
const struct route_table figure_routes = ROUTES(rows);
