// The client library and Plaza's programs at three brokers: mosquitto with the plugin, two nodes of ejabberd, two
// processes of aedes. Each test measures one row of the table in README.md; a cell that says something else fails.
// PLAZA_RUN is the folder of a stack whose programs are told that the broker is at the first of PLAZA_PORTS, and whose
// clients are told the next two.
import assert from "node:assert/strict";
import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";
import { Faulty, Person, assertFresh, bodies, closeAll, env, killBroker, sql } from "../rig.mjs";
import { until } from "../until.mjs";
import { AedesCluster } from "./aedes.mjs";
import { Ejabberd, HOST } from "./ejabberd.mjs";
import { Balancer } from "./host.mjs";

const [front, nodeA, nodeB, ...spare] = process.env.PLAZA_PORTS.split(" ").map(Number);
const SOON_MS = 10_000; // what must happen, happens within
const NEVER_MS = 1500; // what has not happened by then does not
const STORM = 150;
const secret = readFileSync(`${env.RUN_DIR}/conf/mqtt.secret`, "utf8").trim();
const balancer = new Balancer();

/** Plaza's own broker, to compare with: one node, which the supervisor of the stack starts again. */
class Mosquitto {
	ports = [Number(env.MQTT_PORT)];
	async start() {}
	async stop() {}
	kill() {
		killBroker();
	}
}

const CLUSTERS = {
	mosquitto: () => new Mosquitto(),
	ejabberd: (shared) => new Ejabberd({ ...shared, dir: `${env.RUN_DIR}/ejabberd`, ports: [nodeA, nodeB], spare }),
	aedes: (shared) => new AedesCluster({ ...shared, dir: `${env.RUN_DIR}/aedes`, ports: [nodeA, nodeB] }),
};

// ---- the table ----

const table = readFileSync(new URL("README.md", import.meta.url), "utf8")
	.split("\n## ")[0]
	.split("\n")
	.filter((line) => line.startsWith("| "))
	.map((line) => line.split("|").map((cell) => cell.trim()).slice(1, -1));
const columns = table[0];
const rows = new Map(table.slice(1).map(([name, ...cells]) => [name, cells]));
const measured = new Map();

/** One cell: `measure(ms)` finds out, and README.md must say the same. `ms` is how long a "yes" may take. */
function cell(broker, row, measure) {
	test(`${broker}: ${row}`, async () => {
		const said = rows.get(row)?.[columns.indexOf(broker) - 1];
		assert.match(said ?? "", /^(yes|no)\b/, `README.md has no cell ${broker}, ${row}`);
		const found = await measure(said.startsWith("yes") ? SOON_MS : NEVER_MS);
		assert.equal(found ? "yes" : "no", said.split(/\W/)[0]);
		measured.set(row, [...(measured.get(row) ?? []), broker]);
	});
}

// ---- devices ----

/** Whether it becomes true in time. */
async function within(ms, check) {
	const end = Date.now() + ms;
	while (!(await check())) {
		if (Date.now() > end) return false;
		await sleep(20);
	}
	return true;
}

/** Remembers what came over MQTT, and not by GET /sync. */
class Listening extends Faulty {
	live = [];
	incoming = (event) => void this.live.push(event);
}

const hears = (plaza, t, fits = () => true, ms = SOON_MS) =>
	within(ms, () => plaza.net.live.some((e) => e.t === t && fits(e.d)));

const raw = (port, options) =>
	mqtt.connect(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, clean: true, connectTimeout: SOON_MS, ...options });

/** Connected, or null when it was refused. */
async function login(port, options) {
	const client = raw(port, options);
	client.on("error", () => {});
	const up = new Promise((resolve) => client.once("connect", () => resolve(client)).once("close", () => resolve(null)));
	opened.push(client);
	return up;
}

const opened = [];

/** What POST /realtime/session told, as options of MQTT.js. */
function optionsOf(session, version) {
	const { username, password, clientId } = session;
	return { username, password, clientId, protocolVersion: version };
}

const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

