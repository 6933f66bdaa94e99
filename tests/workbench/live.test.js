// What other clients push shows on open pages, and takes nothing away from who is typing there.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { decide, eventually, heading, launch, mark, open, sameDocument, set, signIn, World } from "./support.js";

let browser, world, token, page;
const step = (n, summary) => ({ id: `it-${n}`, summary, rationale: "r", intent: { kind: "toolCall", toolName: "create_task", params: { title: summary } }, status: "staged" });
const iteration = { id: "it", startedAt: "2026-04-15T08:00:00.000Z", finishedAt: "2026-04-15T08:00:01.000Z", summary: "The plan", overallStatus: "awaiting-review", source: "server", plan: [step(0, "First"), step(1, "Second")] };

before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false" });
  world.import([
    { table: "agents", recordId: "a", userId: "anna", data: { name: "Greta", state: "active", memory: "old memory" } },
    { table: "aiMissions", recordId: "m", userId: "anna", data: { title: "Start", objective: "old objective", state: "active", cadence: { kind: "manual" }, agentId: "a", iterations: [iteration] } },
  ]);
  await world.serve();
  token = world.token("anna");
  page = await signIn(browser, world, "anna");
});
after(async () => {
  await browser.close();
  await world.end();
});

// A browser opens only six lines to a server.
afterEach(() => Promise.all(page.context().pages().filter((tab) => tab !== page).map((tab) => tab.close())));

const visit = async (path, title) => {
  const tab = await open(page.context());
  await tab.goto(world.base + path);
  if (title) await heading(tab, title);
  await mark(tab);
  return tab;
};

test("a push shows on open pages", async () => {
  const [overview, missions, mission, agents] = [
    await visit("/", "Overview"), await visit("/missions", "Missions"), await visit("/missions/m", "Start"), await visit("/agents", "Agents"),
  ];
  await world.update(token, "aiMissions", "m", { title: "Renamed by the phone" });
  await world.update(token, "agents", "a", { name: "Gretel" });
  await mission.getByRole("heading", { level: 1, name: "Renamed by the phone" }).waitFor();
  await missions.getByRole("link", { name: "Renamed by the phone" }).first().waitFor();
  await overview.getByText("Renamed by the phone").first().waitFor();
  await agents.getByRole("link", { name: "Gretel" }).first().waitFor();
  for (const tab of [overview, missions, mission, agents]) {
    await sameDocument(tab);
    assert.deepEqual(tab.troubles, []);
  }
});

test("what another user pushes does not", async () => {
  const tab = await visit("/missions", "Missions");
  const ben = world.token("ben");
  await world.push(ben, [{ table: "aiMissions", id: "b", op: "insert", data: { title: "Mission of Ben", state: "active" } }]);
  await world.push(token, [{ table: "aiMissions", id: "m2", op: "insert", data: { title: "A second one", state: "active" } }]);
  await tab.getByRole("link", { name: "A second one" }).first().waitFor();
  assert.equal(await tab.getByText("Mission of Ben").count(), 0);
});

test("a form with unsaved input is left alone, and saving it keeps what others wrote in other fields", async () => {
  const mission = await visit("/missions/m");
  await mission.getByRole("link", { name: "Edit", exact: true }).click();
  const objective = mission.getByLabel("Goal", { exact: true });
  await objective.fill("typed, not saved");
  await mark(mission);
  const agent = await visit("/agents/a");
  await set(agent, "Memory", "typed, not saved");
  const watcher = await visit("/missions/m");
  for (const title of ["Pushed once", "Pushed twice"]) {
    await world.update(token, "aiMissions", "m", { title });
    await world.update(token, "agents", "a", { role: title });
    await watcher.getByRole("heading", { level: 1, name: title }).waitFor();
  }
  await sameDocument(mission);
  await sameDocument(agent);
  assert.equal(await objective.inputValue(), "typed, not saved");
  assert.equal(await agent.getByLabel("Memory", { exact: true }).inputValue(), "typed, not saved");
  for (const tab of [mission, agent]) {
    await tab.getByRole("button", { name: "Save", exact: true }).click();
    await eventually("the form to be saved", () => world.written("anna").some((row) => row.table === (tab === mission ? "aiMissions" : "agents")));
  }
  const { title, objective: saved } = world.record("missions", "m");
  assert.deepEqual([title, saved], ["Pushed twice", "typed, not saved"]);
  const { role, memory } = world.record("agents", "a");
  assert.deepEqual([role, memory], ["Pushed twice", "typed, not saved"]);
});

