-- Checkout and the life of an order.

-- ---- JSON ----

CREATE OR REPLACE FUNCTION order_json(o orders) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"id":"', o.id, '","number":', o.number, ',"groupId":"', o.group_id,
        '","status":"', o.status, '","paymentStatus":"', o.payment_status,
        '","fulfilmentStatus":"', o.fulfilment_status,
        '","buyerId":"', o.buyer_id, '","sellerId":"', o.seller_id, '","shopId":"', o.shop_id,
        '","items":', o.items, ',"total":{"amount":', o.total, ',"currency":"', o.currency,
        '"},"address":', to_json(o.address), ',"note":', to_json(o.note),
        ',"delivery":', coalesce('{"state":"' || o.delivery_state || '","carrier":' || coalesce(to_json(o.carrier)::text, 'null')
            || ',"tracking":' || coalesce(to_json(o.tracking)::text, 'null')
            || ',"eta":' || coalesce('"' || iso(o.eta) || '"', 'null') || '}', 'null'), ',"version":', o.version,
        ',"createdAt":"', iso(o.created_at), '","updatedAt":"', iso(o.updated_at), '"}')
$$;

-- What the events about an order carry; realtime/events.def.
CREATE OR REPLACE FUNCTION order_event_json(o orders, p_previous text, p_reason text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"orderId":"', o.id, '","number":', o.number, ',"groupId":"', o.group_id,
        '","shopId":"', o.shop_id, '","status":"', o.status, '","previous":"' || p_previous,
        '","total":{"amount":', o.total, ',"currency":"', o.currency, '"},"version":', o.version,
        ',"reason":' || to_json(nullif(p_reason, '')), '}')
$$;

-- ---- events ----

-- Tells the buyer and the sellers of orders of one purchase, which stand in the order of their numbers. A seller's copy
-- goes to the shop, with its place in the seller's feed: one message is enough. Feeds are locked in ascending order of
-- the user, as everywhere. A loop costs less than one large statement: most purchases have few sellers.
CREATE OR REPLACE FUNCTION order_tell(p_type text, p_buyer uuid, p_sellers uuid[], p_shops uuid[], p_data text[])
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ts      text := iso(now());
    r       record;
    v_data  text;
    v_us    bigint;
    v_epoch text;
    readers uuid[];
    numbers bigint[];
    copies  text[];
    events  text[];
BEGIN
    FOR r IN
        SELECT p_buyer AS reader, 'u/' || p_buyer AS room, p_data AS data
        UNION ALL
        SELECT t.seller, 's/' || t.shop, ARRAY[t.data]
        FROM unnest(p_sellers, p_shops, p_data) AS t (seller, shop, data)
        ORDER BY reader
    LOOP
        UPDATE feed_head AS h SET last_us = h.last_us + cardinality(r.data)
        WHERE h.account_id = r.reader
        RETURNING h.last_us - cardinality(r.data), h.epoch INTO v_us, v_epoch;
        FOREACH v_data IN ARRAY r.data LOOP
            v_us := v_us + 1;
            readers := readers || r.reader;
            numbers := numbers || v_us;
            copies := copies || v_data;
            events := events || concat(r.room, E'/in\x1f{"v":1,"t":"', p_type, '","id":"', v_epoch, '-', v_us, '","ep":"',
                                       v_epoch, '","us":', v_us, ',"ts":"', ts, '","d":', v_data, E'}\x1e');
        END LOOP;
    END LOOP;
    INSERT INTO feed (account_id, us, type, data)
    SELECT t.reader, t.us, p_type, t.data FROM unnest(readers, numbers, copies) AS t (reader, us, data);
    RETURN emit_all(events);
END $$;

-- ---- stock ----

