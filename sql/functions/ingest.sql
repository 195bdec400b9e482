-- What plaza-ingest asks without being a user.

-- Takes and gives back shards of a broker, which has sixteen of its own, until each of its processes has its share. A
-- process is counted by a lock too, so that who ends is out of the count, and without shards, with its connection.
CREATE OR REPLACE FUNCTION ingest_own(p_broker int) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    mine   integer;
    counts boolean;
    share  integer;
BEGIN
    SELECT coalesce(bit_or(1 << (l.objid::int - p_broker * 16)) FILTER (WHERE l.classid = 20261 AND l.objid::int / 16 = p_broker), 0),
           coalesce(bool_or(l.classid = 20262), false)
    INTO mine, counts
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.granted AND l.classid IN (20261, 20262);
    IF NOT counts THEN
        PERFORM pg_advisory_lock_shared(20262, p_broker);
    END IF;
    SELECT ceil(16.0 / count(*)) INTO share
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 20262 AND l.objid::int = p_broker
      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database());
    FOR s IN REVERSE 15..0 LOOP
        IF bit_count(mine::bit(16)) > share AND mine & (1 << s) <> 0 AND pg_advisory_unlock(20261, p_broker * 16 + s) THEN
            mine := mine & ~(1 << s);
        END IF;
    END LOOP;
    FOR s IN 0..15 LOOP
        IF bit_count(mine::bit(16)) < share AND mine & (1 << s) = 0 AND pg_try_advisory_lock(20261, p_broker * 16 + s) THEN
            mine := mine | (1 << s);
        END IF;
    END LOOP;
    RETURN mine;
END $$;

-- Of a suspended account too: app_enter() refuses it, by the right name.
CREATE OR REPLACE FUNCTION account_sender(p_account uuid) RETURNS TABLE (role text, locale text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT a.role, a.locale FROM account AS a WHERE a.id = p_account AND a.deleted_at IS NULL
$$;

-- Rounded to the minute: nobody needs to know more.
CREATE OR REPLACE FUNCTION presence_left(p_account uuid) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    UPDATE account SET last_seen_at = date_trunc('minute', now()) WHERE id = p_account
    RETURNING iso(last_seen_at)
$$;

CREATE OR REPLACE FUNCTION presence_visible(p_watcher uuid, p_users uuid[]) RETURNS TABLE (id uuid, last_seen text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT a.id, iso(a.last_seen_at)
    FROM account AS a
    WHERE a.id = ANY (p_users)
      AND a.status = 'active'
      AND a.share_presence
      AND (SELECT w.share_presence FROM account AS w WHERE w.id = p_watcher)
      AND EXISTS (SELECT FROM chat_member AS mine
                  JOIN chat AS c ON c.id = mine.chat_id AND c.kind = 'private'
                  JOIN chat_member AS theirs ON theirs.chat_id = mine.chat_id
                  WHERE mine.account_id = p_watcher AND theirs.account_id = a.id)
      AND NOT EXISTS (SELECT FROM block AS b
                      WHERE (b.blocker_id = p_watcher AND b.blocked_id = a.id)
                         OR (b.blocker_id = a.id AND b.blocked_id = p_watcher))
$$;

-- In the order of the accounts; of one that is not there 0 and ''.
CREATE OR REPLACE FUNCTION feed_stands(p_accounts uuid[]) RETURNS TABLE (last_us bigint, epoch text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT coalesce(h.last_us, 0), coalesce(h.epoch, '')
    FROM unnest(p_accounts) WITH ORDINALITY AS u (id, place)
    LEFT JOIN feed_head AS h ON h.account_id = u.id
    ORDER BY u.place;
END $$;

CREATE OR REPLACE FUNCTION revoked_recent(p_seconds int) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT coalesce(string_agg(r.line, '' ORDER BY r.line COLLATE "C"), '')
    FROM (SELECT s.account_id || ' ' || s.id || ' ' || extract(epoch FROM s.revoked_at)::bigint || E'\n' AS line
          FROM session AS s
          WHERE s.revoked_at > now() - make_interval(secs => p_seconds)) AS r
$$;

GRANT EXECUTE ON FUNCTION ingest_own(int), account_sender(uuid), presence_left(uuid), presence_visible(uuid, uuid[]),
    feed_stands(uuid[]), revoked_recent(int) TO plaza_web;
