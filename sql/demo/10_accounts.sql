-- Twenty people and three shops. Everybody's password is the one in ACCOUNTS.
INSERT INTO account (id, email, username, name, role, locale, email_verified)
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       lower(name) || '@plaza.example', lower(name), name, CASE WHEN n <= 3 THEN 'seller' ELSE 'client' END,
       CASE WHEN n % 2 = 0 THEN 'es' ELSE 'en' END, true
FROM unnest(ARRAY['Bruno', 'Carmen', 'Dennis', 'Ana', 'Elena', 'Felix', 'Gloria', 'Hugo', 'Irene', 'Jorge', 'Karla',
                  'Luis', 'Marta', 'Nora', 'Oscar', 'Paula', 'Rosa', 'Simon', 'Teresa', 'Victor'])
     WITH ORDINALITY AS t (name, n)
ON CONFLICT DO NOTHING;

INSERT INTO credential (account_id, password_hash)
SELECT a.id, '$argon2id$v=19$m=19456,t=2,p=1$cGxhemFkZW1vc2FsdDEyMzQ$YF1KBfflq/DKps3fWWB6HFlRkFzJ425sftg22yVx/ms'
FROM account AS a
WHERE a.id::text LIKE '01900000-0000-7000-8000-%'
ON CONFLICT DO NOTHING;

INSERT INTO shop (id, owner_id, name, slug, description, location)
SELECT ('01900000-0000-7000-8001-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, name, slug, description, location
FROM (VALUES
    (1, 'Casa del Mar', 'casa-del-mar', 'Pescado, artesanía y recuerdos de la costa.', 'Manta'),
    (2, 'Tecno Centro', 'tecno-centro', 'Phones, laptops and spare parts, new and used.', 'Quito'),
    (3, 'Wool and Wood', 'wool-and-wood', 'Hand-made clothes and furniture.', 'Cuenca')
) AS s (n, name, slug, description, location)
ON CONFLICT DO NOTHING;
