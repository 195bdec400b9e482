// A whole trade between two people who use other people's clients: shop.mjs RUN_DIR
// The buyer has MQTT.js over WebSocket behind the web server, the seller mosquitto_sub and mosquitto_pub over TCP.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { User } from "./client.mjs";
import { finish, step } from "./report.mjs";

const env = Object.fromEntries(readFileSync(`${process.argv[2]}/env`, "utf8").split("\n").filter(Boolean)
	.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
const base = env.BASE_URL;
const broker = [env.MQTT_HOST, env.MQTT_PORT];
const money = { method: "mock", token: "tok_success" };
const key = () => ({ "idempotency-key": randomUUID() });

// A word that no other product has, so that what is found is ours.
const letters = (n) => Array.from({ length: n }, () => "bcdfghklmnprstvz"[Math.floor(Math.random() * 16)] + "aeio"[Math.floor(Math.random() * 4)]).join("");
const rare = letters(5);
const misspelt = rare.slice(0, 4) + rare.slice(5);

const [buyer, seller, rival] = await step("two buyers and a seller register", async () =>
	Promise.all([new User(base).register("client"), new User(base).register("seller"), new User(base).register("client")]));

const product = await step("the seller lists a product", async () => {
	const categories = await seller.ask("GET", "/categories");
	return seller.ask("POST", "/products", {
		categoryId: categories.items[0].id, title: `Blue ${rare} vase`, description: "The last one.",
		price: { amount: 4200, currency: "USD" }, stock: 1,
	}, key());
});

const upload = (bytes) => {
	const form = new FormData();
	form.append("image", new Blob([bytes], { type: "image/jpeg" }), "vase.jpg");
	form.append("alt", "A blue vase");
	return form;
};

await step("a picture is uploaded and served by the web server", async () => {
	const shown = await seller.ask("GET", "/search?q=headphones&limit=1");
	const other = await fetch(base + shown.items[0].image.url);
	assert.deepEqual([other.status, other.headers.get("content-type")], [200, "image/jpeg"]);
	const image = await seller.ask("POST", `/products/${product.id}/images`, upload(await other.arrayBuffer()));
	for (const url of [image.url, image.thumbUrl]) {
		const served = await fetch(base + url);
		assert.equal(served.status, 200, url);
		assert.match(served.headers.get("content-type"), /^image\//);
		assert.ok((await served.arrayBuffer()).byteLength > 500);
	}
	const read = await buyer.ask("GET", `/products/${product.id}`);
	assert.deepEqual(read.images.map((i) => i.alt), ["A blue vase"]);
	const text = new TextEncoder().encode("<script>alert(1)</script>");
	await seller.refused(422, "invalid-image", "POST", `/products/${product.id}/images`, upload(text));
});

await step("the buyer finds it by a misspelt word", async () => {
	const found = await new User(base).ask("GET", `/search?q=${misspelt}`);
	assert.equal(found.items[0]?.id, product.id, `${misspelt} for ${rare}`);
	const read = await buyer.ask("GET", `/products/${product.id}`);
	assert.deepEqual([read.stock, read.price.amount], [1, 4200]);
});

const sellerPhone = await step("both connect, each with a client of their own", async () => {
	await buyer.connect();
	await seller.listen(...broker);
	assert.ok(seller.session.subscribe.some((t) => t.startsWith(`s/${seller.me.shopId}/`)));
	return seller.again();
});

await step("nobody may subscribe to the other's inbox", async () => {
	const granted = await buyer.mqtt.subscribeAsync(`u/${seller.me.id}/in`, { qos: 1 }).catch((e) => e);
	assert.ok(granted instanceof Error || granted.every((g) => g.qos === 128), JSON.stringify(granted));
});

const chat = await step("the buyer opens a conversation about it", async () => {
	const made = await buyer.ask("POST", "/chats", { productId: product.id });
	const again = await buyer.ask("POST", "/chats", { productId: product.id });
	assert.equal(again.id, made.id);
	return made;
});
const messages = `/chats/${chat.id}/messages`;
const ours = (d) => d.chatId === chat.id;

await step("typing arrives live, both ways", async () => {
	buyer.up("typing", { chatId: chat.id, on: true });
	await seller.events.wait("user:typing", (d) => ours(d) && d.userId === buyer.me.id);
	await sellerPhone.publish(...broker, "typing", { chatId: chat.id, on: true });
	await buyer.events.wait("user:typing", (d) => ours(d) && d.userId === seller.me.id);
});

await step("a message over REST and one over MQTT reach both", async () => {
	const cmid = randomUUID();
	const sent = await buyer.ask("POST", messages, { body: "Is it still there?", cmid });
	const got = await seller.events.wait("message:receive", (d) => d.seq === sent.seq && ours(d));
	assert.equal(got.d.body, "Is it still there?");
	await buyer.events.wait("message:sent", (d) => d.ref === cmid);
	const id = await sellerPhone.publish(...broker, "send", { chatId: chat.id, body: "Sí, todavía está." });
	const answer = await buyer.events.wait("message:receive", (d) => ours(d) && d.seq === sent.seq + 1);
	assert.equal(answer.d.body, "Sí, todavía está.");
	await seller.events.wait("message:sent", (d) => d.ref === id);
});

await step("the same message sent twice is one message", async () => {
	const cmid = randomUUID();
	const first = await buyer.ask("POST", messages, { body: "Twice", cmid });
	const second = await buyer.call("POST", messages, { body: "Twice", cmid });
	assert.deepEqual([second.status, second.body.seq], [200, first.seq]);
});

await step("receipts arrive live", async () => {
	buyer.up("delivered", { chatId: chat.id, seq: 2 });
	await seller.events.wait("message:delivered", (d) => ours(d) && d.userId === buyer.me.id);
	buyer.up("read", { chatId: chat.id, seq: 2 });
	const read = await seller.events.wait("message:read", (d) => ours(d) && d.userId === buyer.me.id);
	assert.equal(read.d.seq, 2);
});

await step("edit and removal work while unread, and not after", async () => {
	const kept = await buyer.ask("POST", messages, { body: "I by it" });
	const gone = await buyer.ask("POST", messages, { body: "No, wait" });
	await buyer.ask("PATCH", `${messages}/${kept.id}`, { body: "I buy it" });
	await seller.events.wait("message:edit", (d) => ours(d) && d.seq === kept.seq && d.body === "I buy it");
	await buyer.ask("DELETE", `${messages}/${gone.id}`);
	await seller.events.wait("message:delete", (d) => ours(d) && d.seq === gone.seq);
	await seller.ask("POST", `/chats/${chat.id}/read`, { seq: gone.seq });
	await buyer.events.wait("message:read", (d) => ours(d) && d.seq === gone.seq);
	await buyer.refused(409, "already-read", "PATCH", `${messages}/${kept.id}`, { body: "Too late" });
	await buyer.refused(409, "already-read", "DELETE", `${messages}/${kept.id}`);
	const id = buyer.up("edit", { chatId: chat.id, messageId: kept.id, body: "Too late" });
	const error = await buyer.events.wait("message:error", (d) => d.ref === id);
	assert.equal(error.d.code, "already-read");
	assert.ok(error.topic.startsWith(`u/${buyer.me.id}/d/`), error.topic);
});

await step("a stranger does not even learn that the conversation exists", async () => {
	await rival.refused(404, "not-found", "GET", messages);
	await rival.refused(404, "not-found", "POST", messages, { body: "Hello" });
});

const order = await step("of many who buy the last unit one gets it", async () => {
	const body = { items: [{ productId: product.id, quantity: 1 }], payment: money };
	const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 ? rival : buyer))
		.map((who) => who.call("POST", "/orders", body, key()).then((r) => ({ who, ...r }))));
	const won = answers.filter((r) => r.status === 201);
	assert.equal(won.length, 1, JSON.stringify(answers.map((r) => [r.status, r.body.code])));
	assert.ok(answers.every((r) => r.status === 201 || r.body.code === "out-of-stock"));
	const bought = won[0];
	await bought.who.refused(409, "out-of-stock", "POST", "/orders", body, key());
	return { ...bought.body.orders[0], who: bought.who };
});

