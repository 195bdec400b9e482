-- Carts. A guest's cart is reached by its signed token, which the program has checked: `p_guest` is the cart it names.
-- Where a version is asked for, 0 stands for whatever it is now. The first part runs inside of the second, with its
-- search path.

-- The open cart if the caller may use it, locked; 'not-found' for a foreign, closed or missing one.
CREATE OR REPLACE FUNCTION cart_lock(p_cart uuid, p_guest uuid, p_version int DEFAULT 0) RETURNS cart
LANGUAGE plpgsql AS $$
DECLARE
    c cart;
BEGIN
    SELECT * INTO c
    FROM cart
    WHERE id = p_cart AND status = 'open' AND expires_at > now()
      AND CASE WHEN account_id IS NULL THEN id = p_guest ELSE account_id = app_uid() END
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> c.version THEN
        PERFORM raise_problem('precondition-failed');
    END IF;
    RETURN c;
END $$;

-- The price of a line: today's, or the one that was agreed on in a conversation, as long as it holds.
CREATE OR REPLACE FUNCTION agreed_price(p_offer uuid, p_quantity int, p_currency text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT o.price
    FROM plaza.chat_offer AS o
    WHERE o.id = p_offer AND o.status = 'accepted' AND o.expires_at > now() AND o.quantity >= p_quantity
      AND o.currency = p_currency
$$;

-- The cart as JSON at today's prices. There is no total while the lines have several currencies.
CREATE OR REPLACE FUNCTION cart_json(p_cart uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    WITH line AS MATERIALIZED (
        SELECT i.product_id, p.title, p.seller_id, p.shop_id, i.quantity, i.added_at, w.price, p.currency,
               w.price <> i.seen_price AS changed, w.price <> p.price AS agreed,
               p.status = 'active' AND p.deleted_at IS NULL AND coalesce(s.quantity >= i.quantity, false) AS available
        FROM cart_item AS i
        JOIN product AS p ON p.id = i.product_id
        LEFT JOIN stock AS s ON s.product_id = i.product_id
        CROSS JOIN LATERAL (SELECT CASE WHEN i.offer_id IS NULL THEN p.price::bigint
                                        ELSE coalesce(agreed_price(i.offer_id, i.quantity, p.currency), p.price) END) AS w (price)
        WHERE i.cart_id = p_cart
    ), items AS (
        SELECT coalesce(json_agg(json_build_object(
                   'productId', l.product_id, 'title', l.title, 'sellerId', l.seller_id, 'shopId', l.shop_id,
                   'quantity', l.quantity,
                   'unitPrice', json_build_object('amount', l.price, 'currency', l.currency),
                   'subtotal', json_build_object('amount', l.price * l.quantity, 'currency', l.currency),
                   'priceChanged', l.changed, 'agreed', l.agreed, 'available', l.available)
                   ORDER BY l.seller_id, l.added_at, l.product_id), '[]') AS list,
               coalesce(sum(l.quantity), 0) AS quantity,
               CASE WHEN count(DISTINCT l.currency) = 1
                    THEN json_build_object('amount', sum(l.price * l.quantity), 'currency', min(l.currency)) END AS total
        FROM line AS l
    )
    SELECT row_to_json(r)::text
    FROM (SELECT c.id, c.version, iso(c.expires_at) AS "expiresAt", i.list AS items, i.quantity, i.total
          FROM cart AS c
          CROSS JOIN items AS i
          WHERE c.id = p_cart) AS r
$$;

-- Prices and stock change without the cart: its ETag is the version, for If-Match, and a hash of what is shown.
CREATE OR REPLACE FUNCTION cart_etag(p_version int, p_body text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT p_version || '.' || left(md5(p_body), 12)
$$;

-- A change of the cart: next version, new lease.
CREATE OR REPLACE FUNCTION cart_changed(p_cart uuid) RETURNS TABLE (body text, etag text)
LANGUAGE plpgsql AS $$
DECLARE
    now_version int;
BEGIN
    UPDATE cart SET version = version + 1, updated_at = now(), expires_at = now() + interval '14 days'
    WHERE id = p_cart
    RETURNING version INTO now_version;
    body := cart_json(p_cart);
    etag := cart_etag(now_version, body);
    RETURN NEXT;
END $$;

-- What a cart can hold: an amount that JSON readers know exactly, in one currency, for one purchase is one charge;
-- nothing that the caller sells.
CREATE OR REPLACE FUNCTION cart_check(p_cart uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    lines  bigint;
    monies bigint;
    total  numeric;
    own    boolean;
BEGIN
    SELECT count(*), count(DISTINCT p.currency), sum(p.price * i.quantity),
           bool_or(p.seller_id = coalesce(c.account_id, app_uid()))
    INTO lines, monies, total, own
    FROM cart AS c
    JOIN cart_item AS i ON i.cart_id = c.id
    JOIN product AS p ON p.id = i.product_id
    WHERE c.id = p_cart;
    IF lines > 100 THEN
        PERFORM raise_problem('conflict', 'A cart holds 100 products at most.');
    ELSIF monies > 1 THEN
        PERFORM raise_problem('conflict', 'The products of a cart must have the same currency.');
    ELSIF total > 99999999999999 THEN
        PERFORM raise_problem('conflict', 'The total of the cart is too large.');
    ELSIF own THEN
        PERFORM raise_problem('own-product');
    END IF;
END $$;

-- Adds a guest's lines to a cart of the caller, quantities summed, and closes the guest's; false when there is nothing
-- to add, as after the first time. What the caller sells is left out: it must not keep a seller from signing in. Lock order: the user's cart, which the caller of this holds, then the guest's.
CREATE OR REPLACE FUNCTION cart_take(p_cart uuid, p_guest uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cart SET status = 'merged', updated_at = now()
    WHERE id = p_guest AND account_id IS NULL AND status = 'open' AND expires_at > now();
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO cart_item (cart_id, product_id, quantity, seen_price, added_at)
    SELECT p_cart, g.product_id, g.quantity, g.seen_price, g.added_at
    FROM cart_item AS g
    JOIN product AS p ON p.id = g.product_id
    WHERE g.cart_id = p_guest AND p.seller_id <> app_uid()
    ON CONFLICT (cart_id, product_id)
    DO UPDATE SET quantity = least(cart_item.quantity + EXCLUDED.quantity, 999);
    DELETE FROM cart_item WHERE cart_id = p_guest;
    PERFORM cart_check(p_cart);
    RETURN true;
END $$;

-- ---- called by the programs ----

-- The caller's open cart, made with this id if there is none; a guest gets a new one. A guest's cart joins the user's.
CREATE OR REPLACE FUNCTION cart_open(p_id uuid, p_guest uuid)
RETURNS TABLE (id uuid, body text, etag text, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me          uuid := app_uid();
    now_version int;
BEGIN
    UPDATE cart AS c SET status = 'expired', updated_at = now()
    WHERE c.account_id = me AND c.status = 'open' AND c.expires_at <= now();
    -- The update holds the cart, so that it cannot be ordered meanwhile.
    INSERT INTO cart AS c (id, account_id) VALUES (p_id, me)
    ON CONFLICT (account_id) WHERE status = 'open' DO UPDATE SET expires_at = EXCLUDED.expires_at
    RETURNING c.id, c.version, c.id = p_id INTO id, now_version, created;
    IF me IS NOT NULL AND cart_take(id, p_guest) THEN
        SELECT c.body, c.etag INTO body, etag FROM cart_changed(id) AS c;
    ELSE
        body := cart_json(id);
        etag := cart_etag(now_version, body);
    END IF;
    RETURN NEXT;
END $$;

-- For its user, and for administrators who help.
CREATE OR REPLACE FUNCTION cart_read(p_cart uuid, p_guest uuid) RETURNS TABLE (body text, etag text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT j.body, cart_etag(c.version, j.body)
    FROM cart AS c
    CROSS JOIN LATERAL (SELECT cart_json(c.id)) AS j (body)
    WHERE c.id = p_cart AND c.status = 'open' AND c.expires_at > now()
      AND (CASE WHEN c.account_id IS NULL THEN c.id = p_guest ELSE c.account_id = app_uid() END
           OR app_role() = 'admin')
$$;

CREATE OR REPLACE FUNCTION cart_mine() RETURNS TABLE (id uuid, body text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT c.id, cart_json(c.id)
    FROM cart AS c
    WHERE c.account_id = app_uid() AND c.status = 'open' AND c.expires_at > now()
$$;

CREATE OR REPLACE FUNCTION cart_merge(p_cart uuid, p_guest uuid) RETURNS TABLE (body text, etag text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM cart_lock(p_cart, NULL);
    PERFORM cart_take(p_cart, p_guest);
    RETURN QUERY SELECT c.body, c.etag FROM cart_changed(p_cart) AS c;
END $$;

-- Sets (or, with p_add, raises) the quantity of a line.
CREATE OR REPLACE FUNCTION cart_put(p_cart uuid, p_guest uuid, p_version int, p_product uuid, p_quantity int, p_add boolean)
RETURNS TABLE (body text, etag text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM cart_lock(p_cart, p_guest, p_version);
    INSERT INTO cart_item AS i (cart_id, product_id, quantity, seen_price)
    SELECT p_cart, p.id, p_quantity, p.price
    FROM product AS p
    WHERE p.id = p_product AND p.status = 'active' AND p.deleted_at IS NULL
    ON CONFLICT (cart_id, product_id)
    DO UPDATE SET quantity = CASE WHEN p_add THEN i.quantity ELSE 0 END + EXCLUDED.quantity,
                  seen_price = EXCLUDED.seen_price;
    IF NOT FOUND THEN
        PERFORM product_refuse(ARRAY[p_product]);
    END IF;
    PERFORM cart_check(p_cart);
    RETURN QUERY SELECT c.body, c.etag FROM cart_changed(p_cart) AS c;
END $$;

-- Removes a line, or all of them.
CREATE OR REPLACE FUNCTION cart_remove(p_cart uuid, p_guest uuid, p_version int, p_product uuid)
RETURNS TABLE (body text, etag text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM cart_lock(p_cart, p_guest, p_version);
    DELETE FROM cart_item AS i WHERE i.cart_id = p_cart AND (p_product IS NULL OR i.product_id = p_product);
    IF NOT FOUND AND p_product IS NOT NULL THEN
        PERFORM raise_problem('not-found', 'The cart has no such line.');
    END IF;
    RETURN QUERY SELECT c.body, c.etag FROM cart_changed(p_cart) AS c;
END $$;

-- Ends a cart.
CREATE OR REPLACE FUNCTION cart_drop(p_cart uuid, p_guest uuid, p_version int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM cart_lock(p_cart, p_guest, p_version);
    UPDATE cart SET status = 'dropped', updated_at = now() WHERE id = p_cart;
    DELETE FROM cart_item WHERE cart_id = p_cart;
END $$;

-- Job: carts that nobody has touched for 14 days end, and those that ended 30 days ago go, a batch each time.
CREATE OR REPLACE FUNCTION job_expire_carts() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH old AS (
        SELECT id FROM cart
        WHERE status = 'open' AND expires_at <= now()
        ORDER BY expires_at
        LIMIT 1000
        FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE cart AS c SET status = 'expired', updated_at = now() FROM old WHERE c.id = old.id
    ), emptied AS (
        DELETE FROM cart_item AS i USING old WHERE i.cart_id = old.id
    ), gone AS (
        DELETE FROM cart
        WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM cart AS c
                                WHERE c.status <> 'open' AND c.updated_at < now() - interval '30 days'
                                ORDER BY c.updated_at LIMIT 1000))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM old) + (SELECT count(*) FROM gone)
$$;

GRANT EXECUTE ON FUNCTION cart_open(uuid, uuid), cart_read(uuid, uuid), cart_mine(), cart_merge(uuid, uuid),
    cart_put(uuid, uuid, int, uuid, int, boolean), cart_remove(uuid, uuid, int, uuid), cart_drop(uuid, uuid, int)
    TO plaza_web;
GRANT EXECUTE ON FUNCTION job_expire_carts() TO plaza_relay;
