-- Categories, products, stock, files, search.

-- Words of both languages, without accents. A text is indexed by the stems of both, so either finds it.
CREATE TEXT SEARCH CONFIGURATION words_en (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION words_en ALTER MAPPING FOR hword, hword_part, word WITH unaccent, english_stem;
CREATE TEXT SEARCH CONFIGURATION words_es (COPY = pg_catalog.spanish);
ALTER TEXT SEARCH CONFIGURATION words_es ALTER MAPPING FOR hword, hword_part, word WITH unaccent, spanish_stem;

-- `subtree`, `tree_key` and `depth` are computed for the whole tree whenever its shape changes: which products belong
-- to a category is then one look, and the order of the tree is that of an index.
CREATE TABLE category (
    id          uuid        NOT NULL,
    parent_id   uuid,
    slug        text        NOT NULL,
    name        text        NOT NULL,
    name_es     text,
    description text        NOT NULL DEFAULT '',
    photo_url   text,
    position    integer     NOT NULL DEFAULT 0,
    depth       integer     NOT NULL DEFAULT 0,
    tree_key    text        NOT NULL DEFAULT '', -- position and id of each ancestor and itself
    subtree     uuid[]      NOT NULL DEFAULT '{}', -- itself and all below
    doc         text        NOT NULL DEFAULT '',
    version     integer     NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz,
    CONSTRAINT category_pkey PRIMARY KEY (id),
    CONSTRAINT category_parent_fkey FOREIGN KEY (parent_id) REFERENCES category (id),
    CONSTRAINT category_parent_check CHECK (parent_id <> id),
    CONSTRAINT category_slug_check CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 100),
    CONSTRAINT category_name_check CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT category_position_check CHECK (position BETWEEN 0 AND 99999),
    CONSTRAINT category_depth_check CHECK (depth BETWEEN 0 AND 4)
);
CREATE UNIQUE INDEX category_slug_key ON category (slug) WHERE deleted_at IS NULL;
CREATE INDEX category_tree_idx ON category (tree_key) WHERE deleted_at IS NULL;
CREATE INDEX category_parent_idx ON category (parent_id);

