// From an agent and a mission to plans, their review, and what the log says about it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { comment, decide, enter, eventually, heading, idIn, launch, mark, Model, sameDocument, set, signIn, World } from "./support.js";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const PLAN = {
  summary: "Two things for the balcony.",
  steps: [
    { summary: "Buy soil", toolName: "create_task", params: { title: "Buy 40 l of soil" }, rationale: "Nothing grows without it." },
    { summary: "Plant palms", toolName: "create_task", params: { title: "Plant three palms" }, rationale: "They look nice." },
  ],
};

test("a mission from its making to its second plan", async (t) => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const model = new Model(async (number) => {
    if (number === 1) await held;
    return number === 1 ? PLAN : { summary: "Nothing more to do.", steps: [] };
  });
  const world = new World({ MANA_LLM_URL: await model.listen(), TICK_INTERVAL_MS: "500", MANA_LLM_CONTEXT_TOKENS: "16384" });
  t.after(async () => {
    await world.end();
    model.close();
  });
  await world.serve();
  const page = await signIn(browser, world, "anna");
  const nav = page.getByRole("navigation");

  await nav.getByRole("link", { name: "Agents" }).click();
  await heading(page, "Agents");
  await page.getByRole("link", { name: "New agent" }).click();
  for (const [field, value] of Object.entries({
    Name: "Greta", Avatar: "🌱", Role: "Keeps the balcony green", "System prompt": "Be brief.", Memory: "The balcony faces north.",
    "Parallel plans": "2", "Daily token limit": "50000",
  })) await set(page, field, value);
  await page.getByText("By module and tool").click();
  await set(page, "All other tools", "Propose");
  await page.locator(".module", { hasText: "create_note" }).locator("summary").click();
  await set(page, "Write a new note.", "Deny");
  await page.getByRole("button", { name: "Create agent" }).click();
  await heading(page, "Greta");
  const agent = idIn(page);
  assert.deepEqual((({ name, avatar, role, systemPrompt, memory, maxConcurrentMissions, maxTokensPerDay }) =>
    ({ name, avatar, role, systemPrompt, memory, maxConcurrentMissions, maxTokensPerDay }))(world.record("agents", agent)), {
    name: "Greta", avatar: "🌱", role: "Keeps the balcony green", systemPrompt: "Be brief.", memory: "The balcony faces north.",
    maxConcurrentMissions: 2, maxTokensPerDay: 50_000,
  });
  const { tools, defaultForAi } = world.record("agents", agent).policy;
  assert.deepEqual([tools.create_note, tools.create_task, defaultForAi], ["deny", "propose", "propose"]);
  await page.getByRole("heading", { level: 2, name: "Missions" }).waitFor();
  await page.getByRole("meter").or(page.getByRole("progressbar")).first().waitFor();

  await nav.getByRole("link", { name: "Missions" }).click();
  await heading(page, "Missions");
  await page.getByRole("link", { name: "New mission" }).click();
  await set(page, "Title", "A green balcony");
  await set(page, "Goal", "Have something green on the balcony by May.");
  await set(page, "Background", "Shade, and little money.");
  await set(page, "Agent", agent);
  await set(page, "Repeats", "Only when you start it");
  await page.getByRole("button", { name: "Create mission" }).click();
  await heading(page, "A green balcony");
  const mission = idIn(page);
  const made = world.record("missions", mission);
  assert.deepEqual([made.state, made.cadence.kind, made.agentId], ["active", "manual", agent]);

  await page.getByRole("button", { name: "Run now" }).click();
  await eventually("the model to be asked", () => model.requests.length === 1);
  await heading(page, "A green balcony");
  await mark(page);
  release();
  const plan = page.getByRole("article").filter({ hasText: PLAN.summary });
  await plan.waitFor();
  await sameDocument(page);
  const offered = model.requests[0].tools.map((tool) => tool.function.name);
  assert.ok(offered.includes("create_task") && !offered.includes("create_note"), "a tool that is denied is not offered");

  // The overview counts it.
  await nav.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("heading", { level: 2, name: "Waiting for your review" }).waitFor();
  await page.getByRole("main").getByRole("link", { name: "A green balcony" }).first().click();

  const soil = plan.getByRole("group", { name: PLAN.steps[0].summary });
  await soil.getByText(PLAN.steps[0].rationale).waitFor();
  await soil.getByText("Adds to Tasks").waitFor();
  await comment(plan, "No palms: they are too big.\nMint is fine.");
  await eventually("the feedback", () => world.record("missions", mission).iterations[0].userFeedback);
  await decide(plan, PLAN.steps[0].summary, "Approve");
  await soil.getByText("done", { exact: true }).waitFor();
  await decide(plan, PLAN.steps[1].summary, "Reject", "There is no room.");
  await plan.getByText("approved", { exact: true }).first().waitFor();
  await plan.getByText("rejected", { exact: true }).first().waitFor();
  await plan.getByText("No palms: they are too big.").first().waitFor();
  const [reviewed] = world.record("missions", mission).iterations;
  assert.deepEqual(reviewed.plan.map((step) => step.status), ["approved", "rejected"], "what is approved is carried out");
  assert.equal(reviewed.overallStatus, "approved");
  assert.equal(reviewed.summary, PLAN.summary);

  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("article").filter({ hasText: "Nothing more to do." }).waitFor();
  const prompt = model.prompt(2);
  for (const told of ["No palms: they are too big.", "[approved by the user, done] create_task: Buy soil", "[rejected: There is no room.] create_task: Plant palms"]) {
    assert.ok(prompt.includes(told), `the second prompt says “${told}”:\n${prompt}`);
  }

  // What was done is taken back.
  await page.getByRole("article").filter({ hasText: PLAN.summary }).getByRole("button", { name: "Undo" }).click();
  await page.getByText("undone", { exact: true }).waitFor();
  assert.equal(await page.getByRole("article").filter({ hasText: PLAN.summary }).getByRole("button", { name: "Decide again" }).count(), 2);

  await page.goto(`${world.base}/agents/${agent}`);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  assert.equal(world.record("agents", agent).state, "paused");
  await page.getByRole("link", { name: "A green balcony" }).first().click();
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("alert").filter({ hasText: "Not started. Agent Greta is paused." }).waitFor();
  assert.equal(model.requests.length, 2, "nothing was planned for an agent that is paused");

  // The change log tells of it, and what the pages wrote are rows like those of any client.
  await page.getByText("More", { exact: true }).click();
  await page.getByRole("link", { name: "History" }).click();
  await heading(page, "History");
  const rows = world.written("anna");
  assert.deepEqual(rows.slice(0, 2).map(({ table, op }) => [table, op]), [["agents", "insert"], ["aiMissions", "insert"]]);
  assert.ok(rows.length >= 6, "agent, mission, two runs, a review and a pause");
  for (const { data, op } of rows.slice(0, 2)) {
    // What the existing web client needs in order to show it.
    for (const field of ["createdAt", "updatedAt"]) assert.match(data[field], /^\d{4}-\d\d-\d\dT[0-9:]{8}\.\d{3}Z$/, op);
    assert.deepEqual([data.spaceId, data.authorId, data.visibility], ["_personal:anna", "anna", "space"], op);
    assert.ok(Object.values(data).every((value) => value !== null), JSON.stringify(data));
  }
  const { policy, maxConcurrentMissions } = rows[0].data;
  assert.deepEqual([policy.defaultForAi, policy.tools.create_task, policy.tools.create_note, maxConcurrentMissions], ["propose", "propose", "deny", 2]);
  assert.deepEqual([rows[1].data.state, rows[1].data.iterations, rows[1].data.inputs], ["active", [], []]);
  const done = rows.filter(({ table }) => table === "tasks");
  assert.deepEqual(done.map(({ op, origin, actor }) => [op, origin, actor.kind]), [["insert", "agent", "ai"], ["delete", "user", "user"]]);
  for (const row of rows.filter((row) => !done.includes(row))) {
    assert.equal(row.origin, "user");
    assert.deepEqual(row.actor, { kind: "user", principalId: "anna", displayName: "anna" });
    assert.deepEqual([row.appId, row.userId, row.schemaVersion], ["ai", "anna", 1]);
    if (row.op === "update") assert.deepEqual(Object.keys(row.fieldMeta).sort(), Object.keys(row.data).sort(), "each field has its time");
  }
  assert.deepEqual(page.troubles, []);
});

