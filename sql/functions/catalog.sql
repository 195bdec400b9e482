-- Categories and products: their documents, kept by triggers, and what sellers and administrators do with them.

-- ---- categories ----

CREATE OR REPLACE FUNCTION category_render() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    NEW.doc := '{"id":"' || NEW.id || '","parentId":' || coalesce('"' || NEW.parent_id || '"', 'null')
        || ',"slug":"' || NEW.slug || '","name":' || to_json(NEW.name)
        || ',"nameEs":' || coalesce(to_json(NEW.name_es)::text, 'null')
        || ',"description":' || to_json(NEW.description)
        || ',"photoUrl":' || coalesce(to_json(NEW.photo_url)::text, 'null')
        || ',"position":' || NEW.position || ',"depth":' || NEW.depth || ',"version":' || NEW.version
        || ',"createdAt":"' || iso(NEW.created_at) || '","updatedAt":"' || iso(NEW.updated_at) || '"}';
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER category_render BEFORE INSERT OR UPDATE ON category
    FOR EACH ROW EXECUTE FUNCTION category_render();

-- Computes the places of all categories in the tree. What hangs below nothing (a circle, a removed parent) is refused.
CREATE OR REPLACE FUNCTION category_tree() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    -- Two changes that are fine each may close a circle together.
    PERFORM pg_advisory_xact_lock(hashtextextended('category_tree', 0));
    WITH RECURSIVE place AS (
        SELECT c.id, 0 AS depth, lpad(c.position::text, 5, '0') || c.id AS tree_key, ARRAY[c.id] AS line
        FROM category AS c
        WHERE c.parent_id IS NULL AND c.deleted_at IS NULL
        UNION ALL
        SELECT c.id, p.depth + 1, p.tree_key || lpad(c.position::text, 5, '0') || c.id, p.line || c.id
        FROM place AS p
        JOIN category AS c ON c.parent_id = p.id AND c.deleted_at IS NULL
    ), below AS (
        SELECT l.id, array_agg(p.id ORDER BY p.tree_key) AS subtree
        FROM place AS p
        CROSS JOIN unnest(p.line) AS l (id)
        GROUP BY l.id
    )
    UPDATE category AS c
    SET depth = p.depth, tree_key = p.tree_key, subtree = b.subtree
    FROM place AS p
    JOIN below AS b ON b.id = p.id
    WHERE c.id = p.id
      AND (c.depth, c.tree_key, c.subtree) IS DISTINCT FROM (p.depth, p.tree_key, b.subtree);
    IF EXISTS (SELECT FROM category AS c
               LEFT JOIN category AS p ON p.id = c.parent_id AND p.deleted_at IS NULL
               WHERE c.parent_id IS NOT NULL AND c.deleted_at IS NULL
                 AND starts_with(c.tree_key, p.tree_key) IS NOT TRUE) THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = '/parentId', CONSTRAINT = 'not_a_tree',
            DETAIL = 'A category cannot stand below itself or below a removed one.';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER category_tree AFTER INSERT OR UPDATE OF parent_id, position, deleted_at ON category
    FOR EACH STATEMENT EXECUTE FUNCTION category_tree();

-- A category, by its id or its slug, and all below it.
CREATE OR REPLACE FUNCTION category_subtree(p_id uuid, p_slug text) RETURNS uuid[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF p_id IS NOT NULL THEN
        RETURN (SELECT c.subtree FROM category AS c WHERE c.id = p_id AND c.deleted_at IS NULL);
    END IF;
    RETURN (SELECT c.subtree FROM category AS c WHERE c.slug = p_slug AND c.deleted_at IS NULL);
END $$;

CREATE OR REPLACE FUNCTION shop_of(p_seller uuid) RETURNS uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT s.id FROM shop AS s WHERE s.owner_id = p_seller AND s.deleted_at IS NULL);
END $$;

CREATE OR REPLACE FUNCTION admin_only() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF app_role() IS DISTINCT FROM 'admin' THEN
        PERFORM raise_problem('forbidden');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION category_create(p_id uuid, p_parent uuid, p_slug text, p_name text, p_name_es text,
                                           p_description text, p_photo_url text, p_position int)
