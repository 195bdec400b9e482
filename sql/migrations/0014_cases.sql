-- What several people report of one user is one case; products of suspended sellers leave the shop.

-- What people said of the target of a case after the report that made it.
CREATE TABLE report_more (
    id            uuid        NOT NULL,
    report_id     uuid        NOT NULL,
    reporter_id   uuid        NOT NULL,
    chat_id       uuid,
    seq           bigint,
    reason        text        NOT NULL,
    note          text        NOT NULL DEFAULT '',
    snapshot      text        NOT NULL DEFAULT '[]',
    snapshot_hash bytea       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT report_more_pkey PRIMARY KEY (id),
    CONSTRAINT report_more_report_fkey FOREIGN KEY (report_id) REFERENCES report (id),
    CONSTRAINT report_more_reporter_fkey FOREIGN KEY (reporter_id) REFERENCES account (id),
    CONSTRAINT report_more_reason_check CHECK
        (reason IN ('spam', 'abuse', 'scam', 'prohibited', 'off_platform', 'other')),
    CONSTRAINT report_more_note_check CHECK (length(note) <= 1000)
);
CREATE INDEX report_more_report_idx ON report_more (report_id, created_at, id);
CREATE INDEX report_more_chat_idx ON report_more (chat_id);
CREATE INDEX report_chat_idx ON report (chat_id) WHERE status = 'open';

-- Nobody is granted it: the functions show it to who has a case, and write down who looked.
ALTER TABLE report_more ENABLE ROW LEVEL SECURITY;

-- For the moderators: who is blocked by whom.
CREATE INDEX block_blocked_idx ON block (blocked_id, created_at DESC, blocker_id DESC);

-- 'suspended' is what was on sale when its seller was suspended; it comes back with the seller.
ALTER TABLE product
    DROP CONSTRAINT product_status_check,
    ADD CONSTRAINT product_status_check CHECK (status IN ('pending', 'active', 'rejected', 'inactive', 'suspended'));
-- The first products follow their shop at once, the rest in pieces: until then it is `unsettled`.
ALTER TABLE shop ADD COLUMN unsettled boolean NOT NULL DEFAULT false;
CREATE INDEX shop_unsettled_idx ON shop (id) WHERE unsettled;
-- Those of sellers who are suspended already.
UPDATE shop AS s SET status = 'suspended', unsettled = true
FROM account AS a
WHERE a.id = s.owner_id AND a.status = 'suspended' AND s.status = 'active' AND s.deleted_at IS NULL;
