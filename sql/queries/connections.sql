-- The log of connections to the broker.

-- query: connections_note (kinds text[], users uuid[], devices text[], at text[], transports text[], reasons text[]) one
--     -> noted bigint
-- Edges of presence, in the order in which they were seen.
SELECT connections_note(:kinds, :users, :devices, :at, :transports, :reasons) AS noted;

-- query: connection_list (after bigint?, limit int) many read -> body text, k1 bigint
-- The caller's connections, the latest first.
SELECT concat('{"device":', to_json(c.device), ',"transport":"', c.transport,
              '","connectedAt":"', iso(c.connected_at), '","endedAt":', coalesce('"' || iso(c.ended_at) || '"', 'null'),
              ',"seconds":', coalesce(floor(extract(epoch FROM c.ended_at - c.connected_at))::text, 'null'),
              ',"reason":', coalesce(to_json(c.reason)::text, 'null'), '}') AS body, c.id AS k1
FROM connection_log AS c
WHERE c.account_id = app_uid()
  AND c.id < coalesce(:after, 9223372036854775807)
ORDER BY c.id DESC
LIMIT :limit + 1;

-- query: connection_counts () one read -> body text
-- How many devices are connected.
SELECT connection_counts() AS body;
