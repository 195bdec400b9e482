-- How the goods of an order travel.

-- What the event about it carries; realtime/events.def.
CREATE OR REPLACE FUNCTION delivery_event_json(o orders, p_previous text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"orderId":"', o.id, '","number":', o.number, ',"shopId":"', o.shop_id, '","state":"', o.delivery_state,
        '"', ',"previous":"' || p_previous || '"', ',"carrier":' || to_json(o.carrier), ',"tracking":' || to_json(o.tracking),
        ',"eta":"' || iso(o.eta) || '"', ',"version":', o.version, '}')
$$;

CREATE OR REPLACE FUNCTION delivery_tell(o orders, p_previous text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN order_tell('delivery:updated', o.buyer_id, ARRAY[o.seller_id], ARRAY[o.shop_id],
                      ARRAY[delivery_event_json(o, p_previous)]);
END $$;

-- The seller tells where the goods are, from the confirmation of the order on; NULL keeps a value. Goods that have
-- arrived make the order a delivered one, by the step that also marks it so by hand.
CREATE OR REPLACE FUNCTION delivery_update(p_order uuid, p_version int, p_state text, p_carrier text, p_tracking text,
                                           p_eta text)
RETURNS TABLE (body text, etag text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    o      orders;
    part   text;
    before text;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_order FOR NO KEY UPDATE;
    part := order_actor(o);
    before := coalesce(o.delivery_state, '');
    IF o.id IS NULL OR part IS NULL THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> o.version THEN
        PERFORM raise_problem('precondition-failed');
    ELSIF part NOT IN ('seller', 'admin') OR o.status <> 'confirmed'
        OR NOT EXISTS (SELECT FROM delivery_transition AS t WHERE t.from_state = before AND t.to_state = p_state) THEN
        PERFORM raise_problem('invalid-transition', coalesce(o.delivery_state, 'nothing') || ' to ' || p_state
            || ' of an order that is ' || o.status || ', by ' || part);
    END IF;
    UPDATE orders AS x
    SET carrier = coalesce(p_carrier, x.carrier),
        tracking = coalesce(p_tracking, x.tracking),
        eta = coalesce(p_eta::timestamptz, x.eta),
        delivery_state = CASE p_state WHEN 'completed' THEN x.delivery_state ELSE p_state END,
        version = x.version + CASE p_state WHEN 'completed' THEN 0 ELSE 1 END,
        updated_at = now()
    WHERE x.id = p_order
    RETURNING x.* INTO o;
    IF p_state = 'completed' THEN
        RETURN QUERY SELECT s.body, s.etag, s.events FROM order_step(o, 'delivered', part, '') AS s;
    ELSE
        RETURN QUERY SELECT order_json(o), o.version::text, delivery_tell(o, nullif(before, ''));
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION delivery_update(uuid, int, text, text, text, text) TO plaza_web;
