-- How long conversations are kept, what was removed of them, and accounts that are to be erased.

-- Days that messages are kept, by the class of their conversation: of two without an order between them, with one (what
-- the law asks of business letters), or a group. Never less than feeds are kept.
CREATE TABLE retention (
    class text    NOT NULL,
    days  integer NOT NULL,
    CONSTRAINT retention_pkey PRIMARY KEY (class),
    CONSTRAINT retention_class_check CHECK (class IN ('chat', 'chat_order', 'group')),
    CONSTRAINT retention_days_check CHECK (days BETWEEN 62 AND 36500)
);
INSERT INTO retention (class, days) VALUES ('chat', 730), ('chat_order', 3650), ('group', 730);

-- Proof of what retention removed: SHA-256 of the documents of those messages, a line feed between.
CREATE TABLE chat_purge (
    chat_id   uuid        NOT NULL,
    upto_seq  bigint      NOT NULL,
    messages  integer     NOT NULL,
    digest    bytea       NOT NULL,
    purged_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chat_purge_pkey PRIMARY KEY (chat_id, upto_seq)
);
-- Where the job stands in its daily round.
CREATE TABLE chat_purge_stand (
    round   date NOT NULL,
    chat_id uuid NOT NULL,
    CONSTRAINT chat_purge_stand_pkey PRIMARY KEY (round)
);
INSERT INTO chat_purge_stand (round, chat_id) VALUES ('2000-01-01', 'ffffffff-ffff-ffff-ffff-ffffffffffff');

CREATE TABLE erasure (
    account_id uuid        NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT now(),
    erase_at   timestamptz NOT NULL,
    CONSTRAINT erasure_pkey PRIMARY KEY (account_id),
    CONSTRAINT erasure_account_fkey FOREIGN KEY (account_id) REFERENCES account (id)
);
CREATE INDEX erasure_due_idx ON erasure (erase_at);

ALTER TABLE retention        ENABLE ROW LEVEL SECURITY;
ALTER TABLE chat_purge       ENABLE ROW LEVEL SECURITY;
ALTER TABLE chat_purge_stand ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasure          ENABLE ROW LEVEL SECURITY;
