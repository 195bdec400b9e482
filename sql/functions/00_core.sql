-- Identity, problems, idempotency, events: used by every domain. What writes is in PL/pgSQL, which keeps its plans; a
-- function in SQL is planned at each call, unless the planner can put its body in the place of the call.

-- Ends the statement with a problem of problems.def; the detail may be shown to the client.
CREATE OR REPLACE FUNCTION raise_problem(p_slug text, p_detail text DEFAULT '', p_retry_s int DEFAULT 0)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = p_slug, DETAIL = p_detail,
        HINT = CASE WHEN p_retry_s > 0 THEN 'retry=' || p_retry_s ELSE '' END;
END $$;

-- Tells the transaction who acts. A session must live; without one (MQTT, jobs) the account must.
-- No SET search_path: it runs before every statement, and all names in it are qualified. For the same reason the look
-- at the session and what depends on it are one statement.
CREATE OR REPLACE FUNCTION app_enter(p_user uuid, p_session uuid, p_role text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF p_session IS NOT NULL THEN
        PERFORM set_config('plaza.uid', p_user::text, true), set_config('plaza.role', p_role, true)
        FROM plaza.session AS s
        WHERE s.id = p_session AND s.account_id = p_user AND s.revoked_at IS NULL AND s.expires_at > now();
        IF NOT FOUND THEN
            PERFORM plaza.raise_problem('invalid-token', 'The session has ended.');
        END IF;
        RETURN;
    ELSIF p_user IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM plaza.account AS a WHERE a.id = p_user AND a.status = 'active') THEN
            PERFORM plaza.raise_problem('account-suspended');
        END IF;
    END IF;
    PERFORM set_config('plaza.uid', coalesce(p_user::text, ''), true),
            set_config('plaza.role', p_role, true);
END $$;

-- The caller, or the problem 'unauthenticated'.
CREATE OR REPLACE FUNCTION app_me() RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
    me uuid := app_uid();
BEGIN
    IF me IS NULL THEN
        PERFORM raise_problem('unauthenticated');
    END IF;
    RETURN me;
END $$;

-- UUID version 7 (RFC 9562 section 5.7) from the clock and random bits.
CREATE OR REPLACE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;

