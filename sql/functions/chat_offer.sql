-- Reactions, offers, and the search in conversations.

-- ---- reactions ----

-- The reactions of a message as a JSON array, or NULL: how many of each, and the first users of it.
CREATE OR REPLACE FUNCTION reactions_json(p_chat uuid, p_seq bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT '[' || string_agg(concat('{"emoji":', to_json(g.emoji), ',"count":', g.n, ',"userIds":', to_json(g.users[1:20]), '}'),
                             ',' ORDER BY g.since, g.emoji) || ']'
    FROM (SELECT r.emoji, count(*) AS n, min(r.created_at) AS since,
                 array_agg(r.account_id ORDER BY r.created_at, r.account_id) AS users
          FROM message_reaction AS r
          WHERE r.chat_id = p_chat AND r.seq = p_seq
          GROUP BY r.emoji) AS g
$$;

-- Sets or takes back a reaction of the caller. Doing it twice changes nothing.
CREATE OR REPLACE FUNCTION message_react(p_chat uuid, p_message uuid, p_emoji text, p_on boolean,
                                         OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    c  chat;
    m  message;
BEGIN
    SELECT * INTO c FROM chat WHERE id = p_chat FOR NO KEY UPDATE;
    SELECT x.* INTO m
    FROM message AS x
    JOIN chat_member AS r ON r.chat_id = x.chat_id AND r.account_id = me AND r.from_seq < x.seq
    WHERE x.chat_id = p_chat AND x.seq = message_seq(p_chat, p_message) AND x.deleted_at IS NULL;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_on AND (c.blocked OR blocked_between(me, m.sender_id)) THEN
        PERFORM raise_problem('blocked');
    END IF;
    events := '';
    IF p_on THEN
        INSERT INTO message_reaction (chat_id, seq, account_id, emoji) VALUES (p_chat, m.seq, me, p_emoji)
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM message_reaction AS r
        WHERE r.chat_id = p_chat AND r.seq = m.seq AND r.account_id = me AND r.emoji = p_emoji;
    END IF;
    IF FOUND THEN
        IF (SELECT count(DISTINCT r.emoji) > 20 OR count(*) FILTER (WHERE r.account_id = me) > 5
            FROM message_reaction AS r WHERE r.chat_id = p_chat AND r.seq = m.seq) THEN
            PERFORM raise_problem('conflict', 'A message has 20 different reactions at most, and 5 of one user.');
        END IF;
        m.reactions := reactions_json(p_chat, m.seq);
        m.doc := message_render(m);
        UPDATE message AS x SET reactions = m.reactions, doc = m.doc WHERE x.chat_id = p_chat AND x.seq = m.seq;
        UPDATE chat SET changes = changes + 1 WHERE id = p_chat;
        events := feed_spread(message_readers(p_chat, m.seq), 'message:reaction',
                              concat('{"id":"', p_message, '","chatId":"', p_chat, '","seq":', m.seq, ',"userId":"', me,
                                     '","emoji":', to_json(p_emoji), ',"on":', p_on::text,
                                     ',"reactions":', coalesce(m.reactions, '[]'), '}'));
    END IF;
    body := m.doc;
END $$;

-- ---- offers ----

-- The member `offer` of a message.
CREATE OR REPLACE FUNCTION offer_extra(o chat_offer, p_title text, p_list bigint, p_stock int) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat(',"offer":{"productId":"', o.product_id, '","buyerId":"', o.buyer_id, '","title":', to_json(p_title),
                  ',"price":{"amount":', o.price, ',"currency":"', o.currency,
                  '"},"listPrice":{"amount":', p_list, ',"currency":"', o.currency,
                  '"},"stock":', p_stock, ',"quantity":', o.quantity, ',"status":"', o.status,
                  '","expiresAt":"', plaza.iso(o.expires_at), '"}')
$$;

-- A message that offers a product of the conversation's seller to its buyer, or asks for it, at another price. What it
-- costs and how many there are is kept as it is now.
CREATE OR REPLACE FUNCTION offer_send(p_chat uuid, p_cmid uuid, p_body text, p_product uuid, p_quantity int, p_price bigint,
                                      p_currency text, p_hours int, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    o       chat_offer;
    p       product;
    v_stock int;
    sent    record;
BEGIN
    PERFORM chat_enter(p_chat);
    SELECT x.* INTO p
    FROM product AS x
    JOIN chat AS c ON c.id = p_chat AND c.kind = 'private' AND c.seller_id = x.seller_id
    WHERE x.id = p_product AND x.status = 'active' AND x.deleted_at IS NULL;
    IF NOT FOUND THEN
        PERFORM raise_problem('invalid', 'The seller of this conversation has no such product.');
    ELSIF p.currency <> p_currency THEN
        PERFORM raise_problem('invalid', 'The product is sold in ' || p.currency || '.');
    END IF;
    SELECT s.quantity INTO v_stock FROM stock AS s WHERE s.product_id = p_product;
    o.product_id := p_product;
    o.price := p_price;
    o.currency := p_currency;
    o.quantity := p_quantity;
    o.status := 'open';
    o.expires_at := date_trunc('second', now()) + make_interval(hours => p_hours);
    SELECT c.buyer_id INTO o.buyer_id FROM chat AS c WHERE c.id = p_chat;
    sent := message_post(p_chat, p_cmid, 'offer', p_body, NULL, NULL, p_product,
                         offer_extra(o, p.title, p.price, coalesce(v_stock, 0)));
    o.id := message_id(p_chat, sent.seq)::uuid;
    INSERT INTO chat_offer (id, chat_id, seq, product_id, buyer_id, price, currency, quantity, expires_at)
    VALUES (o.id, p_chat, sent.seq, p_product, o.buyer_id, p_price, p_currency, p_quantity, o.expires_at);
    body := sent.body;
    events := sent.events;
END $$;

-- Puts what was agreed into the buyer's cart, which is made if there is none. The product must still be there, and enough
-- of it; units are taken only by the order.
CREATE OR REPLACE FUNCTION offer_to_cart(o chat_offer) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_cart    uuid;
    v_version int;
BEGIN
    IF NOT EXISTS (SELECT FROM product AS p
                   WHERE p.id = o.product_id AND p.status = 'active' AND p.deleted_at IS NULL AND p.currency = o.currency) THEN
        PERFORM raise_problem('conflict', 'The product is not on sale any more.');
    ELSIF NOT EXISTS (SELECT FROM stock AS s WHERE s.product_id = o.product_id AND s.quantity >= o.quantity) THEN
        PERFORM raise_problem('out-of-stock', 'product ' || o.product_id);
    END IF;
    UPDATE cart AS c SET status = 'expired', updated_at = now()
    WHERE c.account_id = o.buyer_id AND c.status = 'open' AND c.expires_at <= now();
    INSERT INTO cart AS c (id, account_id) VALUES (uuid_v7(), o.buyer_id)
    ON CONFLICT (account_id) WHERE status = 'open'
    DO UPDATE SET version = c.version + 1, updated_at = now(), expires_at = EXCLUDED.expires_at
    RETURNING c.id, c.version INTO v_cart, v_version;
    INSERT INTO cart_item AS i (cart_id, product_id, quantity, seen_price, offer_id)
    VALUES (v_cart, o.product_id, o.quantity, o.price, o.id)
    ON CONFLICT (cart_id, product_id)
    DO UPDATE SET quantity = EXCLUDED.quantity, seen_price = EXCLUDED.seen_price, offer_id = EXCLUDED.offer_id;
    PERFORM cart_check(v_cart);
    RETURN feed_append(o.buyer_id, 'cart:changed',
                       concat('{"cartId":"', v_cart, '","version":', v_version, ',"productId":"', o.product_id,
                              '","reason":"offer"}'));
END $$;

-- The other side accepts or declines an open offer; who made it withdraws it. An accepted price holds for two days.
CREATE OR REPLACE FUNCTION offer_answer(p_chat uuid, p_message uuid, p_action text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := app_me();
    c      chat;
    o      chat_offer;
    m      message;
    v_cart text := '';
BEGIN
    SELECT * INTO c FROM chat WHERE id = p_chat FOR NO KEY UPDATE;
    PERFORM chat_enter(p_chat);
    SELECT * INTO o FROM chat_offer WHERE id = p_message AND chat_id = p_chat FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    SELECT * INTO m FROM message WHERE chat_id = p_chat AND seq = o.seq;
    IF other_side(c, me, m.sender_id) = (p_action = 'withdraw') THEN
        PERFORM raise_problem('forbidden');
    ELSIF o.status <> 'open' OR o.expires_at <= now() THEN
        PERFORM raise_problem('offer-closed');
    ELSIF c.blocked AND p_action = 'accept' THEN
        PERFORM raise_problem('blocked');
    END IF;
    o.status := CASE p_action WHEN 'accept' THEN 'accepted' WHEN 'decline' THEN 'declined' ELSE 'withdrawn' END;
    IF p_action = 'accept' THEN
        o.expires_at := date_trunc('second', now()) + interval '2 days';
    END IF;
    UPDATE chat_offer AS x SET status = o.status, expires_at = o.expires_at WHERE x.id = o.id;
    m.extra := regexp_replace(m.extra, '"status":"open","expiresAt":"[^"]*"\}$',
                              '"status":"' || o.status || '","expiresAt":"' || iso(o.expires_at) || '"}');
    m.doc := message_render(m);
    UPDATE message AS x SET extra = m.extra, doc = m.doc WHERE x.chat_id = p_chat AND x.seq = m.seq;
    UPDATE chat SET changes = changes + 1 WHERE id = p_chat;
    IF p_action = 'accept' THEN
        PERFORM FROM cart AS k WHERE k.account_id = o.buyer_id AND k.status = 'open' FOR NO KEY UPDATE;
        PERFORM feed_lock(chat_others(p_chat, NULL));
        v_cart := offer_to_cart(o);
    END IF;
    events := concat(feed_spread(message_readers(p_chat, m.seq), 'message:offer', m.doc, p_chat, m.seq), v_cart);
    body := m.doc;
END $$;

-- ---- searching ----

-- A text as it is searched for: without accents and case, and without what LIKE would take for more than a letter.
CREATE OR REPLACE FUNCTION message_words(p_text text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT lower(plaza.unaccent(p_text))
$$;

-- Messages of the caller's conversations that have these letters somewhere, newest first.
CREATE OR REPLACE FUNCTION message_search(p_text text, p_chat uuid, p_at timestamptz, p_id uuid, p_limit int)
RETURNS TABLE (body text, k1 text, k2 text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    pattern text := '%' || regexp_replace(message_words(p_text), '([\\%_])', '\\\1', 'g') || '%';
BEGIN
    RETURN QUERY
    SELECT m.doc, t.created_at::text, message_id(t.chat_id, t.seq)
    FROM message_text AS t
    JOIN chat_member AS me ON me.chat_id = t.chat_id AND me.account_id = app_uid() AND t.seq > me.from_seq
    JOIN message AS m ON m.chat_id = t.chat_id AND m.seq = t.seq
    WHERE t.words LIKE pattern
      AND (p_chat IS NULL OR t.chat_id = p_chat)
      AND (p_at IS NULL OR (t.created_at, message_id(t.chat_id, t.seq)) < (p_at, p_id::text))
    ORDER BY t.created_at DESC, message_id(t.chat_id, t.seq) DESC
    LIMIT p_limit + 1;
END $$;

-- Job: takes the next messages into message_text. One that commits late is found by looking back: each time as long as
-- most take, and two minutes whenever another minute has begun. To look at two minutes each time would cost more than
-- sending does, and so would another look before its time: there is more only where the window or the piece was full.
CREATE OR REPLACE FUNCTION job_index_messages() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    piece  CONSTANT int := 5000;
    v_from timestamptz;
    v_to   timestamptz;
    v_back interval := interval '5 seconds';
    waits  bigint; -- messages in the window
    done   bigint;
BEGIN
    SELECT s.upto INTO v_from FROM message_text_stand AS s FOR UPDATE;
    -- A window with about as many messages as one piece should have.
    SELECT coalesce(max(w.created_at), v_from), count(*) INTO v_to, waits
    FROM (SELECT m.created_at FROM message AS m WHERE m.created_at > v_from ORDER BY m.created_at LIMIT piece) AS w;
    IF date_trunc('minute', v_to) > date_trunc('minute', v_from) THEN
        v_back := interval '2 minutes';
    END IF;
    INSERT INTO message_text (chat_id, seq, created_at, words)
    SELECT m.chat_id, m.seq, m.created_at, message_words(m.body)
    FROM message AS m
    WHERE m.created_at BETWEEN v_from - v_back AND v_to
      AND m.deleted_at IS NULL AND m.body <> ''
      AND NOT EXISTS (SELECT FROM message_text AS t WHERE t.chat_id = m.chat_id AND t.seq = m.seq)
    LIMIT piece
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS done = ROW_COUNT;
    -- A full piece may have left some of this time.
    UPDATE message_text_stand SET upto = v_to WHERE upto <> v_to AND done < piece;
    RETURN CASE WHEN piece IN (waits, done) THEN greatest(done, 1) ELSE 0 END;
END $$;

GRANT EXECUTE ON FUNCTION message_react(uuid, uuid, text, boolean),
    offer_send(uuid, uuid, text, uuid, int, bigint, text, int), offer_answer(uuid, uuid, text),
    message_search(text, uuid, timestamptz, uuid, int) TO plaza_web;
GRANT EXECUTE ON FUNCTION job_index_messages() TO plaza_relay;
