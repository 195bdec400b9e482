-- Accounts, signing in, sessions and their tokens. Hashes of tokens come as hexadecimal text.

-- ---- accounts ----

-- An account as its owner and administrators see it. These three are single expressions, which the planner puts in the
-- place of the call.
CREATE OR REPLACE FUNCTION user_json(a account, p_shop uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || a.id
        || '","email":' || to_json(a.email)
        || ',"username":' || coalesce(to_json(a.username)::text, 'null')
        || ',"name":' || to_json(a.name)
        || ',"role":"' || a.role
        || '","status":"' || a.status
        || '","phone":' || coalesce(to_json(a.phone)::text, 'null')
        || ',"avatarUrl":' || coalesce(to_json(a.avatar_url)::text, 'null')
        || ',"locale":"' || a.locale
        || '","emailVerified":' || a.email_verified
        || ',"shopId":' || coalesce(to_json(p_shop)::text, 'null')
        || ',"version":' || a.version
        || ',"createdAt":"' || iso(a.created_at)
        || '","updatedAt":"' || iso(a.updated_at) || '"}'
$$;

-- And as everybody sees it.
CREATE OR REPLACE FUNCTION user_public_json(a account, p_shop uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || a.id
        || '","username":' || coalesce(to_json(a.username)::text, 'null')
        || ',"name":' || to_json(a.name)
        || ',"role":"' || a.role
        || '","avatarUrl":' || coalesce(to_json(a.avatar_url)::text, 'null')
        || ',"shopId":' || coalesce(to_json(p_shop)::text, 'null')
        || ',"createdAt":"' || iso(a.created_at) || '"}'
$$;

-- The shop is part of the document, so it is part of its version.
CREATE OR REPLACE FUNCTION user_etag(a account, p_shop uuid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT a.version || coalesce('.' || right(p_shop::text, 8), '')
$$;

-- Text for addresses: "Café «Sol» & Mar" gives "cafe-sol-mar".
CREATE OR REPLACE FUNCTION slugify(p_text text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(trim(BOTH '-' FROM left(regexp_replace(lower(unaccent(p_text)), '[^a-z0-9]+', '-', 'g'), 60)),
                           ''), 'x')
$$;

-- A seller's shop; the name may be taken, its slug then gets a tail.
CREATE OR REPLACE FUNCTION shop_create(p_owner uuid, p_name text) RETURNS uuid
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    made uuid := uuid_v7();
BEGIN
    INSERT INTO shop (id, owner_id, name, slug)
    VALUES (made, p_owner, p_name, slugify(p_name))
    ON CONFLICT (slug) WHERE deleted_at IS NULL DO NOTHING;
    IF NOT FOUND THEN
        INSERT INTO shop (id, owner_id, name, slug)
        VALUES (made, p_owner, p_name, slugify(p_name) || '-' || right(made::text, 12));
    END IF;
    RETURN made;
END $$;

-- Somebody opens an account. A shop makes a seller; other roles are never given here. The e-mail address is in lower
-- case already.
CREATE OR REPLACE FUNCTION account_register(p_email text, p_hash text, p_name text, p_username text, p_phone text,
                                            p_locale text, p_shop text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    made uuid := uuid_v7();
BEGIN
    INSERT INTO account (id, email, username, name, role, phone, locale)
    VALUES (made, p_email, p_username, p_name, CASE WHEN p_shop IS NULL THEN 'client' ELSE 'seller' END, p_phone,
            p_locale);
    INSERT INTO credential (account_id, password_hash) VALUES (made, p_hash);
    INSERT INTO feed_head (account_id) VALUES (made);
    IF p_shop IS NOT NULL THEN
        PERFORM shop_create(made, p_shop);
    END IF;
    RETURN made;
END $$;

-- Changes what the caller may change of an account. NULL keeps a value; p_clear names those to be emptied.
CREATE OR REPLACE FUNCTION user_update(p_id uuid, p_version int, p_name text, p_username text, p_phone text,
                                       p_avatar_url text, p_locale text, p_clear text[])
RETURNS TABLE (body text, etag text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    a  account;
    s  uuid;
BEGIN
    SELECT * INTO a
    FROM account
    WHERE id = p_id AND deleted_at IS NULL AND (id = me OR app_role() = 'admin')
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> a.version THEN
        PERFORM raise_problem('precondition-failed');
    END IF;
    UPDATE account
    SET name = coalesce(p_name, name),
        username = CASE WHEN 'username' = ANY (p_clear) THEN NULL ELSE coalesce(p_username, username) END,
        phone = CASE WHEN 'phone' = ANY (p_clear) THEN NULL ELSE coalesce(p_phone, phone) END,
        avatar_url = CASE WHEN 'avatarUrl' = ANY (p_clear) THEN NULL ELSE coalesce(p_avatar_url, avatar_url) END,
        locale = coalesce(p_locale, locale),
        version = version + 1,
        updated_at = now()
    WHERE id = p_id
    RETURNING * INTO a;
    SELECT id INTO s FROM shop WHERE owner_id = p_id AND deleted_at IS NULL;
    RETURN QUERY SELECT user_json(a, s), user_etag(a, s);
END $$;

-- ---- signing in ----

-- How long no further attempt is heard after n in a row: 1 s, 2 s, 4 s … 15 min. It never grows past that: whoever
-- knows an address could else close its account for good.
CREATE OR REPLACE FUNCTION guard_until(p_failures int) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN p_failures < 5 THEN NULL
        ELSE now() + least(power(2, least(p_failures - 5, 10)), 900) * interval '1 second'
    END
$$;

-- Signing in is counted by the address, also one without account. The prefix NUL, which no text has, keeps changes of
-- passwords apart: they need a session, so the attempts of strangers are none of theirs.
CREATE OR REPLACE FUNCTION guard_key(p_email text) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(p_email, 'UTF8'))
$$;

CREATE OR REPLACE FUNCTION guard_key(p_account uuid) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256('\x00'::bytea || uuid_send(p_account))
$$;

-- Counts an attempt; false when none may be made now. It counts before the password is looked at: requests that run
-- at the same time cannot try more than was allowed. Success takes the count back, and so does a day of silence.
CREATE OR REPLACE FUNCTION guard_attempt(p_key bytea, p_account uuid) RETURNS boolean
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO login_guard AS g (email_hash, account_id, failures)
    VALUES (p_key, p_account, 1)
    ON CONFLICT (email_hash) DO UPDATE
    SET failures = CASE WHEN g.touched_at < now() - interval '1 day' THEN 1 ELSE g.failures + 1 END,
        locked_until = CASE WHEN g.touched_at < now() - interval '1 day' THEN NULL
                            ELSE guard_until(g.failures + 1) END,
        account_id = excluded.account_id,
        touched_at = now()
    WHERE g.locked_until IS NULL OR g.locked_until <= now();
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION guard_clear(p_email text) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    DELETE FROM login_guard WHERE email_hash = guard_key(p_email);
END $$;

-- Counts an attempt of a device that is known to the account; false when it is not, or has none left.
CREATE OR REPLACE FUNCTION device_attempt(p_account uuid, p_device text) RETURNS boolean
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    UPDATE login_device
    SET failures = failures + 1
    WHERE account_id = p_account AND token_hash = decode(p_device, 'hex')
      AND failures < 10 AND last_used_at > now() - interval '1 year';
    RETURN FOUND;
END $$;

-- First half of signing in: the hash to compare with, NULL where no password will do.
CREATE OR REPLACE FUNCTION login_begin(p_email text, p_role text, p_device text)
RETURNS TABLE (account uuid, hash text, known boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    found_hash text;
    allowed    boolean;
BEGIN
    SELECT a.id, CASE WHEN a.status IN ('active', 'suspended') AND a.role = coalesce(p_role, a.role) THEN c.password_hash END
    INTO account, found_hash
    FROM account AS a
    JOIN credential AS c ON c.account_id = a.id
    WHERE a.email = p_email AND a.deleted_at IS NULL;
    known := p_device IS NOT NULL AND device_attempt(account, p_device);
    allowed := known OR guard_attempt(guard_key(p_email), account);
    hash := CASE WHEN allowed THEN found_hash END;
    RETURN NEXT;
END $$;

-- Second half, after the comparison: the hash must still be the one that was compared.
CREATE OR REPLACE FUNCTION login_accept(p_account uuid, p_seen text, p_rehash text, p_known boolean)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    mail text;
BEGIN
    SELECT a.email INTO mail
    FROM credential AS c
    JOIN account AS a ON a.id = c.account_id
    WHERE c.account_id = p_account AND c.password_hash = p_seen
    FOR NO KEY UPDATE OF c;
    IF NOT FOUND THEN
        PERFORM raise_problem('invalid-credentials');
    END IF;
    IF p_rehash IS NOT NULL THEN
        UPDATE credential SET password_hash = p_rehash WHERE account_id = p_account;
    END IF;
    IF NOT p_known THEN
        PERFORM guard_clear(mail);
    END IF;
    RETURN p_account;
END $$;

-- The hash of the caller's password, for changing it. Attempts have a count of their own.
CREATE OR REPLACE FUNCTION password_begin() RETURNS TABLE (email text, hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    SELECT a.email, c.password_hash INTO email, hash
    FROM account AS a
    JOIN credential AS c ON c.account_id = a.id
    WHERE a.id = me;
    IF NOT guard_attempt(guard_key(me), me) THEN
        hash := NULL;
    END IF;
    RETURN NEXT;
END $$;

-- Sets the caller's new password after the old one was compared, and ends all other sessions.
CREATE OR REPLACE FUNCTION password_change(p_seen text, p_hash text, p_session uuid, p_device text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    UPDATE credential
    SET password_hash = p_hash, changed_at = now()
    WHERE account_id = me AND password_hash = p_seen;
    IF NOT FOUND THEN
        PERFORM raise_problem('invalid-credentials');
    END IF;
    PERFORM login_unlock(me);
    DELETE FROM login_device
    WHERE account_id = me AND token_hash IS DISTINCT FROM decode(p_device, 'hex');
    RETURN sessions_end(me, p_session, 'password_change');
END $$;

-- ---- sessions ----

-- When a session ends that is used now. Administrators are given less than the configuration allows.
CREATE OR REPLACE FUNCTION session_until(p_role text, p_opened timestamptz, p_idle_s int, p_max_s int)
RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_role = 'admin'
        THEN least(now() + least(p_idle_s, 3600) * interval '1 second',
                   p_opened + least(p_max_s, 43200) * interval '1 second')
        ELSE least(now() + p_idle_s * interval '1 second', p_opened + p_max_s * interval '1 second')
    END
$$;

-- Tells the brokers to end connections: of one session, or with '*' all of the user.
CREATE OR REPLACE FUNCTION kick(p_user uuid, p_device text, p_reason text) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN emit('sys/kick', json_build_object('uid', p_user, 'did', p_device, 'before',
        floor(extract(epoch FROM clock_timestamp()))::bigint, 'reason', p_reason)::text);
END $$;

-- Ends the sessions of an account but one (NULL keeps none); also for those who suspend it or change its role.
CREATE OR REPLACE FUNCTION sessions_end(p_account uuid, p_keep uuid, p_reason text) RETURNS text
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    ended  uuid[];
    events text;
BEGIN
    WITH gone AS (
        UPDATE session
        SET revoked_at = now(), revoke_reason = p_reason
        WHERE account_id = p_account AND revoked_at IS NULL AND expires_at > now() AND id IS DISTINCT FROM p_keep
        RETURNING id)
    SELECT array_agg(g.id) INTO ended FROM gone AS g;
    IF p_keep IS NULL THEN
        RETURN kick(p_account, '*', p_reason);
    END IF;
    SELECT string_agg(kick(p_account, e.id::text, p_reason), '') INTO events FROM unnest(ended) AS e (id);
    RETURN events;
END $$;

-- The device that signed in; the oldest of many is forgotten.
CREATE OR REPLACE FUNCTION device_keep(p_account uuid, p_device text) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO login_device (account_id, token_hash)
    VALUES (p_account, decode(p_device, 'hex'))
    ON CONFLICT (account_id, token_hash) DO UPDATE SET failures = 0, last_used_at = now();
    DELETE FROM login_device AS d
    WHERE d.account_id = p_account
      AND d.token_hash IN (SELECT o.token_hash FROM login_device AS o WHERE o.account_id = p_account
                           ORDER BY o.last_used_at DESC, o.token_hash OFFSET 20);
END $$;

-- Opens a session for an account whose owner has just been proved. Locks the account first, as suspending it does:
-- whichever comes second sees the other.
CREATE OR REPLACE FUNCTION session_open(p_account uuid, p_session uuid, p_label text, p_agent text, p_address text,
                                        p_refresh text, p_device text, p_idle_s int, p_max_s int)
RETURNS TABLE (body text, account uuid, role text, ends_at bigint, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    a      account;
    until  timestamptz;
    shop   uuid;
    oldest uuid;
BEGIN
    UPDATE account SET last_login_at = now() WHERE id = p_account AND status = 'active' RETURNING * INTO a;
    IF NOT FOUND THEN
        -- Who knows the password may know that.
        PERFORM raise_problem('account-suspended', 'POST /auth/appeals takes an appeal.')
        FROM account WHERE id = p_account AND status = 'suspended';
        PERFORM raise_problem('invalid-credentials');
    END IF;
    -- One more than are kept would stay, so the least recent goes.
    SELECT s.id INTO oldest
    FROM session AS s
    WHERE s.account_id = p_account AND s.revoked_at IS NULL AND s.expires_at > now()
    ORDER BY s.id DESC OFFSET 49 LIMIT 1;
    IF FOUND THEN
        UPDATE session SET revoked_at = now(), revoke_reason = 'limit' WHERE id = oldest;
        events := kick(p_account, oldest::text, 'limit');
    END IF;
    until := session_until(a.role, now(), p_idle_s, p_max_s);
    INSERT INTO session (id, account_id, device, user_agent, address, expires_at)
    VALUES (p_session, p_account, p_label, p_agent, p_address, until);
    INSERT INTO refresh_token (token_hash, session_id) VALUES (decode(p_refresh, 'hex'), p_session);
    PERFORM device_keep(p_account, p_device);
    SELECT s.id INTO shop FROM shop AS s WHERE s.owner_id = p_account AND s.deleted_at IS NULL;
    body := user_json(a, shop);
    account := a.id;
    role := a.role;
    ends_at := floor(extract(epoch FROM until));
    RETURN NEXT;
END $$;

-- Trades a refresh token for its successor. `outcome`: 'new'; 'repeat' for the same successor once more, within 10 s
-- while nobody used it, since the answer may have been lost; 'unknown'; 'ended'; 'reuse' when a spent token comes
-- again: it was copied, and nobody can tell which of the two is the owner, so the session ends.
CREATE OR REPLACE FUNCTION session_refresh(p_token text, p_salt text, p_successor text, p_idle_s int, p_max_s int)
RETURNS TABLE (outcome text, salt text, body text, account uuid, session uuid, role text, ends_at bigint, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    t     record;
    a     account;
    until timestamptz;
BEGIN
    -- Both rows are locked: of two requests with one token the second waits and then finds it spent.
    SELECT r.token_hash, r.spent_at, r.successor, r.successor_salt, s.id, s.account_id, s.created_at, s.expires_at,
           s.revoked_at
    INTO t
    FROM refresh_token AS r
    JOIN session AS s ON s.id = r.session_id
    WHERE r.token_hash = decode(p_token, 'hex')
    FOR NO KEY UPDATE OF r, s;
    IF NOT FOUND THEN
        outcome := 'unknown';
        RETURN NEXT;
        RETURN;
    END IF;
    account := t.account_id;
    session := t.id;
    until := t.expires_at;
    SELECT * INTO a FROM account AS x WHERE x.id = t.account_id;
    IF t.revoked_at IS NOT NULL OR t.expires_at <= now() OR a.status <> 'active' THEN
        outcome := 'ended';
    ELSIF t.spent_at IS NULL THEN
        outcome := 'new';
        salt := p_salt;
        until := session_until(a.role, t.created_at, p_idle_s, p_max_s);
        UPDATE refresh_token AS r
        SET spent_at = now(), successor = decode(p_successor, 'hex'), successor_salt = decode(p_salt, 'hex')
        WHERE r.token_hash = t.token_hash;
        INSERT INTO refresh_token (token_hash, session_id) VALUES (decode(p_successor, 'hex'), t.id);
        UPDATE session AS s SET last_used_at = now(), expires_at = until WHERE s.id = t.id;
    ELSIF t.spent_at > now() - interval '10 seconds'
          AND EXISTS (SELECT FROM refresh_token AS n WHERE n.token_hash = t.successor AND n.spent_at IS NULL) THEN
        outcome := 'repeat';
        salt := encode(t.successor_salt, 'hex');
    ELSE
        outcome := 'reuse';
        UPDATE session AS s SET revoked_at = now(), revoke_reason = 'reuse' WHERE s.id = t.id;
        events := kick(t.account_id, t.id::text, 'reuse');
    END IF;
    IF salt IS NOT NULL THEN
        body := user_json(a, (SELECT o.id FROM shop AS o WHERE o.owner_id = a.id AND o.deleted_at IS NULL));
        role := a.role;
        ends_at := floor(extract(epoch FROM until));
    END IF;
    RETURN NEXT;
END $$;

-- Ends one session of the caller.
CREATE OR REPLACE FUNCTION session_end(p_session uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    UPDATE session
    SET revoked_at = now(), revoke_reason = 'logout'
    WHERE id = p_session AND account_id = me AND revoked_at IS NULL AND expires_at > now();
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    RETURN kick(me, p_session::text, 'logout');
END $$;

-- Ends all sessions of the caller.
CREATE OR REPLACE FUNCTION session_end_all() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN sessions_end(app_me(), NULL, 'logout_all');
END $$;

-- Whether a session that a token names still lives, with the account's e-mail address.
CREATE OR REPLACE FUNCTION session_alive(p_user uuid, p_session uuid) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    RETURN (SELECT a.email
            FROM session AS s
            JOIN account AS a ON a.id = s.account_id
            WHERE s.id = p_session AND s.account_id = p_user AND s.revoked_at IS NULL AND s.expires_at > now());
END $$;

-- Ends the delays of an account, after its owner proved himself or changed the password.
CREATE OR REPLACE FUNCTION login_unlock(p_account uuid) RETURNS void
LANGUAGE sql SET search_path = plaza, pg_temp AS $$
    DELETE FROM login_guard WHERE account_id = p_account
$$;

-- Removes a piece of what no longer says anything; returns the number of rows. Spent tokens of living sessions are kept
-- for 30 days, so that their coming back is noticed. Tokens go first, and sessions when no old ones are left: a session
-- takes its tokens along, which would be too many at once.
CREATE OR REPLACE FUNCTION auth_purge() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    piece CONSTANT bigint := 1000;
    n     bigint;
    total bigint;
BEGIN
    DELETE FROM refresh_token
    WHERE ctid = ANY (ARRAY(SELECT r.ctid FROM refresh_token AS r
                            WHERE r.spent_at < now() - interval '30 days' LIMIT piece));
    GET DIAGNOSTICS total = ROW_COUNT;
    IF total = piece THEN
        RETURN total;
    END IF;
    DELETE FROM session
    WHERE ctid = ANY (ARRAY(SELECT s.ctid FROM session AS s
                            WHERE s.expires_at < now() - interval '30 days' LIMIT piece));
    GET DIAGNOSTICS n = ROW_COUNT;
    total := total + n;
    DELETE FROM session
    WHERE ctid = ANY (ARRAY(SELECT s.ctid FROM session AS s
                            WHERE s.revoked_at < now() - interval '30 days' LIMIT piece));
    GET DIAGNOSTICS n = ROW_COUNT;
    total := total + n;
    DELETE FROM login_guard
    WHERE ctid = ANY (ARRAY(SELECT g.ctid FROM login_guard AS g
                            WHERE g.touched_at < now() - interval '1 day' LIMIT piece));
    GET DIAGNOSTICS n = ROW_COUNT;
    total := total + n;
    DELETE FROM login_device
    WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM login_device AS d
                            WHERE d.last_used_at < now() - interval '1 year' LIMIT piece));
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN total + n;
END $$;

GRANT EXECUTE ON FUNCTION user_json(account, uuid), user_public_json(account, uuid), user_etag(account, uuid),
    slugify(text) TO plaza_web, plaza_auth;
GRANT EXECUTE ON FUNCTION user_update(uuid, int, text, text, text, text, text, text[]) TO plaza_web;
GRANT EXECUTE ON FUNCTION account_register(text, text, text, text, text, text, text), login_begin(text, text, text),
    login_accept(uuid, text, text, boolean), password_begin(), password_change(text, text, uuid, text),
    session_open(uuid, uuid, text, text, text, text, text, int, int), session_refresh(text, text, text, int, int),
    session_end(uuid), session_end_all(), session_alive(uuid, uuid) TO plaza_auth;
GRANT EXECUTE ON FUNCTION auth_purge() TO plaza_relay;
