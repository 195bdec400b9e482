"""How the goods of an order travel: the steps, who may tell them, who hears."""
import pytest

from plazatest.goods import API, Goods, order, together

ETA = "2030-05-01T12:00:00.000Z"


@pytest.fixture(scope="module")
def goods(users, sql):
    return Goods(users, sql)


@pytest.fixture
def sale(users, goods):
    """(buyer, seller, a confirmed order)"""
    buyer, seller = users.client(), goods.seller()
    ident = order(buyer, {goods.product(seller): 1}).json["orders"][0]["id"]
    assert seller.post(f"{API}/orders/{ident}/confirm").status == 200
    return buyer, seller, ident


def deliver(who, ident, state, headers=None, **more):
    return who.patch(f"{API}/orders/{ident}/delivery", {"state": state, **more}, headers=headers or {})


def test_from_the_shop_to_the_door(sale, device):
    buyer, seller, ident = sale
    mine, till = device(buyer), device(seller)
    assert buyer.get(f"{API}/orders/{ident}").json["delivery"] is None
    r = deliver(seller, ident, "assigned", carrier="Correo", eta="2030-05-01T14:00:00+02:00")
    assert (r.status, r.json["version"], r.headers["ETag"]) == (200, 3, '"3"')
    assert r.json["delivery"] == {"state": "assigned", "carrier": "Correo", "tracking": None, "eta": ETA}
    r = deliver(seller, ident, "in_transit", tracking='RR "1" ñ')
    assert r.json["delivery"] == {"state": "in_transit", "carrier": "Correo", "tracking": 'RR "1" ñ', "eta": ETA}
    assert (r.json["status"], r.json["fulfilmentStatus"]) == ("confirmed", "unfulfilled")
    r = deliver(seller, ident, "completed")
    assert (r.json["status"], r.json["fulfilmentStatus"], r.json["delivery"]["state"]) == ("delivered", "fulfilled", "completed")
    assert buyer.get(f"{API}/orders/{ident}").json == r.json
    for d, topic in ((mine, f"u/{buyer.user['id']}/in"), (till, f"s/{seller.shop}/in")):
        last = d.wait("delivery:updated", lambda m: m["state"] == "completed")["d"]
        assert last == {"orderId": ident, "number": r.json["number"], "shopId": seller.shop, "state": "completed",
                        "previous": "in_transit", "carrier": "Correo", "tracking": 'RR "1" ñ', "eta": ETA,
                        "version": r.json["version"]}
        told = [(t, m["d"]["state"], m["d"].get("previous"), m["d"]["version"]) for t, m in d.messages
                if m["t"] == "delivery:updated"]
        assert told == [(topic, "assigned", None, 3), (topic, "in_transit", "assigned", 4),
                        (topic, "completed", "in_transit", 5)]
        assert d.wait("order:updated", lambda m: m["status"] == "delivered")["d"]["version"] == 5
    history = buyer.get(f"{API}/orders/{ident}/history").json["items"]
    assert [h["status"] for h in history] == ["payment_confirmed", "confirmed", "delivered"]


def test_marking_it_as_delivered_completes_the_delivery(sale, device):
    buyer, seller, ident = sale
    mine = device(buyer)
    deliver(seller, ident, "in_transit", tracking="1")
    r = seller.patch(f"{API}/orders/{ident}/mark-delivered")
    assert r.json["delivery"] == {"state": "completed", "carrier": None, "tracking": "1", "eta": None}
    assert mine.wait("delivery:updated", lambda m: m["state"] == "completed")["d"]["previous"] == "in_transit"


def test_a_failed_delivery_is_tried_again(sale):
    _, seller, ident = sale
    assert deliver(seller, ident, "failed").problem == "invalid-transition"
    for state in ("assigned", "assigned", "in_transit", "in_transit", "failed", "in_transit", "failed", "assigned"):
        assert deliver(seller, ident, state).json["delivery"]["state"] == state
    assert deliver(seller, ident, "completed").status == 200
    for state in ("assigned", "in_transit", "completed", "failed"):
        assert deliver(seller, ident, state).problem == "invalid-transition", "it has arrived"


def test_only_the_seller_tells_and_only_after_the_confirmation(users, goods, admin):
    buyer, seller, other = users.client(), goods.seller(), goods.seller()
    ident = order(buyer, {goods.product(seller): 1}).json["orders"][0]["id"]
    assert deliver(seller, ident, "assigned").problem == "invalid-transition", "not confirmed yet"
    seller.post(f"{API}/orders/{ident}/confirm")
    assert deliver(buyer, ident, "completed").problem == "forbidden"
    assert deliver(other, ident, "completed").problem == "not-found"
    assert deliver(admin, ident, "assigned").status == 200
    assert seller.post(f"{API}/orders/{ident}/cancel", {"reason": "lost"}).status == 200
    assert deliver(seller, ident, "in_transit").problem == "invalid-transition", "cancelled"


def test_a_seller_who_buys_has_no_say_in_it(goods):
    buyer, seller = goods.seller(), goods.seller()
    ident = order(buyer, {goods.product(seller): 1}).json["orders"][0]["id"]
    seller.post(f"{API}/orders/{ident}/confirm")
    assert deliver(buyer, ident, "completed").problem == "invalid-transition"


def test_a_stale_version_changes_nothing(sale):
    _, seller, ident = sale
    assert deliver(seller, ident, "assigned", headers={"If-Match": '"1"'}).problem == "precondition-failed"
    assert deliver(seller, ident, "assigned", headers={"If-Match": '"2"'}).status == 200
    answers = together([lambda c=seller.clone(): deliver(c, ident, "in_transit", headers={"If-Match": '"3"'})
                        for _ in range(8)])
    assert sorted(r.status for r in answers) == [200] + [412] * 7, "one of them was the first"


def test_arriving_and_cancelling_at_once_is_one_of_them(users, goods):
    for _ in range(5):
        buyer, seller = users.client(), goods.seller()
        product = goods.product(seller)
        ident = order(buyer, {product: 1}).json["orders"][0]["id"]
        seller.post(f"{API}/orders/{ident}/confirm")
        twin = seller.clone()
        done, gone = together([lambda: deliver(seller, ident, "completed"),
                               lambda: twin.post(f"{API}/orders/{ident}/cancel", {"reason": "x"})])
        assert sorted((done.status, gone.status)) == [200, 409]
        status = buyer.get(f"{API}/orders/{ident}").json["status"]
        assert status == ("delivered" if done.status == 200 else "cancelled")
        assert goods.stock(product) == [9 if done.status == 200 else 10]


@pytest.mark.parametrize("wrong,code", [
    ({"state": "lost"}, "not_allowed"), ({"state": None}, "required"), ({"eta": "soon"}, "invalid_time"),
    ({"eta": "2026-02-29T00:00:00Z"}, "invalid_time"), ({"tracking": ""}, "too_short"), ({"carrier": "x" * 101}, "too_long")])
def test_nonsense_is_refused(sale, wrong, code):
    _, seller, ident = sale
    body = {k: v for k, v in {"state": "assigned", **wrong}.items() if v is not None}
    r = seller.patch(f"{API}/orders/{ident}/delivery", body)
    assert (r.status, [e["code"] for e in r.json["errors"]]) == (422, [code])
