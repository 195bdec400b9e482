-- Statements of plazactl, which connects as plaza_owner.

-- query: admin_create (email text, name text, hash text) one -> id uuid
-- Opens an administrator's account with a password hash.
SELECT create_admin(:email, :name, :hash) AS id;

-- query: account_unlock (email text) maybe -> id uuid
-- Ends the delays of signing in; no row when nobody has the address.
SELECT a.id
FROM account AS a
CROSS JOIN LATERAL login_unlock(a.id)
WHERE a.email = :email AND a.deleted_at IS NULL;

-- query: feed_restored (after uuid) one -> done bigint, upto uuid
-- Gives the next feeds behind an account another epoch.
SELECT r.done, r.upto
FROM feed_restored(:after) AS r;
