// Elements, lists that change little by little, icons, numbers and times.
import { language } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
	search: "M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13Zm4.7-1.8L20 20",
	bell: "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 2h-15ZM10 21h4",
	chat: "M4 5.5h16v11H10l-4.5 3.6V16.5H4Z",
	bag: "M5.5 8h13l1 12.5h-15ZM9 10.5V7a3 3 0 0 1 6 0v3.5",
	box: "M4 8l8-4 8 4v8.5l-8 4-8-4ZM4 8l8 4 8-4M12 12v8.5",
	back: "M14.5 5.5 8 12l6.5 6.5",
	send: "M4.5 12 20 4.5 15.5 20l-3.5-6ZM12 14l8-9.5",
	clock: "M12 20.5a8.5 8.5 0 1 1 0-17 8.5 8.5 0 0 1 0 17ZM12 7.5V12l3 2",
	check: "M5 12.5 9.5 17 19 7",
	checks: "M2 12.5 6.5 17 15 7.5M11.5 16l1 1L22 7",
	warn: "M12 4 21 19.5H3ZM12 10v4.5M12 17v.1",
	pencil: "M5 19l.8-3.8L15.5 5.5l3 3L8.8 18.2ZM13.5 7.5l3 3",
	trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5",
	out: "M14 5H5v14h9M10 12h10M16.5 8.5 20 12l-3.5 3.5",
	plus: "M12 5v14M5 12h14",
	close: "M6 6l12 12M18 6 6 18",
	sun: "M12 16a4 4 0 1 1 0-8 4 4 0 0 1 0 8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
	moon: "M19.5 14.5A8 8 0 1 1 9.5 4.5a6.5 6.5 0 0 0 10 10Z",
	auto: "M4 5h16v11H4ZM9 20h6M12 16v4",
};

/** h("button", { class: "big", onclick }, "text", child): what is null or false is left out. */
export function h(tag, props = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === null || value === undefined || value === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "dataset") Object.assign(element.dataset, value);
		else element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
	return element;
}

export function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	const path = document.createElementNS(SVG, "path");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("class", "icon");
	svg.setAttribute("aria-hidden", "true");
	path.setAttribute("d", ICONS[name]);
	svg.append(path);
	return svg;
}

/** The keyboard stays where it was. */
export function replace(element, next) {
	const places = (e) => [...e.querySelectorAll("button, select, [tabindex]")];
	const focus = places(element).indexOf(document.activeElement);
	element.replaceWith(next);
	if (focus >= 0) places(next)[focus]?.focus();
}

/**
 * Makes the children of `parent` those of `items`. What has the same key and the same sign stays as it is, so that
 * focus stays and a screen reader hears only what is new.
 */
export function reconcile(parent, items, { key, sign, make }) {
	const had = new Map([...parent.children].map((e) => [e.dataset.key, e]));
	let place = parent.firstElementChild;
	for (const item of items) {
		const k = key(item);
		const s = String(sign(item));
		let element = had.get(k);
		had.delete(k);
		if (!element || element.dataset.sign !== s) {
			const next = make(item);
			Object.assign(next.dataset, { key: k, sign: s });
			if (element) {
				if (element === place) place = next;
				replace(element, next);
			}
			element = next;
		}
		if (element === place) place = place.nextElementSibling;
		else parent.insertBefore(element, place);
	}
	for (const gone of had.values()) gone.remove();
}

/** Spanish as in Ecuador, where the demonstration's shops are: the dollar is the money of the house. */
const locale = () => (language() === "es" ? "es-EC" : "en-GB");

export function money({ amount, currency = "USD" }) {
	return new Intl.NumberFormat(locale(), { style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(
		amount / 100,
	);
}

export function clockTime(text) {
	return new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(
		new Date(text),
	);
}

export function day(text) {
	const date = new Date(text);
	const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
	if (days < 2) return new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(-days, "day");
	return new Intl.DateTimeFormat(locale(), { day: "numeric", month: "long" }).format(date);
}

/** The time of today, else the day. */
export function when(text) {
	const date = new Date(text);
	if (date.toDateString() === new Date().toDateString()) return clockTime(text);
	return new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short" }).format(date);
}

const TINTS = 6;

/** A circle with the first letter; the same person always has the same colour. */
export function avatar(name, ...more) {
	const tint = [...(name ?? "")].reduce((n, c) => (n * 13 + c.codePointAt(0)) % 997, 0) % TINTS;
	return h("span", { class: "avatar", "data-tint": tint, "aria-hidden": "true" }, (name ?? "?").slice(0, 1), ...more);
}

export function badge(n, label) {
	return n > 0 && h("span", { class: "badge", "aria-label": label }, n > 99 ? "99+" : String(n));
}

export function empty(name, text) {
	return h("p", { class: "empty" }, icon(name), text);
}
