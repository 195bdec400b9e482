// The demonstration page in Chromium: two people on one page, with a mouse and with keys only, in both languages and
// themes, wide and narrow. PLAZA_RUN is the folder of a stack with demonstration data, PLAZA_SHOTS one for pictures.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";
import { env, sql } from "./rig.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 390, height: 844, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const PATIENCE_MS = 30_000;
const shots = process.env.PLAZA_SHOTS;
const faults = [];
let browser,
	page,
	number = 0;
const word = () => `Line ${++number} of ${process.pid}`;

before(async () => {
	if (shots) mkdirSync(shots, { recursive: true });
	browser = await puppeteer.launch({
		executablePath: "/usr/bin/chromium",
		args: ["--no-sandbox", "--disable-gpu", "--lang=en"],
	});
	page = await browser.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	page.on("console", (m) => ["error", "warn"].includes(m.type()) && faults.push(`${m.type()}: ${m.text()}`));
	page.on("pageerror", (e) => faults.push(`page: ${e.stack ?? e}`));
	page.on(
		"requestfailed",
		(r) =>
			r.failure().errorText !== "net::ERR_ABORTED" && faults.push(`request: ${r.url()} ${r.failure().errorText}`),
	);
	await page.evaluateOnNewDocument(() => {
		document.addEventListener("securitypolicyviolation", (e) =>
			console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`),
		);
	});
	await page.setViewport(WIDE);
	await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
	// As a visitor on the first day: the same conversations and nothing left from another run.
	await page.goto(`${env.BASE_URL}/demo`);
	await page.waitForSelector("html[data-ready]");
});
after(() => browser?.close());

const shot = (name) => shots && page.screenshot({ path: `${shots}/${name}.png` });
const text = (selector) => page.$eval(selector, (e) => e.textContent.trim());
const texts = (selector) => page.$$eval(selector, (all) => all.map((e) => e.textContent.trim()));
const has = (selector, wanted) =>
	page.waitForFunction(
		(s, w) => [...document.querySelectorAll(s)].some((e) => e.textContent.includes(w)),
		{},
		selector,
		wanted,
	);
const tab = (side, name) => page.click(`#${side} [data-tab=${name}]`);
const last = (side) => `#${side} .log .bubble:last-child`;
const tick = (side, body, state) =>
	page.waitForFunction(
		(s, b, w) => {
			const bubble = [...document.querySelectorAll(`#${s} .bubble`)].find(
				(e) => e.querySelector(".said")?.textContent === b,
			);
			return bubble?.dataset.status === w;
		},
		{},
		side,
		body,
		state,
	);
const status = (side, wanted) => page.waitForSelector(`#${side} .pill[data-status=${wanted}]`);
const noSideways = async (where) => {
	const wide = await page.evaluate(() =>
		[document.documentElement, ...document.querySelectorAll(".side, .body, .scroll, .chats")]
			.filter((e) => e.offsetParent !== null || e === document.documentElement)
			.filter((e) => e.scrollWidth > e.clientWidth + 1)
			.map((e) => `${e.tagName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`),
	);
	assert.deepEqual(wide, [], where);
};

/** What axe finds: names, roles, order of headings, contrast. */
const accessible = async (where) => {
	await page.evaluate(AXE);
	const found = await page.evaluate(async () => {
		// An animation on its way has no colour of its own.
		await Promise.all(
			document
				.getAnimations()
				.filter((a) => a.effect.getTiming().iterations === 1)
				.map((a) => a.finished.catch(() => {})),
		);
		const { violations } = await axe.run({ exclude: [".doing"] }, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] });
		return violations.map(
			(v) =>
				`${v.id}: ${v.nodes
					.slice(0, 3)
					.map((n) => `${n.target} ${n.any[0]?.message ?? ""}`)
					.join(" | ")}`,
		);
	});
	assert.deepEqual(found, [], where);
};

test("the demonstration accounts are chosen with buttons", async () => {
	await shot("01-welcome");
	await accessible("welcome");
	await page.click("#buyer [data-account=ana]");
	await page.click("#seller [data-account=bruno]");
	await Promise.all([status("buyer", "live"), status("seller", "live")]);
	assert.deepEqual([await text("#buyer h1"), await text("#seller h1")], ["Ana", "Bruno"]);
	await accessible("signed in");
});

test("the catalogue shows pictures and is searched while one types", async () => {
	await page.waitForFunction(() => document.querySelectorAll("#buyer .card img").length >= 8);
	await page.waitForFunction(() =>
		[...document.querySelectorAll("#buyer .card img")].slice(0, 4).every((i) => i.complete && i.naturalWidth > 0),
	);
	await shot("02-shop");
	await page.type("#buyer input[type=search]", "coffe maker");
	await page.waitForFunction(() =>
		document.querySelector("#buyer .card .title")?.textContent.toLowerCase().includes("coffee maker"),
	);
	await page.waitForFunction(() => document.activeElement.type === "search", {}, "the field keeps the focus");
	await noSideways("shop");
});

let unreadNotices;
test("a question about a product opens a conversation on both sides", async () => {
	unreadNotices = Number(
		await page.evaluate(() => document.querySelector("#seller [data-tab=notices] .badge")?.textContent ?? 0),
	);
	await page.$eval("#buyer .card", (e) => e.click());
	await page.waitForSelector("#buyer .product h2");
	await shot("03-product");
	const title = await text("#buyer .product h2");
	await page.click("#buyer .ask");
	await page.waitForSelector("#buyer .composer textarea");
	assert.equal(await text("#buyer .thread .peer h2"), "Bruno");
	await page.keyboard.type("Hello"); // the field has the focus
	await page.keyboard.press("Enter");
	await has("#seller .chat .note", title);
	await page.evaluate(
		(t) => [...document.querySelectorAll("#seller .chat")].find((e) => e.textContent.includes(t)).click(),
		title,
	);
	await page.waitForSelector("#seller .composer textarea");
});

test("typing on the left shows on the right, and the message is read there", async () => {
	const body = word();
	await page.type("#buyer .composer textarea", body);
	await has("#seller .types", "Ana is typing");
	await shot("04-typing");
	await page.keyboard.press("Enter");
	await has("#seller .said", body);
	await tick("buyer", body, "read");
	assert.equal(await text("#seller .types"), "");
	await page.waitForSelector("#buyer .thread .note[data-presence=online]");
	const answer = word();
	await page.type("#seller .composer textarea", answer);
	await page.keyboard.press("Enter");
	await has("#buyer .said", answer);
	await tick("seller", answer, "read");
	await shot("05-chat");
	await accessible("chat");
});

test("what nobody looks at is delivered, counted, and read when it is opened", async () => {
	await tab("seller", "orders");
	const body = word();
	await page.type("#buyer .composer textarea", body);
	await page.keyboard.press("Enter");
	await tick("buyer", body, "delivered");
	await page.waitForFunction(
		() => Number(document.querySelector("#seller [data-tab=messages] .badge")?.textContent) >= 1,
	);
	const before = Number(await text("#seller [data-tab=messages] .badge"));
	await tab("seller", "messages");
	await tick("buyer", body, "read");
	await page.waitForFunction(
		(n) => Number(document.querySelector("#seller [data-tab=messages] .badge")?.textContent ?? 0) === n - 1,
		{},
		before,
	);
});

test("a message is changed and removed while it is unread, and not after", async () => {
	await tab("seller", "orders");
	const bodies = [word(), word()];
	for (const body of bodies) {
		await page.type("#buyer .composer textarea", body);
		await page.keyboard.press("Enter");
		await tick("buyer", body, "delivered");
	}
	await page.$eval(`${last("buyer")} [aria-label=Remove]`, (b) => b.click());
	await has("#buyer .said em", "removed");
	await page.$eval("#buyer .bubble:nth-last-child(2) [aria-label=Edit]", (b) => b.click());
	assert.equal(await page.$eval("#buyer .composer textarea", (e) => e.value), bodies[0]);
	await page.keyboard.type(", changed");
	await page.keyboard.press("Enter");
	await tab("seller", "messages");
	await has("#seller .said", `${bodies[0]}, changed`);
	await tick("buyer", `${bodies[0]}, changed`, "read");
	assert.equal(await page.$("#buyer .bubble:nth-last-child(2) [aria-label=Edit]"), null);
});

test("without MQTT it goes on by polling, without a network it waits", async () => {
	await page.select("#seller-network", "poll");
	await status("seller", "polling");
	const bodies = [word(), word(), word()];
	await page.type("#buyer .composer textarea", bodies[0]);
	await page.keyboard.press("Enter");
	await has("#seller .said", bodies[0]);
	await page.select("#seller-network", "off");
	await status("seller", "offline");
	await page.type("#seller .composer textarea", bodies[1]);
	await page.keyboard.press("Enter");
	await tick("seller", bodies[1], "pending");
	await page.type("#buyer .composer textarea", bodies[2]);
	await page.keyboard.press("Enter");
	await tick("buyer", bodies[2], "sent");
	await shot("06-offline");
	await accessible("offline");
	await page.select("#seller-network", "auto");
	await status("seller", "live");
	await has("#buyer .said", bodies[1]);
	await has("#seller .said", bodies[2]);
	await tick("seller", bodies[1], "read");
});

test("a feed that begins anew is loaded again, with what is on the screen", async () => {
	const shown = (await texts("#seller .said")).slice(-5);
	sql(
		`UPDATE feed_head SET epoch = '${Date.now().toString(36)}' WHERE account_id = (SELECT id FROM account WHERE username = 'bruno')`,
	);
	const body = word();
	await page.type("#buyer .composer textarea", body);
	await page.keyboard.press("Enter");
	await has("#seller .said", body);
	await tick("buyer", body, "read");
	await has("#seller .said", shown[0]);
	assert.deepEqual((await texts("#seller .said")).slice(-6), [...shown, body]);
});

test("an order on the left is there on the right, and its steps go back and forth", async () => {
	await tab("seller", "orders");
	await page.click("#buyer .thread .chip");
	await page.waitForSelector("#buyer .buy:enabled");
	await page.click("#buyer .buy");
	await has("#buyer .toast", "placed");
	const order = (await text("#buyer .toast")).match(/Order (\d+)/)[1];
	await has("#seller .toast", `New order ${order}`);
	await has("#seller .order h2", `Order ${order}`);
	const row = (side) => `#${side} .order:first-child`;
	assert.ok((await text(`${row("seller")} h2`)).includes(order));
	await shot("07-orders");
	await accessible("orders");
	await page.click(`${row("seller")} .main`);
	await has(`${row("buyer")} .state`, "Confirmed");
	await page.click(`${row("seller")} .main`);
	await has(`${row("buyer")} .state`, "Delivered");
	await page.click(`${row("buyer")} .main`);
	await has(`${row("seller")} .state`, "Completed");
});

test("the bell counts, opens what it tells of, and is cleared", async () => {
	const notice = `Notice ${process.pid}`;
	sql(
		`SELECT notify((SELECT id FROM account WHERE username = 'bruno'), 'order.paid', '${notice}', 'Paid', NULL, 'normal')`,
	);
	await page.waitForFunction(
		(n) => Number(document.querySelector("#seller [data-tab=notices] .badge")?.textContent ?? 0) > n,
		{},
		unreadNotices,
	);
	await tab("seller", "notices");
	await has("#seller .notice strong", notice);
	await shot("08-notifications");
	await accessible("notifications");
	await page.click("#seller .notices > .wide");
	await page.waitForFunction(() => !document.querySelector("#seller [data-tab=notices] .badge"));
});

test("the page speaks Spanish and remembers it", async () => {
	await page.click("#language input[value=es]");
	assert.deepEqual(await texts("#buyer .tabs .word"), ["Tienda", "Mensajes", "Pedidos", "Avisos"]);
	assert.equal(await page.$eval("html", (e) => e.lang), "es");
	const words = await page.evaluate(() =>
		[...document.querySelectorAll(".top, .who, .tabs, .body")].map((e) => e.innerText).join(" "),
	);
	assert.doesNotMatch(words, /\b(Messages|Orders|Delivered|Show more|undefined|null)\b/);
	await tab("buyer", "shop");
	await page.$eval("#buyer .backward", (b) => b.click()).catch(() => {});
	await tab("seller", "messages");
	await page.$eval("#buyer input[type=search]", (e) => {
		e.value = "";
		e.dispatchEvent(new Event("input"));
	});
	await page.waitForFunction(() => document.querySelectorAll("#buyer .card").length >= 8);
	await shot("09-spanish");
	await page.reload();
	await page.waitForSelector("html[data-ready]");
	await Promise.all([status("buyer", "live"), status("seller", "live")]);
	assert.equal(await text("#buyer [data-tab=orders]"), "Pedidos", "still signed in, still Spanish");
});

test("dark and light follow the system or the switch", async () => {
	const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const light = await paper();
	await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
	const dark = await paper();
	assert.notEqual(dark, light);
	await page.click("#theme input[value=light]");
	assert.equal(await paper(), light);
	await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
	await page.click("#theme input[value=dark]");
	assert.equal(await paper(), dark);
	await tab("seller", "messages");
	await page.$eval("#seller .chat", (e) => e.click());
	await page.waitForSelector("#seller .bubble");
	await shot("10-dark");
	await accessible("dark, shop and chat");
	await tab("buyer", "orders");
	await tab("seller", "notices");
	await page.waitForSelector("#buyer .order");
	await accessible("dark, orders and notifications");
	await shot("11-dark-orders");
});

test("keys alone are enough", async () => {
	await page.reload();
	await page.waitForSelector("html[data-ready]");
	await status("seller", "live");
	const focus = () =>
		page.evaluate(() => {
			const e = document.activeElement;
			return {
				id: e.id,
				tag: e.tagName,
				text: e.textContent.trim().slice(0, 40),
				inSeller: Boolean(e.closest("#seller")),
				tab: e.dataset.tab,
				chat: e.classList.contains("chat"),
			};
		});
	const press = async (key, fits, most = 80) => {
		for (let i = 0; i < most; i++) {
			await page.keyboard.press(key);
			if (fits(await focus())) return;
		}
		assert.fail(`${key} does not lead there, but to ${JSON.stringify(await focus())}`);
	};
	await page.keyboard.press("Tab");
	assert.match((await focus()).text, /Ir a las dos personas/);
	await press("Tab", (f) => f.inSeller && f.tab);
	await press("ArrowRight", (f) => f.tab === "orders", 4);
	await press("ArrowLeft", (f) => f.tab === "messages", 4);
	await page.waitForSelector("#seller .chat");
	await press("Tab", (f) => f.chat);
	await page.keyboard.press("Enter");
	await page.waitForFunction(() => document.activeElement.tagName === "TEXTAREA");
	const body = word();
	await page.keyboard.type(body);
	await page.keyboard.down("Shift");
	await page.keyboard.press("Enter");
	await page.keyboard.up("Shift");
	await page.keyboard.type("second line");
	await page.keyboard.press("Enter");
	await has("#seller .own .said", body);
	assert.equal(await text(`${last("seller")} .said`), `${body}\nsecond line`);
	assert.equal((await focus()).tag, "TEXTAREA", "ready for the next one");
});

test("on a telephone one side is shown at a time, and nothing runs out sideways", async () => {
	await page.setViewport(NARROW);
	await page.reload();
	await page.waitForSelector("html[data-ready]");
	await Promise.all(["buyer", "seller"].map((s) => page.waitForSelector(`#${s} .pill[data-status=live]`)));
	await page.waitForFunction(() => document.querySelectorAll("#buyer .card img").length >= 4);
	assert.equal(await page.$eval("#seller", (e) => e.offsetParent), null);
	await page.waitForFunction(() =>
		[...document.querySelectorAll("#buyer .card img")].slice(0, 4).every((i) => i.naturalWidth > 0),
	);
	await shot("12-phone-dark-shop");
	for (const side of ["buyer", "seller"]) {
		await page.click(`#switch [data-role=${side}]`);
		for (const name of ["shop", "orders", "notices", "messages"]) {
			await tab(side, name);
			await noSideways(`${side} ${name}`);
		}
	}
	await page.click("#theme input[value=light]");
	await page.waitForSelector("#seller .chat");
	await shot("13-phone-list");
	await page.tap("#seller .chat");
	await page.waitForSelector("#seller .bubble");
	await noSideways("thread");
	await shot("14-phone-thread");
	await accessible("phone");
	await page.tap("#seller .thread .backward");
	await page.waitForSelector("#seller .chat");
});

test("two tabs of one session take turns, and nobody is put off", async () => {
	await page.setViewport(WIDE);
	await page.reload();
	await page.waitForSelector("html[data-ready]");
	await status("buyer", "live");
	const kept = await page.evaluate(() => Object.entries(sessionStorage));
	const other = await browser.newPage();
	await other.evaluateOnNewDocument((entries) => {
		for (const [key, value] of entries) sessionStorage.setItem(key, value);
	}, kept);
	await other.goto(`${env.BASE_URL}/demo/`);
	await other.waitForSelector("#buyer .pill[data-status=polling]");
	const body = word();
	await page.bringToFront();
	await tab("buyer", "messages");
	await page.$eval("#buyer .chat", (e) => e.click());
	await page.waitForSelector("#buyer .composer textarea");
	await page.type("#buyer .composer textarea", body);
	await page.keyboard.press("Enter");
	await has("#buyer .own .said", body);
	await other.bringToFront();
	await other.click("#buyer [data-tab=messages]");
	await other.waitForFunction(
		(b) => [...document.querySelectorAll("#buyer .preview")].some((e) => e.textContent.includes(b)),
		{ timeout: PATIENCE_MS },
		body,
	);
	assert.equal(await page.$eval("#buyer .pill", (e) => e.dataset.status), "live");
	await page.goto("about:blank");
	await other.waitForSelector("#buyer .pill[data-status=live]", { timeout: PATIENCE_MS });
	await other.close();
	await page.goto(`${env.BASE_URL}/demo/`);
	await page.waitForSelector("html[data-ready]");
});

test("without MQTT.js the page polls", async () => {
	const poor = await (await browser.createBrowserContext()).newPage();
	poor.setDefaultTimeout(PATIENCE_MS);
	await poor.setRequestInterception(true);
	poor.on("request", (r) => (r.url().endsWith("/demo/mqtt.js") ? r.respond({ status: 404 }) : r.continue()));
	await poor.setViewport(WIDE);
	await poor.goto(`${env.BASE_URL}/demo/`);
	await poor.waitForSelector("html[data-ready]");
	for (const name of ["elena", "bruno"]) await poor.click(`[data-account=${name}]`);
	for (const side of ["buyer", "seller"]) await poor.waitForSelector(`#${side} .pill[data-status=polling]`);
	await poor.waitForNetworkIdle(); // the catalogue is that of the seller once there is one
	await poor.waitForSelector("#buyer .card");
	await poor.$eval("#buyer .card", (e) => e.click());
	await (await poor.waitForSelector("#buyer .ask")).click();
	await poor.waitForSelector("#buyer .composer textarea");
	const body = word();
	await poor.type("#buyer .composer textarea", body);
	await poor.keyboard.press("Enter");
	await poor.waitForFunction(
		(b) => [...document.querySelectorAll("#seller .preview")].some((e) => e.textContent.includes(b)),
		{},
		body,
	);
	await poor.browserContext().close();
});

test("signing out ends it", async () => {
	await page.setViewport(WIDE);
	await page.reload();
	await page.waitForSelector("html[data-ready]");
	for (const side of ["buyer", "seller"]) {
		await page.click(`#${side} .who .quiet`);
		await page.waitForSelector(`#${side} [data-account]`);
	}
	const left = await page.evaluate(() => Object.keys(sessionStorage));
	assert.deepEqual(left, []);
});

test("the console is empty and no policy was broken", () => {
	assert.deepEqual(faults, []);
});
