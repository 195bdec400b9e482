-- The amounts that all servers of the comparison carry: 10,000 users, 100,000 products of 2,000 sellers in 50
-- categories, 20,000 conversations with 500,000 messages. Ids are hashes of names, so that they can be computed again.
-- psql variables: pw_hash, the hash of everybody's password; users, products and chats, how many (a fifth of the users
-- sell), which are 10000, 100000 and 20000 where servers are compared. Run as plaza_owner on an empty database.
SET max_parallel_workers_per_gather = 0;
SET synchronous_commit = off;
SET statement_timeout = 0;
SELECT setseed(0.42);

INSERT INTO account (id, email, name, role, created_at)
SELECT md5('user:' || n)::uuid, 'user' || n || '@example.test', 'User ' || n,
       CASE WHEN n < :users / 5 THEN 'seller' ELSE 'client' END, timestamptz '2024-01-01' + n * interval '1 minute'
FROM generate_series(0, :users - 1) AS n;

INSERT INTO credential (account_id, password_hash)
SELECT a.id, :'pw_hash' FROM account AS a WHERE a.email LIKE 'user%';

INSERT INTO session (id, account_id, expires_at)
SELECT md5('session:' || n)::uuid, md5('user:' || n)::uuid, now() + interval '30 days'
FROM generate_series(0, :users - 1) AS n;

INSERT INTO shop (id, owner_id, name, slug)
SELECT md5('shop:' || n)::uuid, md5('user:' || n)::uuid, 'Shop ' || n, 'shop-' || n
FROM generate_series(0, :users / 5 - 1) AS n;

INSERT INTO category (id, slug, name, position)
SELECT md5('category:' || n)::uuid, 'category-' || n, 'Category ' || n, n
FROM generate_series(1, 50) AS n;

-- Two thousand words of three syllables; some are drawn far more often than others, as in real text.
INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency, created_at)
SELECT md5('product:' || n)::uuid, md5('user:' || n * 31 % (:users / 5))::uuid, md5('shop:' || n * 31 % (:users / 5))::uuid,
       md5('category:' || 1 + floor(50 * power(random(), 1.5))::int)::uuid,
       array_to_string(t.words[1:5 + n % 3], ' '), array_to_string(t.words[8:47 + n % 30], ' '),
       100 + floor(random() * 99900)::bigint, 'EUR', timestamptz '2024-06-01' + n * interval '97 seconds'
FROM generate_series(0, :products - 1) AS n
CROSS JOIN LATERAL (
    SELECT array_agg((ARRAY['ba', 'ce', 'di', 'fo', 'gu', 'ha', 'je', 'ki', 'lo', 'mu', 'na', 'pe', 'qui', 'ro', 'su',
                            'ta', 've', 'wi', 'xo', 'zu'])[1 + i % 20]
               || (ARRAY['bran', 'cord', 'delf', 'fist', 'gorm', 'hald', 'jenk', 'kilt', 'lomp', 'mund'])[1 + i / 20 % 10]
               || (ARRAY['ax', 'eb', 'ic', 'od', 'uf', 'ag', 'eh', 'ik', 'ol', 'um'])[1 + i / 200]) AS words
    FROM (SELECT floor(2000 * power(random() + 0 * n, 2.5))::int * 1117 % 2000 AS i
          FROM generate_series(1, 77) OFFSET 0) AS x
) AS t;

-- The rows of the lists in one statement instead of one for each by the trigger.
ALTER TABLE stock DISABLE TRIGGER stock_list;
INSERT INTO stock (product_id, quantity)
SELECT p.id, 1000000 FROM product AS p;
ALTER TABLE stock ENABLE TRIGGER stock_list;
INSERT INTO listing (product_id, category_id, shop_id, price, condition, title, card, words)
SELECT p.id, p.category_id, p.shop_id, p.price, p.condition, search_vector(p.title), product_card(p),
       search_vector(p.title || ' ' || p.description)
FROM product AS p;

INSERT INTO chat (id, kind, buyer_id, seller_id, product_id, last_seq, from_buyer, last_message_at, created_at)
SELECT md5('chat:' || n)::uuid, 'private', md5('user:' || n % :users)::uuid,
       md5('user:' || (n % :users + 1 + n * 7919 % (:users - 2)) % :users)::uuid, md5('product:' || n * 5 % :products)::uuid,
       CASE WHEN n % 4 = 0 THEN 70 ELSE 10 END, CASE WHEN n % 4 = 0 THEN 35 ELSE 5 END,
       timestamptz '2025-01-01' + n * interval '61 seconds' + interval '70 minutes',
       timestamptz '2025-01-01' + n * interval '61 seconds'
FROM generate_series(0, :chats - 1) AS n;

INSERT INTO chat_member (chat_id, account_id, read_seq, recv_seq, seen)
SELECT c.id, v.account, 5, 10, v.seen
FROM chat AS c, LATERAL (VALUES (c.buyer_id, 3), (c.seller_id, 2)) AS v (account, seen);

INSERT INTO message (chat_id, seq, sender_id, cmid, type, body, created_at, doc)
SELECT x.id, x.s, x.sender, md5('message:' || x.id || ':' || x.s)::uuid, 'text', x.body, x.at,
       message_doc(x.id, x.s, x.sender, 'text', x.body, '', iso(x.at), '')
FROM (SELECT c.id, s, CASE WHEN s % 2 = 0 THEN c.buyer_id ELSE c.seller_id END AS sender,
             'Message ' || s || ' about the item, is it still available and what is the lowest price? '
                 || repeat('x', s::int % 60) AS body,
             c.created_at + s * interval '1 minute' AS at
      FROM chat AS c, generate_series(1, c.last_seq) AS s) AS x;

-- Nothing searches in these: the job that would index them, for minutes, goes on behind them.
UPDATE message_text_stand SET upto = (SELECT max(m.created_at) FROM message AS m);

-- The feeds of 500 users have 200 events each, the messages of their conversations again and again, for GET /sync.
WITH fed AS (
    SELECT a.id, array_agg(m.chat_id ORDER BY m.chat_id, m.seq) AS chats, array_agg(m.seq ORDER BY m.chat_id, m.seq) AS seqs
    FROM account AS a
    JOIN chat_member AS r ON r.account_id = a.id
    JOIN message AS m ON m.chat_id = r.chat_id AND m.sender_id <> a.id
    WHERE a.id IN (SELECT md5('user:' || n)::uuid FROM generate_series(0, 499) AS n)
    GROUP BY a.id
), kept AS (
    INSERT INTO feed (account_id, us, type, chat_id, seq)
    SELECT f.id, us, 'message:receive', f.chats[1 + us % cardinality(f.chats)], f.seqs[1 + us % cardinality(f.seqs)]
    FROM fed AS f, generate_series(1, 200) AS us
)
UPDATE feed_head AS h SET last_us = 200 FROM fed AS f WHERE h.account_id = f.id;
