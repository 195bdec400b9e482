// Plaza for applications: signs in, keeps the state of one user up to date and sends what the user does. Events come
// over MQTT; where there is none, GET /sync is asked every few seconds and everything works but more slowly.
//
//	import mqtt from "mqtt";
//	import { Plaza } from "plaza-client";
//	const plaza = new Plaza({ url: "https://shop.example", mqtt, storage: localStorage });
//	await plaza.signIn("ana@plaza.example", "…");
//	plaza.on("change", () => draw(plaza.store.chatList()));
//	await plaza.start();
import { Emitter, Pause, TIMING, asStorage, jitter } from "./lib/base.js";
import { Link } from "./lib/link.js";
import { Outbox } from "./lib/outbox.js";
import { PlazaError, Rest } from "./lib/rest.js";
import { Presence, Receipts, Typing } from "./lib/signals.js";
import { CART, ORDER, Store } from "./lib/store.js";

export { PlazaError } from "./lib/rest.js";
export { memoryStorage } from "./lib/base.js";

const SNAPSHOT_PAGES = 5; // conversations beyond these are read when something happens in them
const ORDER_PAGES = 2;
const NOTIFICATIONS = 50;
const BUFFER_MAX = 1000;
const POLL_GROWTH = 1.5;
const PRESENCE_POLLS = 3; // presence is asked for with every third poll
const REVOKED_PAUSE_S = 1.1; // a token of the very second of the revocation counts as older
const TEMPORARY = { "rate-limited": 429, unavailable: 503, internal: 500 };

export class Plaza extends Emitter {
	#place = null; // { us, epoch }
	#started = false;
	#starting = null;
	#buffer = new Map(); // us -> event, while something before it is missing
	#syncing = null;
	#again = false;
	#freshening = null;
	#saving = null;
	#poll = new Pause();
	#polling = null;
	#pollEvery = 0;
	#reachable = true;
	#mode = "auto";
	#status = "stopped";
	#greeting;
	#gap = null;
	#syncTimer;
	#offGlobals = () => {};
	#leave = null; // gives up our turn, or waiting for it

