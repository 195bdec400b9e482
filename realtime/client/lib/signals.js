// What is said often and matters little alone: receipts, typing, presence.

/** Cumulative receipts: at once, then at most one a second, always the highest. */
export class Receipts {
	#wanted = new Map(); // "read chat" -> { kind, chatId, seq, sent }
	#timers = new Map();

	/** `send(kind, chatId, seq)` does it by whatever way there is. */
	constructor({ send, timing }) {
		Object.assign(this, { send, timing });
	}

	tell(kind, chatId, seq) {
		const key = `${kind} ${chatId}`;
		const had = this.#wanted.get(key);
		if (had && had.seq >= seq) return;
		this.#wanted.set(key, { kind, chatId, seq, sent: had?.sent ?? 0 });
		if (!this.#timers.has(key)) this.#flush(key);
	}

	/** What was told over a connection that broke may be lost; receipts may be told twice. GET /sync tells deliveries. */
	again() {
		for (const [key, r] of this.#wanted) {
			if (r.kind === "delivered") continue;
			r.sent = 0;
			if (!this.#timers.has(key)) this.#flush(key);
		}
	}

	/** The server has told us of it. */
	confirmed(kind, chatId, seq) {
		const key = `${kind} ${chatId}`;
		if (this.#wanted.get(key)?.seq <= seq) this.#wanted.delete(key);
	}

	stop() {
		for (const timer of this.#timers.values()) clearTimeout(timer);
		this.#timers.clear();
		this.#wanted.clear();
	}

	#flush(key) {
		const r = this.#wanted.get(key);
		if (!r || r.sent >= r.seq) return;
		r.sent = r.seq;
		this.#timers.set(
			key,
			setTimeout(() => {
				this.#timers.delete(key);
				this.#flush(key);
			}, this.timing.receipts * 1000),
		);
		this.send(r.kind, r.chatId, r.seq);
	}
}

/** The user's own typing: told at the first key, again while it goes on, and its end. */
export class Typing {
	#active = new Map(); // chatId -> { timer, touched, kind }

	constructor({ send, timing }) {
		Object.assign(this, { send, timing });
	}

	/** Call it at every key. */
	touch(chatId, kind) {
		const active = this.#active.get(chatId);
		if (active) {
			active.touched = true;
			return;
		}
		const timer = setInterval(() => {
			const now = this.#active.get(chatId);
			if (!now.touched) return this.stop(chatId);
			now.touched = false;
			this.send(chatId, true, kind);
		}, this.timing.typing * 1000);
		this.#active.set(chatId, { timer, touched: false, kind });
		this.send(chatId, true, kind);
	}

	/** `quiet`: what follows says it by itself, as a message does. */
	stop(chatId, quiet = false) {
		const active = this.#active.get(chatId);
		if (!active) return;
		clearInterval(active.timer);
		this.#active.delete(chatId);
		if (!quiet) this.send(chatId, false, active.kind);
	}

	stopAll() {
		for (const chatId of [...this.#active.keys()]) this.stop(chatId, true);
	}
}

/** Whom the user sees on the screen, and that the user is there. The server forgets both by itself. */
export class Presence {
	#watched = [];
	#said = false;
	#watchTimer;
	#beatTimer;
	#foreground = true;
	#idle = false;

	/** `place()` is where we are in the feed: a beat that is behind is told so. */
	constructor({ publish, place, timing }) {
		Object.assign(this, { publish, place, timing });
	}

	get watched() {
		return this.#watched;
	}

	watch(userIds) {
		const next = [...new Set(userIds)].slice(0, 50);
		if (next.length === this.#watched.length && next.every((id) => this.#watched.includes(id))) return;
		this.#watched = next;
		this.#sayWatch();
	}

	here(foreground, idle = this.#idle) {
		this.#foreground = foreground;
		this.#idle = idle;
		this.#sayBeat();
	}

	/** A connection stands: it knows nothing of what the last one was told. */
	start() {
		this.#sayWatch();
		this.#sayBeat();
	}

	stop() {
		clearTimeout(this.#watchTimer);
		clearTimeout(this.#beatTimer);
	}

	#sayWatch() {
		clearTimeout(this.#watchTimer);
		this.#said ||= this.#watched.length > 0;
		if (this.#said && this.publish("watch", { userIds: this.#watched }))
			this.#watchTimer = setTimeout(() => this.#sayWatch(), this.timing.watch * 1000);
	}

	#sayBeat() {
		clearTimeout(this.#beatTimer);
		if (this.#foreground && this.publish("beat", { state: this.#idle ? "idle" : "active", ...this.place() }))
			this.#beatTimer = setTimeout(() => this.#sayBeat(), this.timing.beat * 1000);
	}
}
