-- Several brokers: rows of the outbox that wait for one of them which is away.

DROP FUNCTION IF EXISTS ingest_own(); -- it has a parameter now

-- A row of the outbox, as far as it belongs to one broker, out of the way of the others' rows. Ids are those of the
-- outbox, so that one confirmation means one row, wherever it is. `brokers` is how many there were.
CREATE TABLE outbox_parked (
    id      bigint  NOT NULL DEFAULT nextval('outbox_id_seq'),
    broker  integer NOT NULL,
    brokers integer NOT NULL,
    lines   text    NOT NULL,
    CONSTRAINT outbox_parked_pkey PRIMARY KEY (id)
);
CREATE INDEX outbox_parked_broker_idx ON outbox_parked (broker, id);

ALTER TABLE outbox_parked ENABLE ROW LEVEL SECURITY;
CREATE POLICY outbox_parked_relay ON outbox_parked TO plaza_relay USING (true);
GRANT SELECT ON outbox_parked TO plaza_relay;
