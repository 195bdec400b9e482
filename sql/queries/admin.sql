-- Statements of plazactl, which connects as plaza_owner.

-- query: admin_create (email text, name text, hash text) one -> id uuid
-- Opens an administrator's account with a password hash.
SELECT create_admin(:email, :name, :hash) AS id;
