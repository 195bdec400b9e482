-- Announcements of the administrators, to everybody or to a role.

CREATE TABLE broadcast (
    id         uuid        NOT NULL,
    audience   text        NOT NULL, -- all, or a role
    level      text        NOT NULL,
    body       text        NOT NULL,
    body_es    text,                 -- the same in Spanish
    until      timestamptz NOT NULL,
    created_by uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,          -- withdrawn before its time
    CONSTRAINT broadcast_pkey PRIMARY KEY (id),
    CONSTRAINT broadcast_author_fkey FOREIGN KEY (created_by) REFERENCES account (id),
    CONSTRAINT broadcast_audience_check CHECK (audience IN ('all', 'client', 'seller', 'admin', 'moderator')),
    CONSTRAINT broadcast_level_check CHECK (level IN ('info', 'warning', 'critical')),
    CONSTRAINT broadcast_body_check CHECK (length(body) BETWEEN 1 AND 1000 AND length(body_es) BETWEEN 1 AND 1000),
    CONSTRAINT broadcast_until_check CHECK (until > created_at AND until <= created_at + interval '1 year')
);
CREATE INDEX broadcast_until_idx ON broadcast (until) WHERE ended_at IS NULL;

-- Read through a function, which knows for whom they are.
ALTER TABLE broadcast ENABLE ROW LEVEL SECURITY;

-- Who was connected to the broker, with what, how long. A row for each connection; it closes when the broker says so.
CREATE TABLE connection_log (
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    account_id   uuid        NOT NULL,
    device       text        NOT NULL, -- the session's id in today's tokens
    transport    text        NOT NULL, -- tcp, ws
    connected_at timestamptz NOT NULL,
    ended_at     timestamptz,          -- NULL while it is there
    reason       text,                 -- what is known of the end: replaced, revoked, expired, lost, or the device's words
    CONSTRAINT connection_log_pkey PRIMARY KEY (id),
    CONSTRAINT connection_log_account_fkey FOREIGN KEY (account_id) REFERENCES account (id) ON DELETE CASCADE
) WITH (fillfactor = 80);
CREATE INDEX connection_log_account_idx ON connection_log (account_id, id DESC);
CREATE INDEX connection_log_open_idx ON connection_log (account_id, device) INCLUDE (transport) WHERE ended_at IS NULL;
CREATE INDEX connection_log_connected_idx ON connection_log (connected_at);

ALTER TABLE connection_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY connection_log_own ON connection_log FOR SELECT TO plaza_web
    USING (account_id = (SELECT app_uid()));
GRANT SELECT ON connection_log TO plaza_web;

-- How the goods of an order travel. NULL: the seller has not said.
CREATE DOMAIN delivery_state AS text CONSTRAINT delivery_state_check CHECK (VALUE IN
    ('assigned', 'in_transit', 'completed', 'failed'));
ALTER TABLE orders
    ADD COLUMN delivery_state delivery_state,
    ADD COLUMN carrier        text,
    ADD COLUMN tracking       text,
    ADD COLUMN eta            timestamptz;

-- Its steps; '' is where it begins. A step to the same state changes what else is told.
CREATE TABLE delivery_transition (
    from_state text NOT NULL,
    to_state   text NOT NULL,
    CONSTRAINT delivery_transition_pkey PRIMARY KEY (from_state, to_state)
);
INSERT INTO delivery_transition (from_state, to_state) VALUES
    ('', 'assigned'), ('', 'in_transit'), ('', 'completed'),
    ('assigned', 'assigned'), ('assigned', 'in_transit'), ('assigned', 'completed'), ('assigned', 'failed'),
    ('in_transit', 'in_transit'), ('in_transit', 'completed'), ('in_transit', 'failed'),
    ('failed', 'assigned'), ('failed', 'in_transit');

-- Changes of products that owners of open carts are to be told of, by a job: the change itself only leaves a line here.
-- No key but its number, so that nobody ever waits for another one's line.
CREATE TABLE cart_news (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    product_id uuid        NOT NULL,
    reason     text        NOT NULL, -- price, stock, status
    done       uuid,                 -- carts up to this one have been told
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT cart_news_pkey PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
ALTER TABLE cart_news ENABLE ROW LEVEL SECURITY;
-- In which carts a product lies.
CREATE INDEX cart_item_product_idx ON cart_item (product_id, cart_id);

-- Figures as they were last told on a topic, so that only a change is told.
CREATE TABLE figures_told (
    topic   text        NOT NULL,
    data    text        NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT figures_told_pkey PRIMARY KEY (topic)
);
ALTER TABLE figures_told ENABLE ROW LEVEL SECURITY;
