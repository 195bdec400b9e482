// The catalogue: search, categories, one product. A seller sees the own products.
import { empty, h, icon, money } from "./ui.js";
import { language, t } from "./words.js";

const PAGE = 18;
const PAUSE_MS = 250;

export class ShopView {
	#items = [];
	#next = null;
	#categories = [];
	#category = "";
	#onlyThis = true;
	#seller = null;
	#text = "";
	#product = null;
	#timer;
	#asked = 0;
	#grid = h("ul", { class: "grid" });
	#more = h("button", { type: "button", class: "wide", onclick: () => this.#load(true) });
	#told = h("p", { class: "hidden", role: "status" });

	constructor(side) {
		this.side = side;
		this.element = h("div", { class: "view shop" });
	}

	async enter() {
		this.#product = null;
		this.#seller = this.side.shop ?? this.side.other?.shop ?? null;
		this.#categories =
			(await this.side.attempt(() => this.side.client.rest.categories({ limit: 100 })))?.items ?? [];
		this.draw();
		await this.#load();
	}

	leave() {
		this.#items = [];
		this.#product = null;
	}

	/** The buyer's shop begins with what the person on the other side sells. */
	sellerChanged(shop) {
		if (this.side.role !== "buyer" || shop?.id === this.#seller?.id) return;
		this.#seller = shop;
		if (this.side.person) {
			this.draw();
			this.#load();
		}
	}

	async #load(more = false) {
		const asked = ++this.#asked;
		const { rest } = this.side.client;
		const query = {
			limit: PAGE,
			category: this.#category,
			cursor: more ? this.#next : undefined,
			shop: this.#seller && (this.#onlyThis || this.side.role === "seller") ? this.#seller.id : undefined,
		};
		const page = await this.side.attempt(() =>
			this.#text ? rest.search({ ...query, q: this.#text }) : rest.products(query),
		);
		// An answer that comes late is an answer to another question.
		if (!page || asked !== this.#asked) return;
		this.#items = more ? [...this.#items, ...page.items] : page.items;
		this.#next = page.nextCursor;
		this.#drawItems();
	}

	draw() {
		if (this.#product) {
			this.#drawProduct();
			return;
		}
		const buyer = this.side.role === "buyer";
		const es = language() === "es";
		this.#more.textContent = t("more");
		this.element.replaceChildren(
			h(
				"form",
				{ class: "find", role: "search", onsubmit: (e) => e.preventDefault() },
				h(
					"label",
					{ class: "field" },
					icon("search"),
					h("span", { class: "hidden" }, t("search")),
					h("input", {
						type: "search",
						placeholder: t("searchHint"),
						value: this.#text,
						oninput: (e) => this.#typed(e.target.value),
					}),
				),
				h(
					"select",
					{
						"aria-label": t("allCategories"),
						onchange: (e) => this.#choose(() => (this.#category = e.target.value)),
					},
					h("option", { value: "" }, t("allCategories")),
					this.#categories.map((c) =>
						h(
							"option",
							{ value: c.id, selected: c.id === this.#category },
							`${c.parentId ? "\u2003" : ""}${(es && c.nameEs) || c.name}`,
						),
					),
				),
				buyer &&
					this.#seller &&
					h(
						"div",
						{ class: "chips" },
						[
							[true, this.#seller.name],
							[false, t("allShops")],
						].map(([only, word]) =>
							h(
								"button",
								{
									type: "button",
									class: "chip",
									"aria-pressed": String(this.#onlyThis === only),
									onclick: () => this.#choose(() => (this.#onlyThis = only), true),
								},
								word,
							),
						),
					),
			),
			this.#told,
			this.#grid,
			this.#more,
		);
		this.#drawItems();
	}

	#choose(set, redraw = false) {
		set();
		if (redraw) {
			this.draw();
			this.element.querySelector(".chip[aria-pressed=true]")?.focus();
		}
		this.#load();
	}

	#typed(text) {
		this.#text = text.trim();
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#load(), PAUSE_MS);
	}

	#drawItems() {
		this.#more.hidden = !this.#next;
		this.#told.textContent = t("results", { n: this.#items.length });
		this.#grid.replaceChildren(
			...this.#items.map((p) =>
				h(
					"li",
					{},
					h(
						"button",
						{ type: "button", class: "card", "data-product": p.id, onclick: () => this.open(p.id) },
						this.#picture(p.image?.thumbUrl, p.title),
						h("span", { class: "title" }, p.title),
						h("span", { class: "price" }, money(p.price)),
						h(
							"span",
							{ class: "note" },
							p.inStock ? t(p.condition) : h("em", {}, t("soldOut")),
							this.#onlyThis ? "" : ` · ${p.shop.name}`,
						),
					),
				),
			),
		);
		if (this.#items.length === 0) this.#grid.append(h("li", { class: "all" }, empty("search", t("nothingFound"))));
	}

	#picture(url, title) {
		return h(
			"span",
			{ class: "picture" },
			url ? h("img", { src: url, alt: t("pictureOf", { title }), loading: "lazy" }) : icon("bag"),
		);
	}

	async open(id) {
		this.#product = await this.side.attempt(() => this.side.client.rest.product(id));
		if (this.side.tab !== "shop") this.side.show("shop");
		else this.draw();
		this.element.querySelector(".backward")?.focus();
	}

	#drawProduct() {
		const p = this.#product;
		const mine = p.sellerId === this.side.person?.id;
		const image = p.images[0];
		const description = p.description.startsWith(p.title)
			? p.description.slice(p.title.length).replace(/^[,.\s]+/, "")
			: p.description;
		this.element.replaceChildren(
			h(
				"button",
				{ type: "button", class: "backward", onclick: () => this.#close(p.id) },
				icon("back"),
				t("back"),
			),
			h(
				"article",
				{ class: "product" },
				this.#picture(image?.url, p.title),
				h(
					"div",
					{ class: "about" },
					h("p", { class: "note" }, `${p.shop.name} · ${p.category.name}`),
					h("h2", {}, p.title),
					h("p", { class: "price" }, money(p.price)),
					h("p", {}, description.slice(0, 1).toUpperCase() + description.slice(1)),
					h(
						"p",
						{ class: "note" },
						`${t(p.condition)} · `,
						p.stock > 0 ? t("inStock", { n: p.stock }) : t("soldOut"),
					),
					!mine &&
						h(
							"div",
							{ class: "actions" },
							h(
								"button",
								{
									type: "button",
									class: "main buy",
									disabled: p.stock === 0,
									onclick: (e) => this.#buy(e.target),
								},
								icon("bag"),
								t("buy"),
							),
							h(
								"button",
								{ type: "button", class: "second ask", onclick: () => this.#ask() },
								icon("chat"),
								t("ask"),
							),
						),
				),
			),
		);
	}

	#close(id) {
		this.#product = null;
		this.draw();
		this.element.querySelector(`[data-product="${id}"]`)?.focus();
	}

	async #ask() {
		const chat = await this.side.attempt(() => this.side.client.openChat({ productId: this.#product.id }));
		if (chat) this.side.views.messages.open(chat.id);
	}

	async #buy(button) {
		button.disabled = true;
		const purchase = {
			items: [{ productId: this.#product.id, quantity: 1 }],
			payment: { method: "mock", token: "tok_success" },
		};
		const group = await this.side.attempt(() =>
			this.side.client.rest.order({ ...purchase, expectedTotal: this.#product.price }),
		);
		button.disabled = false;
		if (!group) return;
		this.side.toast(t("sold", { number: group.orders[0].number, total: money(group.total) }));
		this.#product = null;
		this.side.show("orders");
	}
}
