-- Which broker a user is on, and rows of the outbox that wait for one.

-- The last eight digits of the id, modulo the number of brokers (io/brokers.c does the same).
CREATE OR REPLACE FUNCTION broker_of(p_user uuid, p_brokers int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (('x' || right(p_user::text, 8))::bit(32)::bigint % p_brokers)::int
$$;

-- The brokers of a topic: a user's own is on one, all others are on all.
CREATE OR REPLACE FUNCTION brokers_of_topic(p_topic text, p_brokers int) RETURNS SETOF int
LANGUAGE sql IMMUTABLE AS $$
    SELECT b
    FROM generate_series(0, p_brokers - 1) AS b
    WHERE CASE WHEN p_topic ~* '^u/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
               THEN b = broker_of(substr(p_topic, 3, 36)::uuid, p_brokers)
               ELSE true END
$$;

-- Rows of the outbox become one for each of their brokers, with its lines in their order.
CREATE OR REPLACE FUNCTION outbox_park(p_ids bigint[], p_brokers int) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    WITH gone AS (
        DELETE FROM outbox WHERE id = ANY (p_ids)
        RETURNING id, CASE WHEN topic = '' THEN payload ELSE concat(topic, E'\x1f', payload, E'\x1e') END AS lines
    ), line AS (
        SELECT g.id, b AS broker, string_agg(l.line || E'\x1e', '' ORDER BY l.n) AS lines
        FROM gone AS g
        CROSS JOIN unnest(string_to_array(g.lines, E'\x1e')) WITH ORDINALITY AS l (line, n)
        CROSS JOIN brokers_of_topic(split_part(l.line, E'\x1f', 1), p_brokers) AS b
        WHERE l.line <> ''
        GROUP BY g.id, b
    ), kept AS (
        INSERT INTO outbox_parked (broker, brokers, lines)
        SELECT l.broker, p_brokers, l.lines FROM line AS l ORDER BY l.id, l.broker
    )
    SELECT count(*) FROM gone
$$;

CREATE OR REPLACE FUNCTION outbox_sent(p_ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    DELETE FROM outbox WHERE id = ANY (p_ids);
    DELETE FROM outbox_parked WHERE id = ANY (p_ids);
END $$;

-- With another number of brokers users are elsewhere: they connect anew and read their feeds.
CREATE OR REPLACE FUNCTION outbox_unpark(p_brokers int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    DELETE FROM outbox_parked WHERE brokers <> p_brokers
$$;

GRANT EXECUTE ON FUNCTION outbox_park(bigint[], int), outbox_sent(bigint[]), outbox_unpark(int) TO plaza_relay;
