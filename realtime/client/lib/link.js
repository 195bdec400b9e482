// The connection to the broker: made with what POST /realtime/session tells, renewed before its token ends, made again
// when it breaks. MQTT 5, and 3.1.1 where a broker knows nothing newer.
import { Emitter, Pause, jitter, uuid } from "./base.js";

// Worthless a moment later: not worth an acknowledgement.
const EPHEMERAL = new Set(["typing", "watch", "beat", "bye"]);
const OTHER_VERSION = { 5: 4, 4: 5 };
const LIFE_UNKNOWN_S = 600;
const END_MS = 2000; // for what is on its way; a broker that hangs does not hold us
const ATTEMPTS = 3; // that fail, then others are asked for

/** Seconds that a token lives, by its own clock: that of this device may be a day off. */
function lifeOf(token) {
	try {
		const [, part] = token.split(".");
		const { iat, exp } = JSON.parse(atob(part.replace(/-/g, "+").replace(/_/g, "/")));
		return exp > iat ? exp - iat : LIFE_UNKNOWN_S;
	} catch {
		return LIFE_UNKNOWN_S;
	}
}

/** WebSockets where there are any, as a browser needs them; the next address after each attempt that failed. */
function oneOf(urls, turn) {
	const web = urls.filter((url) => /^wss?:/.test(url));
	const usable = web.length > 0 ? web : urls;
	return usable[turn % usable.length];
}

export class Link extends Emitter {
	#wanted = false;
	#session = null;
	#renewBy = 0;
	#client = null;
	#pause = new Pause();
	#running = null;
	#version = 5;
	#versionWorks = false;
	#renewTimer;
	#lost = null;
	#turn = 0;

	/** `session()` asks for one; `choose(urls, turn)` takes one of its addresses, `turn` counts what failed. */
	constructor({ mqtt, session, choose, timing }) {
		super();
		this.mqtt = mqtt;
		this.ask = session;
		this.choose = choose ?? oneOf;
		this.timing = timing;
		this.ready = false; // for uplinks
		this.up = false; // as people see it: also between two tokens
	}

	get did() {
		return this.#session?.did;
	}

	get protocolVersion() {
		return this.ready ? this.#version : null;
	}

