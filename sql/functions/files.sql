-- Uploaded files and the pictures of products. Bodies are in the blob store before their rows are here, and leave it
-- after them: a body without a row is possible, a row without a body is not.

CREATE OR REPLACE FUNCTION file_json(f file) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '{"id":"' || f.id || '","kind":"' || f.kind || '","name":' || to_json(f.name)
        || ',"mediaType":"' || f.media_type || '","size":' || f.size
        || ',"width":' || coalesce(f.width::text, 'null') || ',"height":' || coalesce(f.height::text, 'null')
        || ',"url":"/files/' || f.id || '","createdAt":"' || iso(f.created_at) || '"}'
$$;

-- ---- private files ----

-- 200 files and 500 MiB a user, with one more of p_size bytes.
CREATE OR REPLACE FUNCTION file_quota(p_user uuid, p_size bigint) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
DECLARE
    files bigint;
    bytes bigint;
BEGIN
    SELECT count(*), coalesce(sum(size), 0) INTO files, bytes
    FROM file
    WHERE owner_id = p_user AND access = 'private' AND deleted_at IS NULL;
    IF files >= 200 OR bytes + p_size > 524288000 THEN
        PERFORM raise_problem('quota-exceeded', files || ' files with ' || bytes || ' bytes are kept already.');
    END IF;
END $$;

-- Before a file is read: whether even the smallest one would fit.
CREATE OR REPLACE FUNCTION file_check() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT file_quota(app_me(), 1)
$$;

CREATE OR REPLACE FUNCTION file_create(p_id uuid, p_kind text, p_name text, p_media_type text, p_size bigint,
                                       p_path text, p_thumb_path text, p_width int, p_height int)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
    f  file;
BEGIN
    -- One after the other, or two uploads would both be the last that fits.
    PERFORM FROM account WHERE id = me FOR NO KEY UPDATE;
    PERFORM file_quota(me, p_size);
    INSERT INTO file (id, owner_id, kind, access, name, media_type, size, path, thumb_path, width, height)
    VALUES (p_id, me, p_kind, 'private', p_name, p_media_type, p_size, p_path, p_thumb_path, p_width, p_height)
    RETURNING * INTO f;
    RETURN file_json(f);
END $$;

