-- Signing in, sessions and profiles.

-- query: login_begin (email text, role text?, device text?) one -> account uuid, hash text, known boolean
-- Counts the attempt; the hash to compare with is NULL where no password will do.
SELECT l.account, l.hash, l.known
FROM login_begin(:email, :role, :device) AS l;

-- query: login_finish (account uuid, seen text, rehash text?, known bool, session uuid, label text, agent text,
--     address text, refresh text, device text, idle int, max int) one
--     -> body text, account uuid, role text, ends_at bigint, events text
-- The password was right: opens a session.
SELECT o.body, o.account, o.role, o.ends_at, o.events
FROM login_accept(:account, :seen, :rehash, :known) AS a (id)
CROSS JOIN LATERAL session_open(a.id, :session, :label, :agent, :address, :refresh, :device, :idle, :max) AS o;

-- query: account_register (email text, hash text, name text, username text?, phone text?, locale text, shop text?,
--     session uuid, label text, agent text, address text, refresh text, device text, idle int, max int) one
--     -> body text, account uuid, role text, ends_at bigint, events text
-- Opens an account, of a seller when there is a name for the shop, and its first session.
SELECT o.body, o.account, o.role, o.ends_at, o.events
FROM account_register(:email, :hash, :name, :username, :phone, :locale, :shop) AS a (id)
CROSS JOIN LATERAL session_open(a.id, :session, :label, :agent, :address, :refresh, :device, :idle, :max) AS o;

-- query: session_refresh (token text, salt text, successor text, idle int, max int) one
--     -> outcome text, salt text, body text, account uuid, session uuid, role text, ends_at bigint, events text
-- Trades a refresh token for its successor.
SELECT r.outcome, r.salt, r.body, r.account, r.session, r.role, r.ends_at, r.events
FROM session_refresh(:token, :salt, :successor, :idle, :max) AS r;

-- query: session_end (session uuid) one -> events text
-- Ends one session of the caller.
SELECT session_end(:session) AS events;

-- query: session_end_all () one -> events text
-- Ends all sessions of the caller.
SELECT session_end_all() AS events;

-- query: session_alive (account uuid, session uuid) one read -> email text
-- NULL when the session has ended.
SELECT session_alive(:account, :session) AS email;

-- query: session_list (current uuid, after uuid?, limit int) many read -> body text, k1 uuid
-- The caller's live sessions, the newest first.
SELECT row_to_json(j)::text AS body, j.id AS k1
FROM (SELECT s.id, s.device, s.user_agent AS "userAgent", s.address, iso(s.created_at) AS "createdAt",
             iso(s.last_used_at) AS "lastUsedAt", iso(s.expires_at) AS "expiresAt", s.id = :current AS "current"
      FROM session AS s
      WHERE s.account_id = app_uid()
        AND s.revoked_at IS NULL
        AND s.expires_at > now()
        AND (:after IS NULL OR s.id < :after)
      ORDER BY s.id DESC
      LIMIT :limit + 1) AS j;

-- query: password_begin () one -> email text, hash text
-- Counts an attempt to prove the caller's password.
SELECT p.email, p.hash
FROM password_begin() AS p;

-- query: password_change (seen text, hash text, session uuid, device text?) one -> events text
-- Sets the caller's password and ends the other sessions.
SELECT password_change(:seen, :hash, :session, :device) AS events;

-- query: user_me () maybe read -> body text, etag text
-- The caller's own account.
SELECT user_json(a, s.id) AS body, user_etag(a, s.id) AS etag
FROM account AS a
LEFT JOIN shop AS s ON s.owner_id = a.id AND s.deleted_at IS NULL
WHERE a.id = app_uid()
  AND a.deleted_at IS NULL;

-- query: user_get (id uuid) maybe read -> body text, etag text
-- An account, in full for its owner and administrators.
SELECT u.body, u.etag
FROM (SELECT user_json(a, s.id) AS body, user_etag(a, s.id) AS etag
      FROM account AS a
      LEFT JOIN shop AS s ON s.owner_id = a.id AND s.deleted_at IS NULL
      WHERE a.id = :id
        AND a.deleted_at IS NULL
        AND (:id = app_uid() OR app_role() = 'admin')
      UNION ALL
      SELECT p.body, p.etag
      FROM user_public AS p
      WHERE p.id = :id
        AND (:id = app_uid() OR app_role() = 'admin') IS NOT TRUE) AS u;

-- query: user_update (id uuid, version int, name text?, username text?, phone text?, avatar_url text?, locale text?,
--     clear text[]) one -> body text, etag text
-- Changes an account; version 0 asks for none.
SELECT u.body, u.etag
FROM user_update(:id, :version, :name, :username, :phone, :avatar_url, :locale, :clear) AS u;