await step("the seller hears of the order and of the empty shelf in the shop's room", async () => {
	const room = `s/${seller.me.shopId}/in`;
	const heard = await seller.events.wait("order:created", (d, e) => d.orderId === order.id && e.topic === room);
	assert.equal(heard.d.total.amount, 4200);
	await seller.events.wait("inventory:alert", (d, e) => d.productId === product.id && e.topic === room && d.alert === "out");
});

await step("the order goes its way, and the buyer follows it", async () => {
	const follow = order.who === buyer;
	await seller.ask("POST", `/orders/${order.id}/confirm`);
	await seller.ask("PATCH", `/orders/${order.id}/mark-delivered`);
	await order.who.ask("POST", `/orders/${order.id}/complete`);
	if (follow)
		await buyer.events.wait("order:updated", (d) => d.orderId === order.id && d.status === "completed");
	const steps = await order.who.ask("GET", `/orders/${order.id}/history`);
	assert.deepEqual(steps.items.map((s) => s.status).slice(-3), ["confirmed", "delivered", "completed"]);
	await seller.refused(409, "invalid-transition", "POST", `/orders/${order.id}/confirm`);
});

await step("a killed broker loses nothing: the client comes back and catches up", async () => {
	const before = Math.max(...buyer.events.durable.map((e) => e.us));
	const back = new Promise((resolve) => buyer.mqtt.once("connect", resolve));
	const down = new Promise((resolve) => buyer.mqtt.once("close", resolve));
	process.kill(Number(readFileSync(`${env.PID_DIR}/mosquitto`, "utf8")), "SIGKILL");
	await down;
	const sent = await seller.ask("POST", messages, { body: "Are you there?" });
	await back;
	await buyer.mqtt.subscribeAsync(buyer.session.subscribe, { qos: 1 });
	const missed = await buyer.ask("GET", `/sync?since=${before}`);
	assert.ok(missed.events.some((e) => e.t === "message:receive" && e.d.seq === sent.seq), "not in /sync");
	const later = await seller.ask("POST", messages, { body: "Hello again" });
	await buyer.events.wait("message:receive", (d) => ours(d) && d.seq === later.seq);
});

