-- Opening conversations, what each member makes of them; blocks.

-- Who stands behind the id of a seller: a shop's owner, or the account itself.
CREATE OR REPLACE FUNCTION seller_account(p_id uuid) RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN coalesce((SELECT s.owner_id FROM shop AS s WHERE s.id = p_id AND s.deleted_at IS NULL), p_id);
END $$;

-- Blocks and conversations of two users change one after the other.
CREATE OR REPLACE FUNCTION pair_lock(p_one uuid, p_other uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('pair ' || least(p_one, p_other) || greatest(p_one, p_other), 0));
END $$;

-- The problem 'not-found' unless there is such a user, 'blocked' when one of the two blocked the other.
CREATE OR REPLACE FUNCTION peer_check(p_peer uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF p_peer IS NULL OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_peer AND a.status = 'active') THEN
        PERFORM raise_problem('not-found', 'There is no such user.');
    ELSIF p_peer = app_uid() THEN
        PERFORM raise_problem('invalid', 'A conversation needs somebody else.');
    ELSIF blocked_between(app_uid(), p_peer) THEN
        PERFORM raise_problem('blocked');
    END IF;
END $$;

-- Tells some accounts that they have to read a conversation again.
CREATE OR REPLACE FUNCTION chat_changed(p_chat uuid, p_accounts uuid[]) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN feed_spread(p_accounts, 'chat:changed', '{"chatId":"' || p_chat || '"}');
END $$;