-- Gives the units of an order back. The rows are locked in ascending order of the product, before they are changed.
CREATE OR REPLACE FUNCTION stock_return(p_order uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM stock AS s
    WHERE s.product_id IN (SELECT i.product_id FROM order_item AS i WHERE i.order_id = p_order)
    ORDER BY s.product_id
    FOR NO KEY UPDATE;
    UPDATE stock AS s SET quantity = s.quantity + i.quantity, updated_at = now()
    FROM order_item AS i
    WHERE i.order_id = p_order AND s.product_id = i.product_id;
END $$;

-- ---- checkout ----

-- The deterministic provider: the token decides. It asks nobody, so it may run inside of the transaction.
CREATE OR REPLACE FUNCTION payment_mock(p_token text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE p_token
    WHEN 'tok_success' THEN RETURN 'paid';
    WHEN 'tok_timeout' THEN RETURN 'processing';
    ELSE PERFORM raise_problem('payment-declined');
    END CASE;
    RETURN NULL;
END $$;

-- Takes the units of all lines and tells what they cost today, or raises a problem: nothing of price, title or seller
-- comes from the client. Stock rows are locked in ascending order of the product; the UPDATE is conditional: whoever
-- comes second sees the first one's result, never an older count. `lows` are the products whose seller is to be told.
CREATE OR REPLACE FUNCTION order_take(p_products uuid[], p_quantities int[], p_prices bigint[], p_expected bigint,
                                      p_currency text,
                                      OUT total numeric, OUT currency text, OUT lows uuid[])
LANGUAGE plpgsql AS $$
DECLARE
    me    uuid := app_me();
    known bigint;
    own   boolean;
    other text;
    taken uuid[];
BEGIN
    WITH line AS MATERIALIZED (
        SELECT p.id, coalesce(w.price, p.price) AS price, p.currency, p.seller_id, w.n
        FROM unnest(p_products, p_quantities, p_prices) AS w (id, n, price)
        JOIN product AS p ON p.id = w.id AND p.status = 'active' AND p.deleted_at IS NULL
        JOIN shop AS s ON s.id = p.shop_id AND s.status <> 'suspended'
    ), held AS MATERIALIZED (
        SELECT l.id, l.n
        FROM line AS l
        JOIN stock AS s ON s.product_id = l.id
        ORDER BY l.id
        FOR NO KEY UPDATE OF s
    ), taken AS (
        UPDATE stock AS s SET quantity = s.quantity - h.n, updated_at = now()
        FROM held AS h
        WHERE s.product_id = h.id AND s.quantity >= h.n
        RETURNING s.product_id, stock_level(s.quantity, s.low_threshold) > s.alerted AS low
    )
    SELECT b.known, b.own, b.total, b.currency, b.other, t.ids, t.lows
    INTO known, own, total, currency, other, taken, lows
    FROM (SELECT count(*) AS known, bool_or(l.seller_id = me) AS own, sum(l.price * l.n) AS total,
                 min(l.currency) AS currency, max(l.currency) AS other
          FROM line AS l) AS b
    CROSS JOIN (SELECT array_agg(t.product_id) AS ids, array_agg(t.product_id) FILTER (WHERE t.low) AS lows
                FROM taken AS t) AS t;
    IF known < cardinality(p_products) THEN
        PERFORM product_refuse(p_products);
    ELSIF own THEN
        PERFORM raise_problem('own-product');
    ELSIF currency <> other THEN
        PERFORM raise_problem('conflict', 'The products must have the same currency.');
    ELSIF total > 99999999999999 THEN
        PERFORM raise_problem('conflict', 'The total is too large.');
    ELSIF total <> p_expected OR currency <> p_currency THEN
        PERFORM raise_problem('price-changed', 'The total is ' || total || ' ' || currency || ' now.');
    ELSIF known > coalesce(cardinality(taken), 0) THEN
        PERFORM raise_problem('out-of-stock', 'product ' || min(w.id::text))
        FROM unnest(p_products) AS w (id)
        WHERE w.id <> ALL (coalesce(taken, '{}'));
    END IF;
END $$;

-- A purchase with its orders.
CREATE OR REPLACE FUNCTION order_group_json(g order_group, p_payment text, p_orders text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"id":"', g.id, '","total":{"amount":', g.total, ',"currency":"', g.currency,
        '"},"refunded":{"amount":', g.refunded, ',"currency":"', g.currency,
        '"},"paymentStatus":"', p_payment, '","createdAt":"', iso(g.created_at), '","orders":[', p_orders, ']}')
$$;

-- The agreed prices of a cart's lines, in the order of its products; an offer that counts is used up by it.
CREATE OR REPLACE FUNCTION cart_agreed(p_cart uuid, p_products uuid[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    found bigint[];
BEGIN
    PERFORM FROM chat_offer AS o
    WHERE o.id IN (SELECT i.offer_id FROM cart_item AS i WHERE i.cart_id = p_cart)
    ORDER BY o.id FOR NO KEY UPDATE;
    SELECT array_agg(agreed_price(i.offer_id, i.quantity, p.currency) ORDER BY u.place) INTO found
    FROM unnest(p_products) WITH ORDINALITY AS u (id, place)
    JOIN cart_item AS i ON i.cart_id = p_cart AND i.product_id = u.id
    LEFT JOIN product AS p ON p.id = u.id;
    UPDATE chat_offer AS o SET status = 'ordered'
    FROM cart_item AS i
    JOIN product AS p ON p.id = i.product_id
    WHERE i.cart_id = p_cart AND o.id = i.offer_id
      AND agreed_price(i.offer_id, i.quantity, p.currency) IS NOT NULL;
    RETURN found;
END $$;

-- The one way to an order: all or nothing in one transaction. The lines, each product once, come from the arrays or from
-- the cart. A purchase from several shops is one group, one charge, and an order for each seller.
CREATE OR REPLACE FUNCTION order_place(p_group uuid, p_cart uuid, p_version int, p_products uuid[], p_quantities int[],
    p_token text, p_expected bigint, p_currency text, p_address text, p_note text)
RETURNS TABLE (body text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    me      uuid := app_me();
    outcome text := payment_mock(p_token);
    bill    record;
    made    record;
    offers  uuid[];
    prices  bigint[];
BEGIN
    IF p_cart IS NOT NULL THEN
        PERFORM cart_lock(p_cart, NULL, p_version);
        UPDATE cart SET status = 'ordered', version = version + 1, updated_at = now() WHERE id = p_cart;
        SELECT array_agg(i.product_id), array_agg(i.quantity), array_agg(i.offer_id) FILTER (WHERE i.offer_id IS NOT NULL)
        INTO p_products, p_quantities, offers
        FROM cart_item AS i
        WHERE i.cart_id = p_cart;
        IF offers IS NOT NULL THEN
            prices := cart_agreed(p_cart, p_products);
        END IF;
    END IF;
    IF p_products IS NULL THEN
        PERFORM raise_problem('cart-empty');
    END IF;
    bill := order_take(p_products, p_quantities, prices, p_expected, p_currency);
    WITH purchase AS (
        INSERT INTO order_group AS g (id, buyer_id, cart_id, provider, total, captured, currency)
        VALUES (p_group, me, p_cart, 'mock', bill.total, CASE outcome WHEN 'paid' THEN bill.total ELSE 0 END, bill.currency)
        RETURNING g
    ), line AS MATERIALIZED (
        SELECT p.id, p.seller_id, p.shop_id, p.title, coalesce(w.price, p.price) AS price, w.n
        FROM unnest(p_products, p_quantities, prices) AS w (id, n, price)
        JOIN product AS p ON p.id = w.id AND p.currency = bill.currency
    ), part AS MATERIALIZED (
        SELECT uuid_v7() AS id, l.seller_id, l.shop_id, sum(l.price * l.n) AS total,
               string_agg(concat('{"productId":"', l.id, '","title":', to_json(l.title), ',"quantity":', l.n,
                   ',"unitPrice":{"amount":', l.price, ',"currency":"', bill.currency,
                   '"},"subtotal":{"amount":', l.price * l.n, ',"currency":"', bill.currency, '"}}'),
                   ',' ORDER BY l.id) AS items
        FROM line AS l
        GROUP BY l.seller_id, l.shop_id
    ), placed AS (
        INSERT INTO orders AS o (id, group_id, buyer_id, seller_id, shop_id, status, payment_status, total, currency,
                                 items, address, note)
        SELECT p.id, p_group, me, p.seller_id, p.shop_id,
               CASE outcome WHEN 'paid' THEN 'payment_confirmed' ELSE 'pending' END, outcome, p.total, bill.currency,
               concat('[', p.items, ']'), p_address, p_note
        FROM part AS p
        RETURNING o.number, o.total, o.seller_id, o.shop_id, order_json(o) AS doc, order_event_json(o, NULL, '') AS data
    ), item AS (
        INSERT INTO order_item (order_id, product_id, quantity, unit_price)
        SELECT p.id, l.id, l.n, l.price
        FROM part AS p
        JOIN line AS l ON l.seller_id = p.seller_id AND l.shop_id = p.shop_id
    )
    SELECT order_group_json(p.g, outcome, o.docs) AS body, o.total, o.sellers, o.shops, o.data
    INTO made
    FROM purchase AS p
    CROSS JOIN (SELECT string_agg(o.doc, ',') AS docs, sum(o.total) AS total, array_agg(o.seller_id) AS sellers,
                       array_agg(o.shop_id) AS shops, array_agg(o.data) AS data
                FROM (SELECT p.doc, p.total, p.seller_id, p.shop_id, p.data FROM placed AS p ORDER BY p.number) AS o) AS o;
    -- While the stock was waited for, a seller may have changed a price, or the currency, whose line is missing then.
    IF made.total IS DISTINCT FROM bill.total THEN
        PERFORM raise_problem('price-changed');
    END IF;
    body := made.body;
    events := order_tell('order:created', me, made.sellers, made.shops, made.data);
    IF bill.lows IS NOT NULL THEN
        SELECT concat(events, string_agg(stock_after_change(l.id), '')) INTO events FROM unnest(bill.lows) AS l (id);
    END IF;
    RETURN NEXT;
END $$;

-- ---- the life of an order ----

-- Which part the caller has in an order; NULL for strangers.
CREATE OR REPLACE FUNCTION order_actor(o orders) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN o.seller_id = app_uid() THEN 'seller'
                WHEN o.buyer_id = app_uid() THEN 'buyer'
                WHEN app_role() = 'admin' THEN 'admin'
                WHEN app_role() = 'service' THEN 'system' END
$$;

-- One step, which the caller of this has found allowed, of an order that it has locked. A sale that ends gives its units
-- back and, once paid, the money.
CREATE OR REPLACE FUNCTION order_step(o orders, p_to text, p_actor text, p_reason text,
                                      OUT body text, OUT etag text, OUT events text)
LANGUAGE plpgsql AS $$
DECLARE
    before text := o.status;
    moved  text := o.delivery_state;
    ends   boolean := p_to IN ('cancelled', 'payment_failed');
BEGIN
    UPDATE orders AS x
    SET status = p_to,
        payment_status = CASE WHEN p_to = 'payment_confirmed' THEN 'paid'
                              WHEN NOT ends THEN x.payment_status
                              WHEN x.payment_status = 'paid' THEN 'refunded'
                              ELSE 'failed' END,
        fulfilment_status = CASE WHEN p_to = 'delivered' THEN 'fulfilled' ELSE x.fulfilment_status END,
        delivery_state = CASE WHEN p_to = 'delivered' THEN 'completed' ELSE x.delivery_state END,
        version = x.version + 1, updated_at = now()
    WHERE x.id = o.id
    RETURNING x.* INTO o;
    INSERT INTO order_event (order_id, n, previous, status, actor, actor_id, reason)
    VALUES (o.id, o.version, before, p_to, p_actor, app_uid(), p_reason);
    IF ends THEN
        PERFORM stock_return(o.id);
    END IF;
    IF ends AND o.payment_status = 'refunded' THEN
        UPDATE order_group SET refunded = refunded + o.total WHERE id = o.group_id;
    ELSIF p_to = 'payment_confirmed' THEN
        UPDATE order_group SET captured = captured + o.total WHERE id = o.group_id;
    END IF;
    events := order_tell(CASE p_to WHEN 'cancelled' THEN 'order:cancelled' ELSE 'order:updated' END, o.buyer_id,
                         ARRAY[o.seller_id], ARRAY[o.shop_id], ARRAY[order_event_json(o, before, p_reason)]);
    IF p_to = 'delivered' THEN
        events := events || delivery_tell(o, moved);
    END IF;
    IF ends THEN
        SELECT concat(events, string_agg(stock_after_change(i.product_id), '')) INTO events
        FROM order_item AS i
        JOIN stock AS s ON s.product_id = i.product_id AND s.alerted > 0
        WHERE i.order_id = o.id;
    END IF;
    body := order_json(o);
    etag := o.version;
END $$;

-- A step that somebody asks for. p_version 0 stands for whatever it is now.
CREATE OR REPLACE FUNCTION order_move(p_order uuid, p_version int, p_to text, p_reason text)
RETURNS TABLE (body text, etag text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    o    orders;
    part text;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_order FOR NO KEY UPDATE;
    part := order_actor(o);
    IF o.id IS NULL OR part IS NULL THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> o.version THEN
        PERFORM raise_problem('precondition-failed');
    ELSIF NOT EXISTS (SELECT FROM order_transition AS t
                      WHERE t.from_status = o.status AND t.to_status = p_to AND t.actor = part) THEN
        PERFORM raise_problem('invalid-transition', o.status || ' to ' || p_to || ' by ' || part);
    END IF;
    RETURN QUERY SELECT s.body, s.etag, s.events FROM order_step(o, p_to, part, p_reason) AS s;
END $$;

-- Job: an order whose payment stayed unknown for 15 minutes is cancelled. One in a transaction, which keeps the order
-- of locks.
CREATE OR REPLACE FUNCTION job_expire_orders() RETURNS TABLE (done bigint, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o
    FROM orders
    WHERE status = 'pending' AND created_at < now() - interval '15 minutes'
    ORDER BY created_at
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
    done := 0;
    IF FOUND THEN
        done := 1;
        events := (order_step(o, 'cancelled', 'system', 'The payment was not confirmed in time.')).events;
    END IF;
    RETURN NEXT;
END $$;

GRANT EXECUTE ON FUNCTION order_json(orders), order_group_json(order_group, text, text),
    order_place(uuid, uuid, int, uuid[], int[], text, bigint, text, text, text), order_move(uuid, int, text, text)
    TO plaza_web;
GRANT EXECUTE ON FUNCTION job_expire_orders() TO plaza_relay;
