"""People and things for the access matrix: who owns what is known, so what each may see is known too."""
import io
import time
import uuid

from PIL import Image

from plazatest import tokens
from plazatest.http import PASSWORD, claims_of
from plazatest.push import subscription

DEAD = ("expired", "revoked", "suspended")
ALIVE = ("client", "seller", "admin", "moderator", "service")


class World:
    def __init__(self, env, users, sql):
        self.env, self.users, self.sql = env, users, sql
        self.actors, self.things = {}, {}

    def _make(self, role):
        if role == "anonymous":
            return self.users.anonymous()
        if role in ("client", "seller"):
            return getattr(self.users, role)()
        made = self.users.client()
        if role == "revoked":
            assert made.post("/api/v1/auth/logout").status == 204
        elif role == "suspended":
            self.sql("UPDATE account SET status = 'suspended' WHERE id = %s", (made.user["id"],))
            self.sql("SELECT sessions_end(%s, NULL, 'suspended')", (made.user["id"],))
        elif role == "expired":
            made.token = tokens.expired(self.env, made.token)
        else:
            self.sql("UPDATE account SET role = %s WHERE id = %s", (role, made.user["id"]))
            made = self.users.login(made.email, PASSWORD)
            assert made.user["role"] == role
        return made

    def actor(self, role, which=0):
        """The same person each time; `which` tells apart several of a role."""
        key = role, which
        if key not in self.actors:
            self.actors[key] = self._named(role)
        return self.actors[key]

    def fresh(self, role):
        """Somebody who may be used up."""
        return self._named(role)

    def _named(self, role):
        made = self._make(role)
        made.role = role
        return made

    def once(self, key, make):
        """A thing shared by many cells."""
        if key not in self.things:
            self.things[key] = make()
        return self.things[key]


class Kind:
    """What a path parameter names. `make` gives the id of a new one that belongs to `owner`, or None where that
    person cannot have one; `ids` are the parameters left of it."""
    table = None      # where its row is, to prove that a refused request changed nothing
    strangers = ("client", "seller")  # roles whose things are foreign to everybody else
    removable = True  # can be marked as deleted while its owner goes on

    def make(self, w, owner, ids):
        raise NotImplementedError

    def remove(self, w, ident):
        """Marks it as deleted; the default fits tables with deleted_at."""
        w.sql(f"UPDATE {self.table} SET deleted_at = now() WHERE id = %s", (ident,))

    def row(self, w, ident):
        rows = self.table and w.sql(f"SELECT t::text FROM {self.table} AS t WHERE id = %s", (ident,))
        return rows[0][0] if rows else None


class User(Kind):
    table = "account"
    removable = False  # a deleted user cannot ask

    def make(self, w, owner, ids):
        return owner.user["id"]


class Session(Kind):
    table = "session"

    def make(self, w, owner, ids):
        """One more sign-in of the owner, so that the one in use stays."""
        other = w.users.login(owner.email, owner.password)
        return claims_of(other.token)["sid"]

    def remove(self, w, ident):
        w.sql("UPDATE session SET revoked_at = now(), revoke_reason = 'logout' WHERE id = %s", (ident,))


def missing():
    return str(uuid.uuid4())


# ---- things ----

BUY = {"method": "mock", "token": "tok_success"}


def good(r):
    assert 200 <= r.status < 300, r
    return r.json if r.body else None


def keyed():
    return {"Idempotency-Key": str(uuid.uuid4())}


def category(w):
    return w.once("category", lambda: good(w.actor("admin").post(
        "/api/v1/categories", {"name": f"Things {uuid.uuid4()}"}))["id"])


def product(w, seller, **members):
    body = {"categoryId": category(w), "title": f"Thing of {seller.user['name']}", "stock": 100000,
            "price": {"amount": 1999, "currency": "USD"}, **members}
    return good(seller.post("/api/v1/products", body))["id"]


def goods(w):
    """A product that everybody may buy."""
    return w.once("goods", lambda: product(w, w.actor("seller", 2)))


def buy(client, product_id):
    """(purchase, its first order)"""
    group = good(client.post("/api/v1/orders", {"items": [{"productId": product_id, "quantity": 1}], "payment": BUY},
                             headers=keyed()))
    return group, group["orders"][0]


class Someone(Kind):
    """Any user; nobody owns them."""
    table = "account"
    strangers = ()
    removable = False

    def make(self, w, owner, ids):
        return w.users.client().user["id"]


