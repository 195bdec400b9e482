-- Accounts, sessions, shops, idempotency, outbox and feeds: what every domain stands on.

GRANT USAGE ON SCHEMA plaza TO plaza_web, plaza_auth, plaza_relay, plaza_report;
-- Functions are for the roles that are granted them, not for everybody.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; -- with IN SCHEMA it would change nothing

-- Where a table is written all the time, checks of one column are those of a domain: PostgreSQL reads the CHECKs of a
-- table from text at each statement, those of a domain once a session.

-- One table for everybody who can sign in; client = buyer, seller = merchant.
CREATE TABLE account (
    id             uuid        NOT NULL,
    email          text        NOT NULL,
    username       text,
    name           text        NOT NULL,
    role           text        NOT NULL,
    status         text        NOT NULL DEFAULT 'active',
    phone          text,
    avatar_url     text,
    locale         text        NOT NULL DEFAULT 'en',
    email_verified boolean     NOT NULL DEFAULT false,
    last_login_at  timestamptz,
    last_seen_at   timestamptz,
    version        integer     NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    deleted_at     timestamptz,
    CONSTRAINT account_pkey PRIMARY KEY (id),
    CONSTRAINT account_email_check CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    CONSTRAINT account_username_check CHECK (length(username) BETWEEN 3 AND 40),
    CONSTRAINT account_name_check CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT account_role_check CHECK (role IN ('client', 'seller', 'admin', 'moderator', 'service')),
    CONSTRAINT account_status_check CHECK (status IN ('active', 'suspended', 'deleted')),
    CONSTRAINT account_locale_check CHECK (locale IN ('en', 'es'))
);
CREATE UNIQUE INDEX account_email_key ON account (email) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX account_username_key ON account (lower(username)) WHERE deleted_at IS NULL;
CREATE INDEX account_created_idx ON account (created_at DESC, id DESC);

-- The secret half of an account; only plaza_auth may read it.
CREATE TABLE credential (
    account_id    uuid        NOT NULL,
    password_hash text        NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credential_pkey PRIMARY KEY (account_id),
    CONSTRAINT credential_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE
);

-- A sign-in on one device. Access tokens name it; its end is their end.
CREATE TABLE session (
    id            uuid        NOT NULL,
    account_id    uuid        NOT NULL,
    device        text        NOT NULL DEFAULT '',
    user_agent    text        NOT NULL DEFAULT '',
    address       text        NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    revoke_reason text,
    CONSTRAINT session_pkey PRIMARY KEY (id),
    CONSTRAINT session_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE,
    CONSTRAINT session_reason_check CHECK (revoke_reason IN
        ('logout', 'logout_all', 'password_change', 'reuse', 'admin', 'expired', 'suspended', 'limit'))
);
CREATE INDEX session_account_idx ON session (account_id, id DESC) WHERE revoked_at IS NULL;
CREATE INDEX session_expires_idx ON session (expires_at);

-- Refresh tokens are opaque; only their SHA-256 is kept. `spent_at` marks the used ones of a session, which tell
-- theft when they come again. A successor is computed from the token and `successor_salt`; `successor` is its SHA-256.
CREATE TABLE refresh_token (
    token_hash     bytea       NOT NULL,
    session_id     uuid        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    spent_at       timestamptz,
    successor      bytea,
    successor_salt bytea,
    CONSTRAINT refresh_token_pkey PRIMARY KEY (token_hash),
    CONSTRAINT refresh_token_session_fkey FOREIGN KEY (session_id) REFERENCES session (id) ON DELETE CASCADE,
    CONSTRAINT refresh_token_hash_check CHECK (octet_length(token_hash) = 32)
);
CREATE INDEX refresh_token_session_idx ON refresh_token (session_id);
CREATE UNIQUE INDEX refresh_token_live_key ON refresh_token (session_id) WHERE spent_at IS NULL;