RETURNS TABLE (body text, etag text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM admin_only();
    INSERT INTO category (id, parent_id, slug, name, name_es, description, photo_url, position)
    VALUES (p_id, p_parent, coalesce(p_slug, slugify(p_name)), p_name, p_name_es, coalesce(p_description, ''),
            p_photo_url, coalesce(p_position, 0));
    -- Read again: the tree has put it in its place since.
    RETURN QUERY SELECT c.doc, c.version::text FROM category AS c WHERE c.id = p_id;
END $$;

-- NULL keeps a value; p_clear names those to be emptied. Version 0 asks for none.
CREATE OR REPLACE FUNCTION category_update(p_id uuid, p_version int, p_parent uuid, p_slug text, p_name text,
                                           p_name_es text, p_description text, p_photo_url text, p_position int,
                                           p_clear text[])
RETURNS TABLE (body text, etag text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    c category;
BEGIN
    PERFORM admin_only();
    SELECT * INTO c FROM category WHERE id = p_id AND deleted_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> c.version THEN
        PERFORM raise_problem('precondition-failed');
    END IF;
    UPDATE category
    SET parent_id = CASE WHEN 'parentId' = ANY (p_clear) THEN NULL ELSE coalesce(p_parent, parent_id) END,
        slug = coalesce(p_slug, slug),
        name = coalesce(p_name, name),
        name_es = CASE WHEN 'nameEs' = ANY (p_clear) THEN NULL ELSE coalesce(p_name_es, name_es) END,
        description = CASE WHEN 'description' = ANY (p_clear) THEN '' ELSE coalesce(p_description, description) END,
        photo_url = CASE WHEN 'photoUrl' = ANY (p_clear) THEN NULL ELSE coalesce(p_photo_url, photo_url) END,
        position = coalesce(p_position, position),
        version = version + 1,
        updated_at = now()
    WHERE id = p_id;
    RETURN QUERY SELECT k.doc, k.version::text FROM category AS k WHERE k.id = p_id;
END $$;

CREATE OR REPLACE FUNCTION category_delete(p_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM admin_only();
    PERFORM FROM category WHERE id = p_id AND deleted_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF EXISTS (SELECT FROM product WHERE category_id = p_id AND deleted_at IS NULL)
        OR EXISTS (SELECT FROM category WHERE parent_id = p_id AND deleted_at IS NULL) THEN
        PERFORM raise_problem('conflict', 'The category still holds products or categories.');
    END IF;
    UPDATE category SET deleted_at = now(), version = version + 1 WHERE id = p_id;
END $$;

-- ---- documents of products ----

-- A picture, public under its random name.
CREATE OR REPLACE FUNCTION image_json(f file, p_alt text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || f.id || '","url":"/images/' || f.path || '","thumbUrl":"/images/' || f.thumb_path
        || '","width":' || f.width || ',"height":' || f.height || ',"alt":' || to_json(p_alt) || '}'
$$;

CREATE OR REPLACE FUNCTION product_images(p_product uuid) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT array_agg(image_json(f, i.alt) ORDER BY i.position, f.id)
    FROM product_image AS i
    JOIN file AS f ON f.id = i.file_id
    WHERE i.product_id = p_product
$$;

-- What document and card have in common.
CREATE OR REPLACE FUNCTION product_members(p product) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT '{"id":"' || p.id || '","sellerId":"' || p.seller_id
        || '","shop":{"id":"' || s.id || '","name":' || to_json(s.name)
        || '},"category":{"id":"' || c.id || '","slug":"' || c.slug || '","name":' || to_json(c.name)
        || '},"title":' || to_json(p.title)
        || ',"price":{"amount":' || p.price || ',"currency":"' || p.currency
        || '"},"condition":"' || p.condition || '","status":"' || p.status
        || '","createdAt":"' || iso(p.created_at) || '","version":' || p.version
    FROM shop AS s
    CROSS JOIN category AS c
    WHERE s.id = p.shop_id AND c.id = p.category_id
$$;

-- A product in a list.
CREATE OR REPLACE FUNCTION product_card(p product) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT product_members(p) || ',"image":' || coalesce((product_images(p.id))[1], 'null')
        || ',"inStock":' || CASE WHEN EXISTS (SELECT FROM stock AS s WHERE s.product_id = p.id AND s.quantity > 0)
                                 THEN 'true}' ELSE 'false}' END
$$;

-- A whole product, its document and ETag.
CREATE OR REPLACE FUNCTION product_view(p product, OUT body text, OUT etag text)
LANGUAGE sql STABLE AS $$
    SELECT p.doc || ',"stock":' || s.quantity || '}', p.version || '.' || s.quantity
    FROM stock AS s
    WHERE s.product_id = p.id
$$;

-- Before a product is written. Whatever else the document shows (pictures, names of shop and category) writes the
-- product when it changes, with a new version, since the version is the ETag.
CREATE OR REPLACE FUNCTION product_render() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    NEW.doc := product_members(NEW) || ',"description":' || to_json(NEW.description)
        || ',"images":[' || coalesce(array_to_string(product_images(NEW.id), ','), '')
        || '],"updatedAt":"' || iso(NEW.updated_at) || '"';
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER product_render BEFORE INSERT OR UPDATE ON product
    FOR EACH ROW EXECUTE FUNCTION product_render();

-- Brings a product's row of listing up to date. Its words are made anew only when p_text says that they changed.
CREATE OR REPLACE FUNCTION listing_put(p product, p_text boolean) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF p.status <> 'active' OR p.deleted_at IS NOT NULL THEN
        DELETE FROM listing WHERE product_id = p.id;
        RETURN;
    END IF;
    UPDATE listing
    SET category_id = p.category_id, shop_id = p.shop_id, price = p.price, condition = p.condition,
        card = product_card(p)
    WHERE product_id = p.id AND NOT p_text;
    IF NOT FOUND THEN
        INSERT INTO listing AS l (product_id, category_id, shop_id, price, condition, title, card, words)
        VALUES (p.id, p.category_id, p.shop_id, p.price, p.condition, search_vector(p.title), product_card(p),
                search_vector(p.title || ' ' || p.description))
        ON CONFLICT (product_id) DO UPDATE
        SET category_id = excluded.category_id, shop_id = excluded.shop_id, price = excluded.price,
            condition = excluded.condition, title = excluded.title, card = excluded.card, words = excluded.words;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION product_list() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM listing_put(NEW, (NEW.title, NEW.description) IS DISTINCT FROM (OLD.title, OLD.description));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER product_list AFTER UPDATE ON product
    FOR EACH ROW EXECUTE FUNCTION product_list();

-- A product enters the lists with its stock, and changes there when it sells out or comes back: a sale costs nothing
-- else. The lock keeps out an edit of the product at the same time, whose card this one would replace by an older one.
CREATE OR REPLACE FUNCTION stock_list() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    p product;
BEGIN
    SELECT * INTO p FROM product WHERE id = NEW.product_id FOR SHARE;
    PERFORM listing_put(p, false);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER stock_list AFTER INSERT ON stock
    FOR EACH ROW EXECUTE FUNCTION stock_list();
CREATE OR REPLACE TRIGGER stock_list_edge AFTER UPDATE OF quantity ON stock
    FOR EACH ROW WHEN ((OLD.quantity = 0) <> (NEW.quantity = 0)) EXECUTE FUNCTION stock_list();

CREATE OR REPLACE FUNCTION product_image_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    UPDATE product
    SET version = version + 1, updated_at = now()
    WHERE id IN (SELECT c.product_id FROM changed AS c);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER product_image_added AFTER INSERT ON product_image REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION product_image_changed();
CREATE OR REPLACE TRIGGER product_image_updated AFTER UPDATE ON product_image REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION product_image_changed();
CREATE OR REPLACE TRIGGER product_image_removed AFTER DELETE ON product_image REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION product_image_changed();

CREATE OR REPLACE FUNCTION shop_renamed() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    UPDATE product
    SET version = version + 1
    WHERE seller_id = NEW.owner_id AND shop_id = NEW.id AND deleted_at IS NULL;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER shop_renamed AFTER UPDATE OF name ON shop
    FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION shop_renamed();

CREATE OR REPLACE FUNCTION category_renamed() RETURNS trigger
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    UPDATE product
    SET version = version + 1
    WHERE category_id = NEW.id AND deleted_at IS NULL;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER category_renamed AFTER UPDATE OF name, slug ON category
    FOR EACH ROW WHEN ((OLD.name, OLD.slug) IS DISTINCT FROM (NEW.name, NEW.slug)) EXECUTE FUNCTION category_renamed();

-- ---- what sellers do with products ----

-- What the event about a product carries; realtime/events.def.
CREATE OR REPLACE FUNCTION product_tell(p product, p_change text, p_fields text[]) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN shop_emit(p.shop_id, 'product:updated', '{"productId":"' || p.id || '","change":"' || p_change
        || '","fields":' || array_to_json(p_fields) || ',"version":' || p.version || '}');
END $$;

-- A removed category keeps its row, so the foreign key does not notice; the lock keeps it from being removed now.
CREATE OR REPLACE FUNCTION category_must_live(p_category uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM category WHERE id = p_category AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = '/categoryId', CONSTRAINT = 'unknown',
            DETAIL = 'There is no such category.';
    END IF;
END $$;

-- The product for its seller or an administrator to write, locked; version 0 asks for none.
CREATE OR REPLACE FUNCTION product_lock(p_id uuid, p_version int) RETURNS product
LANGUAGE plpgsql AS $$
DECLARE
    me uuid := app_me();
    p  product;
BEGIN
    SELECT * INTO p
    FROM product
    WHERE id = p_id AND deleted_at IS NULL AND (seller_id = me OR app_role() = 'admin')
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    ELSIF p_version <> 0 AND p_version <> p.version THEN
        PERFORM raise_problem('precondition-failed');
    END IF;
    RETURN p;
END $$;

CREATE OR REPLACE FUNCTION product_create(p_id uuid, p_category uuid, p_title text, p_description text, p_price bigint,
                                          p_currency text, p_condition text, p_quantity int, p_threshold int)
RETURNS TABLE (body text, etag text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    s  uuid;
    p  product;
BEGIN
    -- The lock: who is suspended meanwhile offers nothing more.
    SELECT id INTO s FROM shop WHERE owner_id = me AND status = 'active' AND deleted_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        PERFORM raise_problem('forbidden', 'The seller has no open shop.');
    END IF;
    PERFORM category_must_live(p_category);
    INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency, condition)
    VALUES (p_id, me, s, p_category, p_title, p_description, p_price, p_currency, p_condition)
    RETURNING * INTO p;
    -- The seller knows how many there are: no alert for what is low from the start.
    INSERT INTO stock (product_id, quantity, low_threshold, alerted)
    VALUES (p_id, p_quantity, p_threshold, stock_level(p_quantity, p_threshold));
    RETURN QUERY SELECT v.body, v.etag, product_tell(p, 'created', '{}') FROM product_view(p) AS v;
END $$;

-- Changes a product; NULL keeps a value. A seller shows and hides what is not under moderation.
CREATE OR REPLACE FUNCTION product_update(p_id uuid, p_version int, p_category uuid, p_title text, p_description text,
                                          p_price bigint, p_currency text, p_condition text, p_status text)
RETURNS TABLE (body text, etag text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    p      product := product_lock(p_id, p_version);
    fields text[] := array_remove(ARRAY[
        CASE WHEN p_category <> p.category_id THEN 'categoryId' END,
        CASE WHEN p_title <> p.title THEN 'title' END,
        CASE WHEN p_description <> p.description THEN 'description' END,
        CASE WHEN p_price <> p.price OR p_currency <> p.currency THEN 'price' END,
        CASE WHEN p_condition <> p.condition THEN 'condition' END,
        CASE WHEN p_status <> p.status THEN 'status' END], NULL);
BEGIN
    IF fields = '{}' THEN
        RETURN QUERY SELECT v.body, v.etag, NULL FROM product_view(p) AS v;
        RETURN;
    END IF;
    IF 'status' = ANY (fields) AND app_role() <> 'admin'
        AND NOT (p.status IN ('active', 'inactive') AND p_status IN ('active', 'inactive')) THEN
        PERFORM raise_problem('invalid-transition', p.status || ' to ' || p_status);
    ELSIF p.status = 'suspended' AND 'status' = ANY (fields) THEN
        PERFORM raise_problem('invalid-transition', 'The seller is suspended.');
    ELSIF 'status' = ANY (fields) AND p_status = 'active' THEN
        -- No circle with shop_settle(), which has the shop and waits for products: it wants none that comes here.
        PERFORM FROM shop AS s WHERE s.id = p.shop_id AND s.status <> 'suspended' FOR SHARE;
        IF NOT FOUND THEN
            PERFORM raise_problem('invalid-transition', 'The seller is suspended.');
        END IF;
    END IF;
    IF 'categoryId' = ANY (fields) THEN
        PERFORM category_must_live(p_category);
    END IF;
    UPDATE product
    SET category_id = coalesce(p_category, category_id),
        title = coalesce(p_title, title),
        description = coalesce(p_description, description),
        price = coalesce(p_price, price),
        currency = coalesce(p_currency, currency),
        condition = coalesce(p_condition, condition),
        status = coalesce(p_status, status),
        version = version + 1,
        updated_at = now()
    WHERE id = p_id
    RETURNING * INTO p;
    RETURN QUERY SELECT v.body, v.etag, product_tell(p, 'updated', fields) FROM product_view(p) AS v;
END $$;

CREATE OR REPLACE FUNCTION product_delete(p_id uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    p product := product_lock(p_id, 0);
BEGIN
    -- The relay removes the bodies of deleted files.
    UPDATE file SET deleted_at = now()
    WHERE id IN (SELECT i.file_id FROM product_image AS i WHERE i.product_id = p_id);
    DELETE FROM product_image WHERE product_id = p_id;
    UPDATE product SET deleted_at = now(), version = version + 1, updated_at = now() WHERE id = p_id RETURNING * INTO p;
    RETURN product_tell(p, 'deleted', '{}');
END $$;

GRANT EXECUTE ON FUNCTION category_subtree(uuid, text), shop_of(uuid), product_card(product), product_members(product),
    product_images(uuid), image_json(file, text), product_view(product) TO plaza_web;
GRANT EXECUTE ON FUNCTION category_create(uuid, uuid, text, text, text, text, text, int),
    category_update(uuid, int, uuid, text, text, text, text, text, int, text[]), category_delete(uuid),
    product_create(uuid, uuid, text, text, bigint, text, text, int, int),
    product_update(uuid, int, uuid, text, text, bigint, text, text, text), product_delete(uuid)
    TO plaza_web;
