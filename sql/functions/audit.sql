-- The audit trail: rows without gaps, each with a hash over itself and the one before.

-- Its arguments in one text that cannot be cut in two ways.
CREATE OR REPLACE FUNCTION audit_hash(p_before bytea, a audit) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(p_before || convert_to(json_build_array(a.n, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor_id,
        a.actor_role, a.action, a.object, a.object_id, a.data, a.request_id)::text, 'UTF8'))
$$;

-- Writes down what the caller does. It takes the last of all locks: call it at the end.
CREATE OR REPLACE FUNCTION audit_append(p_action text, p_object text, p_object_id text, p_data json, p_request text)
RETURNS void LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    h audit_head;
    a audit;
BEGIN
    SELECT * INTO h FROM audit_head FOR UPDATE;
    a := ROW(h.n + 1, clock_timestamp(), app_uid(), coalesce(app_role(), ''), p_action, p_object, p_object_id,
             json_strip_nulls(p_data)::text, p_request, NULL);
    a.hash := audit_hash(h.hash, a);
    INSERT INTO audit SELECT a.*;
    UPDATE audit_head SET n = a.n, hash = a.hash;
END $$;

CREATE OR REPLACE FUNCTION audit_json(a audit) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format('{"id":%s,"at":"%s","actorId":%s,"actorRole":%s,"action":"%s","object":"%s","objectId":%s,"data":%s,'
                  '"requestId":%s,"chainHash":"%s"}',
                  a.n, iso(a.at), coalesce(to_json(a.actor_id)::text, 'null'), to_json(a.actor_role), a.action, a.object,
                  to_json(a.object_id), a.data, to_json(a.request_id), encode(a.hash, 'hex'))
$$;

-- A page of it, the newest first; NULL filters nothing.
CREATE OR REPLACE FUNCTION audit_page(p_actor uuid, p_object text, p_action text, p_below bigint, p_limit int)
RETURNS TABLE (body text, k1 bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    RETURN QUERY
    SELECT audit_json(a), a.n
    FROM audit AS a
    WHERE (p_actor IS NULL OR a.actor_id = p_actor)
      AND (p_object IS NULL OR a.object_id = p_object)
      AND (p_action IS NULL OR a.action = p_action)
      AND (p_below IS NULL OR a.n < p_below)
    ORDER BY a.n DESC
    LIMIT p_limit;
END $$;

-- Reads the whole chain again. `brokenAt` is the first row that does not follow from the one before, or the place of
-- one that is missing.
CREATE OR REPLACE FUNCTION audit_verify() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    h      audit_head;
    last   bigint;
    broken bigint;
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    SELECT * INTO h FROM audit_head;
    SELECT min(c.expected), max(c.n)
    INTO broken, last
    FROM (SELECT a.n, row_number() OVER w AS expected,
                 a.n <> row_number() OVER w
                 OR a.hash <> audit_hash(coalesce(lag(a.hash) OVER w, '\x'), a) AS bad
          FROM audit AS a
          WINDOW w AS (ORDER BY a.n)) AS c
    WHERE c.bad;
    SELECT coalesce(max(a.n), 0) INTO last FROM audit AS a;
    IF broken IS NULL AND (last <> h.n OR last > 0 AND h.hash <> (SELECT a.hash FROM audit AS a WHERE a.n = last)) THEN
        broken := least(last, h.n) + 1;
    END IF;
    RETURN '{"entries":' || h.n || ',"valid":' || (broken IS NULL) || ',"brokenAt":' || coalesce(broken::text, 'null')
        || ',"head":"' || encode(h.hash, 'hex') || '"}';
END $$;

GRANT EXECUTE ON FUNCTION audit_page(uuid, text, text, bigint, int), audit_verify() TO plaza_web;