-- The conversation of the caller with somebody, about a product or about none; made if it is not there. Whoever has
-- not opened it finds it in the list when it has a message.
CREATE OR REPLACE FUNCTION chat_open(p_peer uuid, p_seller uuid, p_product uuid,
                                     OUT body text, OUT created boolean, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := app_me();
    other  uuid := coalesce(p_peer, seller_account(p_seller));
    seller uuid;
    v_chat uuid;
BEGIN
    IF p_product IS NOT NULL THEN
        -- What is not on sale is not there for strangers; its title would stand in the answer.
        SELECT p.seller_id INTO seller
        FROM product AS p
        WHERE p.id = p_product AND p.deleted_at IS NULL
          AND (p.status = 'active' OR p.seller_id = me
               OR EXISTS (SELECT FROM chat AS c WHERE c.product_id = p.id AND me IN (c.buyer_id, c.seller_id)));
        IF NOT FOUND THEN
            PERFORM raise_problem('not-found', 'There is no such product.');
        END IF;
        other := coalesce(other, seller);
        IF seller NOT IN (me, other) THEN
            PERFORM raise_problem('invalid', 'The product belongs to another seller.');
        END IF;
    END IF;
    PERFORM pair_lock(me, other);
    SELECT c.id INTO v_chat
    FROM chat AS c
    WHERE least(c.buyer_id, c.seller_id) = least(me, other)
      AND greatest(c.buyer_id, c.seller_id) = greatest(me, other)
      AND c.product_id IS NOT DISTINCT FROM p_product
      AND c.kind = 'private';
    created := NOT FOUND;
    events := '';
    IF created THEN
        PERFORM peer_check(other);
        INSERT INTO chat (id, kind, buyer_id, seller_id, product_id)
        VALUES (uuid_v7(), 'private', CASE WHEN seller = me THEN other ELSE me END,
                CASE WHEN seller = me THEN me ELSE other END, p_product)
        RETURNING id INTO v_chat;
        INSERT INTO chat_member (chat_id, account_id, hidden_seq) VALUES (v_chat, me, -1), (v_chat, other, 0);
        PERFORM chat_staff(v_chat);
        events := chat_changed(v_chat, chat_others(v_chat, NULL));
    ELSE
        UPDATE chat_member AS m SET hidden_seq = -1
        WHERE m.chat_id = v_chat AND m.account_id = me AND m.hidden_seq <> -1;
        IF FOUND THEN
            events := chat_changed(v_chat, ARRAY[me]);
        END IF;
    END IF;
    SELECT v.body INTO body FROM my_chat AS v WHERE v.id = v_chat;
END $$;

-- The staff of the seller's shop joins a new conversation. The lock lets nobody join the staff meanwhile.
CREATE OR REPLACE FUNCTION chat_staff(p_chat uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_shop uuid;
BEGIN
    SELECT s.id INTO v_shop
    FROM chat AS c
    JOIN shop AS s ON s.owner_id = c.seller_id AND s.deleted_at IS NULL
    WHERE c.id = p_chat
    FOR SHARE OF s;
    INSERT INTO chat_member (chat_id, account_id, hidden_seq)
    SELECT p_chat, w.account_id, 0
    FROM shop_member AS w
    WHERE w.shop_id = v_shop AND w.accepted_at IS NOT NULL
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        UPDATE chat SET simple = false WHERE id = p_chat;
    END IF;
END $$;

-- What a member makes of a conversation; NULL keeps a value. Hiding lasts until the next message.
CREATE OR REPLACE FUNCTION chat_flag(p_chat uuid, p_muted boolean, p_archived boolean, p_hidden boolean,
                                     OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    UPDATE chat_member AS m
    SET muted = coalesce(p_muted, m.muted),
        archived = coalesce(p_archived, m.archived),
        hidden_seq = CASE WHEN p_hidden THEN c.last_seq ELSE m.hidden_seq END
    FROM chat AS c
    WHERE c.id = m.chat_id AND m.chat_id = p_chat AND m.account_id = app_uid();
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    events := chat_changed(p_chat, ARRAY[app_uid()]);
    SELECT v.body INTO body FROM my_chat AS v WHERE v.id = p_chat;
END $$;

-- Who should see that the caller types: nobody across a block, and none of those who keep their own typing to themselves.
CREATE OR REPLACE FUNCTION typing_peers(p_chat uuid) RETURNS TABLE (id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM chat_enter(p_chat);
    RETURN QUERY
    SELECT m.account_id
    FROM chat AS c
    JOIN chat_member AS m ON m.chat_id = c.id
    JOIN account AS a ON a.id = m.account_id AND a.share_typing
    WHERE c.id = p_chat AND NOT c.blocked AND m.account_id <> app_uid()
      AND (SELECT me.share_typing FROM account AS me WHERE me.id = app_uid())
      AND (c.simple OR NOT blocked_between(m.account_id, app_uid()));
END $$;

-- Whether a user may read a file because a conversation of theirs shows it.
CREATE OR REPLACE FUNCTION file_in_chat_of(p_file uuid, p_user uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT EXISTS (SELECT FROM message_file AS f
                   JOIN chat_member AS m ON m.chat_id = f.chat_id
                   WHERE f.file_id = p_file AND m.account_id = p_user AND f.seq > m.from_seq)
$$;

-- ---- blocks ----

-- The peer is not told; both find out when they send.
CREATE OR REPLACE FUNCTION user_block(p_user uuid, p_on boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    PERFORM pair_lock(me, p_user);
    IF p_user = me OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_user AND a.deleted_at IS NULL) THEN
        PERFORM raise_problem('not-found');
    ELSIF p_on THEN
        INSERT INTO block (blocker_id, blocked_id) VALUES (me, p_user) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM block WHERE blocker_id = me AND blocked_id = p_user;
    END IF;
    IF NOT FOUND THEN
        RETURN '';
    END IF;
    PERFORM FROM chat AS c
    WHERE least(c.buyer_id, c.seller_id) = least(me, p_user)
      AND greatest(c.buyer_id, c.seller_id) = greatest(me, p_user)
      AND c.kind = 'private'
    ORDER BY c.id FOR NO KEY UPDATE;
    UPDATE chat AS c
    SET blocked = blocked_between(me, p_user)
    WHERE least(c.buyer_id, c.seller_id) = least(me, p_user)
      AND greatest(c.buyer_id, c.seller_id) = greatest(me, p_user)
      AND c.kind = 'private';
    RETURN feed_append(me, 'user:block', '{"userId":"' || p_user || '","on":' || p_on || '}');
END $$;

-- A message with the ten before and the ten after it, as they are now.
CREATE OR REPLACE FUNCTION chat_excerpt(p_chat uuid, p_seq bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT '[' || coalesce(string_agg(m.doc, ',' ORDER BY m.seq), '') || ']'
    FROM message AS m
    WHERE m.chat_id = p_chat AND m.seq BETWEEN p_seq - 10 AND p_seq + 10
$$;

GRANT EXECUTE ON FUNCTION chat_open(uuid, uuid, uuid), chat_flag(uuid, boolean, boolean, boolean), typing_peers(uuid),
    user_block(uuid, boolean) TO plaza_web;
