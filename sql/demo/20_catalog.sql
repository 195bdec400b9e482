-- Ten categories under three roots, and three hundred products in Spanish and English.
INSERT INTO category (id, parent_id, slug, name, name_es, position)
SELECT ('01900000-0000-7000-8002-' || lpad(n::text, 12, '0'))::uuid,
       ('01900000-0000-7000-8002-' || lpad(parent::text, 12, '0'))::uuid, slug, name, name_es, n
FROM (VALUES
    (1, NULL, 'home', 'Home', 'Hogar'),
    (2, NULL, 'electronics', 'Electronics', 'Electrónica'),
    (3, NULL, 'clothing', 'Clothing', 'Ropa'),
    (4, 1, 'furniture', 'Furniture', 'Muebles'),
    (5, 1, 'kitchen', 'Kitchen', 'Cocina'),
    (6, 1, 'food', 'Food', 'Alimentos'),
    (7, 2, 'phones', 'Phones', 'Teléfonos'),
    (8, 2, 'computers', 'Computers', 'Computadoras'),
    (9, 3, 'shirts', 'Shirts', 'Camisas'),
    (10, 3, 'shoes', 'Shoes', 'Zapatos')
) AS c (n, parent, slug, name, name_es)
ON CONFLICT DO NOTHING;

-- Each row of `thing` meets the five qualities of its kind in both languages: 30 x 5 x 2 = 300.
WITH thing (n, shop, category, en, es, price) AS (VALUES
    (1, 3, 4, 'chair', 'silla', 4500), (2, 3, 4, 'table', 'mesa', 12000), (3, 3, 4, 'bookshelf', 'estantería', 9900),
    (4, 3, 4, 'lamp', 'lámpara', 2500), (5, 1, 5, 'frying pan', 'sartén', 1999), (6, 1, 5, 'kettle', 'tetera', 2499),
    (7, 1, 5, 'coffee maker', 'cafetera', 3900), (8, 1, 5, 'knife', 'cuchillo', 1200), (9, 1, 6, 'coffee', 'café', 899),
    (10, 1, 6, 'chocolate', 'chocolate', 450), (11, 1, 6, 'honey', 'miel', 700), (12, 1, 6, 'dried fish', 'pescado seco', 1500),
    (13, 2, 7, 'phone', 'teléfono', 29900), (14, 2, 7, 'phone case', 'funda de teléfono', 1500),
    (15, 2, 7, 'charger', 'cargador', 1900), (16, 2, 7, 'headphones', 'audífonos', 5900),
    (17, 2, 8, 'laptop', 'portátil', 79900), (18, 2, 8, 'keyboard', 'teclado', 4500), (19, 2, 8, 'mouse', 'ratón', 2200),
    (20, 2, 8, 'monitor', 'monitor', 18900), (21, 2, 8, 'printer', 'impresora', 15900),
    (22, 3, 9, 'linen shirt', 'camisa de lino', 3500), (23, 3, 9, 'wool sweater', 'suéter de lana', 5200),
    (24, 3, 9, 'cotton blouse', 'blusa de algodón', 2900), (25, 3, 9, 'poncho', 'poncho', 6400),
    (26, 3, 9, 'straw hat', 'sombrero de paja', 4800), (27, 3, 10, 'leather boots', 'botas de cuero', 8900),
    (28, 3, 10, 'sandals', 'sandalias', 2600), (29, 3, 10, 'running shoes', 'zapatos deportivos', 6900),
    (30, 3, 10, 'slippers', 'pantuflas', 1400)
), quality (q, food, en, es, factor, condition) AS (VALUES
    (1, false, 'New', 'sin estrenar', 1.0, 'new'), (2, false, 'Large', 'de tamaño grande', 1.2, 'new'),
    (3, false, 'Second-hand', 'de segunda mano', 0.5, 'used'), (4, false, 'Limited edition', 'de edición limitada', 1.4, 'new'),
    (5, false, 'Refurbished', 'con garantía de taller', 0.7, 'refurbished'),
    (1, true, 'Organic', 'de cultivo ecológico', 1.2, 'new'), (2, true, 'Fair-trade', 'de comercio justo', 1.3, 'new'),
    (3, true, 'Family-size', 'en tamaño familiar', 2.5, 'new'), (4, true, 'Everyday', 'de cada día', 1.0, 'new'),
    (5, true, 'Gift-wrapped', 'para regalo', 1.4, 'new')
), item AS (
    SELECT (k.q - 1) * 60 + (t.n - 1) * 2 + l.l AS n, t.shop, t.category, t.price * k.factor AS price, k.condition,
           CASE l.l WHEN 1 THEN k.en || ' ' || t.en ELSE upper(left(t.es, 1)) || substr(t.es, 2) || ' ' || k.es END AS title,
           CASE l.l WHEN 1 THEN ', checked before sending. Ask in the chat for more pictures.'
                    ELSE '. Se revisa antes del envío; pida más fotos por el chat.' END AS more
    FROM thing AS t
    JOIN quality AS k ON k.food = (t.category = 6)
    CROSS JOIN (VALUES (1), (2)) AS l (l)
)
INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency, condition, created_at)
SELECT ('01900000-0000-7000-8003-' || lpad(i.n::text, 12, '0'))::uuid,
       ('01900000-0000-7000-8000-' || lpad(i.shop::text, 12, '0'))::uuid,
       ('01900000-0000-7000-8001-' || lpad(i.shop::text, 12, '0'))::uuid,
       ('01900000-0000-7000-8002-' || lpad(i.category::text, 12, '0'))::uuid,
       i.title, i.title || i.more, round(i.price)::bigint, 'USD', i.condition, now() - (300 - i.n) * interval '37 minutes'
FROM item AS i
ORDER BY i.n
ON CONFLICT DO NOTHING;

-- Most are there in dozens; some are few, and some are sold out.
INSERT INTO stock (product_id, quantity, low_threshold)
SELECT p.id, CASE WHEN p.n % 29 = 0 THEN 0 WHEN p.n % 17 = 0 THEN 1 WHEN p.n % 13 = 0 THEN 3 ELSE 10 + p.n % 7 * 6 END, 3
FROM (SELECT id, right(id::text, 12)::bigint AS n FROM product WHERE id::text LIKE '01900000-0000-7000-8003-%') AS p
ON CONFLICT DO NOTHING;