-- An uploaded file. Bodies live in the blob store under `path` and `thumb_path`, random names.
CREATE TABLE file (
    id          uuid        NOT NULL,
    owner_id    uuid        NOT NULL,
    kind        text        NOT NULL,
    access      text        NOT NULL,
    name        text        NOT NULL, -- as the client called it, a label only
    media_type  text        NOT NULL,
    size        bigint      NOT NULL, -- of the body, without the thumbnail
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
CREATE INDEX file_owner_idx ON file (owner_id, id DESC) WHERE deleted_at IS NULL;

-- Ids are UUIDs of version 7, so their order is that of creation and "newest" needs no other column.
-- `doc` is the product's JSON as an open object (without its last brace), rendered at write: a reader appends the
-- volatile members (stock) and the brace.
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
ALTER TABLE product ALTER COLUMN doc SET COMPRESSION lz4, ALTER COLUMN description SET COMPRESSION lz4;
CREATE INDEX product_seller_idx ON product (seller_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX product_category_idx ON product (category_id) WHERE deleted_at IS NULL;

-- What lists and searches read: a row for each product on sale, kept by triggers and by nobody else. All of it is
-- public, so no policy stands between a search and its index (@@ is not leakproof), and no index needs a condition.
-- `card` is the product's JSON for lists; `title` is for ranking, `words` (title and description) for finding.
CREATE TABLE listing (
    product_id  uuid     NOT NULL,
    category_id uuid     NOT NULL,
    shop_id     uuid     NOT NULL,
    price       bigint   NOT NULL,
    condition   text     NOT NULL,
    title       tsvector NOT NULL,
    card        text     NOT NULL,
    words       tsvector NOT NULL,
    CONSTRAINT listing_pkey PRIMARY KEY (product_id),
    CONSTRAINT listing_product_fkey FOREIGN KEY (product_id) REFERENCES product (id)
) WITH (fillfactor = 80); -- room for a new card beside the old one, so that no index changes with it
ALTER TABLE listing
    ALTER COLUMN title SET STORAGE MAIN,
    ALTER COLUMN card SET STORAGE MAIN,
    ALTER COLUMN words SET STORAGE EXTERNAL;
CREATE INDEX listing_price_idx ON listing (price, product_id);
CREATE INDEX listing_category_idx ON listing (category_id, product_id DESC);
CREATE INDEX listing_category_price_idx ON listing (category_id, price, product_id);
CREATE INDEX listing_shop_idx ON listing (shop_id, product_id DESC);
-- Without a list of pending entries, which every search would have to read.
CREATE INDEX listing_words_idx ON listing USING gin (words) WITH (fastupdate = off);

CREATE TABLE product_image (
    product_id uuid    NOT NULL,
    file_id    uuid    NOT NULL,
    position   integer NOT NULL,
    alt        text    NOT NULL DEFAULT '',
    CONSTRAINT product_image_pkey PRIMARY KEY (product_id, file_id),
    CONSTRAINT product_image_product_fkey FOREIGN KEY (product_id) REFERENCES product (id),
    CONSTRAINT product_image_file_fkey FOREIGN KEY (file_id) REFERENCES file (id),
    CONSTRAINT product_image_alt_check CHECK (length(alt) <= 200)
);
CREATE INDEX product_image_file_idx ON product_image (file_id);

CREATE DOMAIN unit_count AS integer CONSTRAINT stock_quantity_check CHECK (VALUE BETWEEN 0 AND 1000000000);
CREATE DOMAIN stock_alert AS smallint CONSTRAINT stock_alerted_check CHECK (VALUE BETWEEN 0 AND 2);

-- Units for sale. Changes only by conditional UPDATE; apart from product so that a sale rewrites 40 bytes.
CREATE TABLE stock (
    product_id    uuid        NOT NULL,
    quantity      unit_count  NOT NULL,
    low_threshold unit_count  NOT NULL DEFAULT 0,
    alerted       stock_alert NOT NULL DEFAULT 0, -- what the seller was told, and has not recovered since: stock_level()
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_pkey PRIMARY KEY (product_id),
    CONSTRAINT stock_product_fkey FOREIGN KEY (product_id) REFERENCES product (id)
) WITH (fillfactor = 80);

-- Words that stand in titles, to correct and to complete what is searched for. `n` is how often one was used; it never
-- falls, since it only puts suggestions in order.
CREATE TABLE search_word (
    word    text    COLLATE "C" NOT NULL,
    letters text    COLLATE "C" NOT NULL, -- those of the word in order: search_letters()
    n       integer NOT NULL,
    CONSTRAINT search_word_pkey PRIMARY KEY (word)
);
CREATE INDEX search_word_letters_idx ON search_word (letters);
CREATE INDEX search_word_trgm_idx ON search_word USING gin (word gin_trgm_ops) WITH (fastupdate = off);

ALTER TABLE file    ENABLE ROW LEVEL SECURITY;
ALTER TABLE product ENABLE ROW LEVEL SECURITY;

-- Products on sale are read through the view product_public; the table itself shows a seller their own, and the staff
-- all.
CREATE POLICY product_own ON product FOR SELECT TO plaza_web
    USING (seller_id = (SELECT app_uid()) OR (SELECT app_role()) IN ('admin', 'moderator'));
CREATE POLICY file_own ON file FOR SELECT TO plaza_web
    USING (owner_id = (SELECT app_uid()));
CREATE POLICY product_report ON product FOR SELECT TO plaza_report USING (true);

GRANT SELECT ON category, product, product_image, listing, file, search_word TO plaza_web;
GRANT SELECT (product_id, quantity) ON stock TO plaza_web;
GRANT SELECT ON category, product, stock TO plaza_report;