test("a review that has begun is left alone", async () => {
  const tab = await visit("/missions/m");
  const plan = tab.getByRole("article").filter({ hasText: "The plan" });
  await plan.getByText("Tell the agent something").click();
  const feedback = plan.getByRole("textbox", { name: "Feedback" });
  await feedback.pressSequentially("not like ");
  const watcher = await visit("/missions/m");
  for (const title of ["While reviewing", "Still reviewing"]) {
    await world.update(token, "aiMissions", "m", { title });
    await watcher.getByRole("heading", { level: 1, name: title }).waitFor();
  }
  await tab.keyboard.type("this");
  assert.equal(await feedback.inputValue(), "not like this", "neither the text nor the focus is lost");
  await decide(plan, "First", "Reject");
  await plan.getByText("rejected", { exact: true }).first().waitFor();
  assert.equal(await feedback.inputValue(), "not like this", "a decision keeps what is being written");
  await sameDocument(tab);
  await decide(plan, "Second", "Approve");
  await plan.getByText("done", { exact: true }).first().waitFor();
  const record = world.record("missions", "m");
  assert.equal(record.title, "Still reviewing");
  assert.equal(record.iterations[0].plan[0].status, "rejected");
});

test("decisions are collected, and released together", async () => {
  // A device carries them out, once all are decided.
  const byDevice = (step) => ({ ...step, intent: { kind: "toolCall", toolName: "save_news_article", params: { url: "https://example.org" } } });
  const collected = { ...iteration, id: "it4", summary: "Reviewed in two goes", plan: iteration.plan.map(byDevice) };
  await world.update(token, "aiMissions", "m", { iterations: [collected] });
  const tab = await visit("/missions/m");
  const plan = tab.getByRole("article").filter({ hasText: collected.summary });
  await decide(plan, "First", "Approve");
  const now = () => world.record("missions", "m").iterations[0];
  await eventually("the first decision", () => now().plan[0].decision === "approve");
  assert.deepEqual([now().overallStatus, ...now().plan.map(({ status }) => status)], ["awaiting-review", "staged", "staged"]);
  await visit("/missions/m").then((again) => again.getByRole("group", { name: "First" }).getByText("approved", { exact: true }).waitFor());
  await decide(plan, "Second", "Reject");
  await plan.getByText("released", { exact: true }).first().waitFor();
  assert.deepEqual([now().overallStatus, ...now().plan.map(({ status }) => status)], ["approved", "planned", "rejected"]);
  assert.ok(!("decision" in now().plan[0]));
});

test("a review adds to what another client decided meanwhile", async () => {
  const twice = { ...iteration, id: "it2", summary: "Reviewed from two sides", plan: [step(0, "By phone"), step(1, "By page")] };
  await world.update(token, "aiMissions", "m", { iterations: [twice] });
  const tab = await visit("/missions/m");
  const plan = tab.getByRole("article").filter({ hasText: twice.summary });
  await plan.getByRole("group", { name: "By page" }).waitFor();
  const decided = { ...twice, userFeedback: "Said by phone", plan: [{ ...twice.plan[0], status: "approved" }, twice.plan[1]] };
  const arrived = { ...iteration, id: "it3", summary: "Arrived meanwhile" };
  await world.update(token, "aiMissions", "m", { iterations: [decided, arrived] });
  await decide(plan, "By page", "Reject");
  await tab.getByRole("article").filter({ hasText: arrived.summary }).waitFor();
  const [reviewed, untouched] = world.record("missions", "m").iterations;
  assert.deepEqual(reviewed.plan.map(({ status }) => status), ["approved", "rejected"]);
  assert.equal(reviewed.userFeedback, "Said by phone");
  assert.deepEqual(untouched, arrived);
});

