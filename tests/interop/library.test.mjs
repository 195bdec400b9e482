// The client library against a running stack, with a network that loses, repeats and reorders. The stack's folder is
// in PLAZA_RUN.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Rest } from "../../realtime/client/lib/rest.js";
import { Plaza } from "../../realtime/client/plaza.js";
import { Store } from "../../realtime/client/lib/store.js";
import { FaultyFetch, Person, assertFresh, bodies, closeAll, env, killBroker, oldBroker, sql } from "./rig.mjs";
import { until } from "./until.mjs";

let ana, bruno, chat;
let number = 0;
const resumed = (plaza) => plaza.got.filter((event) => event.t === "session:resumed").length;
const word = () => `text ${++number}`;
const typed = (plaza, t) => plaza.got.filter((e) => e.t === t);
const times = (plaza, body) => typed(plaza, "message:receive").filter((e) => e.d.body === body).length;

before(async () => {
	[ana, bruno] = await Promise.all([new Person().register("client"), new Person().register("seller", 1)]);
	chat = (await ana.user.ask("POST", "/chats", { peerId: bruno.id })).id;
	await ana.user.ask("POST", `/chats/${chat}/messages`, { body: "first" });
});
afterEach(closeAll);

const has = (plaza, body) => until(`${body} arrives`, () => bodies(plaza, chat).includes(body));
const status = (plaza, cmid, wanted) => until(wanted, () => plaza.store.messages(chat).at(-1)?.status === wanted);

test("two clients see each other's messages, receipts, typing and presence", async () => {
	const [a, b] = await Promise.all([
		ana.plaza({ timing: { typingLife: 0.5 } }),
		bruno.plaza({ timing: { typing: 0.2 } }),
	]);
	a.watch([bruno.id]);
	await until("presence", () => a.store.presence.get(bruno.id)?.state === "online");
	const body = word();
	const sending = a.send(chat, body);
	assert.equal(a.store.messages(chat).at(-1).status, "pending");
	const sent = await sending;
	assert.equal(sent.body, body);
	await has(b, body);
	assert.equal(b.store.chats.get(chat).lastMessage.body, body);
	assert.ok(b.store.unreadMessages > 0);
	await status(a, sent, "delivered");
	b.read(chat);
	await status(a, sent, "read");
	await until("badge", () => b.store.unreadMessages === 0);
	const typing = () => a.store.typing.get(chat)?.has(bruno.id);
	b.typing(chat);
	await until("typing", typing);
	b.typist.stop(chat, true); // as if the end was lost
	await until("typing ends by itself", () => !typing());
	await assertFresh(a);
	await assertFresh(b);
});

test("typing is repeated while it goes on and ended when it stops", async () => {
	const a = await ana.plaza({ timing: { typing: 0.2 } });
	const keys = setInterval(() => a.typing(chat), 50);
	await sleep(700);
	clearInterval(keys);
	await until("the end", () => a.net.sent.some((e) => e.verb === "typing" && !e.d.on));
	const told = a.net.sent.filter((e) => e.verb === "typing" && e.d.on).length;
	assert.ok(told >= 3 && told <= 6, `told ${told} times`);
});

test("what the broker drops is fetched, in order and once", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	const texts = Array.from({ length: 8 }, word);
	b.net.incoming = (e) => (texts.slice(1, 6).includes(e.d.body) ? 0 : 1);
	for (const text of texts) await a.send(chat, text);
	await has(b, texts.at(-1));
	await b.settled();
	assert.deepEqual(
		typed(b, "message:receive")
			.map((e) => e.d.body)
			.filter((t) => texts.includes(t)),
		texts,
	);
	assert.ok(b.http.count(/GET \/sync/) > 0);
	await assertFresh(b);
});

test("what comes twice or late is applied once", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	await b.settled();
	b.read(chat);
	await until("nothing unread", () => b.store.chats.get(chat).unread === 0);
	b.net.incoming = () => 2;
	const syncs = b.http.count(/GET \/sync/);
	const texts = Array.from({ length: 5 }, word);
	for (const text of texts) await a.send(chat, text);
	await has(b, texts.at(-1));
	assert.equal(b.http.count(/GET \/sync/), syncs, "a repetition is no gap");
	assert.equal(b.store.chats.get(chat).unread, 5);
	assert.deepEqual(
		texts.map((t) => times(b, t)),
		[1, 1, 1, 1, 1],
	);
	const us = b.got.filter((e) => e.us).map((e) => e.us);
	assert.deepEqual(
		us,
		[...us].sort((x, y) => x - y),
	);
	assert.equal(new Set(us).size, us.length);
	await assertFresh(b);
});

