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

-- The document of a message as it is now.
CREATE OR REPLACE FUNCTION message_render(m message) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT plaza.message_doc(m.chat_id, m.seq, m.sender_id, m.type, m.body, m.extra, plaza.iso(m.created_at),
                             concat(',"editNo":' || nullif(m.edit_no, 0) || ',"editedAt":"' || plaza.iso(m.edited_at) || '"',
                                    ',"reactions":' || m.reactions))
$$;

-- What a message:sent event and the answer to a send add: the sender's own id.
CREATE OR REPLACE FUNCTION message_ref(p_doc text, p_cmid uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"ref":"' || p_cmid || '",' || substr(p_doc, 2)
$$;

-- Whether two users are on different sides of a conversation: in a group everybody is a side of their own.
CREATE OR REPLACE FUNCTION other_side(c chat, p_one uuid, p_other uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE c.kind WHEN 'group' THEN p_one <> p_other ELSE (p_one = c.buyer_id) <> (p_other = c.buyer_id) END
$$;

-- How many messages of a conversation came from the other side of a member.
CREATE OR REPLACE FUNCTION from_other(c chat, m chat_member) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN c.kind = 'group' THEN c.last_seq - m.sent
                WHEN c.buyer_id = m.account_id THEN c.last_seq - c.from_buyer
                ELSE c.from_buyer END
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

-- Who is in a conversation, but one.
CREATE OR REPLACE FUNCTION chat_others(p_chat uuid, p_but uuid) RETURNS uuid[]
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT m.account_id FROM chat_member AS m
                 WHERE m.chat_id = p_chat AND m.account_id IS DISTINCT FROM p_but);
END $$;

-- Those of them who see a message: the history of who came later begins behind it.
CREATE OR REPLACE FUNCTION message_readers(p_chat uuid, p_seq bigint) RETURNS uuid[]
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT m.account_id FROM chat_member AS m WHERE m.chat_id = p_chat AND m.from_seq < p_seq);
END $$;

-- Those who are on the same side of a conversation as a member: all of a shop's staff, or the member alone.
CREATE OR REPLACE FUNCTION chat_side(c chat, p_member uuid) RETURNS uuid[]
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF c.simple OR c.kind = 'group' OR c.buyer_id = p_member THEN
        RETURN ARRAY[p_member];
    END IF;
    RETURN chat_others(c.id, c.buyer_id);
END $$;

-- ---- sending ----

-- Sends a message of the caller. This is the hottest write of all: it has no SET search_path (all names are qualified),
-- reads nothing that the lock of the conversation does not give, and tells both members by one row of the outbox. Where
-- there are more than two message_post() does it. A repeated cmid breaks message_cmid_key, and the caller then asks
-- message_replay.
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
    WHERE c.id = p_chat AND (c.buyer_id = me OR c.seller_id = me) AND c.simple
    RETURNING c.blocked, c.last_seq, least(c.buyer_id, c.seller_id), greatest(c.buyer_id, c.seller_id)
    INTO v_blocked, v_seq, one, two;
    IF NOT FOUND THEN
        SELECT m.body, m.events INTO body, events
        FROM plaza.message_post(p_chat, p_cmid, p_type, p_body, p_reply, p_files, p_product, NULL) AS m;
        RETURN;
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
    PERFORM plaza.push_message(p_chat, v_seq)
    FROM plaza.push_device AS d WHERE d.account_id = CASE WHEN one = me THEN two ELSE one END LIMIT 1;
    IF v_seq = 1 THEN
        events := events || plaza.message_first(p_chat, CASE WHEN one = me THEN two ELSE one END);
    END IF;
END $$;

