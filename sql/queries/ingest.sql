-- query: ingest_own (broker int) one -> shards int
-- Takes or gives back shards of a broker's uplink until each process has its share; tells, as bits, which are ours.
SELECT ingest_own(:broker) AS shards;

-- query: account_sender (account uuid) maybe read -> role text, locale text
-- Role and language of an account, also of a suspended one, for a request whose sender the broker has verified.
SELECT s.role, s.locale
FROM account_sender(:account) AS s;

-- query: presence_left (account uuid) maybe -> last_seen text
-- Notes when a user was last there, to the minute.
SELECT presence_left(:account) AS last_seen;

-- query: presence_visible (watcher uuid, users uuid[]) many read -> id uuid, last_seen text
-- Which of these users the watcher may see: they share a conversation and neither blocks the other.
SELECT v.id, v.last_seen
FROM presence_visible(:watcher, :users) AS v;

-- query: presence_contacts (limit int) many read -> id uuid
-- With whom the caller has had a conversation, the latest first, without those behind a block.
SELECT c.id
FROM my_contact AS c
ORDER BY c.last_message_at DESC, c.id
LIMIT :limit;

-- query: feed_stands (accounts uuid[]) many read -> last_us bigint, epoch text
-- Where the feeds of users stand, in the order of the users; 0 and '' where there is none.
SELECT f.last_us, f.epoch
FROM feed_stands(:accounts) AS f;

-- query: revoked_recent (seconds int) one read -> lines text
-- Sessions revoked within the life of a broker token, as lines for the plugin, sorted bytewise.
SELECT revoked_recent(:seconds) AS lines;
