-- Figures of the platform and of shops, cheap enough to be counted every ten seconds: each is a range of an index.

-- The least id that uuid_v7() makes at this moment or later. Orders have such ids, so today's are a range of the key.
CREATE OR REPLACE FUNCTION uuid_v7_floor(p_at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM p_at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- Midnight in UTC.
CREATE OR REPLACE FUNCTION today() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT date_trunc('day', now(), 'UTC')
$$;

-- Counting of messages stops at ten thousand.
CREATE OR REPLACE FUNCTION platform_figures() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"day":"', to_char(today() AT TIME ZONE 'UTC', 'YYYY-MM-DD'), '","ordersToday":', o.n,
        ',"revenueToday":[', o.revenue, '],"usersOnline":', c.users, ',"devicesOnline":', c.devices,
        ',"openReports":', (SELECT count(*) FROM report AS r WHERE r.status = 'open'),
        ',"messagesLastMinute":', (SELECT count(*) FROM (SELECT FROM message AS m
                                                         WHERE m.created_at > now() - interval '1 minute'
                                                         LIMIT 10000) AS n), '}')
    FROM (SELECT coalesce(sum(d.n), 0) AS n,
                 string_agg('{"amount":' || d.paid || ',"currency":"' || d.currency || '"}', ',' ORDER BY d.currency)
                     FILTER (WHERE d.paid > 0) AS revenue
          FROM (SELECT x.currency, count(*) AS n, sum(x.total) FILTER (WHERE x.payment_status = 'paid') AS paid
                FROM orders AS x
                WHERE x.id >= uuid_v7_floor(today())
                GROUP BY x.currency) AS d) AS o
    CROSS JOIN (SELECT count(*) AS devices, count(DISTINCT l.account_id) AS users
                FROM connection_log AS l
                WHERE l.ended_at IS NULL) AS c
$$;

CREATE OR REPLACE FUNCTION shop_figures(p_seller uuid, p_shop uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT concat('{"shopId":"', p_shop, '","day":"', to_char(today() AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
        '","ordersToday":', coalesce(sum(d.n), 0), ',"cancelledToday":', coalesce(sum(d.ended), 0),
        ',"revenueToday":[',
        string_agg('{"amount":' || d.paid || ',"currency":"' || d.currency || '"}', ',' ORDER BY d.currency)
            FILTER (WHERE d.paid > 0), ']}')
    FROM (SELECT x.currency, count(*) AS n, count(*) FILTER (WHERE x.status IN ('cancelled', 'payment_failed')) AS ended,
                 sum(x.total) FILTER (WHERE x.payment_status = 'paid') AS paid
          FROM orders AS x
          WHERE x.seller_id = p_seller AND x.id >= uuid_v7_floor(today())
          GROUP BY x.currency) AS d
$$;

-- An event, when these figures were not the last ones told there.
CREATE OR REPLACE FUNCTION figures_tell(p_topic text, p_type text, p_data text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO figures_told AS t (topic, data) VALUES (p_topic, p_data)
    ON CONFLICT (topic) DO UPDATE SET data = EXCLUDED.data, told_at = now() WHERE t.data <> EXCLUDED.data;
    RETURN CASE WHEN FOUND THEN emit(p_topic, envelope(p_type, p_data)) ELSE '' END;
END $$;

-- Job, every ten seconds. Which shops may have other figures is read from the orders that are new or have moved. It
-- looks back further than to its last run, since a transaction may commit later than it began.
CREATE OR REPLACE FUNCTION job_figures(OUT done bigint, OUT events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    since timestamptz := coalesce((SELECT t.told_at FROM figures_told AS t WHERE t.topic = 'shops'), now())
                         - interval '30 seconds';
    s     record;
BEGIN
    done := 0;
    events := figures_tell('a/stats', 'platform:stats', platform_figures());
    FOR s IN
        SELECT x.id, x.owner_id
        FROM shop AS x
        WHERE x.deleted_at IS NULL
          AND x.owner_id IN (SELECT o.seller_id FROM orders AS o WHERE o.id >= uuid_v7_floor(since)
                             UNION
                             SELECT o.seller_id
                             FROM order_event AS e
                             JOIN orders AS o ON o.id = e.order_id
                             WHERE e.created_at > since)
    LOOP
        events := events || figures_tell('s/' || s.id || '/in', 'shop:stats', shop_figures(s.owner_id, s.id));
    END LOOP;
    INSERT INTO figures_told (topic, data) VALUES ('shops', '')
    ON CONFLICT (topic) DO UPDATE SET told_at = now();
END $$;

-- The same when somebody asks: administrators those of the platform, sellers those of their shop.
CREATE OR REPLACE FUNCTION platform_stats() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
    RETURN platform_figures();
END $$;

CREATE OR REPLACE FUNCTION shop_stats() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT shop_figures(s.owner_id, s.id) FROM shop AS s WHERE s.owner_id = app_uid() AND s.deleted_at IS NULL);
END $$;

GRANT EXECUTE ON FUNCTION platform_stats(), shop_stats() TO plaza_web;
GRANT EXECUTE ON FUNCTION job_figures() TO plaza_relay;
