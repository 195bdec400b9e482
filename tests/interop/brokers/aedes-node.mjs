// One process of a cluster of aedes over Redis: aedes-node.mjs CONFIGURATION, a file with port, redis (a socket),
// issuer, jwks and secret. Its hooks do what Plaza's plugin does in mosquitto, as far as a few lines can: they verify
// the token, hold every topic against the token's `acl`, and end the connection with the token.
import { createHash, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { Aedes } from "aedes";
import persistenceOf from "aedes-persistence-redis";
import emitterOf from "mqemitter-redis";

const { port, redis, issuer, jwks, secret } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const keys = new Map(jwks.keys.map((key) => [key.kid, createPublicKey({ key, format: "jwk" })]));
const PROGRAMS = { sub: ["up/#", "sys/#"], pub: ["u/#", "s/#", "b/#", "a/#", "sys/#"] };
const NOT_AUTHORIZED = 5;

const partOf = (text) => JSON.parse(Buffer.from(text, "base64url").toString());
const hashOf = (text) => createHash("sha256").update(text).digest();

/** The claims of a token that is good for this connection; throws otherwise. */
function claimsOf(client, username, token) {
	const [head, body, signature] = token.split(".");
	const { alg, kid } = partOf(head);
	const good =
		alg === "RS256" &&
		keys.has(kid) &&
		verify("RSA-SHA256", Buffer.from(`${head}.${body}`), keys.get(kid), Buffer.from(signature, "base64url"));
	if (!good) throw new Error("no token of ours");
	const claims = partOf(body);
	if (claims.iss !== issuer || claims.aud !== "mqtt" || claims.exp * 1000 <= Date.now()) throw new Error("not for here");
	if (claims.sub !== username || client.id !== `${claims.sub}_${claims.did}`) throw new Error("another's name");
	return claims;
}

function authenticate(client, username, password, done) {
	try {
		if (!client.clean) throw new Error("a durable session");
		const text = password?.toString() ?? "";
		if (username === "plaza-backend") {
			if (!timingSafeEqual(hashOf(text), hashOf(secret))) throw new Error("wrong secret");
			client.acl = PROGRAMS;
		} else {
			const { acl, exp } = claimsOf(client, username, text);
			client.acl = acl;
			const end = setTimeout(() => client.close(), exp * 1000 - Date.now());
			client.conn.once("close", () => clearTimeout(end));
		}
		done(null, true);
	} catch (error) {
		done(Object.assign(error, { returnCode: NOT_AUTHORIZED }), false);
	}
}

/** Whether one of these filters covers a topic, or all that a filter can match. They end in "#" or have no wildcard. */
const covers = (filters, topic) =>
	filters.some((f) => f === topic || (f.endsWith("/#") && topic.startsWith(f.slice(0, -1))));

const broker = await Aedes.createBroker({
	mq: emitterOf({ path: redis }),
	persistence: persistenceOf({ path: redis }),
	authenticate,
	authorizeSubscribe: (client, sub, done) => done(null, covers(client.acl.sub, sub.topic) ? sub : null),
	// An error ends the connection: whoever publishes elsewhere is no client of ours.
	authorizePublish: (client, packet, done) =>
		done(packet.retain || !covers(client.acl.pub, packet.topic) ? new Error("denied") : null),
});
createServer(broker.handle).listen(port, "127.0.0.1");
