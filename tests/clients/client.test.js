import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AI, Client } from "./client.js";
import { Person, World } from "./world.js";

let world;

before(async () => (world = await World.start({ plan: () => planned })));
after(() => world.end());

/** What the model plans. */
let planned = { summary: "Nothing to do.", steps: [] };

function client(user, id, app, tables, slot) {
  return new Client({ base: world.base, token: world.token(user), id, app, tables, slot });
}

async function until(what, check) {
  for (const end = Date.now() + 120_000; Date.now() < end; ) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`waited in vain for ${what}`);
}

test("clients that edit offline end with the same records", async () => {
  const [phone, laptop, tablet] = ["phone", "laptop", "tablet"].map((id, n) => client("ada", id, "notes", { notes: "id, createdAt" }, n));
  await tablet.follow();
  await laptop.listen();
  await phone.insert("notes", { id: "1", title: "Shopping", done: false, tags: ["home"], place: { city: "Basel" } });
  await phone.insert("notes", { id: "2", title: "Gone soon" });
  await phone.insert("notes", { id: "3", title: "Gone for a while" });
  await phone.sync();
  await until("the laptop to hear of it", async () => (await laptop.list("notes")).length === 3);
  // Both offline, both edit; different fields of a record and of an object in it, and the same one.
  const edit = (device, id, values) => device.edit("notes", id, (record) => Object.assign(record, values));
  await edit(laptop, "1", { done: true, place: { city: "Basel", street: "Rheingasse" } });
  await edit(phone, "1", { title: "Shopping list", place: { city: "Bern" } });
  await edit(laptop, "1", { tags: ["home", "food"] });
  await laptop.remove("notes", "2");
  await edit(phone, "2", { title: "Edited after it was gone" });
  await phone.remove("notes", "3");
  await phone.undoRemoval("notes", "3");
  for (let round = 0; round < 2; round += 1) await Promise.all([phone.sync(), laptop.sync()]);
  const expected = [
    { id: "1", title: "Shopping list", done: true, tags: ["home", "food"], place: { city: "Bern", street: "Rheingasse" } },
    { id: "3", title: "Gone for a while" },
  ];
  const shown = async (device) => (await device.list("notes")).map(({ __fieldMeta, createdAt, updatedAt, deletedAt, ...record }) => record);
  for (const device of [phone, laptop]) assert.deepEqual(await shown(device), expected);
  assert.deepEqual(await phone.dump(), await laptop.dump());
  await until("the stream to bring all to the tablet", async () => {
    await tablet.syncing;
    return JSON.stringify(await tablet.dump()) === JSON.stringify(await phone.dump());
  });
  for (const device of [phone, laptop, tablet]) await device.close();
});

test("a client that was away for long catches up page by page", async () => {
  const [busy, away] = ["busy", "away"].map((id, n) => client("ada", id, "bulk", { rows: "id, createdAt" }, n));
  const rows = Array.from({ length: 6_000 }, (_, n) => ({ change: { table: "rows", id: `${n}`, op: "insert", data: { id: `${n}`, n, createdAt: busy.stamp([]) } } }));
  await busy.db.pending.bulkAdd(rows);
  await busy.sync();
  await away.sync();
  assert.equal((await away.list("rows")).length, 6_000);
  for (const device of [busy, away]) await device.close();
});

test("a client with an empty table does not start anew", async () => {
  const phone = client("eve", "phone", "ai", AI, 1);
  await phone.insert("aiMissions", { id: "m", title: "t", objective: "o", state: "paused", cadence: { kind: "manual" }, inputs: [], iterations: [] });
  await phone.sync();
  await phone.sync();
  for (const table of phone.tables) {
    const page = await phone.pull(table);
    assert.ok(page.syncedUntil > "2020", `the cursor of ${table} is ${page.syncedUntil}`);
  }
  await phone.close();
});

