-- Uploaded files and the pictures of products.

-- query: file_check () exec read
-- Whether the caller has room for one more file.
SELECT file_check();

-- query: file_create (id uuid, kind text, name text, media_type text, size bigint, path text, thumb_path text?,
--     width int?, height int?) one -> body text
-- Keeps a private file of the caller.
SELECT file_create(:id, :kind, :name, :media_type, :size, :path, :thumb_path, :width, :height) AS body;

-- query: file_open (id uuid) maybe read -> path text, thumb_path text, media_type text, name text
-- A file that the caller may read.
SELECT f.path, f.thumb_path, f.media_type, f.name
FROM file_open(:id) AS f;

-- query: file_open_signed (id uuid, by uuid) maybe read -> path text, thumb_path text, media_type text, name text
-- A file for the holder of a link that was signed for a user.
SELECT f.path, f.thumb_path, f.media_type, f.name
FROM file_open_signed(:id, :by) AS f;

-- query: file_delete (id uuid) one -> path text, thumb_path text
-- Forgets a private file of the caller.
SELECT f.path, f.thumb_path
FROM file_delete(:id) AS f;

-- query: product_image_check (product uuid) exec
-- Whether the caller may add a picture to this product.
SELECT product_image_check(:product);

-- query: product_image_add (product uuid, id uuid, name text, media_type text, size bigint, path text, thumb_path text,
--     width int, height int, alt text) one -> body text, events text
-- Adds a picture behind the others.
SELECT i.body, i.events
FROM product_image_add(:product, :id, :name, :media_type, :size, :path, :thumb_path, :width, :height, :alt) AS i;

-- query: product_image_remove (product uuid, id uuid) one -> path text, thumb_path text, events text
-- Takes a picture away.
SELECT i.path, i.thumb_path, i.events
FROM product_image_remove(:product, :id) AS i;

-- query: product_image_order (product uuid, ids uuid[]) one -> body text, etag text, events text
-- Puts the pictures in order.
SELECT i.body, i.etag, i.events
FROM product_image_order(:product, :ids) AS i;
