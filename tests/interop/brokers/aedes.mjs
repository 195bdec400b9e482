// Two processes of aedes with a Redis of their own between them.
import { fileURLToPath } from "node:url";
import { Program, listens, ownedFolder, secretFile } from "./host.mjs";
import { until } from "../until.mjs";

const PROGRAM = fileURLToPath(new URL("aedes-node.mjs", import.meta.url));

export class AedesCluster {
	nodes = [];

	constructor({ dir, ports, ...shared }) {
		Object.assign(this, { dir: ownedFolder(dir), ports, shared });
	}

	async start() {
		const [redis, redisLog] = [`${this.dir}/redis.sock`, `${this.dir}/redis.log`];
		const nothing = ["--port", "0", "--save", "", "--appendonly", "no"];
		this.redis = new Program(redisLog, ["redis-server", "--unixsocket", redis, "--dir", this.dir, ...nothing]);
		await until("Redis", () => listens(redis));
		for (const [n, port] of this.ports.entries()) {
			const { jwks, secret, issuer } = this.shared;
			const conf = secretFile(`${this.dir}/node${n}.json`, JSON.stringify({ port, redis, issuer, jwks, secret }));
			this.nodes[n] = new Program(`${this.dir}/node${n}.log`, [process.execPath, PROGRAM, conf], { own: true });
		}
		await until("both processes of aedes", async () => (await Promise.all(this.ports.map(listens))).every(Boolean));
	}

	kill(n) {
		return this.nodes[n].kill();
	}

	async stop() {
		for (const program of [...this.nodes, this.redis]) await program.kill("SIGTERM");
	}
}
