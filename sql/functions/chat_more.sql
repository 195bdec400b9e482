-- Conversations beyond sending: opening, receipts, edits, hiding; blocks, reports, notifications, the feed.

-- A line for the fast path and, behind it, the same on the way to the outbox: topic US envelope RS.
CREATE OR REPLACE FUNCTION feed_line(p_user uuid, p_type text, p_us bigint, p_epoch text, p_ts text, p_data text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 'u/' || p_user || E'/in\x1f{"v":1,"t":"' || p_type || '","id":"' || p_epoch || '-' || p_us
        || '","ep":"' || p_epoch || '","us":' || p_us || ',"ts":"' || p_ts || '","d":' || p_data || E'}\x1e'
$$;

-- A group's message in every member's feed.
CREATE OR REPLACE FUNCTION message_fan_out(p_chat uuid, p_seq bigint, p_me uuid, p_doc text, p_own text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    member uuid;
    events text := '';
BEGIN
    FOR member IN SELECT m.account_id FROM chat_member AS m WHERE m.chat_id = p_chat ORDER BY m.account_id LOOP
        events := events || CASE WHEN member = p_me
            THEN feed_append(member, 'message:sent', p_own, p_chat, p_seq)
            ELSE feed_append(member, 'message:receive', p_doc, p_chat, p_seq) END;
    END LOOP;
    RETURN events;
END $$;

-- A send that was done before: the stored message, or 'message-conflict' when it said something else.
CREATE OR REPLACE FUNCTION message_replay(p_chat uuid, p_cmid uuid, p_type text, p_body text, OUT body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    m message;
BEGIN
    SELECT * INTO m FROM message AS x WHERE x.sender_id = app_me() AND x.cmid = p_cmid;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    IF m.chat_id <> p_chat OR m.type <> p_type OR (m.body <> p_body AND m.edit_no = 0 AND m.deleted_at IS NULL) THEN
        PERFORM raise_problem('message-conflict');
    END IF;
    body := message_ref(m.doc, m.cmid);
END $$;

-- The conversation of the caller with a seller or a peer, about a product or about none; made at the first call.
CREATE OR REPLACE FUNCTION chat_open(p_id uuid, p_peer uuid, p_product uuid, OUT id uuid, OUT created boolean, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me   uuid := app_me();
    peer uuid := p_peer;
BEGIN
    events := '';
    IF p_product IS NOT NULL THEN
        SELECT CASE WHEN p.seller_id = me THEN p_peer ELSE p.seller_id END INTO peer
        FROM product AS p
        WHERE p.id = p_product AND p.deleted_at IS NULL;
        IF NOT FOUND THEN
            PERFORM raise_problem('not-found', 'There is no such product.');
        END IF;
    END IF;
    IF peer IS NULL OR peer = me
        OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = peer AND a.status = 'active') THEN
        PERFORM raise_problem('not-found', 'There is nobody to talk to.');
    END IF;
    IF blocked_between(me, peer) THEN
        PERFORM raise_problem('blocked');
    END IF;
    INSERT INTO chat AS c (id, kind, buyer_id, seller_id, product_id)
    VALUES (p_id, 'private', me, peer, p_product)
    ON CONFLICT (least(buyer_id, seller_id), greatest(buyer_id, seller_id), product_id) WHERE kind = 'private'
    DO NOTHING;
    created := FOUND;
    IF NOT created THEN
        SELECT c.id INTO chat_open.id FROM chat AS c
        WHERE c.kind = 'private' AND least(c.buyer_id, c.seller_id) = least(me, peer)
          AND greatest(c.buyer_id, c.seller_id) = greatest(me, peer) AND c.product_id IS NOT DISTINCT FROM p_product;
        RETURN;
    END IF;
    id := p_id;
    INSERT INTO chat_member (chat_id, account_id) VALUES (p_id, me), (p_id, peer);
    events := notify(peer, 'chat.new',
        CASE (SELECT a.locale FROM account AS a WHERE a.id = peer) WHEN 'es' THEN 'Nueva conversación'
             ELSE 'New conversation' END,
        (SELECT a.name FROM account AS a WHERE a.id = me), '/chats/' || p_id, 'normal');
END $$;

CREATE OR REPLACE FUNCTION chat_hide(p_chat uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    UPDATE chat_member AS m SET hidden_seq = c.last_seq
    FROM chat AS c
    WHERE c.id = m.chat_id AND m.chat_id = p_chat AND m.account_id = app_me();
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

-- Receipts only grow; a read message was delivered. The lock of the conversation decides between a receipt and an edit.
-- Only a change is told: to everybody for a reading, so that the reader's other devices clear their badges too.
CREATE OR REPLACE FUNCTION chat_receipt(p_chat uuid, p_seq bigint, p_read boolean, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me   uuid := app_me();
    last bigint;
    upto bigint;
BEGIN
    events := '';
    PERFORM chat_enter(p_chat);
    SELECT c.last_seq INTO last FROM chat AS c WHERE c.id = p_chat FOR UPDATE;
    upto := least(p_seq, last);
    UPDATE chat_member AS m
    SET read_seq = CASE WHEN p_read THEN greatest(m.read_seq, upto) ELSE m.read_seq END,
        recv_seq = greatest(m.recv_seq, upto)
    WHERE m.chat_id = p_chat AND m.account_id = me
      AND CASE WHEN p_read THEN m.read_seq ELSE m.recv_seq END < upto;
    IF FOUND THEN
        events := chat_tell(p_chat, CASE WHEN p_read THEN 'message:read' ELSE 'message:delivered' END,
            '{"chatId":"' || p_chat || '","seq":' || upto || ',"userId":"' || me || '"}',
            NULL, CASE WHEN p_read THEN NULL ELSE me END);
    END IF;
END $$;

-- The message if the caller may still change it: own, there, and unread by everybody else. Holds the conversation's lock.
CREATE OR REPLACE FUNCTION message_lock(p_chat uuid, p_message uuid) RETURNS message
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    m  message;
BEGIN
    PERFORM chat_enter(p_chat);
    PERFORM FROM chat AS c WHERE c.id = p_chat FOR UPDATE;
    SELECT * INTO m FROM message AS x
    WHERE x.chat_id = p_chat AND x.seq = message_seq(p_chat, p_message) AND x.sender_id = me AND x.deleted_at IS NULL;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    IF EXISTS (SELECT FROM chat_member AS o WHERE o.chat_id = p_chat AND o.account_id <> me AND o.read_seq >= m.seq) THEN
        PERFORM raise_problem('already-read');
    END IF;
    INSERT INTO message_edit (chat_id, seq, edit_no, body, doc) VALUES (p_chat, m.seq, m.edit_no, m.body, m.doc);
    UPDATE chat AS c SET changes = c.changes + 1 WHERE c.id = p_chat;
    RETURN m;
END $$;

CREATE OR REPLACE FUNCTION message_change(p_chat uuid, p_message uuid, p_body text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    m message := message_lock(p_chat, p_message);
BEGIN
    body := message_doc(p_chat, m.seq, m.sender_id, m.type, p_body, m.extra, iso(m.created_at),
        ',"editNo":' || m.edit_no + 1 || ',"editedAt":"' || iso(now()) || '"');
    UPDATE message AS x SET body = p_body, edit_no = m.edit_no + 1, doc = message_change.body
    WHERE x.chat_id = p_chat AND x.seq = m.seq;
    events := chat_tell(p_chat, 'message:edit', body, m.seq);
END $$;

-- What is left keeps its place, and nothing else; its files close to the other members in the same transaction.
CREATE OR REPLACE FUNCTION message_remove(p_chat uuid, p_message uuid, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    m message := message_lock(p_chat, p_message);
    d text;
BEGIN
    d := message_doc(p_chat, m.seq, m.sender_id, m.type, '', '', iso(m.created_at),
        ',"deletedAt":"' || iso(now()) || '"');
    UPDATE message AS x SET body = '', extra = '', file_ids = NULL, product_id = NULL, deleted_at = now(), doc = d
    WHERE x.chat_id = p_chat AND x.seq = m.seq;
    DELETE FROM message_file AS f WHERE f.chat_id = p_chat AND f.seq = m.seq;
    events := chat_tell(p_chat, 'message:delete', d, m.seq);
END $$;

-- Who should see that the caller types: nobody across a block.
CREATE OR REPLACE FUNCTION typing_peers(p_chat uuid) RETURNS TABLE (id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM chat_enter(p_chat);
    RETURN QUERY
    SELECT m.account_id FROM chat_member AS m JOIN chat AS c ON c.id = m.chat_id
    WHERE m.chat_id = p_chat AND m.account_id <> app_uid() AND NOT c.blocked;
END $$;

-- True when the caller is in a conversation where this file was sent.
CREATE OR REPLACE FUNCTION file_in_my_chat(p_file uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT EXISTS (SELECT FROM message_file AS f
                   JOIN chat_member AS m ON m.chat_id = f.chat_id
                   WHERE f.file_id = p_file AND m.account_id = app_uid())
$$;

-- ---- blocks and reports ----

CREATE OR REPLACE FUNCTION user_block(p_user uuid, p_on boolean, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    events := '';
    IF p_user = me OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_user AND a.deleted_at IS NULL) THEN
        PERFORM raise_problem('not-found');
    END IF;
    IF p_on THEN
        INSERT INTO block (blocker_id, blocked_id) VALUES (me, p_user) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM block AS b WHERE b.blocker_id = me AND b.blocked_id = p_user;
    END IF;
    PERFORM FROM chat AS c
    WHERE c.kind = 'private' AND least(c.buyer_id, c.seller_id) = least(me, p_user)
      AND greatest(c.buyer_id, c.seller_id) = greatest(me, p_user)
    ORDER BY c.id FOR UPDATE;
    UPDATE chat AS c SET blocked = blocked_between(me, p_user)
    WHERE c.kind = 'private' AND least(c.buyer_id, c.seller_id) = least(me, p_user)
      AND greatest(c.buyer_id, c.seller_id) = greatest(me, p_user);
    events := feed_append(me, 'user:block', '{"userId":"' || p_user || '","on":' || p_on || '}');
END $$;

-- A report keeps what was said around the message as it is now, and a hash of it.
CREATE OR REPLACE FUNCTION user_report(p_id uuid, p_user uuid, p_chat uuid, p_seq bigint, p_reason text, p_note text,
    OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me   uuid := app_me();
    said text := '[]';
BEGIN
    IF p_user = me OR NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_user AND a.deleted_at IS NULL) THEN
        PERFORM raise_problem('not-found');
    END IF;
    IF p_chat IS NOT NULL THEN
        PERFORM chat_enter(p_chat);
        SELECT '[' || coalesce(string_agg(m.doc, ',' ORDER BY m.seq), '') || ']' INTO said
        FROM message AS m
        WHERE m.chat_id = p_chat
          AND m.seq BETWEEN coalesce(p_seq, (SELECT c.last_seq FROM chat AS c WHERE c.id = p_chat)) - 10
                        AND coalesce(p_seq, (SELECT c.last_seq FROM chat AS c WHERE c.id = p_chat)) + 10;
    END IF;
    INSERT INTO report (id, reporter_id, target_id, chat_id, seq, reason, note, snapshot, snapshot_hash)
    VALUES (p_id, me, p_user, p_chat, p_seq, p_reason, p_note, said, sha256(convert_to(said, 'UTF8')));
    body := '{"id":"' || p_id || '","targetId":"' || p_user || '","reason":"' || p_reason || '","status":"open"}';
    events := emit('a/mod', envelope('report:new', '{"reportId":"' || p_id || '","targetId":"' || p_user || '","chatId":'
        || coalesce('"' || p_chat || '"', 'null') || ',"reason":"' || p_reason || '"}'));
END $$;

-- ---- notifications ----

CREATE OR REPLACE FUNCTION notification_json(n notification) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT '{"id":"' || n.id || '","type":"' || n.type || '","title":' || to_json(n.title) || ',"body":' || to_json(n.body)
        || ',"link":' || coalesce(to_json(n.link)::text, 'null') || ',"priority":"' || n.priority
        || '","read":' || (n.read_at IS NOT NULL) || ',"createdAt":"' || iso(n.created_at) || '"}'
$$;

CREATE OR REPLACE FUNCTION unread_count(p_user uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT count(*) FROM notification AS n WHERE n.account_id = p_user AND n.read_at IS NULL
$$;

-- A line for a user, and its event.
CREATE OR REPLACE FUNCTION notify(p_user uuid, p_type text, p_title text, p_body text, p_link text, p_priority text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    n notification;
BEGIN
    INSERT INTO notification (id, account_id, type, title, body, link, priority)
    VALUES (uuid_v7(), p_user, p_type, p_title, p_body, p_link, p_priority)
    RETURNING * INTO n;
    RETURN feed_append(p_user, 'notification:new', '{"id":"' || n.id || '","kind":"' || n.type
        || '","title":' || to_json(n.title) || ',"body":' || to_json(n.body)
        || ',"link":' || coalesce(to_json(n.link)::text, 'null') || ',"priority":"' || n.priority
        || '","unread":' || unread_count(p_user) || '}');
END $$;

-- Marks as read one notification, those up to one, or all; p_delete removes one.
CREATE OR REPLACE FUNCTION notification_clear(p_id uuid, p_upto boolean, p_delete boolean, OUT unread bigint, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    at timestamptz;
BEGIN
    events := '';
    IF p_id IS NOT NULL THEN
        SELECT n.created_at INTO at FROM notification AS n WHERE n.id = p_id AND n.account_id = me;
        IF NOT FOUND THEN
            PERFORM raise_problem('not-found');
        END IF;
    END IF;
    IF p_delete THEN
        DELETE FROM notification AS n WHERE n.id = p_id AND n.account_id = me;
    ELSE
        UPDATE notification AS n SET read_at = now()
        WHERE n.account_id = me AND n.read_at IS NULL
          AND (p_id IS NULL OR n.id = p_id OR (p_upto AND (n.created_at, n.id) <= (at, p_id)));
    END IF;
    unread := unread_count(me);
    IF FOUND THEN
        events := feed_append(me, 'notification:clear', '{"upTo":' || CASE WHEN p_upto OR p_id IS NULL
            THEN coalesce('"' || p_id || '"', 'null') ELSE 'null' END
            || ',"ids":' || CASE WHEN p_id IS NULL OR p_upto THEN 'null' ELSE '["' || p_id || '"]' END
            || ',"unread":' || unread || '}');
    END IF;
END $$;

-- ---- the feed ----

-- Events after `p_since`, as they would have come over MQTT. Another epoch, or a place that retention has removed,
-- means: reload everything and go on from `to`.
CREATE OR REPLACE FUNCTION feed_sync(p_since bigint, p_epoch text, p_limit int, OUT body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    h  feed_head;
    ev text;
    n  bigint;
    last bigint;
BEGIN
    SELECT * INTO h FROM feed_head AS x WHERE x.account_id = me;
    IF (p_epoch IS NOT NULL AND p_epoch <> h.epoch) OR p_since < h.floor_us OR p_since > h.last_us THEN
        body := '{"epoch":"' || h.epoch || '","from":' || h.last_us || ',"to":' || h.last_us
            || ',"more":false,"reset":true,"events":[]}';
        RETURN;
    END IF;
    SELECT string_agg('{"v":1,"t":"' || f.type || '","id":"' || h.epoch || '-' || f.us || '","ep":"' || h.epoch
               || '","us":' || f.us || ',"ts":"' || iso(f.created_at) || '","d":'
               || CASE WHEN f.type = 'message:sent' THEN message_ref(m.doc, m.cmid) ELSE coalesce(f.data, m.doc) END
               || '}', ',' ORDER BY f.us), count(*), max(f.us)
    INTO ev, n, last
    FROM (SELECT * FROM feed AS x WHERE x.account_id = me AND x.us > p_since ORDER BY x.us LIMIT p_limit) AS f
    LEFT JOIN message AS m ON m.chat_id = f.chat_id AND m.seq = f.seq;
    body := '{"epoch":"' || h.epoch || '","from":' || p_since || ',"to":' || coalesce(last, p_since)
        || ',"more":' || (coalesce(last, p_since) < h.last_us) || ',"reset":false,"events":[' || coalesce(ev, '') || ']}';
END $$;

-- What a device needs to connect: the shop of a seller, and where the feed stands.
CREATE OR REPLACE FUNCTION realtime_stand(OUT shop uuid, OUT last_us bigint, OUT epoch text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT (SELECT s.id FROM shop AS s WHERE s.owner_id = app_uid() AND s.deleted_at IS NULL), h.last_us, h.epoch
    FROM feed_head AS h
    WHERE h.account_id = app_uid()
$$;

GRANT EXECUTE ON FUNCTION message_send(uuid, uuid, text, text, bigint, uuid[], uuid),
    message_replay(uuid, uuid, text, text), chat_open(uuid, uuid, uuid), chat_hide(uuid),
    chat_receipt(uuid, bigint, boolean), message_change(uuid, uuid, text), message_remove(uuid, uuid), typing_peers(uuid),
    file_in_my_chat(uuid), user_block(uuid, boolean), user_report(uuid, uuid, uuid, bigint, text, text),
    notification_json(notification), unread_count(uuid), notification_clear(uuid, boolean, boolean),
    feed_sync(bigint, text, int) TO plaza_web;
GRANT EXECUTE ON FUNCTION realtime_stand() TO plaza_web, plaza_auth;
