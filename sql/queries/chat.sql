-- query: chat_open (peer uuid?, seller uuid?, product uuid?) one -> body text, created bool, events text
-- The caller's conversation with somebody, made if there is none.
SELECT c.body, c.created, c.events
FROM chat_open(:peer, :seller, :product) AS c;

-- query: chat_get (id uuid) maybe read -> body text
-- One conversation of the caller.
SELECT c.body
FROM my_chat AS c
WHERE c.id = :id;

-- query: chat_list (limit int) many read -> body text, k1 text, k2 uuid
-- The caller's conversations, newest first.
SELECT c.body, c.last_message_at::text AS k1, c.id AS k2
FROM my_chat AS c
WHERE c.listed
ORDER BY c.last_message_at DESC, c.id DESC
LIMIT :limit + 1;

-- query: chat_list_after (at text, id uuid, limit int) many read -> body text, k1 text, k2 uuid
-- The same behind a place.
SELECT c.body, c.last_message_at::text AS k1, c.id AS k2
FROM my_chat AS c
WHERE c.listed
  AND (c.last_message_at, c.id) < (:at::timestamptz, :id)
ORDER BY c.last_message_at DESC, c.id DESC
LIMIT :limit + 1;

-- query: chat_unread () one read -> body text
-- Unread messages of the caller, in all and by conversation.
SELECT '{"total":' || coalesce(sum(c.unread), 0) || ',"chats":['
    || coalesce(string_agg('{"chatId":"' || c.id || '","unread":' || c.unread || '}', ',' ORDER BY c.id), '') || ']}' AS body
FROM my_chat AS c
WHERE c.unread > 0;

-- query: chat_flag (id uuid, muted bool?, archived bool?, hidden bool?) one -> body text, events text
-- What the caller makes of a conversation; hidden is off the list until there is something new in it.
SELECT c.body, c.events
FROM chat_flag(:id, :muted, :archived, :hidden) AS c;

-- query: message_list_before (chat uuid, before bigint, limit int) maybe read -> items text, edge bigint, version text
-- Messages before a place, newest first, in one text; no row when the caller is not in the conversation.
SELECT p.items, p.edge, c.last_seq || '.' || c.changes AS version
FROM my_chat_version AS c
CROSS JOIN LATERAL (
    SELECT string_agg(m.doc, ',') AS items, nullif(min(m.seq), 1) AS edge
    FROM (SELECT x.doc, x.seq
          FROM my_message AS x
          WHERE x.chat_id = :chat
            AND x.seq < :before
          ORDER BY x.seq DESC
          LIMIT :limit) AS m) AS p
WHERE c.id = :chat;

-- query: message_list_after (chat uuid, after bigint, limit int) maybe read -> items text, edge bigint, version text
-- Messages behind a place, oldest first, in one text; no row when the caller is not in the conversation.
SELECT p.items, nullif(p.edge, c.last_seq) AS edge, c.last_seq || '.' || c.changes AS version
FROM my_chat_version AS c
CROSS JOIN LATERAL (
    SELECT string_agg(m.doc, ',') AS items, max(m.seq) AS edge
    FROM (SELECT x.doc, x.seq
          FROM my_message AS x
          WHERE x.chat_id = :chat
            AND x.seq > :after
          ORDER BY x.seq
          LIMIT :limit) AS m) AS p
WHERE c.id = :chat;

-- query: message_send (chat uuid, cmid uuid, type text, text text, reply bigint?, files uuid[]?, product uuid?) one
--     -> body text, events text
-- Sends a message of the caller.
SELECT m.body, m.events
FROM message_send(:chat, :cmid, :type, :text, :reply, :files, :product) AS m;

-- query: message_replay (chat uuid, cmid uuid, type text, text text, reply bigint?, files uuid[]?, product uuid?,
--     price bigint?, quantity int?) one read -> body text
-- The message that was sent under this id before, if it is the same.
SELECT message_replay(:chat, :cmid, :type, :text, :reply, :files, :product, :price, :quantity) AS body;

-- query: offer_send (chat uuid, cmid uuid, text text, product uuid, quantity int, price bigint, currency text, hours int)
--     one -> body text, events text
-- Sends an offer of the caller.
SELECT m.body, m.events
FROM offer_send(:chat, :cmid, :text, :product, :quantity, :price, :currency, :hours) AS m;

-- query: offer_answer (chat uuid, message uuid, action text) one -> body text, events text
-- Accepts, declines or withdraws an offer.
SELECT m.body, m.events
FROM offer_answer(:chat, :message, :action) AS m;

