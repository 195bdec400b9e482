-- Categories and products. Lists have a statement for each order and each way in, so that every one of them walks an
-- index: `newest` and `price`, over everything, a category with all below it, or a shop. `after`, with `price`, is the
-- last row of the page before. A range of prices is a plain condition where it bounds the walk, and may be absent where
-- it does not: the planner takes plain ranges for narrow ones and would walk the prices instead.

-- query: category_list (parent uuid?, after text, limit int) many read -> body text, k1 text
-- Categories in the order of the tree, each before those below it.
SELECT c.doc AS body, c.tree_key AS k1
FROM category AS c
WHERE c.deleted_at IS NULL
  AND c.tree_key > :after
  AND (:parent IS NULL OR c.parent_id = :parent)
ORDER BY c.tree_key
LIMIT :limit + 1;

-- query: category_get (id uuid) maybe read -> body text, etag text
-- One category.
SELECT c.doc AS body, c.version::text AS etag
FROM category AS c
WHERE c.id = :id
  AND c.deleted_at IS NULL;

-- query: category_create (id uuid, parent uuid?, slug text?, name text, name_es text?, description text?,
--     photo_url text?, position int?) one -> body text, etag text
-- A new category; for administrators.
SELECT c.body, c.etag
FROM category_create(:id, :parent, :slug, :name, :name_es, :description, :photo_url, :position) AS c;

-- query: category_update (id uuid, version int, parent uuid?, slug text?, name text?, name_es text?, description text?,
--     photo_url text?, position int?, clear text[]) one -> body text, etag text
-- Changes a category; version 0 asks for none.
SELECT c.body, c.etag
FROM category_update(:id, :version, :parent, :slug, :name, :name_es, :description, :photo_url, :position,
                     :clear) AS c;

-- query: category_delete (id uuid) exec
-- Removes an empty category.
SELECT category_delete(:id);

-- query: product_get (id uuid) maybe read -> body text, etag text
-- A product on sale.
SELECT p.body, p.etag
FROM product_public AS p
WHERE p.id = :id;

-- query: product_get_own (id uuid) maybe read -> body text, etag text
-- Any product of the caller, or of anybody for the staff.
SELECT v.body, v.etag
FROM product AS p
CROSS JOIN LATERAL product_view(p) AS v
WHERE p.id = :id
  AND p.deleted_at IS NULL
  AND (p.seller_id = app_uid() OR app_role() IN ('admin', 'moderator'));

-- query: product_list_own (status text?, after uuid, skip int, limit int) many read -> body text, k1 uuid
-- The caller's products, hidden ones too, newest first.
SELECT product_card(p) AS body, p.id AS k1
FROM product AS p
WHERE p.seller_id = app_uid()
  AND p.deleted_at IS NULL
  AND p.id < :after
  AND (:status IS NULL OR p.status = :status)
ORDER BY p.id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_newest_in (category uuid, after uuid, limit int) many read -> body text, k1 uuid
-- The products of a category and all below it, newest first, and nothing else to do: the most frequent list.
SELECT p.body, p.k1
FROM category AS c
CROSS JOIN unnest(c.subtree) AS t (id)
CROSS JOIN LATERAL (
    SELECT l.card AS body, l.product_id AS k1
    FROM listing AS l
    WHERE l.category_id = t.id
      AND l.product_id < :after
    ORDER BY l.product_id DESC
    LIMIT :limit + 1) AS p
WHERE c.id = :category
ORDER BY p.k1 DESC
LIMIT :limit + 1;

-- query: product_newest (min bigint?, max bigint?, condition text?, after uuid, skip int, limit int) many read
--     -> body text, k1 uuid
-- All products, newest first.
SELECT l.card AS body, l.product_id AS k1
FROM listing AS l
WHERE l.product_id < :after
  AND (:min IS NULL OR l.price >= :min)
  AND (:max IS NULL OR l.price <= :max)
  AND (:condition IS NULL OR l.condition = :condition)
ORDER BY l.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_newest_category (category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, after uuid, skip int, limit int) many read
--     -> body text, k1 uuid
-- The products of a category and all below it, newest first.
SELECT p.body, p.k1
FROM unnest(category_subtree(:category, :slug)) AS t (id)
CROSS JOIN LATERAL (
    SELECT l.card AS body, l.product_id AS k1
    FROM listing AS l
    WHERE l.category_id = t.id
      AND l.product_id < :after
      AND (:min IS NULL OR l.price >= :min)
  AND (:max IS NULL OR l.price <= :max)
      AND (:condition IS NULL OR l.condition = :condition)
      AND (:shop IS NULL OR l.shop_id = :shop)
      AND (:seller IS NULL OR l.shop_id = (SELECT shop_of(:seller)))
    ORDER BY l.product_id DESC
    LIMIT :skip + :limit + 1) AS p
ORDER BY p.k1 DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_newest_shop (shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, after uuid, skip int, limit int) many read
--     -> body text, k1 uuid
-- The products of a shop, newest first.
SELECT l.card AS body, l.product_id AS k1
FROM listing AS l
WHERE l.shop_id = (SELECT coalesce(:shop, shop_of(:seller)))
  AND l.product_id < :after
  AND (:min IS NULL OR l.price >= :min)
  AND (:max IS NULL OR l.price <= :max)
  AND (:condition IS NULL OR l.condition = :condition)
ORDER BY l.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_cheapest (min bigint, max bigint, condition text?, price bigint, after uuid, skip int,
--     limit int) many read -> body text, k1 bigint, k2 uuid
-- All products, cheapest first.
SELECT l.card AS body, l.price AS k1, l.product_id AS k2
FROM listing AS l
WHERE (l.price, l.product_id) > (:price, :after)
  AND l.price BETWEEN :min AND :max
  AND (:condition IS NULL OR l.condition = :condition)
