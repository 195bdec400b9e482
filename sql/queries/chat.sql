-- query: chat_open (id uuid, peer uuid?, product uuid?) one -> id uuid, created bool, events text
-- The caller's conversation with somebody, made with this id if there is none.
SELECT c.id, c.created, c.events
FROM chat_open(:id, :peer, :product) AS c;

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

-- query: chat_hide (id uuid) exec
-- Takes a conversation off the caller's list until there is something new in it.
SELECT chat_hide(:id);

-- query: message_list_before (chat uuid, before bigint, limit int) many read -> body text, k1 bigint
-- Messages before a place, newest first.
SELECT m.doc AS body, m.seq AS k1
FROM my_message AS m
WHERE m.chat_id = :chat
  AND m.seq < :before
ORDER BY m.seq DESC
LIMIT :limit + 1;

-- query: message_list_after (chat uuid, after bigint, limit int) many read -> body text, k1 bigint
-- Messages behind a place, oldest first.
SELECT m.doc AS body, m.seq AS k1
FROM my_message AS m
WHERE m.chat_id = :chat
  AND m.seq > :after
ORDER BY m.seq
LIMIT :limit + 1;

-- query: message_send (chat uuid, cmid uuid, type text, text text, reply bigint?, files uuid[]?, product uuid?) one
--     -> body text, events text
-- Sends a message of the caller.
SELECT m.body, m.events
FROM message_send(:chat, :cmid, :type, :text, :reply, :files, :product) AS m;

-- query: message_replay (chat uuid, cmid uuid, type text, text text) one read -> body text
-- The message that was sent under this id before.
SELECT m.body
FROM message_replay(:chat, :cmid, :type, :text) AS m (body);

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

-- query: notification_list (limit int) many read -> body text, k1 text, k2 uuid
-- The caller's notifications, newest first.
SELECT notification_json(n) AS body, n.created_at::text AS k1, n.id AS k2
FROM notification AS n
WHERE n.account_id = app_uid()
ORDER BY n.created_at DESC, n.id DESC
LIMIT :limit + 1;

-- query: notification_list_after (at text, id uuid, limit int) many read -> body text, k1 text, k2 uuid
-- The same behind a place.
SELECT notification_json(n) AS body, n.created_at::text AS k1, n.id AS k2
FROM notification AS n
WHERE n.account_id = app_uid()
  AND (n.created_at, n.id) < (:at::timestamptz, :id)
ORDER BY n.created_at DESC, n.id DESC
LIMIT :limit + 1;

-- query: notification_unread () one read -> body text
-- How many notifications the caller has not read.
SELECT '{"unread":' || unread_count(app_uid()) || '}' AS body;

-- query: notification_clear (id uuid?, upto bool, remove bool) one -> unread bigint, events text
-- Marks notifications as read, or removes one.
SELECT n.unread, n.events
FROM notification_clear(:id, :upto, :remove) AS n;

-- query: feed_sync (since bigint, epoch text?, limit int) one read -> body text
-- Events of the caller's feed behind a place.
SELECT f.body
FROM feed_sync(:since, :epoch, :limit) AS f (body);

-- query: realtime_stand () maybe read -> shop uuid, last_us bigint, epoch text
-- What a device of the caller needs to connect.
SELECT r.shop, r.last_us, r.epoch
FROM realtime_stand() AS r;
