-- Statements that fcgi/io/db.c runs by itself, around those of the programs.

-- query: app_enter (user uuid?, session uuid?, role text) exec
-- Sets the identity of this transaction after a check that the session lives.
SELECT app_enter(:user, :session, :role);

-- query: idem_claim (scope text, key text, hash text) one -> state text
-- Takes an idempotency key of the caller; raises PZ001 when its answer is stored already.
SELECT idem_claim(:scope, :key, :hash) AS state;

-- query: idem_fetch (scope text, key text) maybe read -> status int, headers text, body text
-- The stored answer of a finished request of the caller.
SELECT i.status, i.headers, i.body
FROM idempotency AS i
WHERE i.account_id = coalesce(app_uid(), '00000000-0000-0000-0000-000000000000')
  AND i.scope = :scope
  AND i.key = :key;

-- query: idem_store (scope text, key text, hash text, status int, headers text, body text) exec
-- Keeps the answer beside the claim made in the same transaction.
SELECT idem_store(:scope, :key, :hash, :status, :headers, :body);
