// The REST API: tokens that renew themselves, problems as errors, one method per thing that an application does.
import { Emitter, Pause, uuid } from "./base.js";

// A refresh token that comes twice is forgiven for ten seconds: a lost answer may be asked for again within them.
const REFRESH_TRIES = 3;
const REFRESH_TIMEOUT_S = 2.5;
const REFRESH_PAUSE_S = 0.5;
const TOKENS_TRIED = 3; // ours, that of another tab, a new one

/** A problem of the server (RFC 9457), or code "network" when there was no answer. */
export class PlazaError extends Error {
	constructor(code, { status = 0, title = code, detail, errors = [], retryAfter, requestId, cause } = {}) {
		super(detail ?? title, { cause });
		Object.assign(this, { name: "PlazaError", code, status, title, errors, retryAfter, requestId });
	}

	/** The same request may succeed later. */
	get temporary() {
		return this.status === 0 || this.status === 429 || this.status >= 500;
	}
}

/** One tab at a time, where the browser can do that. */
function alone(name, run) {
	const locks = globalThis.navigator?.locks;
	return locks ? locks.request(name, run) : run();
}

function queryOf(query = {}) {
	const given = Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== "");
	return given.length
		? `?${given.map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join("&")}`
		: "";
}

export class Rest extends Emitter {
	#tokens = null;
	#refreshing = null;

	constructor({ url, storage, key, fetch, language, timing }) {
		super();
		this.base = `${url.replace(/\/+$/, "")}/api/v1`;
		this.language = language;
		this.storage = storage;
		this.key = `${key}.tokens`;
		// A bare fetch is not a method: in a browser it must not be called with another `this`.
		this.fetch = fetch ?? ((...args) => globalThis.fetch(...args));
		this.timing = timing;
		this.cut = false;
	}

	get tokens() {
		return this.#tokens;
	}

	/** The tokens of the last time; false when there are none. */
	async load() {
		this.#tokens = await this.#stored();
		return this.#tokens !== null;
	}

