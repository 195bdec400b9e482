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

-- Makes the partition of a month, if it is not there, and moves into it what the default partition had of it.
CREATE OR REPLACE FUNCTION partition_make(p_table text, p_month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    part  text := p_table || to_char(p_month, '_YYYY_MM');
    until date := p_month + interval '1 month';
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %1$I (LIKE %2$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, p_table);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('LOCK TABLE %I', p_table || '_default');
    EXECUTE format('WITH moved AS (DELETE FROM %1$I WHERE created_at >= %3$L AND created_at < %4$L RETURNING *) '
                   'INSERT INTO %2$I SELECT * FROM moved', p_table || '_default', part, p_month, until);
    EXECUTE format('ALTER TABLE %1$I ATTACH PARTITION %2$I FOR VALUES FROM (%3$L) TO (%4$L)', p_table, part, p_month, until);
    RETURN true;
END $$;

-- The months of a table that lie wholly before a time.
CREATE OR REPLACE FUNCTION partitions_before(p_table text, p_time timestamptz) RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = plaza, pg_temp AS $$
    SELECT i.inhrelid::regclass
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = p_table::regclass AND c.relname ~ '_\d{4}_\d\d$'
      AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= p_time
    ORDER BY c.relname
$$;

-- Job: partitions of this month and the next; feeds keep at least 30 days. Whoever asks for what is gone is told to
-- reload (feed_sync).
CREATE OR REPLACE FUNCTION job_partitions() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    this date := date_trunc('month', now());
    done bigint := 0;
    old  regclass;
BEGIN
    done := partition_make('feed', this)::int + partition_make('feed', (this + interval '1 month')::date)::int;
    FOR old IN SELECT p FROM partitions_before('feed', now() - interval '30 days') AS p LOOP
        EXECUTE format('DROP TABLE %s', old);
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;
-- At every deploy, so that nothing has to wait for the job.
SELECT job_partitions();

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

GRANT EXECUTE ON FUNCTION relay_lead(), job_purge_idempotency(), job_partitions(), job_orphans(text[]) TO plaza_relay;
