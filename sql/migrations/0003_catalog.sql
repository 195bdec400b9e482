-- Categories, products, stock, files.

CREATE TABLE category (
    id          uuid        NOT NULL,
    parent_id   uuid,
    slug        text        NOT NULL,
    name        text        NOT NULL,
    name_es     text,
    description text        NOT NULL DEFAULT '',
    photo_url   text,
    position    integer     NOT NULL DEFAULT 0,
    version     integer     NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    CONSTRAINT category_pkey PRIMARY KEY (id),
    CONSTRAINT category_parent_fkey FOREIGN KEY (parent_id) REFERENCES category (id),
    CONSTRAINT category_name_check CHECK (length(name) BETWEEN 1 AND 100)
);
CREATE UNIQUE INDEX category_slug_key ON category (slug) WHERE deleted_at IS NULL;
CREATE INDEX category_parent_idx ON category (parent_id, position, id);

-- An uploaded file. Bodies live in the blob store under `path`, a random name.
CREATE TABLE file (
    id          uuid        NOT NULL,
    owner_id    uuid        NOT NULL,
    kind        text        NOT NULL, -- image, document
    access      text        NOT NULL, -- public, private
    name        text        NOT NULL, -- as the client called it, a label only
    media_type  text        NOT NULL,
    size        bigint      NOT NULL,
    path        text        NOT NULL,
    width       integer,
    height      integer,
    thumb_path  text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    CONSTRAINT file_pkey PRIMARY KEY (id),
    CONSTRAINT file_owner_fkey FOREIGN KEY (owner_id) REFERENCES account (id),
    CONSTRAINT file_kind_check CHECK (kind IN ('image', 'document')),
    CONSTRAINT file_access_check CHECK (access IN ('public', 'private')),
    CONSTRAINT file_name_check CHECK (length(name) BETWEEN 1 AND 255),
    CONSTRAINT file_path_key UNIQUE (path)
);
CREATE INDEX file_owner_idx ON file (owner_id, created_at DESC);

-- `doc` is the product's JSON as an open object (without its last brace), rendered at write: a reader appends the
-- volatile members (stock) and the brace. `search` holds title and description in both languages, `title_search`
-- the title alone, small enough to rank by without unpacking the large one.
CREATE TABLE product (
    id             uuid        NOT NULL,
    seller_id      uuid        NOT NULL,
    shop_id        uuid        NOT NULL,
    category_id    uuid        NOT NULL,
    title          text        NOT NULL,
    description    text        NOT NULL,
    price          bigint      NOT NULL,
    currency       text        NOT NULL,
    condition      text        NOT NULL DEFAULT 'new',
    status         text        NOT NULL DEFAULT 'active',
    doc            text        NOT NULL DEFAULT '',
    search         tsvector    NOT NULL DEFAULT '',
    title_search   tsvector    NOT NULL DEFAULT '',
    version        integer     NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    deleted_at     timestamptz,
    CONSTRAINT product_pkey PRIMARY KEY (id),
    CONSTRAINT product_seller_fkey FOREIGN KEY (seller_id) REFERENCES account (id),
    CONSTRAINT product_shop_fkey FOREIGN KEY (shop_id) REFERENCES shop (id),
    CONSTRAINT product_category_fkey FOREIGN KEY (category_id) REFERENCES category (id),
    CONSTRAINT product_title_check CHECK (length(title) BETWEEN 1 AND 200),
    CONSTRAINT product_description_check CHECK (length(description) <= 10000),
    CONSTRAINT product_price_check CHECK (price BETWEEN 0 AND 99999999999999),
    CONSTRAINT product_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT product_condition_check CHECK (condition IN ('new', 'used', 'refurbished')),
    CONSTRAINT product_status_check CHECK (status IN ('pending', 'active', 'rejected', 'inactive'))
);

CREATE TABLE product_image (
    product_id uuid    NOT NULL,
    file_id    uuid    NOT NULL,
    position   integer NOT NULL,
    alt        text    NOT NULL DEFAULT '',
    CONSTRAINT product_image_pkey PRIMARY KEY (product_id, file_id),
    CONSTRAINT product_image_product_fkey FOREIGN KEY (product_id) REFERENCES product (id),
    CONSTRAINT product_image_file_fkey FOREIGN KEY (file_id) REFERENCES file (id)
);

-- Units for sale. Changes only by conditional UPDATE; apart from product so that a sale rewrites 40 bytes.
CREATE TABLE stock (
    product_id    uuid        NOT NULL,
    quantity      integer     NOT NULL,
    low_threshold integer     NOT NULL DEFAULT 0,
    alerted       smallint    NOT NULL DEFAULT 0, -- what the seller was told, and has not recovered since: stock_level()
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_pkey PRIMARY KEY (product_id),
    CONSTRAINT stock_product_fkey FOREIGN KEY (product_id) REFERENCES product (id),
    CONSTRAINT stock_quantity_check CHECK (quantity >= 0),
    CONSTRAINT stock_threshold_check CHECK (low_threshold >= 0),
    CONSTRAINT stock_alerted_check CHECK (alerted BETWEEN 0 AND 2)
) WITH (fillfactor = 80);
