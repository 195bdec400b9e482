-- A product on sale, for everybody. It runs with its owner's rights on purpose: the policy of `product` shows each
-- seller only their own.
DROP VIEW IF EXISTS product_public CASCADE;
CREATE VIEW product_public AS
SELECT p.id, p.doc || ',"stock":' || s.quantity || '}' AS body, p.version || '.' || s.quantity AS etag
FROM product AS p
JOIN stock AS s ON s.product_id = p.id
WHERE p.status = 'active' AND p.deleted_at IS NULL;
GRANT SELECT ON product_public TO plaza_web;
