-- query: chat_persons (chats uuid[]) many read -> chat uuid, id uuid, name text, role text, read_seq bigint
-- Who is in these conversations of the caller.
SELECT p.chat_id AS chat, p.id, p.name, p.role, p.read_seq
FROM my_chat_person AS p
WHERE p.chat_id = ANY (:chats)
ORDER BY p.chat_id, p.joined_at, p.id;