class Contact(Kind):
    """Somebody with whom the owner, and nobody else, has a conversation."""
    table = "account"
    removable = False

    def make(self, w, owner, ids):
        if owner.role == "service":
            return None
        peer = w.users.client()
        good(owner.post("/api/v1/chats", {"peerId": peer.user["id"]}))
        return peer.user["id"]


class Category(Kind):
    table = "category"
    strangers = ()

    def make(self, w, owner, ids):
        return good(w.actor("admin").post("/api/v1/categories", {"name": f"C {uuid.uuid4()}"}))["id"]


class Product(Kind):
    table = "product"
    strangers = ("seller",)

    def make(self, w, owner, ids):
        return product(w, owner) if owner.role == "seller" else None


class HiddenProduct(Product):
    """Not on sale: for its seller only."""
    def make(self, w, owner, ids):
        made = super().make(w, owner, ids)
        if made:
            good(owner.put(f"/api/v1/products/{made}", {"status": "inactive"}))
        return made


class Cart(Kind):
    table = "cart"
    remove = None

    def make(self, w, owner, ids):
        return None if owner.role == "service" else good(owner.post("/api/v1/carts"))["id"]


class FullCart(Cart):
    def make(self, w, owner, ids):
        made = super().make(w, owner, ids)
        if made:
            good(owner.post(f"/api/v1/carts/{made}/products", {"productId": goods(w), "quantity": 1}))
        return made


class CartLine(Kind):
    """A product in the cart left of it; products are everybody's."""
    table = "product"
    strangers = ()
    remove = None

    def make(self, w, owner, ids):
        if "id" in ids:
            good(owner.post(f"/api/v1/carts/{ids['id']}/products", {"productId": goods(w), "quantity": 1}))
        return goods(w)


class Order(Kind):
    """A purchase of a client or a sale of a seller, brought into a state."""
    table = "orders"
    remove = None

    def __init__(self, state="payment_confirmed"):
        self.state = state

    def make(self, w, owner, ids):
        if owner.role == "service":
            return None
        sale = owner.role == "seller"
        seller = owner if sale else w.actor("seller", 2)
        thing = w.once(("for sale", seller.user["id"]), lambda: product(w, seller))
        order = buy(w.actor("client", 2) if sale else owner, thing)[1]["id"]
        if self.state in ("confirmed", "delivered"):
            good(seller.post(f"/api/v1/orders/{order}/confirm"))
        if self.state == "delivered":
            good(seller.patch(f"/api/v1/orders/{order}/mark-delivered"))
        return order


class OrderGroup(Kind):
    table = "order_group"
    remove = None

    def make(self, w, owner, ids):
        return None if owner.role == "service" else buy(owner, goods(w))[0]["id"]


class Chat(Kind):
    """A conversation of the owner with a client of no other importance; it has a message of the owner."""
    table = "chat"
    remove = None

    def make(self, w, owner, ids):
        if owner.role == "service":
            return None
        chat = good(owner.post("/api/v1/chats", {"peerId": w.actor("client", 5).user["id"]}))["id"]
        good(owner.post(f"/api/v1/chats/{chat}/messages", {"cmid": str(uuid.uuid4()), "body": "hello"}))
        return chat


class Message(Kind):
    """A message of the owner that nobody has read, in the chat left of it."""

    def make(self, w, owner, ids):
        chat = ids.get("id") or Chat().make(w, owner, {})
        return chat and good(owner.post(f"/api/v1/chats/{chat}/messages",
                                        {"cmid": str(uuid.uuid4()), "body": "a word"}))["id"]

    def remove(self, w, ident):
        w.sql("UPDATE message SET deleted_at = now() WHERE message_id(chat_id, seq) = %s", (ident,))

    def row(self, w, ident):
        rows = w.sql("SELECT t::text FROM message AS t WHERE message_id(chat_id, seq) = %s", (ident,))
        return rows[0][0] if rows else None


class AnyChat(Chat):
    """Administrators may see all."""
    strangers = ()


class ShopChat(Chat):
    """A conversation of the owner with a shop about its goods."""
    def make(self, w, owner, ids):
        if owner.role == "service":
            return None
        return good(owner.post("/api/v1/chats", {"productId": goods(w)}))["id"]


