-- Figures of the platform and of shops.

-- query: platform_stats () one read -> body text
-- Of the platform, for administrators.
SELECT platform_stats() AS body;

-- query: shop_stats () maybe read -> body text
-- Of the caller's shop.
SELECT s.body
FROM shop_stats() AS s (body)
WHERE s.body IS NOT NULL;
