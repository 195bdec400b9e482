-- query: relay_lead () one -> leads bool
-- Whether this process is the one that works.
SELECT relay_lead() AS leads;

-- query: outbox_left (limit int) many read -> id bigint, lines text
-- Events that nobody confirmed for half a second, oldest first, as lines of topic US payload RS.
SELECT o.id, CASE WHEN o.topic = '' THEN o.payload ELSE concat(o.topic, E'\x1f', o.payload, E'\x1e') END AS lines
FROM outbox AS o
WHERE o.created_at < clock_timestamp() - interval '500 milliseconds'
ORDER BY o.id
LIMIT :limit;

-- query: outbox_park (ids bigint[], brokers int) one -> done bigint
-- Puts rows aside for each of their brokers.
SELECT outbox_park(:ids, :brokers) AS done;

-- query: outbox_parked (broker int, limit int) many read -> id bigint, lines text
-- What waits for a broker, oldest first.
SELECT o.id, o.lines
FROM outbox_parked AS o
WHERE o.broker = :broker
ORDER BY o.id
LIMIT :limit;

-- query: outbox_sent (ids bigint[]) exec
-- Removes events that were confirmed to the relay, parked ones among them.
SELECT outbox_sent(:ids);

-- query: outbox_unpark (brokers int) exec
-- Forgets what was parked when there was another number of brokers.
SELECT outbox_unpark(:brokers);

-- query: job_expire_orders () one -> done bigint, events text
-- Cancels one order whose payment stayed unknown.
SELECT j.done, j.events
FROM job_expire_orders() AS j;

-- query: job_expire_carts () one -> done bigint
-- Closes carts whose lease has ended, removes those that ended long ago.
SELECT job_expire_carts() AS done;

-- query: job_purge_auth () one -> done bigint
-- Removes ended sessions, spent tokens, old counters.
SELECT auth_purge() AS done;

-- query: job_purge_idempotency () one -> done bigint
-- Removes answers older than seven days.
SELECT job_purge_idempotency() AS done;

-- query: job_partitions () one -> done bigint
-- Makes the partitions of the months to come, drops old ones.
SELECT job_partitions() AS done;

-- query: job_index_messages () one -> done bigint
-- Makes the latest messages findable.
SELECT job_index_messages() AS done;

-- query: job_connections () one -> done bigint
-- Closes lost connections in the log, removes those older than thirty days.
SELECT job_connections() AS done;

-- query: job_cart_news () one -> done bigint, events text
-- Tells owners of carts what changed of a product in them, a piece of them each time.
SELECT j.done, j.events
FROM job_cart_news() AS j;

-- query: job_figures () one -> done bigint, events text
-- Tells administrators and shops figures that changed.
SELECT j.done, j.events
FROM job_figures() AS j;

-- query: job_orphans (names text[]) one read -> done bigint, names text
-- Those names of stored files that no row holds, with spaces between.
SELECT count(*) AS done, coalesce(string_agg(o.name, ' '), '') AS names
FROM job_orphans(:names) AS o (name);
