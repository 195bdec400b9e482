"""Whose a row is. Every table stands in exactly one of these lists; a new one fails the run until it does."""

# Visible to plaza_web under the identity `me`, a client or a seller, where this holds.
OWNED = {
    "account": "id = %(me)s",
    "session": "account_id = %(me)s",
    "idempotency": "account_id = %(me)s",
    "feed_head": "account_id = %(me)s",
    "feed": "account_id = %(me)s",
    "file": "owner_id = %(me)s",
    "product": "seller_id = %(me)s",
    "order_group": "buyer_id = %(me)s",
    "orders": "%(me)s IN (buyer_id, seller_id)",
    "order_event": "order_id IN (SELECT id FROM orders WHERE %(me)s IN (buyer_id, seller_id))",
    "block": "blocker_id = %(me)s",
    "report": "reporter_id = %(me)s",
    "notification": "account_id = %(me)s",
    "connection_log": "account_id = %(me)s",
    "notification_preference": "account_id = %(me)s",
    "notification_setting": "account_id = %(me)s",
    "push_device": "account_id = %(me)s",
}
# No program reads these by itself; functions and views of the owner do.
CLOSED = {"appeal", "audit", "audit_head", "broadcast", "canned_reply", "cart", "cart_item", "cart_news", "chat",
          "chat_member", "chat_offer", "chat_purge", "chat_purge_stand", "credential", "erasure", "feed_default",
          "figures_told", "login_device", "login_guard", "message", "message_edit", "message_file",
          "message_reaction", "message_text", "message_text_stand", "moderation_rule", "moderation_state",
          "order_item", "outbox", "outbox_parked", "push_count", "push_queue", "refresh_token", "report_more",
          "retention", "sanction", "shop_member"}
# Everybody may know them, or they hold nothing about people.
PUBLIC = {"category", "delivery_transition", "listing", "migration", "migration_function", "order_transition",
          "product_image", "search_word", "shop", "stock"}