-- RFC 3339 in UTC with milliseconds. STABLE as to_char() is: of an immutable one the planner would make no expression.
CREATE OR REPLACE FUNCTION iso(p timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(p AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- Claims an Idempotency-Key for this transaction by a lock alone: the row comes with the answer. PZ001 tells that a
-- finished one waits.
CREATE OR REPLACE FUNCTION idem_claim(p_scope text, p_key text, p_hash text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me    uuid := coalesce(app_uid(), '00000000-0000-0000-0000-000000000000');
    found_hash text;
BEGIN
    -- A second request with the key must be told so, not wait for the first one's commit.
    IF NOT pg_try_advisory_xact_lock(hashtextextended(me::text || p_scope || ' ' || p_key, 0)) THEN
        PERFORM raise_problem('idempotency-key-in-flight', '', 1);
    END IF;
    -- Behind the lock: this sees what the one that held it before has committed.
    SELECT i.hash INTO found_hash
    FROM idempotency AS i
    WHERE i.account_id = me AND i.scope = p_scope AND i.key = p_key;
    IF NOT FOUND THEN
        RETURN 'new';
    ELSIF found_hash <> p_hash THEN
        PERFORM raise_problem('idempotency-key-reused');
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'PZ001', MESSAGE = 'replay';
END $$;

CREATE OR REPLACE FUNCTION idem_store(p_scope text, p_key text, p_hash text, p_status int, p_headers text, p_body text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO idempotency (account_id, scope, key, hash, status, headers, body)
    VALUES (coalesce(app_uid(), '00000000-0000-0000-0000-000000000000'), p_scope, p_key, p_hash, p_status, p_headers,
            p_body);
END $$;

-- Writes an event for the broker and returns its line for the fast path (see sql/README.md).
CREATE OR REPLACE FUNCTION emit(p_topic text, p_payload text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    INSERT INTO outbox (topic, payload) VALUES (p_topic, p_payload) RETURNING id INTO n;
    RETURN n || E'\x1f' || p_topic || E'\x1f' || p_payload || E'\x1e';
END $$;

-- Several events, each as its topic, US, payload, RS, in one row of the outbox. Only the last one carries the row's id:
-- the broker confirms in order.
CREATE OR REPLACE FUNCTION emit_all(p_events text[]) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    last int := cardinality(p_events);
    n    bigint;
BEGIN
    INSERT INTO outbox (topic, payload) VALUES ('', array_to_string(p_events, '')) RETURNING id INTO n;
    RETURN concat(E'0\x1f' || nullif(array_to_string(p_events[:last - 1], E'0\x1f'), ''), n, E'\x1f', p_events[last]);
END $$;

-- The envelope of an event; `us` and `ep` only where it belongs to a feed.
CREATE OR REPLACE FUNCTION envelope(p_type text, p_data text, p_us bigint DEFAULT NULL, p_epoch text DEFAULT NULL)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT '{"v":1,"t":"' || p_type || '","id":"'
        || CASE WHEN p_us IS NULL THEN uuid_v7()::text ELSE p_epoch || '-' || p_us END || '"'
        || CASE WHEN p_us IS NULL THEN '' ELSE ',"ep":"' || p_epoch || '","us":' || p_us END
        || ',"ts":"' || iso(now()) || '","d":' || p_data || '}'
$$;

-- Next number of a user's feed, the row, and the event on u/{user}/in. Lock order: ascending user id.
CREATE OR REPLACE FUNCTION feed_append(p_user uuid, p_type text, p_data text,
                                       p_chat uuid DEFAULT NULL, p_seq bigint DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    h feed_head;
BEGIN
    UPDATE feed_head SET last_us = last_us + 1 WHERE account_id = p_user RETURNING * INTO h;
    INSERT INTO feed (account_id, us, type, chat_id, seq, data)
    VALUES (p_user, h.last_us, p_type, p_chat, p_seq, CASE WHEN p_chat IS NULL THEN p_data END);
    RETURN emit('u/' || p_user || '/in', envelope(p_type, p_data, h.last_us, h.epoch));
END $$;

-- An event for the staff of a shop.
CREATE OR REPLACE FUNCTION shop_emit(p_shop uuid, p_type text, p_data text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN emit('s/' || p_shop || '/in', envelope(p_type, p_data));
END $$;

-- A durable one: a line of the owner's feed, sent to the shop instead of the owner.
CREATE OR REPLACE FUNCTION shop_tell(p_shop uuid, p_owner uuid, p_type text, p_data text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    h feed_head;
BEGIN
    UPDATE feed_head SET last_us = last_us + 1 WHERE account_id = p_owner RETURNING * INTO h;
    INSERT INTO feed (account_id, us, type, data) VALUES (p_owner, h.last_us, p_type, p_data);
    RETURN emit('s/' || p_shop || '/in', envelope(p_type, p_data, h.last_us, h.epoch));
END $$;

-- Confirmed rows leave the outbox. Any program may confirm any id: a row that is lost so is repaired by /sync.
CREATE OR REPLACE FUNCTION outbox_confirm(p_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    DELETE FROM outbox WHERE id = ANY (p_ids);
END $$;

GRANT EXECUTE ON FUNCTION app_enter(uuid, uuid, text), app_me(), raise_problem(text, text, int), uuid_v7(),
    iso(timestamptz), idem_claim(text, text, text), idem_store(text, text, text, int, text, text)
    TO plaza_web, plaza_auth, plaza_relay;
GRANT EXECUTE ON FUNCTION outbox_confirm(bigint[]) TO plaza_web, plaza_auth, plaza_relay;
