-- The end of things: messages that were kept long enough, accounts that are erased; and conversations for a court.

-- ---- retention of messages ----

CREATE OR REPLACE FUNCTION retention_json() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT json_object_agg(CASE r.class WHEN 'chat_order' THEN 'chatOrder' ELSE r.class END, r.days ORDER BY r.class)::text
    FROM retention AS r
    WHERE app_role() = 'admin'
$$;

-- NULL keeps a value.
CREATE OR REPLACE FUNCTION retention_set(p_chat int, p_order int, p_group int) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    UPDATE retention SET days = coalesce(CASE class WHEN 'chat' THEN p_chat WHEN 'chat_order' THEN p_order ELSE p_group END, days);
    RETURN retention_json();
END $$;

-- The days that the messages of a conversation are kept; NULL, for ever, while a case about it is not resolved.
CREATE OR REPLACE FUNCTION chat_days(c chat) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM report AS r WHERE r.chat_id = c.id AND r.resolved_at IS NULL)
        OR EXISTS (SELECT FROM report_more AS m
                   JOIN report AS r ON r.id = m.report_id
                   WHERE m.chat_id = c.id AND r.resolved_at IS NULL) THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT r.days FROM retention AS r
            WHERE r.class = CASE WHEN c.kind = 'group' THEN 'group'
                                 WHEN EXISTS (SELECT FROM orders AS o
                                              WHERE o.buyer_id = c.buyer_id AND o.seller_id = c.seller_id) THEN 'chat_order'
                                 ELSE 'chat' END);
END $$;

