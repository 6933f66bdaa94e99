// Texts that want to be more than texts, in every field that a client can push: they are shown, and nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { comment, decide, eventually, fits, heading, launch, open, redeem, same, signIn, World } from "./support.js";

const USER = `u/<b>&"'`;
const evil = (field) =>
  `${field} <script>window.__pwned="a"</script><img src=x onerror="window.__pwned='b'"> "'&amp;&lt;!-- </textarea></title></script>` +
  `<svg/onload=window.__pwned=1> javascript:1 \u202egnp.exe 👩‍👩‍👧‍👦🏳️‍🌈 é 中文 Z͑ͫ̓`;
const lines = (field) => `\n\n  ${evil(field)}\n\tindented\n\n${evil(field)}\n\n`;
const LONG = "x".repeat(100_000);
const FAMILY = "👩‍👩‍👧‍👦".repeat(4_000);
const WORDS = "Sentences without an end. ".repeat(4_000);

const mission = (recordId, data) => ({ table: "aiMissions", recordId, userId: USER, clientId: evil("clientId"), actor: { kind: "user", principalId: USER, displayName: evil("displayName") }, data });
const agent = (recordId, data) => ({ ...mission(recordId, data), table: "agents" });
const iteration = (id, text, overallStatus, extra = {}) => ({
  id, startedAt: "2026-04-15T08:00:00.000Z", finishedAt: "2026-04-15T08:00:01.000Z", summary: text("summary"), overallStatus, source: "server", model: text("model"), promptVersion: text("promptVersion"),
  usage: { promptTokens: 1, completionTokens: 1, totalTokens: 2 }, userFeedback: text("feedback"),
  plan: [0, 1].map((n) => ({ id: `${id}-${n}`, summary: text(`step${n}`), rationale: text("rationale"), intent: { kind: "toolCall", toolName: text("toolName"), params: { [text("param")]: text("value"), nested: { list: [text("deep"), 1, null] } } }, status: overallStatus === "approved" ? "approved" : "staged" })),
  ...extra,
});

// Ids are any texts; these have what means something in an address, in HTML and in a selector.
const ODD = `m/<b>"'&?#%41+é ..`;
const RECORDS = {
  script: {
    agent: agent("agent-script", { name: evil("name"), avatar: evil("avatar"), role: evil("role"), systemPrompt: lines("systemPrompt"), memory: lines("memory"), state: "active", maxConcurrentMissions: 3, maxTokensPerDay: 1_000,
      policy: { tools: { create_task: "deny", [evil("tool")]: "deny" }, defaultsByModule: { notes: "deny" }, defaultForAi: "auto" } }),
    mission: mission(ODD, { title: evil("title"), objective: lines("objective"), conceptMarkdown: lines("concept"), state: "active", agentId: "agent-script", nextRunAt: "2031-01-01T08:00:00.000Z",
      cadence: { kind: "daily", atHour: 8, atMinute: 5, timeZone: "Europe/Berlin" },
      inputs: [{ module: "notes", table: "notes", id: "note" }, { module: "notes", table: "notes", id: evil("id of a missing note") }, { module: evil("module"), table: evil("table"), id: evil("id") }],
      [evil("unknown field")]: evil("unknown value"), grant: { wrappedKey: evil("key") },
      iterations: [iteration("it-1", evil, "failed", { errorDetails: { name: evil("error"), message: evil("message"), phase: evil("phase") } }), iteration("it-2", evil, "approved"), iteration("it-3", evil, "awaiting-review")] }),
  },
  long: {
    agent: agent("agent-long", { name: LONG, avatar: LONG, role: FAMILY, systemPrompt: LONG, memory: FAMILY, state: "active", maxTokensPerDay: Number.MAX_SAFE_INTEGER, maxConcurrentMissions: Number.MAX_SAFE_INTEGER }),
    mission: mission("long", { title: LONG, objective: LONG, conceptMarkdown: FAMILY, state: "paused", agentId: "agent-long", cadence: { kind: "cron", expression: "0 8 * * 1-5", timeZone: "America/Argentina/ComodRivadavia" },
      iterations: [iteration("it-1", () => LONG, "awaiting-review"), iteration("it-2", () => WORDS, "approved")] }),
  },
};
// Of the wrong types everywhere: there is nothing to see, but the pages stand.
const WRONG = [
  agent("agent-wrong", { name: 7, avatar: {}, role: [], systemPrompt: 1, memory: null, policy: "all", state: 9, maxConcurrentMissions: "many", maxTokensPerDay: -1 }),
  mission("wrong", { title: null, objective: 3, conceptMarkdown: {}, state: "waiting", agentId: 4, nextRunAt: "tomorrow", cadence: "hourly", inputs: "all", iterations: [null, 7, "text", {}, { plan: "x" },
    { id: 1, overallStatus: "awaiting-review", plan: [null, 3, {}, { intent: 9, summary: {} }, { id: "s", status: 8, intent: { params: [1] } }] }] }),
  mission("nul", { title: "a\u0000b\u0007c\u2028d\uFFFE", objective: "\u0000", state: "active", iterations: [] }),
];
const PATHS = (id) => [`/missions/${encodeURIComponent(id)}`, `/missions/${encodeURIComponent(id)}/log`, `/missions/${encodeURIComponent(id)}/delete`];

