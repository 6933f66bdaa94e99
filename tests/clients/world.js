// What a test needs around its clients: a server, an identity provider whose tokens it takes, a model that says what the test
// wants, and a person at the workbench.
import { spawn, execFile } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const binary = process.env.MANA_AI_BIN ?? new URL("../../target/debug/mana-ai", import.meta.url).pathname;
const SERVICE_KEY = "a-service-key-for-the-tests-of-clients";
const run = promisify(execFile);

const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

async function listen(answer) {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

export class World {
  /** `plan(prompt)` answers what the model says: `{ summary, steps }`. It may be slow. */
  static async start({ plan = () => ({ summary: "Nothing to do.", steps: [] }), settings = {} } = {}) {
    const world = new World();
    world.dir = mkdtempSync(join(tmpdir(), "mana-ai-clients-"));
    world.#makeKeys();
    world.keys = await listen((request, response) => response.setHeader("content-type", "application/json").end(JSON.stringify(world.jwks)));
    world.model = await listen(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      const prompt = JSON.parse(body).messages.map(({ content }) => content).join("\n\n");
      const message = { role: "assistant", content: JSON.stringify(await plan(prompt)) };
      const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ model: "scripted", choices: [{ message, finish_reason: "stop" }], usage }));
    });
    world.env = {
      ...process.env, MANA_AI_DATA_DIR: join(world.dir, "data"), MANA_LLM_URL: world.model.url, JWKS_URL: world.keys.url,
      MANA_SERVICE_KEY: SERVICE_KEY, TICK_ENABLED: "false", MANA_AI_PLANNER: "json", MANA_AI_SYNCHRONOUS: "normal",
      // Steps are for the devices of this world, once they are approved.
      MANA_AI_BUILTIN_TOOLS: "client", MANA_AI_AUTO_STEPS_PER_HOUR: "0",
      RETRY_BASE_MS: "500", RETRY_MAX_MS: "1000", BREAKER_COOLDOWN_MS: "500", MAX_ATTEMPTS: "50", ...settings,
    };
    await world.#serve();
    return world;
  }

  #makeKeys() {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    this.privateKey = createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" }));
    this.jwks = { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k", alg: "EdDSA", use: "sig" }] };
  }

  token(user) {
    const claims = { sub: user, aud: "mana", iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 86_400 };
    const signed = `${base64url({ alg: "EdDSA", typ: "JWT", kid: "k" })}.${base64url(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.privateKey).toString("base64url")}`;
  }

  async #serve() {
    this.server = spawn(binary, ["serve", "--port", "0", "--log-format", "text"], { env: this.env, stdio: ["ignore", "ignore", "pipe"] });
    this.log = "";
    this.base = await new Promise((resolve, reject) => {
      this.server.once("exit", () => reject(new Error(`the server ended:\n${this.log}`)));
      this.server.stderr.on("data", (chunk) => {
        this.log = (this.log + chunk).slice(-100_000);
        const found = this.log.replace(/\x1b\[[0-9;]*m/g, "").match(/address=(\S+)/);
        if (found) resolve(`http://${found[1]}`);
      });
    });
  }

  /** A pass over all due missions; answers when their runs have settled. */
  async tick() {
    const response = await fetch(`${this.base}/internal/tick`, { method: "POST", headers: { "x-service-key": SERVICE_KEY } });
    if (!response.ok) throw new Error(`tick: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** The lines of a command that prints one JSON object a line. */
  async lines(...args) {
    const { stdout } = await run(binary, args, { env: this.env, maxBuffer: 1 << 30 });
    return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  async end() {
    this.server.removeAllListeners("exit");
    if (this.server.exitCode === null && this.server.signalCode === null) {
      this.server.kill("SIGKILL");
      await once(this.server, "exit");
    }
    for (const { server } of [this.keys, this.model]) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(this.dir, { recursive: true });
  }
}

/** A person at the workbench: forms as a browser sends them. */
export class Person {
  constructor(world, user) {
    Object.assign(this, { world, user });
  }

  async #request(path, fields) {
    const headers = this.cookie ? { cookie: this.cookie } : {};
    const init = fields ? { method: "POST", headers, body: new URLSearchParams(fields), redirect: "manual" } : { headers, redirect: "manual" };
    return fetch(this.world.base + path, init);
  }

  async signIn() {
    const response = await this.#request("/login", { token: this.world.token(this.user) });
    if (response.status !== 303) throw new Error(`sign-in: ${response.status}`);
    this.cookie = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
    await response.text();
  }

  /** The forms of a page: where each goes, and its fields by name, of radio buttons the chosen one. */
  async forms(path) {
    if (!this.cookie) await this.signIn();
    const response = await this.#request(path);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return [...text.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map(([, attributes, content]) => ({ action: attribute(attributes, "action"), fields: fieldsOf(content) }));
  }

  /** Sends a form; refused ones are answered with their status. */
  async send({ action, fields }) {
    const response = await this.#request(action, fields);
    await response.text();
    return response.status;
  }
}

const attribute = (text, name) => unescape(text.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1] ?? "");
const unescape = (text) => text.replace(/&(lt|gt|quot|amp|#39);/g, (_, name) => ({ lt: "<", gt: ">", quot: '"', amp: "&", "#39": "'" })[name]);

function fieldsOf(content) {
  const fields = {};
  for (const [, input, kind, attributes, inner] of content.matchAll(/<input\b([^>]*)>|<(textarea|select)\b([^>]*)>([\s\S]*?)<\/\2>/g)) {
    const name = attribute(input ?? attributes, "name");
    if (!name || (/radio|checkbox/.test(attribute(input ?? "", "type")) && !/\bchecked\b/.test(input))) continue;
    if (kind === "textarea") fields[name] = unescape(inner.replace(/^\n/, ""));
    else if (kind === "select") fields[name] = attribute(inner.match(/<option\b[^>]*\bselected\b[^>]*>/)?.[0] ?? "", "value");
    else fields[name] = attribute(input, "value");
  }
  return fields;
}
