-- The feed of a user: durable events in the order of `us`, live on u/{user}/in and again by feed_sync(). Notifications
-- are one kind of them.

-- An event on its way: a line of an outbox row, topic US envelope RS. format() costs half of what so many || do.
CREATE OR REPLACE FUNCTION feed_line(p_user uuid, p_type text, p_us bigint, p_epoch text, p_ts text, p_data text)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(E'u/%s/in\x1f{"v":1,"t":"%s","id":"%s-%s","ep":"%s","us":%s,"ts":"%s","d":%s}\x1e',
                  p_user, p_type, p_epoch, p_us, p_epoch, p_us, p_ts, p_data)
$$;

-- Takes the feeds of some users, in the order of all locks.
CREATE OR REPLACE FUNCTION feed_lock(p_users uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM FROM feed_head AS h WHERE h.account_id = ANY (p_users) ORDER BY h.account_id FOR NO KEY UPDATE;
END $$;

-- One event for many users, in one row of the outbox. With a conversation and a seq it is about that message.
CREATE OR REPLACE FUNCTION feed_spread(p_users uuid[], p_type text, p_data text, p_chat uuid DEFAULT NULL,
                                       p_seq bigint DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    ts    text := iso(now());
    lines text[];
BEGIN
    IF cardinality(p_users) > 1 THEN
        PERFORM feed_lock(p_users);
    END IF;
    WITH head AS (
        UPDATE feed_head AS h SET last_us = h.last_us + 1
        WHERE h.account_id = ANY (p_users)
        RETURNING h.account_id, h.last_us, h.epoch
    ), kept AS (
        INSERT INTO feed (account_id, us, type, chat_id, seq, data)
        SELECT h.account_id, h.last_us, p_type, p_chat, p_seq, CASE WHEN p_chat IS NULL THEN p_data END
        FROM head AS h
    )
    SELECT array_agg(feed_line(h.account_id, p_type, h.last_us, h.epoch, ts, p_data)) INTO lines FROM head AS h;
    IF lines IS NULL THEN
        RETURN '';
    END IF;
    RETURN emit_all(lines);
END $$;

-- Where somebody asks for what comes behind `us`, what came before has arrived: those messages were delivered. Locks
-- are taken in the order of sql/README.md: own receipts by conversation, then all feed heads by account.
CREATE OR REPLACE FUNCTION feed_ack(p_from bigint, p_us bigint) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := app_uid();
    r      record;
    told   record;
    peers  uuid[] := '{}'::uuid[];
    data   text[] := '{}'::text[];
    events text := '';
    v_data text;
    had    bigint;
    side   uuid[];
BEGIN
    FOR r IN
        SELECT c, c.id, max(f.seq) AS seq
        FROM feed AS f
        JOIN chat AS c ON c.id = f.chat_id
        WHERE f.account_id = me AND f.us > p_from AND f.us <= p_us AND f.type = 'message:receive'
        GROUP BY c.id
        ORDER BY c.id
    LOOP
        side := chat_side(r.c, me);
        PERFORM FROM chat_member AS m
        WHERE m.chat_id = r.id AND m.account_id = ANY (side)
        ORDER BY m.account_id FOR NO KEY UPDATE;
        SELECT m.recv_seq INTO had FROM chat_member AS m
        WHERE m.chat_id = r.id AND m.account_id = me AND m.recv_seq < r.seq;
        IF FOUND THEN
            UPDATE chat_member AS m SET recv_seq = greatest(m.recv_seq, r.seq)
            WHERE m.chat_id = r.id AND m.account_id = ANY (side);
            v_data := '{"chatId":"' || r.id || '","seq":' || r.seq || ',"userId":"' || me || '"}';
            SELECT peers || array_agg(u.id), data || array_agg(v_data) INTO peers, data
            FROM unnest(receipt_readers(r.c, me, had, r.seq)) AS u (id);
        END IF;
    END LOOP;
    FOR told IN
        SELECT u.peer, u.data FROM unnest(peers, data) AS u (peer, data)
        UNION ALL
        SELECT me, NULL
        ORDER BY peer
    LOOP
        IF told.peer = me THEN
            UPDATE feed_head AS h SET acked_us = greatest(h.acked_us, p_us) WHERE h.account_id = me;
        ELSE
            events := events || feed_append(told.peer, 'message:delivered', told.data);
        END IF;
    END LOOP;
    RETURN events;
END $$;

-- Events behind `since`, as they came over MQTT; a message shows as it is now. Another epoch, or a next number that
-- retention has removed, or no place at all means: reload everything and go on from `to`.
CREATE OR REPLACE FUNCTION feed_sync(p_since bigint, p_epoch text, p_limit int, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me    uuid := app_me();
    h     feed_head;
    found text;
    first bigint;
    upto  bigint;
BEGIN
    SELECT * INTO h FROM feed_head WHERE account_id = me;
    -- A message that retention has removed meanwhile is a reason to look at its conversation.
    SELECT string_agg('{"v":1,"t":"' || CASE WHEN f.chat_id IS NOT NULL AND m.doc IS NULL THEN 'chat:changed' ELSE f.type END
               || '","id":"' || h.epoch || '-' || f.us || '","ep":"' || h.epoch
               || '","us":' || f.us || ',"ts":"' || iso(f.created_at) || '","d":'
               || CASE WHEN f.chat_id IS NULL THEN f.data
                       WHEN m.doc IS NULL THEN '{"chatId":"' || f.chat_id || '"}'
                       WHEN f.type = 'message:sent' THEN message_ref(m.doc, m.cmid)
                       ELSE m.doc END || '}', ',' ORDER BY f.us),
           min(f.us), max(f.us)
    INTO found, first, upto
    FROM (SELECT x.us, x.type, x.chat_id, x.seq, x.data, x.created_at
          FROM feed AS x
          WHERE x.account_id = me AND x.us > p_since
          ORDER BY x.us
          LIMIT p_limit) AS f
    LEFT JOIN message AS m ON m.chat_id = f.chat_id AND m.seq = f.seq;
    IF p_since IS NULL OR p_epoch <> h.epoch OR p_since > h.last_us OR coalesce(first, h.last_us + 1) > p_since + 1 THEN
        body := '{"epoch":"' || h.epoch || '","from":' || coalesce(p_since, 0) || ',"to":' || h.last_us
            || ',"more":false,"reset":true,"events":[]}';
        RETURN;
    END IF;
    upto := coalesce(upto, p_since);
    body := '{"epoch":"' || h.epoch || '","from":' || p_since || ',"to":' || upto
        || ',"more":' || (upto < h.last_us) || ',"reset":false,"events":[' || coalesce(found, '') || ']}';
    -- A bounded piece of what is acknowledged; the next call goes on.
    IF p_since > h.acked_us THEN
        events := feed_ack(h.acked_us, least(p_since, h.acked_us + 5000));
    END IF;
END $$;

-- What a device needs to connect: the shop of a seller, and where the feed stands.
CREATE OR REPLACE FUNCTION realtime_stand(OUT shop uuid, OUT last_us bigint, OUT epoch text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT (SELECT s.id FROM shop AS s WHERE s.owner_id = app_uid() AND s.deleted_at IS NULL), h.last_us, h.epoch
    FROM feed_head AS h
    WHERE h.account_id = app_uid()
$$;

-- ---- notifications ----

CREATE OR REPLACE FUNCTION notification_json(n notification) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || n.id || '","type":"' || n.type || '","title":' || to_json(n.title) || ',"body":' || to_json(n.body)
        || ',"link":' || coalesce(to_json(n.link)::text, 'null') || ',"priority":"' || n.priority
        || '","read":' || (n.read_at IS NOT NULL) || ',"createdAt":"' || iso(n.created_at) || '"}'
$$;

-- Stops counting at a thousand.
CREATE OR REPLACE FUNCTION unread_count(p_user uuid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*)
            FROM (SELECT FROM notification AS n WHERE n.account_id = p_user AND n.read_at IS NULL LIMIT 1000) AS u);
END $$;

-- A line for a user, and its event; no event where the user wants this kind by other ways only. The feed head is locked
-- first, so that the count is right when two come at once.
CREATE OR REPLACE FUNCTION notify(p_user uuid, p_type text, p_title text, p_body text, p_link text, p_priority text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    v_listed boolean := notification_wanted(p_user, p_type, false);
    n        notification;
BEGIN
    PERFORM FROM feed_head AS h WHERE h.account_id = p_user FOR NO KEY UPDATE;
    INSERT INTO notification (id, account_id, type, title, body, link, priority, listed, read_at)
    VALUES (uuid_v7(), p_user, p_type, p_title, p_body, p_link, p_priority, v_listed, CASE WHEN NOT v_listed THEN now() END)
    RETURNING * INTO n;
    PERFORM push_notification(n);
    IF NOT v_listed THEN
        RETURN '';
    END IF;
    RETURN feed_append(p_user, 'notification:new', '{"id":"' || n.id || '","kind":"' || n.type
        || '","title":' || to_json(n.title) || ',"body":' || to_json(n.body)
        || coalesce(',"link":' || to_json(n.link), '') || ',"priority":"' || n.priority
        || '","unread":' || unread_count(p_user) || '}');
END $$;

-- Marks as read one notification, those up to one, or all; or removes them.
CREATE OR REPLACE FUNCTION notification_clear(p_id uuid, p_upto boolean, p_delete boolean, OUT unread bigint, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me     uuid := app_me();
    v_from timestamptz;
BEGIN
    PERFORM FROM feed_head AS h WHERE h.account_id = me FOR NO KEY UPDATE;
    IF p_id IS NOT NULL THEN
        SELECT n.created_at INTO v_from FROM notification AS n WHERE n.id = p_id AND n.account_id = me;
        IF NOT FOUND THEN
            PERFORM raise_problem('not-found');
        END IF;
    END IF;
    IF p_delete THEN
        DELETE FROM notification AS n
        WHERE n.account_id = me
          AND (p_id IS NULL OR n.id = p_id OR p_upto AND (n.created_at, n.id) <= (v_from, p_id));
    ELSE
        UPDATE notification AS n SET read_at = now()
        WHERE n.account_id = me AND n.read_at IS NULL
          AND (p_id IS NULL OR n.id = p_id OR p_upto AND (n.created_at, n.id) <= (v_from, p_id));
    END IF;
    events := '';
    IF FOUND THEN
        unread := unread_count(me);
        events := feed_append(me, 'notification:clear', '{'
            || CASE WHEN p_id IS NULL THEN '' WHEN p_upto THEN '"upTo":"' || p_id || '",' ELSE '"ids":["' || p_id || '"],' END
            || '"removed":' || p_delete || ',"unread":' || unread || '}');
    END IF;
END $$;

-- For other systems of the house, which tell a user something.
CREATE OR REPLACE FUNCTION notification_send(p_user uuid, p_type text, p_title text, p_body text, p_link text,
                                             p_priority text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() NOT IN ('service', 'admin') THEN
        PERFORM raise_problem('forbidden');
    ELSIF NOT EXISTS (SELECT FROM account AS a WHERE a.id = p_user AND a.status = 'active') THEN
        PERFORM raise_problem('not-found');
    ELSIF NOT EXISTS (SELECT FROM notification_kind AS k WHERE k.type = p_type) THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = '/type', CONSTRAINT = 'unknown';
    END IF;
    events := notify(p_user, p_type, p_title, p_body, p_link, p_priority);
    SELECT notification_json(n) INTO body
    FROM notification AS n
    WHERE n.account_id = p_user
    ORDER BY n.created_at DESC, n.id DESC
    LIMIT 1;
END $$;

GRANT EXECUTE ON FUNCTION notification_send(uuid, text, text, text, text, text), notification_json(notification), unread_count(uuid), notification_clear(uuid, boolean, boolean),
    feed_sync(bigint, text, int) TO plaza_web;
GRANT EXECUTE ON FUNCTION realtime_stand() TO plaza_web, plaza_auth;