-- A seller's storefront. Its id is the room of shop events, s/{id}/in.
CREATE TABLE shop (
    id          uuid        NOT NULL,
    owner_id    uuid        NOT NULL,
    name        text        NOT NULL,
    slug        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    location    text        NOT NULL DEFAULT '',
    status      text        NOT NULL DEFAULT 'active',
    version     integer     NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    CONSTRAINT shop_pkey PRIMARY KEY (id),
    CONSTRAINT shop_owner_fkey FOREIGN KEY (owner_id) REFERENCES account (id),
    CONSTRAINT shop_name_check CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT shop_status_check CHECK (status IN ('active', 'suspended', 'closed'))
);
CREATE UNIQUE INDEX shop_owner_key ON shop (owner_id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX shop_slug_key ON shop (slug) WHERE deleted_at IS NULL;

-- Answers by Idempotency-Key, kept 7 days, written in the transaction of their effect.
CREATE DOMAIN request_key AS text CONSTRAINT idempotency_key_check CHECK (length(VALUE) BETWEEN 1 AND 255);
CREATE TABLE idempotency (
    account_id uuid        NOT NULL, -- nil for guests
    scope      text        NOT NULL, -- operation name
    key        request_key NOT NULL,
    hash       text        NOT NULL, -- SHA-256 of the request, hex
    status     integer     NOT NULL,
    headers    text        NOT NULL,
    body       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_pkey PRIMARY KEY (account_id, scope, key)
);
ALTER TABLE idempotency ALTER COLUMN body SET COMPRESSION lz4;
CREATE INDEX idempotency_created_idx ON idempotency (created_at);

-- Events that the broker has not confirmed yet, oldest first. Rows live for milliseconds: compressing one is not worth it.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    topic      text        NOT NULL,
    payload    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, toast_tuple_target = 8160);

-- A user's feed: gapless numbers `us`, given under the row lock of its head.
CREATE TABLE feed_head (
    account_id uuid   NOT NULL,
    last_us    bigint NOT NULL DEFAULT 0,
    epoch      text   NOT NULL DEFAULT substr(md5(random()::text), 1, 8),
    CONSTRAINT feed_head_pkey PRIMARY KEY (account_id),
    CONSTRAINT feed_head_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE
) WITH (fillfactor = 70);

-- One partition a month, made ahead and dropped by job_partitions(), so that retention costs nothing. The default one
-- catches what comes before its month is made. A number is unique because its head is locked when it is given.
CREATE TABLE feed (
    account_id uuid        NOT NULL,
    us         bigint      NOT NULL,
    type       text        NOT NULL, -- t of the event, e.g. 'message:receive'
    chat_id    uuid,                 -- message events: the text is read from the message, so a deleted one is gone here too
    seq        bigint,
    data       text,                 -- JSON object of the other events
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feed_pkey PRIMARY KEY (account_id, us, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE feed_default PARTITION OF feed DEFAULT;

ALTER TABLE account       ENABLE ROW LEVEL SECURITY;
ALTER TABLE credential    ENABLE ROW LEVEL SECURITY;
ALTER TABLE session       ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency   ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed_head     ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed          ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed_default  ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox        ENABLE ROW LEVEL SECURITY;

-- The caller, as told by app_enter(); NULL when nobody is signed in. Here because policies need them.
CREATE FUNCTION app_uid() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('plaza.uid', true), '')::uuid
$$;
CREATE FUNCTION app_role() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('plaza.role', true), '')
$$;
GRANT EXECUTE ON FUNCTION app_uid(), app_role() TO plaza_web, plaza_auth, plaza_relay, plaza_report;

CREATE POLICY account_own ON account FOR SELECT TO plaza_web, plaza_auth
    USING (id = (SELECT app_uid()) OR (SELECT app_role()) IN ('admin', 'moderator', 'service'));
CREATE POLICY session_own ON session FOR SELECT TO plaza_web, plaza_auth
    USING (account_id = (SELECT app_uid()));
CREATE POLICY idempotency_own ON idempotency FOR SELECT TO plaza_web, plaza_auth
    USING (account_id = coalesce((SELECT app_uid()), '00000000-0000-0000-0000-000000000000'));
CREATE POLICY feed_head_own ON feed_head FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
CREATE POLICY feed_own ON feed FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
-- The programs remove what the broker confirmed; they never read another's payload through this table.
CREATE POLICY outbox_relay ON outbox TO plaza_relay USING (true);

-- Reads are direct, writes go through functions of plaza_owner.
GRANT SELECT ON account, session, shop, idempotency, feed_head, feed TO plaza_web;
GRANT SELECT ON account, session, shop, idempotency TO plaza_auth;
GRANT SELECT, DELETE ON outbox TO plaza_relay;
GRANT SELECT ON shop TO plaza_report;
