-- query: people_public (ids uuid[]) many read -> id uuid, body text
-- What everybody may know of these users; who is not there any more is left out.
SELECT u.id, u.body
FROM user_public AS u
WHERE u.id = ANY (:ids);