test("what comes in another order waits for what is missing, and asks nobody", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza({ timing: { gap: 1 } })]);
	await b.settled();
	const texts = [word(), word(), word()];
	let late = null;
	b.net.incoming = (e) => {
		if (e.d.body !== texts[0] || late) return 1;
		late = e;
		return 0;
	};
	const syncs = b.http.count(/GET \/sync/);
	for (const text of texts) await a.send(chat, text);
	await sleep(50);
	assert.deepEqual(texts.map((t) => times(b, t)), [0, 0, 0]);
	b.net.inject(`u/${bruno.id}/in`, late);
	await until("all", () => times(b, texts[2]) === 1);
	assert.deepEqual(texts.map((t) => times(b, t)), [1, 1, 1]);
	await sleep(1200);
	assert.equal(b.http.count(/GET \/sync/), syncs);
	await assertFresh(b);
});

test("events that come while the feed is read wait for it", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	await b.settled();
	b.http.before = (path) => (path.startsWith("/sync") ? sleep(400) : undefined);
	const reading = b.settled();
	const texts = [word(), word()];
	for (const text of texts) await a.send(chat, text);
	assert.equal(times(b, texts[0]), 0);
	await reading;
	await until("both", () => times(b, texts[0]) === 1 && times(b, texts[1]) === 1);
	await assertFresh(b);
});

test("another epoch means: load everything again", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	let reloads = 0;
	b.on("reload", () => reloads++);
	b.store.chats.clear(); // what is gone must come back
	sql(`UPDATE feed_head SET epoch = '${randomUUID().slice(0, 8)}' WHERE account_id = '${bruno.id}'`);
	const text = word();
	await a.send(chat, text);
	await until("reload", () => reloads === 1);
	await until("chats", () => b.store.chats.get(chat)?.lastMessage.body === text);
	const later = word();
	await a.send(chat, later);
	await has(b, later);
	assert.equal(reloads, 1);
	await assertFresh(b);
});

test("a device that was away goes on where it was", async () => {
	const a = await ana.plaza();
	const b = await bruno.plaza();
	await b.settled();
	await b.stop();
	const texts = Array.from({ length: 3 }, word);
	for (const text of texts) await a.send(chat, text);
	const back = await bruno.plaza({ kept: true });
	await until("all", () => texts.every((t) => times(back, t) === 1));
	assert.equal(times(back, "first"), 0, "what it had is not told again");
	await assertFresh(back);
});

test("who comes back reads the feed only when something was missed, or nobody answers", async () => {
	const a = await ana.plaza({ timing: { pollLeast: 60 } });
	const reads = () => a.http.count(/GET \/sync/);
	const comeBack = async () => {
		const [greetings, connections] = [resumed(a), a.net.clients.length];
		a.net.clients.at(-1).stream.destroy();
		await until("it is back", () => a.net.clients.length > connections && a.status === "live");
		return greetings;
	};
	await until("the first answer", () => resumed(a) === 1);
	const before = reads();
	const greetings = await comeBack();
	await until("the answer to hello", () => resumed(a) > greetings);
	await sleep(200);
	assert.equal(reads(), before);
	const text = word();
	a.net.incoming = (event) => (event.t === "message:receive" ? 0 : 1);
	await bruno.user.ask("POST", `/chats/${chat}/messages`, { body: text });
	await comeBack();
	await has(a, text);
	assert.ok(reads() > before);
	const missed = reads();
	a.net.incoming = (event) => (event.t === "session:resumed" ? 0 : 1);
	await comeBack();
	await until("read all the same", () => reads() > missed);
});

test("a killed broker loses nothing and everybody comes back", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	const statuses = [];
	b.on("status", (s) => statuses.push(s));
	const texts = [];
	for (let i = 0; i < 2; i++) {
		killBroker();
		for (let n = 0; n < 3; n++) {
			texts.push(word());
			a.send(chat, texts.at(-1));
		}
		await until("polling", () => statuses.includes("polling"));
		await until("live again", () => a.status === "live" && b.status === "live");
	}
	await until("all sent", () => a.outbox.size === 0);
	await until("all there", () => texts.every((t) => times(b, t) === 1));
	assert.deepEqual(
		bodies(b, chat).filter((t) => texts.includes(t)),
		texts,
		"in the order they were written",
	);
	await assertFresh(a);
	await assertFresh(b);
});

