-- Tells the owners of open carts when a product in them has another price, sells out or comes back, or leaves the shop.

-- What changed is noted in the transaction that changes it, and only there: a sale that leaves some costs nothing.
CREATE OR REPLACE FUNCTION cart_news_product() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF (OLD.price, OLD.currency) IS DISTINCT FROM (NEW.price, NEW.currency) THEN
        INSERT INTO cart_news (product_id, reason) VALUES (NEW.id, 'price');
    END IF;
    IF (OLD.status = 'active' AND OLD.deleted_at IS NULL) <> (NEW.status = 'active' AND NEW.deleted_at IS NULL) THEN
        INSERT INTO cart_news (product_id, reason) VALUES (NEW.id, 'status');
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER cart_news_product AFTER UPDATE OF price, currency, status, deleted_at ON product
    FOR EACH ROW WHEN ((OLD.price, OLD.currency, OLD.status, OLD.deleted_at)
                       IS DISTINCT FROM (NEW.price, NEW.currency, NEW.status, NEW.deleted_at))
    EXECUTE FUNCTION cart_news_product();

CREATE OR REPLACE FUNCTION cart_news_stock() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO cart_news (product_id, reason) VALUES (NEW.product_id, 'stock');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER cart_news_stock AFTER UPDATE OF quantity ON stock
    FOR EACH ROW WHEN ((OLD.quantity = 0) <> (NEW.quantity = 0)) EXECUTE FUNCTION cart_news_stock();

-- A line in the notifications; one that is unread about the same product is enough.
CREATE OR REPLACE FUNCTION cart_price_notify(p_user uuid, p product) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_link text := '/products/' || p.id;
    es     boolean := (SELECT a.locale = 'es' FROM account AS a WHERE a.id = p_user);
BEGIN
    IF EXISTS (SELECT FROM notification AS n
               WHERE n.account_id = p_user AND n.read_at IS NULL AND n.type = 'cart.price' AND n.link = v_link) THEN
        RETURN '';
    END IF;
    RETURN notify(p_user, 'cart.price',
                  CASE WHEN es THEN 'Cambió un precio en tu carrito' ELSE 'A price in your cart has changed' END,
                  p.title, v_link, 'low');
END $$;

-- Job: the oldest line, for at most a hundred carts; it stays until all were told. Later lines of the same kind say
-- nothing more, for what is told is what is so now. Carts are only read: no lock but those of the owners' feeds, in
-- ascending order of the user.
CREATE OR REPLACE FUNCTION job_cart_news() RETURNS TABLE (done bigint, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    n     cart_news;
    p     product;
    c     record;
    carts uuid[];
BEGIN
    done := 0;
    events := '';
    SELECT * INTO n FROM cart_news ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;
    DELETE FROM cart_news AS x WHERE x.product_id = n.product_id AND x.reason = n.reason AND x.id > n.id AND n.done IS NULL;
    SELECT * INTO p FROM product WHERE id = n.product_id;
    carts := ARRAY(SELECT k.id
                   FROM cart_item AS i
                   JOIN cart AS k ON k.id = i.cart_id
                   WHERE i.product_id = n.product_id AND (n.done IS NULL OR i.cart_id > n.done)
                     AND k.status = 'open' AND k.account_id IS NOT NULL AND k.expires_at > now()
                   ORDER BY i.cart_id
                   LIMIT 100);
    FOR c IN SELECT k.id, k.version, k.account_id FROM cart AS k WHERE k.id = ANY (carts) ORDER BY k.account_id LOOP
        events := events || feed_append(c.account_id, 'cart:changed', '{"cartId":"' || c.id || '","version":' || c.version
            || ',"productId":"' || n.product_id || '","reason":"' || n.reason || '"}');
        IF n.reason = 'price' THEN
            events := events || cart_price_notify(c.account_id, p);
        END IF;
    END LOOP;
    IF cardinality(carts) = 100 THEN
        UPDATE cart_news AS x SET done = carts[100] WHERE x.id = n.id;
    ELSE
        DELETE FROM cart_news AS x WHERE x.id = n.id;
    END IF;
    done := greatest(cardinality(carts), 1);
    RETURN NEXT;
END $$;

GRANT EXECUTE ON FUNCTION job_cart_news() TO plaza_relay;
