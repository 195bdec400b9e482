// The page: language, theme, and two people who know nothing of each other but what the server tells them.
import { Side } from "./side.js";
import { badge, h, icon, reconcile } from "./ui.js";
import { language, setLanguage, t } from "./words.js";

const THEME_KEY = "plaza-demo.theme";
const THEMES = [
	["auto", "themeAuto", "auto"],
	["light", "themeLight", "sun"],
	["dark", "themeDark", "moon"],
];
const ACCOUNTS = {
	buyer: [
		["Ana", "ana"],
		["Elena", "elena"],
		["Felix", "felix"],
		["Gloria", "gloria"],
	],
	seller: [
		["Bruno", "bruno", "Casa del Mar"],
		["Carmen", "carmen", "Tecno Centro"],
		["Dennis", "dennis", "Wool and Wood"],
	],
};

// Fetched when the page was installed; without it the library polls.
const mqtt = await import("./mqtt.js").then((m) => m.default).catch(() => null);

const sides = ["buyer", "seller"].map(
	(role) => new Side({ role, mqtt, accounts: ACCOUNTS[role], changed: drawSwitch }),
);
let shown = "buyer";

/** Radio buttons that look like one control with parts. */
function choice(fieldset, label, name, options, value, choose) {
	fieldset.replaceChildren(
		h("legend", { class: "hidden" }, label),
		...options.map(([id, text, picture]) =>
			h(
				"label",
				{ title: text },
				h("input", { type: "radio", name, value: id, checked: id === value, onchange: () => choose(id) }),
				h("span", {}, picture ? icon(picture) : id.toUpperCase(), h("span", { class: "hidden" }, text)),
			),
		),
	);
}

function setTheme(theme) {
	document.documentElement.dataset.theme = theme;
	localStorage.setItem(THEME_KEY, theme);
}

/** Small screens show one of the two at a time; both stay connected. */
function drawSwitch() {
	const place = document.getElementById("switch");
	for (const side of sides) side.element.dataset.shown = String(side.role === shown);
	reconcile(place, sides, {
		key: (side) => side.role,
		sign: (side) => `${side.name} ${language()}`,
		make: (side) =>
			h(
				"button",
				{
					type: "button",
					"data-role": side.role,
					onclick: () => {
						shown = side.role;
						drawSwitch();
						side.looked();
					},
				},
				h("span", {}, t(side.role), side.name ? `: ${side.name}` : ""),
				h("span", { class: "slot" }),
			),
	});
	sides.forEach((side, i) => {
		place.children[i].setAttribute("aria-pressed", String(side.role === shown));
		place.children[i].lastChild.replaceChildren(
			badge(side.waiting, t("unreadMessages", { n: side.waiting })) || "",
		);
	});
}

function draw() {
	document.documentElement.lang = language();
	for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
	choice(
		document.getElementById("language"),
		t("language"),
		"language",
		[
			["en", "English"],
			["es", "Español"],
		],
		language(),
		(id) => {
			setLanguage(id);
			draw();
			document.querySelector(`#language input[value=${id}]`).focus();
		},
	);
	choice(
		document.getElementById("theme"),
		t("theme"),
		"theme",
		THEMES.map(([id, word, picture]) => [id, t(word), picture]),
		document.documentElement.dataset.theme,
		setTheme,
	);
	sides.forEach((side) => side.draw());
	drawSwitch();
}

document.getElementById("sides").append(...sides.map((s) => s.element));
draw();
// The seller's shop is what the buyer sees first: both must be the same trade.
sides[0].other = sides[1];
sides[1].other = sides[0];
await Promise.all(sides.map((s) => s.resume()));
document.documentElement.dataset.ready = "true";