	async #stored() {
		try {
			return JSON.parse(await this.storage.get(this.key));
		} catch {
			return null;
		}
	}

	async #keep(grant) {
		const { accessToken, refreshToken, sessionId } = grant;
		this.#tokens = { accessToken, refreshToken, sessionId };
		await this.storage.set(this.key, JSON.stringify(this.#tokens));
	}

	async #forget() {
		this.#tokens = null;
		await this.storage.remove(this.key);
	}

	// ---- requests ----

	async #fetch(method, path, { body, headers = {}, timeout = this.timing.request, token }) {
		if (this.cut) throw new PlazaError("network", { title: "The network is off" });
		const abort = new AbortController();
		const timer = setTimeout(() => abort.abort(), timeout * 1000);
		const init = { method, headers: { accept: "application/json", ...headers }, signal: abort.signal };
		if (token) init.headers.authorization = `Bearer ${token}`;
		if (this.language) init.headers["accept-language"] = this.language;
		if (typeof FormData !== "undefined" && body instanceof FormData) {
			init.body = body;
		} else if (body !== undefined) {
			init.body = JSON.stringify(body);
			init.headers["content-type"] = "application/json";
		}
		try {
			const response = await this.fetch(this.base + path, init);
			const text = await response.text();
			return { response, body: text ? JSON.parse(text) : undefined };
		} catch (cause) {
			throw new PlazaError("network", { title: "No answer", cause });
		} finally {
			clearTimeout(timer);
		}
	}

	#problem({ response, body }) {
		const after = Number(response.headers.get("retry-after"));
		return new PlazaError(body?.code ?? "internal", {
			...body,
			status: response.status,
			retryAfter: after || undefined,
		});
	}

	/** The body of the answer. `open` is a request without a token. */
	async request(method, path, { query, open = false, ...rest } = {}) {
		for (let tries = 1; ; tries++) {
			const token = open ? undefined : this.#tokens?.accessToken;
			const answer = await this.#fetch(method, path + queryOf(query), { ...rest, token });
			if (answer.response.ok) return answer.body;
			if (answer.response.status !== 401 || !token || tries === TOKENS_TRIED) throw this.#problem(answer);
			await this.refresh(token);
		}
	}

	get(path, query) {
		return this.request("GET", path, { query });
	}

	post(path, body, more) {
		return this.request("POST", path, { body, ...more });
	}

	/** All items of a list, page after page, at most `most` pages. */
	async all(path, query, most = 100) {
		const items = [];
		let cursor;
		do {
			const page = await this.get(path, { ...query, cursor });
			items.push(...page.items);
			cursor = page.nextCursor;
		} while (cursor && --most > 0);
		return items;
	}

	// ---- tokens ----

	/** A new pair, once for all who found that `used` is no good any more. */
	refresh(used = this.#tokens?.accessToken) {
		if (this.#tokens && this.#tokens.accessToken !== used) return Promise.resolve();
		this.#refreshing ??= alone(`${this.key}.refresh`, () => this.#refresh(used)).finally(() => {
			this.#refreshing = null;
		});
		return this.#refreshing;
	}

	async #refresh(used) {
		// Another tab may have been faster.
		const stored = await this.#stored();
		if (stored && stored.accessToken !== used) {
			this.#tokens = stored;
			return;
		}
		if (!this.#tokens) throw new PlazaError("unauthenticated", { status: 401, title: "Signed out" });
		const { refreshToken } = this.#tokens;
		for (let tries = 1; ; tries++) {
			try {
				const answer = await this.#fetch("POST", "/auth/refresh", {
					body: { refreshToken },
					timeout: REFRESH_TIMEOUT_S,
				});
				if (answer.response.ok) return await this.#keep(answer.body);
				throw this.#problem(answer);
			} catch (error) {
				if (error.status === 401) {
					await this.#forget();
					this.emit("signedout", error);
				}
				if (error.status !== 0 || tries === REFRESH_TRIES) throw error;
			}
			await new Pause().sleep(REFRESH_PAUSE_S);
		}
	}

	async signIn(email, password, device) {
		const grant = await this.post("/auth/login", { email, password, device }, { open: true });
		await this.#keep(grant);
		return grant.user;
	}

	async register(person) {
		const grant = await this.post("/auth/register", person, { open: true });
		await this.#keep(grant);
		return grant.user;
	}

	/** Here at once, whatever the server says; there as soon as it hears of it. */
	async signOut() {
		try {
			if (this.#tokens) await this.post("/auth/logout");
		} catch (error) {
			if (error.code !== "network" && error.status !== 401) throw error;
		} finally {
			await this.#forget();
		}
	}

	// ---- what applications do ----

	me() {
		return this.get("/auth/me");
	}
	user(id) {
		return this.get(`/users/${id}`);
	}
	session(device) {
		return this.post("/realtime/session", { device });
	}
	sync({ us, epoch } = {}) {
		return this.get("/sync", { since: us, ep: epoch, limit: 200 });
	}

	categories(query) {
		return this.get("/categories", query);
	}
	products(query) {
		return this.get("/products", query);
	}
	search(query) {
		return this.get("/search", query);
	}
	suggest(q) {
		return this.get("/search/suggest", { q });
	}
	product(id) {
		return this.get(`/products/${id}`);
	}

	chats(most) {
		return this.all("/chats", { limit: 100 }, most);
	}
	chat(id) {
		return this.get(`/chats/${id}`);
	}
	openChat(about) {
		return this.post("/chats", about);
	}
	messages(chat, query) {
		return this.get(`/chats/${chat}/messages`, query);
	}
	sendMessage(chat, message) {
		return this.post(`/chats/${chat}/messages`, message);
	}
	editMessage(chat, id, body) {
		return this.request("PATCH", `/chats/${chat}/messages/${id}`, { body: { body } });
	}
	react(chat, id, emoji, on = true) {
		return this.post(`/chats/${chat}/messages/${id}/reactions`, { emoji, on });
	}
	answerOffer(chat, id, answer) {
		return this.post(`/chats/${chat}/messages/${id}/offer`, answer);
	}
	deleteMessage(chat, id) {
		return this.request("DELETE", `/chats/${chat}/messages/${id}`);
	}
	read(chat, seq) {
		return this.post(`/chats/${chat}/read`, { seq });
	}
	delivered(chat, seq) {
		return this.post(`/chats/${chat}/delivered`, { seq });
	}
	typing(chat, on, kind) {
		return this.post(`/chats/${chat}/typing`, { on, kind });
	}
	mute(chat, on) {
		return this.request("PUT", `/chats/${chat}/mute`, { body: { on } });
	}
	archive(chat, on) {
		return this.request("PUT", `/chats/${chat}/archive`, { body: { on } });
	}
	hideChat(chat) {
		return this.request("DELETE", `/chats/${chat}`);
	}

	notifications(query) {
		return this.get("/notifications", query);
	}
	unreadNotifications() {
		return this.get("/notifications/unread-count");
	}
	readNotification(id) {
		return this.post(`/notifications/${id}/read`);
	}
	readNotifications(upTo) {
		return this.post("/notifications/read-all", upTo ? { upTo } : {});
	}
	deleteNotification(id) {
		return this.request("DELETE", `/notifications/${id}`);
	}

	online() {
		return this.get("/presence/online-users");
	}
	blocks() {
		return this.get("/users/me/blocks");
	}
	block(user) {
		return this.post(`/users/${user}/block`);
	}
	unblock(user) {
		return this.request("DELETE", `/users/${user}/block`);
	}
	report(user, why) {
		return this.post(`/users/${user}/report`, why);
	}

	/** Give the same key again to repeat an order whose answer was lost. */
	order(purchase, key = uuid()) {
		return this.post("/orders", purchase, { headers: { "idempotency-key": key } });
	}
	/** The open cart, or null. */
	async cart() {
		return (await this.get("/carts")).items[0] ?? null;
	}
	orders(query) {
		return this.get("/orders", query);
	}
	orderConfirm(id) {
		return this.post(`/orders/${id}/confirm`);
	}
	orderDelivered(id) {
		return this.request("PATCH", `/orders/${id}/mark-delivered`);
	}
	orderComplete(id) {
		return this.post(`/orders/${id}/complete`);
	}
	orderCancel(id, reason) {
		return this.post(`/orders/${id}/cancel`, { reason });
	}
}