test("without MQTT everything works by polling", async () => {
	const [a, b] = await Promise.all([ana.plaza({ net: null }), bruno.plaza({ net: null })]);
	assert.equal(a.status, "polling");
	const text = word();
	await a.send(chat, text);
	await has(b, text);
	b.read(chat);
	await until("read", () => a.store.messages(chat).at(-1).status === "read");
	await until("badge", () => b.store.chats.get(chat).unread === 0);
	await assertFresh(a);
	await assertFresh(b);
});

test("from MQTT to polling and back, without a loss", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	const texts = [word(), word(), word()];
	b.network("poll");
	assert.equal(b.status, "polling");
	await a.send(chat, texts[0]);
	await has(b, texts[0]);
	b.network("off");
	assert.equal(b.status, "offline");
	await a.send(chat, texts[1]);
	const own = word();
	const sending = b.send(chat, own);
	await sleep(700);
	assert.equal(times(b, texts[1]), 0);
	assert.equal(b.store.messages(chat).at(-1).status, "pending");
	b.network("auto");
	await sending;
	await until("live", () => b.status === "live");
	await a.send(chat, texts[2]);
	await until("all", () => texts.every((t) => times(b, t) === 1));
	await has(a, own);
	const polls = b.http.count(/GET \/sync/);
	await sleep(1000);
	assert.ok(b.http.count(/GET \/sync/) - polls <= 1, "no polling beside MQTT");
	await assertFresh(b);
});

test("the broker's token is renewed before its end, and when the broker says so", async () => {
	const a = await ana.plaza();
	const statuses = [];
	// An hour is 3600 s: 0.0006 of it is two seconds.
	const b = await bruno.plaza({ timing: { renewAt: 0.0006, renewSpread: 0.00005 } });
	b.on("status", (s) => statuses.push(s));
	const first = b.net.clients[0];
	await until("a new connection", () => b.net.clients.length >= 2 && b.link.ready);
	assert.equal(first.connected, false);
	const passwords = new Set(b.net.clients.map((c) => c.options.password));
	assert.equal(passwords.size, b.net.clients.length, "each with a token of its own");
	const had = a.net.clients.length;
	a.net.inject(`u/${ana.id}/d/${a.link.did}`, { v: 1, t: "auth:expiring", id: "x", ts: "", d: { exp: 1 } });
	await until("renewed", () => a.net.clients.length > had && a.link.ready);
	a.net.inject(`u/${ana.id}/d/another`, { v: 1, t: "auth:expiring", id: "x", ts: "", d: { exp: 1 } });
	await sleep(200);
	assert.ok(a.link.ready, "what is meant for another device is none of ours");
	const text = word();
	await a.send(chat, text);
	await until("once", () => times(b, text) === 1);
	assert.deepEqual(statuses, [], "nobody sees it");
});

test("many requests with a dead token refresh it once", async () => {
	const a = await ana.plaza({ started: false });
	const spoil = async (accessToken) => {
		ana.devices[0].set("plaza.tokens", JSON.stringify({ ...a.rest.tokens, accessToken }));
		assert.ok(await a.rest.load());
	};
	await spoil("dead");
	const answers = await Promise.all(Array.from({ length: 8 }, () => a.rest.me()));
	assert.ok(answers.every((u) => u.id === ana.id));
	assert.equal(a.http.count(/POST \/auth\/refresh/), 1);
	let lost = 0;
	a.http.after = (path) => {
		if (path === "/auth/refresh" && lost++ === 0) throw new TypeError("the answer is lost");
	};
	await spoil("dead again");
	assert.equal((await a.rest.me()).id, ana.id, "a lost answer does not end the session");
	const again = await ana.plaza({ started: false });
	assert.equal((await again.rest.me()).id, ana.id, "the new tokens were kept");
});

test("a session that was ended elsewhere signs out", async () => {
	const gone = new Person();
	await gone.register("client", 1);
	const plaza = await gone.plaza();
	const told = new Promise((resolve) => plaza.once("signedout", resolve));
	const revoked = new Promise((resolve) => plaza.once("revoked", resolve));
	await gone.user.ask("DELETE", `/auth/sessions/${plaza.rest.tokens.sessionId}`);
	assert.equal(await revoked, "logout");
	assert.equal((await told).code, "invalid-refresh-token");
	assert.deepEqual([plaza.status, plaza.rest.tokens], ["stopped", null]);
	assert.equal(await plaza.resume(), false);
});

const written = async (body) => {
	const page = await ana.user.ask("GET", `/chats/${chat}/messages?limit=100`);
	return page.items.filter((m) => m.body === body).length;
};

