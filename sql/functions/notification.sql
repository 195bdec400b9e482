-- What users want to be told, by which way, and when not.

-- Whether a user wants a kind of notification in the list or as push messages. One that has no line in
-- notification_kind is listed and nothing else.
CREATE OR REPLACE FUNCTION notification_wanted(p_user uuid, p_type text, p_push boolean) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
DECLARE
    k record;
    c notification_preference;
BEGIN
    SELECT * INTO k FROM notification_kind WHERE type = p_type;
    IF NOT FOUND THEN
        RETURN NOT p_push;
    ELSIF NOT p_push AND k.inbox_fixed THEN
        RETURN k.inbox;
    END IF;
    SELECT * INTO c FROM notification_preference WHERE account_id = p_user AND type = p_type;
    RETURN CASE WHEN p_push THEN coalesce(c.push, k.push) ELSE coalesce(c.inbox, k.inbox) END;
END $$;

-- The end of the user's quiet hours when p_at is within them, else NULL. Those that began yesterday count.
CREATE OR REPLACE FUNCTION quiet_until(s notification_setting, p_at timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = plaza, pg_temp AS $$
DECLARE
    local CONSTANT timestamp := p_at AT TIME ZONE s.time_zone;
    day   date;
    ends  timestamp;
BEGIN
    FOR back IN 0..CASE WHEN s.quiet_from IS NULL THEN -1 ELSE 1 END LOOP
        day := local::date - back;
        ends := day + make_interval(mins => s.quiet_to::int)
            + CASE WHEN s.quiet_to <= s.quiet_from THEN interval '1 day' ELSE interval '0' END;
        IF s.quiet_days & (1 << (extract(isodow FROM day)::int - 1)) <> 0
           AND local >= day + make_interval(mins => s.quiet_from::int) AND local < ends THEN
            RETURN ends AT TIME ZONE s.time_zone;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- ---- preferences ----

-- Minutes of a day as HH:MM and back.
CREATE OR REPLACE FUNCTION clock_text(p_minutes int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_char(make_interval(mins => p_minutes), 'HH24:MI')
$$;
CREATE OR REPLACE FUNCTION clock_minutes(p_text text, p_pointer text) RETURNS int
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF p_text !~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = p_pointer, CONSTRAINT = 'format';
    END IF;
    RETURN substr(p_text, 1, 2)::int * 60 + substr(p_text, 4)::int;
END $$;

CREATE OR REPLACE FUNCTION preference_json() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    es boolean := (SELECT a.locale = 'es' FROM account AS a WHERE a.id = me);
    s  notification_setting;
BEGIN
    SELECT * INTO s FROM notification_setting WHERE account_id = me;
    RETURN (SELECT json_build_object(
        'preview', coalesce(s.preview, true),
        'quietHours', CASE WHEN s.quiet_from IS NOT NULL THEN json_build_object(
            'from', clock_text(s.quiet_from), 'to', clock_text(s.quiet_to), 'timeZone', s.time_zone,
            'days', (SELECT json_agg(d ORDER BY d) FROM generate_series(1, 7) AS d
                     WHERE s.quiet_days & (1 << (d - 1)) <> 0)) END,
        'types', json_agg(json_build_object(
            'type', k.type, 'title', CASE WHEN es THEN k.title_es ELSE k.title_en END, 'critical', k.critical,
            'inbox', CASE WHEN k.inbox_fixed THEN k.inbox ELSE coalesce(c.inbox, k.inbox) END,
            'inboxFixed', k.inbox_fixed,
            'push', coalesce(c.push, k.push), 'email', coalesce(c.email, k.email), 'sms', coalesce(c.sms, k.sms))
            ORDER BY k.place))::text
        FROM notification_kind AS k
        LEFT JOIN notification_preference AS c ON c.account_id = me AND c.type = k.type);
END $$;

-- The quiet hours of a document that has them, or their end.
CREATE OR REPLACE FUNCTION quiet_put(p_me uuid, q jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    v_days smallint := 127;
BEGIN
    IF q = 'null' THEN
        UPDATE notification_setting SET quiet_from = NULL, quiet_to = NULL WHERE account_id = p_me;
        RETURN;
    ELSIF NOT EXISTS (SELECT FROM pg_timezone_names AS z WHERE z.name = q->>'timeZone') THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = '/quietHours/timeZone',
            CONSTRAINT = 'unknown';
    ELSIF q->'days' <> 'null' THEN
        IF EXISTS (SELECT FROM jsonb_array_elements(q->'days') AS d WHERE d::bigint NOT BETWEEN 1 AND 7)
           OR q->'days' = '[]' THEN
            RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = '/quietHours/days',
                CONSTRAINT = 'out_of_range';
        END IF;
        SELECT bit_or(1 << (d::int - 1)) INTO v_days FROM jsonb_array_elements(q->'days') AS d;
    END IF;
    UPDATE notification_setting
    SET quiet_from = clock_minutes(q->>'from', '/quietHours/from'), quiet_to = clock_minutes(q->>'to', '/quietHours/to'),
        quiet_days = v_days, time_zone = q->>'timeZone'
    WHERE account_id = p_me;
END $$;

-- Changes what the document names and leaves the rest. Its shape was checked; its values are checked here.
CREATE OR REPLACE FUNCTION preference_put(p_doc text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me  uuid := app_me();
    doc jsonb := p_doc::jsonb;
    t   record;
BEGIN
    INSERT INTO notification_setting (account_id) VALUES (me) ON CONFLICT DO NOTHING;
    UPDATE notification_setting SET preview = coalesce((doc->>'preview')::boolean, preview) WHERE account_id = me;
    IF doc ? 'quietHours' THEN
        PERFORM quiet_put(me, doc->'quietHours');
    END IF;
    FOR t IN
        SELECT u.n - 1 AS place, u.c, k.type, k.inbox_fixed AND (u.c->>'inbox')::boolean <> k.inbox AS refused
        FROM jsonb_array_elements(coalesce(nullif(doc->'types', 'null'), '[]')) WITH ORDINALITY AS u (c, n)
        LEFT JOIN notification_kind AS k ON k.type = u.c->>'type'
        ORDER BY u.n
    LOOP
        IF t.type IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid',
                COLUMN = '/types/' || t.place || '/type', CONSTRAINT = 'unknown';
        ELSIF t.refused THEN
            RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid',
                COLUMN = '/types/' || t.place || '/inbox', CONSTRAINT = 'not_allowed';
        END IF;
        INSERT INTO notification_preference AS p (account_id, type, inbox, push, email, sms)
        VALUES (me, t.type, (t.c->>'inbox')::boolean, (t.c->>'push')::boolean, (t.c->>'email')::boolean,
                (t.c->>'sms')::boolean)
        ON CONFLICT (account_id, type) DO UPDATE
        SET inbox = coalesce(EXCLUDED.inbox, p.inbox), push = coalesce(EXCLUDED.push, p.push),
            email = coalesce(EXCLUDED.email, p.email), sms = coalesce(EXCLUDED.sms, p.sms);
    END LOOP;
    RETURN preference_json();
END $$;

-- ---- retention ----

-- What was read leaves the lists after 90 days, what was not after a year.
CREATE OR REPLACE FUNCTION job_purge_notifications() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH gone AS (
        DELETE FROM notification
        WHERE ctid = ANY (ARRAY(SELECT n.ctid FROM notification AS n
                                WHERE n.created_at < now() - interval '90 days'
                                  AND (n.read_at IS NOT NULL OR n.created_at < now() - interval '1 year')
                                ORDER BY n.created_at
                                LIMIT 1000))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

GRANT EXECUTE ON FUNCTION preference_json(), preference_put(text) TO plaza_web;
GRANT EXECUTE ON FUNCTION job_purge_notifications() TO plaza_relay;
