// Devices with the client library, and ways to spoil what they send and get.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, connect as connectSocket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import mqtt from "mqtt";
import { Plaza, memoryStorage } from "../../realtime/client/plaza.js";
import { User } from "./client.mjs";
import { PATIENCE_MS, until } from "./until.mjs";

export const env = Object.fromEntries(
	readFileSync(`${process.env.PLAZA_RUN}/env`, "utf8")
		.split("\n")
		.filter(Boolean)
		.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
);

// The same behaviour, sooner.
const QUICK = {
	backoffFirst: 0.2,
	backoffMost: 1,
	greeting: 1,
	pollLeast: 0.2,
	pollMost: 0.4,
	retryFirst: 0.6,
	retryMost: 2,
};

/**
 * MQTT.js with faults. `incoming(event)` and `outgoing(verb, envelope)` answer how often it passes: 1 when they say
 * nothing. `inject(event)` pretends that the broker sent it to this device.
 */
export class Faulty {
	clients = [];
	sent = [];
	incoming = () => 1;
	outgoing = () => 1;

	connect(url, options) {
		const client = mqtt.connect(url, options);
		this.clients.push(client);
		this.options = options;
		const { emit, publish } = client;
		client.emit = (type, ...args) => {
			if (type !== "message") return emit.call(client, type, ...args);
			for (let n = this.incoming(JSON.parse(args[1].toString())) ?? 1; n > 0; n--)
				emit.call(client, type, ...args);
			return true;
		};
		client.publish = (topic, payload, ...rest) => {
			const verb = topic.slice(topic.lastIndexOf("/") + 1);
			const envelope = JSON.parse(payload);
			this.sent.push({ verb, ...envelope });
			if ((this.outgoing(verb, envelope) ?? 1) > 0) publish.call(client, topic, payload, ...rest);
		};
		return client;
	}

	inject(topic, event) {
		this.clients.at(-1).emit("message", topic, Buffer.from(JSON.stringify(event)));
	}
}

/** fetch with faults: `before(path, init)` may wait or throw, `after(path, init)` may lose the answer. */
export class FaultyFetch {
	calls = [];
	before = () => {};
	after = () => {};
	fetch = async (url, init) => {
		const path = url.replace(/^.*\/api\/v1/, "");
		this.calls.push(`${init.method} ${path}`);
		await this.before(path, init);
		const response = await fetch(url, init);
		const text = await response.text();
		await this.after(path, init);
		return new Response(text || null, { status: response.status, headers: response.headers });
	};

	count(pattern) {
		return this.calls.filter((c) => pattern.test(c)).length;
	}
}

const open = [];

/** Everybody signs in once per device: sign-in is limited. */
export class Person {
	devices = [];

	async register(role, devices = 2) {
		this.user = await new User(env.BASE_URL).register(role);
		while (this.devices.length < devices) {
			const storage = memoryStorage();
			const plaza = new Plaza({ url: env.BASE_URL, storage });
			await plaza.signIn(this.user.email, "a long pass phrase for tests");
			this.devices.push(storage);
		}
		this.id = this.user.me.id;
		return this;
	}

	/** A device of this person, stopped at the end of the test. `kept` goes on where it was. */
	async plaza({
		n = 0,
		kept = false,
		net = new Faulty(),
		http = new FaultyFetch(),
		started = true,
		timing,
		...more
	} = {}) {
		const storage = this.devices[n];
		if (!kept) ["place", "outbox"].forEach((what) => storage.remove(`plaza.${this.id}.${what}`));
		const plaza = new Plaza({
			url: env.BASE_URL,
			storage,
			mqtt: net,
			fetch: http.fetch,
			timing: { ...QUICK, ...timing },
			...more,
		});
		open.push(plaza);
		Object.assign(plaza, { net, http, got: [] });
		plaza.on("event", (e) => plaza.got.push(e));
		assert.ok(await plaza.resume(), "signed in");
		if (started) {
			await plaza.start();
			if (net) await until("live", () => plaza.status === "live");
		}
		return plaza;
	}
}

export async function closeAll() {
	await Promise.all(open.splice(0).map((p) => p.stop()));
}

export const bodies = (plaza, chatId) => plaza.store.messages(chatId).map((m) => m.body);

async function loaded(plaza) {
	const fresh = new Plaza({ url: env.BASE_URL, storage: plaza.storage });
	await fresh.resume();
	await fresh.start();
	if (plaza.store.orders) await fresh.orders();
	if (plaza.store.shopping) await fresh.cart();
	const snapshot = fresh.store.snapshot();
	await fresh.stop();
	return snapshot;
}

/** What events made of the state is what somebody new would load, once those on their way have come. */
export async function assertFresh(plaza) {
	const end = Date.now() + PATIENCE_MS;
	for (;;) {
		await plaza.settled();
		const fresh = await loaded(plaza);
		const folded = plaza.store.snapshot();
		if (isDeepStrictEqual(folded, fresh)) return;
		if (Date.now() >= end) assert.deepEqual(folded, fresh);
		await sleep(100);
	}
}

/** One statement as the owner of the schema. */
export function sql(text) {
	return execFileSync(
		"psql",
		[
			"-h",
			env.PG_SOCKET,
			"-p",
			env.PG_PORT,
			"-d",
			env.PG_DATABASE,
			"-U",
			"plaza_owner",
			"-qtA",
			"-v",
			"ON_ERROR_STOP=1",
			"-c",
			`SET search_path = plaza; ${text}`,
		],
		{ encoding: "utf8" },
	).trim();
}

export function killBroker(signal = "SIGKILL") {
	process.kill(Number(readFileSync(`${env.PID_DIR}/mosquitto`, "utf8")), signal);
}

/** Stands before the user's broker and knows no MQTT 5: it hangs up, as some do. choose() is for chooseUrl. */
export async function oldBroker() {
	const refused = { count: 0 };
	let behind; // the user's own broker
	const server = createServer((client) => {
		client.on("error", () => {});
		client.once("data", (first) => {
			// Fixed header, length, "MQTT", version.
			if (first[first.indexOf("MQTT") + 4] === 5) {
				refused.count += 1;
				client.destroy();
				return;
			}
			const broker = connectSocket(Number(behind.port), behind.hostname);
			broker.on("error", () => client.destroy());
			broker.write(first);
			client.pipe(broker).pipe(client);
		});
	});
	await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
	const choose = (urls) => {
		behind = new URL(urls.find((url) => url.startsWith("mqtt:")));
		return `mqtt://127.0.0.1:${server.address().port}`;
	};
	return { choose, refused, close: () => server.close() };
}
