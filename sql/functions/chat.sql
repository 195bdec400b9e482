-- Conversations: messages, receipts, members. Locks are taken in this order: chat, chat_member by chat and account,
-- feed heads by account.

-- ---- documents ----

-- The id of a message is a UUID of version 8 (RFC 9562 section 5.8): 48 bits of its seq, then the last 74 bits of the
-- conversation's id.
CREATE OR REPLACE FUNCTION message_id(p_chat uuid, p_seq bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT overlay(lpad(to_hex(p_seq), 12, '0') PLACING '-' FROM 9 FOR 0) || '-8' || substr(p_chat::text, 16)
$$;

-- The seq behind such an id; NULL when it belongs to another conversation.
CREATE OR REPLACE FUNCTION message_seq(p_chat uuid, p_id uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN substr(p_id::text, 14) = '-8' || substr(p_chat::text, 16)
        THEN ('x' || substr(p_id::text, 1, 8) || substr(p_id::text, 10, 4))::bit(48)::bigint END
$$;

-- A message as everybody in the conversation sees it. `p_tail` is what an edit or a removal adds.
CREATE OR REPLACE FUNCTION message_doc(p_chat uuid, p_seq bigint, p_sender uuid, p_type text, p_body text, p_extra text,
                                       p_at text, p_tail text)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format('{"id":"%s","chatId":"%s","seq":%s,"senderId":"%s","type":"%s","body":%s%s,"createdAt":"%s"%s}',
                  plaza.message_id(p_chat, p_seq), p_chat, p_seq, p_sender, p_type, to_json(p_body), p_extra, p_at,
                  p_tail)
$$;

-- What a message:sent event and the answer to a send add: the sender's own id.
CREATE OR REPLACE FUNCTION message_ref(p_doc text, p_cmid uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"ref":"' || p_cmid || '",' || substr(p_doc, 2)
$$;

-- How many messages of a private conversation came from the other one.
CREATE OR REPLACE FUNCTION from_other(c chat, p_user uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN c.buyer_id = p_user THEN c.last_seq - c.from_buyer ELSE c.from_buyer END
$$;

-- The members of a document that stand beside the text; checks that they may be used. A card keeps title and price
-- as they are now.
CREATE OR REPLACE FUNCTION message_extra(p_chat uuid, p_type text, p_reply bigint, p_files uuid[], p_product uuid)
RETURNS text LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    me    uuid := app_uid();
    extra text := '';
    files text;
    n     bigint;
BEGIN
    IF p_product IS NOT NULL THEN
        SELECT ',"card":{"productId":"' || p.id || '","sellerId":"' || p.seller_id || '","title":' || to_json(p.title)
            || ',"price":{"amount":' || p.price || ',"currency":"' || p.currency || '"}}'
        INTO extra
        FROM product AS p
        WHERE p.id = p_product AND p.deleted_at IS NULL AND (p.status = 'active' OR p.seller_id = me);
        IF NOT FOUND THEN
            PERFORM raise_problem('invalid', 'There is no product to show.');
        END IF;
    END IF;
    IF p_files IS NOT NULL THEN
        SELECT count(*), string_agg('{"id":"' || f.id || '","kind":"' || f.kind || '","name":' || to_json(f.name)
            || ',"mediaType":' || to_json(f.media_type) || ',"size":' || f.size || '}', ',' ORDER BY u.place)
        INTO n, files
        FROM unnest(p_files) WITH ORDINALITY AS u (id, place)
        JOIN file AS f ON f.id = u.id
        WHERE f.owner_id = me AND f.deleted_at IS NULL AND (p_type <> 'image' OR f.kind = 'image');
        IF n <> cardinality(p_files) THEN
            PERFORM raise_problem('invalid', 'A file is not yours, is gone, or is no image.');
        END IF;
        extra := extra || ',"attachments":[' || files || ']';
    END IF;
    IF p_reply IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM message WHERE chat_id = p_chat AND seq = p_reply) THEN
            PERFORM raise_problem('invalid', 'There is no message to reply to.');
        END IF;
        extra := extra || ',"replyTo":' || p_reply;
    END IF;
    RETURN extra;
END $$;

-- ---- who is in a conversation ----

-- The problem 'not-found' unless the caller is in the conversation.
CREATE OR REPLACE FUNCTION chat_enter(p_chat uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM chat_member AS m WHERE m.chat_id = p_chat AND m.account_id = app_uid()) THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

-- Whether one of the two blocked the other.
CREATE OR REPLACE FUNCTION blocked_between(p_one uuid, p_other uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM block AS b WHERE b.blocker_id = p_one AND b.blocked_id = p_other)
        OR EXISTS (SELECT FROM block AS b WHERE b.blocker_id = p_other AND b.blocked_id = p_one);
END $$;

-- An event in the feeds of all members but one. With a seq it is about that message, and shows it.
CREATE OR REPLACE FUNCTION chat_tell(p_chat uuid, p_type text, p_data text, p_seq bigint DEFAULT NULL,
                                     p_but uuid DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    events text := '';
    member uuid;
BEGIN
    FOR member IN SELECT m.account_id FROM chat_member AS m
                  WHERE m.chat_id = p_chat AND m.account_id IS DISTINCT FROM p_but
                  ORDER BY m.account_id LOOP
        events := events || feed_append(member, p_type, p_data, CASE WHEN p_seq IS NOT NULL THEN p_chat END, p_seq);
    END LOOP;
    RETURN events;
END $$;

-- ---- sending ----

-- Sends a message of the caller. This is the hottest write of all: it has no SET search_path (all names are qualified),
-- reads nothing that the lock of the conversation does not give, and tells both members by one row of the outbox.
-- A repeated cmid breaks message_cmid_key, and the caller then asks message_replay.
CREATE OR REPLACE FUNCTION message_send(p_chat uuid, p_cmid uuid, p_type text, p_body text, p_reply bigint,
                                        p_files uuid[], p_product uuid, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    me        uuid := plaza.app_uid();
    v_ts      text := plaza.iso(now());
    v_extra   text := '';
    v_blocked boolean;
    v_seq     bigint;
    v_doc     text;
    one       uuid; -- the two members, in the order of their locks
    two       uuid;
    one_us    bigint;
    two_us    bigint;
    one_epoch text;
    two_epoch text;
    one_line  text;
    two_line  text;
    v_outbox  bigint;
BEGIN
    UPDATE plaza.chat AS c
    SET last_seq = c.last_seq + 1, last_message_at = now(),
        from_buyer = c.from_buyer + CASE WHEN c.buyer_id = me THEN 1 ELSE 0 END
    WHERE c.id = p_chat AND (c.buyer_id = me OR c.seller_id = me)
    RETURNING c.blocked, c.last_seq, least(c.buyer_id, c.seller_id), greatest(c.buyer_id, c.seller_id)
    INTO v_blocked, v_seq, one, two;
    IF NOT FOUND THEN
        PERFORM plaza.raise_problem('not-found');
    ELSIF v_blocked THEN
        PERFORM plaza.raise_problem('blocked');
    END IF;
    IF p_reply IS NOT NULL OR p_files IS NOT NULL OR p_product IS NOT NULL THEN
        v_extra := plaza.message_extra(p_chat, p_type, p_reply, p_files, p_product);
    END IF;
    v_doc := plaza.message_doc(p_chat, v_seq, me, p_type, p_body, v_extra, v_ts, '');
    body := plaza.message_ref(v_doc, p_cmid);
    INSERT INTO plaza.message (chat_id, seq, sender_id, cmid, type, body, product_id, reply_to, file_ids, extra, doc)
    VALUES (p_chat, v_seq, me, p_cmid, p_type, p_body, p_product, p_reply, p_files, v_extra, v_doc);
    IF p_files IS NOT NULL THEN
        INSERT INTO plaza.message_file (file_id, chat_id, seq)
        SELECT DISTINCT u.id, p_chat, v_seq
        FROM unnest(p_files) AS u (id);
    END IF;
    UPDATE plaza.feed_head AS h SET last_us = h.last_us + 1 WHERE h.account_id = one
    RETURNING h.last_us, h.epoch INTO one_us, one_epoch;
    UPDATE plaza.feed_head AS h SET last_us = h.last_us + 1 WHERE h.account_id = two
    RETURNING h.last_us, h.epoch INTO two_us, two_epoch;
    IF one = me THEN
        one_line := plaza.feed_line(one, 'message:sent', one_us, one_epoch, v_ts, body);
        two_line := plaza.feed_line(two, 'message:receive', two_us, two_epoch, v_ts, v_doc);
    ELSE
        one_line := plaza.feed_line(one, 'message:receive', one_us, one_epoch, v_ts, v_doc);
        two_line := plaza.feed_line(two, 'message:sent', two_us, two_epoch, v_ts, body);
    END IF;
    WITH feeds AS (
        INSERT INTO plaza.feed (account_id, us, type, chat_id, seq)
        VALUES (one, one_us, CASE WHEN one = me THEN 'message:sent' ELSE 'message:receive' END, p_chat, v_seq),
               (two, two_us, CASE WHEN two = me THEN 'message:sent' ELSE 'message:receive' END, p_chat, v_seq))
    INSERT INTO plaza.outbox (topic, payload) VALUES ('', one_line || two_line) RETURNING id INTO v_outbox;
    events := E'0\x1f' || one_line || v_outbox || E'\x1f' || two_line;
    IF v_seq = 1 THEN
        events := events || plaza.message_first(p_chat, CASE WHEN one = me THEN two ELSE one END);
    END IF;
END $$;

-- Somebody new writes: that deserves a line in the notifications of who is written to.
CREATE OR REPLACE FUNCTION message_first(p_chat uuid, p_peer uuid) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT notify(p_peer, 'chat.new', CASE peer.locale WHEN 'es' THEN 'Nueva conversación' ELSE 'New conversation' END,
                          me.name, '/chats/' || p_chat, 'normal')
            FROM account AS me, account AS peer
            WHERE me.id = app_uid() AND peer.id = p_peer);
END $$;

-- The answer to a send that was made before: the message, if it was the same, else 'message-conflict'. An edited or
-- removed one is judged by its first text.
CREATE OR REPLACE FUNCTION message_replay(p_chat uuid, p_cmid uuid, p_type text, p_body text, p_reply bigint,
                                          p_files uuid[], p_product uuid)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    same text := (
        SELECT message_ref(m.doc, m.cmid)
        FROM message AS m
        WHERE m.sender_id = app_uid()
          AND m.cmid = p_cmid
          AND m.chat_id = p_chat
          AND m.type = p_type
          AND m.reply_to IS NOT DISTINCT FROM p_reply
          AND m.file_ids IS NOT DISTINCT FROM p_files
          AND m.product_id IS NOT DISTINCT FROM p_product
          AND p_body = coalesce((SELECT e.body FROM message_edit AS e
                                 WHERE e.chat_id = m.chat_id AND e.seq = m.seq AND e.edit_no = 0), m.body));
BEGIN
    IF same IS NULL THEN
        PERFORM raise_problem('message-conflict');
    END IF;
    RETURN same;
END $$;

-- ---- editing and removing: only while nobody else has read it ----

-- The caller's own message, locked together with everybody's receipts: a receipt that comes at the same time waits, and
-- one that came first is seen.
CREATE OR REPLACE FUNCTION message_hold(p_chat uuid, p_message uuid) RETURNS message
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    m message;
BEGIN
    PERFORM FROM chat AS c WHERE c.id = p_chat FOR NO KEY UPDATE;
    PERFORM FROM chat_member AS r WHERE r.chat_id = p_chat ORDER BY r.account_id FOR NO KEY UPDATE;
    PERFORM chat_enter(p_chat);
    SELECT * INTO m
    FROM message
    WHERE chat_id = p_chat AND seq = message_seq(p_chat, p_message) AND sender_id = app_uid();
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN m;
END $$;

-- Takes the message out of use as it is: its text goes to the history. Ends with a problem when somebody has read it.
CREATE OR REPLACE FUNCTION message_retire(m message) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM chat_member AS r
               WHERE r.chat_id = m.chat_id AND r.account_id <> m.sender_id AND r.read_seq >= m.seq) THEN
        PERFORM raise_problem('already-read');
    END IF;
    INSERT INTO message_edit (chat_id, seq, edit_no, body, doc) VALUES (m.chat_id, m.seq, m.edit_no, m.body, m.doc);
    UPDATE chat SET changes = changes + 1 WHERE id = m.chat_id;
END $$;

CREATE OR REPLACE FUNCTION message_change(p_chat uuid, p_message uuid, p_body text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    m message := message_hold(p_chat, p_message);
BEGIN
    IF m.deleted_at IS NOT NULL THEN
        PERFORM raise_problem('not-found');
    ELSIF (SELECT c.blocked FROM chat AS c WHERE c.id = p_chat) THEN
        PERFORM raise_problem('blocked');
    END IF;
    body := m.doc;
    IF m.body <> p_body THEN
        PERFORM message_retire(m);
        body := message_doc(m.chat_id, m.seq, m.sender_id, m.type, p_body, m.extra, iso(m.created_at),
                            ',"editNo":' || m.edit_no + 1 || ',"editedAt":"' || iso(now()) || '"');
        UPDATE message AS u
        SET body = p_body, edit_no = u.edit_no + 1, doc = message_change.body
        WHERE u.chat_id = m.chat_id AND u.seq = m.seq;
        events := chat_tell(m.chat_id, 'message:edit', body, m.seq);
    END IF;
END $$;

-- What is left shows that there was a message, and keeps its seq. Its files close to the others at once.
CREATE OR REPLACE FUNCTION message_remove(p_chat uuid, p_message uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    m     message := message_hold(p_chat, p_message);
    v_doc text;
BEGIN
    IF m.deleted_at IS NOT NULL THEN
        RETURN '';
    END IF;
    PERFORM message_retire(m);
    UPDATE chat_member SET seen = seen + 1 WHERE chat_id = m.chat_id AND account_id <> m.sender_id;
    DELETE FROM message_file WHERE chat_id = m.chat_id AND seq = m.seq;
    v_doc := message_doc(m.chat_id, m.seq, m.sender_id, m.type, '', '', iso(m.created_at), ',"deleted":true');
    UPDATE message AS u
    SET body = '', extra = '', edit_no = u.edit_no + 1, deleted_at = now(), doc = v_doc
    WHERE u.chat_id = m.chat_id AND u.seq = m.seq;
    RETURN chat_tell(m.chat_id, 'message:delete', v_doc, m.seq);
END $$;

-- ---- receipts ----

-- Moves the caller's receipts forward, never back and never beyond the last message. What is read was delivered. Only a
-- change is told: a reading to everybody, so that the reader's other devices clear their badges too, a delivery to the
-- others.
CREATE OR REPLACE FUNCTION chat_receipt(p_chat uuid, p_seq bigint, p_read boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := app_uid();
    had    chat_member;
    c      chat;
    upto   bigint;
    v_seen bigint;
    v_data text;
BEGIN
    SELECT * INTO had FROM chat_member WHERE chat_id = p_chat AND account_id = me FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    SELECT * INTO c FROM chat WHERE id = p_chat;
    upto := least(p_seq, c.last_seq);
    IF upto <= (CASE WHEN p_read THEN had.read_seq ELSE had.recv_seq END) THEN
        RETURN '';
    END IF;
    IF p_read THEN
        v_seen := from_other(c, me) - (SELECT count(*)
                                       FROM message AS m
                                       WHERE m.chat_id = p_chat AND m.seq > upto AND m.seq <= c.last_seq
                                         AND m.sender_id <> me AND m.deleted_at IS NULL);
    END IF;
    UPDATE chat_member
    SET read_seq = CASE WHEN p_read THEN upto ELSE read_seq END, recv_seq = greatest(recv_seq, upto),
        seen = coalesce(v_seen, seen)
    WHERE chat_id = p_chat AND account_id = me;
    v_data := '{"chatId":"' || p_chat || '","seq":' || upto || ',"userId":"' || me || '"}';
    IF p_read THEN
        RETURN chat_tell(p_chat, 'message:read', v_data);
    END IF;
    RETURN chat_tell(p_chat, 'message:delivered', v_data, NULL, me);
END $$;

GRANT EXECUTE ON FUNCTION from_other(chat, uuid), message_send(uuid, uuid, text, text, bigint, uuid[], uuid),
    message_replay(uuid, uuid, text, text, bigint, uuid[], uuid), message_change(uuid, uuid, text),
    message_remove(uuid, uuid), chat_receipt(uuid, bigint, boolean) TO plaza_web;
