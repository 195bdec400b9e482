-- Conversations, messages, receipts, blocks, reports, notifications.

-- A conversation. A private one has two members, `buyer_id` being who opened it, and may be about a product; its
-- members stand here too, so that sending reads one row. A group has a title and its members in chat_member alone.
-- `last_seq` is the number of messages: their seq is given under the lock of this row and has no gaps. How many are
-- unread is known without a look at them: those of the other one (`from_buyer`, or the rest) without `chat_member.seen`.
-- Neither this table nor `message` has CHECK constraints: PostgreSQL reads them from text at each statement, which was a
-- fifth of what sending costs. Their few writers are in functions/chat.sql.
CREATE TABLE chat (
    id              uuid        NOT NULL,
    kind            text        NOT NULL, -- private, group
    title           text,
    buyer_id        uuid,
    seller_id       uuid,
    product_id      uuid,
    last_seq        bigint      NOT NULL DEFAULT 0,
    from_buyer      bigint      NOT NULL DEFAULT 0, -- how many of them the buyer sent
    changes         integer     NOT NULL DEFAULT 0, -- edits and removals; with last_seq the version of the history
    blocked         boolean     NOT NULL DEFAULT false, -- one of the two blocked the other; kept by user_block()
    last_message_at timestamptz NOT NULL DEFAULT now(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chat_pkey PRIMARY KEY (id),
    CONSTRAINT chat_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES account (id),
    CONSTRAINT chat_seller_fkey FOREIGN KEY (seller_id) REFERENCES account (id),
    CONSTRAINT chat_product_fkey FOREIGN KEY (product_id) REFERENCES product (id)
) WITH (fillfactor = 80);
-- One conversation of two users about a product, or about none, whoever opened it.
CREATE UNIQUE INDEX chat_pair_key ON chat (least(buyer_id, seller_id), greatest(buyer_id, seller_id), product_id)
    NULLS NOT DISTINCT WHERE kind = 'private';

CREATE TABLE chat_member (
    chat_id    uuid        NOT NULL,
    account_id uuid        NOT NULL,
    read_seq   bigint      NOT NULL DEFAULT 0, -- everything up to here was read; only grows
    recv_seq   bigint      NOT NULL DEFAULT 0, -- and was delivered to a device
    seen       bigint      NOT NULL DEFAULT 0, -- how many messages of the other one are read, or were removed before
    hidden_seq bigint      NOT NULL DEFAULT -1, -- not listed until there is a message beyond it
    muted      boolean     NOT NULL DEFAULT false,
    archived   boolean     NOT NULL DEFAULT false,
    joined_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chat_member_pkey PRIMARY KEY (chat_id, account_id),
    CONSTRAINT chat_member_chat_fkey FOREIGN KEY (chat_id) REFERENCES chat (id),
    CONSTRAINT chat_member_account_fkey FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT chat_member_seq_check CHECK (0 <= read_seq AND read_seq <= recv_seq)
) WITH (fillfactor = 80);
CREATE INDEX chat_member_account_idx ON chat_member (account_id);

-- `cmid` is the sender's own id: the same one never makes a second message. The public id is made of chat and seq
-- (message_id()), which saves an index. `doc` is the JSON that history, events and answers show. There are no foreign
-- keys: message_send() is the only writer, holds the lock of the chat, and two look-ups a message are not free.
CREATE TABLE message (
    chat_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    sender_id  uuid        NOT NULL,
    cmid       uuid        NOT NULL,
    type       text        NOT NULL, -- text, image, file, card
    body       text        NOT NULL,
    product_id uuid,
    reply_to   bigint,
    file_ids   uuid[],
    extra      text        NOT NULL DEFAULT '', -- members of doc that an edit keeps: card, attachments, replyTo
    edit_no    integer     NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    doc        text        NOT NULL,
    CONSTRAINT message_pkey PRIMARY KEY (chat_id, seq),
    CONSTRAINT message_cmid_key UNIQUE (sender_id, cmid)
);

-- What a message said before an edit or its removal; for disputes, never shown to the other side.
CREATE TABLE message_edit (
    chat_id   uuid        NOT NULL,
    seq       bigint      NOT NULL,
    edit_no   integer     NOT NULL, -- of the text that is kept here
    body      text        NOT NULL,
    doc       text        NOT NULL,
    edited_at timestamptz NOT NULL DEFAULT now(), -- when it was replaced
    CONSTRAINT message_edit_pkey PRIMARY KEY (chat_id, seq, edit_no),
    CONSTRAINT message_edit_message_fkey FOREIGN KEY (chat_id, seq) REFERENCES message (chat_id, seq)
);

-- Which files a conversation opens to its members. Rows go when the message does.
CREATE TABLE message_file (
    file_id uuid   NOT NULL,
    chat_id uuid   NOT NULL,
    seq     bigint NOT NULL,
    CONSTRAINT message_file_pkey PRIMARY KEY (file_id, chat_id, seq),
    CONSTRAINT message_file_file_fkey FOREIGN KEY (file_id) REFERENCES file (id),
    CONSTRAINT message_file_message_fkey FOREIGN KEY (chat_id, seq) REFERENCES message (chat_id, seq)
);

CREATE TABLE block (
    blocker_id uuid        NOT NULL,
    blocked_id uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT block_pkey PRIMARY KEY (blocker_id, blocked_id),
    CONSTRAINT block_blocker_fkey FOREIGN KEY (blocker_id) REFERENCES account (id),
    CONSTRAINT block_blocked_fkey FOREIGN KEY (blocked_id) REFERENCES account (id),
    CONSTRAINT block_self_check CHECK (blocker_id <> blocked_id)
);
CREATE INDEX block_list_idx ON block (blocker_id, created_at DESC, blocked_id DESC);

-- A case for the moderators. `snapshot` is what was said around the message when it was reported; its hash shows that
-- it is still that (SHA-256).
CREATE TABLE report (
    id            uuid        NOT NULL,
    reporter_id   uuid        NOT NULL,
    target_id     uuid        NOT NULL,
    chat_id       uuid,
    seq           bigint,
    reason        text        NOT NULL,
    note          text        NOT NULL DEFAULT '',
    snapshot      text        NOT NULL DEFAULT '[]',
    snapshot_hash bytea       NOT NULL,
    status        text        NOT NULL DEFAULT 'open',
    resolution    text,
    resolved_by   uuid,
    resolved_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT report_pkey PRIMARY KEY (id),
    CONSTRAINT report_reporter_fkey FOREIGN KEY (reporter_id) REFERENCES account (id),
    CONSTRAINT report_target_fkey FOREIGN KEY (target_id) REFERENCES account (id),
    CONSTRAINT report_resolver_fkey FOREIGN KEY (resolved_by) REFERENCES account (id),
    CONSTRAINT report_self_check CHECK (reporter_id <> target_id),
    CONSTRAINT report_reason_check CHECK (reason IN ('spam', 'abuse', 'scam', 'prohibited', 'off_platform', 'other')),
    CONSTRAINT report_note_check CHECK (length(note) <= 1000),
    CONSTRAINT report_status_check CHECK (status IN ('open', 'resolved', 'dismissed')),
    CONSTRAINT report_resolved_check CHECK ((status = 'open') = (resolved_at IS NULL))
);
CREATE INDEX report_open_idx ON report (created_at, id) WHERE status = 'open';
CREATE INDEX report_target_idx ON report (target_id, created_at DESC);

-- A line in a user's notifications, in the language the user had then. `data` is a JSON object for programs.
CREATE TABLE notification (
    id         uuid        NOT NULL,
    account_id uuid        NOT NULL,
    type       text        NOT NULL,
    title      text        NOT NULL,
    body       text        NOT NULL DEFAULT '',
    link       text,
    priority   text        NOT NULL DEFAULT 'normal',
    data       text        NOT NULL DEFAULT '{}',
    read_at    timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notification_pkey PRIMARY KEY (id),
    CONSTRAINT notification_account_fkey FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT notification_type_check CHECK (type ~ '^[a-z0-9_.]{1,64}$'),
    CONSTRAINT notification_title_check CHECK (length(title) BETWEEN 1 AND 200),
    CONSTRAINT notification_body_check CHECK (length(body) <= 2000),
    CONSTRAINT notification_link_check CHECK (link ~ '^/[^/]' AND length(link) <= 500),
    CONSTRAINT notification_priority_check CHECK (priority IN ('low', 'normal', 'high'))
);
CREATE INDEX notification_list_idx ON notification (account_id, created_at DESC, id DESC);
CREATE INDEX notification_unread_idx ON notification (account_id) WHERE read_at IS NULL;

-- How far a user's devices have fetched their feed; what came before was delivered.
ALTER TABLE feed_head ADD COLUMN acked_us bigint NOT NULL DEFAULT 0;

-- Nobody is granted these tables: members read through the views, which know who asks, and write through functions.
ALTER TABLE chat         ENABLE ROW LEVEL SECURITY;
ALTER TABLE chat_member  ENABLE ROW LEVEL SECURITY;
ALTER TABLE message      ENABLE ROW LEVEL SECURITY;
ALTER TABLE message_edit ENABLE ROW LEVEL SECURITY;
ALTER TABLE message_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE block        ENABLE ROW LEVEL SECURITY;
ALTER TABLE report       ENABLE ROW LEVEL SECURITY;
ALTER TABLE notification ENABLE ROW LEVEL SECURITY;

CREATE POLICY block_own ON block FOR SELECT TO plaza_web
    USING (blocker_id = (SELECT app_uid()));
CREATE POLICY report_own ON report FOR SELECT TO plaza_web
    USING (reporter_id = (SELECT app_uid()) OR (SELECT app_role()) IN ('admin', 'moderator'));
CREATE POLICY notification_own ON notification FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
GRANT SELECT ON block, report, notification TO plaza_web;

-- Every account has a feed from its first commit on, whoever made it.
CREATE FUNCTION feed_head_made() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    INSERT INTO feed_head (account_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER account_feed_head AFTER INSERT ON account
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION feed_head_made();
INSERT INTO feed_head (account_id) SELECT a.id FROM account AS a ON CONFLICT DO NOTHING;