test("an uplink that is lost goes by REST", async () => {
	const a = await ana.plaza();
	let lost = 0;
	a.net.outgoing = (verb) => (verb === "send" && lost++ === 0 ? 0 : 1);
	const text = word();
	await a.send(chat, text);
	assert.equal(lost, 1);
	assert.equal(a.http.count(/POST \/chats\/.*\/messages/), 1);
	assert.equal(await written(text), 1);
});

test("a message whose answers are lost on both paths is one message", async () => {
	const a = await ana.plaza({ timing: { sync: 60 } });
	await a.settled();
	const text = word();
	let deaf = true;
	let answers = 0;
	a.net.incoming = (e) => (deaf && e.us !== undefined ? 0 : 1);
	a.http.before = (path) => {
		if (deaf && path.startsWith("/sync")) throw new TypeError("no answer");
	};
	a.http.after = (path, init) => {
		if (init.method === "POST" && path.endsWith("/messages") && answers++ === 0)
			throw new TypeError("the answer is lost");
	};
	// MQTT is not answered, the answer of REST is lost, MQTT says that it was a repetition.
	const message = await a.send(chat, text);
	assert.equal(message.body, text);
	const sends = a.net.sent.filter((e) => e.verb === "send");
	assert.equal(new Set(sends.map((e) => e.id)).size, 1);
	assert.deepEqual([sends.length, answers], [2, 1]);
	deaf = false;
	assert.equal(await written(text), 1);
	await a.settled();
	assert.equal(bodies(a, chat).filter((t) => t === text).length, 1);
});

test("unsent messages survive the program", async () => {
	const b = await bruno.plaza();
	const a = await ana.plaza();
	a.network("off");
	const texts = [word(), word(), word()];
	for (const text of texts) a.send(chat, text);
	await sleep(50);
	await a.stop();
	const again = await ana.plaza({ kept: true });
	await until("sent", () => again.outbox.size === 0);
	await until("all there", () => texts.every((t) => times(b, t) === 1));
	assert.deepEqual(
		bodies(b, chat).filter((t) => texts.includes(t)),
		texts,
	);
});

test("a message on its way outlives a pause, and ends when the user signs out", async () => {
	const leaving = new Person();
	await leaving.register("client", 1);
	const plaza = await leaving.plaza();
	const own = (await plaza.openChat({ peerId: bruno.id })).id;
	plaza.network("off");
	const text = word();
	const first = plaza.send(own, text);
	await plaza.stop();
	plaza.network("auto");
	await Promise.all([plaza.start(), plaza.start()]);
	assert.equal((await first).body, text);
	assert.equal(plaza.outbox.size, 0);
	plaza.network("poll");
	plaza.http.before = (path) => {
		if (path.endsWith("/messages")) throw new TypeError("no answer");
	};
	const second = plaza.send(own, word());
	await sleep(100);
	await plaza.signOut();
	await assert.rejects(second, (e) => e.code === "signed-out");
	assert.equal(leaving.devices[0].get(`plaza.${leaving.id}.outbox`), null);
});

test("an answer behind the sign-out leaves nothing in the storage", async () => {
	const leaving = new Person();
	await leaving.register("client", 1);
	const plaza = await leaving.plaza();
	let answer;
	const asked = new Promise((reached) => {
		plaza.http.after = (path) => {
			if (!path.startsWith("/sync")) return undefined;
			reached();
			return new Promise((go) => (answer = go));
		};
	});
	plaza.wake();
	await asked;
	await plaza.signOut();
	answer();
	await sleep(200);
	for (const what of ["place", "outbox"])
		assert.equal(leaving.devices[0].get(`plaza.${leaving.id}.${what}`), null, what);
});

test("a storage that is full or forbidden stops nobody", async () => {
	const refuse = () => {
		throw new Error("QuotaExceededError");
	};
	const a = await ana.plaza();
	const broken = new Plaza({
		url: env.BASE_URL,
		storage: { getItem: (key) => ana.devices[0].get(key), setItem: refuse, removeItem: refuse },
	});
	await broken.resume();
	await broken.start();
	const text = word();
	await broken.send(chat, text);
	await has(a, text);
	await broken.stop();
});

test("a refused message says why and does not hold up the next", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	await b.rest.block(ana.id);
	await until("block", () => b.store.blocked.has(ana.id));
	for (const mode of ["auto", "poll"]) {
		a.network(mode);
		await assert.rejects(a.send(chat, "refused"), (e) => e.code === "blocked");
		const failed = a.store.messages(chat).at(-1);
		assert.deepEqual([failed.status, failed.error], ["failed", "blocked"]);
		a.discard(failed.cmid);
	}
	const failing = a.send(chat, word());
	await assert.rejects(failing);
	await b.rest.unblock(ana.id);
	a.retry(failing.cmid);
	const text = word();
	await a.send(chat, text);
	await has(b, text);
	assert.equal(a.outbox.size, 0);
	assert.equal(await written("refused"), 0);
	await assertFresh(b);
});

