// One person: signing in, the frame with its tabs, and the client that all its views share.
import { Plaza } from "./plaza/plaza.js";
import { ChatView } from "./chat.js";
import { NoticeView } from "./notices.js";
import { OrderView } from "./orders.js";
import { ShopView } from "./shop.js";
import { avatar, badge, h, icon, money, reconcile, replace } from "./ui.js";
import { language, t } from "./words.js";

const PASSWORD = "plaza-demo-2026"; // of the demonstration data, see sql/demo/ACCOUNTS
const TOAST_MS = 5000;
const TOASTS = 2;
// Steps of an order that the other one takes.
const THEIRS = { buyer: ["confirmed", "delivered"], seller: ["completed", "cancelled"] };
const MODES = [
	["auto", "netAuto"],
	["poll", "netPoll"],
	["off", "netOff"],
];

export class Side {
	#tab;
	#heading;
	#tabs;
	#body;
	#toasts;
	#mode = "auto";
	#offs = [];
	#busy = false;

	constructor({ role, mqtt, accounts, changed }) {
		Object.assign(this, { role, accounts, changed, mqtt, person: null, other: null });
		this.client = new Plaza({
			url: location.origin,
			mqtt,
			storage: sessionStorage,
			name: `plaza-demo.${role}`,
			app: "plaza-demo/0.1",
			device: "demo",
			language: language(),
			// The page may talk to where it came from and nowhere else.
			chooseUrl: () => `${location.origin.replace(/^http/, "ws")}/mqtt`,
		});
		this.views = {
			shop: new ShopView(this),
			messages: new ChatView(this),
			orders: new OrderView(this),
			notices: new NoticeView(this),
		};
		this.#tab = role === "buyer" ? "shop" : "messages";
		this.#heading = h("header", { class: "who" });
		this.#tabs = h("div", { class: "tabs", role: "tablist", onkeydown: (e) => this.#tabKeys(e) });
		this.#body = h("div", { class: "body", role: "tabpanel", id: `${role}-panel`, tabindex: "-1" });
		this.#toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
		this.element = h(
			"section",
			{ class: `side ${role}`, id: role },
			this.#heading,
			this.#tabs,
			this.#body,
			this.#toasts,
		);
		this.client.on("change", (topics) => this.#changed(topics));
		this.client.on("signedout", () => this.#gone());
		document.addEventListener("visibilitychange", () => this.looked());
	}

	get name() {
		return this.person?.name ?? "";
	}

	get waiting() {
		return this.client.store.unreadMessages;
	}

	get tab() {
		return this.#tab;
	}

	/** The shop of a seller: its id and name. */
	get shop() {
		return this.person?.shopId ? { id: this.person.shopId, name: this.person.shopName } : null;
	}

	/** Whether somebody can see what is on this side. */
	get visible() {
		return document.visibilityState === "visible" && this.element.offsetParent !== null;
	}

	looked() {
		this.views[this.#tab].looked?.();
	}

	// ---- signing in ----

	async resume() {
		if (await this.client.resume()) await this.#enter().catch(() => {});
	}

	async #signIn(name) {
		if (this.#busy) return;
		this.#busy = true;
		this.element.setAttribute("aria-busy", "true");
		try {
			await this.client.signIn(`${name}@plaza.example`, PASSWORD, "demo");
			await this.#enter();
			this.#tabs.querySelector("[aria-selected=true]")?.focus();
		} catch (error) {
			this.toast(
				error.code === "invalid-credentials" ? t("signInFails") : t("trouble", { why: error.message }),
				"bad",
			);
		} finally {
			this.#busy = false;
			this.element.removeAttribute("aria-busy");
		}
	}

	async #enter() {
		await this.client.start();
		const { me } = this.client;
		const account = this.accounts.find(([name]) => name === me.name);
		this.person = { ...me, shopName: account?.[2] ?? me.name };
		this.#listen();
		this.client.network(this.#mode);
		Object.values(this.views).forEach((v) => v.enter?.());
		this.draw();
		this.other?.views.shop.sellerChanged(this.shop);
		if (!this.mqtt) this.toast(t("pollingOnly"));
		this.changed();
	}

	#listen() {
		const moved = (d) =>
			THEIRS[this.role].includes(d.status) &&
			this.toast(t("orderMoved", { number: d.number, status: this.views.orders.status(d.status) }));
		this.#offs = [
			this.client.on(
				"order:created",
				(d) =>
					this.role === "seller" && this.toast(t("orderPlaced", { number: d.number, total: money(d.total) })),
			),
			this.client.on("order:updated", moved),
			this.client.on("order:cancelled", moved),
		];
	}

	async #signOut() {
		await this.client.signOut().catch(() => {});
		this.#leave();
		this.element.querySelector(".accounts button")?.focus();
	}

