-- The figures ask every ten seconds which orders have moved.
CREATE INDEX order_event_created_idx ON order_event (created_at);
