-- query: group_open (title text, members uuid[]) one -> body text, events text
-- A new group of the caller.
SELECT g.body, g.events
FROM group_open(:title, :members) AS g;

-- query: group_title (chat uuid, title text) one -> body text, events text
-- Gives a group another title.
SELECT g.body, g.events
FROM group_title(:chat, :title) AS g;

-- query: group_add (chat uuid, members uuid[]) one -> events text
-- Takes users into a group.
SELECT group_add(:chat, :members) AS events;

-- query: group_role (chat uuid, user uuid, role text) one -> events text
-- Gives a member of a group another role.
SELECT group_role(:chat, :user, :role) AS events;

-- query: group_remove (chat uuid, user uuid) one -> events text
-- Removes a member of a group, or lets the caller leave it.
SELECT group_remove(:chat, :user) AS events;

-- query: chat_people (chat uuid) many read -> body text
-- The members of a conversation.
SELECT p.body
FROM chat_people(:chat) AS p;

-- query: shop_staff (shop uuid) many read -> body text
-- Who answers for a shop beside its owner.
SELECT s.body
FROM shop_staff(:shop) AS s;

-- query: shop_invite (shop uuid, user uuid) one -> body text, events text
-- Invites somebody to the staff of the caller's shop.
SELECT s.body, s.events
FROM shop_invite(:shop, :user) AS s;

-- query: shop_accept (shop uuid) one -> body text, events text
-- The caller joins the staff of a shop.
SELECT s.body, s.events
FROM shop_accept(:shop) AS s;

-- query: shop_leave (shop uuid, user uuid) one -> events text
-- Somebody leaves the staff of a shop.
SELECT shop_leave(:shop, :user) AS events;

-- query: canned_list () many read -> body text
-- The canned replies of the caller's shop.
SELECT c.body
FROM canned_list() AS c;

-- query: canned_make (title text, text text) one -> body text
-- A new canned reply.
SELECT canned_make(:title, :text) AS body;

-- query: canned_change (id uuid, title text, text text) one -> body text
-- Another text of a canned reply.
SELECT canned_change(:id, :title, :text) AS body;

-- query: canned_remove (id uuid) exec
-- Removes a canned reply.
SELECT canned_remove(:id);

-- query: canned_fill (id uuid, chat uuid) one read -> body text
-- A canned reply with its variables filled in for a conversation.
SELECT canned_fill(:id, :chat) AS body;

-- query: sharing_get () one read -> body text
-- What the caller shares.
SELECT sharing_json(a) AS body
FROM account AS a
WHERE a.id = app_uid();

-- query: sharing_set (read bool?, typing bool?, presence bool?) one -> body text
-- Changes what the caller shares.
SELECT sharing_set(:read, :typing, :presence) AS body;
