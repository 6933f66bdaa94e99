// What the tests share: data directories with a server on them, a model that says what a test wants, and a browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const binary = process.env.MANA_AI_BIN ?? new URL("../../target/debug/mana-ai", import.meta.url).pathname;
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
export const TIMEOUT = 90_000;

/** A data directory, the commands on it, and the server over it. */
export class World {
  constructor(settings = {}) {
    this.dir = mkdtempSync(join(tmpdir(), "mana-ai-workbench-"));
    this.env = { ...process.env, MANA_AI_DATA_DIR: join(this.dir, "data"), MANA_LLM_URL: "http://127.0.0.1:9", ...settings };
    this.port = 0;
  }

  run(args, input = "") {
    return execFileSync(binary, args, { env: this.env, encoding: "utf8", input, maxBuffer: 1 << 28, stdio: ["pipe", "pipe", "pipe"] });
  }

  token(user) {
    return this.run(["token", "create", "--user", user]).trim();
  }

  /** The lines of a command that prints one JSON object a line. */
  lines(...args) {
    return this.run(args).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  record(kind, id) {
    return this.lines(kind, "--json").find((line) => line.id === id)?.record;
  }

  /** The rows that the pages wrote for a user. */
  written(user) {
    return this.lines("export", "--user", user).filter((row) => row.clientId === "workbench");
  }

  import(rows) {
    this.run(["import", "-"], rows.map((row) => JSON.stringify({ appId: "ai", op: "insert", clientId: "phone", createdAt: "2026-04-15T07:00:00.000Z", ...row })).join("\n"));
  }

  async push(token, changes, client = "phone") {
    const body = { clientId: client, appId: "ai", since: new Date().toISOString(), changes };
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(`${this.base}/sync/ai`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.equal(response.status, 200, await response.text());
  }

  /** Changes fields of a record as another client would. */
  async update(token, table, id, values) {
    const at = new Date().toISOString();
    const fields = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, at }]));
    await this.push(token, [{ table, id, op: "update", fields }]);
  }

  async serve() {
    const [address] = await this.#start(["serve", "--log-format", "text"], "stderr", /address=([0-9.]+:\d+)/);
    this.base = `http://${address}`;
    this.port = Number(this.base.split(":").pop());
  }

  /** Starts the demo and answers the link that it prints. */
  async demo() {
    const [link, base] = await this.#start(["demo"], "stdout", /((http:\/\/127\.0\.0\.1:\d+)\/link\?code=\S+)/);
    this.base = base;
    this.port = Number(base.split(":").pop());
    return link;
  }

  async #start(command, stream, pattern) {
    let [log, found] = ["", null];
    this.server = spawn(binary, [...command, "--port", String(this.port)], { env: this.env, stdio: ["ignore", "pipe", "pipe"] });
    this.gone = once(this.server, "exit");
    this.server.stdout.on("data", () => {});
    this.server.stderr.on("data", () => {});
    this.server[stream].on("data", (chunk) => (log += chunk));
    await eventually("the server to start", () => {
      assert.equal(this.server.exitCode, null, `the server ended at once:\n${log}`);
      found = log.replace(/\x1b\[[0-9;]*m/g, "").match(pattern);
      return found;
    });
    return found.slice(1);
  }

  async stop() {
    this.server.kill();
    const late = setTimeout(() => this.server.kill("SIGKILL"), 120_000);
    const [, signal] = await this.gone;
    clearTimeout(late);
    assert.notEqual(signal, "SIGKILL", "the server did not stop when it was asked to");
  }

  async end() {
    if (this.server?.exitCode === null && this.server.signalCode === null) {
      this.server.kill("SIGKILL");
      await this.gone;
    }
    rmSync(this.dir, { recursive: true });
  }
}

