// Two nodes of ejabberd in one cluster, in a folder of their own, with an epmd of their own.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { Program, listens, ownedFolder, secretFile } from "./host.mjs";
import { until } from "../until.mjs";

export const HOST = "plaza.test"; // the setting mqtt_jid_host

const LIBRARIES = /^ERL_LIBS='(.*)'$/m.exec(readFileSync("/usr/sbin/ejabberdctl", "utf8"))[1];

const nameOf = (n) => `plaza${n}@127.0.0.1`;

/** What topics.def grants, as far as these rules can say it: they know the user, but neither role nor shop. */
const configuration = ({ dir, port, api }) => `
hosts: ["${HOST}"]
loglevel: warning
auth_method: [jwt, mnesia]
jwt_key: ${dir}/key.jwk
acl:
  programs:
    user: ["plaza-backend@${HOST}"]
  here:
    ip: 127.0.0.0/8
access_rules:
  programs:
    allow: programs
  everybody:
    allow: all
api_permissions:
  tests:
    from: mod_http_api
    who: here
    what: "*"
listen:
  - port: ${port}
    ip: "127.0.0.1"
    module: mod_mqtt
    backlog: 1024
  - port: ${api}
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api
modules:
  mod_mqtt:
    session_expiry: 0
    access_subscribe:
      "up/#": programs
      "sys/#": programs
      "u/%u/#": everybody
      "b/all": everybody
      "b/role/client": everybody
    access_publish:
      "up/+/%u/#": everybody
      "u/#": programs
      "s/#": programs
      "b/#": programs
      "a/#": programs
      "sys/#": programs
`;

export class Ejabberd {
	nodes = [];

	constructor({ dir, ports, spare, jwks, secret }) {
		Object.assign(this, { dir: ownedFolder(dir), ports, jwks, secret });
		[this.epmdPort, ...this.apis] = spare;
	}

	async start() {
		// A cookie in a file, not on a command line that everybody can read.
		secretFile(`${this.dir}/.erlang.cookie`, randomBytes(20).toString("hex"));
		secretFile(`${this.dir}/key.jwk`, JSON.stringify(this.jwks.keys[0]));
		const env = { ERL_EPMD_ADDRESS: "127.0.0.1", ERL_EPMD_PORT: `${this.epmdPort}` };
		this.epmd = new Program(`${this.dir}/epmd.log`, ["epmd"], { env });
		await until("epmd", () => listens(this.epmdPort));
		await this.#startNode(0, env, "ok");
		await this.#startNode(1, env, `ok = ejabberd_cluster:join('${nameOf(0)}')`);
		await until("a cluster of two", async () => (await this.cluster(1)).length === 2);
		await this.#ask(0, "register", { user: "plaza-backend", host: HOST, password: this.secret });
		await until("listeners", async () => (await Promise.all(this.ports.map(listens))).every(Boolean));
	}

	async #startNode(n, env, then) {
		const dir = ownedFolder(`${this.dir}/node${n}`);
		const text = configuration({ dir: this.dir, port: this.ports[n], api: this.apis[n] });
		const conf = secretFile(`${dir}/ejabberd.yml`, text);
		const command = ["erl", "-name", nameOf(n), "-noinput", "-start_epmd", "false"];
		command.push("-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-mnesia", "dir", `"${dir}/mnesia"`);
		command.push("-s", "ejabberd", "-eval", `${then}, {ok, F} = file:open("${dir}/up", [write]), ok = file:close(F).`);
		const more = {
			HOME: this.dir,
			ERL_LIBS: LIBRARIES,
			EJABBERD_CONFIG_PATH: conf,
			EJABBERD_LOG_PATH: `${dir}/ejabberd.log`,
			ERL_CRASH_DUMP: `${dir}/crash.dump`,
		};
		this.nodes[n] = new Program(`${dir}/out.log`, command, { env: { ...env, ...more } });
		await until(`node ${n} of ejabberd`, () => {
			assert.ok(this.nodes[n].running, `ejabberd ended, see ${dir}`);
			return existsSync(`${dir}/up`);
		});
	}

	async #ask(n, command, body = {}) {
		const response = await fetch(`http://127.0.0.1:${this.apis[n]}/api/${command}`, {
			method: "POST",
			body: JSON.stringify(body),
		});
		assert.equal(response.status, 200, `${command}: ${await response.clone().text()}`);
		return response.json();
	}

	/** The nodes that this one sees running, itself included. */
	cluster(n) {
		return this.#ask(n, "list_cluster");
	}

	kill(n) {
		return this.nodes[n].kill();
	}

	async stop() {
		for (const node of this.nodes) await node.kill("SIGTERM");
		await this.epmd.kill("SIGTERM");
	}
}
