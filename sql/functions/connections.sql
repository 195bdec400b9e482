-- The log of connections to the broker, written by plaza-ingest from what the plugin reports.

-- Many edges in the order in which they were seen, so that a storm of them is a few statements. A device has one
-- connection: an end that was missed shows when it comes again.
CREATE OR REPLACE FUNCTION connections_note(p_kinds text[], p_users uuid[], p_devices text[], p_at text[],
                                            p_transports text[], p_reasons text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    e record;
    n bigint := 0;
BEGIN
    FOR e IN
        SELECT u.kind, u.account, u.device, u.at::timestamptz AS at, u.transport, nullif(u.reason, '') AS reason
        FROM unnest(p_kinds, p_users, p_devices, p_at, p_transports, p_reasons)
             WITH ORDINALITY AS u (kind, account, device, at, transport, reason, n)
        ORDER BY u.n
    LOOP
        n := n + 1;
        IF e.kind = 'bye' THEN -- comes a moment before the end, or as a last will after it
            UPDATE connection_log AS c SET reason = coalesce(c.reason, e.reason)
            WHERE c.id = (SELECT l.id FROM connection_log AS l
                          WHERE l.account_id = e.account AND l.device = e.device
                            AND (l.ended_at IS NULL OR l.ended_at > now() - interval '1 minute')
                          ORDER BY l.id DESC LIMIT 1);
            CONTINUE;
        ELSIF e.kind = 'seen' AND EXISTS (SELECT FROM connection_log AS l
                                          WHERE l.account_id = e.account AND l.device = e.device
                                            AND l.ended_at IS NULL) THEN
            CONTINUE;
        END IF;
        UPDATE connection_log AS c
        SET ended_at = greatest(e.at, c.connected_at),
            reason = CASE e.kind WHEN 'down' THEN coalesce(e.reason, c.reason) ELSE 'replaced' END
        WHERE c.account_id = e.account AND c.device = e.device AND c.ended_at IS NULL;
        IF e.kind <> 'down' THEN
            INSERT INTO connection_log (account_id, device, transport, connected_at)
            SELECT a.id, e.device, e.transport, e.at FROM account AS a WHERE a.id = e.account;
        END IF;
    END LOOP;
    RETURN n;
END $$;

-- For administrators: how many are there now, and how many came in the last hour.
CREATE OR REPLACE FUNCTION connection_counts() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    RETURN (SELECT concat('{"connections":', count(*), ',"users":', count(DISTINCT c.account_id),
                          ',"tcp":', count(*) FILTER (WHERE c.transport = 'tcp'),
                          ',"ws":', count(*) FILTER (WHERE c.transport = 'ws'),
                          ',"connectedLastHour":', (SELECT count(*) FROM connection_log AS l
                                                    WHERE l.connected_at > now() - interval '1 hour'), '}')
            FROM connection_log AS c
            WHERE c.ended_at IS NULL);
END $$;

-- Job: connections older than 30 days leave the log. One that is open for longer than any token lives (an hour and the
-- grace at its end) is over: the broker died, or nobody heard it say so.
CREATE OR REPLACE FUNCTION job_connections() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH lost AS (
        UPDATE connection_log SET ended_at = now(), reason = coalesce(reason, 'lost')
        WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM connection_log AS c
                                WHERE c.ended_at IS NULL AND c.connected_at < now() - interval '62 minutes'
                                LIMIT 1000))
        RETURNING 1
    ), gone AS (
        DELETE FROM connection_log
        WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM connection_log AS c
                                WHERE c.connected_at < now() - interval '30 days' AND c.ended_at IS NOT NULL
                                ORDER BY c.connected_at LIMIT 1000))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM lost) + (SELECT count(*) FROM gone)
$$;

GRANT EXECUTE ON FUNCTION connections_note(text[], uuid[], text[], text[], text[], text[]), connection_counts()
    TO plaza_web;
GRANT EXECUTE ON FUNCTION job_connections() TO plaza_relay;
