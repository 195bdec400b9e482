-- What a seller offers goes with the suspension of the account, and comes back with its end.

-- Brings products in line with their shop: of a suspended one those on sale go, of another one those that went come
-- back. The trigger of the table takes them out of the lists and tells the owners of carts.
CREATE OR REPLACE FUNCTION shop_settle(s shop, p_limit int) RETURNS bigint
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    gone boolean := s.status = 'suspended';
    n    bigint;
BEGIN
    WITH held AS MATERIALIZED (
        SELECT p.id
        FROM product AS p
        WHERE p.seller_id = s.owner_id AND p.deleted_at IS NULL AND p.status = CASE WHEN gone THEN 'active' ELSE 'suspended' END
        ORDER BY p.id
        LIMIT p_limit
        FOR NO KEY UPDATE
    )
    UPDATE product AS p
    SET status = CASE WHEN gone THEN 'suspended' ELSE 'active' END, version = p.version + 1, updated_at = now()
    FROM held AS h
    WHERE p.id = h.id;
    GET DIAGNOSTICS n = ROW_COUNT;
    UPDATE shop AS x SET unsettled = n = p_limit WHERE x.id = s.id AND x.unsettled <> (n = p_limit);
    RETURN n;
END $$;

-- The shop of an account follows it; what does not fit into one statement's time is left to the relay. Until then no
-- order takes it: order_take() asks the shop.
CREATE OR REPLACE FUNCTION shop_follow(p_account uuid, p_from text, p_to text) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    s shop;
BEGIN
    UPDATE shop SET status = p_to, version = version + 1, updated_at = now()
    WHERE owner_id = p_account AND status = p_from AND deleted_at IS NULL
    RETURNING * INTO s;
    IF FOUND THEN
        PERFORM shop_settle(s, 500);
    END IF;
END $$;

-- Job: some products of one shop that does not agree with them yet.
CREATE OR REPLACE FUNCTION job_settle_shops() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    s shop;
BEGIN
    SELECT * INTO s FROM shop WHERE unsettled ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    RETURN CASE WHEN s.id IS NULL THEN 0 ELSE greatest(shop_settle(s, 500), 1) END;
END $$;

-- Why some products cannot be had: their seller is suspended, or there are none.
CREATE OR REPLACE FUNCTION product_refuse(p_products uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM raise_problem('product-unavailable', 'product ' || min(p.id::text))
    FROM product AS p
    JOIN shop AS s ON s.id = p.shop_id
    WHERE p.id = ANY (p_products) AND p.deleted_at IS NULL
      AND (p.status = 'suspended' OR p.status = 'active' AND s.status = 'suspended')
    HAVING count(*) > 0;
    PERFORM raise_problem('not-found', 'There is no such product.');
END $$;

GRANT EXECUTE ON FUNCTION job_settle_shops() TO plaza_relay;