	start() {
		this.#wanted = true;
		this.#running ??= this.#run().finally(() => {
			this.#running = null;
			if (this.#wanted) this.start();
		});
	}

	stop() {
		this.#wanted = false;
		this.ready = this.up = false;
		this.#session = null;
		this.#pause.wake();
		this.#end();
	}

	/** Now rather than at the end of the pause: the network is back. */
	wake() {
		this.#pause.wake();
	}

	/** A new token and a new connection. */
	renew() {
		this.#session = null;
		this.#end();
	}

	#end() {
		const client = this.#client;
		if (!client) return;
		client.end();
		const timer = setTimeout(() => client.end(true), END_MS);
		client.once("close", () => clearTimeout(timer));
	}

	/** False when there is no connection. Whether it arrives, only an answer can tell. */
	publish(verb, d, id = uuid()) {
		if (!this.ready) return false;
		const { did, publishPrefix } = this.#session;
		const envelope = JSON.stringify({ v: 1, id, did, ts: new Date().toISOString(), d });
		this.#client.publish(`${publishPrefix}/${verb}`, envelope, { qos: EPHEMERAL.has(verb) ? 0 : 1 }, () => {});
		return true;
	}

	async #run() {
		let failures = 0;
		while (this.#wanted) {
			let clean = false;
			try {
				await this.#connect(await this.#currentSession());
				failures = 0;
				clean = await this.#served();
			} catch (error) {
				failures += 1;
				// The addresses may have changed. A broker that is away for a moment needs no new token.
				if (failures % ATTEMPTS === 0) this.#session = null;
				this.emit("failed", error);
			}
			this.ready = false;
			clearTimeout(this.#renewTimer);
			this.#client?.end(true);
			this.#client = null;
			// Between two tokens nobody need know.
			if (!this.#wanted || !clean) {
				this.up = false;
				this.emit("down");
			}
			// Widely spread: a broker that comes back meets everybody at once.
			const { backoffFirst, backoffMost } = this.timing;
			if (this.#wanted && !clean)
				await this.#pause.sleep(jitter(Math.min(backoffFirst * 2 ** failures, backoffMost), 0.9));
		}
	}

	async #currentSession() {
		if (this.#session && Date.now() < this.#renewBy) return this.#session;
		const session = await this.ask();
		const { renewAt, renewSpread } = this.timing;
		const part = renewAt + renewSpread * (2 * Math.random() - 1);
		this.#session = session;
		this.#renewBy = Date.now() + lifeOf(session.password) * part * 1000;
		return session;
	}

	/** Ends when the subscriptions stand. */
	async #connect(session) {
		const client = (this.#client = this.mqtt.connect(this.choose(session.urls, this.#turn), {
			clientId: session.clientId,
			username: session.username,
			password: session.password,
			keepalive: session.keepalive,
			clean: true,
			protocolVersion: this.#version,
			connectTimeout: this.timing.connect * 1000,
			reconnectPeriod: 0,
			resubscribe: false,
			// The other kind makes a worker of a blob, which a strict policy of a page forbids.
			timerVariant: "native",
		}));
		let refused = false;
		client.on("error", (error) => {
			refused ||= typeof error.code === "number"; // of the CONNACK; those of a network are words
			this.emit("failed", error);
		});
		client.on("message", (topic, payload) => this.#arrived(topic, payload));
		const lost = new Promise((_, reject) => {
			client.once("close", () => reject(new Error("the connection ended")));
		});
		lost.catch(() => {});
		this.#lost = lost;
		let connected = false;
		try {
			await Promise.race([lost, new Promise((resolve) => client.once("connect", resolve))]);
			connected = this.#versionWorks = true;
			const subscribed = this.#subscribe(client, session.subscribe);
			subscribed.catch(() => {});
			await Promise.race([lost, subscribed]);
		} catch (error) {
			// Brokers without MQTT 5 refuse it, or just hang up: each address is tried with both before the next.
			if (!connected && !this.#versionWorks) this.#version = OTHER_VERSION[this.#version];
			if (this.#versionWorks || this.#version === 5) this.#turn += 1;
			// The token may be why.
			if (connected || refused) this.#session = null;
			throw error;
		}
	}

	/**
	 * The first filter is the own inbox, without which there is no use in a connection. A broker that knows no shops and
	 * no roles refuses theirs: what comes there is in the feed, or a page asks for it.
	 */
	#subscribe(client, filters) {
		return new Promise((resolve, reject) => {
			client.subscribe(filters, { qos: 1 }, (error, granted) => {
				const codes = error?.packet?.granted ?? granted?.map((g) => g.qos);
				if (!codes || codes[0] > 2) return reject(error ?? new Error(`no subscription to ${filters[0]}`));
				const refused = filters.filter((_, n) => codes[n] > 2);
				if (refused.length > 0) this.emit("failed", new Error(`no subscription to ${refused.join(", ")}`));
				resolve();
			});
		});
	}

	/** From here on it works, until it ends; true when it ended to be made anew. */
	async #served() {
		this.#renewTimer = setTimeout(() => this.renew(), Math.max(0, this.#renewBy - Date.now()));
		this.ready = this.up = this.#wanted;
		if (this.ready) this.emit("ready", this.#session);
		await this.#lost.catch(() => {});
		return this.#session === null;
	}

	#arrived(topic, payload) {
		let event;
		try {
			event = JSON.parse(payload.toString());
		} catch {
			return;
		}
		// What is meant for another device of this user comes along with our own.
		const device = /\/d\/([^/]+)$/.exec(topic)?.[1];
		if (device && device !== this.#session?.did) return;
		if (event.t === "auth:expiring") this.renew();
		this.emit("event", event);
	}
}