	/**
	 * url: of the site; mqtt: the module MQTT.js, without it everything goes by polling; storage: where tokens, the place
	 * in the feed and unsent messages stay; name: tells two users of one storage apart; app, device: for the server's log;
	 * chooseUrl(urls, turn): one address of the broker, `turn` counts those that failed; fetch, language, timing: instead of the usual ones.
	 */
	constructor({ url, mqtt = null, storage, name = "plaza", app, device, chooseUrl, fetch, language, timing }) {
		super();
		this.timing = { ...TIMING, ...timing };
		this.storage = asStorage(storage);
		this.name = name;
		this.app = app;
		this.rest = new Rest({ url, storage: this.storage, key: name, fetch, language, timing: this.timing });
		this.rest.on("signedout", (error) => this.#signedOut(error));
		this.store = new Store({
			typingLife: this.timing.typingLife,
			outbox: (chatId) => this.outbox?.list(chatId) ?? [],
		});
		this.store.on("change", (topics) => this.emit("change", topics));
		this.store.on("stale", () => this.#freshen());
		this.link =
			mqtt &&
			new Link({ mqtt, session: () => this.rest.session(device), choose: chooseUrl, timing: this.timing });
		this.link?.on("ready", (session) => this.#linkReady(session));
		this.link?.on("down", () => this.#linkDown());
		this.link?.on("failed", (error) => this.emit("trouble", error));
		this.link?.on("event", (event) => this.#arrived(event));
		const publish = (verb, d, id) => this.#mode === "auto" && Boolean(this.link?.publish(verb, d, id));
		this.publish = publish;
		this.presence = new Presence({ publish, place: () => this.place, timing: this.timing });
		this.receipts = new Receipts({
			timing: this.timing,
			send: (kind, chatId, seq) => this.#say(kind, { chatId, seq }, () => this.rest[kind](chatId, seq)),
		});
		this.typist = new Typing({
			timing: this.timing,
			send: (chatId, on, kind) =>
				this.#say("typing", { chatId, on, kind }, () => this.rest.typing(chatId, on, kind)),
		});
		this.outbox = null;
	}

	// ---- who ----

	async signIn(email, password, device) {
		await this.stop();
		return this.rest.signIn(email, password, device);
	}

	async register(person) {
		await this.stop();
		return this.rest.register(person);
	}

	/** Whether somebody is signed in from the last time. */
	resume() {
		return this.rest.load();
	}

	async signOut() {
		const { me } = this.store;
		await this.stop();
		await this.rest.signOut();
		this.outbox?.drop();
		this.outbox = null;
		if (me)
			await Promise.all(["place", "outbox"].map((what) => this.storage.remove(`${this.name}.${me.id}.${what}`)));
		this.store.clear();
	}

	get me() {
		return this.store.me;
	}

	/** live (MQTT), polling, offline or stopped. */
	get status() {
		return this.#status;
	}

	/** The last event that was applied, and its epoch. */
	get place() {
		return this.#place && { ...this.#place };
	}

	// ---- life ----

	/** Loads the state and keeps it up to date until stop(). */
	async start() {
		if (this.#started) return;
		this.#starting ??= this.#start();
		try {
			await this.#starting;
		} finally {
			this.#starting = null;
		}
	}

	async #start() {
		const me = await this.rest.me();
		const key = `${this.name}.${me.id}`;
		await this.#openOutbox(`${key}.outbox`);
		this.#place = await this.#storedPlace(key);
		if (!this.#place) {
			const stand = await this.rest.sync();
			this.#place = { us: stand.to, epoch: stand.epoch };
		}
		await this.#load(me);
		this.#started = true;
		this.#savePlace();
		this.#listen();
		this.#reachable = true;
		this.outbox.start();
		this.#timeSync();
		if (this.#mode === "auto") this.#startLink();
		this.#pollWhileNeeded();
		this.#tellStatus();
	}

	/** What was promised before a pause is kept after it. */
	async #openOutbox(key) {
		if (this.outbox?.key === key) return;
		this.outbox = new Outbox({
			storage: this.storage,
			key,
			timing: this.timing,
			changed: () => this.store.touch("outbox"),
			publish: (e) => this.publish("send", { chatId: e.chatId, ...e.d }, e.cmid),
			post: (e) => this.#post(e),
		});
		await this.outbox.load();
	}

	async stop() {
		await this.#starting?.catch(() => {});
		if (!this.#started) return;
		this.#savePlace();
		this.#started = false;
		this.#offGlobals();
		clearTimeout(this.#syncTimer);
		clearTimeout(this.#greeting);
		clearTimeout(this.#gap);
		this.#gap = null;
		this.#poll.wake();
		this.outbox.stop();
		this.receipts.stop();
		this.typist.stopAll();
		this.presence.stop();
		this.store.stop();
		this.publish("bye", {});
		this.#stopLink();
		this.#buffer.clear();
		await Promise.all([this.#saving, this.outbox.kept()]);
		this.#tellStatus();
	}

	/** "auto"; "poll" leaves MQTT alone; "off" is no network at all, for trying things out. */
	network(mode) {
		this.#mode = mode;
		this.rest.cut = mode === "off";
		this.#reachable = mode !== "off";
		if (mode !== "auto") this.#stopLink();
		if (this.#started && mode !== "off") {
			if (mode === "auto") this.#startLink();
			this.outbox.wake();
			this.#sync().catch(() => {});
			this.#pollWhileNeeded();
		}
		this.#tellStatus();
	}

	/** The application came to the foreground, or left it; browsers are watched already. */
	foreground(on, idle) {
		this.presence.here(on, idle);
		if (on) this.wake();
	}

	/** The network is back, or a push message was tapped: look at once. */
	wake() {
		if (!this.#started) return;
		this.link?.wake();
		this.outbox.wake();
		this.#sync().catch(() => {});
	}

	/** Ends when everything that was told until now is applied. */
	async settled() {
		await this.#sync();
		await this.#freshening;
	}

	#listen() {
		const { document: page } = globalThis;
		if (!page || !globalThis.addEventListener) return;
		const listeners = [
			[page, "visibilitychange", () => this.foreground(page.visibilityState === "visible")],
			[globalThis, "online", () => this.wake()],
			// A page that the browser puts aside must not keep others from the connection.
			[globalThis, "pagehide", () => this.#stopLink()],
			[globalThis, "pageshow", () => this.network(this.#mode)],
		];
		for (const [target, type, listener] of listeners) target.addEventListener(type, listener);
		this.#offGlobals = () => {
			for (const [target, type, listener] of listeners) target.removeEventListener(type, listener);
		};
	}

	#tellStatus() {
		const status = !this.#started ? "stopped" : !this.#reachable ? "offline" : this.link?.up ? "live" : "polling";
		if (status === this.#status) return;
		this.#status = status;
		this.emit("status", status);
		this.store.touch("status");
	}

	async #signedOut(error) {
		await this.stop();
		this.emit("signedout", error);
	}

	// ---- the connection ----

	/**
	 * A session has one connection; a second one would end the first. Tabs that share a session take turns: one is
	 * live, the others poll until it is gone.
	 */
	#startLink() {
		if (!this.link || this.#leave) return;
		const locks = globalThis.navigator?.locks;
		if (!locks) {
			this.link.start();
			return;
		}
		const turn = new AbortController();
		const gone = new Promise((resolve) => {
			this.#leave = () => {
				this.#leave = null;
				turn.abort();
				resolve();
			};
		});
		const hold = () => {
			this.link.start();
			return gone;
		};
		const name = `${this.name}.link.${this.rest.tokens.sessionId}`;
		// It fails when we no longer wait for our turn.
		locks.request(name, { signal: turn.signal }, hold).catch(() => {});
	}

	#stopLink() {
		this.link?.stop();
		this.#leave?.();
	}

	#linkReady() {
		this.#reachable = true;
		this.publish("hello", { app: this.app, lastUs: this.#place.us, epoch: this.#place.epoch });
		this.presence.start();
		this.receipts.again();
		this.outbox.wake();
		this.#poll.wake();
		this.#tellStatus();
		// Subscribed first, then asked where the feed stands: who missed nothing need not read it.
		clearTimeout(this.#greeting);
		this.#greeting = setTimeout(() => this.#sync().catch(() => {}), jitter(this.timing.greeting, 0.4) * 1000);
	}

	#linkDown() {
		clearTimeout(this.#greeting);
		this.presence.stop();
		this.#tellStatus();
		this.#pollWhileNeeded();
	}

	async #revoked(reason) {
		this.emit("revoked", reason);
		this.#stopLink();
		try {
			await this.rest.refresh();
			await new Pause().sleep(REVOKED_PAUSE_S);
			if (this.#started && this.#mode === "auto") this.#startLink();
		} catch (error) {
			// Refused: the user was told by "signedout". Else the polls find out.
			this.emit("trouble", error);
			this.#pollWhileNeeded();
		}
	}

	#say(verb, d, instead) {
		if (!this.publish(verb, d)) instead().catch((error) => this.emit("trouble", error));
	}

	async #post(entry) {
		const message = await this.rest.sendMessage(entry.chatId, { ...entry.d, cmid: entry.cmid });
		this.store.putMessages(entry.chatId, [message]);
		if (!this.link?.ready) this.#sync().catch(() => {});
		return message;
	}

	// ---- polling ----

	/** One loop, for as long as there is no connection. */
	#pollWhileNeeded() {
		this.#pollEvery = this.timing.pollLeast;
		this.#polling ??= this.#pollLoop().finally(() => {
			this.#polling = null;
		});
	}

	async #pollLoop() {
		for (let n = 0; this.#started && !this.link?.up; n++) {
			await this.#poll.sleep(this.#pollEvery);
			if (!this.#started || this.link?.up) break;
			const { us } = this.#place;
			try {
				await this.#sync();
				if (n % PRESENCE_POLLS === 0 && this.presence.watched.length > 0) await this.#pollPresence();
			} catch (error) {
				this.emit("trouble", error);
			}
			const quiet = this.#place.us === us;
			this.#pollEvery = quiet
				? Math.min(this.#pollEvery * POLL_GROWTH, this.timing.pollMost)
				: this.timing.pollLeast;
		}
	}

	async #pollPresence() {
		const states = new Map((await this.rest.online()).items.map((p) => [p.userId, p.state]));
		for (const userId of this.presence.watched)
			this.store.apply({ t: "user:status", d: { userId, state: states.get(userId) ?? "offline" } });
	}

	#timeSync() {
		clearTimeout(this.#syncTimer);
		this.#syncTimer = setTimeout(
			() => {
				this.#timeSync();
				this.#sync().catch(() => {});
			},
			jitter(this.timing.sync, 0.1) * 1000,
		);
	}

	// ---- the feed ----

	#arrived(event) {
		if (!this.#started) return;
		if (event.us === undefined) {
			this.#device(event);
			this.store.apply(event);
			this.#emitEvent(event);
			return;
		}
		if (event.ep === this.#place.epoch && event.us <= this.#place.us) return;
		if (event.ep === this.#place.epoch && event.us === this.#place.us + 1 && !this.#syncing) {
			this.#apply(event);
			this.#drain();
			this.#savePlace();
			return;
		}
		if (event.ep !== this.#place.epoch) {
			this.#sync().catch(() => {});
			return;
		}
		if (this.#buffer.size < BUFFER_MAX) this.#buffer.set(event.us, event);
		// What is missing may be on its way: two servers tell at the same time.
		this.#gap ??= setTimeout(() => {
			this.#gap = null;
			if (this.#buffer.size > 0) this.#sync().catch(() => {});
		}, this.timing.gap * 1000);
	}

	/** Answers to this device. */
	#device({ t, d }) {
		if (t === "message:error") {
			const error = new PlazaError(d.code, { status: TEMPORARY[d.code] ?? 400, ...d });
			if (!this.outbox.refuse(d.ref, error)) this.emit("trouble", error);
		} else if (t === "message:repeated") {
			this.store.putMessages(d.chatId, [d]);
			this.outbox.settle(d.ref, d);
		} else if (t === "session:resumed" || t === "feed:ahead") {
			clearTimeout(this.#greeting);
			if (d.epoch !== this.#place.epoch || (d.to ?? d.us) > this.#place.us) this.#sync().catch(() => {});
		} else if (t === "session:revoked") {
			this.#revoked(d.reason);
		}
	}

	#apply(event) {
		this.#place.us = event.us;
		this.#buffer.delete(event.us);
		this.store.apply(event);
		const { t, d } = event;
		if (t === "message:sent") this.outbox.settle(d.ref, d);
		else if (t === "message:receive") this.receipts.tell("delivered", d.chatId, d.seq);
		else if (t === "message:read" && d.userId === this.me.id) this.receipts.confirmed("read", d.chatId, d.seq);
		this.#emitEvent(event);
	}

	#emitEvent(event) {
		this.emit("event", event);
		this.emit(event.t, event.d, event);
	}

	#drain() {
		for (const us of this.#buffer.keys()) {
			if (us <= this.#place.us) this.#buffer.delete(us);
		}
		for (let next; (next = this.#buffer.get(this.#place.us + 1));) this.#apply(next);
	}

	/** One at a time; who asks while one runs gets another one behind it. */
	#sync() {
		if (!this.#started) return Promise.resolve();
		this.#again = true;
		this.#syncing ??= this.#syncAll();
		return this.#syncing;
	}

	async #syncAll() {
		try {
			while (this.#again && this.#started) {
				this.#again = false;
				while (await this.#syncPage()); // there is more
				this.#drain();
			}
			if (!this.#reachable) this.receipts.again();
			this.#reachable = true;
		} catch (error) {
			this.#reachable = error.code !== "network";
			throw error;
		} finally {
			this.#syncing = null;
			this.#savePlace();
			this.#tellStatus();
			this.#freshen();
		}
	}

	async #syncPage() {
		const place = this.#place;
		const page = await this.rest.sync(place);
		// Somebody else may have signed in meanwhile.
		if (!this.#started || this.#place !== place) return false;
		if (page.reset) {
			this.#place = { us: page.to, epoch: page.epoch };
			this.#buffer.clear();
			await this.#load(this.me);
			this.emit("reload");
			return false;
		}
		for (const event of page.events) {
			if (event.us > this.#place.us) this.#apply(event);
		}
		this.#place.us = Math.max(this.#place.us, page.to);
		return page.more;
	}

	/** The state as it is now, at or behind the place: what is told again changes nothing. */
	async #load(me) {
		const [chats, notifications, unread, blocks] = await Promise.all([
			this.rest.chats(SNAPSHOT_PAGES),
			this.rest.notifications({ limit: NOTIFICATIONS }),
			this.rest.unreadNotifications(),
			this.rest.blocks(),
		]);
		this.store.load({
			me,
			chats,
			notifications: notifications.items,
			unread: unread.unread,
			blocks: blocks.items.map((b) => b.id),
		});
		if (this.store.orders) await this.#loadOrders();
		if (this.store.shopping) await this.#loadCart();
	}

	/** The latest of what the user bought, and of what a seller sold. */
	async #loadOrders() {
		this.store.keepOrders();
		const lists = [this.rest.all("/orders/my-orders", { limit: 100 }, ORDER_PAGES)];
		if (this.me.role === "seller")
			lists.push(this.rest.all("/orders/seller/orders", { limit: 100 }, ORDER_PAGES));
		for (const order of (await Promise.all(lists)).flat()) this.store.putOrder(order);
	}

	async #loadCart() {
		this.store.putCart(await this.rest.cart());
	}

	/** Reads again the conversations, orders and the cart of which an event did not tell enough. */
	#freshen() {
		this.#freshening ??= this.#freshenAll();
		return this.#freshening;
	}

	async #freshenAll() {
		await null; // the events of one packet first
		while (this.#started && this.store.stale.size > 0) {
			const [key] = this.store.stale;
			this.store.stale.delete(key);
			if (!(await this.#freshenOne(key))) {
				this.store.stale.add(key); // with the next sync
				break;
			}
		}
		this.#freshening = null;
	}

	async #freshenOne(key) {
		const order = key.startsWith(ORDER) && key.slice(ORDER.length);
		try {
			if (key === CART) await this.#loadCart();
			else if (order) this.store.putOrder(await this.rest.get(`/orders/${order}`));
			else if (!this.store.putChat(await this.rest.chat(key))) this.store.stale.add(key);
			return true;
		} catch (error) {
			if (error.status !== 404) return false;
			if (order) this.store.dropOrder(order);
			else this.store.dropChat(key);
			return true;
		}
	}

	async #storedPlace(key) {
		this.placeKey = `${key}.place`;
		try {
			const place = JSON.parse(await this.storage.get(this.placeKey));
			return Number.isInteger(place?.us) ? place : null;
		} catch {
			return null;
		}
	}

	/**
	 * Behind what was applied, never ahead of it: after a crash some events come again, which changes nothing.
	 * Nothing is written behind stop(): who signed out is forgotten.
	 */
	#savePlace() {
		if (!this.#started) return;
		this.#saving ??= Promise.resolve().then(() => {
			this.#saving = null;
			return this.storage.set(this.placeKey, JSON.stringify(this.#place));
		});
	}

	// ---- what the user does ----

	/** A promise of the accepted message. It is shown at once and told again until there is an answer. */
	send(chatId, message) {
		this.typist.stop(chatId, true);
		return this.outbox.add(chatId, typeof message === "string" ? { body: message } : message);
	}

	retry(cmid) {
		this.outbox.retry(cmid);
	}

	discard(cmid) {
		this.outbox.discard(cmid);
	}

	/** Everything up to seq is on the screen. */
	read(chatId, seq = this.store.chats.get(chatId)?.lastSeq) {
		if (seq > (this.store.chats.get(chatId)?.readSeq ?? 0)) this.receipts.tell("read", chatId, seq);
	}

	/** Call it at every key; `false` when the text was cleared. */
	typing(chatId, on = true, kind = "text") {
		if (on) this.typist.touch(chatId, kind);
		else this.typist.stop(chatId);
	}

	/** Whose presence is shown, at most 50; replaces those before. */
	watch(userIds) {
		this.presence.watch(userIds);
	}

	/** The page before the oldest message that is here; false when that was the first one. */
	async history(chatId, limit = 50) {
		const before = this.store.lowest(chatId);
		if (before <= this.#beginning(chatId)) return false;
		const page = await this.rest.messages(chatId, { before, limit });
		this.store.putMessages(chatId, page.items);
		return page.nextCursor !== null;
	}

	/** Who joined a group later has no history before that. */
	#beginning(chatId) {
		return (this.store.chats.get(chatId)?.fromSeq ?? 0) + 1;
	}

	/** Loads the user's latest orders; from then on events keep them in `store.orders`. */
	async orders() {
		await this.#loadOrders();
		return this.store.orderList();
	}

	/**
	 * Loads the user's open cart, null without one; from then on `store.cart` is read again when a product in it is not as
	 * it was. What another device puts into it is seen with the next call.
	 */
	async cart() {
		await this.#loadCart();
		return this.store.cart;
	}

	/** The conversation about something: { productId }, { peerId } or { sellerId }. */
	async openChat(about) {
		const chat = await this.rest.openChat(about);
		this.store.putChat(chat);
		return chat;
	}

	/** Only while nobody else has read it. */
	async editMessage(chatId, id, body) {
		this.store.putMessages(chatId, [await this.rest.editMessage(chatId, id, body)]);
	}

	/** `on` false takes it back. */
	async react(chatId, id, emoji, on = true) {
		this.store.putMessages(chatId, [await this.rest.react(chatId, id, emoji, on)]);
	}

	deleteMessage(chatId, id) {
		return this.rest.deleteMessage(chatId, id);
	}
}
