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