test("records: written, imported from a file, and deleted with a way back", async (t) => {
  const world = new World({ TICK_ENABLED: "false" });
  t.after(() => world.end());
  await world.serve();
  const page = await signIn(browser, world, "anna");
  await page.goto(`${world.base}/missions/new`);
  await page.getByRole("link", { name: "write a note" }).click();
  await heading(page, "Notes");
  await page.getByRole("textbox", { name: "Title" }).fill("Balcony");
  await page.getByRole("textbox", { name: "Content" }).fill("Shady,\nfour square metres.");
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByText("1 record added.").waitFor();
  await page.getByRole("link", { name: "Import" }).click();
  await page.getByLabel("A file").setInputFiles({ name: "notes.md", mimeType: "text/markdown", buffer: Buffer.from("# Herbs\n\nMint\n\n# Pots\n\nTwo\n") });
  await eventually("the file to be read", async () => (await page.getByLabel("Or paste").inputValue()).includes("# Pots"));
  await page.getByRole("main").getByRole("button", { name: "Import" }).click();
  await page.getByText("2 records added.").waitFor();
  await page.getByRole("searchbox", { name: "Search" }).fill("mint");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByRole("link", { name: "Herbs" }).click();
  await heading(page, "Herbs");
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByText("Deleted.").waitFor();
  assert.equal(await page.getByRole("link", { name: "Herbs" }).count(), 0);
  await page.getByRole("button", { name: "Undo" }).click();
  await heading(page, "Herbs");
  // A mission can read them.
  await page.goto(`${world.base}/missions/new`);
  for (const name of ["Balcony", "Herbs", "Pots"]) await page.getByRole("checkbox", { name: new RegExp(name) }).waitFor();
  assert.deepEqual(page.troubles, []);
});

