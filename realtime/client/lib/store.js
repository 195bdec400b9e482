// What an application shows: loaded once, from then on changed by events alone. Every event may come twice, and the
// load may already know what the next events tell: applying is idempotent. Where an event does not say enough, the
// conversation is marked stale and read again.
import { Emitter } from "./base.js";

const UNREAD_MAX = 1000; // the server stops counting there
/** Keys of what is stale beside conversations. */
export const ORDER = "order ";
export const CART = "cart";
const COUNTERS = ["lastSeq", "readSeq", "peerReceivedSeq", "peerReadSeq"]; // they only grow

/** Whether `next` says more of the same message than what is there. */
function supersedes(next, had) {
	if (!had) return true;
	if (had.deleted) return false;
	return Boolean(next.deleted) || (next.editNo ?? 0) >= (had.editNo ?? 0);
}

export class Store extends Emitter {
	#changed = null;
	#typingTimers = new Map();

	constructor({ typingLife, outbox }) {
		super();
		this.typingLife = typingLife;
		this.outbox = outbox;
		this.clear();
	}

	clear() {
		this.me = null;
		this.chats = new Map();
		this.known = new Map(); // chatId -> Map seq -> message
		this.notifications = new Map();
		this.unreadNotifications = 0;
		this.blocked = new Set();
		this.presence = new Map();
		this.typing = new Map(); // chatId -> Set of user ids
		this.#forgetShopping();
		this.stale = new Set(); // ids of conversations, ORDER and an id, CART
		this.touch("all");
	}

