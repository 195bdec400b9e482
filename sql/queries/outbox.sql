-- query: outbox_confirm (ids bigint[]) exec
-- Removes events that the broker has confirmed.
SELECT outbox_confirm(:ids);
