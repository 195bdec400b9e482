-- Checkout and orders.

-- query: order_place (group uuid, cart uuid?, version int, products uuid[]?, quantities bigint[]?, token text,
--     expected bigint?, currency text?, address text, note text) one -> body text, events text
-- Turns a cart or a list of lines into orders, one for each seller.
SELECT o.body, o.events
FROM order_place(:group, :cart, :version, :products, :quantities::bigint[]::int[], :token, :expected, :currency, :address,
                 :note) AS o;

-- query: order_get (id uuid) maybe read -> body text, etag text
-- An order of the caller, as buyer, seller or administrator.
SELECT order_json(o) AS body, o.version::text AS etag
FROM orders AS o
WHERE o.id = :id
  AND (o.buyer_id = app_uid() OR o.seller_id = app_uid() OR app_role() = 'admin');

-- query: order_list_buyer (after uuid?, limit int) many read -> body text, k1 uuid
-- The caller's purchases, newest first.
SELECT order_json(o) AS body, o.id AS k1
FROM orders AS o
WHERE o.buyer_id = app_uid()
  AND o.id < coalesce(:after, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY o.id DESC
LIMIT :limit + 1;

-- query: order_list_seller (after uuid?, limit int) many read -> body text, k1 uuid
-- What was bought from the caller, newest first.
SELECT order_json(o) AS body, o.id AS k1
FROM orders AS o
WHERE o.seller_id = app_uid()
  AND o.id < coalesce(:after, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY o.id DESC
LIMIT :limit + 1;

-- query: order_list_all (after uuid?, limit int) many read -> body text, k1 uuid
-- All orders, for administrators.
SELECT order_json(o) AS body, o.id AS k1
FROM orders AS o
WHERE app_role() = 'admin'
  AND o.id < coalesce(:after, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY o.id DESC
LIMIT :limit + 1;

-- query: order_history (id uuid) many read -> body text, k1 int
-- The states of an order of the caller. The first is not among its events: it is where the second came from.
SELECT row_to_json(r)::text AS body, r.n AS k1
FROM (SELECT 1 AS n,
             coalesce((SELECT e.previous FROM order_event AS e WHERE e.order_id = o.id AND e.n = 2), o.status) AS status,
             'buyer' AS actor, o.buyer_id AS "actorId", '' AS reason, iso(o.created_at) AS "createdAt"
      FROM orders AS o
      WHERE o.id = :id
        AND (o.buyer_id = app_uid() OR o.seller_id = app_uid() OR app_role() = 'admin')
      UNION ALL
      SELECT e.n, e.status, e.actor, e.actor_id, e.reason, iso(e.created_at)
      FROM orders AS o
      JOIN order_event AS e ON e.order_id = o.id
      WHERE o.id = :id
        AND (o.buyer_id = app_uid() OR o.seller_id = app_uid() OR app_role() = 'admin')) AS r
ORDER BY r.n;

-- query: order_move (id uuid, version int, status text, reason text) one -> body text, etag text, events text
-- A step of the state machine, asked for by a party of the order.
SELECT o.body, o.etag, o.events
FROM order_move(:id, :version, :status, :reason) AS o;

-- query: delivery_update (id uuid, version int, state text, carrier text?, tracking text?, eta text?) one
--     -> body text, etag text, events text
-- Where the goods of an order are, as its seller tells.
SELECT o.body, o.etag, o.events
FROM delivery_update(:id, :version, :state, :carrier, :tracking, :eta) AS o;

-- query: order_group_get (id uuid) maybe read -> body text
-- A purchase with its orders.
SELECT order_group_json(g, CASE
           WHEN o.waits THEN 'processing'
           WHEN o.failed THEN 'failed'
           WHEN g.refunded = 0 THEN 'paid'
           WHEN g.refunded = g.captured THEN 'refunded'
           ELSE 'partially_refunded' END, o.docs) AS body
FROM order_group AS g
CROSS JOIN LATERAL (
    SELECT bool_or(x.payment_status = 'processing') AS waits, bool_and(x.payment_status = 'failed') AS failed,
           string_agg(order_json(x), ',' ORDER BY x.number) AS docs
    FROM orders AS x
    WHERE x.group_id = g.id) AS o
WHERE g.id = :id
  AND (g.buyer_id = app_uid() OR app_role() = 'admin');