test("receipts are told at once and then once a second", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	await b.settled();
	await Promise.all(Array.from({ length: 10 }, () => a.send(chat, word())));
	const last = a.store.chats.get(chat).lastSeq;
	await until("all", () => b.store.chats.get(chat).lastSeq === last);
	b.net.sent.length = 0;
	for (let seq = last - 9; seq <= last; seq++) b.read(chat, seq);
	await until("read", () => a.store.chats.get(chat).peerReadSeq === last);
	const reads = b.net.sent.filter((e) => e.verb === "read").map((e) => e.d.seq);
	assert.deepEqual(reads, [last - 9, last]);
});

test("a reading that was lost is told again", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	const text = word();
	await a.send(chat, text);
	await has(b, text);
	b.net.outgoing = (verb) => (verb === "read" ? 0 : 1);
	b.read(chat);
	await sleep(300);
	assert.notEqual(a.store.messages(chat).at(-1).status, "read");
	b.net.outgoing = () => 1;
	b.link.renew();
	await status(a, null, "read");
});

test("a broker that knows only MQTT 3.1.1 will do", async () => {
	const old = await oldBroker();
	try {
		const a = await ana.plaza({ chooseUrl: old.choose });
		const b = await bruno.plaza();
		assert.deepEqual([a.link.protocolVersion, b.link.protocolVersion], [4, 5]);
		assert.equal(old.refused.count, 1);
		const text = word();
		await b.send(chat, text);
		await until("live", () => times(a, text) === 1);
	} finally {
		old.close();
	}
});

test("an address that does not answer is tried with both versions, then the next one is", async () => {
	const old = await oldBroker();
	const nobody = "mqtt://127.0.0.1:1";
	const tried = [];
	const chooseUrl = (urls, turn) => {
		const url = turn % 2 === 0 ? nobody : old.choose(urls);
		tried.push(url === nobody ? "nobody" : "old");
		return url;
	};
	try {
		const a = await ana.plaza({ chooseUrl });
		assert.equal(a.link.protocolVersion, 4);
		assert.deepEqual(tried, ["nobody", "nobody", "old", "old"]);
		a.net.clients.at(-1).stream.destroy();
		await until("the same address again", () => tried.length === 5 && a.status === "live");
		assert.equal(tried[4], "old");
	} finally {
		old.close();
	}
});

test("a broker that is away for a moment is asked again with the same token, then with a new one", async () => {
	let away = 0;
	const chooseUrl = (urls) => (away-- > 0 ? "ws://127.0.0.1:1/mqtt" : urls.find((url) => url.startsWith("ws")));
	const a = await ana.plaza({ chooseUrl });
	const sessions = () => a.http.count(/POST \/realtime\/session/);
	const comeBack = async (attempts) => {
		const connections = a.net.clients.length;
		away = attempts;
		a.net.clients.at(-1).stream.destroy();
		await until("a new connection", () => a.net.clients.length === connections + attempts + 1 && a.status === "live");
	};
	await comeBack(2);
	assert.equal(sessions(), 1);
	await comeBack(3);
	assert.equal(sessions(), 2);
});

test("a broker that refuses a shop's topics is good enough, one that refuses the own inbox is not", async () => {
	const http = new FaultyFetch();
	const { fetch } = http;
	let change = (filters) => [...filters, "s/not-mine/#"];
	http.fetch = async (url, init) => {
		const response = await fetch(url, init);
		if (!url.endsWith("/realtime/session")) return response;
		const session = await response.json();
		return Response.json({ ...session, subscribe: change(session.subscribe) });
	};
	const a = await ana.plaza({ http, started: false });
	const trouble = [];
	a.on("trouble", (error) => trouble.push(error.message));
	await a.start();
	await until("live", () => a.status === "live");
	assert.deepEqual(trouble, ["no subscription to s/not-mine/#"]);
	const text = word();
	await bruno.user.ask("POST", `/chats/${chat}/messages`, { body: text });
	await has(a, text);
	change = (filters) => ["u/not-mine/#", ...filters];
	a.link.renew();
	await until("it is told", () => trouble.length > 2);
	assert.equal(a.status, "polling");
});

