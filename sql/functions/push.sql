-- Push messages: to which devices, and what waits for them. A message is queued in the transaction of what it tells, with
-- no more than that it is there; plaza-relay decides when it is due, by what is true then. So whatever was read, removed,
-- muted or blocked meanwhile is not pushed, and nobody has to take anything back.

-- ---- devices ----

-- The device of a session of the caller. Whoever shows an address has it, also when it was another user's before: two
-- people may sign in on one device, one after the other. What waits for the old address of the session goes to the new one.
CREATE OR REPLACE FUNCTION device_put(p_session uuid, p_provider text, p_address text, p_host text, p_point text,
                                      p_auth text, p_name text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me  uuid := app_me();
    old push_device;
    d   push_device;
BEGIN
    -- Held until the end: a session that is ended meanwhile takes its device along.
    PERFORM FROM session AS s
    WHERE s.id = p_session AND s.account_id = me AND s.revoked_at IS NULL AND s.expires_at > now()
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    SELECT * INTO old FROM push_device WHERE session_id = p_session;
    IF (old.address, coalesce(old.key_point, ''), coalesce(old.key_auth, ''))
        = (p_address, coalesce(p_point, ''), coalesce(p_auth, '')) THEN
        UPDATE push_device SET name = p_name WHERE id = old.id RETURNING * INTO d;
        RETURN device_json(d, p_session);
    END IF;
    DELETE FROM push_device WHERE id = old.id;
    INSERT INTO push_device (id, account_id, session_id, provider, address, host, key_point, key_auth, name)
    VALUES (uuid_v7(), me, p_session, p_provider, p_address, p_host, p_point, p_auth, p_name)
    ON CONFLICT (address) DO UPDATE
    SET id = EXCLUDED.id, account_id = EXCLUDED.account_id, session_id = EXCLUDED.session_id,
        provider = EXCLUDED.provider, host = EXCLUDED.host, key_point = EXCLUDED.key_point,
        key_auth = EXCLUDED.key_auth, name = EXCLUDED.name, created_at = EXCLUDED.created_at
    RETURNING * INTO d;
    UPDATE push_queue SET device_id = d.id WHERE device_id = old.id;
    RETURN device_json(d, p_session);
END $$;

CREATE OR REPLACE FUNCTION device_json(d push_device, p_session uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || d.id || '","provider":"' || d.provider || '","name":' || to_json(d.name)
        || ',"current":' || (d.session_id IS NOT DISTINCT FROM p_session) || ',"createdAt":"' || iso(d.created_at) || '"}'
$$;

CREATE OR REPLACE FUNCTION device_remove(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    DELETE FROM push_device WHERE id = p_id AND account_id = me;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

-- ---- queueing ----

-- A message of the caller, for the devices of the others. One that waits already for the conversation stands for this
-- one too, with its place in time, unless what it stood for was read. message_send calls it only where somebody has a
-- device, which costs one look at an index.
CREATE OR REPLACE FUNCTION push_message(p_chat uuid, p_seq bigint) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO push_queue AS q (device_id, topic, account_id, is_chat, seq, read_seq)
    SELECT d.id, p_chat, m.account_id, true, p_seq, m.read_seq
    FROM chat AS c
    JOIN chat_member AS m ON m.chat_id = c.id AND other_side(c, m.account_id, app_uid())
    JOIN push_device AS d ON d.account_id = m.account_id
    WHERE c.id = p_chat AND NOT m.muted AND NOT m.archived
    ORDER BY d.id
    ON CONFLICT (device_id, topic) DO UPDATE
    SET seq = EXCLUDED.seq, read_seq = EXCLUDED.read_seq, queued_at = now(),
        since = CASE WHEN EXCLUDED.read_seq >= q.seq THEN now() ELSE q.since END,
        looked = q.looked AND (q.leased OR EXCLUDED.read_seq < q.seq),
        attempts = CASE WHEN EXCLUDED.read_seq >= q.seq AND NOT q.leased THEN 0 ELSE q.attempts END;
END $$;

-- A new notification, for the devices of its user.
CREATE OR REPLACE FUNCTION push_notification(n notification) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM push_device AS d WHERE d.account_id = n.account_id)
       AND notification_wanted(n.account_id, n.type, true) THEN
        INSERT INTO push_queue (device_id, topic, account_id, is_chat, critical, looked)
        SELECT d.id, n.id, n.account_id, false, k.critical, k.critical
        FROM push_device AS d
        JOIN notification_kind AS k ON k.type = n.type
        WHERE d.account_id = n.account_id
        ORDER BY d.id;
    END IF;
END $$;

-- ---- sending: plaza-relay ----

-- Users for whom something waits that nobody has looked at: are they there?
CREATE OR REPLACE FUNCTION push_new(p_limit int) RETURNS TABLE (account uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT DISTINCT q.account_id FROM push_queue AS q WHERE NOT q.looked LIMIT p_limit
$$;

-- The answers: how many seconds after its time a message is due.
CREATE OR REPLACE FUNCTION push_hold(p_accounts uuid[], p_waits bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    UPDATE push_queue AS q
    SET looked = true, due_at = q.since + u.wait * interval '1 second'
    FROM unnest(p_accounts, p_waits) AS u (account, wait)
    WHERE q.account_id = u.account AND NOT q.looked
$$;

-- What a push message of a conversation says: its newest message that the user has not read and may see. Those from
-- before have had their push message.
CREATE OR REPLACE FUNCTION push_chat_text(q push_queue, p_preview boolean, p_es boolean,
                                          OUT title text, OUT body text)
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
BEGIN
    SELECT CASE c.kind WHEN 'private' THEN a.name ELSE concat_ws(': ', c.title, a.name) END,
           CASE WHEN NOT p_preview THEN CASE WHEN p_es THEN 'Mensaje nuevo' ELSE 'New message' END
                WHEN m.body <> '' THEN left(m.body, 300)
                ELSE CASE m.type WHEN 'image' THEN CASE WHEN p_es THEN 'Imagen' ELSE 'Picture' END
                                 WHEN 'file' THEN CASE WHEN p_es THEN 'Archivo' ELSE 'File' END
                                 ELSE CASE WHEN p_es THEN 'Producto' ELSE 'Product' END END END
    INTO title, body
    FROM chat AS c
    JOIN chat_member AS me ON me.chat_id = c.id AND me.account_id = q.account_id
    JOIN message AS m ON m.chat_id = c.id AND m.seq > me.read_seq
    JOIN account AS a ON a.id = m.sender_id
    WHERE c.id = q.topic AND NOT c.blocked AND NOT me.muted AND NOT me.archived AND m.deleted_at IS NULL
      AND m.created_at >= q.since AND m.sender_id <> q.account_id AND NOT blocked_between(q.account_id, m.sender_id)
    ORDER BY m.seq DESC
    LIMIT 1;
END $$;

-- Everything unread of a user: the number on the application's icon.
CREATE OR REPLACE FUNCTION push_badge(p_user uuid) RETURNS bigint
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    -- my_chat counts for the caller.
    PERFORM set_config('plaza.uid', p_user::text, true);
    RETURN unread_count(p_user) + coalesce((SELECT sum(c.unread) FROM my_chat AS c WHERE c.unread > 0), 0);
END $$;

-- Counts what became of messages.
CREATE OR REPLACE FUNCTION push_tally(p_outcome text, p_n bigint) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO push_count AS c (outcome, n) VALUES (p_outcome, p_n)
    ON CONFLICT (outcome) DO UPDATE SET n = c.n + EXCLUDED.n;
END $$;

-- What a message that is due says, judged by what is true now. No title: it is not to be sent. `wait_until`: not yet.
CREATE OR REPLACE FUNCTION push_judge(q push_queue, OUT title text, OUT body text, OUT kind text, OUT link text,
                                      OUT wait_until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
DECLARE
    a account;
    s notification_setting;
    n notification;
BEGIN
    SELECT * INTO a FROM account WHERE id = q.account_id AND status = 'active';
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO s FROM notification_setting WHERE account_id = q.account_id;
    IF q.is_chat THEN
        kind := 'chat.message';
        link := '/chats/' || q.topic;
        SELECT t.title, t.body INTO title, body
        FROM push_chat_text(q, coalesce(s.preview, true), a.locale = 'es') AS t;
    ELSE
        -- One that is not listed was never unread.
        SELECT * INTO n FROM notification AS x
        WHERE x.id = q.topic AND x.account_id = q.account_id AND (x.read_at IS NULL OR NOT x.listed);
        kind := n.type;
        link := n.link;
        title := n.title;
        body := CASE WHEN coalesce(s.preview, true) THEN left(n.body, 300) ELSE '' END;
    END IF;
    IF title IS NOT NULL AND NOT notification_wanted(q.account_id, kind, true) THEN
        title := NULL;
    ELSIF NOT q.critical THEN
        wait_until := quiet_until(s, now());
    END IF;
END $$;

-- Takes what is due and still to be sent; the rest is dropped or put off. What is returned is on its way for p_lease
-- seconds, and then due again: whoever took it may have died. Hosts of p_busy are left for later, and none gets more than
-- p_share at once.
CREATE OR REPLACE FUNCTION push_take(p_limit int, p_share int, p_busy text[], p_lease int, p_life int)
RETURNS TABLE (device uuid, topic uuid, seq bigint, provider text, host text, address text, point text, auth text,
               title text, body text, kind text, link text, badge bigint, ttl int, urgent boolean, attempts int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
#variable_conflict use_column
DECLARE
    q     push_queue;
    d     push_device;
    j     record;
    taken jsonb := '{}'::jsonb;
    n     int;
BEGIN
    FOR q IN
        SELECT x.*
        FROM push_queue AS x
        LEFT JOIN push_device AS y ON y.id = x.device_id
        WHERE x.looked AND x.due_at <= now() AND (y.id IS NULL OR y.host <> ALL (p_busy))
        ORDER BY x.due_at
        LIMIT p_limit
        FOR UPDATE OF x SKIP LOCKED
    LOOP
        SELECT y.* INTO d
        FROM push_device AS y
        JOIN session AS s ON s.id = y.session_id AND s.revoked_at IS NULL AND s.expires_at > now()
        WHERE y.id = q.device_id AND y.account_id = q.account_id;
        n := coalesce((taken->>d.host)::int, 0);
        CONTINUE WHEN n >= p_share;
        SELECT * INTO j FROM push_judge(q);
        IF d.id IS NULL OR j.title IS NULL OR q.queued_at < now() - p_life * interval '1 second' THEN
            DELETE FROM push_queue AS x WHERE x.device_id = q.device_id AND x.topic = q.topic;
            PERFORM push_tally(CASE WHEN d.id IS NULL OR j.title IS NULL THEN 'cancelled'
                                    WHEN q.attempts = 0 THEN 'expired' ELSE 'dead' END, 1);
            CONTINUE;
        ELSIF j.wait_until IS NOT NULL THEN
            UPDATE push_queue AS x SET due_at = j.wait_until, leased = false
            WHERE x.device_id = q.device_id AND x.topic = q.topic;
            CONTINUE;
        END IF;
        taken := taken || jsonb_build_object(d.host, n + 1);
        UPDATE push_queue AS x
        SET due_at = now() + p_lease * interval '1 second', leased = true, attempts = x.attempts + 1
        WHERE x.device_id = q.device_id AND x.topic = q.topic;
        RETURN QUERY SELECT q.device_id, q.topic, q.seq, d.provider, d.host, d.address, d.key_point, d.key_auth, j.title, j.body,
            j.kind, j.link, push_badge(q.account_id),
            greatest(p_life - extract(epoch FROM now() - q.queued_at)::int, 0), q.critical OR q.is_chat, q.attempts;
    END LOOP;
END $$;

-- What became of those that were taken: sent, dead, gone (the device), or retry in some seconds. Where a newer message
-- came meanwhile, its turn begins.
CREATE OR REPLACE FUNCTION push_done(p_devices uuid[], p_topics uuid[], p_seqs bigint[], p_outcomes text[],
                                     p_waits bigint[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    r record;
BEGIN
    FOR r IN
        SELECT u.device, u.topic, u.seq, u.outcome, u.wait
        FROM unnest(p_devices, p_topics, p_seqs, p_outcomes, p_waits) AS u (device, topic, seq, outcome, wait)
        ORDER BY u.outcome <> 'gone', u.device, u.topic -- devices are locked before messages
    LOOP
        PERFORM push_tally(r.outcome, 1);
        IF r.outcome = 'gone' THEN
            DELETE FROM push_device WHERE id = r.device;
            DELETE FROM push_queue WHERE device_id = r.device;
        ELSIF r.outcome = 'retry' THEN
            UPDATE push_queue SET leased = false, due_at = now() + r.wait * interval '1 second'
            WHERE device_id = r.device AND topic = r.topic;
        ELSE
            DELETE FROM push_queue WHERE device_id = r.device AND topic = r.topic AND seq = r.seq;
            UPDATE push_queue
            SET leased = false, looked = false, attempts = 0, since = queued_at
            WHERE device_id = r.device AND topic = r.topic;
        END IF;
    END LOOP;
END $$;

-- What another process had on its way when it ended is due at once.
CREATE OR REPLACE FUNCTION push_recover() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH again AS (UPDATE push_queue SET leased = false, due_at = now() WHERE leased RETURNING 1)
    SELECT count(*) FROM again
$$;

-- For the metrics: what became of messages, and how many wait.
CREATE OR REPLACE FUNCTION push_stats() RETURNS TABLE (name text, n bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT c.outcome, c.n FROM push_count AS c
    UNION ALL
    SELECT 'waiting', count(*) FROM push_queue
    ORDER BY 1
$$;

GRANT EXECUTE ON FUNCTION device_put(uuid, text, text, text, text, text, text), device_json(push_device, uuid),
    device_remove(uuid), push_stats() TO plaza_web;
GRANT EXECUTE ON FUNCTION push_new(int), push_hold(uuid[], bigint[]), push_take(int, int, text[], int, int),
    push_done(uuid[], uuid[], bigint[], text[], bigint[]), push_recover() TO plaza_relay;