test("the demo: by its link to a plan, with approval and rejection of all", async (t) => {
  const world = new World();
  t.after(() => world.end());
  const page = await enter(browser, await world.demo(), "anna");
  for (const name of ["Waiting for your review", "Running now", "Due next", "The last 24 hours"]) {
    await page.getByRole("heading", { level: 2, name, exact: true }).waitFor();
  }
  const plans = [["Approve all 2", "approved", "done"], ["Reject all", "rejected", "rejected"]];
  for (const [button, status, released] of plans) {
    // The script of the demo answers by the title.
    const title = `A green balcony, all ${status}`;
    await page.goto(`${world.base}/missions/new`);
    await set(page, "Title", title);
    await set(page, "Goal", "Something green.");
    await set(page, "Repeats", "Only when you start it");
    await page.getByRole("button", { name: "Create mission" }).click();
    await heading(page, title);
    await page.getByRole("button", { name: "Run now" }).click();
    const plan = page.getByRole("article").filter({ hasText: "April is the time to sow" });
    await plan.getByRole("button", { name: button }).click();
    await plan.getByText(released, { exact: true }).nth(1).waitFor();
    const [iteration] = world.record("missions", idIn(page)).iterations;
    assert.deepEqual([iteration.overallStatus, ...iteration.plan.map((step) => step.status)], [status, status, status]);
    assert.equal(await plan.getByRole("button", { name: "Approve", exact: true }).count(), 0, "what is settled is not asked again");
  }

  // The page may renew itself under the pointer, as it tells of the end of the run.
  await eventually("the mission to be paused", async () => {
    const pause = page.getByRole("button", { name: "Pause" });
    if (await pause.count()) await pause.click({ timeout: 2_000 }).catch(() => {});
    return page.getByRole("button", { name: "Resume" }).isVisible();
  });
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  const gone = idIn(page);
  await page.getByText("More", { exact: true }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  const sure = page.getByRole("button", { name: "Delete" });
  await sure.waitFor();
  assert.ok(world.record("missions", gone), "asking again deletes nothing");
  await sure.click();
  await heading(page, "Missions");
  assert.equal(world.record("missions", gone), undefined);
  const row = world.written("anna").at(-1);
  assert.deepEqual([row.op, Object.keys(row.data)], ["delete", ["deletedAt"]]);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  assert.deepEqual(world.written("anna").at(-1).data, { deletedAt: null });
  assert.equal(world.record("missions", gone).iterations.length, 1, "with its plans");
  assert.equal(await page.getByRole("link", { name: "A green balcony, all rejected" }).count(), 0);
  assert.deepEqual(page.troubles, []);
});

test("the demo ends when it is asked to, also while it plans", async (t) => {
  const world = new World();
  t.after(() => world.end());
  await world.demo();
  await eventually("a run", () => world.lines("runs", "--json").length > 0);
  await world.stop();
});

test("templates fill the form, and the next times follow its fields", async (t) => {
  const world = new World({ TICK_ENABLED: "false" });
  t.after(() => world.end());
  await world.serve();
  world.import([
    { appId: "companion", table: "goals", recordId: "g", userId: "anna", data: { title: "Read 20 pages", currentValue: 8, targetValue: 20 } },
    { appId: "notes", table: "notes", recordId: "n", userId: "anna", data: { title: "Books to read", content: "Middlemarch" } },
    { appId: "notes", table: "notes", recordId: "not-mine", userId: "ben", data: { title: "Diary of Ben", content: "…" } },
  ]);
  const page = await signIn(browser, world, "anna");
  await page.goto(`${world.base}/missions/new`);
  await mark(page);
  const next = page.getByRole("region", { name: "Next times" }).or(page.getByRole("group", { name: "Next times" }));
  const shown = () => next.locator("time[datetime]").evaluateAll((times) => times.map((time) => new Date(time.dateTime).toISOString()));
  const follows = async (fields, cadence) => {
    for (const [label, value] of Object.entries(fields)) await set(page, label, value);
    const from = new Date().toISOString();
    const expected = world.lines("cadence", "--json", "--cadence", JSON.stringify(cadence), "--from", from, "--count", "5");
    const times = expected.map((line) => new Date(line.next).toISOString());
    let seen;
    await eventually(`the next times of ${JSON.stringify(cadence)}`, async () => {
      seen = await shown();
      return JSON.stringify(seen) === JSON.stringify(times);
    }).catch((error) => assert.deepEqual(seen, times, error.message));
  };
  await follows({ Repeats: "Daily", Hour: 8, Minute: 30, "Time zone": "Europe/Berlin" }, { kind: "daily", atHour: 8, atMinute: 30, timeZone: "Europe/Berlin" });
  await follows({ Hour: 21 }, { kind: "daily", atHour: 21, atMinute: 30, timeZone: "Europe/Berlin" });
  await follows({ Repeats: "Weekly", Weekday: "Wednesday", Hour: 7, Minute: 0 }, { kind: "weekly", dayOfWeek: 3, atHour: 7, timeZone: "Europe/Berlin" });
  await follows({ Repeats: "Custom (cron)", "Cron expression": "15 6 1 * *", "Time zone": "America/New_York" }, { kind: "cron", expression: "15 6 1 * *", timeZone: "America/New_York" });
  await set(page, "Cron expression", "every day");
  await eventually("the times of a broken expression to go", async () => (await shown()).length === 0);
  await set(page, "Repeats", "Every few minutes");
  await set(page, "Minutes between runs", 10);
  await eventually("five times ten minutes apart", async () => {
    const times = (await shown()).map(Date.parse);
    return times.length === 5 && times.every((time, n) => n === 0 || time - times[n - 1] === 600_000);
  });
  await sameDocument(page);

  const linked = page.getByRole("group", { name: "What it can read" });
  await linked.getByRole("checkbox", { name: /Read 20 pages/ }).check();
  await linked.getByRole("checkbox", { name: /Books to read/ }).check();
  assert.equal(await linked.getByText("Diary of Ben").count(), 0, "the records of others are not offered");
  await set(page, "Title", "Read more");
  await set(page, "Goal", "Read on most evenings.");
  await follows({ Repeats: "Weekly", Weekday: "Sunday", Hour: 20 }, { kind: "weekly", dayOfWeek: 0, atHour: 20, timeZone: "America/New_York" });
  const [first] = await shown();
  await page.getByRole("button", { name: "Create mission" }).click();
  await heading(page, "Read more");
  const record = world.record("missions", idIn(page));
  assert.deepEqual(record.cadence, { kind: "weekly", dayOfWeek: 0, atHour: 20, ...(record.cadence.atMinute === 0 && { atMinute: 0 }), timeZone: "America/New_York" });
  assert.equal(new Date(record.nextRunAt).toISOString(), first);
  assert.deepEqual(record.inputs.map(({ module, table, id }) => [module, table, id]).sort(), [["goals", "goals", "g"], ["notes", "notes", "n"]]);
  assert.deepEqual(page.troubles, []);
});

test("a form with a mistake says so and keeps what was typed", async (t) => {
  const world = new World({ TICK_ENABLED: "false" });
  t.after(() => world.end());
  await world.serve();
  const page = await signIn(browser, world, "anna");
  const refused = async (button, said) => {
    const [answer] = await Promise.all([page.waitForResponse((response) => response.request().method() === "POST"), page.getByRole("button", { name: button }).click()]);
    assert.equal(answer.status(), 422);
    await page.getByRole("alert").filter({ hasText: said }).waitFor();
  };
  await page.goto(`${world.base}/missions/new`);
  const mission = { Title: "Typed", Goal: "\nTyped with care.\n", Repeats: "Custom (cron)", "Cron expression": "every day", "Time zone": "Europe/Berlin" };
  for (const [label, value] of Object.entries(mission)) await set(page, label, value);
  await refused("Create mission", /cron/i);
  for (const [label, value] of Object.entries({ ...mission, Repeats: "cron" })) assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), value, label);
  await set(page, "Cron expression", "0 8 * * *");
  await set(page, "Time zone", "Europe/Nowhere");
  await refused("Create mission", /Europe\/Nowhere/);
  await set(page, "Time zone", "Europe/Berlin");
  await page.getByRole("button", { name: "Create mission" }).click();
  await heading(page, "Typed");
  assert.equal(world.record("missions", idIn(page)).objective, mission.Goal);
  assert.equal(world.written("anna").length, 1, "what was refused is not in the log");
});