test("what is proposed is carried out when it is approved, once, on each device", async () => {
  const step = (title) => ({ summary: title, toolName: "create_task", params: { title }, rationale: "Because." });
  planned = { summary: "Three tasks", steps: ["one", "two", "three"].map(step) };
  const [phone, laptop] = ["phone", "laptop"].map((id, n) => client("bob", id, "ai", AI, n + 1));
  const due = new Date(Date.now() - 60_000).toISOString();
  await phone.insert("aiMissions", { id: "mission-bob", title: "t", conceptMarkdown: "", objective: "o", state: "active", cadence: { kind: "manual" }, nextRunAt: due, inputs: [], iterations: [] });
  await phone.sync();
  await world.tick();
  for (const device of [phone, laptop]) await device.sync();
  const statuses = async (device) => (await device.db.aiMissions.get("mission-bob")).iterations[0].plan.map(({ status }) => status);
  assert.deepEqual(await statuses(laptop), ["staged", "staged", "staged"]);
  assert.deepEqual([phone.carriedOut, laptop.carriedOut], [[], []]);

  const person = new Person(world, "bob");
  const review = async (...words) => {
    const { action, fields: { csrf, iteration } } = (await person.forms("/missions/mission-bob")).find(({ action }) => action.endsWith("/review"));
    const decided = words.map((word, n) => [`step:${iteration}-${n}`, word]).filter(([, word]) => word !== "undecided");
    assert.equal(await person.send({ action, fields: { csrf, iteration, ...Object.fromEntries(decided) } }), 303);
    // Both hear of it before either has answered.
    const answers = [await phone.push(), await laptop.push()];
    await phone.receive(answers[0].answer, phone.tables);
    await laptop.receive(answers[1].answer, laptop.tables);
  };
  // Nothing is released before the last step is decided: a device looks at an iteration once.
  await review("approve", "undecided", "reject");
  assert.deepEqual([phone.carriedOut, laptop.carriedOut], [[], []]);
  await review("approve", "approve", "reject");
  const numbers = (device) => device.carriedOut.map(({ step }) => step.split("-").pop());
  assert.deepEqual([numbers(phone), numbers(laptop)], [["0", "1"], ["0", "1"]]);
  for (let round = 0; round < 2; round += 1) for (const device of [phone, laptop]) await device.sync();
  assert.deepEqual([numbers(phone), numbers(laptop)], [["0", "1"], ["0", "1"]]);
  for (const device of [phone, laptop]) assert.deepEqual(await statuses(device), ["approved", "approved", "rejected"]);
  for (const device of [phone, laptop]) await device.close();
});

test("what is made at the workbench is seen on a device", async () => {
  const person = new Person(world, "cleo");
  const make = async (path, values) => {
    const form = (await person.forms(`${path}/new`)).find(({ action }) => action === path);
    assert.equal(await person.send({ action: path, fields: { ...form.fields, ...values } }), 303);
  };
  await make("/agents", { name: "Mira", role: "Helper" });
  await make("/missions", { title: "Read more", objective: "Read.", kind: "manual" });
  const phone = client("cleo", "phone", "ai", AI, 1);
  await phone.sync();
  const [[mission], [agent]] = [await phone.list("aiMissions"), await phone.list("agents")];
  assert.deepEqual([mission?.title, agent?.name], ["Read more", "Mira"]);
  const tools = await phone.toolsOf(agent.id);
  assert.ok(tools.some(([name, decision]) => name === "create_task" && decision === "propose"), JSON.stringify(tools));
  assert.deepEqual([mission.inputs, mission.iterations, mission.state, mission.conceptMarkdown], [[], [], "active", ""]);
  await phone.close();
});

test("a device that was away and rewrites all iterations loses none of the server's", async () => {
  planned = { summary: "One task", steps: [{ summary: "s", toolName: "create_task", params: { title: "t" }, rationale: "r" }] };
  const [phone, laptop] = ["phone", "laptop"].map((id, n) => client("dora", id, "ai", AI, n + 1));
  const due = (record) => (record.nextRunAt = new Date(Date.now() - 60_000).toISOString());
  await phone.insert("aiMissions", { id: "mission-dora", title: "t", conceptMarkdown: "", objective: "o", state: "active", cadence: { kind: "manual" }, inputs: [], iterations: [] });
  for (let run = 0; run < 3; run += 1) {
    await phone.edit("aiMissions", "mission-dora", due);
    await phone.sync();
    await world.tick();
    if (run === 0) await laptop.sync();
  }
  // It knows the first run alone.
  await laptop.edit("aiMissions", "mission-dora", ({ iterations }) => (iterations[0].userFeedback = "fewer"));
  await laptop.sync();
  await world.tick();
  for (const device of [laptop, phone]) await device.sync();
  for (const device of [laptop, phone]) {
    const { iterations } = await device.db.aiMissions.get("mission-dora");
    assert.deepEqual([iterations.length, iterations[0].userFeedback], [3, "fewer"]);
  }
  assert.deepEqual(await phone.dump(), await laptop.dump());
  for (const device of [phone, laptop]) await device.close();
});