class Offer(Message):
    """An offer of the shop to the owner, in the chat left of it."""
    remove = None

    def make(self, w, owner, ids):
        chat = ids.get("id") or ShopChat().make(w, owner, {})
        return chat and good(w.actor("seller", 2).post(f"/api/v1/chats/{chat}/messages", {
            "type": "offer", "productId": goods(w), "price": {"amount": 1500, "currency": "USD"}}))["id"]


def contact(w, owner):
    peer = w.users.client()
    good(owner.post("/api/v1/chats", {"peerId": peer.user["id"]}))
    return peer


class Group(Chat):
    """A group of the owner with one member."""
    def make(self, w, owner, ids):
        if owner.role == "service":
            return None
        return good(owner.post("/api/v1/chats", {"title": "Group", "memberIds": [contact(w, owner).user["id"]]}))["id"]


class GroupMember(Kind):
    """Somebody in the group left of it."""
    table = "chat_member"
    remove = None

    def make(self, w, owner, ids):
        chat = ids.get("id") or Group().make(w, owner, {})
        if chat is None:
            return None
        peer = contact(w, owner)
        good(owner.post(f"/api/v1/chats/{chat}/participants", {"userIds": [peer.user["id"]]}))
        return peer.user["id"]

    def row(self, w, ident):
        return sorted(w.sql("SELECT t::text FROM chat_member AS t WHERE account_id = %s", (ident,)))


class Shop(Kind):
    table = "shop"
    strangers = ("seller",)
    remove = None

    def make(self, w, owner, ids):
        return owner.user["shopId"] if owner.role == "seller" else None


class Invitation(Kind):
    """A shop that has invited the owner."""
    table = "shop"
    remove = None

    def make(self, w, owner, ids):
        if owner.role == "service":
            return None
        boss = w.users.seller()
        good(boss.post(f"/api/v1/sellers/{boss.user['shopId']}/members", {"userId": owner.user["id"]}))
        return boss.user["shopId"]


class Staff(Kind):
    """Somebody invited to the shop left of it."""
    table = "account"
    strangers = ("seller",)
    remove = None

    def make(self, w, owner, ids):
        if owner.role != "seller":
            return None
        peer = w.users.client()
        good(owner.post(f"/api/v1/sellers/{owner.user['shopId']}/members", {"userId": peer.user["id"]}))
        return peer.user["id"]


class CannedReply(Kind):
    table = "canned_reply"
    strangers = ("seller",)

    def make(self, w, owner, ids):
        if owner.role != "seller":
            return None
        return good(owner.post("/api/v1/canned-replies", {"title": f"T {uuid.uuid4()}", "body": "Hello {buyer}"}))["id"]

    def remove(self, w, ident):
        w.sql("DELETE FROM canned_reply WHERE id = %s", (ident,))
class Case(Kind):
    """A case that the moderator or administrator has claimed; the queue is everybody's there."""
    table = "report"
    strangers = ()
    remove = None

    def __init__(self, claim=True):
        self.claim = claim

    def make(self, w, owner, ids):
        if owner.role not in ("admin", "moderator"):
            return None
        made = good(w.actor("client", 7).post(f"/api/v1/users/{w.users.client().user['id']}/report",
                                              {"reason": "spam"}))["id"]
        if self.claim:
            good(owner.post(f"/api/v1/admin/moderation/reports/{made}/claim"))
        return made


class Blocked(Kind):
    """An account as the staff looks at it: everybody's there."""
    table = "account"
    strangers = ()
    remove = None

    def make(self, w, owner, ids):
        return w.users.client().user["id"] if owner.role in ("admin", "moderator") else None


class Appeal(Kind):
    """One against a warning that another moderator made."""
    table = "appeal"
    strangers = ()
    remove = None

    def make(self, w, owner, ids):
        if owner.role not in ("admin", "moderator"):
            return None
        judge, warned = w.actor("moderator", 8), w.users.client()
        sanction = warning(w, judge, warned)
        return good(warned.post("/api/v1/appeals", {"sanctionId": sanction, "body": "No"}))["id"]


class Sanction(Kind):
    """A warning."""
    table = "sanction"
    remove = None

    def make(self, w, owner, ids):
        return None if owner.role == "service" else warning(w, w.actor("moderator", 8), owner)


def warning(w, judge, target):
    case = good(w.actor("client", 7).post(f"/api/v1/users/{target.user['id']}/report", {"reason": "spam"}))["id"]
    queue = f"/api/v1/admin/moderation/reports/{case}"
    good(judge.post(queue + "/claim"))
    good(judge.post(queue + "/resolve", {"action": "warn", "note": "No"}))
    return w.sql("SELECT id::text FROM sanction WHERE report_id = %s", (case,))[0][0]