-- Sends a message of the caller, whatever the conversation. `p_extra` is given for what message_extra() does not know.
CREATE OR REPLACE FUNCTION message_post(p_chat uuid, p_cmid uuid, p_type text, p_body text, p_reply bigint,
                                        p_files uuid[], p_product uuid, p_extra text,
                                        OUT body text, OUT events text, OUT seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me      uuid := app_uid();
    c       chat;
    m       message;
    members uuid[];
BEGIN
    UPDATE chat AS x
    SET last_seq = x.last_seq + 1, last_message_at = now(),
        from_buyer = x.from_buyer + CASE WHEN x.buyer_id = me THEN 1 ELSE 0 END
    WHERE x.id = p_chat AND EXISTS (SELECT FROM chat_member AS r WHERE r.chat_id = x.id AND r.account_id = me)
    RETURNING x.* INTO c;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF c.blocked OR c.kind = 'private' AND me NOT IN (c.buyer_id, c.seller_id) AND blocked_between(me, c.buyer_id) THEN
        PERFORM raise_problem('blocked');
    END IF;
    seq := c.last_seq;
    INSERT INTO message AS n (chat_id, seq, sender_id, cmid, type, body, product_id, reply_to, file_ids, extra, doc)
    VALUES (p_chat, c.last_seq, me, p_cmid, p_type, p_body, p_product, p_reply, p_files,
            coalesce(p_extra, message_extra(p_chat, p_type, p_reply, p_files, p_product)), '')
    RETURNING n.* INTO m;
    m.doc := message_render(m);
    UPDATE message AS n SET doc = m.doc WHERE n.chat_id = m.chat_id AND n.seq = m.seq;
    INSERT INTO message_file (file_id, chat_id, seq)
    SELECT DISTINCT u.id, p_chat, c.last_seq
    FROM unnest(p_files) AS u (id);
    IF c.kind = 'group' THEN
        UPDATE chat_member AS r SET sent = r.sent + 1 WHERE r.chat_id = p_chat AND r.account_id = me;
    END IF;
    members := chat_others(p_chat, me);
    body := message_ref(m.doc, p_cmid);
    PERFORM feed_lock(members || me);
    events := concat(feed_spread(ARRAY[me], 'message:sent', body, p_chat, c.last_seq),
                     feed_spread(members, 'message:receive', m.doc, p_chat, c.last_seq));
    PERFORM push_message(p_chat, c.last_seq);
    IF c.last_seq = 1 AND c.kind = 'private' THEN
        SELECT concat(events, string_agg(message_first(p_chat, u.id), '' ORDER BY u.id)) INTO events
        FROM unnest(members) AS u (id)
        WHERE other_side(c, me, u.id);
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
                                          p_files uuid[], p_product uuid, p_price bigint, p_quantity int)
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
          AND (p_type <> 'offer' OR EXISTS (SELECT FROM chat_offer AS o
                                            WHERE o.id = message_id(m.chat_id, m.seq)::uuid
                                              AND o.price = p_price AND o.quantity = p_quantity))
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

-- Puts the message as it is into the history.
CREATE OR REPLACE FUNCTION message_keep(m message) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO message_edit (chat_id, seq, edit_no, body, doc) VALUES (m.chat_id, m.seq, m.edit_no, m.body, m.doc);
    UPDATE chat SET changes = changes + 1 WHERE id = m.chat_id;
END $$;

-- The same; ends with a problem when somebody has read it.
CREATE OR REPLACE FUNCTION message_retire(m message) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM chat AS c
               JOIN chat_member AS r ON r.chat_id = c.id
               WHERE c.id = m.chat_id AND r.read_seq >= m.seq AND other_side(c, r.account_id, m.sender_id)) THEN
        PERFORM raise_problem('already-read');
    END IF;
    PERFORM message_keep(m);
END $$;