test("the change log of a mission, page by page", async (t) => {
  const world = new World({ TICK_ENABLED: "false" });
  t.after(() => world.end());
  const renames = Array.from({ length: 260 }, (_, n) => ({
    table: "aiMissions", recordId: "m", userId: "anna", op: n === 0 ? "insert" : "update", clientId: "phone",
    data: n === 0 ? { title: "Rename-000", objective: "o", state: "paused" } : { title: `Rename-${String(n).padStart(3, "0")}` },
    createdAt: new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString(),
  }));
  world.import(renames);
  await world.serve();
  const page = await signIn(browser, world, "anna");
  await page.goto(`${world.base}/missions/m/log`);
  await heading(page, "History");
  const seen = [];
  for (let pages = 1; ; pages += 1) {
    assert.ok(pages < 100, "the pages come to an end");
    const names = (await page.locator("main ins").allTextContents()).filter((name) => name.startsWith("Rename-"));
    assert.ok(names.length > 0, "no page is empty");
    seen.push(...names.filter((name) => !seen.includes(name)));
    const older = page.getByRole("link", { name: "Older" });
    if ((await older.count()) === 0) {
      assert.ok(pages > 1, "260 changes do not stand on one page");
      break;
    }
    assert.match(await older.first().getAttribute("href"), /[?&]before=/);
    await Promise.all([page.waitForEvent("framenavigated"), older.first().click()]);
    await page.waitForLoadState();
  }
  assert.deepEqual(seen, renames.map(({ data }) => data.title).reverse(), "each change once, newest first");
  assert.deepEqual(page.troubles, []);
});
