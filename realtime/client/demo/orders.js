// Orders of a buyer, or of a seller's shop, and the next step of each.
import { empty, h, money, reconcile, when } from "./ui.js";
import { language, t } from "./words.js";

const PAGE = 20;
// Where a word means something else elsewhere on the page.
const STATUS = { pending: "pendingOrder", delivered: "deliveredOrder" };
const STEPS = {
	buyer: { payment_confirmed: [["orderCancel", "cancelOrder"]], delivered: [["orderComplete", "complete"]] },
	seller: {
		payment_confirmed: [
			["orderConfirm", "confirm"],
			["orderCancel", "cancelOrder"],
		],
		confirmed: [["orderDelivered", "markDelivered"]],
	},
};

export class OrderView {
	#orders = new Map();
	#loaded = false;
	#list = h("ul", { class: "rows" });

	constructor(side) {
		this.side = side;
		this.element = h("div", { class: "view orders" }, this.#list);
		side.client.on("event", (e) => e.t.startsWith("order:") && this.#event(e.d));
		side.client.on("reload", () => this.#load());
	}

	enter() {
		this.#load();
	}

	leave() {
		this.#orders.clear();
		this.#loaded = false;
	}

	status(name) {
		return t(STATUS[name] ?? name);
	}

	async #load() {
		const page = await this.side.attempt(() => this.side.client.rest.orders({ as: this.side.role, limit: PAGE }));
		if (!page) return;
		this.#orders = new Map(page.items.map((o) => [o.id, o]));
		this.#loaded = true;
		this.draw();
	}

	/** An event tells the state; what was bought is read. */
	#event(d) {
		const had = this.#orders.get(d.orderId);
		if (!this.side.person || (had && had.version >= d.version)) return;
		if (had) {
			this.#orders.set(had.id, { ...had, status: d.status, version: d.version });
			this.draw();
		} else if (this.#loaded) {
			this.#load();
		}
	}

	draw() {
		const orders = [...this.#orders.values()].sort((a, b) => b.number - a.number);
		reconcile(this.#list, orders, {
			key: (o) => o.id,
			sign: (o) => `${o.version} ${language()}`,
			make: (o) => this.#row(o),
		});
		if (orders.length === 0 && this.#loaded)
			this.#list.replaceChildren(h("li", { class: "all" }, empty("box", t("noOrders"))));
	}

	#row(o) {
		const steps = STEPS[this.side.role][o.status] ?? [];
		return h(
			"li",
			{ class: "order", "data-status": o.status },
			h(
				"div",
				{ class: "line" },
				h("h2", {}, t("order", { number: o.number })),
				h("span", { class: "state" }, this.status(o.status)),
			),
			h("p", {}, o.items.map((i) => (i.quantity > 1 ? `${i.quantity} × ${i.title}` : i.title)).join(", ")),
			h(
				"div",
				{ class: "line" },
				h("p", {}, h("strong", {}, money(o.total)), h("span", { class: "note" }, ` · ${when(o.createdAt)}`)),
				h(
					"div",
					{ class: "actions" },
					steps.map(([method, word], i) =>
						h(
							"button",
							{
								type: "button",
								class: i === 0 && method !== "orderCancel" ? "main" : "second",
								onclick: (e) => this.#step(e.target, method, o.id),
							},
							t(word),
						),
					),
				),
			),
		);
	}

	async #step(button, method, id) {
		button.disabled = true;
		const order = await this.side.attempt(() => this.side.client.rest[method](id));
		button.disabled = false;
		if (!order) return;
		this.#orders.set(id, order);
		this.draw();
		this.#list.querySelector(`[data-key="${id}"] button`)?.focus();
	}
}