	#forgetShopping() {
		this.orders = null; // until somebody asks for them
		this.cart = null;
		this.shopping = false; // the cart was asked for
	}

	// ---- loading ----

	load({ me, chats, notifications, unread, blocks }) {
		if (this.me?.id !== me.id) this.#forgetShopping();
		this.me = me;
		this.chats = new Map(chats.map((c) => [c.id, c]));
		this.known = new Map();
		this.notifications = new Map(notifications.map((n) => [n.id, n]));
		this.unreadNotifications = unread;
		this.blocked = new Set(blocks);
		this.stale.clear();
		this.touch("all");
	}

	/** False when events have told more than this answer, which was on its way meanwhile. */
	putChat(chat) {
		const had = this.chats.get(chat.id);
		if (had && COUNTERS.some((name) => had[name] > chat[name])) return false;
		const last = this.known.get(chat.id)?.get(chat.lastSeq);
		const lastMessage = last && supersedes(last, chat.lastMessage) ? last : chat.lastMessage;
		this.chats.set(chat.id, { ...chat, lastMessage });
		this.touch("chats", chat.id);
		return true;
	}

	/** From now on orders are kept; what events tell meanwhile is read behind the list. */
	keepOrders() {
		this.orders ??= new Map();
	}

	/** False when an event has told of a later version than this answer has. */
	putOrder(order) {
		const had = this.orders?.get(order.id);
		if (had && had.version > order.version) return false;
		this.orders?.set(order.id, order);
		this.touch("orders", order.id);
		return true;
	}

	dropOrder(id) {
		this.orders?.delete(id);
		this.touch("orders", id);
	}

	/** null is a user without an open cart. */
	putCart(cart) {
		this.cart = cart;
		this.shopping = true;
		this.touch("cart");
	}

	dropChat(id) {
		this.chats.delete(id);
		this.known.delete(id);
		this.stale.delete(id);
		this.touch("chats", id);
	}

	/** Messages that were read from the history, or the answer to a send. */
	putMessages(chatId, messages) {
		const known = this.#messages(chatId);
		for (const { ref: _, ...m } of messages) {
			if (supersedes(m, known.get(m.seq))) known.set(m.seq, m);
		}
		this.touch("messages", chatId);
	}

	// ---- reading ----

	/** Conversations that are shown, the newest first. */
	chatList() {
		return [...this.chats.values()]
			.filter((c) => !c.hidden)
			.sort((a, b) => b.lastMessageAt.localeCompare(a.lastMessageAt) || b.id.localeCompare(a.id));
	}

	/** Messages of a conversation in order, then those on their way. Each has `status`: read, delivered, sent, received,
	 * pending or failed. */
	messages(chatId) {
		const chat = this.chats.get(chatId);
		const sent = [...(this.known.get(chatId)?.values() ?? [])]
			.sort((a, b) => a.seq - b.seq)
			.map((m) => ({ ...m, status: this.#statusOf(m, chat) }));
		const waiting = this.outbox(chatId).map((e) => ({
			chatId,
			cmid: e.cmid,
			senderId: this.me?.id,
			type: "text",
			body: "",
			...e.d,
			createdAt: e.createdAt,
			status: e.error ? "failed" : "pending",
			error: e.error,
		}));
		return [...sent, ...waiting];
	}

	#statusOf(m, chat) {
		if (m.senderId !== this.me?.id) return "received";
		// A group tells no such places.
		if (m.seq <= (chat?.peerReadSeq ?? 0)) return "read";
		return m.seq <= (chat?.peerReceivedSeq ?? 0) ? "delivered" : "sent";
	}

	/** The lowest seq from which on everything is here. */
	lowest(chatId) {
		const known = this.known.get(chatId);
		let seq = (this.chats.get(chatId)?.lastSeq ?? 0) + 1;
		while (known?.has(seq - 1)) seq -= 1;
		return seq;
	}

	notificationList() {
		return [...this.notifications.values()].sort(
			(a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id),
		);
	}

	/** The newest first; empty until they are asked for. */
	orderList() {
		return [...(this.orders?.values() ?? [])].sort((a, b) => b.id.localeCompare(a.id));
	}

	get unreadMessages() {
		return this.chatList().reduce((sum, c) => sum + (c.muted ? 0 : c.unread), 0);
	}

	/** Everything that a fresh load must agree with, as plain data. */
	snapshot() {
		const byId = (map) => Object.fromEntries([...map].sort(([a], [b]) => a.localeCompare(b)));
		return JSON.parse(
			JSON.stringify({
				chats: byId(new Map(this.chatList().map((c) => [c.id, c]))),
				notifications: byId(this.notifications),
				unreadNotifications: this.unreadNotifications,
				blocked: [...this.blocked].sort(),
				...(this.orders && { orders: byId(this.orders) }),
				...(this.shopping && { cart: this.cart }),
			}),
		);
	}

	// ---- events ----

	/** Told together, a moment later: `topics` names what changed, `all` everything. */
	touch(...topics) {
		if (!this.#changed) {
			this.#changed = new Set();
			queueMicrotask(() => {
				const changed = this.#changed;
				this.#changed = null;
				this.emit("change", changed);
			});
		}
		for (const t of topics) this.#changed.add(t);
	}

	/** A type that is not known here changes nothing: the application sees it as an event. */
	apply({ t, d, ts }) {
		switch (t) {
			case "message:receive":
			case "message:sent":
			case "message:edit":
			case "message:delete":
			case "message:offer":
				return this.#message(t, d);
			case "message:reaction":
				return this.#reaction(d);
			case "message:delivered":
			case "message:read":
				return this.#receipt(t, d);
			case "chat:changed":
				return this.#mustRead(d.chatId);
			case "notification:new":
				return this.#notification(d, ts);
			case "notification:clear":
				return this.#clear(d);
			case "user:block":
				this.blocked[d.on ? "add" : "delete"](d.userId);
				return this.touch("blocked");
			case "user:status":
				this.presence.set(d.userId, { state: d.state, lastSeen: d.lastSeen });
				return this.touch("presence", d.userId);
			case "user:typing":
				return this.#typing(d);
			case "order:created":
				if (this.shopping) this.#mustRead(CART); // it may have been ordered
				return this.#order(d);
			case "order:updated":
			case "order:cancelled":
			case "delivery:updated":
				return this.#order(d);
			case "cart:changed":
				if (this.shopping) this.#mustRead(CART);
				return;
		}
	}

	#messages(chatId) {
		if (!this.known.has(chatId)) this.known.set(chatId, new Map());
		return this.known.get(chatId);
	}

	#mustRead(key) {
		this.stale.add(key);
		this.emit("stale", key);
	}

	/** The event tells less than the document: what is older than it is read again. */
	#order({ orderId, version }) {
		if (!this.orders || this.orders.get(orderId)?.version >= version) return;
		this.#mustRead(ORDER + orderId);
	}

	#message(t, d) {
		this.putMessages(d.chatId, [d]);
		const m = this.known.get(d.chatId).get(d.seq);
		const chat = this.chats.get(d.chatId);
		if (t === "message:receive") this.#typing({ chatId: d.chatId, userId: d.senderId, on: false });
		if (!chat) return this.#mustRead(d.chatId);
		const next = { ...chat };
		if (m.seq > chat.lastSeq) {
			Object.assign(next, { lastSeq: m.seq, lastMessageAt: m.createdAt, hidden: false });
			if (this.#fromOther(chat, m.senderId) && !m.deleted) next.unread = Math.min(UNREAD_MAX, chat.unread + 1);
		}
		if (m.seq === next.lastSeq) next.lastMessage = m;
		this.chats.set(chat.id, next);
		this.touch("chats", chat.id);
		// Whether the number was there before it was counted, only the server knows.
		if (t === "message:delete" && this.#fromOther(chat, m.senderId) && m.seq > chat.readSeq)
			this.#mustRead(chat.id);
	}

	/** The event tells all reactions of the message. One that is not here will come with them. */
	#reaction({ chatId, seq, reactions }) {
		const chat = this.chats.get(chatId);
		const last = chat?.lastMessage?.seq === seq ? chat.lastMessage : null;
		const had = this.known.get(chatId)?.get(seq) ?? last;
		if (!had || had.deleted) return;
		const { reactions: _, ...next } = had;
		if (reactions.length > 0) next.reactions = reactions;
		if (this.known.get(chatId)?.has(seq)) this.known.get(chatId).set(seq, next);
		if (last) this.chats.set(chatId, { ...chat, lastMessage: next });
		this.touch("messages", "chats", chatId);
	}

	/** A shop's staff is one side of a conversation with a buyer; in a group everybody else is the other one. */
	#fromOther(chat, userId) {
		const { buyerId } = chat;
		return buyerId ? (userId === buyerId) !== (this.me.id === buyerId) : userId !== this.me.id;
	}

	#receipt(t, d) {
		const chat = this.chats.get(d.chatId);
		if (!chat) return this.#mustRead(d.chatId);
		const next = { ...chat };
		if (d.userId === this.me.id) {
			if (t !== "message:read") return;
			next.readSeq = Math.max(chat.readSeq, d.seq);
			next.unread = this.#unreadAfter(next);
		} else if (chat.kind !== "group") {
			// In a group the participants are a list of their own.
			next.peerReceivedSeq = Math.max(chat.peerReceivedSeq, d.seq);
			if (t === "message:read") next.peerReadSeq = Math.max(chat.peerReadSeq, d.seq);
		}
		this.chats.set(chat.id, next);
		this.touch("chats", chat.id);
	}

	#unreadAfter(chat) {
		if (chat.readSeq >= chat.lastSeq) return 0;
		if (this.lowest(chat.id) > chat.readSeq + 1) {
			this.#mustRead(chat.id);
			return chat.unread;
		}
		const behind = [...this.known.get(chat.id).values()].filter(
			(m) => m.seq > chat.readSeq && m.seq <= chat.lastSeq,
		);
		return Math.min(UNREAD_MAX, behind.filter((m) => this.#fromOther(chat, m.senderId) && !m.deleted).length);
	}

	#notification({ kind, unread, ...d }, ts) {
		if (!this.notifications.has(d.id))
			this.notifications.set(d.id, { link: null, ...d, type: kind, read: false, createdAt: ts });
		this.unreadNotifications = unread;
		this.touch("notifications");
	}

	#clear(d) {
		// Their ids are in the order of their time.
		const meant = d.ids ?? [...this.notifications.keys()].filter((id) => !d.upTo || id <= d.upTo);
		for (const id of meant) {
			const n = this.notifications.get(id);
			if (n && d.removed) this.notifications.delete(id);
			else if (n) this.notifications.set(id, { ...n, read: true });
		}
		this.unreadNotifications = d.unread;
		this.touch("notifications");
	}

	/** A lost "stopped" cannot stick: it ends by itself. */
	#typing({ chatId, userId, on }) {
		const key = `${chatId} ${userId}`;
		const users = new Set(this.typing.get(chatId));
		clearTimeout(this.#typingTimers.get(key));
		this.#typingTimers.delete(key);
		if (!on && !users.has(userId)) return;
		if (on) {
			users.add(userId);
			this.#typingTimers.set(
				key,
				setTimeout(() => this.#typing({ chatId, userId, on: false }), this.typingLife * 1000),
			);
		} else {
			users.delete(userId);
		}
		this.typing.set(chatId, users);
		this.touch("typing", chatId);
	}

	stop() {
		for (const timer of this.#typingTimers.values()) clearTimeout(timer);
		this.#typingTimers.clear();
	}
}
