"""Figures of the platform and of shops: told when they change, and only to those they are for."""
import time

import pytest

from plazatest import process
from plazatest.goods import API, Goods, order

EVERY_S = 10


@pytest.fixture(scope="module")
def goods(users, sql):
    return Goods(users, sql)


def platform(admin):
    r = admin.get(API + "/admin/stats")
    assert r.status == 200, r
    return r.json


def figures(shop):
    r = shop.get(API + "/sellers/me/stats")
    assert r.status == 200, r
    return r.json


def paid(stats, currency="USD"):
    return sum(m["amount"] for m in stats["revenueToday"] if m["currency"] == currency)


def test_administrators_hear_what_changes(users, goods, admin, device, sql):
    staff, nosy = device(admin), device(users.seller())
    before = platform(admin)
    buyer, seller = users.client(), goods.seller()
    ident = order(buyer, {goods.product(seller, price=1234): 2}).json["orders"][0]["id"]
    chat = buyer.post("/chats", {"peerId": seller.user["id"]}).json["id"]
    assert buyer.post(f"/chats/{chat}/messages", {"body": "Hello"}).status == 201
    assert buyer.post(f"/users/{seller.user['id']}/report", {"reason": "spam"}).status == 201
    now = platform(admin)
    assert (now["ordersToday"], paid(now)) == (before["ordersToday"] + 1, paid(before) + 2468)
    assert now["openReports"] == before["openReports"] + 1 and now["messagesLastMinute"] > 0
    m = staff.wait("platform:stats", lambda d: d["ordersToday"] >= now["ordersToday"], timeout=EVERY_S + 5)
    assert set(m["d"]) == set(now) and m["d"]["devicesOnline"] >= m["d"]["usersOnline"] >= 1 and "us" not in m
    assert {t for t, m in staff.messages if m["t"] == "platform:stats"} == {"a/stats"}
    assert nosy.events("platform:stats") == []
    assert buyer.post(f"{API}/orders/{ident}/cancel", {"reason": "no"}).status == 200
    assert paid(platform(admin)) == paid(before), "money that went back is no revenue"


def test_a_shop_hears_its_own_figures(users, goods, device):
    seller, other, buyer = goods.seller(), goods.seller(), users.client()
    till, theirs = device(seller), device(other)
    assert figures(seller) == {**figures(seller), "ordersToday": 0, "cancelledToday": 0, "revenueToday": []}
    product = goods.product(seller, price=100)
    order(buyer, {product: 1})
    ident = order(buyer, {product: 3}).json["orders"][0]["id"]
    buyer.post(f"{API}/orders/{ident}/cancel", {"reason": "no"})
    now = figures(seller)
    assert (now["shopId"], now["ordersToday"], now["cancelledToday"], paid(now)) == (seller.shop, 2, 1, 100)
    assert till.wait("shop:stats", lambda d: d["cancelledToday"] == 1, timeout=EVERY_S + 5)["d"] == now
    assert {t for t, m in till.messages if m["t"] == "shop:stats"} == {f"s/{seller.shop}/in"}
    assert theirs.events("shop:stats") == []


def test_what_did_not_change_is_not_told(users, goods, sql):
    seller = goods.seller()
    order(users.client(), {goods.product(seller): 1})
    told = "SELECT data FROM figures_told WHERE topic = %s", (f"s/{seller.shop}/in",)
    process.wait(lambda: sql(*told), EVERY_S + 5, "the shop's figures are told")
    events = sql("SELECT events FROM job_figures()")[0][0]
    assert seller.shop not in events, "once is enough"
    idle = goods.seller()
    assert sql("SELECT 1 FROM figures_told WHERE topic = %s", (f"s/{idle.shop}/in",)) == []


def test_yesterday_does_not_count(users, goods, sql):
    seller = goods.seller()
    order(users.client(), {goods.product(seller): 1})
    sql("INSERT INTO order_group (id, buyer_id, provider, total, captured, currency) "
        "SELECT uuid_v7_floor(today() - interval '1 second'), %s, 'mock', 5, 5, 'USD'", (seller.user["id"],))
    sql("INSERT INTO orders (id, group_id, buyer_id, seller_id, shop_id, status, payment_status, total, currency, items) "
        "SELECT id, id, buyer_id, buyer_id, %s, 'completed', 'paid', 5, 'USD', '[]' FROM order_group "
        "WHERE buyer_id = %s", (seller.shop, seller.user["id"]))
    assert figures(seller)["ordersToday"] == 1
    sql("DELETE FROM orders WHERE buyer_id = %s", (seller.user["id"],))


def test_figures_are_for_those_they_are_about(users, admin, anonymous):
    for path, allowed in (("/admin/stats", {"admin"}), ("/sellers/me/stats", {"seller"})):
        for role, who in (("client", users.client()), ("seller", users.seller()), ("admin", admin)):
            r = who.get(API + path)
            assert r.status == 200 if role in allowed else r.problem == "forbidden", (path, role, r)
        assert anonymous.get(API + path).problem == "unauthenticated"


def test_the_job_is_cheap(sql, note):
    """It runs every ten seconds for ever."""
    begin = time.monotonic()
    for _ in range(10):
        sql("SELECT job_figures()")
    each = (time.monotonic() - begin) / 10
    note(f"figures: {each * 1000:.1f} ms each time")
    assert each < 0.5