ORDER BY l.price, l.product_id
OFFSET :skip
LIMIT :limit + 1;

-- query: product_cheapest_category (category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint, max bigint, condition text?, price bigint, after uuid, skip int, limit int) many read
--     -> body text, k1 bigint, k2 uuid
-- The products of a category and all below it, cheapest first.
SELECT p.body, p.k1, p.k2
FROM unnest(category_subtree(:category, :slug)) AS t (id)
CROSS JOIN LATERAL (
    SELECT l.card AS body, l.price AS k1, l.product_id AS k2
    FROM listing AS l
    WHERE l.category_id = t.id
      AND (l.price, l.product_id) > (:price, :after)
      AND l.price BETWEEN :min AND :max
      AND (:condition IS NULL OR l.condition = :condition)
      AND (:shop IS NULL OR l.shop_id = :shop)
      AND (:seller IS NULL OR l.shop_id = (SELECT shop_of(:seller)))
    ORDER BY l.price, l.product_id
    LIMIT :skip + :limit + 1) AS p
ORDER BY p.k1, p.k2
OFFSET :skip
LIMIT :limit + 1;

-- query: product_cheapest_shop (shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, price bigint, after uuid, skip int, limit int) many read
--     -> body text, k1 bigint, k2 uuid
-- The products of a shop, cheapest first.
SELECT l.card AS body, l.price AS k1, l.product_id AS k2
FROM listing AS l
WHERE l.shop_id = (SELECT coalesce(:shop, shop_of(:seller)))
  AND (l.price, l.product_id) > (:price, :after)
  AND (:min IS NULL OR l.price >= :min)
  AND (:max IS NULL OR l.price <= :max)
  AND (:condition IS NULL OR l.condition = :condition)
ORDER BY l.price, l.product_id
OFFSET :skip
LIMIT :limit + 1;

-- query: product_dearest (min bigint, max bigint, condition text?, price bigint, after uuid, skip int,
--     limit int) many read -> body text, k1 bigint, k2 uuid
-- All products, dearest first.
SELECT l.card AS body, l.price AS k1, l.product_id AS k2
FROM listing AS l
WHERE (l.price, l.product_id) < (:price, :after)
  AND l.price BETWEEN :min AND :max
  AND (:condition IS NULL OR l.condition = :condition)
ORDER BY l.price DESC, l.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_dearest_category (category uuid?, slug text?, shop uuid?, seller uuid?,
--     min bigint, max bigint, condition text?, price bigint, after uuid, skip int, limit int) many read
--     -> body text, k1 bigint, k2 uuid
-- The products of a category and all below it, dearest first.
SELECT p.body, p.k1, p.k2
FROM unnest(category_subtree(:category, :slug)) AS t (id)
CROSS JOIN LATERAL (
    SELECT l.card AS body, l.price AS k1, l.product_id AS k2
    FROM listing AS l
    WHERE l.category_id = t.id
      AND (l.price, l.product_id) < (:price, :after)
      AND l.price BETWEEN :min AND :max
      AND (:condition IS NULL OR l.condition = :condition)
      AND (:shop IS NULL OR l.shop_id = :shop)
      AND (:seller IS NULL OR l.shop_id = (SELECT shop_of(:seller)))
    ORDER BY l.price DESC, l.product_id DESC
    LIMIT :skip + :limit + 1) AS p
ORDER BY p.k1 DESC, p.k2 DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_dearest_shop (shop uuid?, seller uuid?,
--     min bigint?, max bigint?, condition text?, price bigint, after uuid, skip int, limit int) many read
--     -> body text, k1 bigint, k2 uuid
-- The products of a shop, dearest first.
SELECT l.card AS body, l.price AS k1, l.product_id AS k2
FROM listing AS l
WHERE l.shop_id = (SELECT coalesce(:shop, shop_of(:seller)))
  AND (l.price, l.product_id) < (:price, :after)
  AND (:min IS NULL OR l.price >= :min)
  AND (:max IS NULL OR l.price <= :max)
  AND (:condition IS NULL OR l.condition = :condition)
ORDER BY l.price DESC, l.product_id DESC
OFFSET :skip
LIMIT :limit + 1;

-- query: product_create (id uuid, category uuid, title text, description text, price bigint, currency text,
--     condition text, quantity int, threshold int) one -> body text, etag text, events text
-- A new product in the caller's shop.
SELECT p.body, p.etag, p.events
FROM product_create(:id, :category, :title, :description, :price, :currency, :condition, :quantity, :threshold) AS p;

-- query: product_update (id uuid, version int, category uuid?, title text?, description text?, price bigint?,
--     currency text?, condition text?, status text?) one -> body text, etag text, events text
-- Changes a product of the caller; version 0 asks for none.
SELECT p.body, p.etag, p.events
FROM product_update(:id, :version, :category, :title, :description, :price, :currency, :condition, :status) AS p;

-- query: product_delete (id uuid) one -> events text
-- Takes a product of the caller off the market for ever.
SELECT product_delete(:id) AS events;

-- query: stock_get (id uuid) one read -> body text
-- The stock of a product of the caller; NULL when there is no such product.
SELECT stock_get(:id) AS body;

-- query: stock_set (id uuid, quantity int?, delta int?, threshold int?) one -> body text, events text
-- Sets the stock of a product of the caller, or adds to it.
SELECT s.body, s.events
FROM stock_set(:id, :quantity, :delta, :threshold) AS s;
