-- What members see of their conversations. These views run with their owner's rights on purpose and know who asks: nobody
-- is granted the tables behind them, and a policy would look up the membership once more for every message.

-- The caller's conversations. `unread` stops counting at a thousand.
DROP VIEW IF EXISTS my_chat CASCADE;
CREATE VIEW my_chat AS
SELECT c.id, c.last_message_at, c.last_seq > me.hidden_seq AS listed, u.unread,
       concat('{"id":"', c.id, '","kind":"', c.kind,
           CASE WHEN c.kind = 'group'
               THEN concat('","title":', to_json(c.title), ',"role":"', me.role, '","members":', (
                   SELECT count(*) FROM chat_member AS g WHERE g.chat_id = c.id),
                   ',"buyerId":null,"sellerId":null,"peer":null')
               ELSE concat('","title":null,"role":null,"members":null,"buyerId":"', c.buyer_id,
                   '","sellerId":"', c.seller_id, '","peer":{"id":"', a.id, '","name":', to_json(a.name),
                   ',"avatarUrl":', coalesce(to_json(a.avatar_url)::text, 'null'), '}') END,
           ',"product":', coalesce((
               SELECT concat('{"id":"', p.id, '","title":', to_json(p.title), '}')
               FROM product AS p
               WHERE p.id = c.product_id), 'null'),
           ',"lastMessage":', coalesce((
               SELECT m.doc FROM message AS m WHERE m.chat_id = c.id AND m.seq = c.last_seq AND m.seq > me.from_seq), 'null'),
           ',"lastSeq":', c.last_seq, ',"fromSeq":', me.from_seq, ',"readSeq":', me.read_seq,
           ',"peerReadSeq":', coalesce(peer.shown_seq::text, 'null'),
           ',"peerReceivedSeq":', coalesce(peer.recv_seq::text, 'null'), ',"unread":', u.unread,
           ',"muted":', me.muted::text, ',"archived":', me.archived::text,
           ',"hidden":', (c.last_seq <= me.hidden_seq)::text,
           ',"createdAt":"', iso(c.created_at), '","lastMessageAt":"', iso(c.last_message_at), '"}') AS body
FROM chat_member AS me
JOIN chat AS c ON c.id = me.chat_id
LEFT JOIN chat_member AS peer ON c.kind = 'private' AND peer.chat_id = c.id
    AND peer.account_id = CASE me.account_id WHEN c.buyer_id THEN c.seller_id ELSE c.buyer_id END
LEFT JOIN account AS a ON a.id = peer.account_id
CROSS JOIN LATERAL (SELECT least(from_other(c, me) - me.seen, 1000)) AS u (unread)
WHERE me.account_id = (SELECT app_uid());

-- The same with nothing but what tells one state of the history from another.
DROP VIEW IF EXISTS my_chat_version CASCADE;
CREATE VIEW my_chat_version AS
SELECT c.id, c.last_seq, c.changes
FROM chat_member AS me
JOIN chat AS c ON c.id = me.chat_id
WHERE me.account_id = (SELECT app_uid());

-- All messages of the caller's conversations.
DROP VIEW IF EXISTS my_message CASCADE;
CREATE VIEW my_message AS
SELECT m.chat_id, m.seq, m.doc
FROM chat_member AS me
JOIN message AS m ON m.chat_id = me.chat_id AND m.seq > me.from_seq
WHERE me.account_id = (SELECT app_uid());

-- Who may know of the caller's presence, and the other way round.
DROP VIEW IF EXISTS my_contact CASCADE;
CREATE VIEW my_contact AS
SELECT peer.account_id AS id, max(c.last_message_at) AS last_message_at
FROM chat_member AS me
JOIN chat AS c ON c.id = me.chat_id AND c.kind = 'private' AND NOT c.blocked
JOIN chat_member AS peer ON peer.chat_id = c.id AND peer.account_id <> me.account_id
JOIN account AS a ON a.id = peer.account_id AND a.status = 'active' AND a.share_presence
JOIN account AS own ON own.id = me.account_id AND own.share_presence
WHERE me.account_id = (SELECT app_uid())
GROUP BY peer.account_id;

-- Whom the caller may take into a group.
DROP VIEW IF EXISTS my_friend CASCADE;
CREATE VIEW my_friend AS
SELECT peer.account_id AS id
FROM chat_member AS me
JOIN chat AS c ON c.id = me.chat_id AND c.kind = 'private'
JOIN chat_member AS peer ON peer.chat_id = c.id AND peer.account_id <> me.account_id
JOIN account AS a ON a.id = peer.account_id AND a.status = 'active'
WHERE me.account_id = (SELECT app_uid()) AND NOT blocked_between(me.account_id, peer.account_id);

GRANT SELECT ON my_contact, my_chat, my_chat_version, my_message TO plaza_web;