let browser, world, page;
before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false" });
  world.import([
    ...Object.values(RECORDS).flatMap(Object.values), ...WRONG,
    { appId: "notes", table: "notes", recordId: "note", userId: USER, data: { title: evil("note"), content: evil("content") } },
    { appId: "companion", table: "goals", recordId: evil("goal-id"), userId: USER, data: { title: LONG } },
  ]);
  await world.serve();
  page = await signIn(browser, world, USER, { viewport: { width: 390, height: 844 } });
});
after(async () => {
  await browser.close();
  await world.end();
});

async function harmless(tab, what) {
  await fits(tab, what);
  assert.equal(await tab.evaluate(() => window.__pwned), undefined, `${what}: a script ran`);
  assert.equal(await tab.locator("img[src=x], svg[onload], [onerror], main script").count(), 0, `${what}: a text became an element`);
  assert.deepEqual(tab.troubles, [], what);
}

test("every page shows it, at both widths", async () => {
  const paths = ["/", "/agents", "/agents/new", "/missions", "/missions/new", "/records", "/records/notes/notes", "/audit", "/agents/agent-script", "/agents/agent-long", ...PATHS(ODD), ...PATHS("long")];
  for (const path of paths) {
    const answer = await page.goto(world.base + path);
    assert.equal(answer.status(), 200, path);
    for (const width of [390, 1440]) {
      await page.setViewportSize({ width, height: 844 });
      await harmless(page, `${path} at ${width}`);
    }
  }
});

test("texts are shown as they are", async () => {
  const says = async (path, fields) => {
    await page.goto(world.base + path);
    const text = await page.getByRole("main").evaluate((main) => [main.textContent, ...[...main.querySelectorAll("input, textarea")].map(({ value }) => value)].join("\n"));
    for (const field of fields) assert.ok(text.includes(evil(field)), `${path} shows ${field} whole`);
  };
  await says(PATHS(ODD)[0], ["title", "objective", "concept", "summary", "step0", "step1", "rationale", "toolName", "param", "value", "deep", "feedback", "message"]);
  await says("/agents/agent-script", ["name", "avatar", "role", "systemPrompt", "memory"]);
  // Lists may cut, but not unmask.
  for (const [path, start] of [["/missions", "title <script>"], ["/agents", "name <script>"], ["/", "title <script>"], ["/missions/new", "note <script>"]]) {
    await page.goto(world.base + path);
    assert.ok((await page.getByRole("main").evaluate((main) => main.textContent)).includes(start), `${path} shows “${start}”`);
  }
  await page.goto(`${world.base}/missions`);
  await page.getByRole("link", { name: "title <script>" }).first().click();
  await page.getByRole("heading", { level: 2, name: "Plans" }).waitFor();
  assert.ok((await page.title()).length < 1_000);
});

