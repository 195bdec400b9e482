-- What users want to be told and how, their devices, and the push messages on their way.

-- False where the user wants this kind by other ways only: no list shows it, no event tells it.
ALTER TABLE notification ADD COLUMN listed boolean NOT NULL DEFAULT true;
CREATE INDEX notification_created_idx ON notification (created_at);

-- Where a user differs from the view notification_kind; NULL does not.
CREATE TABLE notification_preference (
    account_id uuid    NOT NULL,
    type       text    NOT NULL,
    inbox      boolean,
    push       boolean,
    email      boolean,
    sms        boolean,
    CONSTRAINT notification_preference_pkey PRIMARY KEY (account_id, type),
    CONSTRAINT notification_preference_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE
);

-- Quiet hours are minutes of the user's day; those that begin later than they end pass midnight.
CREATE TABLE notification_setting (
    account_id uuid     NOT NULL,
    preview    boolean  NOT NULL DEFAULT true, -- push messages show what was written
    quiet_from smallint,
    quiet_to   smallint,
    quiet_days smallint NOT NULL DEFAULT 127,  -- on which they begin; bit 0 is Monday
    time_zone  text     NOT NULL DEFAULT 'UTC',
    CONSTRAINT notification_setting_pkey PRIMARY KEY (account_id),
    CONSTRAINT notification_setting_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE,
    CONSTRAINT notification_setting_quiet_check CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)
        AND quiet_from BETWEEN 0 AND 1439 AND quiet_to BETWEEN 0 AND 1439 AND quiet_days BETWEEN 0 AND 127)
);

-- Where push messages for a session go. An address belongs to one device; a new address is a new row, so that an answer
-- about the old one does not remove it.
CREATE TABLE push_device (
    id         uuid        NOT NULL,
    account_id uuid        NOT NULL,
    session_id uuid        NOT NULL,
    provider   text        NOT NULL,
    address    text        NOT NULL, -- URL of the subscription, or FCM's registration token
    host       text        NOT NULL, -- whose service it is
    key_point  text,                 -- p256dh and auth of the subscription, base64url
    key_auth   text,
    name       text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT push_device_pkey PRIMARY KEY (id),
    CONSTRAINT push_device_session_key UNIQUE (session_id),
    CONSTRAINT push_device_address_key UNIQUE (address),
    CONSTRAINT push_device_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE,
    CONSTRAINT push_device_session_fkey FOREIGN KEY (session_id) REFERENCES session (id) ON DELETE CASCADE,
    CONSTRAINT push_device_provider_check CHECK (provider IN ('webpush', 'fcm')),
    CONSTRAINT push_device_keys_check CHECK ((provider = 'webpush') = (key_point IS NOT NULL AND key_auth IS NOT NULL)),
    CONSTRAINT push_device_address_check CHECK (length(address) BETWEEN 1 AND 2048)
);
CREATE INDEX push_device_account_idx ON push_device (account_id);

-- Push messages that wait: one for a device and a conversation, or a notification. No foreign keys: what has gone
-- meanwhile is found when a message is due. `looked`: plaza-relay has asked whether the user is there, and set due_at.
CREATE TABLE push_queue (
    device_id  uuid        NOT NULL,
    topic      uuid        NOT NULL, -- conversation or notification
    account_id uuid        NOT NULL,
    is_chat    boolean     NOT NULL,
    seq        bigint      NOT NULL DEFAULT 0, -- of the newest message
    read_seq   bigint      NOT NULL DEFAULT 0, -- what the user had read then
    critical   boolean     NOT NULL DEFAULT false,
    looked     boolean     NOT NULL DEFAULT false,
    leased     boolean     NOT NULL DEFAULT false, -- on its way
    attempts   integer     NOT NULL DEFAULT 0,
    since      timestamptz NOT NULL DEFAULT now(), -- the first message that it stands for
    queued_at  timestamptz NOT NULL DEFAULT now(), -- the newest
    due_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT push_queue_pkey PRIMARY KEY (device_id, topic)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX push_queue_due_idx ON push_queue (due_at) WHERE looked;
CREATE INDEX push_queue_new_idx ON push_queue (account_id) WHERE NOT looked;
CREATE INDEX push_queue_leased_idx ON push_queue (device_id) WHERE leased;

-- What became of them, for the metrics.
CREATE TABLE push_count (
    outcome text   NOT NULL,
    n       bigint NOT NULL,
    CONSTRAINT push_count_pkey PRIMARY KEY (outcome)
);

ALTER TABLE notification_preference ENABLE ROW LEVEL SECURITY;
ALTER TABLE notification_setting    ENABLE ROW LEVEL SECURITY;
ALTER TABLE push_device             ENABLE ROW LEVEL SECURITY;
ALTER TABLE push_queue              ENABLE ROW LEVEL SECURITY;
ALTER TABLE push_count              ENABLE ROW LEVEL SECURITY;

CREATE POLICY notification_preference_own ON notification_preference FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
CREATE POLICY notification_setting_own ON notification_setting FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
CREATE POLICY push_device_own ON push_device FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
GRANT SELECT ON notification_preference, notification_setting, push_device TO plaza_web;

-- Wherever a session is ended, its device hears no more of it.
CREATE FUNCTION session_ended() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    DELETE FROM push_device WHERE session_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER session_ended AFTER UPDATE OF revoked_at ON session
    FOR EACH ROW WHEN (NEW.revoked_at IS NOT NULL AND OLD.revoked_at IS NULL) EXECUTE FUNCTION session_ended();
