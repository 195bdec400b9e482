// What all parts share: events, time that can be cut short, storage.

/** Listeners by name. A fault of a listener is reported, and stops nobody else. */
export class Emitter {
	#listeners = new Map();

	/** Returns the function that ends it. */
	on(type, listener) {
		const all = this.#listeners.get(type) ?? new Set();
		this.#listeners.set(type, all.add(listener));
		return () => this.off(type, listener);
	}

	once(type, listener) {
		const end = this.on(type, (...args) => {
			end();
			listener(...args);
		});
		return end;
	}

	off(type, listener) {
		this.#listeners.get(type)?.delete(listener);
	}

	emit(type, ...args) {
		for (const listener of [...(this.#listeners.get(type) ?? [])]) {
			try {
				listener(...args);
			} catch (error) {
				setTimeout(() => {
					throw error;
				});
			}
		}
	}
}

/** Seconds. A test makes them shorter; nothing else should. */
export const TIMING = Object.freeze({
	request: 20, // a request that takes longer has failed
	connect: 10, // from the first byte to the SUBACK
	backoffFirst: 1.5,
	backoffMost: 30, // between attempts to reach the broker
	greeting: 8, // until the answer to hello is given up: a broker that meets everybody again is slow
	gap: 0.2, // for an event before the one that came
	renewAt: 0.8,
	renewSpread: 0.1, // parts of the life of the broker's token
	sync: 300, // a drop inside the broker leaves no other trace
	pollLeast: 3,
	pollMost: 10,
	retryFirst: 5,
	retryMost: 60, // a message without an answer
	receipts: 1,
	typing: 3,
	typingLife: 6,
	watch: 100,
	beat: 60,
});

/** A pause that wake() ends early. */
export class Pause {
	#timer;
	#end = null;

	sleep(seconds) {
		this.wake();
		return new Promise((resolve) => {
			this.#end = resolve;
			this.#timer = setTimeout(() => this.wake(), seconds * 1000);
		});
	}

	wake() {
		clearTimeout(this.#timer);
		this.#end?.();
		this.#end = null;
	}
}

/** `value` moved by up to `part` of it in both directions, so that many clients do not act at once. */
export function jitter(value, part) {
	return value * (1 + part * (2 * Math.random() - 1));
}

/** Nothing outlives the program. */
export function memoryStorage() {
	const values = new Map();
	return {
		get: (key) => values.get(key) ?? null,
		set: (key, value) => void values.set(key, value),
		remove: (key) => void values.delete(key),
	};
}

/**
 * localStorage, sessionStorage, AsyncStorage of React Native, or anything with get, set and remove; one thing after the
 * other. A storage that is full or forbidden must not stop anybody: what it should have kept is lost with the program.
 */
export function asStorage(given = memoryStorage()) {
	const web = typeof given.getItem === "function";
	let last = Promise.resolve();
	const queued =
		(name) =>
		(...args) =>
			(last = last.then(() => given[name](...args)).catch(() => null));
	return {
		get: queued(web ? "getItem" : "get"),
		set: queued(web ? "setItem" : "set"),
		remove: queued(web ? "removeItem" : "remove"),
	};
}

export function uuid() {
	if (globalThis.crypto?.randomUUID) return globalThis.crypto.randomUUID();
	// Pages without TLS and older React Native. An id of a message need not be secret, only new.
	const bytes = Uint8Array.from({ length: 16 }, () => Math.random() * 256);
	globalThis.crypto?.getRandomValues?.(bytes);
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
	return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