test("a direction mark does not turn what stands beside it", async () => {
  for (const path of [PATHS(ODD)[0], PATHS(ODD)[1], "/missions", "/agents", "/"]) {
    await page.goto(world.base + path);
    const turned = await page.evaluate(() => {
      const found = [];
      const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode;
        if (!node.data.includes("\u202e")) continue;
        let element = node.parentElement;
        if (element.closest("textarea, option, title, pre, svg")) continue;
        while (getComputedStyle(element).display === "inline" && !getComputedStyle(element).unicodeBidi.startsWith("isolate")) element = element.parentElement;
        const after = document.createRange();
        after.setStartAfter(node);
        after.setEndAfter(element);
        // What follows in the same line box is turned; a block of its own is not.
        const next = node.nextSibling ?? (node.parentElement === element ? null : node.parentElement.nextSibling);
        if (next && after.toString().trim() && (next.nodeType === 3 || getComputedStyle(next).display.startsWith("inline"))) found.push(`${element.tagName}.${element.className}: ${after.toString().trim().slice(0, 60)}`);
      }
      return found;
    });
    assert.deepEqual(turned, [], path);
  }
});

for (const [name, { agent, mission }] of Object.entries(RECORDS)) {
  test(`forms give back what they took: ${name}`, async () => {
    for (const [kind, table, path, id] of [["agents", "agents", "/agents/", agent.recordId], ["missions", "aiMissions", "/missions/", mission.recordId]]) {
      const before = world.record(kind, id);
      const rows = world.written(USER).length;
      await page.goto(world.base + path + encodeURIComponent(id));
      if (kind === "missions") await page.getByRole("link", { name: "Edit", exact: true }).click();
      const save = page.getByRole("button", { name: "Save", exact: true });
      await save.waitFor();
      await harmless(page, page.url());
      const [answer] = await Promise.all([page.waitForResponse((response) => response.request().method() === "POST"), save.click()]);
      assert.equal(answer.status(), 303, `the form of ${kind} is taken`);
      await page.getByRole("heading", { level: 2, name: kind === "agents" ? "Missions" : "Plans" }).waitFor();
      same(world.record(kind, id), before);
      const [written] = world.written(USER).slice(rows);
      assert.equal(written && Object.keys(written.data).join(), undefined, `nothing was changed, so ${table} has no new row`);
    }
  });
}

test("what is typed arrives unchanged", async () => {
  await page.goto(`${world.base}/missions/new`);
  const typed = { Title: evil("typed title"), Goal: lines("typed objective"), Background: `\n${FAMILY.slice(0, 3_300)}\n` };
  for (const [label, text] of Object.entries(typed)) await page.getByLabel(label, { exact: true }).fill(text);
  await page.getByLabel("Repeats").selectOption("Only when you start it");
  await page.getByRole("button", { name: "Create mission" }).click();
  await page.getByRole("heading", { level: 2, name: "Plans" }).waitFor();
  const { record } = world.lines("missions", "--json", "--user", USER).find(({ record }) => record.title === typed.Title) ?? assert.fail("the title is not as typed");
  assert.deepEqual([record.objective, record.conceptMarkdown], [typed.Goal, typed.Background]);
  const row = world.written(USER).at(-1);
  assert.deepEqual(row.actor, { kind: "user", principalId: USER, displayName: USER });
  await harmless(page, "the new mission");
});

