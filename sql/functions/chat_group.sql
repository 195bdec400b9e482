-- Groups, and the staff of a shop. Members are locked by their conversation: whoever changes them holds chat.

-- ---- groups ----

-- What a member of a group may do there; the conversation is locked. 'not-found' for others, 'forbidden' for those below
-- the role that is needed.
CREATE OR REPLACE FUNCTION group_enter(p_chat uuid, p_needed text) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_role text;
BEGIN
    PERFORM FROM chat AS c WHERE c.id = p_chat AND c.kind = 'group' FOR NO KEY UPDATE;
    IF FOUND THEN
        SELECT m.role INTO v_role FROM chat_member AS m WHERE m.chat_id = p_chat AND m.account_id = app_uid();
    END IF;
    IF v_role IS NULL THEN
        PERFORM raise_problem('not-found');
    ELSIF p_needed = 'owner' AND v_role <> 'owner' OR p_needed = 'admin' AND v_role = 'member' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    RETURN v_role;
END $$;

-- Users who may be taken into a group by the caller: active ones who have a conversation with the caller, without a block
-- between them. Strangers cannot be pulled into a group.
CREATE OR REPLACE FUNCTION group_put(p_chat uuid, p_members uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(p_members) AS u (id)
               WHERE u.id <> app_uid() AND NOT EXISTS (SELECT FROM my_friend AS f WHERE f.id = u.id)) THEN
        PERFORM raise_problem('invalid', 'Somebody is no contact of yours.');
    END IF;
    INSERT INTO chat_member (chat_id, account_id, role, read_seq, recv_seq, shown_seq, seen, from_seq)
    SELECT c.id, u.id, 'member', c.last_seq, c.last_seq, c.last_seq, c.last_seq, c.last_seq
    FROM chat AS c
    CROSS JOIN (SELECT DISTINCT w.id FROM unnest(p_members) AS w (id)) AS u
    WHERE c.id = p_chat
    ON CONFLICT DO NOTHING;
    IF (SELECT count(*) FROM chat_member AS m WHERE m.chat_id = p_chat) > 200 THEN
        PERFORM raise_problem('conflict', 'A group has 200 members at most.');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION group_open(p_title text, p_members uuid[], OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := app_me();
    v_chat uuid := uuid_v7();
BEGIN
    INSERT INTO chat (id, kind, title, simple) VALUES (v_chat, 'group', p_title, false);
    PERFORM group_put(v_chat, p_members || me);
    UPDATE chat_member SET role = 'owner' WHERE chat_id = v_chat AND account_id = me;
    events := chat_changed(v_chat, chat_others(v_chat, NULL));
    SELECT v.body INTO body FROM my_chat AS v WHERE v.id = v_chat;
END $$;

CREATE OR REPLACE FUNCTION group_add(p_chat uuid, p_members uuid[]) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM group_enter(p_chat, 'admin');
    PERFORM group_put(p_chat, p_members);
    RETURN chat_changed(p_chat, chat_others(p_chat, NULL));
END $$;

CREATE OR REPLACE FUNCTION group_title(p_chat uuid, p_title text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM group_enter(p_chat, 'admin');
    UPDATE chat SET title = p_title WHERE id = p_chat;
    events := chat_changed(p_chat, chat_others(p_chat, NULL));
    SELECT v.body INTO body FROM my_chat AS v WHERE v.id = p_chat;
END $$;

-- The owner names administrators, and hands over the group by naming another owner.
CREATE OR REPLACE FUNCTION group_role(p_chat uuid, p_user uuid, p_role text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM group_enter(p_chat, 'owner');
    IF p_user = app_uid() THEN
        PERFORM raise_problem('conflict', 'Name another owner, or leave.');
    END IF;
    UPDATE chat_member SET role = p_role WHERE chat_id = p_chat AND account_id = p_user;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_role = 'owner' THEN
        UPDATE chat_member SET role = 'admin' WHERE chat_id = p_chat AND account_id = app_uid();
    END IF;
    RETURN chat_changed(p_chat, chat_others(p_chat, NULL));
END $$;

-- Ends a membership. What the feed still has of these conversations becomes a hint to look, which then finds nothing.
CREATE OR REPLACE FUNCTION member_drop(p_chats uuid[], p_user uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    DELETE FROM chat_member WHERE chat_id = ANY (p_chats) AND account_id = p_user;
    UPDATE feed AS f SET type = 'chat:changed', data = '{"chatId":"' || f.chat_id || '"}', chat_id = NULL, seq = NULL
    WHERE f.account_id = p_user AND f.chat_id = ANY (p_chats);
END $$;

-- Leaving, or being removed by an administrator. A group whose owner leaves passes to its oldest administrator, or else
-- to its oldest member.
CREATE OR REPLACE FUNCTION group_remove(p_chat uuid, p_user uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    mine  text := group_enter(p_chat, CASE p_user WHEN app_uid() THEN 'member' ELSE 'admin' END);
    gone  text;
    told  uuid[] := chat_others(p_chat, NULL);
BEGIN
    SELECT m.role INTO gone FROM chat_member AS m WHERE m.chat_id = p_chat AND m.account_id = p_user;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_user <> app_uid() AND (gone = 'owner' OR gone = 'admin' AND mine <> 'owner') THEN
        PERFORM raise_problem('forbidden');
    END IF;
    PERFORM member_drop(ARRAY[p_chat], p_user);
    IF gone = 'owner' THEN
        UPDATE chat_member AS m SET role = 'owner'
        WHERE m.chat_id = p_chat
          AND m.account_id = (SELECT h.account_id FROM chat_member AS h
                              WHERE h.chat_id = p_chat
                              ORDER BY h.role, h.joined_at, h.account_id
                              LIMIT 1);
    END IF;
    RETURN chat_changed(p_chat, told);
END $$;

-- ---- the staff of a shop: one inbox for all of them ----

-- The shop if it is the caller's own; else 'not-found'.
CREATE OR REPLACE FUNCTION shop_own(p_shop uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM FROM shop AS s WHERE s.id = p_shop AND s.owner_id = app_uid() AND s.deleted_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION shop_member_json(w shop_member) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"id":"', a.id, '","name":', to_json(a.name), ',"status":"',
                  CASE WHEN w.accepted_at IS NULL THEN 'invited' ELSE 'member' END,
                  '","invitedAt":"', plaza.iso(w.invited_at), '"}')
    FROM plaza.account AS a
    WHERE a.id = w.account_id
$$;

-- The owner sees the staff, those of the staff see each other, and who is invited sees the invitation.
CREATE OR REPLACE FUNCTION shop_staff(p_shop uuid) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    mine shop_member;
BEGIN
    SELECT * INTO mine FROM shop_member AS w WHERE w.shop_id = p_shop AND w.account_id = app_uid();
    IF NOT FOUND AND NOT EXISTS (SELECT FROM shop AS s
                                 WHERE s.id = p_shop AND s.owner_id = app_uid() AND s.deleted_at IS NULL) THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN QUERY
    SELECT shop_member_json(w)
    FROM shop_member AS w
    WHERE w.shop_id = p_shop AND (mine IS NULL OR mine.accepted_at IS NOT NULL OR w.account_id = app_uid())
    ORDER BY w.invited_at, w.account_id;
END $$;

CREATE OR REPLACE FUNCTION shop_invite(p_shop uuid, p_user uuid, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    w shop_member;
BEGIN
    PERFORM shop_own(p_shop);
    IF p_user = app_uid() OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_user AND a.status = 'active')
       OR blocked_between(app_uid(), p_user) THEN
        PERFORM raise_problem('not-found', 'There is no such user.');
    ELSIF (SELECT count(*) FROM shop_member AS o WHERE o.shop_id = p_shop) >= 50 THEN
        PERFORM raise_problem('conflict', 'A shop has 50 people at most.');
    END IF;
    INSERT INTO shop_member (shop_id, account_id) VALUES (p_shop, p_user) ON CONFLICT DO NOTHING;
    events := '';
    IF FOUND THEN
        SELECT notify(a.id, 'shop.invitation', CASE a.locale WHEN 'es' THEN 'Invitación a una tienda' ELSE 'Invitation to a shop' END,
                      s.name, '/sellers/' || s.id || '/members', 'normal')
        INTO events
        FROM account AS a
        CROSS JOIN shop AS s
        WHERE a.id = p_user AND s.id = p_shop;
    END IF;
    SELECT * INTO w FROM shop_member AS o WHERE o.shop_id = p_shop AND o.account_id = p_user;
    body := shop_member_json(w);
END $$;

-- The caller takes the invitation, and joins all conversations of the shop as they stand for its owner.
CREATE OR REPLACE FUNCTION shop_accept(p_shop uuid, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me      uuid := app_me();
    v_owner uuid;
    w       shop_member;
    chats   uuid[];
BEGIN
    SELECT s.owner_id INTO v_owner FROM shop AS s WHERE s.id = p_shop AND s.deleted_at IS NULL FOR UPDATE;
    UPDATE shop_member AS o SET accepted_at = coalesce(o.accepted_at, now())
    WHERE o.shop_id = p_shop AND o.account_id = me AND v_owner IS NOT NULL
    RETURNING o.* INTO w;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    chats := ARRAY(SELECT c.id FROM chat_member AS m
                   JOIN chat AS c ON c.id = m.chat_id AND c.kind = 'private' AND c.seller_id = v_owner
                   WHERE m.account_id = v_owner
                   ORDER BY c.id
                   FOR NO KEY UPDATE OF c);
    INSERT INTO chat_member (chat_id, account_id, read_seq, recv_seq, shown_seq, seen, hidden_seq)
    SELECT o.chat_id, me, o.read_seq, o.recv_seq, o.shown_seq, o.seen, o.hidden_seq
    FROM chat_member AS o
    WHERE o.chat_id = ANY (chats) AND o.account_id = v_owner
    ON CONFLICT DO NOTHING;
    UPDATE chat SET simple = false WHERE id = ANY (chats) AND simple;
    SELECT coalesce(string_agg(feed_append(me, 'chat:changed', '{"chatId":"' || u.id || '"}'), ''), '') INTO events
    FROM unnest(chats) AS u (id);
    body := shop_member_json(w);
END $$;

-- The owner ends it, or the one who was invited.
CREATE OR REPLACE FUNCTION shop_leave(p_shop uuid, p_user uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_owner uuid;
    chats   uuid[];
BEGIN
    SELECT s.owner_id INTO v_owner FROM shop AS s WHERE s.id = p_shop AND s.deleted_at IS NULL FOR UPDATE;
    DELETE FROM shop_member AS w
    WHERE w.shop_id = p_shop AND w.account_id = p_user AND app_uid() IN (p_user, v_owner);
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    chats := ARRAY(SELECT c.id FROM chat_member AS m
                   JOIN chat AS c ON c.id = m.chat_id AND c.kind = 'private' AND c.seller_id = v_owner AND c.buyer_id <> p_user
                   WHERE m.account_id = p_user
                   ORDER BY c.id
                   FOR NO KEY UPDATE OF c);
    PERFORM member_drop(chats, p_user);
    UPDATE chat AS c
    SET simple = NOT EXISTS (SELECT FROM shop_member AS w WHERE w.shop_id = p_shop AND w.accepted_at IS NOT NULL)
    WHERE c.id = ANY (chats);
    RETURN (SELECT coalesce(string_agg(feed_append(p_user, 'chat:changed', '{"chatId":"' || u.id || '"}'), ''), '')
            FROM unnest(chats) AS u (id));
END $$;

-- ---- everybody ----

-- The members of a conversation of the caller.
CREATE OR REPLACE FUNCTION chat_people(p_chat uuid) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM chat_enter(p_chat);
    RETURN QUERY
    SELECT concat('{"id":"', a.id, '","name":', to_json(a.name), ',"avatarUrl":', coalesce(to_json(a.avatar_url)::text, 'null'),
                  ',"role":"', coalesce(m.role, CASE a.id WHEN c.buyer_id THEN 'buyer' WHEN c.seller_id THEN 'seller' ELSE 'staff' END),
                  '","readSeq":', m.shown_seq, ',"receivedSeq":', m.recv_seq, ',"joinedAt":"', iso(m.joined_at), '"}')
    FROM chat AS c
    JOIN chat_member AS m ON m.chat_id = c.id
    JOIN account AS a ON a.id = m.account_id
    WHERE c.id = p_chat
    ORDER BY m.joined_at, a.id;
END $$;

-- ---- canned replies ----

-- The shop the caller answers for.
CREATE OR REPLACE FUNCTION shop_mine() RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_shop uuid;
BEGIN
    SELECT s.id INTO v_shop
    FROM shop AS s
    LEFT JOIN shop_member AS w ON w.shop_id = s.id AND w.account_id = app_uid() AND w.accepted_at IS NOT NULL
    WHERE s.deleted_at IS NULL AND (s.owner_id = app_uid() OR w.account_id IS NOT NULL)
    ORDER BY s.owner_id = app_uid() DESC, w.accepted_at, s.id
    LIMIT 1;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found', 'You answer for no shop.');
    END IF;
    RETURN v_shop;
END $$;

CREATE OR REPLACE FUNCTION canned_json(r canned_reply) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"id":"', r.id, '","title":', to_json(r.title), ',"body":', to_json(r.body), ',"version":', r.version,
                  ',"updatedAt":"', plaza.iso(r.updated_at), '"}')
$$;

CREATE OR REPLACE FUNCTION canned_list() RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_shop uuid := shop_mine();
BEGIN
    RETURN QUERY SELECT canned_json(r) FROM canned_reply AS r WHERE r.shop_id = v_shop ORDER BY r.title;
END $$;

CREATE OR REPLACE FUNCTION canned_make(p_title text, p_body text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r      canned_reply;
    v_shop uuid := shop_mine();
BEGIN
    PERFORM FROM shop AS s WHERE s.id = v_shop FOR NO KEY UPDATE;
    IF (SELECT count(*) FROM canned_reply AS o WHERE o.shop_id = v_shop) >= 100 THEN
        PERFORM raise_problem('conflict', 'A shop has 100 canned replies at most.');
    END IF;
    INSERT INTO canned_reply (id, shop_id, title, body) VALUES (uuid_v7(), v_shop, p_title, p_body) RETURNING * INTO r;
    RETURN canned_json(r);
END $$;

CREATE OR REPLACE FUNCTION canned_change(p_id uuid, p_title text, p_body text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r      canned_reply;
    v_shop uuid := shop_mine();
BEGIN
    UPDATE canned_reply AS o
    SET title = p_title, body = p_body, version = o.version + 1, updated_at = now()
    WHERE o.id = p_id AND o.shop_id = v_shop
    RETURNING o.* INTO r;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN canned_json(r);
END $$;

CREATE OR REPLACE FUNCTION canned_remove(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_shop uuid := shop_mine();
BEGIN
    DELETE FROM canned_reply AS o WHERE o.id = p_id AND o.shop_id = v_shop;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

-- The text with its variables filled in for a conversation: {buyer}, {shop}, {me}, {product}, {price}, {order}. One that
-- has no value there stays as it is, so that nobody sends a hole. A value is never searched for variables.
CREATE OR REPLACE FUNCTION canned_fill(p_id uuid, p_chat uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_shop uuid := shop_mine();
    v_text text := (SELECT r.body FROM canned_reply AS r WHERE r.id = p_id AND r.shop_id = v_shop);
    known  jsonb;
    filled text := '';
    part   text[];
BEGIN
    PERFORM chat_enter(p_chat);
    IF v_text IS NULL THEN
        PERFORM raise_problem('not-found');
    END IF;
    SELECT jsonb_build_object('buyer', b.name, 'shop', s.name, 'me', me.name, 'product', p.title,
               'price', to_char(p.price / 100.0, 'FM999999999990.00') || ' ' || p.currency,
               'order', (SELECT max(o.number)::text FROM orders AS o WHERE o.buyer_id = c.buyer_id AND o.shop_id = s.id))
    INTO known
    FROM chat AS c
    JOIN account AS b ON b.id = c.buyer_id
    JOIN account AS me ON me.id = app_uid()
    JOIN shop AS s ON s.id = v_shop AND s.owner_id = c.seller_id
    LEFT JOIN product AS p ON p.id = c.product_id
    WHERE c.id = p_chat AND c.kind = 'private';
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found', 'It is no conversation of the shop.');
    END IF;
    FOR part IN SELECT regexp_matches(v_text, '([^{]*)(\{[a-z]+\}|\{)?', 'g') LOOP
        filled := concat(filled, part[1], coalesce(known ->> trim(BOTH '{}' FROM part[2]), part[2]));
    END LOOP;
    RETURN '{"body":' || to_json(filled) || '}';
END $$;

-- ---- what a user shares ----

CREATE OR REPLACE FUNCTION sharing_json(a account) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"readReceipts":', a.share_read::text, ',"typing":', a.share_typing::text, ',"presence":', a.share_presence::text, '}')
$$;

-- NULL keeps a value.
CREATE OR REPLACE FUNCTION sharing_set(p_read boolean, p_typing boolean, p_presence boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    a  account;
BEGIN
    UPDATE account AS x
    SET share_read = coalesce(p_read, x.share_read), share_typing = coalesce(p_typing, x.share_typing),
        share_presence = coalesce(p_presence, x.share_presence)
    WHERE x.id = me
    RETURNING x.* INTO a;
    RETURN sharing_json(a);
END $$;

GRANT EXECUTE ON FUNCTION group_open(text, uuid[]), group_add(uuid, uuid[]), group_title(uuid, text),
    group_role(uuid, uuid, text), group_remove(uuid, uuid), shop_staff(uuid), shop_invite(uuid, uuid), shop_accept(uuid),
    shop_leave(uuid, uuid), chat_people(uuid), canned_list(), canned_make(text, text), canned_change(uuid, text, text),
    canned_remove(uuid), canned_fill(uuid, uuid), sharing_json(account), sharing_set(boolean, boolean, boolean)
    TO plaza_web;
