-- Who is in the caller's conversations, and how far each has read: the others as far as they share it. It runs with its
-- owner's rights on purpose, as the views in chat.sql.
DROP VIEW IF EXISTS my_chat_person CASCADE;
CREATE VIEW my_chat_person AS
SELECT m.chat_id, m.account_id AS id, a.name, a.role, m.joined_at,
       CASE m.account_id WHEN me.account_id THEN m.read_seq ELSE m.shown_seq END AS read_seq
FROM chat_member AS me
JOIN chat_member AS m ON m.chat_id = me.chat_id
JOIN account AS a ON a.id = m.account_id
WHERE me.account_id = (SELECT app_uid());
GRANT SELECT ON my_chat_person TO plaza_web;
