-- The amounts that all servers of the comparison carry: 10,000 users, 100,000 products of 2,000 sellers in 50
-- categories, 20,000 conversations with 500,000 messages. Ids are hashes of names, so that they can be computed again.
-- psql variable pw_hash: the hash of everybody's password. Run as plaza_owner on an empty database.
SET max_parallel_workers_per_gather = 0;
SET synchronous_commit = off;
SELECT setseed(0.42);

INSERT INTO account (id, email, name, role, created_at)
SELECT md5('user:' || n)::uuid, 'user' || n || '@example.test', 'User ' || n,
       CASE WHEN n < 2000 THEN 'seller' ELSE 'client' END, timestamptz '2024-01-01' + n * interval '1 minute'
FROM generate_series(0, 9999) AS n;

INSERT INTO credential (account_id, password_hash)
SELECT a.id, :'pw_hash' FROM account AS a;

INSERT INTO session (id, account_id, expires_at)
SELECT md5('session:' || n)::uuid, md5('user:' || n)::uuid, now() + interval '30 days'
FROM generate_series(0, 9999) AS n;

INSERT INTO shop (id, owner_id, name, slug)
SELECT md5('shop:' || n)::uuid, md5('user:' || n)::uuid, 'Shop ' || n, 'shop-' || n
FROM generate_series(0, 1999) AS n;

INSERT INTO category (id, slug, name, position)
SELECT md5('category:' || n)::uuid, 'category-' || n, 'Category ' || n, n
FROM generate_series(1, 50) AS n;

-- Two thousand words of three syllables; low numbers are drawn far more often than high ones, as in real text.
CREATE FUNCTION pg_temp.word(r double precision) RETURNS text LANGUAGE sql AS $$
    SELECT (ARRAY['ba', 'ce', 'di', 'fo', 'gu', 'ha', 'je', 'ki', 'lo', 'mu', 'na', 'pe', 'qui', 'ro', 'su', 'ta', 've',
                  'wi', 'xo', 'zu'])[1 + i % 20]
        || (ARRAY['bran', 'cord', 'delf', 'fist', 'gorm', 'hald', 'jenk', 'kilt', 'lomp', 'mund'])[1 + i / 20 % 10]
        || (ARRAY['ax', 'eb', 'ic', 'od', 'uf', 'ag', 'eh', 'ik', 'ol', 'um'])[1 + i / 200]
    FROM (SELECT floor(2000 * power(r, 2.5))::int * 1117 % 2000 AS i) AS x
$$;

INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency, created_at)
SELECT md5('product:' || n)::uuid, md5('user:' || n * 31 % 2000)::uuid, md5('shop:' || n * 31 % 2000)::uuid,
       md5('category:' || 1 + floor(50 * power(random(), 1.5))::int)::uuid,
       (SELECT string_agg(pg_temp.word(random() + 0 * g), ' ') FROM generate_series(1, 5 + n % 3) AS g),
       (SELECT string_agg(pg_temp.word(random() + 0 * g), ' ') FROM generate_series(1, 40 + n % 30) AS g),
       100 + floor(random() * 99900)::bigint, 'EUR', timestamptz '2024-06-01' + n * interval '97 seconds'
FROM generate_series(0, 99999) AS n;

INSERT INTO stock (product_id, quantity)
SELECT p.id, 1000000 FROM product AS p;
