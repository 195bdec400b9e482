-- Carts, purchases and orders.

CREATE TABLE cart (
    id         uuid        NOT NULL,
    account_id uuid,                  -- NULL: a guest's, reached by its signed token
    status     text        NOT NULL DEFAULT 'open',
    version    integer     NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '14 days', -- moves with every change
    CONSTRAINT cart_pkey PRIMARY KEY (id),
    CONSTRAINT cart_account_fkey FOREIGN KEY (account_id) REFERENCES account (id),
    CONSTRAINT cart_status_check CHECK (status IN ('open', 'ordered', 'merged', 'dropped', 'expired'))
);
CREATE UNIQUE INDEX cart_account_key ON cart (account_id) WHERE status = 'open';
CREATE INDEX cart_expires_idx ON cart (expires_at) WHERE status = 'open';
CREATE INDEX cart_ended_idx ON cart (updated_at) WHERE status <> 'open';

-- `seen_price` is what the buyer was shown when adding; the order takes today's price and tells of a difference.
CREATE TABLE cart_item (
    cart_id    uuid        NOT NULL,
    product_id uuid        NOT NULL,
    quantity   integer     NOT NULL,
    seen_price bigint      NOT NULL,
    added_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT cart_item_pkey PRIMARY KEY (cart_id, product_id),
    CONSTRAINT cart_item_cart_fkey FOREIGN KEY (cart_id) REFERENCES cart (id) ON DELETE CASCADE,
    CONSTRAINT cart_item_product_fkey FOREIGN KEY (product_id) REFERENCES product (id),
    CONSTRAINT cart_item_quantity_check CHECK (quantity BETWEEN 1 AND 999)
);

ALTER TABLE cart      ENABLE ROW LEVEL SECURITY;
ALTER TABLE cart_item ENABLE ROW LEVEL SECURITY;

CREATE DOMAIN money_amount AS bigint CONSTRAINT money_amount_check CHECK (VALUE BETWEEN 0 AND 99999999999999);
CREATE DOMAIN payment_provider AS text CONSTRAINT payment_provider_check CHECK (VALUE = 'mock');
CREATE DOMAIN order_status AS text CONSTRAINT order_status_check CHECK (VALUE IN
    ('pending', 'payment_confirmed', 'payment_failed', 'confirmed', 'delivered', 'completed', 'cancelled'));
CREATE DOMAIN order_payment AS text CONSTRAINT order_payment_check CHECK (VALUE IN
    ('processing', 'paid', 'failed', 'refunded'));
CREATE DOMAIN order_fulfilment AS text CONSTRAINT order_fulfilment_check CHECK (VALUE IN ('unfulfilled', 'fulfilled'));
CREATE DOMAIN line_quantity AS integer CONSTRAINT line_quantity_check CHECK (VALUE > 0);

-- One purchase: one charge, and an order for each seller. `captured` is what was taken from the buyer, `refunded` what
-- went back of it.
CREATE TABLE order_group (
    id         uuid             NOT NULL,
    buyer_id   uuid             NOT NULL,
    cart_id    uuid,
    provider   payment_provider NOT NULL,
    total      money_amount     NOT NULL,
    captured   money_amount     NOT NULL DEFAULT 0,
    refunded   money_amount     NOT NULL DEFAULT 0,
    currency   text             NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT order_group_pkey PRIMARY KEY (id),
    CONSTRAINT order_group_money_check CHECK (refunded <= captured AND captured <= total)
);
-- A cart is ordered once.
CREATE UNIQUE INDEX order_group_cart_key ON order_group (cart_id) WHERE cart_id IS NOT NULL;

-- The states of an order and who may cause a step; "system" is a job, the payment provider or a workflow.
CREATE TABLE order_transition (
    from_status text NOT NULL,
    to_status   text NOT NULL,
    actor       text NOT NULL,
    CONSTRAINT order_transition_pkey PRIMARY KEY (from_status, to_status, actor),
    CONSTRAINT order_transition_actor_check CHECK (actor IN ('buyer', 'seller', 'admin', 'system'))
);
INSERT INTO order_transition (from_status, to_status, actor) VALUES
    ('pending', 'payment_confirmed', 'system'),
    ('pending', 'payment_failed', 'system'),
    ('pending', 'cancelled', 'buyer'),
    ('pending', 'cancelled', 'seller'),
    ('pending', 'cancelled', 'admin'),
    ('pending', 'cancelled', 'system'),
    ('payment_confirmed', 'confirmed', 'seller'),
    ('payment_confirmed', 'confirmed', 'admin'),
    ('payment_confirmed', 'cancelled', 'buyer'),
    ('payment_confirmed', 'cancelled', 'seller'),
    ('payment_confirmed', 'cancelled', 'admin'),
    ('confirmed', 'delivered', 'seller'),
    ('confirmed', 'delivered', 'admin'),
    ('confirmed', 'cancelled', 'seller'),
    ('confirmed', 'cancelled', 'admin'),
    ('delivered', 'completed', 'buyer'),
    ('delivered', 'completed', 'admin'),
    ('delivered', 'completed', 'system');

