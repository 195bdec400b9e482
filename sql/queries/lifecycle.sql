-- query: retention_get () one read -> body text
-- How long messages are kept.
SELECT retention_json() AS body;

-- query: retention_set (chat int?, order int?, group int?) one -> body text
-- Changes how long messages are kept.
SELECT retention_set(:chat, :order, :group) AS body;

-- query: chat_export (chat uuid, after bigint, hash text?, reason text, limit int, request text) many
--     -> body text, k1 bigint, k2 text
-- A conversation with all earlier texts, hash-chained, for administrators.
SELECT e.body, e.k1, e.k2
FROM chat_export(:chat, :after, :hash, :reason, :limit, :request) AS e;

-- query: erasure_ask (seen text, days int) one -> body text, events text
-- Asks for the erasure of the caller's account.
SELECT e.body, e.events
FROM erasure_ask(:seen, :days) AS e;

-- query: erasure_get () one read -> body text
-- When the caller's account will be erased.
SELECT erasure_get() AS body;

-- query: erasure_cancel () exec
-- Keeps the caller's account.
SELECT erasure_cancel();

-- query: job_purge_messages () one -> done bigint
-- Removes messages that were kept long enough.
SELECT job_purge_messages() AS done;

-- query: job_erase () one -> done bigint, events text
-- Erases an account whose time has come.
SELECT j.done, j.events
FROM job_erase() AS j;
