import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "./client.js";

const binary = process.env.MANA_AI_BIN ?? new URL("../../target/debug/mana-ai", import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), "mana-ai-client-"));
const env = { ...process.env, MANA_AI_DATA_DIR: dir, MANA_LLM_URL: "http://127.0.0.1:9", TICK_ENABLED: "false" };
let server, base, token;

before(async () => {
  token = execFileSync(binary, ["token", "create", "--user", "ada"], { env, encoding: "utf8" }).trim();
  server = spawn(binary, ["serve", "--port", "0", "--log-format", "text"], { env, stdio: ["ignore", "ignore", "pipe"] });
  base = await new Promise((resolve) => {
    let log = "";
    server.stderr.on("data", (chunk) => {
      log += chunk;
      const found = log.replace(/\x1b\[[0-9;]*m/g, "").match(/address=(\S+)/);
      if (found) resolve(`http://${found[1]}`);
    });
  });
});

after(() => {
  server.kill();
  rmSync(dir, { recursive: true });
});

async function until(what, check) {
  for (let tries = 0; tries < 2400; tries += 1) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`waited in vain for ${what}`);
}

test("clients that edit offline end with the same records", async () => {
  const [phone, laptop, tablet] = ["phone", "laptop", "tablet"].map((id) => new Client(base, token, id, "notes"));
  await tablet.follow(["notes"]);
  await laptop.listen();
  await phone.insert("notes", "1", { title: "Shopping", done: false, tags: ["home"] });
  await phone.insert("notes", "2", { title: "Gone soon" });
  await phone.sync();
  await until("the laptop to hear of it", async () => Object.keys(await laptop.state()).length === 2);
  // Both offline, both edit; different fields of a record, and the same one.
  await laptop.update("notes", "1", { done: true });
  await phone.update("notes", "1", { title: "Shopping list" });
  await laptop.update("notes", "1", { tags: ["home", "food"] });
  await laptop.remove("notes", "2");
  await phone.update("notes", "2", { title: "Edited after it was gone" });
  await Promise.all([phone.sync(), laptop.sync()]);
  await Promise.all([phone.sync(), laptop.sync()]);
  const expected = { "notes:1": { title: "Shopping list", done: true, tags: ["home", "food"] } };
  for (const client of [phone, laptop]) assert.deepEqual(await client.state(), expected);
  await until("the stream to bring all to the tablet", async () => {
    await tablet.syncing;
    return JSON.stringify(await tablet.state()) === JSON.stringify(expected);
  });
  [phone, laptop, tablet].forEach((client) => client.close());
});

test("a client that was away for long catches up page by page", async () => {
  const [busy, away] = ["busy", "away"].map((id) => new Client(base, token, id, "bulk"));
  for (let part = 0; part < 6; part += 1) {
    for (let n = 0; n < 1000; n += 1) await busy.write({ table: "rows", id: `${part}-${n}`, op: "insert", data: { n } });
    await busy.sync();
  }
  await away.sync();
  assert.deepEqual(await away.state(), await busy.state());
  [busy, away].forEach((client) => client.close());
});
