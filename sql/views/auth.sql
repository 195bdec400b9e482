-- What everybody may know of an account. It runs with its owner's rights on purpose: the policy of `account` shows each
-- user only their own row, and nothing else than these columns leaves it here.
DROP VIEW IF EXISTS user_public CASCADE;
CREATE VIEW user_public AS
SELECT a.id, user_public_json(a, s.id) AS body, user_etag(a, s.id) || '.p' AS etag
FROM account AS a
LEFT JOIN shop AS s ON s.owner_id = a.id AND s.deleted_at IS NULL
WHERE a.status = 'active' AND a.deleted_at IS NULL;
GRANT SELECT ON user_public TO plaza_web;
