-- query: preference_get () one read -> body text
-- What the caller wants to be told, and how.
SELECT preference_json() AS body;

-- query: preference_put (doc text) one -> body text
-- Changes what the document names.
SELECT preference_put(:doc) AS body;

-- query: device_put (session uuid, provider text, address text, host text, point text?, auth text?, name text) one
--     -> body text
-- The device of a session of the caller.
SELECT device_put(:session, :provider, :address, :host, :point, :auth, :name) AS body;

-- query: device_list (session uuid) many read -> body text, k1 uuid
-- The caller's devices.
SELECT device_json(d, :session) AS body, d.id AS k1
FROM push_device AS d
WHERE d.account_id = app_uid()
ORDER BY d.id DESC
LIMIT 101;

-- query: device_remove (id uuid) exec
-- Removes a device of the caller.
SELECT device_remove(:id);

-- query: push_new (limit int) many read -> account uuid
-- Users for whom something waits that nobody has looked at.
SELECT n.account
FROM push_new(:limit) AS n;

-- query: push_hold (accounts uuid[], waits bigint[]) exec
-- How many seconds after its time each of their messages is due.
SELECT push_hold(:accounts, :waits);

-- query: push_take (limit int, share int, busy text[], lease int, life int) many
--     -> device uuid, topic uuid, seq bigint, provider text, host text, address text, point text, auth text, title text,
--     body text, kind text, link text, badge bigint, ttl int, urgent bool, attempts int
-- What is due and to be sent now.
SELECT t.device, t.topic, t.seq, t.provider, t.host, t.address, t.point, t.auth, t.title, t.body, t.kind, t.link, t.badge,
       t.ttl, t.urgent, t.attempts
FROM push_take(:limit, :share, :busy, :lease, :life) AS t;

-- query: push_done (devices uuid[], topics uuid[], seqs bigint[], outcomes text[], waits bigint[]) exec
-- What became of what was taken.
SELECT push_done(:devices, :topics, :seqs, :outcomes, :waits);

-- query: push_recover () one -> again bigint
-- Makes due what another process left on its way.
SELECT push_recover() AS again;

-- query: push_stats () many read -> name text, n bigint
-- What became of push messages, and how many wait.
SELECT s.name, s.n
FROM push_stats() AS s;

-- query: job_purge_notifications () one -> done bigint
-- Removes notifications that are too old to be of use.
SELECT job_purge_notifications() AS done;
