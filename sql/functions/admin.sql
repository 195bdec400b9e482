-- Used by plazactl only, as plaza_owner: no program's role may run these.

CREATE OR REPLACE FUNCTION create_admin(p_email text, p_name text, p_hash text)
RETURNS uuid LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    new_id uuid := uuid_v7();
BEGIN
    INSERT INTO account (id, email, name, role, email_verified)
    VALUES (new_id, p_email, p_name, 'admin', true);
    INSERT INTO credential (account_id, password_hash) VALUES (new_id, p_hash);
    INSERT INTO feed_head (account_id) VALUES (new_id);
    RETURN new_id;
END $$;

-- After a restore: another epoch for a piece of all feeds, behind `p_after` in the order of the accounts. What was told
-- before and is lost now must not be taken for what comes at the same places later: whoever has seen it loads everything
-- again. `upto` is where the next piece begins.
CREATE OR REPLACE FUNCTION feed_restored(p_after uuid, OUT done bigint, OUT upto uuid)
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    WITH piece AS (
        SELECT h.account_id FROM feed_head AS h WHERE h.account_id > p_after ORDER BY h.account_id LIMIT 10000
        FOR NO KEY UPDATE
    ), changed AS (
        UPDATE feed_head AS h SET epoch = substr(md5(h.epoch || random()), 1, 8)
        FROM piece AS p WHERE h.account_id = p.account_id
        RETURNING h.account_id
    )
    SELECT count(*), max(c.account_id::text)::uuid INTO done, upto FROM changed AS c;
END $$;
