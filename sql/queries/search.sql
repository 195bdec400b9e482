-- Searches. A text that stands in very many products is looked for in 10,000 of them: more nobody reads, and the time
-- has a bound. `search_query()` is called once, in a sub-select that the planner does not take apart.

-- query: product_search (q text, rank int, after uuid, skip int, limit int) many read -> body text, k1 int, k2 uuid
-- Products with these words, those first that have them in the title, then the newest.
SELECT f.card AS body, f.rank AS k1, f.product_id AS k2
FROM (
    SELECT l.card, l.product_id, (ts_rank(l.title, w.query) * 1000000)::int AS rank
    FROM (SELECT search_query(:q) AS query OFFSET 0) AS w
    JOIN listing AS l ON l.words @@ w.query
    LIMIT 10000) AS f
WHERE (f.rank, f.product_id) < (:rank, :after)
ORDER BY f.rank DESC, f.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_search_filtered (q text, category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, rank int, after uuid, skip int, limit int) many read
--     -> body text, k1 int, k2 uuid
-- The same within a category, a shop, a range of prices.
SELECT f.card AS body, f.rank AS k1, f.product_id AS k2
FROM (
    SELECT l.card, l.product_id, l.price, l.condition, l.category_id, l.shop_id,
           (ts_rank(l.title, w.query) * 1000000)::int AS rank
    FROM (SELECT search_query(:q) AS query OFFSET 0) AS w
    JOIN listing AS l ON l.words @@ w.query
    LIMIT 10000) AS f
WHERE (f.rank, f.product_id) < (:rank, :after)
  AND (:min IS NULL OR f.price >= :min)
  AND (:max IS NULL OR f.price <= :max)
  AND (:condition IS NULL OR f.condition = :condition)
  AND (:shop IS NULL OR f.shop_id = :shop)
  AND (:seller IS NULL OR f.shop_id = (SELECT shop_of(:seller)))
  AND ((:category IS NULL AND :slug IS NULL)
    OR f.category_id = ANY ((SELECT category_subtree(:category, :slug))::uuid[]))
ORDER BY f.rank DESC, f.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_search_newest (q text, category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, after uuid, skip int, limit int) many read
--     -> body text, k1 uuid
-- Products with these words, newest first.
SELECT f.card AS body, f.product_id AS k1
FROM (
    SELECT l.card, l.product_id, l.price, l.condition, l.category_id, l.shop_id
    FROM (SELECT search_query(:q) AS query OFFSET 0) AS w
    JOIN listing AS l ON l.words @@ w.query
    LIMIT 10000) AS f
WHERE f.product_id < :after
  AND (:min IS NULL OR f.price >= :min)
  AND (:max IS NULL OR f.price <= :max)
  AND (:condition IS NULL OR f.condition = :condition)
  AND (:shop IS NULL OR f.shop_id = :shop)
  AND (:seller IS NULL OR f.shop_id = (SELECT shop_of(:seller)))
  AND ((:category IS NULL AND :slug IS NULL)
    OR f.category_id = ANY ((SELECT category_subtree(:category, :slug))::uuid[]))
ORDER BY f.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_search_cheapest (q text, category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, price bigint, after uuid, skip int, limit int) many read
--     -> body text, k1 bigint, k2 uuid
-- Products with these words, cheapest first.
SELECT f.card AS body, f.price AS k1, f.product_id AS k2
FROM (
    SELECT l.card, l.product_id, l.price, l.condition, l.category_id, l.shop_id
    FROM (SELECT search_query(:q) AS query OFFSET 0) AS w
    JOIN listing AS l ON l.words @@ w.query
    LIMIT 10000) AS f
WHERE (f.price, f.product_id) > (:price, :after)
  AND (:min IS NULL OR f.price >= :min)
  AND (:max IS NULL OR f.price <= :max)
  AND (:condition IS NULL OR f.condition = :condition)
  AND (:shop IS NULL OR f.shop_id = :shop)
  AND (:seller IS NULL OR f.shop_id = (SELECT shop_of(:seller)))
  AND ((:category IS NULL AND :slug IS NULL)
    OR f.category_id = ANY ((SELECT category_subtree(:category, :slug))::uuid[]))
ORDER BY f.price, f.product_id
OFFSET :skip
LIMIT :limit + 1;

-- query: product_search_dearest (q text, category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, price bigint, after uuid, skip int, limit int) many read
--     -> body text, k1 bigint, k2 uuid
-- Products with these words, dearest first.
SELECT f.card AS body, f.price AS k1, f.product_id AS k2
FROM (
    SELECT l.card, l.product_id, l.price, l.condition, l.category_id, l.shop_id
    FROM (SELECT search_query(:q) AS query OFFSET 0) AS w
    JOIN listing AS l ON l.words @@ w.query
    LIMIT 10000) AS f
WHERE (f.price, f.product_id) < (:price, :after)
  AND (:min IS NULL OR f.price >= :min)
  AND (:max IS NULL OR f.price <= :max)
  AND (:condition IS NULL OR f.condition = :condition)
  AND (:shop IS NULL OR f.shop_id = :shop)
  AND (:seller IS NULL OR f.shop_id = (SELECT shop_of(:seller)))
  AND ((:category IS NULL AND :slug IS NULL)
    OR f.category_id = ANY ((SELECT category_subtree(:category, :slug))::uuid[]))
ORDER BY f.price DESC, f.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: search_correct (q text) one read -> text text
-- The words with spelling mistakes mended; NULL when there are none.
SELECT search_correct(:q) AS text;

-- query: search_suggest (q text, limit int) many read -> body text
-- What the user may be about to type.
SELECT '{"text":' || to_json(s) || '}' AS body
FROM search_suggest(:q, :limit) AS s;