test("a press that has begun is for what it began on, though the page has news", async () => {
  const pressed = { ...iteration, id: "it5", summary: "Pressed", plan: [step(0, "Only this")] };
  const first = { ...iteration, id: "it6", startedAt: "2026-04-15T07:00:00.000Z", summary: "Comes before it", plan: [step(0, "Not this")] };
  await world.update(token, "aiMissions", "m", { title: "Before", iterations: [pressed] });
  const [tab, watcher] = [await visit("/missions/m", "Before"), await visit("/missions/m", "Before")];
  const button = tab.getByRole("group", { name: "Only this" }).getByRole("button", { name: "Approve", exact: true });
  await button.hover();
  await tab.mouse.down();
  for (const title of ["While pressed", "Still pressed"]) {
    await world.update(token, "aiMissions", "m", { title, iterations: [first, pressed] });
    await heading(watcher, title);
  }
  assert.equal(await tab.getByRole("heading", { level: 1, name: "Before" }).count(), 1);
  await tab.mouse.up();
  const now = () => world.record("missions", "m").iterations.map(({ plan }) => plan[0].status);
  await eventually("the press to count", () => now()[1] === "approved");
  assert.equal(now()[0], "staged");
  await heading(tab, "Still pressed");
  await sameDocument(tab);
  // A press that comes to nothing holds nothing up.
  await tab.getByRole("heading", { level: 1 }).hover();
  await tab.mouse.down();
  await world.update(token, "aiMissions", "m", { title: "After" });
  await heading(watcher, "After");
  await tab.mouse.up();
  await heading(tab, "After");
});

test("a field that somebody is in keeps the page until they leave it", async () => {
  const [tab, watcher] = [await visit("/agents/a"), await visit("/agents/a")];
  await tab.getByLabel("Memory", { exact: true }).focus();
  for (const name of ["Renamed once", "Renamed twice"]) {
    await world.update(token, "agents", "a", { name });
    await heading(watcher, name);
  }
  await tab.locator("#notice").waitFor();
  assert.equal(await tab.getByRole("heading", { level: 1, name: /Renamed/ }).count(), 0);
  await tab.getByLabel("Memory", { exact: true }).blur();
  await heading(tab, "Renamed twice");
  await tab.locator("#notice").waitFor({ state: "hidden" });
  await sameDocument(tab);
});

test("a mission that another client deletes goes from the list", async () => {
  const tab = await visit("/missions", "Missions");
  await tab.getByRole("link", { name: "A second one" }).first().waitFor();
  await world.push(token, [{ table: "aiMissions", id: "m2", op: "delete", deletedAt: new Date().toISOString() }]);
  await tab.getByRole("link", { name: "A second one" }).first().waitFor({ state: "detached" });
  await sameDocument(tab);
});

test("many open pages do not keep each other waiting", async () => {
  const tabs = [];
  for (let n = 0; n < 9; n += 1) tabs.push(await visit("/missions/m"));
  await world.update(token, "aiMissions", "m", { title: "Seen in all" });
  for (const tab of tabs) await tab.getByRole("heading", { level: 1, name: "Seen in all" }).waitFor();
});

test("pages catch up after the server was away", async () => {
  const tab = await visit("/missions/m");
  await world.stop();
  world.import([{ table: "aiMissions", recordId: "m", userId: "anna", op: "update", data: { title: "Renamed while it was away" }, createdAt: new Date().toISOString() }]);
  await world.serve();
  await tab.getByRole("heading", { level: 1, name: "Renamed while it was away" }).waitFor();
  await world.update(token, "aiMissions", "m", { title: "Renamed when it was back" });
  await tab.getByRole("heading", { level: 1, name: "Renamed when it was back" }).waitFor();
  await sameDocument(tab);
});
