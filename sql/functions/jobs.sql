-- What plaza-relay does by the clock. A job does a bounded piece and returns how much; it is called again while there is more.

-- True when this connection leads: the first to take the lock, until it ends.
CREATE OR REPLACE FUNCTION relay_lead() RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_locks AS l
                   WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.granted
                     AND l.classid = 20260 AND l.objid = 1)
        OR pg_try_advisory_lock(20260, 1)
$$;

CREATE OR REPLACE FUNCTION job_purge_idempotency() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH gone AS (
        DELETE FROM idempotency
        WHERE ctid = ANY (ARRAY(SELECT i.ctid FROM idempotency AS i
                                WHERE i.created_at < now() - interval '7 days' LIMIT 1000))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

-- Events older than 30 days leave the feeds; floor_us tells a client that was away so long to reload.
CREATE OR REPLACE FUNCTION job_purge_feed() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH gone AS (
        DELETE FROM feed
        WHERE ctid = ANY (ARRAY(SELECT f.ctid FROM feed AS f
                                WHERE f.created_at < now() - interval '30 days'
                                ORDER BY f.created_at LIMIT 5000))
        RETURNING account_id, us
    ), floors AS (
        SELECT g.account_id, max(g.us) AS us FROM gone AS g GROUP BY g.account_id
    ), held AS MATERIALIZED (
        SELECT h.account_id, f.us
        FROM floors AS f
        JOIN feed_head AS h ON h.account_id = f.account_id
        ORDER BY h.account_id
        FOR NO KEY UPDATE OF h
    ), raised AS (
        UPDATE feed_head AS h SET floor_us = greatest(h.floor_us, f.us)
        FROM held AS f
        WHERE h.account_id = f.account_id
    )
    SELECT count(*) FROM gone
$$;

-- Names of stored files that nothing shows: no row has them, or only one of a file that was deleted.
-- None while there is no file at all: a restored server may not have loaded its dump yet.
CREATE OR REPLACE FUNCTION job_orphans(p_names text[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT u.name
    FROM unnest(p_names) AS u (name)
    WHERE EXISTS (SELECT FROM file)
      AND NOT EXISTS (SELECT FROM file AS f WHERE f.path = u.name AND f.deleted_at IS NULL)
      AND NOT EXISTS (SELECT FROM file AS f WHERE f.thumb_path = u.name AND f.deleted_at IS NULL)
$$;

GRANT EXECUTE ON FUNCTION relay_lead(), job_purge_idempotency(), job_purge_feed(), job_orphans(text[]) TO plaza_relay;