// What arrived is a part of the feed, each event with its own number and the same words; the feed has no gaps.
const folds = async (user) => {
	const feed = await user.ask("GET", "/sync?since=0");
	assert.deepEqual(feed.events.map((e) => e.us), feed.events.map((_, i) => i + 1));
	assert.equal(feed.more, false);
	const by = new Map(feed.events.map((e) => [e.us, e]));
	for (const { topic: _, ...event } of user.events.durable) {
		const kept = by.get(event.us);
		assert.deepEqual([event.id, event.ep, event.t], [kept.id, kept.ep, kept.t]);
		// A message that was edited or removed later is told in its last form.
		if (!event.t.startsWith("message:"))
			assert.deepEqual(event.d, kept.d);
	}
	return feed;
};

await step("what arrived folds into the feed of GET /sync", async () => {
	await sleep(700);
	const feeds = [await folds(buyer), await folds(seller)];
	assert.ok(feeds.every((f) => f.events.length > 5));
	assert.ok(buyer.events.durable.length > 5 && seller.events.durable.length > 5);
});

await step("who signs out is put off the broker", async () => {
	const gone = new Promise((resolve) => buyer.mqtt.once("close", resolve));
	await buyer.ask("POST", "/auth/logout");
	await Promise.race([gone, sleep(5000).then(() => assert.fail("still connected"))]);
	await buyer.refused(401, "invalid-token", "GET", "/auth/me");
});

for (const user of [buyer, seller])
	user.close();
finish("shop");
