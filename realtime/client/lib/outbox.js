// Messages on their way. Each has an id of its own (cmid) and is told again, over MQTT or REST, until the server has
// answered: however often it arrives, it is one message. They survive the program when the storage does.
import { jitter, uuid } from "./base.js";
import { PlazaError } from "./rest.js";

export class Outbox {
	#entries = [];
	#waiting = new Map(); // cmid -> { resolve, reject }
	#timers = new Map(); // chatId -> timer
	#attempts = new Map(); // cmid -> number of the last attempt
	#stopped = true;
	#saving = Promise.resolve();

	/** `publish(entry)` says whether it went out by MQTT; `post(entry)` gives the message or throws. */
	constructor({ storage, key, publish, post, changed, timing }) {
		Object.assign(this, { storage, key, publish, post, changed, timing });
	}

	async load() {
		this.#entries = (await this.#stored()).map((entry) => ({ ...entry, tries: 0, next: 0 }));
	}

	async #stored() {
		try {
			return JSON.parse(await this.storage.get(this.key)) ?? [];
		} catch {
			return [];
		}
	}

	start() {
		this.#stopped = false;
		this.wake();
	}

	stop() {
		this.#stopped = true;
		for (const timer of this.#timers.values()) clearTimeout(timer);
		this.#timers.clear();
	}

	/** Ends when everything is kept. */
	kept() {
		return this.#saving;
	}

	/** Those of one conversation, in the order they were written. `error` is the code of a refused one. */
	list(chatId) {
		return this.#entries.filter((e) => e.chatId === chatId);
	}

	get size() {
		return this.#entries.length;
	}

	/** A promise of the message; it fails only when the server refused it. */
	add(chatId, d) {
		const entry = { cmid: uuid(), chatId, d, createdAt: new Date().toISOString(), tries: 0, next: 0 };
		const sent = new Promise((resolve, reject) => this.#waiting.set(entry.cmid, { resolve, reject }));
		// Who does not look at the promise sees the refused message in the conversation.
		sent.catch(() => {});
		this.#entries.push(entry);
		this.#save(entry.cmid);
		this.#pump(chatId);
		return Object.assign(sent, { cmid: entry.cmid });
	}

	/** The server has it. */
	settle(cmid, message) {
		const entry = this.#entries.find((e) => e.cmid === cmid);
		if (!entry) return false;
		this.#entries.splice(this.#entries.indexOf(entry), 1);
		this.#attempts.delete(cmid);
		this.#waiting.get(cmid)?.resolve(message);
		this.#waiting.delete(cmid);
		this.#save(cmid);
		this.#pump(entry.chatId);
		return true;
	}

	/** The server does not want it, or not now. */
	refuse(cmid, error) {
		const entry = this.#entries.find((e) => e.cmid === cmid);
		if (!entry) return false;
		// Who is signed out may sign in again.
		if (error.temporary || error.status === 401) {
			this.#later(entry, error.retryAfter);
			return true;
		}
		entry.error = error.code;
		this.#attempts.delete(cmid);
		this.#waiting.get(cmid)?.reject(error);
		this.#waiting.delete(cmid);
		this.#save(cmid);
		this.#pump(entry.chatId);
		return true;
	}

	/** A refused one again, with the same id. */
	retry(cmid) {
		const entry = this.#entries.find((e) => e.cmid === cmid && e.error);
		if (!entry) return;
		delete entry.error;
		Object.assign(entry, { tries: 0, next: 0 });
		this.#save(cmid);
		this.#pump(entry.chatId);
	}

	/** A refused one is taken away. */
	discard(cmid) {
		this.#entries = this.#entries.filter((e) => e.cmid !== cmid || !e.error);
		this.#save(cmid);
	}

	/** Nobody is left to send them. */
	drop() {
		this.stop();
		this.#entries = [];
		for (const { reject } of this.#waiting.values()) reject(new PlazaError("signed-out", { title: "Signed out" }));
		this.#waiting.clear();
	}

	/** There is a connection again: do not wait for the rest of a pause. */
	wake() {
		for (const entry of this.#entries) entry.next = 0;
		for (const chatId of new Set(this.#entries.map((e) => e.chatId))) this.#pump(chatId);
	}

	/** Only this entry changes: another tab may have some of its own in the same place. */
	#save(cmid) {
		this.changed();
		const entry = this.#entries.find((e) => e.cmid === cmid);
		const { tries: _, next: __, ...kept } = entry ?? {};
		this.#saving = this.#saving.then(async () => {
			const stored = await this.#stored();
			const at = stored.findIndex((e) => e.cmid === cmid);
			stored.splice(at < 0 ? stored.length : at, at < 0 ? 0 : 1, ...(entry ? [kept] : []));
			await this.storage.set(this.key, JSON.stringify(stored));
		});
	}

	#later(entry, seconds) {
		const { retryFirst, retryMost } = this.timing;
		const pause = Math.min(retryFirst * 2 ** (entry.tries - 1), retryMost);
		entry.next = Date.now() + Math.max(jitter(pause, 0.2), seconds ?? 0) * 1000;
		this.#pump(entry.chatId);
	}

	/** The first one of the conversation, if it is its time: one after the other, so that they keep their order. */
	#pump(chatId) {
		clearTimeout(this.#timers.get(chatId));
		this.#timers.delete(chatId);
		const entry = this.#entries.find((e) => e.chatId === chatId && !e.error);
		if (!entry || this.#stopped) return;
		const wait = entry.next - Date.now();
		if (wait > 0)
			this.#timers.set(
				chatId,
				setTimeout(() => this.#pump(chatId), wait),
			);
		else this.#attempt(entry);
	}

	/** Every other time by REST even if MQTT is there: an uplink that was lost may be lost again. */
	async #attempt(entry) {
		const attempt = ++entry.tries;
		this.#attempts.set(entry.cmid, attempt);
		this.#later(entry);
		if (attempt % 2 === 1 && this.publish(entry)) return;
		try {
			this.settle(entry.cmid, await this.post(entry));
		} catch (error) {
			// An attempt that fails after the next has begun says nothing new.
			if (!error.temporary || this.#attempts.get(entry.cmid) === attempt) this.refuse(entry.cmid, error);
		}
	}
}
