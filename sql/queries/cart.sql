-- Carts.

-- query: cart_open (id uuid, guest uuid?) one -> id uuid, body text, etag text, created boolean
-- The caller's open cart, made with this id if there is none; a guest gets a new one.
SELECT c.id, c.body, c.etag, c.created
FROM cart_open(:id, :guest) AS c;

-- query: cart_read (cart uuid, guest uuid?) maybe read -> body text, etag text
-- A cart at today's prices.
SELECT c.body, c.etag
FROM cart_read(:cart, :guest) AS c;

-- query: cart_mine () many read -> body text, k1 uuid
-- The caller's open cart, as a list.
SELECT c.body, c.id AS k1
FROM cart_mine() AS c;

-- query: cart_put (cart uuid, guest uuid?, version int, product uuid, quantity int, add bool) one -> body text, etag text
-- Sets or raises the quantity of a line.
SELECT c.body, c.etag
FROM cart_put(:cart, :guest, :version, :product, :quantity, :add) AS c;

-- query: cart_remove (cart uuid, guest uuid?, version int, product uuid?) one -> body text, etag text
-- Removes a line, or all of them.
SELECT c.body, c.etag
FROM cart_remove(:cart, :guest, :version, :product) AS c;

-- query: cart_drop (cart uuid, guest uuid?, version int) exec
-- Ends a cart.
SELECT cart_drop(:cart, :guest, :version);

-- query: cart_merge (cart uuid, guest uuid) one -> body text, etag text
-- Adds a guest's cart to the caller's.
SELECT c.body, c.etag
FROM cart_merge(:cart, :guest) AS c;