test("the history is read by seq, page by page", async () => {
	const a = await ana.plaza();
	await a.settled();
	const { lastSeq } = a.store.chats.get(chat);
	let pages = 1;
	while (await a.history(chat, 7)) pages += 1;
	assert.equal(pages, Math.ceil(lastSeq / 7));
	assert.equal(a.store.lowest(chat), 1);
	assert.deepEqual(
		a.store.messages(chat).map((m) => m.seq),
		Array.from({ length: lastSeq }, (_, i) => i + 1),
	);
});

test("presence is asked for and told again before it is forgotten", async () => {
	const a = await ana.plaza({ timing: { watch: 0.2, beat: 0.3 } });
	const told = (verb) => a.net.sent.filter((e) => e.verb === verb).length;
	a.watch([bruno.id]);
	await until("watched again", () => told("watch") >= 3);
	await until("beaten again", () => told("beat") >= 3);
	a.foreground(false);
	const beats = told("beat");
	await sleep(500);
	assert.equal(told("beat"), beats, "none in the background");
});

test("the feed is read from time to time, in the foreground, and when the broker's answer is ahead", async () => {
	const a = await ana.plaza({ timing: { sync: 0.5 } });
	await a.settled();
	const syncs = () => a.http.count(/GET \/sync/);
	let had = syncs();
	await until("from time to time", () => syncs() >= had + 2);
	const b = await bruno.plaza();
	await b.settled();
	for (const ask of [
		() => b.foreground(true),
		() =>
			b.net.inject(`u/${bruno.id}/d/${b.link.did}`, {
				v: 1,
				t: "session:resumed",
				id: "x",
				ts: "",
				d: { ref: "x", epoch: b.place.epoch, to: b.place.us + 1 },
			}),
	]) {
		had = b.http.count(/GET \/sync/);
		ask();
		await until("at once", () => b.http.count(/GET \/sync/) > had);
		await b.settled();
	}
});

test("groups, reactions and offers fold too", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	const group = (await a.openChat({ title: "Neighbours", memberIds: [bruno.id] })).id;
	await until("the group", () => b.store.chats.get(group)?.kind === "group");
	const first = await a.send(group, word());
	await a.send(group, word());
	await until("unread", () => b.store.chats.get(group).unread === 2);
	b.read(group, first.seq);
	await until("one left", () => b.store.chats.get(group).unread === 1);
	const mine = await a.send(chat, word());
	await has(b, mine.body);
	const seen = (who) =>
		who.store
			.messages(chat)
			.at(-1)
			.reactions?.map((r) => `${r.emoji} ${r.count}`);
	await b.react(chat, mine.id, "👍");
	await a.react(chat, mine.id, "👍");
	await until("both", () => seen(a)?.[0] === "👍 2" && seen(b)?.[0] === "👍 2");
	// The answer to a reaction shows the message; the list follows with the event.
	await until("in the list", () => a.store.chats.get(chat).lastMessage.reactions?.[0].count === 2);
	for (const who of [a, b]) {
		await assertFresh(who);
		await who.react(chat, mine.id, "👍", false);
	}
	await until("none", () => !seen(a) && !seen(b));
	const { items } = await b.rest.categories();
	const product = await b.rest.post("/products", {
		categoryId: items[0].id,
		title: `Vase ${word()}`,
		price: { amount: 900 },
		stock: 3,
	});
	const offer = await b.send(chat, { type: "offer", productId: product.id, price: { amount: 800, currency: "USD" } });
	await until("the offer", () => a.store.messages(chat).at(-1).offer?.status === "open");
	await a.rest.answerOffer(chat, offer.id, { action: "accept" });
	await until("accepted", () => b.store.messages(chat).at(-1).offer.status === "accepted");
	await assertFresh(a);
	await assertFresh(b);
});

test("a heartbeat that is behind reads the feed", async () => {
	const a = await ana.plaza({ timing: { beat: 0.4 } });
	const b = await bruno.plaza();
	await a.settled();
	let deaf = true;
	a.net.incoming = (e) => (deaf && e.us !== undefined ? 0 : 1);
	const text = word();
	await b.send(chat, text);
	await has(a, text);
	deaf = false;
	assert.ok(typed(a, "feed:ahead").length > 0);
	const beat = a.net.sent.findLast((e) => e.verb === "beat");
	assert.ok(beat.d.us > 0 && beat.d.epoch);
});

