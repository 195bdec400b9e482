"""What the route table does not say of a route: whose objects its parameters name, and a good request for it.

A route without an entry fails the run.
"""
import uuid
from dataclasses import dataclass, field

from plazatest.http import PASSWORD
from plazatest.push import subscription
from plazatest.world import (BUY, PDF, AnyChat, Appeal, AuditRow, Blocked, Broadcast, CannedReply, Cart, CartLine, Case,
                             Category, Chat, Contact, File, FullCart, Group, GroupMember, HiddenProduct, ImageName,
                             Invitation, Message, Notification, Offer, OlderSystem, Order, OrderGroup, Product,
                             ProductImage, PushDevice, Rule, Sanction, Session, Shop, ShopChat, Someone, Staff,
                             UploadName, User, category, good, goods, later, picture, reported_chat, warning)


@dataclass
class Entry:
    path: dict = field(default_factory=dict)      # parameter: Kind
    body: object = None                           # (world, actor, ids) -> JSON body; None = no body
    upload: object = None                         # (world, actor, ids) -> (files, fields) of a multipart body
    query: object = ""                            # or (world, actor) -> str
    token: object = None                          # (world, actor) -> headers that the route needs
    own: dict = field(default_factory=dict)       # role: status on its own object, where it is not success
    deleted: int = 404                            # of one that was deleted
    sees_all: frozenset = frozenset({"admin"})    # roles for whom nothing is foreign
    public: object = None                         # strangers reach it: True, or the members that they see of it
    signs_in: bool = False                        # Authorization is not read
    signature: bool = False                       # public only for those who bring a signature instead of a token
    offline: bool = False                         # no statement runs, so a dead session is not noticed
    fresh: bool = False                           # uses up its actor
    members: dict = field(default_factory=dict)   # body pointer: Kind, or None where the id is of a public thing
    beside: dict = field(default_factory=dict)    # body pointer: what the other members must be then; None = absent
    aliases: tuple = ()                           # older names of members that are taken too
    operation: str = ""                           # whose shapes it has; its own name or that of an alias if empty


def registration(role):
    def body(_w, _actor, _ids):
        made = {"email": f"bola-{uuid.uuid4()}@plaza.example", "password": PASSWORD, "name": "B"}
        return {**made, "shopName": f"Shop {uuid.uuid4()}"} if role == "seller" else made
    return body


def login(role):
    def body(w, _actor, _ids):
        who = w.actor(role, 9)
        return {"email": who.email, "password": who.password}
    return body


def words(w, a, ids):
    return {"cmid": str(uuid.uuid4()), "body": "words"}


def order_of_goods(w, a, ids):
    return {"items": [{"productId": goods(w), "quantity": 1}], "payment": dict(BUY)}


def guest_cart(w, a, ids):
    return {"cartToken": w.actor("anonymous").post("/api/v1/carts").headers["X-Cart-Token"]}


def asked_for_erasure(w, a):
    """No header: what must have been done before. Who has orders under way cannot ask, and has nothing to see."""
    if a.role != "anonymous":
        w.sql("INSERT INTO erasure (account_id, erase_at) VALUES (%s, now() + interval '9 days') ON CONFLICT DO NOTHING",
              (a.user["id"],))
    return {}


def new_contact(w, a, ids):
    """Whoever may not open conversations names a stranger, and is stopped before."""
    peer = w.users.client().user["id"]
    a.post("/api/v1/chats", {"peerId": peer})
    return {"userIds": [peer]}


def chat_of_shop(w, seller):
    """A conversation of a seller's shop with a client."""
    if seller.role != "seller":
        return str(uuid.uuid4())
    return good(w.users.client().post("/api/v1/chats", {"sellerId": seller.user["shopId"]}))["id"]


def order_of_pictures(w, a, ids):
    product = ids["id"].replace("\0", "")  # the fuzzer's
    return {"ids": [i for (i,) in w.sql("SELECT file_id::text FROM product_image WHERE product_id::text = %s", (product,))]}


def username(_w, _a, _ids):
    return {"username": "u." + uuid.uuid4().hex[:10]}