-- What is left shows that there was a message, and keeps its seq. Its files close to the others at once.
CREATE OR REPLACE FUNCTION message_blank(m message) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_doc text := message_doc(m.chat_id, m.seq, m.sender_id, m.type, '', '', iso(m.created_at), ',"deleted":true');
BEGIN
    UPDATE chat_member AS r SET seen = r.seen + 1
    FROM chat AS c
    WHERE c.id = m.chat_id AND r.chat_id = c.id AND r.from_seq < m.seq AND r.read_seq < m.seq
      AND other_side(c, r.account_id, m.sender_id);
    DELETE FROM message_file WHERE chat_id = m.chat_id AND seq = m.seq;
    DELETE FROM message_reaction WHERE chat_id = m.chat_id AND seq = m.seq;
    DELETE FROM message_text WHERE chat_id = m.chat_id AND seq = m.seq;
    UPDATE chat_offer SET status = 'withdrawn' WHERE chat_id = m.chat_id AND seq = m.seq AND status = 'open';
    UPDATE message AS u
    SET body = '', extra = '', reactions = NULL, edit_no = u.edit_no + 1, deleted_at = now(), doc = v_doc
    WHERE u.chat_id = m.chat_id AND u.seq = m.seq;
    RETURN feed_spread(message_readers(m.chat_id, m.seq), 'message:delete', v_doc, m.chat_id, m.seq);
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
        m.body := p_body;
        m.edit_no := m.edit_no + 1;
        m.edited_at := now();
        body := message_render(m);
        UPDATE message AS u
        SET body = m.body, edit_no = m.edit_no, edited_at = m.edited_at, doc = message_change.body
        WHERE u.chat_id = m.chat_id AND u.seq = m.seq;
        UPDATE message_text AS t SET words = message_words(p_body) WHERE t.chat_id = m.chat_id AND t.seq = m.seq;
        events := feed_spread(message_readers(m.chat_id, m.seq), 'message:edit', body, m.chat_id, m.seq);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION message_remove(p_chat uuid, p_message uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    m message := message_hold(p_chat, p_message);
BEGIN
    IF m.deleted_at IS NOT NULL THEN
        RETURN '';
    END IF;
    PERFORM message_retire(m);
    RETURN message_blank(m);
END $$;

-- ---- receipts ----

-- Who learns that a member has got or read what is behind `p_from`, up to `p_upto`: the other side; in a group those
-- whose messages they are.
CREATE OR REPLACE FUNCTION receipt_readers(c chat, p_member uuid, p_from bigint, p_upto bigint) RETURNS uuid[]
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF c.simple AND c.kind = 'private' THEN
        RETURN ARRAY[CASE p_member WHEN c.buyer_id THEN c.seller_id ELSE c.buyer_id END];
    END IF;
    RETURN ARRAY(SELECT r.account_id FROM chat_member AS r
                 WHERE r.chat_id = c.id AND other_side(c, r.account_id, p_member)
                   AND (c.kind = 'private' OR EXISTS (SELECT FROM message AS m
                                                      WHERE m.chat_id = c.id AND m.seq > p_from AND m.seq <= p_upto
                                                        AND m.sender_id = r.account_id)));
END $$;

-- Whether the readings of a member are shown to the others, and theirs to the member.
CREATE OR REPLACE FUNCTION reading_shown(c chat, p_member uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT bool_and(a.share_read) FROM account AS a
            WHERE a.id = p_member OR c.kind = 'private' AND a.id IN (c.buyer_id, c.seller_id));
END $$;

-- Moves the caller's receipts forward, never back and never beyond the last message. What is read was delivered. Only a
-- change is told: a reading to the reader's other devices too, which clear their badges by it. The staff of a shop has one
-- inbox: what one of them reads is read for all.
CREATE OR REPLACE FUNCTION chat_receipt(p_chat uuid, p_seq bigint, p_read boolean) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me      uuid := app_uid();
    had     chat_member;
    c       chat;
    upto    bigint;
    v_seen  bigint;
    v_data  text;
    shown   boolean;
    readers uuid[];
    side    uuid[];
BEGIN
    SELECT * INTO c FROM chat WHERE id = p_chat;
    side := chat_side(c, me);
    PERFORM FROM chat_member AS m WHERE m.chat_id = p_chat AND m.account_id = ANY (side)
    ORDER BY m.account_id FOR NO KEY UPDATE;
    SELECT * INTO had FROM chat_member WHERE chat_id = p_chat AND account_id = me;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    -- Under the lock: what was sent until now counts.
    SELECT * INTO c FROM chat WHERE id = p_chat;
    upto := least(p_seq, c.last_seq);
    IF upto <= (CASE WHEN p_read THEN had.read_seq ELSE had.recv_seq END) THEN
        RETURN '';
    END IF;
    shown := p_read AND reading_shown(c, me);
    IF p_read THEN
        v_seen := from_other(c, had) - (SELECT count(*)
                                        FROM message AS m
                                        WHERE m.chat_id = p_chat AND m.seq > upto AND m.seq <= c.last_seq
                                          AND m.deleted_at IS NULL AND other_side(c, m.sender_id, me));
    END IF;
    UPDATE chat_member
    SET read_seq = CASE WHEN p_read THEN greatest(read_seq, upto) ELSE read_seq END,
        recv_seq = greatest(recv_seq, upto), seen = coalesce(v_seen, seen),
        shown_seq = CASE WHEN shown THEN greatest(shown_seq, upto) ELSE shown_seq END
    WHERE chat_id = p_chat AND account_id = ANY (side);
    v_data := '{"chatId":"' || p_chat || '","seq":' || upto || ',"userId":"' || me || '"}';
    readers := receipt_readers(c, me, CASE WHEN p_read THEN had.read_seq ELSE had.recv_seq END, upto);
    IF NOT p_read THEN
        RETURN feed_spread(readers, 'message:delivered', v_data);
    END IF;
    PERFORM feed_lock(readers || side);
    IF shown THEN
        RETURN concat(feed_spread(readers || me, 'message:read', v_data), chat_changed(p_chat, array_remove(side, me)));
    END IF;
    RETURN concat(CASE WHEN upto > had.recv_seq THEN feed_spread(readers, 'message:delivered', v_data) END,
                  feed_spread(ARRAY[me], 'message:read', v_data), chat_changed(p_chat, array_remove(side, me)));
END $$;

GRANT EXECUTE ON FUNCTION from_other(chat, chat_member), message_send(uuid, uuid, text, text, bigint, uuid[], uuid),
    message_replay(uuid, uuid, text, text, bigint, uuid[], uuid, bigint, int), message_change(uuid, uuid, text),
    message_remove(uuid, uuid), chat_receipt(uuid, bigint, boolean) TO plaza_web;
