// Plays a realtime workload with MQTT.js: realtime.mjs R1|R2|R3 ENV PAIRS_FILE SECONDS CLIENTS RATE
//   R1  CLIENTS in pairs talk, RATE messages a second in all: sent by REST, received by MQTT over WebSocket
//   R2  RATE announcements a second to CLIENTS
//   R3  CLIENTS are connected and silent
// PAIRS_FILE has lines of requests.py: user, token, chat, peer. START and END bracket what counts; RESULT tells it.
// A latency runs from the moment a message was due.
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const mqtt = createRequire(fileURLToPath(new URL("../interop/", import.meta.url)))("mqtt");
const [workload, envFile, pairsFile, ...numbers] = process.argv.slice(2);
const [seconds, clients, rate] = numbers.map(Number);
const env = Object.fromEntries(readFileSync(envFile, "utf8").split("\n").filter((l) => l.includes("="))
	.map((l) => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1)]));
const people = readFileSync(pairsFile, "utf8").trim().split("\n").slice(0, clients)
	.map((l) => l.split("\t")).map(([user, token, chat]) => ({ user, token, chat }));
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const TOGETHER = 32; // logins at a time
const SETTLE_MS = 1000;
const PADDING = "x".repeat(80);

const due = new Map(); // marker of a message: when it was to be sent
const times = [];
let sent = 0, errors = 0, delivered = 0;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function post(path, token, body) {
	return new Promise((resolve, reject) => {
		const text = JSON.stringify(body);
		const request = http.request(env.BASE_URL + path, {
			method: "POST", agent,
			headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "content-length": text.length },
		}, (response) => {
			const parts = [];
			response.on("data", (part) => parts.push(part));
			response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(parts).toString() }));
		});
		request.on("error", reject);
		request.end(text);
	});
}

/** A message of ours carries its marker somewhere in the payload. */
function arrived(payload) {
	const at = payload.indexOf("rt:");
	if (at < 0)
		return;
	const since = due.get(payload.toString("latin1", at, payload.indexOf(";", at)));
	if (since === undefined)
		return;
	delivered++;
	times.push(performance.now() - since);
}

async function session(person) {
	for (;;) {
		const answer = await post("/api/v1/realtime/session", person.token, {});
		if (answer.status === 200)
			return JSON.parse(answer.body);
		if (answer.status !== 503)
			throw new Error(`${answer.status} ${answer.body}`);
		await sleep(100);
	}
}

async function join(person) {
	const s = await session(person);
	const client = person.mqtt = mqtt.connect(`${env.BASE_URL.replace("http", "ws")}/mqtt`, {
		clientId: s.clientId, username: s.username, password: s.password, keepalive: s.keepalive, clean: true,
		protocolVersion: 4, reconnectPeriod: 0,
	});
	await new Promise((resolve, reject) => {
		client.once("connect", resolve);
		client.once("error", reject);
	});
	client.on("close", () => errors++);
	client.on("message", (topic, payload) => {
		// The sender's other devices hear of it as well; what counts is that the peer does.
		if (workload !== "R1" || !payload.includes(`"senderId":"${person.user}"`))
			arrived(payload);
	});
	await client.subscribeAsync(s.subscribe, { qos: 1 });
}

async function joinAll() {
	const todo = [...people];
	await Promise.all(Array.from({ length: TOGETHER }, async () => {
		for (let person; (person = todo.pop());)
			await join(person);
	}));
}

/** Calls send(n) RATE times a second, however long it takes. */
async function play(send) {
	const begin = performance.now(), total = Math.round(rate * seconds);
	for (let n = 0; n < total; n++) {
		const at = begin + (n * 1000) / rate;
		const left = at - performance.now();
		if (left > 1)
			await sleep(left);
		const marker = `rt:${n}`;
		due.set(marker, at);
		sent++;
		send(n, `${marker};${PADDING}`);
	}
}

function say(n, body) {
	const person = people[n % people.length];
	post(`/api/v1/chats/${person.chat}/messages`, person.token, { body })
		.then((r) => { errors += r.status !== 201; }, () => { errors++; });
}

function announcer() {
	const publisher = mqtt.connect(`mqtt://127.0.0.1:${env.MQTT_PORT}`, {
		clientId: "plaza-load", username: "plaza-backend", password: readFileSync(`${env.RUN_DIR}/conf/mqtt.secret`, "utf8").trim(),
		protocolVersion: 4,
	});
	return (n, text) => publisher.publish("b/all", JSON.stringify({ v: 1, t: "broadcast", d: { text } }), { qos: 0 });
}

const quantile = (q) => times.length ? Math.round(100 * times[Math.min(times.length - 1, Math.floor(times.length * q))]) / 100 : null;

await joinAll();
const announce = workload === "R2" ? announcer() : null;
await sleep(SETTLE_MS);
console.log("START");
if (workload === "R3")
	await sleep(seconds * 1000);
else
	await play(workload === "R1" ? say : announce);
const wanted = workload === "R2" ? sent * people.length : sent;
for (let i = 0; i < 50 && delivered < wanted; i++)
	await sleep(100);
console.log("END");
times.sort((a, b) => a - b);
console.log(`RESULT ${JSON.stringify({ sent, delivered, lost: wanted - delivered, p50: quantile(0.5), p99: quantile(0.99), errors })}`);
process.exit(0);