CREATE SEQUENCE order_number;

-- `items` is the JSON array of the lines as they were bought; lines never change.
CREATE TABLE orders (
    id                uuid             NOT NULL,
    number            bigint           NOT NULL DEFAULT nextval('order_number'),
    group_id          uuid             NOT NULL,
    buyer_id          uuid             NOT NULL,
    seller_id         uuid             NOT NULL,
    shop_id           uuid             NOT NULL,
    status            order_status     NOT NULL,
    payment_status    order_payment    NOT NULL,
    fulfilment_status order_fulfilment NOT NULL DEFAULT 'unfulfilled',
    total             money_amount     NOT NULL,
    currency          text             NOT NULL,
    items             text             NOT NULL,
    address           text             NOT NULL DEFAULT '',
    note              text             NOT NULL DEFAULT '',
    version           integer          NOT NULL DEFAULT 1,
    created_at        timestamptz      NOT NULL DEFAULT now(),
    updated_at        timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT orders_pkey PRIMARY KEY (id),
    CONSTRAINT orders_number_key UNIQUE (number),
    CONSTRAINT orders_group_fkey FOREIGN KEY (group_id) REFERENCES order_group (id)
);
CREATE INDEX orders_buyer_idx ON orders (buyer_id, id DESC);
CREATE INDEX orders_seller_idx ON orders (seller_id, id DESC);
CREATE INDEX orders_group_idx ON orders (group_id);
CREATE INDEX orders_pending_idx ON orders (created_at) WHERE status = 'pending';

-- The lines once more, for counting.
CREATE TABLE order_item (
    order_id   uuid          NOT NULL,
    product_id uuid          NOT NULL,
    quantity   line_quantity NOT NULL,
    unit_price money_amount  NOT NULL,
    CONSTRAINT order_item_pkey PRIMARY KEY (order_id, product_id),
    CONSTRAINT order_item_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id)
);

-- Every step of an order after its first state, append only. `n` is the version it led to.
CREATE TABLE order_event (
    order_id   uuid        NOT NULL,
    n          integer     NOT NULL,
    previous   text        NOT NULL,
    status     text        NOT NULL,
    actor      text        NOT NULL,
    actor_id   uuid,
    reason     text        NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT order_event_pkey PRIMARY KEY (order_id, n),
    CONSTRAINT order_event_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT order_event_step_fkey FOREIGN KEY (previous, status, actor)
        REFERENCES order_transition (from_status, to_status, actor)
);

ALTER TABLE order_group ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders      ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_item  ENABLE ROW LEVEL SECURITY;
ALTER TABLE order_event ENABLE ROW LEVEL SECURITY;

-- Carts are reached through functions only, guests have no identity that a policy could know.
CREATE POLICY order_group_own ON order_group FOR SELECT TO plaza_web
    USING (buyer_id = (SELECT app_uid()) OR (SELECT app_role()) = 'admin');
CREATE POLICY orders_party ON orders FOR SELECT TO plaza_web
    USING (buyer_id = (SELECT app_uid()) OR seller_id = (SELECT app_uid()) OR (SELECT app_role()) = 'admin');
CREATE POLICY order_event_party ON order_event FOR SELECT TO plaza_web
    USING (EXISTS (SELECT FROM orders AS o WHERE o.id = order_event.order_id));
CREATE POLICY orders_report ON orders FOR SELECT TO plaza_report USING (true);
CREATE POLICY order_item_report ON order_item FOR SELECT TO plaza_report USING (true);
CREATE POLICY order_group_report ON order_group FOR SELECT TO plaza_report USING (true);

GRANT SELECT ON order_group, orders, order_event TO plaza_web;
GRANT SELECT ON order_group, orders, order_item TO plaza_report;

-- No step that the table of transitions does not know, whoever writes.
CREATE FUNCTION order_status_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF NEW.status IS DISTINCT FROM OLD.status AND NOT EXISTS (
        SELECT FROM order_transition AS t WHERE t.from_status = OLD.status AND t.to_status = NEW.status) THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid-transition',
            DETAIL = OLD.status || ' to ' || NEW.status;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER orders_status_guard BEFORE UPDATE OF status ON orders
    FOR EACH ROW EXECUTE FUNCTION order_status_guard();
