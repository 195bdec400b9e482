// Conversations and the messages of one: ticks, typing, presence, editing while unread.
import { avatar, badge, clockTime, day, empty, h, icon, money, reconcile, when } from "./ui.js";
import { language, t } from "./words.js";

/** A group has a title instead of the other one. */
const nameOf = (chat) => chat.peer?.name ?? chat.title ?? "";

const NEAR_END_PX = 80;
const TICKS = { pending: "clock", sent: "check", delivered: "checks", read: "checks", failed: "warn" };

export class ChatView {
	#open = null;
	#editing = null;
	#older = new Set(); // conversations whose beginning is here
	#chats = h("ul", { class: "rows" });
	#list = h("nav", { class: "chats" }, this.#chats);
	#head = h("header", { class: "peer" });
	#earlier = h("button", { type: "button", class: "wide", onclick: () => this.#loadEarlier() });
	#log = h("ol", { class: "log" });
	#scroll = h(
		"div",
		{ class: "scroll", role: "log", "aria-live": "polite", tabindex: "0" },
		this.#earlier,
		this.#log,
	);
	#types = h("p", { class: "types", role: "status" });
	#text = h("textarea", {
		rows: "1",
		maxlength: "4000",
		onkeydown: (e) => this.#key(e),
		oninput: () => this.#typed(),
	});
	#edits = h("p", { class: "edits" });
	#send = h("button", { type: "submit", class: "main round" });
	#form = h("form", { class: "composer", onsubmit: (e) => this.#submit(e) }, this.#edits, this.#text, this.#send);
	#thread = h("div", { class: "thread" }, this.#head, this.#scroll, this.#types, this.#form);
	#none = h("div", { class: "thread none" });

	constructor(side) {
		this.side = side;
		this.element = h("div", { class: "view messages" }, this.#list, this.#thread, this.#none);
		side.client.on("reload", () => this.#reloaded());
	}

	leave() {
		this.#open = null;
		this.#older.clear();
		this.#text.value = "";
	}

	/** The messages that were here are forgotten. */
	#reloaded() {
		this.#older.clear();
		if (this.side.tab === "messages") this.draw();
	}

	get #store() {
		return this.side.client.store;
	}

	get #chat() {
		return this.#store.chats.get(this.#open) ?? null;
	}

	open(chatId) {
		this.#open = chatId;
		this.#stopEditing();
		this.#log.replaceChildren();
		this.side.show("messages");
		this.#text.focus();
	}

	#close() {
		const was = this.#open;
		this.#open = null;
		this.draw();
		this.#chats.querySelector(`[data-key="${was}"] button`)?.focus();
	}

	/** Somebody looks at this side now: what is on the screen is read. */
	looked() {
		if (this.side.tab !== "messages" || !this.side.person) return;
		this.side.client.watch(
			this.#store
				.chatList()
				.slice(0, 50)
				.map((c) => c.peer?.id)
				.filter(Boolean),
		);
		if (this.#open && this.side.visible) this.side.client.read(this.#open);
	}

	changed(topics) {
		const any = (...names) => topics.has("all") || names.some((n) => topics.has(n));
		if (any("chats", "presence", "typing")) this.#drawChats();
		if (this.#chat && any("presence", "chats")) this.#drawHead();
		if (this.#chat && any("typing")) this.#drawTyping();
		if (this.#chat && any("messages", "chats", "outbox")) this.#drawMessages();
		if (any("chats")) this.looked();
	}

	draw() {
		this.#list.setAttribute("aria-label", t("conversations"));
		this.#drawChats();
		this.element.dataset.open = String(Boolean(this.#chat));
		this.#thread.hidden = !this.#chat;
		this.#none.hidden = Boolean(this.#chat);
		this.#none.replaceChildren(empty("chat", t("pickChat")));
		if (!this.#chat) return;
		this.#text.setAttribute("placeholder", t("write"));
		this.#text.setAttribute("aria-label", `${t("write")}. ${t("sayHint")}`);
		this.#send.replaceChildren(icon("send"), h("span", { class: "hidden" }, t("send")));
		this.#earlier.textContent = t("earlier");
		this.#drawHead();
		this.#drawTyping();
		this.#drawMessages();
		this.#fill();
	}

	// ---- the list ----

	#drawChats() {
		const chats = this.#store.chatList();
		const sign = (c) =>
			[
				c.id === this.#open,
				c.unread,
				c.lastSeq,
				c.lastMessage?.editNo,
				c.lastMessage?.deleted,
				c.peerReadSeq,
				c.peerReceivedSeq,
				this.#state(c),
				this.#typing(c.id),
				language(),
			].join(" ");
		reconcile(this.#chats, chats, { key: (c) => c.id, sign, make: (c) => this.#row(c) });
		if (chats.length === 0)
			this.#chats.replaceChildren(
				h("li", { class: "all" }, empty("chat", t(this.side.role === "buyer" ? "noChatsBuyer" : "noChats"))),
			);
	}

	#state(chat) {
		return this.#store.presence.get(chat.peer?.id)?.state ?? "unknown";
	}

	#typing(chatId) {
		return (this.#store.typing.get(chatId)?.size ?? 0) > 0;
	}

	#row(c) {
		const last = c.lastMessage;
		const own = last?.senderId === this.side.person.id;
		const preview = this.#typing(c.id)
			? h("em", {}, `${t("types", { name: nameOf(c) })}…`)
			: !last
				? t("writeFirst")
				: last.deleted
					? h("em", {}, t("removed"))
					: `${own ? `${t("you")}: ` : ""}${last.body || last.card?.title || ""}`;
		return h(
			"li",
			{},
			h(
				"button",
				{
					type: "button",
					class: "chat",
					"aria-current": c.id === this.#open ? "true" : null,
					onclick: () => this.open(c.id),
				},
				avatar(nameOf(c), h("span", { class: "presence", "data-state": this.#state(c) })),
				h(
					"span",
					{ class: "text" },
					h(
						"span",
						{ class: "line" },
						h("strong", {}, nameOf(c)),
						h("time", { datetime: c.lastMessageAt }, when(c.lastMessageAt)),
					),
					h("span", { class: "note" }, c.product?.title ?? ""),
					h(
						"span",
						{ class: "line" },
						h("span", { class: "preview" }, preview),
						badge(c.unread, t("unreadHere", { n: c.unread })),
					),
				),
			),
		);
	}

	// ---- one conversation ----

	#drawHead() {
		const { peer, product } = this.#chat;
		const name = nameOf(this.#chat);
		const focused = this.#head.contains(document.activeElement);
		const state = this.#store.presence.get(peer?.id);
		const word =
			{
				online: t("online"),
				idle: t("idle"),
				offline: state?.lastSeen ? t("lastSeen", { when: when(state.lastSeen) }) : t("offlineUser"),
			}[state?.state] ?? "";
		this.#scroll.setAttribute("aria-label", t("messageLog", { name }));
		this.#head.replaceChildren(
			h(
				"button",
				{ type: "button", class: "quiet backward", "aria-label": t("back"), onclick: () => this.#close() },
				icon("back"),
			),
			avatar(name, h("span", { class: "presence", "data-state": this.#state(this.#chat) })),
			h(
				"div",
				{},
				h("h2", {}, name),
				h("p", { class: "note", "data-presence": state?.state ?? "unknown" }, word),
			),
			product &&
				h(
					"button",
					{
						type: "button",
						class: "chip",
						title: t("about", { title: product.title }),
						onclick: () => this.side.views.shop.open(product.id),
					},
					product.title,
				),
		);
		if (focused) this.#head.querySelector("button").focus();
	}

	#drawTyping() {
		const typing = this.#typing(this.#open);
		if (this.#types.childNodes.length > 0 === typing) return;
		this.#types.replaceChildren(
			...(typing
				? [
						h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
						t("types", { name: nameOf(this.#chat) }),
					]
				: []),
		);
		this.#keepEnd(() => {});
	}

	/** Runs what changes the height of the log; who was at its end stays there. */
	#keepEnd(change) {
		const box = this.#scroll;
		const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
		change();
		if (atEnd) box.scrollTop = box.scrollHeight;
	}

	#drawMessages() {
		const all = this.#store.messages(this.#open);
		const items = [];
		all.forEach((m, i) => {
			const before = all[i - 1];
			if (!before || new Date(before.createdAt).toDateString() !== new Date(m.createdAt).toDateString())
				items.push({ key: `day ${m.createdAt.slice(0, 10)}`, day: m.createdAt });
			items.push({
				key: m.seq ? `m ${m.seq}` : m.cmid,
				message: m,
				first: before?.senderId !== m.senderId || items.at(-1).day,
			});
		});
		this.#earlier.hidden = this.#older.has(this.#open) || this.#store.lowest(this.#open) <= 1;
		this.#keepEnd(() =>
			reconcile(this.#log, items, {
				key: (x) => x.key,
				sign: (x) =>
					x.day
						? language()
						: [
								x.message.status,
								x.message.editNo,
								x.message.deleted,
								x.message.error,
								x.message.offer?.status,
								JSON.stringify(x.message.reactions),
								x.first,
								language(),
							].join(" "),
				make: (x) =>
					x.day ? h("li", { class: "day" }, h("span", {}, day(x.day))) : this.#bubble(x.message, x.first),
			}),
		);
	}

	#bubble(m, first) {
		const own = m.status !== "received";
		const body = m.deleted ? h("em", {}, t("removed")) : m.body;
		return h(
			"li",
			{ class: `bubble ${own ? "own" : "peer"}`, "data-status": m.status, "data-first": String(Boolean(first)) },
			h(
				"div",
				{ class: "paper" },
				this.#goods(m),
				body && h("p", { class: "said" }, body),
				h(
					"p",
					{ class: "meta" },
					m.editNo && !m.deleted && h("span", {}, t("edited")),
					h("time", { datetime: m.createdAt }, clockTime(m.createdAt)),
					own &&
						h(
							"span",
							{ class: "tick", role: "img", "aria-label": t(m.status), title: t(m.status) },
							icon(TICKS[m.status]),
						),
				),
				m.reactions &&
					h(
						"p",
						{ class: "reactions" },
						m.reactions.map((r) => h("span", {}, `${r.emoji} ${r.count}`)),
					),
			),
			this.#actions(m),
		);
	}

	/** A product as it was when it was shown, or an offer and what became of it. */
	#goods(m) {
		const goods = m.card ?? m.offer;
		if (!goods?.title) return null;
		const state = m.offer?.status ? ` · ${t(`offer_${m.offer.status}`)}` : "";
		return h("p", { class: "carded" }, h("strong", {}, goods.title), ` ${money(goods.price)}${state}`);
	}

	#actions(m) {
		const button = (word, picture, run) =>
			h(
				"button",
				{ type: "button", class: "quiet", "aria-label": t(word), title: t(word), onclick: run },
				icon(picture),
			);
		const { client } = this.side;
		if (m.status === "failed") {
			return h(
				"div",
				{ class: "doing always" },
				h("span", { class: "note" }, t("failed")),
				button("retry", "send", () => client.retry(m.cmid)),
				button("discard", "close", () => client.discard(m.cmid)),
			);
		}
		if ((m.status !== "sent" && m.status !== "delivered") || m.deleted) return null;
		return h(
			"div",
			{ class: "doing" },
			m.type === "text" && button("edit", "pencil", () => this.#edit(m)),
			button("remove", "trash", () =>
				this.side.attempt(() => client.deleteMessage(this.#open, m.id)).then(() => this.#text.focus()),
			),
		);
	}

	/** What fits the screen, then what is asked for. */
	async #fill() {
		const chatId = this.#open;
		if (this.#store.messages(chatId).length < 20 && this.#store.lowest(chatId) > 1) await this.#loadEarlier();
		if (this.#open === chatId) this.#scroll.scrollTop = this.#scroll.scrollHeight;
	}

	async #loadEarlier() {
		const chatId = this.#open;
		const height = this.#scroll.scrollHeight;
		const more = await this.side.attempt(() => this.side.client.history(chatId, 30));
		if (more === false) this.#older.add(chatId);
		if (this.#open !== chatId) return;
		this.#drawMessages();
		this.#scroll.scrollTop += this.#scroll.scrollHeight - height;
	}

	// ---- writing ----

	#key(event) {
		if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
			event.preventDefault();
			this.#form.requestSubmit();
		} else if (event.key === "Escape" && this.#editing) {
			this.#stopEditing();
		}
	}

	#typed() {
		this.#grow();
		if (!this.#editing) this.side.client.typing(this.#open, this.#text.value !== "");
	}

	/** As high as the text, up to a few lines. */
	#grow() {
		this.#text.style.height = "";
		if (this.#text.scrollHeight > this.#text.clientHeight)
			this.#text.style.height = `${this.#text.scrollHeight + 2}px`;
	}

	#edit(m) {
		this.#editing = m;
		this.#edits.replaceChildren(
			icon("pencil"),
			t("editing"),
			h(
				"button",
				{ type: "button", class: "quiet", "aria-label": t("cancel"), onclick: () => this.#stopEditing() },
				icon("close"),
			),
		);
		this.#text.value = m.body;
		this.#grow();
		this.#text.focus();
	}

	#stopEditing() {
		this.#editing = null;
		this.#edits.replaceChildren();
		this.#text.value = "";
		this.#grow();
	}

	#submit(event) {
		event.preventDefault();
		const body = this.#text.value.trim();
		const editing = this.#editing;
		if (!body || !this.#chat) return;
		this.#stopEditing();
		this.#scroll.scrollTop = this.#scroll.scrollHeight;
		if (editing) this.side.attempt(() => this.side.client.editMessage(this.#open, editing.id, body));
		else this.side.client.send(this.#open, body);
		this.#text.focus();
	}
}
