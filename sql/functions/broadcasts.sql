-- Announcements. They are told once, to whoever listens; who comes later asks for those that still stand.

CREATE OR REPLACE FUNCTION broadcast_topic(b broadcast) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE b.audience WHEN 'all' THEN 'b/all' ELSE 'b/role/' || b.audience END
$$;

CREATE OR REPLACE FUNCTION broadcast_json(b broadcast) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"id":"', b.id, '","audience":"', b.audience, '","level":"', b.level, '","text":', to_json(b.body),
        ',"textEs":', coalesce(to_json(b.body_es)::text, 'null'), ',"until":"', iso(b.until),
        '","createdAt":"', iso(b.created_at), '"}')
$$;

CREATE OR REPLACE FUNCTION broadcast_create(p_id uuid, p_audience text, p_level text, p_body text, p_body_es text,
                                            p_until text, OUT body text, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    b broadcast;
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    INSERT INTO broadcast (id, audience, level, body, body_es, until, created_by)
    VALUES (p_id, p_audience, p_level, p_body, p_body_es, p_until::timestamptz, app_me())
    RETURNING * INTO b;
    body := broadcast_json(b);
    events := emit(broadcast_topic(b), envelope('broadcast:new', concat('{"broadcastId":"', b.id, '","audience":"',
        b.audience, '","level":"', b.level, '","text":', to_json(b.body), ',"textEs":' || to_json(b.body_es),
        ',"until":"', iso(b.until), '"}')));
END $$;

-- Withdraws one before its time.
CREATE OR REPLACE FUNCTION broadcast_end(p_id uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    b broadcast;
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    UPDATE broadcast SET ended_at = now() WHERE id = p_id AND ended_at IS NULL AND until > now() RETURNING * INTO b;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN emit(broadcast_topic(b), envelope('broadcast:end', '{"broadcastId":"' || b.id || '"}'));
END $$;

-- Those that stand now for the caller's role; all of them for an administrator who asks so.
CREATE OR REPLACE FUNCTION broadcast_current(p_all boolean) RETURNS TABLE (id uuid, body text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT b.id, broadcast_json(b)
    FROM broadcast AS b
    WHERE b.ended_at IS NULL AND b.until > now()
      AND (b.audience IN ('all', app_role()) OR p_all AND app_role() = 'admin')
    ORDER BY b.created_at DESC, b.id DESC
    LIMIT 100
$$;

GRANT EXECUTE ON FUNCTION broadcast_create(uuid, text, text, text, text, text), broadcast_end(uuid),
    broadcast_current(boolean) TO plaza_web;