/** A model server. `answer(request)` may be slow; what it returns is the plan, and `requests` has what was asked. */
export class Model {
  constructor(answer) {
    this.requests = [];
    this.server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      this.requests.push(JSON.parse(body));
      const content = JSON.stringify(await answer(this.requests.length));
      response.setHeader("content-type", "application/json");
      const usage = { prompt_tokens: 700, completion_tokens: 50, total_tokens: 750 };
      response.end(JSON.stringify({ model: "scripted", choices: [{ message: { role: "assistant", content } }], usage }));
    });
  }

  async listen() {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  prompt(number) {
    return this.requests[number - 1].messages.map(({ content }) => content).join("\n\n");
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/** A page that remembers what went wrong in it: `page.troubles`. */
export async function open(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.troubles = [];
  const trouble = (text) => page.troubles.includes(text) || page.troubles.push(text);
  page.on("console", (message) => message.type() === "error" && trouble(`console: ${message.text()}`));
  page.on("pageerror", (error) => trouble(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    trouble(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => {});
  });
  return page;
}

/** A context of its own, signed in with a token; its page shows the overview. */
export async function signIn(browser, world, user, options = {}) {
  const page = await open(await browser.newContext(options));
  await page.goto(`${world.base}/login`);
  await page.getByLabel("Access token").fill(world.token(user));
  await page.getByRole("button", { name: "Sign in" }).click();
  // Who has no mission yet is welcomed.
  await page.getByRole("heading", { level: 1, name: /^(Overview|Welcome)$/ }).waitFor();
  return page;
}

/** Opens a link that signs in, and redeems it. */
export async function redeem(page, link) {
  await page.goto(link);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Signs in by the link of the demo. */
export async function enter(browser, link, user, options = {}) {
  const page = await open(await browser.newContext(options));
  await redeem(page, link);
  await page.getByRole("button", { name: user, exact: true }).click();
  await heading(page, "Overview");
  return page;
}

/** Waits for the title of a page; the state of a record may stand beside its name. */
export function heading(page, name) {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return page.getByRole("heading", { level: 1, name: new RegExp(`^${escaped}( (active|paused|done|archived|unknown))?$`) }).waitFor();
}

export async function eventually(what, check) {
  for (const end = Date.now() + TIMEOUT; Date.now() < end; ) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.fail(`waited in vain for ${what}`);
}

/** Marks the document, so that `sameDocument` can tell whether it was loaded anew. */
export const mark = (page) => page.evaluate(() => void (window.__marked = true));
export const sameDocument = async (page) =>
  assert.equal(await page.evaluate(() => window.__marked), true, `${page.url()} was loaded anew`);

/** Measures a page when its styles are in force: a page that a click opened shows its elements earlier. */
export async function fits(page, what = page.url()) {
  await page.waitForLoadState("load");
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${what} scrolls sideways: ${content} of ${window} pixels`);
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Where pictures of the pages go, if anybody wants them. */
const pictures = process.env.MANA_SCREENSHOTS;

/** Looks at an open page on a phone and a desktop, in both themes, and in each of `languages`: it fits, and axe finds no barrier. */
export async function look(page, name, { languages = [null], fullPage = true } = {}) {
  const [size, barriers] = [page.viewportSize(), []];
  const speak = async (language) => {
    await page.context().setExtraHTTPHeaders({ "accept-language": language });
    await page.reload();
  };
  if (pictures) mkdirSync(pictures, { recursive: true });
  for (const language of languages) {
    if (language) await speak(language);
    // Evaluated by the browser's own tools, so the page keeps its policy.
    await page.evaluate(axe);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const width of [390, 1440]) {
        const what = [name, language, colorScheme, width].filter(Boolean).join("-");
        await page.setViewportSize({ width, height: fullPage ? 900 : width > 390 ? 900 : 664 });
        await fits(page, what);
        if (pictures) await page.screenshot({ path: join(pictures, `${what}.png`), fullPage, caret: "initial" });
        const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
        barriers.push(...violations.map(({ id, help, nodes }) => `${what}: ${id} (${help}): ${nodes.map(({ target }) => target).slice(0, 3).join(" | ")}`));
      }
    }
  }
  if (languages[0]) await speak(languages[0]);
  if (size) await page.setViewportSize(size);
  assert.deepEqual(barriers, []);
  // A page may be one that tells of a refusal.
  assert.deepEqual(page.troubles.filter((text) => !/status of 4\d\d/.test(text)), []);
}

/** Sets a field, be it a list or a text. */
export async function set(scope, label, value) {
  const field = scope.getByLabel(label, { exact: true });
  const list = (await field.evaluate((element) => element.tagName)) === "SELECT";
  await (list ? field.selectOption(value) : field.fill(String(value)));
}

/** Decides about a step of a plan. */
export async function decide(plan, summary, decision, reason = "") {
  const step = plan.getByRole("group", { name: summary });
  if (decision === "Approve") return step.getByRole("button", { name: "Approve", exact: true }).click();
  await step.getByText("Reject", { exact: true }).first().click();
  await step.getByLabel("Reason").fill(reason);
  return step.getByRole("button", { name: "Reject", exact: true }).click();
}

/** Leaves feedback on a plan. */
export async function comment(plan, text) {
  await plan.getByText("Tell the agent something").click();
  await plan.getByRole("textbox", { name: "Feedback" }).fill(text);
  await plan.getByRole("button", { name: "Save feedback" }).click();
}

/** Compares records field by field, so that a failure tells of those that differ, in short. */
export function same(actual, expected, what = "the record") {
  const told = (value) => (JSON.stringify(value) ?? "absent").slice(0, 200);
  const fields = [...new Set([...Object.keys(actual), ...Object.keys(expected)])];
  const differ = fields.filter((field) => JSON.stringify(actual[field]) !== JSON.stringify(expected[field]));
  assert.deepEqual(differ.map((field) => `${field} is ${told(actual[field])}, was ${told(expected[field])}`), [], what);
}

export const idIn = (page) => decodeURIComponent(new URL(page.url()).pathname.split("/")[2]);

/** Requests a path with the cookies of a context, following nothing. */
export const get = (context, url) => context.request.get(url, { maxRedirects: 0 });
