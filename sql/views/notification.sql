-- The kinds of notifications, and what a user who has not chosen gets of them. `critical` ones wait for nobody and pass
-- quiet hours. `inbox_fixed`: the user cannot change whether it stands in the list. A new kind is a line here.
DROP VIEW IF EXISTS notification_kind CASCADE;
CREATE VIEW notification_kind (place, type, critical, inbox, inbox_fixed, push, email, sms, title_en, title_es) AS
VALUES
    -- Messages stand in their conversations, and the first one of somebody new is told as a message.
    (1, 'chat.message', false, false, true, true, false, false, 'Messages', 'Mensajes'),
    (2, 'chat.new', false, true, false, false, false, false, 'New conversations', 'Conversaciones nuevas'),
    (3, 'chat.group', false, true, false, true, false, false, 'Group invitations', 'Invitaciones a grupos'),
    (4, 'shop.invitation', false, true, false, true, true, false, 'Invitations to shops', 'Invitaciones a tiendas'),
    (10, 'order.created', false, true, false, true, true, false, 'New orders', 'Pedidos nuevos'),
    (11, 'order.paid', true, true, true, true, true, false, 'Paid orders', 'Pedidos pagados'),
    (12, 'order.confirmed', false, true, false, true, true, false, 'Confirmed orders', 'Pedidos confirmados'),
    (13, 'order.shipped', false, true, false, true, true, false, 'Shipped orders', 'Pedidos enviados'),
    (14, 'order.delivered', false, true, false, true, true, false, 'Delivered orders', 'Pedidos entregados'),
    (15, 'order.completed', false, true, false, false, false, false, 'Completed orders', 'Pedidos completados'),
    (16, 'order.cancelled', false, true, false, true, true, false, 'Cancelled orders', 'Pedidos cancelados'),
    (20, 'payment.failed', true, true, true, true, true, false, 'Failed payments', 'Pagos fallidos'),
    (21, 'payment.refunded', false, true, false, true, true, false, 'Refunds', 'Reembolsos'),
    (30, 'return.updated', false, true, false, true, true, false, 'Returns', 'Devoluciones'),
    (31, 'dispute.opened', true, true, true, true, true, false, 'New disputes', 'Disputas nuevas'),
    (32, 'dispute.updated', true, true, true, true, true, false, 'Disputes', 'Disputas'),
    (40, 'offer.received', false, true, false, true, false, false, 'Offers', 'Ofertas'),
    (41, 'offer.updated', false, true, false, true, false, false, 'Answers to offers', 'Respuestas a ofertas'),
    (50, 'review.new', false, true, false, true, false, false, 'Reviews', 'Reseñas'),
    (51, 'inventory.low', false, true, false, true, false, false, 'Low stock', 'Pocas existencias'),
    (52, 'inventory.out', false, true, false, true, false, false, 'Out of stock', 'Sin existencias'),
    (53, 'product.price', false, true, false, true, false, false, 'Price drops', 'Bajadas de precio'),
    (54, 'product.back', false, true, false, true, false, false, 'Back in stock', 'De nuevo disponible'),
    (55, 'cart.price', false, true, false, true, false, false, 'Prices in the cart', 'Precios del carrito'),
    (60, 'security.login', true, true, true, true, true, false, 'New sign-ins', 'Inicios de sesión nuevos'),
    (61, 'security.account', true, true, true, true, true, true, 'Changes of the account', 'Cambios de la cuenta'),
    (62, 'account.erasure', true, true, true, true, true, false, 'End of the account', 'Fin de la cuenta'),
    (70, 'moderation.warn', true, true, true, true, true, false, 'Warnings', 'Advertencias'),
    (71, 'moderation.suspend', true, true, true, false, true, false, 'Suspensions', 'Suspensiones'),
    (72, 'moderation.remove_message', false, true, true, true, true, false, 'Removed messages', 'Mensajes retirados'),
    (73, 'moderation.appeal', false, true, true, true, true, false, 'Answers to appeals', 'Respuestas a recursos'),
    (74, 'report.resolved', false, true, false, true, false, false, 'Answers to reports', 'Respuestas a denuncias'),
    (80, 'system.announcement', false, true, false, false, false, false, 'Announcements', 'Anuncios'),
    (81, 'promotion', false, true, false, false, false, false, 'Promotions', 'Promociones');
GRANT SELECT ON notification_kind TO plaza_web;