-- Removes the oldest messages of a conversation that are due, a thousand at most; returns how many. What was not read by
-- then counts as read.
CREATE OR REPLACE FUNCTION chat_purge(p_chat uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    c      chat;
    upto   bigint;
    n      bigint;
    v_hash bytea;
BEGIN
    SELECT * INTO c FROM chat WHERE id = p_chat FOR NO KEY UPDATE;
    PERFORM FROM chat_member AS r WHERE r.chat_id = p_chat ORDER BY r.account_id FOR NO KEY UPDATE;
    SELECT max(o.seq), count(*), sha256(convert_to(string_agg(o.doc, E'\n' ORDER BY o.seq), 'UTF8')) INTO upto, n, v_hash
    FROM (SELECT m.seq, m.doc, m.created_at FROM message AS m WHERE m.chat_id = p_chat ORDER BY m.seq LIMIT 1000) AS o
    WHERE o.created_at < now() - make_interval(days => chat_days(c));
    IF n = 0 THEN
        RETURN 0;
    END IF;
    UPDATE cart_item SET offer_id = NULL
    WHERE offer_id IN (SELECT o.id FROM chat_offer AS o WHERE o.chat_id = p_chat AND o.seq <= upto);
    DELETE FROM chat_offer AS x WHERE x.chat_id = p_chat AND x.seq <= upto;
    DELETE FROM message_reaction AS x WHERE x.chat_id = p_chat AND x.seq <= upto;
    DELETE FROM message_file AS x WHERE x.chat_id = p_chat AND x.seq <= upto;
    DELETE FROM message_edit AS x WHERE x.chat_id = p_chat AND x.seq <= upto;
    DELETE FROM message_text AS x WHERE x.chat_id = p_chat AND x.seq <= upto;
    DELETE FROM message AS x WHERE x.chat_id = p_chat AND x.seq <= upto;
    UPDATE chat_member AS r
    SET read_seq = upto, recv_seq = greatest(r.recv_seq, upto),
        seen = from_other(c, r) - (SELECT count(*) FROM message AS m
                                   WHERE m.chat_id = p_chat AND m.deleted_at IS NULL AND other_side(c, m.sender_id, r.account_id))
    WHERE r.chat_id = p_chat AND r.read_seq < upto;
    UPDATE chat SET changes = changes + 1 WHERE id = p_chat;
    INSERT INTO chat_purge (chat_id, upto_seq, messages, digest) VALUES (p_chat, upto, n, v_hash);
    RETURN n;
END $$;

-- Job: once a day through all conversations, in the order of their ids, a hundred each time.
CREATE OR REPLACE FUNCTION job_purge_messages() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    stand  chat_purge_stand;
    chats  uuid[];
    v_chat uuid;
    n      bigint;
BEGIN
    SELECT * INTO stand FROM chat_purge_stand FOR UPDATE;
    IF stand.chat_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff' THEN
        IF stand.round >= current_date THEN
            RETURN 0;
        END IF;
        UPDATE chat_purge_stand SET round = current_date, chat_id = '00000000-0000-0000-0000-000000000000';
        RETURN 1;
    END IF;
    chats := ARRAY(SELECT c.id FROM chat AS c WHERE c.id > stand.chat_id ORDER BY c.id LIMIT 100);
    FOREACH v_chat IN ARRAY chats LOOP
        n := CASE WHEN EXISTS (SELECT FROM (SELECT m.created_at FROM message AS m WHERE m.chat_id = v_chat
                                            ORDER BY m.seq LIMIT 1) AS o
                               WHERE o.created_at < now() - interval '62 days')
                  THEN chat_purge(v_chat) ELSE 0 END;
        -- A full piece: there may be more of this one.
        EXIT WHEN n >= 1000;
        stand.chat_id := v_chat;
    END LOOP;
    IF chats = '{}' THEN
        stand.chat_id := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    END IF;
    UPDATE chat_purge_stand SET chat_id = stand.chat_id;
    RETURN 1;
END $$;

-- ---- a conversation for a court ----

-- The first record of an export: who is in the conversation, and what retention has removed of it.
CREATE OR REPLACE FUNCTION export_head(c chat) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN json_build_object('chatId', c.id, 'kind', c.kind, 'title', c.title, 'productId', c.product_id,
        'createdAt', iso(c.created_at), 'lastSeq', c.last_seq,
        'members', (SELECT json_agg(json_build_object('id', a.id, 'name', a.name, 'joinedAt', iso(m.joined_at),
                                                      'readSeq', m.read_seq) ORDER BY a.id)
                    FROM chat_member AS m JOIN account AS a ON a.id = m.account_id WHERE m.chat_id = c.id),
        'removed', (SELECT coalesce(json_agg(json_build_object('uptoSeq', p.upto_seq, 'messages', p.messages,
                                                               'sha256', encode(p.digest, 'hex')) ORDER BY p.upto_seq), '[]')
                    FROM chat_purge AS p WHERE p.chat_id = c.id))::text;
END $$;

-- Records of a conversation in the order of seq, 0 being the first, each with the SHA-256 of the hash before it (the
-- conversation's id in front of the first) and the record. Earlier texts of a message are part of its record. Each page
-- is a row of the audit trail.
CREATE OR REPLACE FUNCTION chat_export(p_chat uuid, p_after bigint, p_hash text, p_reason text, p_limit int, p_request text)
RETURNS TABLE (body text, k1 bigint, k2 text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    c    chat;
    hash bytea := coalesce(decode(p_hash, 'hex'), sha256(convert_to(p_chat::text, 'UTF8')));
    r    record;
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    SELECT * INTO c FROM chat WHERE id = p_chat;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    FOR r IN
        SELECT h.seq, h.record
        FROM (SELECT 0 AS seq, export_head(c) AS record
              WHERE p_after < 0
              UNION ALL
              (SELECT m.seq, '{"message":' || m.doc || ',"earlier":'
                   || coalesce((SELECT '[' || string_agg(e.doc, ',' ORDER BY e.edit_no) || ']' FROM message_edit AS e
                                WHERE e.chat_id = m.chat_id AND e.seq = m.seq), '[]') || '}'
               FROM message AS m
               WHERE m.chat_id = p_chat AND m.seq > p_after
               ORDER BY m.seq
               LIMIT p_limit + 1)) AS h
        ORDER BY h.seq
        LIMIT p_limit + 1
    LOOP
        hash := sha256(hash || convert_to(r.record, 'UTF8'));
        k1 := r.seq;
        k2 := encode(hash, 'hex');
        body := concat('{"seq":', r.seq, ',"record":', to_json(r.record), ',"chainHash":"', k2, '"}');
        RETURN NEXT;
    END LOOP;
    PERFORM audit_append('chat.export', 'chat', p_chat::text, json_build_object('reason', p_reason, 'after', p_after), p_request);
END $$;

-- ---- erasure of an account ----

CREATE OR REPLACE FUNCTION erasure_json(e erasure) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"askedAt":"', plaza.iso(e.asked_at), '","eraseAt":"', plaza.iso(e.erase_at), '"}')
$$;

-- What keeps an account: orders that are not over, and being the only administrator.
CREATE OR REPLACE FUNCTION erasure_bar(p_account uuid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM orders AS o
               WHERE p_account IN (o.buyer_id, o.seller_id)
                 AND o.status IN ('pending', 'payment_confirmed', 'confirmed', 'delivered')) THEN
        RETURN 'There are orders that are not over.';
    ELSIF EXISTS (SELECT FROM account AS a WHERE a.id = p_account AND a.role = 'admin')
        AND NOT EXISTS (SELECT FROM account AS a WHERE a.role = 'admin' AND a.status = 'active' AND a.id <> p_account) THEN
        RETURN 'There is no other administrator.';
    END IF;
    RETURN NULL;
END $$;

-- Asks for the erasure of the caller's account, whose password was compared with `p_seen`.
CREATE OR REPLACE FUNCTION erasure_ask(p_seen text, p_days int, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me  uuid := app_me();
    bar text := erasure_bar(me);
    e   erasure;
BEGIN
    IF NOT EXISTS (SELECT FROM credential AS c WHERE c.account_id = me AND c.password_hash = p_seen) THEN
        PERFORM raise_problem('invalid-credentials');
    ELSIF bar IS NOT NULL THEN
        PERFORM raise_problem('conflict', bar);
    END IF;
    PERFORM login_unlock(me);
    INSERT INTO erasure (account_id, erase_at) VALUES (me, now() + make_interval(days => p_days)) ON CONFLICT DO NOTHING;
    events := '';
    IF FOUND THEN
        SELECT notify(a.id, 'account.erasure', CASE a.locale WHEN 'es' THEN 'Su cuenta será eliminada'
                                                             ELSE 'Your account will be erased' END,
                      left(iso(now() + make_interval(days => p_days)), 10), NULL, 'high')
        INTO events
        FROM account AS a WHERE a.id = me;
    END IF;
    SELECT * INTO e FROM erasure AS x WHERE x.account_id = me;
    body := erasure_json(e);
END $$;

CREATE OR REPLACE FUNCTION erasure_get() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    e erasure;
BEGIN
    SELECT * INTO e FROM erasure AS x WHERE x.account_id = app_uid();
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN erasure_json(e);
END $$;

CREATE OR REPLACE FUNCTION erasure_cancel() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    DELETE FROM erasure AS x WHERE x.account_id = app_uid();
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

-- Closes the private files of an account. Their messages stay without them, and those who had them look again.
CREATE OR REPLACE FUNCTION files_revoke(p_account uuid) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    chats uuid[] := ARRAY(SELECT DISTINCT s.chat_id FROM message_file AS s
                          JOIN file AS f ON f.id = s.file_id AND f.owner_id = p_account
                          ORDER BY s.chat_id);
    m     message;
BEGIN
    PERFORM FROM chat AS c WHERE c.id = ANY (chats) ORDER BY c.id FOR NO KEY UPDATE;
    FOR m IN SELECT x.* FROM message AS x
             WHERE x.chat_id = ANY (chats) AND x.sender_id = p_account AND x.file_ids IS NOT NULL LOOP
        m.extra := coalesce(',"replyTo":' || m.reply_to, '');
        UPDATE message AS x SET extra = m.extra, doc = message_render(m) WHERE x.chat_id = m.chat_id AND x.seq = m.seq;
    END LOOP;
    UPDATE chat SET changes = changes + 1 WHERE id = ANY (chats);
    DELETE FROM message_file AS s USING file AS f WHERE f.id = s.file_id AND f.owner_id = p_account;
    UPDATE file SET deleted_at = now() WHERE owner_id = p_account AND deleted_at IS NULL;
    RETURN '';
END $$;

-- What is left of an account is an id without a person: orders keep it for the books, messages for those who got them.
CREATE OR REPLACE FUNCTION account_erase(p_account uuid) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    events text := '';
    v_id   uuid;
    v_shop uuid;
    peers  record;
BEGIN
    -- Leaving is done in the name of the account.
    PERFORM set_config('plaza.uid', p_account::text, true);
    FOR v_id IN SELECT m.chat_id FROM chat_member AS m JOIN chat AS c ON c.id = m.chat_id AND c.kind = 'group'
                WHERE m.account_id = p_account ORDER BY m.chat_id LOOP
        events := concat(events, group_remove(v_id, p_account));
    END LOOP;
    FOR v_shop, v_id IN SELECT w.shop_id, w.account_id FROM shop_member AS w
                        JOIN shop AS s ON s.id = w.shop_id
                        WHERE p_account IN (w.account_id, s.owner_id) ORDER BY w.shop_id, w.account_id LOOP
        events := concat(events, shop_leave(v_shop, v_id));
    END LOOP;
    events := concat(events, files_revoke(p_account));
    UPDATE chat AS c SET blocked = true
    WHERE c.kind = 'private' AND p_account IN (c.buyer_id, c.seller_id)
      AND c.id IN (SELECT m.chat_id FROM chat_member AS m WHERE m.account_id = p_account);
    UPDATE account
    SET email = id || '@erased.invalid', username = NULL, name = 'Erased user', phone = NULL, avatar_url = NULL,
        email_verified = false, last_login_at = NULL, last_seen_at = NULL, status = 'deleted', deleted_at = now(),
        version = version + 1, updated_at = now()
    WHERE id = p_account;
    UPDATE shop SET name = 'Erased shop', slug = id::text, description = '', location = '', status = 'closed',
                    deleted_at = now(), version = version + 1, updated_at = now()
    WHERE owner_id = p_account;
    events := concat(events, sessions_end(p_account, NULL, 'logout_all'));
    UPDATE session SET device = '', user_agent = '', address = '' WHERE account_id = p_account;
    DELETE FROM credential WHERE account_id = p_account;
    DELETE FROM login_device WHERE account_id = p_account;
    DELETE FROM push_device WHERE account_id = p_account;
    DELETE FROM notification_preference WHERE account_id = p_account;
    DELETE FROM notification_setting WHERE account_id = p_account;
    DELETE FROM notification WHERE account_id = p_account;
    DELETE FROM connection_log WHERE account_id = p_account;
    DELETE FROM block WHERE p_account IN (blocker_id, blocked_id);
    DELETE FROM cart WHERE account_id = p_account AND status = 'open';
    DELETE FROM feed WHERE account_id = p_account;
    FOR peers IN SELECT m.chat_id, array_agg(m.account_id) AS ids FROM chat_member AS m
                 JOIN chat_member AS mine ON mine.chat_id = m.chat_id AND mine.account_id = p_account
                 WHERE m.account_id <> p_account GROUP BY m.chat_id LOOP
        PERFORM feed_lock(peers.ids);
        events := concat(events, chat_changed(peers.chat_id, peers.ids));
    END LOOP;
    DELETE FROM erasure WHERE account_id = p_account;
    RETURN events;
END $$;

-- Job: one account each time, its products first and in pieces. One with orders that are not over waits.
CREATE OR REPLACE FUNCTION job_erase(OUT done bigint, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_account uuid;
BEGIN
    SELECT e.account_id INTO v_account
    FROM erasure AS e
    WHERE e.erase_at <= now() AND erasure_bar(e.account_id) IS NULL
    ORDER BY e.erase_at, e.account_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED;
    done := 0;
    events := '';
    IF FOUND THEN
        UPDATE product SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE id IN (SELECT p.id FROM product AS p WHERE p.seller_id = v_account AND p.deleted_at IS NULL
                     ORDER BY p.id LIMIT 500 FOR NO KEY UPDATE);
        IF NOT FOUND THEN
            events := account_erase(v_account);
        END IF;
        done := 1;
    END IF;
END $$;

GRANT EXECUTE ON FUNCTION retention_json(), retention_set(int, int, int),
    chat_export(uuid, bigint, text, text, int, text) TO plaza_web;
GRANT EXECUTE ON FUNCTION erasure_ask(text, int), erasure_get(), erasure_cancel() TO plaza_auth;
GRANT EXECUTE ON FUNCTION job_purge_messages(), job_erase() TO plaza_relay;