def reported_chat(w, owner):
    """The query of a look into a conversation: of a moderator through a case, of others with a reason."""
    def open_one():
        a, b = w.actor("client", 7), w.users.client()
        chat = good(a.post("/api/v1/chats", {"peerId": b.user["id"]}))["id"]
        return chat, b
    chat, b = w.once("reported chat", open_one)
    if owner.role != "moderator":
        return f"?chatId={chat}&reason=because+of+the+law"
    case = good(w.actor("client", 7).post(f"/api/v1/users/{b.user['id']}/report", {"reason": "spam", "chatId": chat}))["id"]
    good(owner.post(f"/api/v1/admin/moderation/reports/{case}/claim"))
    return f"?reportId={case}"


class Rule(Kind):
    table = "moderation_rule"
    strangers = ()

    def make(self, w, owner, ids):
        return None if owner.role != "admin" else good(owner.post("/api/v1/admin/moderation/filters", {
            "kind": "word", "pattern": f"word {uuid.uuid4()}", "action": "flag"}))["id"]

    def remove(self, w, ident):
        w.sql("DELETE FROM moderation_rule WHERE id = %s", (ident,))


class AuditRow(Kind):
    table = None
    strangers = ()
    remove = None

    def make(self, w, owner, ids):
        if owner.role != "admin":
            return None
        Rule().make(w, owner, ids)
        return str(good(owner.get("/api/v1/admin/audit?limit=1"))["items"][0]["id"])


class Notification(Kind):
    table = "notification"

    def make(self, w, owner, ids):
        return w.sql("INSERT INTO notification (id, account_id, type, title) "
                     "VALUES (uuid_v7(), %s, 'test.note', 'A note') RETURNING id::text", (owner.user["id"],))[0][0]

    def remove(self, w, ident):
        w.sql("DELETE FROM notification WHERE id = %s", (ident,))


def later(seconds=3600):
    """A time to come, as bodies have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Broadcast(Kind):
    """An announcement; it belongs to nobody."""
    table = "broadcast"
    strangers = ()

    def make(self, w, owner, ids):
        return good(w.actor("admin").post("/api/v1/broadcasts", {"text": "Soon", "until": later()}))["id"]

    def remove(self, w, ident):
        w.sql("UPDATE broadcast SET ended_at = now() WHERE id = %s", (ident,))


class PushDevice(Kind):
    """Of the session that the owner uses."""
    table = "push_device"

    def make(self, w, owner, ids):
        return None if owner.role == "service" else good(owner.post("/api/v1/devices", subscription()))["id"]

    def remove(self, w, ident):
        w.sql("DELETE FROM push_device WHERE id = %s", (ident,))


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"


def picture():
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "green").save(out, "PNG")
    return "image", "a.png", "image/png", out.getvalue()


class File(Kind):
    """A private file."""
    table = "file"

    def make(self, w, owner, ids):
        return None if owner.role == "service" else \
            good(owner.upload("/api/v1/files", [("file", "a.pdf", "application/pdf", PDF)]))["id"]


class UploadName(File):
    """The name by which an older system asks for a file."""
    def make(self, w, owner, ids):
        made = super().make(w, owner, ids)
        return made and made + ".pdf"

    def remove(self, w, ident):
        super().remove(w, ident.split(".")[0])

    def row(self, w, ident):
        return super().row(w, ident.split(".")[0])


class OlderSystem(Kind):
    strangers = ()
    remove = None

    def make(self, w, owner, ids):
        return "livemarket"


class ProductImage(Kind):
    """A picture of the product left of it."""
    table = "file"
    strangers = ("seller",)

    def make(self, w, owner, ids):
        if owner.role != "seller":
            return None
        of = ids.get("id") or Product().make(w, owner, {})
        return good(owner.upload(f"/api/v1/products/{of}/images", [picture()]))["id"]

    def remove(self, w, ident):
        w.sql("DELETE FROM product_image WHERE file_id = %s", (ident,))


class ImageName(Kind):
    """The name of a picture in the public store."""
    strangers = ()
    remove = None

    def make(self, w, owner, ids):
        def upload():
            seller = w.actor("seller", 2)
            return good(seller.upload(f"/api/v1/products/{product(w, seller)}/images", [picture()]))["url"]
        return w.once("picture", upload).rsplit("/", 1)[1]
