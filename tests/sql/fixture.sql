-- What tests/sql/test_db.c needs besides the real schema.
CREATE TABLE t_row (
    id    int  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    value text NOT NULL,
    twin  int,
    CONSTRAINT t_row_value_key UNIQUE (value),
    CONSTRAINT t_row_value_check CHECK (value <> 'bad'),
    CONSTRAINT t_row_twin_fkey FOREIGN KEY (twin) REFERENCES t_row (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE SEQUENCE t_tries;

-- Fails with the state until it was called n times; sequences survive the rollback.
CREATE FUNCTION t_fail(p_state text, p_times int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    n bigint := nextval('t_tries');
BEGIN
    IF n <= p_times THEN
        RAISE EXCEPTION USING ERRCODE = p_state, MESSAGE = 'told to fail';
    END IF;
    RETURN n;
END $$;

-- A problem with everything that it can carry.
CREATE FUNCTION t_problem(p_slug text, p_detail text, p_hint text, p_pointer text, p_code text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = p_slug, DETAIL = p_detail, HINT = p_hint,
        COLUMN = p_pointer, CONSTRAINT = p_code;
END $$;

CREATE FUNCTION t_write(p_value text, p_twin int) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO t_row (value, twin) VALUES (p_value, p_twin);
    RETURN emit('t/row', '{"value":"' || p_value || '"}');
END $$;

CREATE FUNCTION t_reset() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM setval('t_tries', 1, false);
    DELETE FROM t_row;
    DELETE FROM idempotency;
END $$;

GRANT SELECT ON t_row TO plaza_web;
GRANT EXECUTE ON FUNCTION t_fail(text, int), t_problem(text, text, text, text, text), t_write(text, int),
    t_reset() TO plaza_web;

INSERT INTO account (id, email, name, role)
VALUES ('00000000-0000-7000-8000-000000000001', 'ann@example.org', 'Ann', 'client'),
       ('00000000-0000-7000-8000-000000000002', 'bob@example.org', 'Bob', 'seller');
INSERT INTO session (id, account_id, expires_at)
VALUES ('00000000-0000-7000-8000-000000000011', '00000000-0000-7000-8000-000000000001', now() + interval '1 day');
