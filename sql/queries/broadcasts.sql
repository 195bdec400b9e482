-- Announcements.

-- query: broadcast_create (id uuid, audience text, level text, text text, text_es text?, until text) one
--     -> body text, events text
-- Tells everybody, or everybody with a role.
SELECT b.body, b.events
FROM broadcast_create(:id, :audience, :level, :text, :text_es, :until) AS b;

-- query: broadcast_end (id uuid) one -> events text
-- Withdraws an announcement.
SELECT broadcast_end(:id) AS events;

-- query: broadcast_list (all bool) many read -> body text, k1 uuid
-- What is announced to the caller now, the latest first.
SELECT b.body, b.id AS k1
FROM broadcast_current(:all) AS b;
