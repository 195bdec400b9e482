"""Two clients and two sellers with a life of their own; what is private to each carries a canary."""
import uuid

from plazatest import world
from plazatest.http import claims_of
from plazatest.push import subscription
from plazatest.world import BUY, good, keyed

CANARY = "canary-{}-secret"


def person(users, role, name):
    made = getattr(users, role)(email=f"{CANARY.format(name)}-{uuid.uuid4().hex[:8]}@plaza.example")
    made.name, made.session = name, claims_of(made.token)["sid"]
    return made


def live(w, client, seller):
    """They trade, talk, complain and read; what only the two may know has the canary of each in it."""
    secret = CANARY.format(client.name)
    thing = world.product(w, seller)
    cart = good(client.post("/api/v1/carts"))["id"]
    good(client.post(f"/api/v1/carts/{cart}/products", {"productId": thing, "quantity": 1}))
    order = good(client.post("/api/v1/orders", {"items": [{"productId": thing, "quantity": 2}], "payment": BUY,
                                                "address": secret, "note": CANARY.format(seller.name)},
                             headers=keyed()))["orders"][0]["id"]
    good(seller.post(f"/api/v1/orders/{order}/confirm"))
    hidden = world.product(w, seller, title=CANARY.format(seller.name))
    good(seller.put(f"/api/v1/products/{hidden}", {"status": "inactive"}))
    chat = good(client.post("/api/v1/chats", {"productId": thing}))["id"]
    for who in (client, seller):
        good(who.post("/api/v1/devices", {**subscription(f"http://127.0.0.1:9/{CANARY.format(who.name)}-{uuid.uuid4()}"),
                                          "name": CANARY.format(who.name)}))
        good(who.put("/api/v1/preferences", {"types": [{"type": "promotion", "push": True}]}))
        good(who.post(f"/api/v1/chats/{chat}/messages", {"cmid": str(uuid.uuid4()), "body": CANARY.format(who.name)}))
        other = w.users.client().user["id"]
        good(who.post(f"/api/v1/users/{other}/block"))
        good(who.post(f"/api/v1/users/{other}/report", {"reason": "spam", "note": CANARY.format(who.name)}))
        w.sql("INSERT INTO notification (id, account_id, type, title) VALUES (uuid_v7(), %s, 'test.note', %s)",
              (who.user["id"], CANARY.format(who.name)))
        w.sql("INSERT INTO connection_log (account_id, device, transport, connected_at) VALUES (%s, %s, 'ws', now())",
              (who.user["id"], CANARY.format(who.name)))
        w.sql("INSERT INTO file (id, owner_id, kind, access, name, media_type, size, path) "
              "VALUES (uuid_v7(), %s, 'document', 'private', %s, 'application/pdf', 1, gen_random_uuid()::text)",
              (who.user["id"], CANARY.format(who.name)))


def couple(env, users, sql):
    """[client, other client, seller, other seller]; the first of each trade with each other, and the others too."""
    people = [person(users, role, f"{role}{n}") for role in ("client", "seller") for n in (1, 2)]
    w = world.World(env, users, sql)
    for n in (0, 1):
        live(w, people[n], people[n + 2])
        mine = good(people[n + 2].post("/api/v1/carts"))["id"]
        thing = world.product(w, people[3 - n])
        good(people[n + 2].post(f"/api/v1/carts/{mine}/products", {"productId": thing, "quantity": 1}))
        good(people[n + 2].post("/api/v1/orders", {"items": [{"productId": thing, "quantity": 1}], "payment": BUY},
                                headers=keyed()))
    return people


def ids_of(sql, who):
    """Ids of everything that stands in a row with the person's id."""
    found = {who.user["id"], who.session}
    for table, column in sql("SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
                             "WHERE c.relnamespace = 'plaza'::regnamespace AND c.relkind = 'r' "
                             "AND a.atttypid = 'uuid'::regtype AND a.attnum > 0"):
        for other in ("account_id", "owner_id", "buyer_id", "seller_id", "user_id", "sender_id"):
            if sql("SELECT 1 FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s", (table, other)):
                found |= {str(v) for (v,) in sql(f"SELECT DISTINCT {column} FROM {table} WHERE {other} = %s LIMIT 8",
                                                 (who.user["id"],)) if v}
    return sorted(found)
