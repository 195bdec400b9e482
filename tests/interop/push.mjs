// A push service and a browser behind it, made of other people's parts: push.mjs RUN_DIR
// http_ece opens what Plaza sealed (RFC 8188, 8291), WebCrypto checks who sent it (RFC 8292).
import assert from "node:assert/strict";
import { createECDH, randomBytes, webcrypto } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import ece from "http_ece";
import { User } from "./client.mjs";
import { finish, step } from "./report.mjs";

const PATIENCE_MS = 10_000;
const env = Object.fromEntries(readFileSync(`${process.argv[2]}/env`, "utf8").split("\n").filter(Boolean)
	.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));

const browser = createECDH("prime256v1");
browser.generateKeys();
const auth = randomBytes(16).toString("base64url");

const arrived = [];
let wake = () => {};
const service = createServer(async (request, response) => {
	const pieces = [];
	for await (const piece of request)
		pieces.push(piece);
	arrived.push({ headers: request.headers, body: Buffer.concat(pieces) });
	response.writeHead(201).end();
	wake();
});
service.listen(0, "127.0.0.1");
await once(service, "listening");
const origin = `http://127.0.0.1:${service.address().port}`;

async function next() {
	if (arrived.length === 0)
		await new Promise((resolve, reject) => {
			wake = resolve;
			setTimeout(() => reject(new Error("no push message")), PATIENCE_MS).unref();
		});
	return arrived.shift();
}

const [reader, writer] = await step("two people register", async () =>
	Promise.all([new User(env.BASE_URL).register("client"), new User(env.BASE_URL).register("client")]));

const key = await step("the browser reads our key and subscribes", async () => {
	const { applicationServerKey } = await reader.ask("GET", "/devices/key");
	await reader.ask("POST", "/devices", {
		endpoint: `${origin}/push/1`, expirationTime: null,
		keys: { p256dh: browser.getPublicKey("base64url"), auth },
	});
	return applicationServerKey;
});

const chat = await writer.ask("POST", "/chats", { peerId: reader.me.id });
const message = await step("a message to somebody who is away reaches the push service", async () => {
	await writer.ask("POST", `/chats/${chat.id}/messages`, { body: "¿Sigue ahí? 🙂" });
	return next();
});

await step("http_ece opens it for the browser", async () => {
	assert.equal(message.headers["content-encoding"], "aes128gcm");
	const text = ece.decrypt(message.body, { version: "aes128gcm", privateKey: browser, authSecret: auth });
	const shown = JSON.parse(text.toString());
	assert.deepEqual([shown.title, shown.body, shown.link], [writer.me.name, "¿Sigue ahí? 🙂", `/chats/${chat.id}`]);
});

await step("it does not open for another browser, or with a byte changed", async () => {
	const other = createECDH("prime256v1");
	other.generateKeys();
	assert.throws(() => ece.decrypt(message.body, { version: "aes128gcm", privateKey: other, authSecret: auth }));
	const changed = Buffer.from(message.body);
	changed[changed.length - 20] ^= 1;
	assert.throws(() => ece.decrypt(changed, { version: "aes128gcm", privateKey: browser, authSecret: auth }));
});

await step("WebCrypto knows who sent it", async () => {
	const [, token, k] = /^vapid t=([^,]+), ?k=([\w-]+)$/.exec(message.headers.authorization);
	assert.equal(k, key);
	const [head, claims, signature] = token.split(".");
	const point = await webcrypto.subtle.importKey("raw", Buffer.from(k, "base64url"),
		{ name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
	const check = (text) => webcrypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, point,
		Buffer.from(signature, "base64url"), Buffer.from(text));
	assert.ok(await check(`${head}.${claims}`));
	assert.ok(!await check(`${head}.${claims}x`));
	const said = JSON.parse(Buffer.from(claims, "base64url"));
	assert.equal(said.aud, origin);
	assert.match(said.sub, /^(mailto|https):/);
	assert.ok(said.exp - Date.now() / 1000 <= 86_400);
});

await step("the headers are those of RFC 8030", async () => {
	assert.match(message.headers.ttl, /^\d+$/);
	assert.match(message.headers.urgency, /^(very-low|low|normal|high)$/);
	assert.match(message.headers.topic, /^[\w-]{1,32}$/);
});

service.close();
service.closeAllConnections();
finish("push");
