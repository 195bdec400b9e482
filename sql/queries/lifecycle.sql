-- query: retention_get () one read -> body text
-- How long messages are kept.
SELECT retention_json() AS body;

-- query: retention_set (chat int?, order int?, group int?) one -> body text
-- Changes how long messages are kept.
SELECT retention_set(:chat, :order, :group) AS body;

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
