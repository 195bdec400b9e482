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
    v_kind    text;
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
    SET last_seq = c.last_seq + 1, last_message_at = now()
    WHERE c.id = p_chat AND (c.buyer_id = me OR c.seller_id = me OR c.kind = 'group')
    RETURNING c.kind, c.blocked, c.last_seq, least(c.buyer_id, c.seller_id), greatest(c.buyer_id, c.seller_id)
    INTO v_kind, v_blocked, v_seq, one, two;
    IF NOT FOUND THEN
        PERFORM plaza.raise_problem('not-found');
    ELSIF v_blocked THEN
        PERFORM plaza.raise_problem('blocked');
    ELSIF v_kind = 'group' THEN
        PERFORM plaza.chat_enter(p_chat);
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
    IF v_kind = 'group' THEN
        events := plaza.message_fan_out(p_chat, v_seq, me, v_doc, body);
        RETURN;
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
END $$;
