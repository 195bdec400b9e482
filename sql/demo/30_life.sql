-- What people did with all that: orders in every state, and conversations in both languages. Everything goes through the
-- functions of the programs, as the person who does it, so that stock, feeds and receipts are what they would be.

CREATE FUNCTION pg_temp.act_as(p_account uuid) RETURNS void
LANGUAGE sql AS $$
    SELECT set_config('plaza.uid', a.id::text, true), set_config('plaza.role', a.role, true)
    FROM plaza.account AS a
    WHERE a.id = p_account
$$;

CREATE FUNCTION pg_temp.buy(p_buyer uuid, p_n int, p_state text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    grp  uuid := uuid_v7();
    pick uuid[];
    o    orders;
    path text[] := CASE p_state WHEN 'confirmed' THEN '{confirmed}' WHEN 'delivered' THEN '{confirmed,delivered}'
                   WHEN 'completed' THEN '{confirmed,delivered,completed}' WHEN 'cancelled' THEN '{cancelled}'
                   ELSE '{}' END;
BEGIN
    pick := ARRAY(SELECT s.product_id FROM stock AS s WHERE s.quantity > 9
                  ORDER BY md5(s.product_id::text || p_n) LIMIT 1 + p_n % 3);
    PERFORM pg_temp.act_as(p_buyer);
    PERFORM order_place(grp, NULL, 0, pick, array_fill(1 + p_n % 2, ARRAY[cardinality(pick)]),
        CASE p_state WHEN 'pending' THEN 'tok_timeout' ELSE 'tok_success' END, NULL, NULL, 'Calle 13, Manta', '');
    FOR o IN SELECT * FROM orders AS x WHERE x.group_id = grp ORDER BY x.id LOOP
        FOR i IN 1 .. cardinality(path) LOOP
            PERFORM pg_temp.act_as(CASE WHEN path[i] IN ('completed', 'cancelled') THEN o.buyer_id ELSE o.seller_id END);
            PERFORM order_move(o.id, 0, path[i], CASE path[i] WHEN 'cancelled' THEN 'Changed my mind' ELSE '' END);
        END LOOP;
    END LOOP;
END $$;

-- Buyer and seller take turns. Whoever writes has read what was there; p_read tells whether the last line was read too.
CREATE FUNCTION pg_temp.talk(p_buyer uuid, p_product uuid, p_lines text[], p_read boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_seller uuid;
    v_chat   uuid;
    v_last   bigint := cardinality(p_lines);
BEGIN
    SELECT p.seller_id INTO v_seller FROM product AS p WHERE p.id = p_product;
    PERFORM pg_temp.act_as(p_buyer);
    SELECT c.body::json ->> 'id' INTO v_chat FROM chat_open(NULL, NULL, p_product) AS c;
    FOR i IN 1 .. v_last LOOP
        PERFORM pg_temp.act_as(CASE i % 2 WHEN 1 THEN p_buyer ELSE v_seller END);
        IF i > 1 THEN
            PERFORM chat_receipt(v_chat, i - 1, true);
        END IF;
        PERFORM message_send(v_chat, uuid_v7(), 'text', p_lines[i], NULL, NULL, NULL);
    END LOOP;
    PERFORM pg_temp.act_as(CASE v_last % 2 WHEN 1 THEN v_seller ELSE p_buyer END);
    PERFORM chat_receipt(v_chat, v_last, p_read);
END $$;

SELECT pg_temp.buy(('01900000-0000-7000-8000-' || lpad(to_hex(4 + n / 6 * 4), 12, '0'))::uuid, n,
    (ARRAY['pending', 'payment_confirmed', 'confirmed', 'delivered', 'completed', 'cancelled'])[1 + n % 6])
FROM generate_series(0, 29) AS n
WHERE NOT EXISTS (SELECT FROM orders);

SELECT pg_temp.talk(a.id, p.id, t.lines, t.read)
FROM (VALUES
    ('ana', 'Tetera sin estrenar', true, ARRAY['Hola, ¿la tetera sirve para cocina de inducción?',
        'Hola Ana. Sí, tiene base de acero.', '¿La puede enviar a Quito?', 'Sale hoy, llega en dos días.', 'Perfecto, la pido.']),
    ('ana', 'Organic honey', false, ARRAY['Hello, which flowers is the honey from?', 'From the dry forest near the coast.']),
    ('ana', 'New laptop', false, ARRAY['Does the laptop come with a Spanish keyboard?']),
    ('elena', 'Teléfono de segunda mano', true, ARRAY['¿Cuánto dura la batería?', 'La cambiamos el mes pasado, dura un día.',
        '¿Me la deja en cien dólares?', 'Lo siento, el precio es fijo.']),
    ('felix', 'New running shoes', true, ARRAY['Do you have them in size 43?', 'Yes, the last pair.', 'I take it, thank you.']),
    ('gloria', 'Poncho de edición limitada', true, ARRAY['¿Es de alpaca?', 'De alpaca y lana, tejido en Cuenca.']),
    ('hugo', 'Second-hand monitor', false, ARRAY['Any dead pixels?', 'None. I can send a video.', 'Please do.']),
    ('irene', 'Sombrero de paja sin estrenar', false, ARRAY['Buenas tardes, ¿qué tallas hay?'])
) AS t (username, title, read, lines)
JOIN account AS a ON a.username = t.username
JOIN product AS p ON p.title = t.title
WHERE NOT EXISTS (SELECT FROM message)
ORDER BY a.id, p.id;