test("a review keeps the texts that it is about", async () => {
  await page.goto(world.base + PATHS(ODD)[0]);
  const plan = page.getByRole("article").filter({ has: page.getByRole("button", { name: "Approve", exact: true }) });
  const before = world.record("missions", ODD).iterations;
  await comment(plan, lines("typed feedback"));
  await eventually("the feedback", () => world.record("missions", ODD).iterations[2].userFeedback?.includes("typed feedback"));
  await page.getByText("typed feedback <script>").first().waitFor();
  await decide(plan, "step0 <script>", "Approve");
  await decide(plan, "step1 <script>", "Reject", "reason <script>");
  await eventually("the review", () => world.record("missions", ODD).iterations[2].overallStatus !== "awaiting-review");
  const after = world.record("missions", ODD).iterations;
  assert.deepEqual(after.slice(0, 2), before.slice(0, 2));
  assert.deepEqual(after[2].plan.map(({ status, result, reason, ...step }) => step), before[2].plan.map(({ status, ...step }) => step));
  assert.deepEqual(after[2].plan.map(({ status }) => status), ["planned", "rejected"]);
  assert.ok(after[2].userFeedback.includes(lines("typed feedback").trim()));
  await page.getByText("typed feedback <script>").first().waitFor();
  await harmless(page, "the reviewed plan");
});

test("records of wrong shapes do not break a page", async () => {
  const tab = await open(page.context());
  for (const path of ["/", "/agents", "/agents/agent-wrong", "/missions", "/missions/new", ...PATHS("wrong"), ...PATHS("nul")]) {
    const answer = await tab.goto(world.base + path);
    assert.equal(answer.status(), 200, path);
    await harmless(tab, path);
  }
  for (const id of ["wrong", "nul"]) {
    await tab.goto(world.base + PATHS(id)[0]);
    await tab.getByRole("link", { name: "Edit", exact: true }).click();
    await tab.getByRole("button", { name: "Save", exact: true }).waitFor();
    await harmless(tab, tab.url());
  }
  await tab.close();
});

test("what a field cannot hold is not lost by saving something else", async () => {
  world.import([
    mission("lines", { title: "two\nlines", objective: "one\r\ntwo\rthree\n", conceptMarkdown: "\r\n", state: "active", cadence: { kind: "moon", phase: "full" } }),
    agent("agent-lines", { name: "two\nlines", avatar: "a\nb", role: "c\nd", memory: "one\r\ntwo", state: "active" }),
  ]);
  for (const [kind, path, id, field, value] of [["missions", "/missions/", "lines", "Background", "changed"], ["agents", "/agents/", "agent-lines", "System prompt", "changed"]]) {
    await page.goto(`${world.base}${path}${id}`);
    if (kind === "missions") await page.getByRole("link", { name: "Edit", exact: true }).click();
    await page.getByLabel(field, { exact: true }).fill(value);
    const before = world.record(kind, id);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("heading", { level: 2, name: kind === "agents" ? "Missions" : "Plans" }).waitFor();
    same(world.record(kind, id), { ...before, [kind === "agents" ? "systemPrompt" : "conceptMarkdown"]: value });
  }
});

test("a user with an odd name can be chosen", async (t) => {
  const demo = new World();
  t.after(() => demo.end());
  const link = await demo.demo();
  demo.import([mission("odd", { title: evil("title"), state: "paused" }), { ...mission("long", { title: "t" }), userId: LONG.slice(0, 250) }]);
  const tab = await open(await browser.newContext({ viewport: { width: 390, height: 844 } }));
  await redeem(tab, link);
  await heading(tab, "Who are you?");
  const button = tab.getByRole("button", { name: USER, exact: true });
  await eventually("the new users to be offered", async () => (await button.count()) > 0 || void (await tab.reload()));
  await harmless(tab, "who");
  await button.click();
  await heading(tab, "Overview");
  await tab.goto(`${demo.base}/missions`);
  await tab.getByRole("link", { name: "title <script>" }).first().waitFor();
  await harmless(tab, "the missions of a user with an odd name");
  await tab.context().close();
});
