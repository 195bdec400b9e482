-- Groups, shared inboxes of shops, reactions, offers, canned replies, search, and what users share of themselves.

-- Of a private conversation of two members `simple` is true: sending then needs no look at chat_member. Beside its
-- owner the staff of a shop may be in it; they all are one side of it, told apart from the other by not being `buyer_id`.
ALTER TABLE chat ADD COLUMN simple boolean NOT NULL DEFAULT true;

-- `role` is of groups. What was said up to `from_seq` is not for this member. `shown_seq` is how far the others see that
-- was read. In a group `sent` counts the member's own messages, as chat.from_buyer does elsewhere.
ALTER TABLE chat_member
    ADD COLUMN role      text,
    ADD COLUMN from_seq  bigint NOT NULL DEFAULT 0,
    ADD COLUMN shown_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN sent      bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT chat_member_role_check CHECK (role IN ('owner', 'admin', 'member'));

-- `reactions` is the member of doc, kept for the next edit. The index serves the job that fills message_text.
ALTER TABLE message
    ADD COLUMN edited_at timestamptz,
    ADD COLUMN reactions text;
CREATE INDEX message_created_idx ON message USING brin (created_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE message_reaction (
    chat_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    account_id uuid        NOT NULL,
    emoji      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT message_reaction_pkey PRIMARY KEY (chat_id, seq, account_id, emoji),
    CONSTRAINT message_reaction_message_fkey FOREIGN KEY (chat_id, seq) REFERENCES message (chat_id, seq),
    CONSTRAINT message_reaction_account_fkey FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT message_reaction_emoji_check CHECK (octet_length(emoji) BETWEEN 1 AND 40)
);

-- A price for one buyer. The id is that of its message. Once accepted the price holds until `expires_at`, for at most
-- `quantity` units and one order.
CREATE TABLE chat_offer (
    id         uuid        NOT NULL,
    chat_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    product_id uuid        NOT NULL,
    buyer_id   uuid        NOT NULL,
    price      bigint      NOT NULL,
    currency   text        NOT NULL,
    quantity   integer     NOT NULL,
    status     text        NOT NULL DEFAULT 'open',
    expires_at timestamptz NOT NULL,
    CONSTRAINT chat_offer_pkey PRIMARY KEY (id),
    CONSTRAINT chat_offer_message_fkey FOREIGN KEY (chat_id, seq) REFERENCES message (chat_id, seq),
    CONSTRAINT chat_offer_product_fkey FOREIGN KEY (product_id) REFERENCES product (id),
    CONSTRAINT chat_offer_buyer_fkey FOREIGN KEY (buyer_id) REFERENCES account (id),
    CONSTRAINT chat_offer_price_check CHECK (price BETWEEN 1 AND 99999999999999),
    CONSTRAINT chat_offer_quantity_check CHECK (quantity BETWEEN 1 AND 999),
    CONSTRAINT chat_offer_status_check CHECK (status IN ('open', 'accepted', 'declined', 'withdrawn', 'ordered'))
);
ALTER TABLE cart_item
    ADD COLUMN offer_id uuid,
    ADD CONSTRAINT cart_item_offer_fkey FOREIGN KEY (offer_id) REFERENCES chat_offer (id);

-- Who answers for a shop beside its owner. Invited until `accepted_at`.
CREATE TABLE shop_member (
    shop_id     uuid        NOT NULL,
    account_id  uuid        NOT NULL,
    invited_at  timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz,
    CONSTRAINT shop_member_pkey PRIMARY KEY (shop_id, account_id),
    CONSTRAINT shop_member_shop_fkey FOREIGN KEY (shop_id) REFERENCES shop (id),
    CONSTRAINT shop_member_account_fkey FOREIGN KEY (account_id) REFERENCES account (id)
);
CREATE INDEX shop_member_account_idx ON shop_member (account_id);

CREATE TABLE canned_reply (
    id         uuid        NOT NULL,
    shop_id    uuid        NOT NULL,
    title      text        NOT NULL,
    body       text        NOT NULL,
    version    integer     NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT canned_reply_pkey PRIMARY KEY (id),
    CONSTRAINT canned_reply_title_key UNIQUE (shop_id, title),
    CONSTRAINT canned_reply_shop_fkey FOREIGN KEY (shop_id) REFERENCES shop (id),
    CONSTRAINT canned_reply_title_check CHECK (length(title) BETWEEN 1 AND 60),
    CONSTRAINT canned_reply_body_check CHECK (length(body) BETWEEN 1 AND 4000)
);

-- The words of messages for searching, without accents and case. A job fills it a few seconds behind message, so that
-- sending does not pay for the index.
CREATE TABLE message_text (
    chat_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    words      text        NOT NULL,
    CONSTRAINT message_text_pkey PRIMARY KEY (chat_id, seq)
);
CREATE INDEX message_text_words_idx ON message_text USING gin (words gin_trgm_ops);
CREATE TABLE message_text_stand (
    upto timestamptz NOT NULL, -- messages before this are in message_text
    CONSTRAINT message_text_stand_pkey PRIMARY KEY (upto)
);
INSERT INTO message_text_stand (upto) VALUES ('2000-01-01');

-- What a user shares, and in return sees of others.
ALTER TABLE account
    ADD COLUMN share_read     boolean NOT NULL DEFAULT true,
    ADD COLUMN share_typing   boolean NOT NULL DEFAULT true,
    ADD COLUMN share_presence boolean NOT NULL DEFAULT true;

-- As in 0004_chat.sql nobody is granted these tables, but for the lists of the own shop.
ALTER TABLE message_reaction   ENABLE ROW LEVEL SECURITY;
ALTER TABLE chat_offer         ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop_member        ENABLE ROW LEVEL SECURITY;
ALTER TABLE canned_reply       ENABLE ROW LEVEL SECURITY;
ALTER TABLE message_text       ENABLE ROW LEVEL SECURITY;
ALTER TABLE message_text_stand ENABLE ROW LEVEL SECURITY;