def registration_by_username(w, a, ids):
    return {**username(w, a, ids), "email": f"bola-{uuid.uuid4()}@plaza.example", "password": PASSWORD}


def old_words(w, a, ids):
    r = a.post("/api/v1/chats", {"peerId": w.actor("client", 5).user["id"]})
    return {"conversationId": r.json["id"] if r.status < 300 else str(uuid.uuid4()), "content": "words"}


def somebody(w):
    return w.actor("client", 6).user["id"]


def suspended(w, _actor, _ids):
    """Somebody new: an appeal is made once."""
    who, judge = w.users.client(), w.actor("moderator", 8)
    case = f"/api/v1/users/{who.user['id']}/report"
    queue = "/api/v1/admin/moderation/reports/" + w.actor("client", 7).post(case, {"reason": "spam"}).json["id"]
    assert judge.post(queue + "/claim").status == 200
    assert judge.post(queue + "/resolve", {"action": "suspend", "note": "No"}).status == 200
    return {"email": who.email, "password": who.password, "body": "No"}
    try:
        product_id = str(uuid.UUID(ids["id"]))
    except ValueError:  # names that are no ids come here too, of characters that a database does not take
        return {"ids": []}
    return {"ids": [i for (i,) in w.sql("SELECT file_id::text FROM product_image WHERE product_id = %s", (product_id,))]}


NOBODY = frozenset()
NO_SHOP = {"client": 404, "admin": 404, "moderator": 404}
WHOM = {"/userId": None, "/senderId": None, "/recipientId": None}  # the caller and the other, or a refusal
STEP = {"reason": "because"}
PUBLIC_USER = {"id", "username", "name", "role", "avatarUrl", "shopId", "createdAt"}
SYSTEM = Entry(offline=True)