test("events that are older than what was loaded change nothing", async () => {
	const store = new Store({ typingLife: 6, outbox: () => [] });
	const message = (seq, more) => ({
		id: `m${seq}`,
		chatId: "c",
		seq,
		senderId: "peer",
		type: "text",
		body: `${seq}`,
		createdAt: "2026-01-01",
		...more,
	});
	const load = {
		id: "c",
		kind: "private",
		lastSeq: 3,
		readSeq: 1,
		unread: 1,
		peerReadSeq: 0,
		peerReceivedSeq: 0,
		lastMessageAt: "2026-01-01",
		lastMessage: message(3, { body: "new", editNo: 2 }),
		hidden: false,
		muted: false,
	};
	store.load({ me: { id: "me" }, chats: [load], notifications: [], unread: 0, blocks: [] });
	store.putMessages("c", [message(1), message(2, { body: "", deleted: true }), load.lastMessage]);
	const before = store.snapshot();
	store.apply({ t: "message:receive", d: message(2) });
	store.apply({ t: "message:receive", d: message(3) });
	store.apply({ t: "message:edit", d: message(3, { body: "old", editNo: 1 }) });
	store.apply({ t: "message:edit", d: message(2, { body: "old", editNo: 1 }) });
	store.apply({ t: "message:read", d: { chatId: "c", seq: 1, userId: "me" } });
	assert.deepEqual(store.snapshot(), before);
	assert.deepEqual(
		store.messages("c").map((m) => m.body),
		["1", "", "new"],
	);
});

test("the types name what is there, and everything that is there", () => {
	const types = readFileSync(new URL("../../realtime/client/plaza.d.ts", import.meta.url), "utf8");
	for (const made of [Plaza, Store, Rest]) {
		const [, body] = new RegExp(`export class ${made.name} .*?\\{\\n(.*?)\\n\\}`, "s").exec(types);
		const typed = [...body.matchAll(/^\t(\w+)\(/gm)].map((m) => m[1]).filter((name) => name !== "constructor");
		const there = Object.getOwnPropertyNames(made.prototype).filter(
			(name) =>
				name !== "constructor" &&
				typeof Object.getOwnPropertyDescriptor(made.prototype, name).value === "function",
		);
		const inner = {
			Plaza: [],
			Rest: ["load", "register", "signIn", "signOut"],
			Store: ["clear", "load", "putChat", "dropChat", "putMessages", "keepOrders", "putOrder", "dropOrder",
				"putCart", "touch", "apply", "stop"],
		};
		assert.deepEqual(typed.sort(), there.filter((n) => !inner[made.name].includes(n)).sort(), made.name);
	}
});

/** A product of Bruno's, and an order that Ana makes of it. */
async function product(stock = 5) {
	const { items } = await bruno.user.ask("GET", "/categories");
	const made = { categoryId: items[0].id, title: word(), price: { amount: 500 }, stock };
	return (await bruno.user.ask("POST", "/products", made)).id;
}
const buy = (from, purchase) =>
	from.rest.order({ ...purchase, payment: { method: "mock", token: "tok_success" } }, randomUUID());

test("orders are kept from when they are asked for", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	const id = await product();
	const purchase = { items: [{ productId: id, quantity: 1 }] };
	const [before] = (await buy(a, purchase)).orders;
	await b.settled();
	assert.equal(a.store.orders, null, "nobody has asked");
	assert.equal(a.http.count(/GET \/orders/), 0);
	assert.deepEqual([(await a.orders())[0].id, (await b.orders())[0].id], [before.id, before.id]);
	const [later] = (await buy(a, purchase)).orders;
	const state = (plaza, order, name, value) =>
		until(`${name} ${value}`, () => plaza.store.orders.get(order)?.[name] === value);
	await Promise.all([a, b].map((p) => state(p, later.id, "status", "payment_confirmed")));
	await b.rest.orderConfirm(later.id);
	await state(a, later.id, "status", "confirmed");
	await b.rest.request("PATCH", `/orders/${later.id}/delivery`, { body: { state: "in_transit", tracking: "7" } });
	await until("tracking", () => a.store.orders.get(later.id).delivery?.tracking === "7");
	await a.rest.orderCancel(before.id);
	await Promise.all([a, b].map((p) => state(p, before.id, "status", "cancelled")));
	assert.deepEqual([a.store.orderList()[0].id, a.store.orderList()[1].id], [later.id, before.id]);
	await assertFresh(a);
	await assertFresh(b);
});