-- A file that the caller may read: their own, or one that a conversation of theirs shows.
CREATE OR REPLACE FUNCTION file_open(p_id uuid)
RETURNS TABLE (path text, thumb_path text, media_type text, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    RETURN QUERY
        SELECT f.path, f.thumb_path, f.media_type, f.name
        FROM file AS f
        WHERE f.id = p_id AND f.deleted_at IS NULL AND f.access = 'private'
          AND (f.owner_id = me OR file_in_chat_of(f.id, me));
END $$;

-- A file for somebody who holds a signed link to it; the program has checked the signature. A link opens no more than
-- the user who asked for it may read now.
CREATE OR REPLACE FUNCTION file_open_signed(p_id uuid, p_by uuid)
RETURNS TABLE (path text, thumb_path text, media_type text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
    SELECT f.path, f.thumb_path, f.media_type, f.name
    FROM file AS f
    WHERE f.id = p_id AND f.deleted_at IS NULL AND f.access = 'private'
      AND (f.owner_id = p_by OR file_in_chat_of(f.id, p_by))
      AND EXISTS (SELECT FROM account AS a WHERE a.id = p_by AND a.status = 'active')
$$;

CREATE OR REPLACE FUNCTION file_delete(p_id uuid)
RETURNS TABLE (path text, thumb_path text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    me uuid := app_me();
BEGIN
    RETURN QUERY
        UPDATE file AS f
        SET deleted_at = now()
        WHERE f.id = p_id AND f.owner_id = me AND f.access = 'private' AND f.deleted_at IS NULL
        RETURNING f.path, f.thumb_path;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
END $$;

-- ---- pictures of products ----

CREATE OR REPLACE FUNCTION product_image_room(p_product uuid) RETURNS void
LANGUAGE plpgsql SET search_path = plaza, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM product_image WHERE product_id = p_product) >= 8 THEN
        PERFORM raise_problem('conflict', 'The product has 8 pictures already.');
    END IF;
END $$;

-- Before a picture is decoded: whether it could be added at all.
CREATE OR REPLACE FUNCTION product_image_check(p_product uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
BEGIN
    PERFORM product_lock(p_product, 0);
    PERFORM product_image_room(p_product);
END $$;

CREATE OR REPLACE FUNCTION product_image_add(p_product uuid, p_id uuid, p_name text, p_media_type text, p_size bigint,
                                             p_path text, p_thumb_path text, p_width int, p_height int, p_alt text)
RETURNS TABLE (body text, events text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    p product := product_lock(p_product, 0);
    f file;
BEGIN
    PERFORM product_image_room(p_product);
    INSERT INTO file (id, owner_id, kind, access, name, media_type, size, path, thumb_path, width, height)
    VALUES (p_id, p.seller_id, 'image', 'public', p_name, p_media_type, p_size, p_path, p_thumb_path, p_width, p_height)
    RETURNING * INTO f;
    INSERT INTO product_image (product_id, file_id, position, alt)
    SELECT p_product, p_id, coalesce(max(i.position) + 1, 0), p_alt
    FROM product_image AS i
    WHERE i.product_id = p_product;
    p.version := p.version + 1;
    RETURN QUERY SELECT image_json(f, p_alt), product_tell(p, 'updated', '{images}');
END $$;

CREATE OR REPLACE FUNCTION product_image_remove(p_product uuid, p_id uuid)
RETURNS TABLE (path text, thumb_path text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    p product := product_lock(p_product, 0);
BEGIN
    DELETE FROM product_image AS i WHERE i.product_id = p_product AND i.file_id = p_id;
    IF NOT FOUND THEN
        PERFORM raise_problem('not-found');
    END IF;
    p.version := p.version + 1;
    RETURN QUERY
        UPDATE file AS f SET deleted_at = now() WHERE f.id = p_id
        RETURNING f.path, f.thumb_path, product_tell(p, 'updated', '{images}');
END $$;

-- The order of all pictures of a product, by their ids.
CREATE OR REPLACE FUNCTION product_image_order(p_product uuid, p_ids uuid[])
RETURNS TABLE (body text, etag text, events text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = plaza, pg_temp AS $$
DECLARE
    p product := product_lock(p_product, 0);
BEGIN
    IF ARRAY(SELECT i.file_id FROM product_image AS i WHERE i.product_id = p_product ORDER BY i.file_id)
        IS DISTINCT FROM ARRAY(SELECT u FROM unnest(p_ids) AS u ORDER BY u) THEN
        RAISE EXCEPTION USING ERRCODE = 'PZ000', MESSAGE = 'invalid', COLUMN = '/ids', CONSTRAINT = 'not_all',
            DETAIL = 'Name every picture of the product once.';
    END IF;
    UPDATE product_image AS i
    SET position = u.place
    FROM unnest(p_ids) WITH ORDINALITY AS u (id, place)
    WHERE i.product_id = p_product AND i.file_id = u.id;
    SELECT * INTO p FROM product WHERE id = p_product;
    RETURN QUERY SELECT v.body, v.etag, product_tell(p, 'updated', '{images}') FROM product_view(p) AS v;
END $$;

GRANT EXECUTE ON FUNCTION file_check(), file_create(uuid, text, text, text, bigint, text, text, int, int), file_open(uuid),
    file_open_signed(uuid, uuid), file_delete(uuid), product_image_check(uuid),
    product_image_add(uuid, uuid, text, text, bigint, text, text, int, int, text), product_image_remove(uuid, uuid),
    product_image_order(uuid, uuid[])
    TO plaza_web;
