// What the brokers of these tests share: a user without rights, processes that end with us, and one address in front of
// a cluster.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";

const AS_PLAZA = process.getuid() === 0 ? ["--reuid=plaza", "--regid=plaza", "--clear-groups"] : [];

export function ownedFolder(path) {
	mkdirSync(path, { recursive: true, mode: 0o700 });
	return own(path);
}

/** A file that only that user reads. */
export function secretFile(path, text) {
	writeFileSync(path, text, { mode: 0o400 });
	return own(path);
}

function own(path) {
	if (process.getuid() === 0) execFileSync("chown", ["plaza:", path]);
	return path;
}

/**
 * A program in the foreground; its output goes to a file. What it execs keeps its process id. Only what reads the
 * checkout stays with our own user: the other one may not be let in there.
 */
export class Program {
	constructor(log, command, { env = {}, own = false } = {}) {
		const out = openSync(log, "a");
		this.child = spawn("setpriv", [...(own ? [] : AS_PLAZA), "--pdeathsig", "TERM", ...command], {
			env: { PATH: process.env.PATH, LANG: "C.UTF-8", ...env },
			stdio: ["ignore", out, out],
		});
		this.ended = new Promise((resolve) => this.child.once("exit", resolve));
	}

	get running() {
		return this.child.exitCode === null && this.child.signalCode === null;
	}

	async kill(signal = "SIGKILL") {
		if (this.running) this.child.kill(signal);
		await this.ended;
	}
}

/** Whether somebody takes connections at this port, or path of a socket. */
export function listens(where) {
	return new Promise((resolve) => {
		const socket = typeof where === "number" ? connect(where, "127.0.0.1") : connect(where);
		socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
		socket.once("connect", () => socket.destroy());
	});
}

/** One address for Plaza's programs: each connection goes to the first node that takes it, as at a TCP balancer. */
export class Balancer {
	#open = new Set();
	targets = [];

	async listen(port) {
		this.server = createServer((client) => this.#serve(client));
		await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
	}

	async #serve(client) {
		client.on("error", () => {}).pause();
		this.#open.add(client);
		client.on("close", () => this.#open.delete(client));
		for (const port of this.targets) {
			const node = connect(port, "127.0.0.1");
			const up = new Promise((resolve) => {
				node.once("connect", () => resolve(true)).once("error", () => resolve(false));
			});
			if (!(await up)) continue;
			node.on("error", () => {}).on("close", () => client.destroy());
			client.on("close", () => node.destroy());
			client.pipe(node).pipe(client);
			return;
		}
		client.destroy();
	}

	/** Another cluster from here on. */
	point(targets) {
		this.targets = targets;
		for (const socket of this.#open) socket.destroy();
	}

	close() {
		this.point([]);
		this.server.close();
	}
}