	#gone() {
		this.#leave();
		this.toast(t("signedOut"), "bad");
	}

	#leave() {
		this.#offs.forEach((off) => off());
		this.person = null;
		Object.values(this.views).forEach((v) => v.leave?.());
		this.draw();
		this.changed();
	}

	// ---- drawing ----

	draw() {
		this.client.rest.language = language();
		this.#drawHeading();
		this.#drawTabs();
		if (!this.person) {
			this.#drawAccounts();
			return;
		}
		this.#body.setAttribute("aria-labelledby", `${this.role}-${this.#tab}`);
		this.#body.className = `body in-${this.#tab}`;
		const view = this.views[this.#tab];
		// In its place first: what is nowhere cannot be scrolled.
		this.#body.replaceChildren(view.element);
		view.draw();
		this.looked();
	}

	#drawAccounts() {
		this.#body.className = "body in-accounts";
		this.#body.replaceChildren(
			h(
				"div",
				{ class: "accounts" },
				h("h2", {}, t(this.role === "buyer" ? "signInBuyer" : "signInSeller")),
				h(
					"ul",
					{},
					this.accounts.map(([name, id, shop]) =>
						h(
							"li",
							{},
							h(
								"button",
								{ type: "button", onclick: () => this.#signIn(id), "data-account": id },
								avatar(name),
								h("span", {}, h("strong", {}, name), h("small", {}, shop ?? t("buyer"))),
							),
						),
					),
				),
				h("p", {}, t("signInHint")),
			),
		);
	}

	#drawHeading() {
		const sign = `${this.name} ${language()}`;
		if (this.#heading.dataset.sign !== sign) {
			const next = h(
				"header",
				{ class: "who", "data-sign": sign },
				this.person ? this.#makeHeading() : h("h1", {}, t(this.role)),
			);
			replace(this.#heading, next);
			this.#heading = next;
		}
		const pill = this.#heading.querySelector(".pill");
		if (!pill) return;
		// Changed in place: somebody may be pressing a button beside it just now.
		const { status } = this.client;
		pill.dataset.status = status;
		pill.querySelector(".word").textContent = t(status);
		const select = pill.querySelector("select");
		select.value = this.#mode;
		select.setAttribute("aria-label", `${t("network", { name: this.name })}: ${t(status)}`);
	}

	#makeHeading() {
		return [
			avatar(this.name),
			h(
				"div",
				{ class: "name" },
				h("h1", {}, this.name),
				h("p", {}, this.shop ? `${t("seller")} · ${this.shop.name}` : t("buyer")),
			),
			h(
				"label",
				{ class: "pill", title: t("network", { name: this.name }) },
				h("span", { class: "dot" }),
				h("span", { class: "word" }),
				h(
					"select",
					{ id: `${this.role}-network`, onchange: (e) => this.#setMode(e.target.value) },
					MODES.map(([mode, word]) => h("option", { value: mode }, t(word))),
				),
			),
			h(
				"button",
				{
					type: "button",
					class: "quiet",
					"aria-label": t("signOut"),
					title: t("signOut"),
					onclick: () => this.#signOut(),
				},
				icon("out"),
			),
		];
	}

	#setMode(mode) {
		this.#mode = mode;
		this.client.network(mode);
		this.#drawHeading();
	}

	#tabList() {
		const { store } = this.client;
		return [
			["shop", "bag", t(this.role === "buyer" ? "shop" : "goods"), 0],
			["messages", "chat", t("messages"), store.unreadMessages, t("unreadMessages", { n: store.unreadMessages })],
			["orders", "box", t("orders"), 0],
			[
				"notices",
				"bell",
				t("notices"),
				store.unreadNotifications,
				t("unreadNotices", { n: store.unreadNotifications }),
			],
		];
	}

	#drawTabs() {
		this.#tabs.hidden = !this.person;
		if (!this.person) return;
		this.#tabs.setAttribute("aria-label", this.name);
		const tabs = this.#tabList();
		reconcile(this.#tabs, tabs, {
			key: ([id]) => id,
			sign: () => language(),
			make: ([id, picture, word]) =>
				h(
					"button",
					{
						type: "button",
						role: "tab",
						id: `${this.role}-${id}`,
						"aria-controls": `${this.role}-panel`,
						"data-tab": id,
						onclick: () => this.show(id),
					},
					icon(picture),
					h("span", { class: "word" }, word),
					h("span", { class: "slot" }),
				),
		});
		// Changed in place: somebody may be pressing one just now.
		tabs.forEach(([id, , , n, label], i) => {
			const tab = this.#tabs.children[i];
			tab.setAttribute("aria-selected", String(id === this.#tab));
			tab.tabIndex = id === this.#tab ? 0 : -1;
			tab.lastChild.replaceChildren(badge(n, label) || "");
		});
	}

	#tabKeys(event) {
		const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
		if (!step) return;
		const ids = this.#tabList().map(([id]) => id);
		this.show(ids[(ids.indexOf(this.#tab) + step + ids.length) % ids.length]);
		this.#tabs.querySelector("[aria-selected=true]").focus();
		event.preventDefault();
	}

	show(tab) {
		this.#tab = tab;
		this.draw();
	}

	#changed(topics) {
		if (!this.person) return;
		const all = topics.has("all");
		if (all || topics.has("status")) this.#drawHeading();
		if (all || topics.has("chats") || topics.has("notifications")) this.#drawTabs();
		this.views[this.#tab].changed?.(topics);
		this.changed();
	}

	// ---- words to the user ----

	toast(text, kind = "good") {
		const toast = h("p", { class: `toast ${kind}` }, text);
		this.#toasts.append(toast);
		if (this.#toasts.children.length > TOASTS) this.#toasts.firstElementChild.remove();
		setTimeout(() => toast.remove(), TOAST_MS);
	}

	/** Runs what a button does; a problem is told. */
	async attempt(run) {
		try {
			return await run();
		} catch (error) {
			this.toast(t("trouble", { why: error.title ?? error.message }), "bad");
			return null;
		}
	}
}
