-- Moderation: rules for messages, cases, sanctions and appeals, and the audit trail.

-- ---- what messages are filtered by ----

-- `pattern` is a word or phrase ('word', or 'pattern' with a * at an end), or the name of a class of contact data.
-- `language` is for the lists of administrators: a rule reads texts of all languages.
CREATE TABLE moderation_rule (
    id         uuid        NOT NULL,
    kind       text        NOT NULL,
    pattern    text        NOT NULL,
    language   text,
    action     text        NOT NULL,
    enabled    boolean     NOT NULL DEFAULT true,
    threshold  integer, -- phone: fewest digits of a number that nothing else tells to be one
    note       text        NOT NULL DEFAULT '',
    version    integer     NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT moderation_rule_pkey PRIMARY KEY (id),
    CONSTRAINT moderation_rule_pattern_key UNIQUE (kind, pattern),
    CONSTRAINT moderation_rule_kind_check CHECK (kind IN ('word', 'pattern', 'contact')),
    CONSTRAINT moderation_rule_pattern_check CHECK (length(pattern) BETWEEN 1 AND 100 AND
        CASE kind WHEN 'contact' THEN pattern IN ('phone', 'email', 'url', 'handle')
                  WHEN 'pattern' THEN pattern ~ '^\*?[^*]+\*?$' AND pattern LIKE '%*%'
                  ELSE pattern NOT LIKE '%*%' END),
    CONSTRAINT moderation_rule_language_check CHECK (language IN ('en', 'es')),
    CONSTRAINT moderation_rule_action_check CHECK (action IN ('refuse', 'mask', 'flag')),
    CONSTRAINT moderation_rule_threshold_check CHECK
        (threshold IS NULL OR threshold BETWEEN 7 AND 15 AND pattern = 'phone'),
    CONSTRAINT moderation_rule_note_check CHECK (length(note) <= 500)
);

-- One row: grows with every change of a rule, so that programs notice.
CREATE TABLE moderation_state (
    one     boolean NOT NULL DEFAULT true,
    version bigint  NOT NULL DEFAULT 1,
    CONSTRAINT moderation_state_pkey PRIMARY KEY (one),
    CONSTRAINT moderation_state_one_check CHECK (one)
);
INSERT INTO moderation_state DEFAULT VALUES;

INSERT INTO moderation_rule (id, kind, pattern, action, threshold, note) VALUES
    (gen_random_uuid(), 'contact', 'phone', 'refuse', 9, 'Telephone numbers'),
    (gen_random_uuid(), 'contact', 'email', 'refuse', NULL, 'E-mail addresses'),
    (gen_random_uuid(), 'contact', 'url', 'refuse', NULL, 'Links to other sites'),
    (gen_random_uuid(), 'contact', 'handle', 'refuse', NULL, 'Names at other services');

-- ---- cases ----

-- A case without a reporter was opened by a rule. It belongs to `assignee_id` until `claimed_until`.
ALTER TABLE report
    ALTER COLUMN reporter_id DROP NOT NULL,
    ADD COLUMN hint          text        NOT NULL DEFAULT '', -- what the filter found
    ADD COLUMN assignee_id   uuid,
    ADD COLUMN claimed_until timestamptz,
    ADD COLUMN action        text,
    DROP CONSTRAINT report_reason_check,
    ADD CONSTRAINT report_reason_check CHECK
        (reason IN ('spam', 'abuse', 'scam', 'prohibited', 'off_platform', 'other') OR reason = 'filter' AND reporter_id IS NULL),
    ADD CONSTRAINT report_reporter_check CHECK (reporter_id IS NOT NULL OR reason = 'filter'),
    ADD CONSTRAINT report_assignee_fkey FOREIGN KEY (assignee_id) REFERENCES account (id),
    ADD CONSTRAINT report_claim_check CHECK ((assignee_id IS NULL) = (claimed_until IS NULL)),
    ADD CONSTRAINT report_action_check CHECK (action IN ('dismiss', 'warn', 'suspend', 'remove_message'));
CREATE INDEX report_list_idx ON report (created_at DESC, id DESC);
CREATE INDEX report_assignee_idx ON report (assignee_id) WHERE status = 'open';