/** The same token with other claims, signed with the key of the stack. */
function resigned(token, changed) {
	const file = readdirSync(env.KEYS_DIR).filter((name) => /(?<!\.pub)\.pem$/.test(name)).sort().at(-1);
	const claims = { ...claimsOf(token), jti: randomUUID(), ...changed };
	const text = `${token.split(".")[0]}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
	const key = createPrivateKey(readFileSync(`${env.KEYS_DIR}/${file}`));
	return `${text}.${sign("RSA-SHA256", Buffer.from(text), key).toString("base64url")}`;
}

const clusters = {};
const category = randomUUID();
let ana, bruno, carla, chat;
let number = 0;
const word = () => `text ${++number}`;

before(async () => {
	await balancer.listen(front);
	sql(`INSERT INTO category (id, slug, name) VALUES ('${category}', 'tests-${category}', 'Tests')`);
	[ana, bruno, carla] = await Promise.all([
		new Person().register("client"),
		new Person().register("seller", 1),
		new Person().register("client", 1),
	]);
	chat = (await ana.user.ask("POST", "/chats", { peerId: bruno.id })).id;
	const jwks = await (await fetch(`${env.BASE_URL}/.well-known/jwks.json`)).json();
	for (const [name, make] of Object.entries(CLUSTERS)) clusters[name] = make({ jwks, secret, issuer: env.ISSUER });
	// The slowest one starts while mosquitto is looked at, which has a port of its own.
	clusters.ejabberd.starting = clusters.ejabberd.start();
	clusters.ejabberd.starting.catch(() => {});
});
after(() => balancer.close());

for (const name of Object.keys(CLUSTERS)) atBroker(name);

function atBroker(name) {
	let cluster, a, b, version, watcher, expiring, bought;
	const last = () => cluster.ports.at(-1);
	const trouble = [];

	test(`${name} starts`, async () => {
		cluster = clusters[name];
		await (cluster.starting ?? cluster.start());
		balancer.point(cluster.ports);
	});

	/** A device whose first attempt is at this node. */
	const device = async (person, node) => {
		const urls = cluster.ports.map((port) => `mqtt://127.0.0.1:${port}`);
		const chooseUrl = (told, turn) => {
			if (urls.length > 1) assert.deepEqual(told, urls);
			return urls[(node + turn) % urls.length];
		};
		const plaza = await person.plaza({ net: new Listening(), chooseUrl, started: false });
		plaza.on("trouble", (error) => trouble.push(error.message));
		await plaza.start();
		await until("live", () => plaza.status === "live");
		return plaza;
	};
	const sessionOf = async (person, n = 0) => (await person.plaza({ n, net: null, started: false })).rest.session();

	cell(name, "takes the token of `POST /realtime/session`", async () => {
		b = await device(bruno, 1);
		a = await device(ana, 0);
		version = a.link.protocolVersion;
		// The programs come back a moment after their broker.
		const answered = () => hears(a, "session:resumed", () => true, 300);
		await until("an answer of plaza-ingest", async () => a.publish("hello", {}) && answered());
		const plain = await sessionOf(carla);
		assert.equal(plain.subscribe[0], `u/${carla.id}/#`);
		assert.equal(claimsOf(plain.password).jid, `${carla.id}@${HOST}`);
		const nameless = { ...plain, password: resigned(plain.password, { jid: undefined }) };
		assert.equal((await login(last(), optionsOf(nameless, version))) !== null, name !== "ejabberd", "without jid");
		const exp = Math.floor(Date.now() / 1000) + (name === "mosquitto" ? -26 : 2);
		const session = await sessionOf(ana, 1);
		const token = resigned(session.password, { iat: exp - 3000, exp });
		expiring = await login(last(), optionsOf({ ...session, password: token }, version));
		expiring.until = exp * 1000 + NEVER_MS;
		return a.status === "live" && b.status === "live" && expiring !== null;
	});

	cell(name, "MQTT 5", () => version === 5);

	cell(name, "chat, both ways, live", async () => {
		const [one, two] = [word(), word()];
		await ana.user.ask("POST", `/chats/${chat}/messages`, { body: one });
		await bruno.user.ask("POST", `/chats/${chat}/messages`, { body: two });
		return (
			(await hears(b, "message:receive", (d) => d.body === one)) &&
			(await hears(a, "message:receive", (d) => d.body === two))
		);
	});

	cell(name, "messages sent over MQTT", async () => {
		const posts = a.http.count(/POST .*\/messages/);
		const body = word();
		const { id } = await a.send(chat, body);
		const answered = await hears(a, "message:sent", (d) => d.id === id);
		const arrived = await hears(b, "message:receive", (d) => d.id === id);
		return answered && arrived && posts === a.http.count(/POST .*\/messages/);
	});

	cell(name, "receipts, live", async () => {
		const { seq } = await a.send(chat, word());
		if (!(await hears(a, "message:delivered", (d) => d.seq >= seq))) return false;
		b.read(chat);
		return hears(a, "message:read", (d) => d.seq >= seq);
	});

	cell(name, "typing, live", () => {
		b.typing(chat);
		return hears(a, "user:typing", (d) => d.on && d.userId === bruno.id);
	});

	cell(name, "presence, from what devices say", async () => {
		a.watch([bruno.id]);
		b.foreground(true);
		return within(SOON_MS, () => a.store.presence.get(bruno.id)?.state === "online");
	});

	cell(name, "what is lost on the way is fetched", async () => {
		const texts = Array.from({ length: 6 }, word);
		const { incoming } = b.net;
		b.net.incoming = (e) => (texts.slice(1, 5).includes(e.d.body) ? 0 : incoming(e));
		for (const text of texts) await a.send(chat, text);
		await until("all texts", () => bodies(b, chat).includes(texts.at(-1)));
		b.net.incoming = incoming;
		await b.settled();
		assert.deepEqual(bodies(b, chat).filter((body) => texts.includes(body)), texts);
		await assertFresh(b);
		return true;
	});

	cell(name, "what a shop's staff may hear, live", async (ms) => {
		const product = { categoryId: category, title: word(), price: { amount: 100, currency: "USD" }, stock: 1 };
		const { id } = await bruno.user.ask("POST", "/products", product);
		const heard = await hears(b, "product:updated", (d) => d.productId === id, ms);
		assert.equal(heard, !trouble.some((text) => /^no subscription to .*\bs\//.test(text)));
		bought = id;
		return heard;
	});

	cell(name, "an order reaches its seller, at the next beat at the latest", async () => {
		const purchase = { items: [{ productId: bought, quantity: 1 }], payment: { method: "mock", token: "tok_success" } };
		const { orders } = await ana.user.ask("POST", "/orders", purchase, { "idempotency-key": randomUUID() });
		b.presence.here(true);
		return within(SOON_MS, () => b.got.some((e) => e.t === "order:created" && e.d.orderId === orders[0].id));
	});

	cell(name, "topics of others are refused", async () => {
		const backend = { username: "plaza-backend", password: secret, protocolVersion: version };
		watcher = await login(last(), { ...backend, clientId: `watcher-${randomUUID()}` });
		watcher.seen = [];
		watcher.on("message", (topic, payload) => watcher.seen.push([topic, payload.toString()]));
		await watcher.subscribeAsync(["up/#", "sys/#"], { qos: 1 });
		const session = await sessionOf(carla);
		const thief = await login(last(), optionsOf(session, version));
		const [inbox, rooms] = [`u/${bruno.id}`, ["up/#", "sys/#", "a/mod", "b/role/admin"]];
		for (const filter of ["#", "u/#", "u/+/in", inbox, `${inbox}/#`, `${inbox}/in`, ...rooms])
			await assert.rejects(thief.subscribeAsync(filter, { qos: 1 }), `${filter} was granted`);
		await thief.subscribeAsync(session.subscribe[0], { qos: 1 });
		const topics = [`u/${bruno.id}/in`, `up/${bruno.id.at(-1)}/${bruno.id}/send`, "b/all", "sys/kick"];
		const forged = JSON.stringify({ v: 1, t: "message:receive", id: randomUUID(), forged: true, d: {} });
		for (const topic of topics) thief.publish(topic, forged, { qos: 1 }, () => {});
		await sleep(500);
		assert.equal(thief.connected, name !== "aedes");
		thief.end(true);
		assert.ok(!b.net.live.some((e) => e.forged));
		return !watcher.seen.some(([, payload]) => payload.includes("forged"));
	});

	cell(name, "a connection is nobody else's", async () => {
		const [mine, theirs] = [await sessionOf(carla), await sessionOf(bruno)];
		const options = optionsOf(mine, version);
		assert.equal(await login(last(), { ...options, username: theirs.username }), null, "a name without its token");
		const forged = `${mine.password.slice(0, -4)}AAAA`;
		assert.equal(await login(last(), { ...options, password: forged }), null, "a bad signature");
		assert.equal(await login(last(), { ...options, password: carla.user.token }), null, "a token for something else");
		const client = b.net.clients.at(-1);
		await login(last(), { ...options, clientId: theirs.clientId });
		await sleep(300);
		return client.connected && b.net.clients.at(-1) === client;
	});

	cell(name, "a storm of uplinks is cut at the broker", async (ms) => {
		const session = await sessionOf(carla);
		const client = await login(last(), optionsOf(session, version));
		for (let n = 0; n < STORM; n++) client.publish(`${session.publishPrefix}/typing`, "{}", { qos: 0 });
		const come = () => watcher.seen.filter(([topic]) => topic === `${session.publishPrefix}/typing`).length;
		const whole = await within(ms === SOON_MS ? NEVER_MS : SOON_MS, () => come() === STORM);
		assert.ok(come() >= STORM / 3, `${come()} came`);
		return !whole;
	});

	cell(name, "connections are told (`sys/pres`)", async (ms) => {
		const logged = async () => (await carla.user.ask("GET", "/realtime/connections")).items.length;
		const before = await logged();
		watcher.seen.length = 0;
		await login(last(), optionsOf(await sessionOf(carla), version));
		const told = ([topic, text]) => topic === "sys/pres" && text.includes(carla.id);
		const seen = await within(ms, () => watcher.seen.some(told));
		assert.equal(await within(seen ? SOON_MS : 0, async () => (await logged()) > before), seen);
		return seen;
	});

	cell(name, "a sign-out ends the connection", async (ms) => {
		const session = await sessionOf(carla);
		const client = await login(last(), optionsOf(session, version));
		let closed = false;
		client.once("close", () => (closed = true));
		await carla.user.ask("POST", "/auth/logout-all");
		const ended = await within(ms, () => closed);
		client.end(true);
		const again = await new Person().register("client", 1);
		const { status } = await carla.user.call("POST", "/realtime/session");
		assert.equal(status, 401, "no new token for who is signed out");
		carla = again;
		return ended;
	});

	cell(name, "the end of a token ends the connection", async (ms) => {
		const ended = await within(Math.max(ms, expiring.until - Date.now()), () => !expiring.connected);
		expiring.end(true);
		return ended;
	});

	cell(name, "more than one node", async () => {
		if (cluster.ports.length < 2) return false;
		if (cluster.cluster) assert.equal((await cluster.cluster(0)).length, 2);
		return a.net.options && portOf(a) === cluster.ports[0] && portOf(b) === cluster.ports[1];
	});

	cell(name, "`kill -9` of a node: all go on, nothing is lost, nothing comes twice", async () => {
		const [from, texts] = [a.got.length, { a: Array.from({ length: 30 }, word), b: Array.from({ length: 30 }, word) }];
		const sending = [];
		for (let n = 0; n < 30; n++) {
			sending.push(a.send(chat, texts.a[n]), b.send(chat, texts.b[n]));
			if (n === 10) await cluster.kill(0);
			await sleep(20);
		}
		await Promise.all(sending);
		const all = (plaza) => [...texts.a, ...texts.b].every((text) => bodies(plaza, chat).includes(text));
		await until("every text is at both", () => all(a) && all(b));
		await until("both are live again", () => a.status === "live" && b.status === "live");
		if (cluster.ports.length > 1) assert.deepEqual([portOf(a), portOf(b)], [cluster.ports[1], cluster.ports[1]]);
		const [one, two] = [await a.send(chat, word()), await b.send(chat, word())];
		const heard = await Promise.all(
			[[b, one], [a, two]].map(([plaza, { id }]) => hears(plaza, "message:receive", (d) => d.id === id)),
		);
		for (const [plaza, own] of [[a, texts.a], [b, texts.b]]) {
			await plaza.settled();
			const us = plaza.got.filter((e) => e.us !== undefined).map((e) => e.us);
			assert.deepEqual(us, us.map((_, n) => us[0] + n), "the feed has a gap or a repetition");
			const mine = bodies(plaza, chat).filter((text) => texts.a.includes(text) || texts.b.includes(text));
			assert.equal(mine.length, 60);
			assert.deepEqual(mine.filter((text) => own.includes(text)), own, "in the order they were sent");
			await assertFresh(plaza);
		}
		assert.ok(a.got.length > from);
		return heard.every(Boolean);
	});

	test(`${name} stops`, async () => {
		for (const client of opened.splice(0)) client.end(true);
		await closeAll();
		balancer.point([]);
		await cluster.stop();
	});
}

const portOf = (plaza) => plaza.net.clients.at(-1).options.port;

test("the table of README.md has no row that is not measured", () => {
	for (const [row, cells] of rows) {
		assert.equal(cells.length, columns.length - 1, row);
		assert.deepEqual(measured.get(row), columns.slice(1), row);
	}
});
