// Insights, filters of records, and what was deleted: on a phone and a desktop, in both themes and languages, and by keyboard alone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { heading, launch, look, signIn, World } from "./support.js";

const BOTH = { languages: ["en", "de"] };
const ago = (hours) => new Date(Date.now() - hours * 3_600_000).toISOString();

let browser, world;
before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false", MANA_LLM_PRICE_PER_MILLION_TOKENS: "0.60 EUR" });
  const step = (id, summary, status, reason) => ({ id, summary, status, reason, intent: { kind: "toolCall", toolName: "create_task", params: { title: summary } } });
  const plan = (id, status, steps) => ({ id, startedAt: ago(30), summary: "Plan", overallStatus: status, source: "server", plan: steps });
  const mission = (recordId, title, iterations) => ({ table: "aiMissions", recordId, userId: "anna", createdAt: ago(30), data: { title, objective: "Alles blüht.", state: "active", agentId: "greta", cadence: { kind: "manual" }, iterations } });
  const record = (appId, table, recordId, data) => ({ appId, table, recordId, userId: "anna", data });
  world.import([
    { table: "agents", recordId: "greta", userId: "anna", data: { name: "Greta", role: "Keeps the balcony green" } },
    { table: "agents", recordId: "olaf", userId: "anna", data: { name: "Olaf", role: "Gone", deletedAt: ago(20) } },
    mission("balcony", "Balcony", [plan("it-1", "approved", [step("a", "Water the fern", "approved"), step("b", "Sell the fern", "rejected", "It is a present"), step("c", "Repot the fern", "approved")])]),
    mission("pond", "Pond", [plan("it-2", "rejected", [step("d", "Buy a carp", "rejected")])]),
    mission("shed", "Shed", []),
    record("todo", "tasks", "t1", { title: "Zinnias", priority: "high", isCompleted: false, dueDate: "2026-04-20" }),
    record("todo", "tasks", "t2", { title: "Asters", priority: "low", isCompleted: true, dueDate: "2026-04-02" }),
    record("todo", "tasks", "t3", { title: "Moss", priority: "high", isCompleted: true }),
  ]);
  await world.serve();
});
after(async () => {
  await browser.close();
  await world.end();
});

test("insights tell what was decided, and why something was not wanted", async () => {
  const page = await signIn(browser, world, "anna");
  await page.getByRole("link", { name: "Insights" }).click();
  await heading(page, "Insights");
  await page.getByText("2 of 4 decided steps").waitFor();
  assert.equal(await page.getByRole("row", { name: /Greta/ }).first().innerText().then((text) => text.includes("50 %")), true);
  await page.getByText("It is a present").waitFor();
  assert.deepEqual(await page.locator("main svg[role=img]").evaluateAll((charts) => charts.map((chart) => !!chart.getAttribute("aria-label"))), [true, true]);
  await page.getByRole("link", { name: "7 days" }).click();
  await page.getByText("As a table").click();
  await page.getByRole("columnheader", { name: "Day" }).waitFor();
  await look(page, "insights-table");
  await page.goto(`${world.base}/insights?days=90`);
  await look(page, "insights", BOTH);
  await page.context().close();
});

test("records are sorted, and chosen by what their fields say", async () => {
  const page = await signIn(browser, world, "anna");
  await page.goto(`${world.base}/records/todo/tasks`);
  const names = () => page.locator("ul.records > li > a").allInnerTexts();
  assert.deepEqual((await names()).sort(), ["Asters", "Moss", "Zinnias"]);
  await page.getByText("Filter", { exact: false }).first().click();
  const show = () => Promise.all([page.waitForEvent("framenavigated"), page.getByRole("button", { name: "Show" }).last().click()]);
  for (const [label, choice, expected] of [
    ["Sort by", "title", ["Asters", "Moss", "Zinnias"]],
    ["Sort by", "oldest", ["Asters", "Zinnias", "Moss"]],
    ["Sort by", "newest", ["Zinnias", "Asters", "Moss"]],
    ["Completed", "true", ["Asters", "Moss"]],
  ]) {
    await page.locator("form.filter").getByLabel(label, { exact: true }).selectOption(choice);
    await show();
    assert.deepEqual(await names(), expected, `${label}: ${choice}`);
  }
  await page.locator("form.filter").getByLabel("Priority", { exact: true }).selectOption("high");
  await show();
  assert.deepEqual(await names(), ["Moss"]);
  await page.locator("#q").fill("nothing like it");
  await show();
  assert.deepEqual(await names(), []);
  await page.goto(`${world.base}/records/todo/tasks?sort=oldest&is-priority=high`);
  assert.deepEqual(await names(), ["Zinnias", "Moss"]);
  await look(page, "tasks", BOTH);
  await page.context().close();
});

test("what was deleted is brought back, by keys alone", async () => {
  const page = await signIn(browser, world, "anna");
  for (const path of ["/missions/shed/delete", "/records/todo/tasks/r/t2"]) {
    await page.goto(world.base + path);
    await page.getByRole("button", { name: "Delete" }).click();
  }
  await page.goto(`${world.base}/deleted`);
  await heading(page, "Deleted");
  for (const name of ["Shed", "Olaf", "Asters"]) await page.getByText(name, { exact: true }).waitFor();
  await look(page, "deleted", BOTH);
  for (const [name, place] of [["Shed", "/missions/shed"], ["Olaf", "/agents/olaf"], ["Asters", "/records/todo/tasks/r/t2"]]) {
    await page.goto(`${world.base}/deleted`);
    const item = page.getByRole("listitem").filter({ hasText: name });
    const isThere = () => page.evaluate((name) => document.activeElement.closest("li")?.innerText.includes(name) && document.activeElement.tagName === "BUTTON", name);
    for (let tabs = 0; tabs < 60 && !(await isThere()); tabs += 1) await page.keyboard.press("Tab");
    assert.ok(await isThere(), `keys lead to the way back of ${name}`);
    await item.getByRole("button", { name: "Restore" }).waitFor();
    await Promise.all([page.waitForURL(world.base + place), page.keyboard.press("Enter")]);
  }
  await page.goto(`${world.base}/deleted`);
  assert.equal(await page.getByRole("button", { name: "Restore" }).count(), 0);
  await page.context().close();
});
