// Notifications, the newest first.
import { empty, h, icon, reconcile, when } from "./ui.js";
import { language, t } from "./words.js";

export class NoticeView {
	#list = h("ul", { class: "rows", "aria-live": "polite" });
	#all = h("button", { type: "button", class: "wide", onclick: () => this.#readAll() });

	constructor(side) {
		this.side = side;
		this.element = h("div", { class: "view notices" }, this.#all, this.#list);
	}

	changed(topics) {
		if (topics.has("notifications") || topics.has("all")) this.draw();
	}

	draw() {
		const { store } = this.side.client;
		const list = store.notificationList();
		this.#all.textContent = t("readAll");
		this.#all.hidden = store.unreadNotifications === 0;
		reconcile(this.#list, list, {
			key: (n) => n.id,
			sign: (n) => `${n.read} ${language()}`,
			make: (n) => this.#row(n),
		});
		if (list.length === 0) this.#list.replaceChildren(h("li", { class: "all" }, empty("bell", t("noNotices"))));
	}

	#row(n) {
		return h(
			"li",
			{ class: "notice", "data-read": String(n.read) },
			h(
				"button",
				{ type: "button", class: "open", onclick: () => this.#open(n) },
				h("span", { class: "mark", "aria-hidden": "true" }),
				h("span", { class: "text" }, h("strong", {}, n.title), n.body && h("span", {}, n.body)),
				h("time", { datetime: n.createdAt }, when(n.createdAt)),
			),
			h(
				"button",
				{
					type: "button",
					class: "quiet",
					"aria-label": `${t("remove")}: ${n.title}`,
					title: t("remove"),
					onclick: () => this.#remove(n.id),
				},
				icon("close"),
			),
		);
	}

	#open(n) {
		if (!n.read) this.side.attempt(() => this.side.client.rest.readNotification(n.id));
		const [, kind, id] = /^\/(\w+)\/([\w-]+)/.exec(n.link ?? "") ?? [];
		if (kind === "chats") this.side.views.messages.open(id);
		else if (kind === "orders") this.side.show("orders");
	}

	#remove(id) {
		return this.side.attempt(() => this.side.client.rest.deleteNotification(id));
	}

	#readAll() {
		return this.side.attempt(() => this.side.client.rest.readNotifications());
	}
}
