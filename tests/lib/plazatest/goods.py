"""Products on sale, put into the tables, and what is bought of them."""
import itertools
import random
import threading
import uuid
from concurrent import futures

from plazatest import tokens

API = "/api/v1"
PAID, UNKNOWN, DECLINED = "tok_success", "tok_timeout", "tok_declined"
_serial = itertools.count(1)


class Goods:
    def __init__(self, users, sql):
        self.users, self.sql = users, sql
        self.category = str(uuid.uuid4())
        sql("INSERT INTO category (id, slug, name) VALUES (%s, %s, 'Tests')", (self.category, f"tests-{self.category}"))

    def seller(self):
        """A seller with a shop; `shop` is its id."""
        s = self.users.seller()
        s.shop = str(self.sql("SELECT id FROM shop WHERE owner_id = %s", (s.user["id"],))[0][0])
        return s

    def product(self, seller, price=1000, stock=10, currency="USD", threshold=0):
        """Id of a new product on sale."""
        made = str(uuid.uuid4())
        self.sql("INSERT INTO product (id, seller_id, shop_id, category_id, title, description, price, currency) "
                 "VALUES (%s, %s, %s, %s, %s, '', %s, %s)",
                 (made, seller.user["id"], seller.shop, self.category, f'Tea "No. {next(_serial)}" \\ ñandú', price, currency))
        self.sql("INSERT INTO stock (product_id, quantity, low_threshold) VALUES (%s, %s, %s) ON CONFLICT (product_id) "
                 "DO UPDATE SET quantity = EXCLUDED.quantity, low_threshold = EXCLUDED.low_threshold",
                 (made, stock, threshold))
        return made

    def stock(self, *products):
        """Units left of each product."""
        found = dict(self.sql("SELECT product_id::text, quantity FROM stock WHERE product_id = ANY (%s::uuid[])",
                              (list(products),)))
        return [found[p] for p in products]


def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def pay(token=PAID, **more):
    return {"payment": {"method": "mock", "token": token}, **more}


def order(client, lines, token=PAID, headers=None, **more):
    """POST /orders; lines = {product: quantity}"""
    items = [{"productId": p, "quantity": n} for p, n in lines.items()]
    random.shuffle(items)
    return client.post(f"{API}/orders", pay(token, items=items, **more), headers=headers or key())


def cart(client, lines=None, **kw):
    """The client's cart as it answers after these lines were added."""
    r = client.post(f"{API}/carts", **kw)
    assert r.status in (200, 201), r
    for product, n in (lines or {}).items():
        r = client.post(f"{API}/carts/{r.json['id']}/products", {"productId": product, "quantity": n}, **kw)
        assert r.status == 200, r
    return r


def checkout(client, cart_id, token=PAID, headers=None, **more):
    return client.post(f"{API}/carts/{cart_id}/checkout", pay(token, **more), headers=headers or key())


def crowd(env, users, sql, n):
    """n more clients, without the price of n passwords: their tokens are signed here."""
    model = users.client()
    ids = [(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(n)]
    sql("WITH new AS (SELECT * FROM unnest(%s::uuid[], %s::uuid[]) AS u (id, session)), made AS (INSERT INTO account "
        "(id, email, name, role) SELECT id, id || '@plaza.example', 'One of many', 'client' FROM new RETURNING id), "
        "head AS (INSERT INTO feed_head (account_id) SELECT id FROM made ON CONFLICT DO NOTHING) "
        "INSERT INTO session (id, account_id, expires_at) SELECT session, id, now() + interval '1 day' FROM new",
        tuple(map(list, zip(*ids))))
    made = []
    for ident, session in ids:
        c = users.anonymous()
        c.user, c.token = {"id": ident}, tokens.changed(env, model.token, sub=ident, sid=session)
        made.append(c)
    return made


def together(calls, threads=None):
    """Runs the callables at the same moment, on as many threads; their results in order."""
    threads = threads or len(calls)
    gate = threading.Barrier(threads)

    def work(some):
        gate.wait()
        return [(i, calls[i]()) for i in some]

    with futures.ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(work, range(t, len(calls), threads)) for t in range(threads)]
        return [r for _, r in sorted(itertools.chain(*(p.result() for p in parts)), key=lambda r: r[0])]
