-- Guessing passwords costs time: counters of attempts by e-mail address, and the devices that are spared from them.

-- Attempts in a row without success. There is a row for unknown addresses too, so that asking about one of them does
-- the same work and leaves the same trace.
CREATE TABLE login_guard (
    email_hash   bytea       NOT NULL, -- SHA-256: most of these are typing errors, some are passwords. Or guard_key()
                                       -- of an account, for changing its password
    account_id   uuid,                 -- NULL for unknown addresses. No foreign key: its check would take time for
                                       -- known ones only
    failures     integer     NOT NULL,
    locked_until timestamptz,
    touched_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT login_guard_pkey PRIMARY KEY (email_hash),
    CONSTRAINT login_guard_hash_check CHECK (octet_length(email_hash) = 32)
);
CREATE INDEX login_guard_sweep_idx ON login_guard (touched_at);
CREATE INDEX login_guard_account_idx ON login_guard (account_id) WHERE account_id IS NOT NULL;

-- A device on which the account has signed in before. It has attempts of its own, so that strangers cannot lock its
-- owner out.
CREATE TABLE login_device (
    account_id   uuid        NOT NULL,
    token_hash   bytea       NOT NULL, -- SHA-256
    failures     integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT login_device_pkey PRIMARY KEY (account_id, token_hash),
    CONSTRAINT login_device_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE,
    CONSTRAINT login_device_hash_check CHECK (octet_length(token_hash) = 32)
);

CREATE INDEX login_device_sweep_idx ON login_device (last_used_at);

-- What was ended or used up, for those who remove it and those who ask what ended just now.
CREATE INDEX session_revoked_idx ON session (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX refresh_token_spent_idx ON refresh_token (spent_at) WHERE spent_at IS NOT NULL;

-- Nobody is granted anything: only the functions of functions/auth.sql touch these tables.
ALTER TABLE login_guard  ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_device ENABLE ROW LEVEL SECURITY;