TABLE = {
    "health": SYSTEM, "healthLive": SYSTEM, "healthReady": SYSTEM, "root": SYSTEM, "info": SYSTEM, "openapi": SYSTEM,
    "metrics": SYSTEM, "jwks": SYSTEM, "openapiOf": Entry(path={"system": OlderSystem()}, offline=True, public=True),

    "authRegister": Entry(body=registration("client"), signs_in=True),
    "authRegisterSeller": Entry(body=registration("seller"), signs_in=True, operation="authRegister"),
    "authLogin": Entry(body=login("client"), signs_in=True),
    "authLoginSeller": Entry(body=login("seller"), signs_in=True, operation="authLogin"),
    "authLoginAdmin": Entry(body=login("admin"), signs_in=True, operation="authLogin"),
    "authChangePassword": Entry(body=lambda w, a, ids: {"currentPassword": a.password,
                                                        "newPassword": a.password + " x"}, fresh=True),
    "authRefresh": Entry(body=lambda w, a, ids: {"refreshToken": w.fresh("client").refresh_token}, signs_in=True),
    "authLogout": Entry(fresh=True),
    "authLogoutAll": Entry(fresh=True),
    "authMe": Entry(),
    "authSessions": Entry(),
    "authSessionEnd": Entry(path={"id": Session()}, sees_all=frozenset()),
    "authValidateOwn": Entry(signs_in=True),
    "authValidate": Entry(body=lambda w, a, ids: {"token": w.actor("client").token}),

    "userGet": Entry(path={"id": User()}, public=PUBLIC_USER),
    "userPut": Entry(path={"id": User()}, body=lambda w, a, ids: {"name": "Renamed"}),
    "userBlock": Entry(path={"id": Someone()}),
    "userUnblock": Entry(path={"id": Someone()}),
    "userReport": Entry(path={"id": Someone()}, body=lambda w, a, ids: {"reason": "spam"}, members={"/chatId": Chat()},
                        sees_all=NOBODY),
    "blockList": Entry(),

    "categoryList": Entry(), "productList": Entry(), "search": Entry(query="?q=thing"),
    "searchSuggest": Entry(query="?q=thi"),
    "categoryGet": Entry(path={"id": Category()}, public=True),
    "categoryCreate": Entry(body=lambda w, a, ids: {"name": f"C {uuid.uuid4()}"}, members={"/parentId": None},
                            aliases=("photo",)),
    "categoryPut": Entry(path={"id": Category()}, body=lambda w, a, ids: {"description": "d"}, public=True,
                         members={"/parentId": None}, aliases=("photo",)),
    "categoryDelete": Entry(path={"id": Category()}, public=True),
    "productGet": Entry(path={"id": Product()}, public=True),
    "productCreate": Entry(body=lambda w, a, ids: {"categoryId": category(w), "title": "T", "price": {"amount": 1}},
                           members={"/categoryId": None}, aliases=("id_category", "product_name", "quantity")),
    "productPut": Entry(path={"id": Product()}, body=lambda w, a, ids: {"title": "New title"},
                        members={"/categoryId": None}, aliases=("id_category", "product_name")),
    "productDelete": Entry(path={"id": Product()}),
    "stockGet": Entry(path={"id": Product()}),
    "stockPut": Entry(path={"id": Product()}, body=lambda w, a, ids: {"stock": 5}, aliases=("quantity",)),
    "stockAdd": Entry(path={"id": Product()}, body=lambda w, a, ids: {"delta": 1}),

    "cartList": Entry(), "cartOpen": Entry(),
    "cartGet": Entry(path={"id": Cart()}),
    "cartDelete": Entry(path={"id": Cart()}, sees_all=NOBODY),
    "cartEmpty": Entry(path={"id": Cart()}, sees_all=NOBODY),
    "cartItemAdd": Entry(path={"id": Cart()}, body=lambda w, a, ids: {"productId": goods(w), "quantity": 1},
                         members={"/productId": HiddenProduct()}, aliases=("product_id",), sees_all=NOBODY),
    "cartItemSet": Entry(path={"id": Cart(), "productId": CartLine()}, body=lambda w, a, ids: {"quantity": 2},
                         sees_all=NOBODY),
    "cartItemRemove": Entry(path={"id": Cart(), "productId": CartLine()}, sees_all=NOBODY),
    "cartMerge": Entry(path={"id": Cart()}, body=guest_cart, sees_all=NOBODY),
    "cartCheckout": Entry(path={"id": FullCart()}, body=lambda w, a, ids: {"payment": dict(BUY)}, sees_all=NOBODY),

    "orderCreate": Entry(body=order_of_goods, members={"/cartId": FullCart(), "/items/[]/productId": HiddenProduct()},
                         beside={"/cartId": {"items": None}}, aliases=("product_id",), sees_all=NOBODY),
    "orderList": Entry(), "orderListMine": Entry(operation="orderList"), "orderListSold": Entry(operation="orderList"),
    "orderGet": Entry(path={"id": Order()}),
    "orderHistory": Entry(path={"id": Order()}),
    "orderCancel": Entry(path={"id": Order()}, body=lambda w, a, ids: dict(STEP)),
    # An administrator's own order is a purchase, and a buyer has no part in these two.
    "orderConfirm": Entry(path={"id": Order()}, own={"admin": 409}),
    "orderMarkDelivered": Entry(path={"id": Order("confirmed")}, own={"admin": 409}),
    "orderDelivery": Entry(path={"id": Order("confirmed")}, body=lambda w, a, ids: {"state": "assigned"},
                           own={"admin": 409}),
    "orderComplete": Entry(path={"id": Order("delivered")}, own={"seller": 409}),
    "orderGroupGet": Entry(path={"id": OrderGroup()}),

    "chatList": Entry(), "chatUnread": Entry(),
    "chatOpen": Entry(body=lambda w, a, ids: {"peerId": w.actor("client", 6).user["id"]}, sees_all=NOBODY,
                      members={"/peerId": None, "/sellerId": None, "/productId": HiddenProduct(), "/memberIds/[]": Someone()},
                      beside={"/productId": {"peerId": None}, "/memberIds/[]": {"peerId": None, "title": "Group"}}),
    "chatGet": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "chatHide": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "chatRead": Entry(path={"id": Chat()}, body=lambda w, a, ids: {"seq": 1}, sees_all=NOBODY),
    "chatDelivered": Entry(path={"id": Chat()}, body=lambda w, a, ids: {"seq": 1}, sees_all=NOBODY),
    "chatTyping": Entry(path={"id": Chat()}, body=lambda w, a, ids: {"on": True}, sees_all=NOBODY),
    "chatMute": Entry(path={"id": Chat()}, body=lambda w, a, ids: {"on": True}, sees_all=NOBODY),
    "chatArchive": Entry(path={"id": Chat()}, body=lambda w, a, ids: {"on": True}, sees_all=NOBODY),
    "messageList": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "messageSend": Entry(path={"id": Chat()}, body=words, aliases=("content", "attachments"), sees_all=NOBODY,
                         members={"/cmid": None, "/fileIds/[]": File(), "/productId": HiddenProduct()},
                         beside={"/fileIds/[]": {"type": "file"}, "/productId": {"type": "card"}}),
    "messageEdit": Entry(path={"id": Chat(), "mid": Message()}, body=lambda w, a, ids: {"body": "other words"},
                         aliases=("content",), sees_all=NOBODY),
    # Removing it once more is the same wish, and changes nothing.
    "messageDelete": Entry(path={"id": Chat(), "mid": Message()}, deleted=204, sees_all=NOBODY),

    "messageSearch": Entry(query="?q=word"),
    "messageReact": Entry(path={"id": Chat(), "mid": Message()}, body=lambda w, a, ids: {"emoji": "👍"}, sees_all=NOBODY),
    "offerAnswer": Entry(path={"id": ShopChat(), "mid": Offer()}, body=lambda w, a, ids: {"action": "accept"},
                         sees_all=NOBODY),
    "chatRename": Entry(path={"id": Group()}, body=lambda w, a, ids: {"title": "Other"}, sees_all=NOBODY),
    "participantList": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "participantAdd": Entry(path={"id": Group()}, body=new_contact,
                            members={"/userIds/[]": Someone()}, sees_all=NOBODY),
    "participantRole": Entry(path={"id": Group(), "uid": GroupMember()}, body=lambda w, a, ids: {"role": "admin"},
                             sees_all=NOBODY),
    "participantRemove": Entry(path={"id": Group(), "uid": GroupMember()}, sees_all=NOBODY),
    "shopStaff": Entry(path={"id": Shop()}, sees_all=NOBODY),
    "shopInvite": Entry(path={"id": Shop()}, body=lambda w, a, ids: {"userId": w.users.client().user["id"]},
                        members={"/userId": None}, sees_all=NOBODY),
    "shopAccept": Entry(path={"id": Invitation()}, sees_all=NOBODY, fresh=True),
    "shopLeave": Entry(path={"id": Shop(), "uid": Staff()}, sees_all=NOBODY),
    "cannedList": Entry(own=NO_SHOP),
    "cannedCreate": Entry(body=lambda w, a, ids: {"title": f"T {uuid.uuid4()}", "body": "Hello"}, own=NO_SHOP),
    "cannedUpdate": Entry(path={"id": CannedReply()}, body=lambda w, a, ids: {"title": f"T {uuid.uuid4()}", "body": "Hi"},
                          sees_all=NOBODY),
    "cannedDelete": Entry(path={"id": CannedReply()}, sees_all=NOBODY),
    "cannedText": Entry(path={"id": CannedReply()}, query=lambda w, a: f"?chatId={chat_of_shop(w, a)}", sees_all=NOBODY),
    "sharingGet": Entry(), "sharingUpdate": Entry(body=lambda w, a, ids: {"typing": True}),

    "chatExport": Entry(path={"id": AnyChat()}, query="?reason=by+order"),
    "retentionGet": Entry(), "retentionUpdate": Entry(body=lambda w, a, ids: {"group": 365}),
    "erasureAsk": Entry(body=lambda w, a, ids: {"password": a.password}, fresh=True),
    "erasureGet": Entry(token=asked_for_erasure), "erasureCancel": Entry(token=asked_for_erasure),

    "imageGet": Entry(path={"name": ImageName()}, public=True, offline=True),
    "productImageAdd": Entry(path={"id": Product()}, upload=lambda w, a, ids: ([picture()], {})),
    "productImageRemove": Entry(path={"id": Product(), "imageId": ProductImage()}),
    "productImageOrder": Entry(path={"id": Product()}, body=order_of_pictures, members={"/ids/[]": None}),
    "fileUpload": Entry(upload=lambda w, a, ids: ([("file", "a.pdf", "application/pdf", PDF)], {})),
    "fileGet": Entry(path={"id": File()}, signature=True, sees_all=NOBODY),
    "fileLink": Entry(path={"id": File()}, sees_all=NOBODY),
    "fileDelete": Entry(path={"id": File()}, sees_all=NOBODY),

    "notificationList": Entry(), "notificationUnread": Entry(),
    "notificationRead": Entry(path={"id": Notification()}, sees_all=NOBODY),
    "notificationReadAll": Entry(body=lambda w, a, ids: {}, members={"/upTo": Notification()}, sees_all=NOBODY),
    "notificationDelete": Entry(path={"id": Notification()}, sees_all=NOBODY),
    "notificationClear": Entry(sees_all=NOBODY),
    "preferencesGet": Entry(),
    "preferencesPut": Entry(body=lambda w, a, ids: {"preview": True, "types": [{"type": "order.paid", "push": True}]}),
    "pushKey": Entry(offline=True),
    "deviceList": Entry(),
    "devicePut": Entry(body=lambda w, a, ids: subscription()),
    "deviceDelete": Entry(path={"id": PushDevice()}, sees_all=NOBODY),
    "sync": Entry(query="?since=0"),
    "presenceOnline": Entry(), "presenceGet": Entry(path={"userId": Contact()}, sees_all=NOBODY),
    "notificationSend": Entry(body=lambda w, a, ids: {"userId": w.actor("client", 6).user["id"], "type": "promotion", "title": "T"},
                              members={"/userId": None}),
    "platformStats": Entry(), "shopStats": Entry(),
    "connectionList": Entry(), "connectionCounts": Entry(),
    "broadcastList": Entry(), "broadcastDelete": Entry(path={"id": Broadcast()}),
    "broadcastCreate": Entry(body=lambda w, a, ids: {"text": "T", "until": later()}),
    "caseList": Entry(),
    "caseOpen": Entry(path={"id": Case()}),
    "caseClaim": Entry(path={"id": Case(claim=False)}),
    "caseRelease": Entry(path={"id": Case()}),
    "caseResolve": Entry(path={"id": Case()}, body=lambda w, a, ids: {"action": "warn", "note": "No"},
                         members={"/reportId": Case()}),
    # Without a case only an administrator, who says why, is let in.
    "caseMessages": Entry(query=reported_chat),
    "blockedList": Entry(),
    "blocksOf": Entry(path={"id": Blocked()}),
    "filterList": Entry(),
    "filterCreate": Entry(body=lambda w, a, ids: {"kind": "word", "pattern": f"w {uuid.uuid4()}", "action": "flag"}),
    "filterPatch": Entry(path={"id": Rule()}, body=lambda w, a, ids: {"action": "mask"}),
    "filterDelete": Entry(path={"id": Rule()}),
    "sanctionList": Entry(),
    "appealCreate": Entry(body=lambda w, a, ids: {"sanctionId": warning(w, w.actor("moderator", 8), a), "body": "No"},
                          members={"/sanctionId": Sanction()}, sees_all=NOBODY),
    "appealOfSuspended": Entry(body=suspended, signs_in=True),
    "appealList": Entry(),
    "appealDecide": Entry(path={"id": Appeal()}, body=lambda w, a, ids: {"outcome": "uphold", "note": "No"}),
    "auditList": Entry(), "auditVerify": Entry(),
    "auditGet": Entry(path={"id": AuditRow()}),
    "realtimeSession": Entry(body=lambda w, a, ids: {"device": "test"}),

    "livemarketRegister": Entry(body=registration_by_username, signs_in=True),
    "livemarketLogin": Entry(body=login("client"), signs_in=True),
    "livemarketUser": Entry(path={"id": User()}, public=PUBLIC_USER | {"status"}),
    "livemarketUserPut": Entry(path={"id": User()}, body=username),
    "livemarketBlock": Entry(path={"id": Someone()}),
    "livemarketReport": Entry(path={"id": Someone()}, body=lambda w, a, ids: {"reason": "rude"},
                              members={"/chatId": Chat()}, sees_all=NOBODY),
    "livemarketChats": Entry(),
    "livemarketChatOpen": Entry(body=lambda w, a, ids: {"to": somebody(w)}, members={"/to": None, "/productId": HiddenProduct()},
                                beside={"/productId": {"to": None}}, aliases=("peerId",), sees_all=NOBODY),
    "livemarketChatHide": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "livemarketMessages": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "livemarketSend": Entry(path={"id": Chat()}, body=lambda w, a, ids: {"content": "words"},
                            members={"/senderId": None, "/chatId": None}, sees_all=NOBODY),
    "livemarketEdit": Entry(path={"id": Chat(), "mid": Message()}, body=lambda w, a, ids: {"content": "other words"},
                            aliases=("body",), sees_all=NOBODY),
    "livemarketMessageDelete": Entry(path={"id": Chat(), "mid": Message()}, deleted=200, sees_all=NOBODY),
    "livemarketFile": Entry(upload=lambda w, a, ids: ([("file", "a.pdf", "application/pdf", PDF)], {})),
    "livemarketFileDelete": Entry(path={"id": File()}, sees_all=NOBODY),

    "ecommerceSignup": Entry(body=registration("client"), signs_in=True),
    "ecommerceLogin": Entry(body=login("client"), signs_in=True),
    "ecommerceStart": Entry(body=lambda w, a, ids: {"participantIds": [somebody(w)]}, sees_all=NOBODY,
                            members={"/participantIds/[]": None, "/productId": HiddenProduct()}),
    "ecommerceConversations": Entry(),
    "ecommerceConversation": Entry(path={"id": Chat()}, sees_all=NOBODY),
    "ecommerceRead": Entry(path={"id": Chat()}, body=lambda w, a, ids: {}, members=WHOM, sees_all=NOBODY),
    "ecommerceTyping": Entry(path={"id": Chat()}, body=lambda w, a, ids: {}, members=WHOM, sees_all=NOBODY),
    "ecommerceStopTyping": Entry(path={"id": Chat()}, body=lambda w, a, ids: {}, members=WHOM, sees_all=NOBODY),
    "ecommerceSend": Entry(body=old_words, sees_all=NOBODY,
                           members={"/conversationId": Chat(), "/senderId": None, "/recipientId": None}),
    "ecommerceMessages": Entry(path={"conversationId": Chat()}, sees_all=NOBODY),
    "ecommerceOnline": Entry(), "ecommerceNotifications": Entry(),
    "ecommerceNotificationRead": Entry(path={"id": Notification()}, sees_all=NOBODY),
    "ecommerceUpload": Entry(upload=lambda w, a, ids: ([("file", "a.pdf", "application/pdf", PDF)], {})),
    "ecommerceUploads": Entry(upload=lambda w, a, ids: ([("files", "a.pdf", "application/pdf", PDF)], {})),
    "ecommerceUploadGet": Entry(path={"name": UploadName()}, signature=True, sees_all=NOBODY),
}
# The same request under another name.
ALIASES = {
    "authSignup": "authRegister", "authRegisterClient": "authRegister", "authLoginClient": "authLogin",
    "authVerify": "authMe", "userPatch": "userPut", "categoryPatch": "categoryPut", "productPatch": "productPut",
    "cartGetWithProducts": "cartGet", "chatReadPut": "chatRead", "messageEditPut": "messageEdit", "chatSync": "sync",
    "realtimeToken": "realtimeSession", "notify": "notificationSend",
}


def entry_of(name):
    return TABLE.get(ALIASES.get(name, name))


def operation_of(name):
    return entry_of(name).operation or ALIASES.get(name, name)