-- query: message_react (chat uuid, message uuid, emoji text, on bool) one -> body text, events text
-- Sets or takes back a reaction of the caller.
SELECT m.body, m.events
FROM message_react(:chat, :message, :emoji, :on) AS m;

-- query: message_search (text text, chat uuid?, at text?, id uuid?, limit int) many read -> body text, k1 text, k2 text
-- Messages of the caller that have this text in them, newest first.
SELECT m.body, m.k1, m.k2
FROM message_search(:text, :chat, :at::timestamptz, :id, :limit) AS m;

-- query: message_change (chat uuid, message uuid, text text) one -> body text, events text
-- A new text for an own message that nobody has read.
SELECT m.body, m.events
FROM message_change(:chat, :message, :text) AS m;

-- query: message_remove (chat uuid, message uuid) one -> events text
-- Removes an own message that nobody has read.
SELECT m.events
FROM message_remove(:chat, :message) AS m (events);

-- query: chat_receipt (chat uuid, seq bigint, read bool) one -> events text
-- Everything up to seq was read, or delivered.
SELECT r.events
FROM chat_receipt(:chat, :seq, :read) AS r (events);

-- query: typing_peers (chat uuid) many read -> id uuid
-- Who should see that the caller types.
SELECT p.id
FROM typing_peers(:chat) AS p;

-- query: user_block (user uuid, on bool) one -> events text
-- Blocks or unblocks a user.
SELECT b.events
FROM user_block(:user, :on) AS b (events);

-- query: block_list () many read -> body text, k1 uuid
-- Whom the caller has blocked.
SELECT '{"id":"' || b.blocked_id || '","blockedAt":"' || iso(b.created_at) || '"}' AS body, b.blocked_id AS k1
FROM block AS b
WHERE b.blocker_id = app_uid()
ORDER BY b.created_at DESC, b.blocked_id DESC
LIMIT 101;

-- query: user_report (id uuid, user uuid, chat uuid?, seq bigint?, reason text, note text) one -> body text, events text
-- Reports a user to the moderators.
SELECT r.body, r.events
FROM user_report(:id, :user, :chat, :seq, :reason, :note) AS r;

-- query: notification_list (unread bool, type text?, limit int) many read -> body text, k1 text, k2 uuid
-- The caller's notifications, newest first; only unread ones, only of a kind.
SELECT notification_json(n) AS body, n.created_at::text AS k1, n.id AS k2
FROM notification AS n
WHERE n.account_id = app_uid()
  AND n.listed
  AND (NOT :unread OR n.read_at IS NULL)
  AND (:type::text IS NULL OR n.type = :type)
ORDER BY n.created_at DESC, n.id DESC
LIMIT :limit + 1;

-- query: notification_list_after (unread bool, type text?, at text, id uuid, limit int) many read
--     -> body text, k1 text, k2 uuid
-- The same behind a place.
SELECT notification_json(n) AS body, n.created_at::text AS k1, n.id AS k2
FROM notification AS n
WHERE n.account_id = app_uid()
  AND n.listed
  AND (NOT :unread OR n.read_at IS NULL)
  AND (:type::text IS NULL OR n.type = :type)
  AND (n.created_at, n.id) < (:at::timestamptz, :id)
ORDER BY n.created_at DESC, n.id DESC
LIMIT :limit + 1;

-- query: notification_unread () one read -> body text
-- How many notifications the caller has not read.
SELECT '{"unread":' || unread_count(app_uid()) || '}' AS body;

-- query: notification_clear (id uuid?, upto bool, remove bool) one -> unread bigint, events text
-- Marks notifications as read, or removes them.
SELECT n.unread, n.events
FROM notification_clear(:id, :upto, :remove) AS n;

-- query: notification_send (user uuid, type text, title text, text text, link text?, priority text) one
--     -> body text, events text
-- Tells a user something, for other systems of the house.
SELECT n.body, n.events
FROM notification_send(:user, :type, :title, :text, :link, :priority) AS n;

-- query: feed_sync (since bigint?, epoch text?, limit int) one -> body text, events text
-- Events of the caller's feed behind a place; what came before was delivered.
SELECT f.body, f.events
FROM feed_sync(:since, :epoch, :limit) AS f;

-- query: realtime_stand () maybe read -> shop uuid, last_us bigint, epoch text
-- What a device of the caller needs to connect.
SELECT r.shop, r.last_us, r.epoch
FROM realtime_stand() AS r;
