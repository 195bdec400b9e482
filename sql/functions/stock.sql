-- Units for sale: what follows from a change of them.

-- How bad it is: 0 enough, 1 low, 2 sold out.
CREATE OR REPLACE FUNCTION stock_level(p_quantity int, p_threshold int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_quantity = 0 THEN 2 WHEN p_quantity <= p_threshold THEN 1 ELSE 0 END
$$;

-- Tells the shop and its seller when the stock of a product has just become low or has run out; returns the event
-- lines, '' when there is nothing to tell. The caller has changed the row of stock in this transaction, so it is
-- locked, and calls this once for each product, in ascending order of the sellers.
-- A sale must not ring twice: what was told stays told until the stock is a fifth, at least one unit, above the
-- threshold again.
CREATE OR REPLACE FUNCTION stock_after_change(p_product uuid) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    s     stock;
    owner product;
    data  text;
BEGIN
    SELECT * INTO s FROM stock WHERE product_id = p_product;
    IF stock_level(s.quantity, s.low_threshold) > s.alerted THEN
        UPDATE stock SET alerted = stock_level(quantity, low_threshold) WHERE product_id = p_product;
        SELECT * INTO owner FROM product WHERE id = p_product;
        data := '{"productId":"' || p_product || '","stock":' || s.quantity || ',"threshold":' || s.low_threshold
            || ',"alert":"' || CASE s.quantity WHEN 0 THEN 'out' ELSE 'low' END || '"}';
        RETURN shop_tell(owner.shop_id, owner.seller_id, 'inventory:alert', data);
    ELSIF s.alerted > 0 AND s.quantity > s.low_threshold + greatest(s.low_threshold / 5, 1) THEN
        UPDATE stock SET alerted = 0 WHERE product_id = p_product;
    END IF;
    RETURN '';
END $$;

CREATE OR REPLACE FUNCTION stock_json(s stock) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"productId":"' || s.product_id || '","stock":' || s.quantity || ',"lowThreshold":' || s.low_threshold
        || ',"updatedAt":"' || iso(s.updated_at) || '"}'
$$;

-- The stock of a product as its seller sees it.
CREATE OR REPLACE FUNCTION stock_get(p_product uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    RETURN (SELECT stock_json(s)
            FROM stock AS s
            JOIN product AS p ON p.id = s.product_id
            WHERE s.product_id = p_product AND p.deleted_at IS NULL
              AND (p.seller_id = me OR app_role() = 'admin'));
END $$;

-- A seller counts the stock anew, or adds to it (p_delta, which may be negative). NULL keeps a value. Whoever does this
-- knows what is there, so what was told before is told again at the next fall.
CREATE OR REPLACE FUNCTION stock_set(p_product uuid, p_quantity int, p_delta int, p_threshold int)
RETURNS TABLE (body text, events text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    p  product;
    s  stock;
BEGIN
    SELECT * INTO p FROM product
    WHERE id = p_product AND deleted_at IS NULL AND (seller_id = me OR app_role() = 'admin');
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    UPDATE stock
    SET quantity = coalesce(p_quantity, quantity + p_delta, quantity),
        low_threshold = coalesce(p_threshold, low_threshold),
        updated_at = now()
    WHERE product_id = p_product AND quantity + coalesce(p_delta, 0) >= 0;
    IF NOT FOUND THEN
        PERFORM raise_problem('out-of-stock', 'There are fewer units than that.');
    END IF;
    UPDATE stock
    SET alerted = least(alerted, stock_level(quantity, low_threshold))
    WHERE product_id = p_product
    RETURNING * INTO s;
    RETURN QUERY SELECT stock_json(s), product_tell(p, 'updated', '{stock}') || stock_after_change(p_product);
END $$;

GRANT EXECUTE ON FUNCTION stock_get(uuid), stock_set(uuid, int, int, int) TO plaza_web;
