// A user of Plaza as other people's programs would be one: fetch for REST, MQTT.js or mosquitto for events.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import mqtt from "mqtt";

export const PASSWORD = "a long pass phrase for tests";
const PATIENCE_MS = 10_000;

/** What arrived, and waiting for what will. */
class Events {
	constructor() {
		this.list = [];
		this.waiting = new Set();
	}

	add(topic, text) {
		const event = { topic, ...JSON.parse(text) };
		this.list.push(event);
		for (const check of this.waiting)
			check();
	}

	/** The first event of this type that fits; those that came before count too. */
	wait(type, fits = () => true) {
		const find = () => this.list.find((e) => e.t === type && fits(e.d, e));
		return new Promise((resolve, reject) => {
			const check = () => {
				const event = find();
				if (!event)
					return;
				clearTimeout(timer);
				this.waiting.delete(check);
				resolve(event);
			};
			const timer = setTimeout(() => {
				this.waiting.delete(check);
				reject(new Error(`no ${type}; got ${this.list.map((e) => e.t).join(" ")}`));
			}, PATIENCE_MS);
			this.waiting.add(check);
			check();
		});
	}

	get durable() {
		return this.list.filter((e) => e.us !== undefined);
	}
}

export class User {
	constructor(base, token = null) {
		this.base = base;
		this.token = token;
		this.events = new Events();
	}

	async call(method, path, body, headers = {}) {
		const init = { method, headers: { ...headers } };
		if (this.token)
			init.headers.authorization = `Bearer ${this.token}`;
		if (body instanceof FormData) {
			init.body = body;
		} else if (body !== undefined) {
			init.body = JSON.stringify(body);
			init.headers["content-type"] = "application/json";
		}
		const response = await fetch(`${this.base}/api/v1${path}`, init);
		const text = await response.text();
		return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
	}

	/** A call that must succeed; its body. */
	async ask(method, path, body, headers) {
		const r = await this.call(method, path, body, headers);
		assert.ok(r.status < 300, `${method} ${path}: ${r.status} ${JSON.stringify(r.body)}`);
		return r.body;
	}

	/** A call that must be refused like this. */
	async refused(status, code, method, path, body, headers) {
		const r = await this.call(method, path, body, headers);
		assert.deepEqual([r.status, r.body.code], [status, code], `${method} ${path}`);
		assert.match(r.headers.get("content-type"), /^application\/problem\+json/);
	}

	async register(role) {
		const email = `${role}-${randomUUID()}@plaza.example`;
		const answer = await this.ask("POST", "/auth/register", { email, password: PASSWORD, name: role, role });
		this.email = email;
		this.token = answer.accessToken;
		this.me = await this.ask("GET", "/auth/me");
		return this;
	}

	/** The same user on another device. */
	async again() {
		const other = new User(this.base);
		const answer = await other.ask("POST", "/auth/login", { email: this.email, password: PASSWORD });
		other.token = answer.accessToken;
		other.me = this.me;
		return other;
	}

	/** MQTT.js over the WebSocket of the web server. It comes back by itself when the connection breaks. */
	async connect() {
		const s = this.session = await this.ask("POST", "/realtime/session");
		this.mqtt = mqtt.connect(`${this.base.replace("http", "ws")}/mqtt`, {
			clientId: s.clientId, username: s.username, password: s.password,
			keepalive: s.keepalive, clean: true, protocolVersion: 4, reconnectPeriod: 250,
		});
		this.mqtt.on("message", (topic, payload) => this.events.add(topic, payload.toString()));
		this.mqtt.on("error", () => {});
		await new Promise((resolve, reject) => {
			this.mqtt.once("connect", resolve);
			setTimeout(() => reject(new Error("no CONNACK")), PATIENCE_MS).unref();
		});
		const granted = await this.mqtt.subscribeAsync(s.subscribe, { qos: 1 });
		assert.ok(granted.every((g) => g.qos <= 1), "a subscription was refused");
	}

	up(verb, data, id = randomUUID()) {
		this.mqtt.publish(`${this.session.publishPrefix}/${verb}`, envelope(id, this.session.did, data), { qos: 1 });
		return id;
	}

	/** mosquitto_sub, another client on another transport. */
	async listen(host, port) {
		const s = this.session = await this.ask("POST", "/realtime/session");
		const login = ["-h", host, "-p", port, "-i", s.clientId, "-u", s.username, "-P", s.password, "-q", "1"];
		// Line by line, so that we see when it has subscribed.
		this.sub = spawn("stdbuf", ["-oL", "mosquitto_sub", ...login, ...s.subscribe.flatMap((t) => ["-t", t]),
			"-F", "%t %p", "-d"]);
		const ready = new Promise((resolve, reject) => {
			this.sub.once("exit", (status) => reject(new Error(`mosquitto_sub ended with ${status}`)));
			createInterface(this.sub.stdout).on("line", (line) => {
				if (line.startsWith("Subscribed"))
					resolve();
				const at = line.indexOf(" {");
				if (/^[usba]\//.test(line) && at > 0)
					this.events.add(line.slice(0, at), line.slice(at + 1));
			});
		});
		await ready;
		this.sub.removeAllListeners("exit");
	}

	/** mosquitto_pub: one connection, one message. */
	async publish(host, port, verb, data, id = randomUUID()) {
		const s = this.session ??= await this.ask("POST", "/realtime/session");
		const pub = spawn("mosquitto_pub", ["-h", host, "-p", port, "-i", s.clientId, "-u", s.username, "-P", s.password,
			"-q", "1", "-t", `${s.publishPrefix}/${verb}`, "-m", envelope(id, s.did, data)]);
		const status = await new Promise((resolve) => pub.once("exit", resolve));
		assert.equal(status, 0, "mosquitto_pub");
		return id;
	}

	close() {
		this.mqtt?.end(true);
		this.sub?.kill();
	}
}

function envelope(id, did, d) {
	return JSON.stringify({ v: 1, id, did, ts: new Date().toISOString(), d });
}
