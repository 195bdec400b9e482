-- Thumbnails are found by their names, as the files are.
CREATE INDEX file_thumb_idx ON file (thumb_path) WHERE thumb_path IS NOT NULL;
