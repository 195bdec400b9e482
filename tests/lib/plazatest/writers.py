"""What the fault tests order, with the check that every effect is there exactly once."""
import random
import uuid


class Orders:
    """Orders of one unit of a few products of one seller."""
    name = "orders"

    def __init__(self, products, stock):
        self.products, self.stock = products, stock

    def new(self, client):
        return random.choice(self.products), str(uuid.uuid4())

    def send(self, client, key):
        product, ident = key
        return client.post("/api/v1/orders", {"items": [{"productId": product, "quantity": 1}],
                                              "payment": {"method": "mock", "token": "tok_success"}},
                           headers={"Idempotency-Key": ident})

    def same(self, a, b):
        return a == b

    def check(self, sql, acknowledged):
        """As many purchases as keys, each paid, with one order of one line, and its unit gone from the stock."""
        groups = {answer["id"] for answer in acknowledged.values()}
        assert len(groups) == len(acknowledged), "two keys have one effect"
        rows = sql("SELECT g.id::text, g.captured = g.total, count(DISTINCT o.id), sum(i.quantity) FROM order_group AS g "
                   "LEFT JOIN orders AS o ON o.group_id = g.id LEFT JOIN order_item AS i ON i.order_id = o.id "
                   "WHERE i.product_id = ANY (%s::uuid[]) OR i.product_id IS NULL GROUP BY g.id", (self.products,))
        assert {r[0] for r in rows} == groups, "lost or doubled orders"
        assert all(r[1:] == (True, 1, 1) for r in rows), "partial orders"
        left = sql("SELECT sum(quantity) FROM stock WHERE product_id = ANY (%s::uuid[])", (self.products,))[0][0]
        assert left == self.stock * len(self.products) - len(groups), "stock and orders differ"
