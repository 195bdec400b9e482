-- A job and the figures ask for the latest messages. A new message lies in any page with room for it, so that a BRIN index
-- soon names all pages: each look was a scan of the table. In a btree the latest stand side by side.
DROP INDEX message_created_idx;
CREATE INDEX message_created_idx ON message (created_at);