-- What was done to somebody. A suspension without `ends_at` has no end.
CREATE TABLE sanction (
    id           uuid        NOT NULL,
    account_id   uuid        NOT NULL,
    kind         text        NOT NULL,
    report_id    uuid        NOT NULL,
    moderator_id uuid        NOT NULL,
    note         text        NOT NULL, -- told to the account
    ends_at      timestamptz,
    lifted_at    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sanction_pkey PRIMARY KEY (id),
    CONSTRAINT sanction_account_fkey FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT sanction_report_fkey FOREIGN KEY (report_id) REFERENCES report (id),
    CONSTRAINT sanction_moderator_fkey FOREIGN KEY (moderator_id) REFERENCES account (id),
    CONSTRAINT sanction_kind_check CHECK (kind IN ('warn', 'suspend', 'remove_message')),
    CONSTRAINT sanction_ends_check CHECK (ends_at IS NULL OR kind = 'suspend')
);
CREATE INDEX sanction_account_idx ON sanction (account_id, created_at DESC, id DESC);
CREATE INDEX sanction_report_idx ON sanction (report_id);
CREATE INDEX sanction_due_idx ON sanction (ends_at) WHERE kind = 'suspend' AND lifted_at IS NULL;

-- One for each sanction; never decided by who made it.
CREATE TABLE appeal (
    id          uuid        NOT NULL,
    sanction_id uuid        NOT NULL,
    account_id  uuid        NOT NULL,
    body        text        NOT NULL,
    status      text        NOT NULL DEFAULT 'open',
    decided_by  uuid,
    decided_at  timestamptz,
    note        text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT appeal_pkey PRIMARY KEY (id),
    CONSTRAINT appeal_sanction_key UNIQUE (sanction_id),
    CONSTRAINT appeal_sanction_fkey FOREIGN KEY (sanction_id) REFERENCES sanction (id),
    CONSTRAINT appeal_account_fkey FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT appeal_decider_fkey FOREIGN KEY (decided_by) REFERENCES account (id),
    CONSTRAINT appeal_status_check CHECK (status IN ('open', 'upheld', 'lifted')),
    CONSTRAINT appeal_decided_check CHECK ((status = 'open') = (decided_by IS NULL))
);
CREATE INDEX appeal_list_idx ON appeal (created_at DESC, id DESC);

-- ---- audit ----

-- Who looked at or changed what is not theirs. Rows are numbered without gaps, and the hash of each covers the one
-- before (audit_hash()): what is changed, removed or put in between breaks the chain.
CREATE TABLE audit (
    n          bigint      NOT NULL,
    at         timestamptz NOT NULL,
    actor_id   uuid,
    actor_role text        NOT NULL,
    action     text        NOT NULL, -- what.verb, e.g. case.open
    object     text        NOT NULL, -- kind of the object
    object_id  text        NOT NULL,
    data       text        NOT NULL, -- JSON object
    request_id text        NOT NULL, -- finds address and answer in the log
    hash       bytea       NOT NULL,
    CONSTRAINT audit_pkey PRIMARY KEY (n),
    CONSTRAINT audit_action_check CHECK (action ~ '^[a-z_]+\.[a-z_]+$')
);
CREATE INDEX audit_actor_idx ON audit (actor_id, n DESC);
CREATE INDEX audit_object_idx ON audit (object_id, n DESC);

-- Where the chain ends, so that a row that is cut off is missed; its lock puts writers one after the other.
CREATE TABLE audit_head (
    one  boolean NOT NULL DEFAULT true,
    n    bigint  NOT NULL DEFAULT 0,
    hash bytea   NOT NULL DEFAULT '\x',
    CONSTRAINT audit_head_pkey PRIMARY KEY (one),
    CONSTRAINT audit_head_one_check CHECK (one)
);
INSERT INTO audit_head DEFAULT VALUES;

CREATE FUNCTION audit_is_final() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = 'the audit trail is append only';
END $$;
CREATE TRIGGER audit_final BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_final();
CREATE TRIGGER audit_final_all BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_final();

-- Nobody is granted these tables: all goes through functions, which check the role and leave their trace.
ALTER TABLE moderation_rule  ENABLE ROW LEVEL SECURITY;
ALTER TABLE moderation_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE sanction         ENABLE ROW LEVEL SECURITY;
ALTER TABLE appeal           ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit            ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_head       ENABLE ROW LEVEL SECURITY;

-- Reports of others are read through the functions only, which write down who looked.
DROP POLICY report_own ON report;
CREATE POLICY report_own ON report FOR SELECT TO plaza_web
    USING (reporter_id = (SELECT app_uid()));
