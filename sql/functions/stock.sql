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
        RETURN shop_emit(owner.shop_id, 'inventory:alert', data)
            || feed_append(owner.seller_id, 'inventory:alert', data);
    ELSIF s.alerted > 0 AND s.quantity > s.low_threshold + greatest(s.low_threshold / 5, 1) THEN
        UPDATE stock SET alerted = 0 WHERE product_id = p_product;
    END IF;
    RETURN '';
END $$;