test("an order that is read late does not come before what is known", () => {
	const store = new Store({ typingLife: 1, outbox: () => [] });
	store.load({ me: { id: "me" }, chats: [], notifications: [], unread: 0, blocks: [] });
	store.apply({ t: "order:updated", d: { orderId: "o", version: 3 } });
	assert.equal(store.stale.size, 0, "nobody has asked");
	store.keepOrders();
	store.apply({ t: "order:updated", d: { orderId: "o", version: 3 } });
	assert.deepEqual([...store.stale], ["order o"]);
	assert.equal(store.putOrder({ id: "o", version: 3, status: "new" }), true);
	assert.equal(store.putOrder({ id: "o", version: 2, status: "old" }), false);
	assert.equal(store.orders.get("o").status, "new");
	store.stale.clear();
	store.apply({ t: "order:updated", d: { orderId: "o", version: 3 } });
	assert.equal(store.stale.size, 0, "what is told again changes nothing");
	store.load({ me: { id: "other" }, chats: [], notifications: [], unread: 0, blocks: [] });
	assert.equal(store.orders, null, "of somebody else");
});

test("the cart is kept from when it is asked for", async () => {
	const a = await ana.plaza();
	const id = await product(1);
	const cart = await ana.user.ask("POST", "/carts");
	await ana.user.ask("POST", `/carts/${cart.id}/empty`);
	await ana.user.ask("POST", `/carts/${cart.id}/products`, { productId: id, quantity: 1 });
	await a.settled();
	assert.equal(a.store.cart, null, "nobody has asked");
	assert.equal((await a.cart()).items.length, 1);
	const line = () => a.store.cart.items.find((i) => i.productId === id);
	await bruno.user.ask("PUT", `/products/${id}`, { price: { amount: 700 } });
	await until("the new price", () => line().unitPrice.amount === 700);
	await bruno.user.ask("PUT", `/products/${id}/stock`, { stock: 0 });
	await until("sold out", () => line().available === false);
	await bruno.user.ask("PUT", `/products/${id}/stock`, { stock: 1 });
	await until("back", () => line().available === true);
	await assertFresh(a);
	await buy(a, { cartId: cart.id });
	await until("the cart was ordered", () => a.store.cart === null);
	await assertFresh(a);
});

test("orders and the cart are loaded again when the feed begins anew", async () => {
	const a = await ana.plaza();
	await Promise.all([a.orders(), a.cart()]);
	a.store.orders.clear();
	const again = new Promise((resolve) => a.once("reload", resolve));
	sql(`UPDATE feed_head SET epoch = '${randomUUID().slice(0, 8)}' WHERE account_id = '${ana.id}'`);
	await Promise.all([again, a.settled()]);
	assert.ok(a.store.orders.size > 0);
	await assertFresh(a);
});

test("an event that the library does not know reaches the application", async () => {
	const a = await ana.plaza();
	const heard = new Promise((resolve) => a.once("message:wave", resolve));
	a.net.inject(`u/${ana.id}/eph`, { v: 1, t: "message:wave", id: "x", ts: "", d: { chatId: chat } });
	assert.deepEqual(await heard, { chatId: chat });
});

test("a storm of both folds into what is there", async () => {
	const [a, b] = await Promise.all([ana.plaza(), bruno.plaza()]);
	a.net.incoming = b.net.incoming = () => (Math.random() < 0.2 ? 0 : Math.random() < 0.2 ? 2 : 1);
	const act = async (who) => {
		for (let i = 0; i < 12; i++) {
			const m = await who.send(chat, word());
			if (i % 4 === 1)
				await who.editMessage(chat, m.id, word()).catch((e) => assert.equal(e.code, "already-read"));
			else if (i % 4 === 2)
				await who.deleteMessage(chat, m.id).catch((e) => assert.equal(e.code, "already-read"));
			else if (i % 4 === 3) who.read(chat);
			if (i === 5) await who.rest.mute(chat, true);
			if (i === 8) await who.rest.hideChat(chat);
		}
		await who.rest.mute(chat, false);
	};
	await Promise.all([act(a), act(b), bruno.user.ask("POST", `/chats`, { peerId: ana.id })]);
	const admin = await a.rest.post(
		"/auth/login",
		{ email: env.ADMIN_EMAIL, password: env.ADMIN_PASSWORD },
		{ open: true },
	);
	const tell = (title) =>
		a.rest.request("POST", "/notifications/send", {
			body: { userId: bruno.id, type: "order.paid", title },
			open: true,
			headers: { authorization: `Bearer ${admin.accessToken}` },
		});
	const told = [await tell("One"), await tell("Two"), await tell("Three")];
	await until("told", () => b.store.notifications.has(told[2].id));
	await b.rest.deleteNotification(told[0].id);
	await b.rest.readNotification(told[1].id);
	await sleep(1200); // the last receipts
	await assertFresh(a);
	await assertFresh(b);
	assert.equal(b.store.unreadNotifications, (await b.rest.unreadNotifications()).unread);
});
