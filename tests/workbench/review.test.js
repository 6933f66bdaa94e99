// The review inbox: how fast one gets through it, on a phone and by keys, and that nothing is decided by accident.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decide, eventually, heading, launch, look, mark, sameDocument, signIn, World } from "./support.js";

const PHONE = { viewport: { width: 390, height: 664 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

let browser, world;
before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false" });
  world.import(["anna", "ben", "cleo", "dora", "emil", "fred", "gina"].flatMap(records));
  await world.serve();
});
after(async () => {
  await browser.close();
  await world.end();
});

const step = (id, n, summary, toolName, params) => ({
  id: `${id}-${n}`, summary, rationale: "The invoice of the landlord is due at the end of the month, and last month it was paid late.",
  intent: { kind: "toolCall", toolName, params }, status: "staged",
});
const plan = (id, day, summary, steps) => ({
  id, startedAt: `2026-04-${day}T08:00:00.000Z`, finishedAt: `2026-04-${day}T08:00:01.000Z`, summary, source: "server", model: "m",
  overallStatus: steps.length ? "awaiting-review" : "approved", plan: steps,
});
const task = (id, n, title, more = {}) => step(id, n, `Add “${title}” to the list`, "create_task", { title, dueDate: "2026-04-30", priority: "high", ...more });
const mission = (userId, recordId, title, iterations) => ({
  table: "aiMissions", recordId, userId, data: { title, objective: "o", state: "active", agentId: "a", cadence: { kind: "manual" }, iterations },
});

/** Three plans of two missions; the oldest is of the mission whose id comes last, and ten empty ones follow it. */
function records(user) {
  const empty = Array.from({ length: 12 }, (_, n) => plan(`e${n}`, String(n + 12), "Everything is fine.", []));
  return [
    { table: "agents", recordId: "a", userId: user, data: { name: "Finance", state: "active" } },
    { appId: "todo", table: "tasks", recordId: "t1", userId: user, data: { title: "Pay the rent", isCompleted: false, priority: "medium", dueDate: null } },
    { appId: "notes", table: "notes", recordId: "n1", userId: user, data: { title: "Balcony", content: "Shady." } },
    mission(user, "z-rent", "Keep an eye on what has to be paid this month and next", [
      plan("p1", "01", "Two payments are due.", [task("p1", 0, "Pay the rent"), task("p1", 1, "Pay the electricity")]),
      ...empty,
    ]),
    mission(user, "a-balcony", "A green balcony", [
      plan("p2", "02", "Write down what was bought.", [step("p2", 0, "Add the soil to the note", "update_note", { noteId: "n1", content: "Shady. 40 l of soil bought." })]),
      plan("p3", "03", "Tick off what is done.", [step("p3", 0, "Tick off the rent", "complete_task", { taskId: "t1" }), task("p3", 1, "Water the mint")]),
    ]),
  ];
}

const statuses = (user, id) => {
  const line = world.lines("missions", "--user", user, "--json").find((found) => found.id === id);
  return Object.fromEntries(line.record.iterations.filter(({ plan }) => plan.length).map((it) => [it.id, [it.overallStatus, ...it.plan.map((one) => one.status)]]));
};
const found = (user, id, iteration) => world.lines("missions", "--user", user, "--json").find((line) => line.id === id).record.iterations.find((it) => it.id === iteration);

const says = (page, text) => page.locator(".toast").filter({ hasText: text }).waitFor();

test("three plans on a phone: nine taps at most, and no scrolling before the first decision", async () => {
  const page = await signIn(browser, world, "anna", PHONE);
  let taps = 0;
  const tap = async (locator) => {
    taps += 1;
    await locator.tap();
  };
  await page.getByRole("heading", { level: 2, name: "Waiting for your review" }).waitFor();
  await tap(page.getByRole("navigation").getByRole("link", { name: /^Review/ }));
  await heading(page, "Keep an eye on what has to be paid this month and next");
  const first = page.getByRole("group", { name: "Add “Pay the rent” to the list" });
  const approve = first.getByRole("button", { name: "Approve", exact: true });
  for (const decision of [approve, first.getByText("Reject", { exact: true }).first(), first.getByText("Edit", { exact: true })]) {
    const { y, height } = await decision.boundingBox();
    assert.ok(y >= 0 && y + height <= PHONE.viewport.height, `a decision of the first step is at ${y}, ${height} high`);
  }
  assert.equal(await page.evaluate(() => scrollY), 0);
  await tap(approve);
  await says(page, "Approved: Add “Pay the rent”");
  const second = page.getByRole("group", { name: "Add “Pay the electricity” to the list" });
  await tap(second.getByText("Reject", { exact: true }).first());
  await second.getByLabel("Reason").fill("It is paid by standing order.");
  await tap(second.getByRole("button", { name: "Reject", exact: true }));
  await heading(page, "A green balcony");
  await says(page, "Rejected:");
  await page.getByText("40 l of soil bought").first().waitFor();
  await tap(page.getByRole("button", { name: "Approve", exact: true }));
  await tap(page.getByRole("button", { name: "Approve all 2" }));
  await heading(page, "All done");
  assert.ok(taps <= 9, `it took ${taps} taps`);
  assert.deepEqual(statuses("anna", "z-rent").p1, ["approved", "approved", "rejected"]);
  assert.equal(found("anna", "z-rent", "p1").plan[1].reason, "It is paid by standing order.");
  assert.deepEqual(statuses("anna", "a-balcony"), { p2: ["approved", "approved"], p3: ["approved", "approved", "approved"] });
  assert.deepEqual(page.troubles, []);
  await look(page, "review-done", { fullPage: false });
  await page.context().close();
});

test("by keys alone, with a way back", async () => {
  const page = await signIn(browser, world, "ben");
  await page.goto(`${world.base}/review`);
  await heading(page, "Keep an eye on what has to be paid this month and next");
  await mark(page);
  const at = (summary) => eventually(`the focus on ${summary}`, () => page.evaluate((text) => document.activeElement.querySelector?.("b")?.textContent.includes(text), summary));
  await page.keyboard.press("j");
  await at("Pay the rent");
  await page.keyboard.press("j");
  await at("Pay the electricity");
  await page.keyboard.press("k");
  await at("Pay the rent");
  await page.keyboard.press("?");
  await page.getByText("Reject it with a reason").waitFor();
  await page.keyboard.press("?");
  await page.keyboard.press("j");
  await page.keyboard.press("a");
  await says(page, "Approved: Add “Pay the rent”");
  await at("Pay the electricity");
  await page.keyboard.press("u");
  await eventually("the decision to be taken back", () => statuses("ben", "z-rent").p1.join() === "awaiting-review,staged,staged");
  assert.equal(world.lines("export", "--user", "ben", "--table", "tasks").at(-1).op, "delete", "what it wrote is undone");
  await at("Pay the rent");
  await page.keyboard.press("r");
  await page.keyboard.press("Enter");
  await at("Pay the electricity");
  await page.keyboard.press("r");
  await page.keyboard.type("Not a word about j or a");
  await page.keyboard.press("Enter");
  await heading(page, "A green balcony");
  assert.equal(found("ben", "z-rent", "p1").plan[1].reason, "Not a word about j or a");
  await says(page, "Rejected:");
  // A rejection that settled its plan is taken back too, and the plan comes again.
  await page.keyboard.press("u");
  await heading(page, "Keep an eye on what has to be paid this month and next");
  assert.deepEqual(statuses("ben", "z-rent").p1, ["awaiting-review", "rejected", "staged"]);
  await sameDocument(page);
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test("a step is edited before it is approved", async () => {
  const page = await signIn(browser, world, "cleo");
  await page.goto(`${world.base}/review`);
  const first = page.getByRole("group", { name: "Add “Pay the rent” to the list" });
  await first.getByText("30 Apr 2026").or(first.getByText("Thu, Apr 30, 2026")).first().waitFor();
  await first.getByText("Edit", { exact: true }).click();
  assert.equal(await first.getByLabel("Due date").getAttribute("type"), "date");
  // What would drop the edit is out of the way, and a rejection takes its place.
  const approvals = () => page.getByRole("button", { name: /^Approve( all 2)?$/ }).count();
  assert.equal(await approvals(), 1, "that of the other step");
  await first.getByText("Reject", { exact: true }).first().click();
  await first.getByLabel("Due date").waitFor({ state: "hidden" });
  assert.equal(await approvals(), 3);
  await first.getByText("Edit", { exact: true }).click();
  await first.getByLabel("Due date").fill("2026-05-02");
  await first.getByLabel("Title").fill("");
  await first.getByRole("button", { name: "Save and approve" }).click();
  // The browser asks for a title; nothing was sent.
  assert.deepEqual(statuses("cleo", "z-rent").p1, ["awaiting-review", "staged", "staged"]);
  await first.getByLabel("Title").fill("Pay the rent and the garage");
  await first.getByLabel("Description").fill("By bank transfer");
  await first.focus();
  await page.keyboard.press("a");
  await says(page, "Approved:");
  const [done] = found("cleo", "z-rent", "p1").plan;
  assert.deepEqual(done.intent.params, { title: "Pay the rent and the garage", dueDate: "2026-05-02", priority: "high", description: "By bank transfer" });
  assert.equal(done.proposed.title, "Pay the rent");
  const [row] = world.written("cleo").filter(({ table }) => table === "tasks");
  assert.deepEqual([row.data.title, row.data.dueDate], ["Pay the rent and the garage", "2026-05-02"]);
  assert.deepEqual(page.troubles, []);
  await page.context().close();
});

test("approving all leaves a rejection alone, and plans that wait are not hidden by newer ones", async () => {
  const page = await signIn(browser, world, "dora");
  await page.goto(`${world.base}/missions/z-rent`);
  const first = page.getByRole("article").first();
  await first.getByText("Two payments are due.").waitFor();
  assert.equal(await page.getByText("Nothing to do").count(), 9, "an empty plan is approved by nobody");
  const rent = first.getByRole("group", { name: "Add “Pay the rent” to the list" });
  await rent.getByText("Reject", { exact: true }).first().click();
  await rent.getByRole("button", { name: "Reject", exact: true }).click();
  await rent.getByText("rejected", { exact: true }).waitFor();
  await page.goto(`${world.base}/review/all`);
  for (const box of await page.getByRole("checkbox").all()) await box.check();
  await look(page, "review-list", { fullPage: false });
  await page.getByRole("button", { name: "Approve checked" }).click();
  await page.getByText("3 plans approved.").waitFor();
  assert.deepEqual(statuses("dora", "z-rent").p1, ["approved", "rejected", "approved"]);
  assert.deepEqual(statuses("dora", "a-balcony"), { p2: ["approved", "approved"], p3: ["approved", "approved", "approved"] });
  await page.context().close();
});

test("all of it works without script", async () => {
  const page = await signIn(browser, world, "emil", { javaScriptEnabled: false });
  await page.getByRole("heading", { level: 2, name: "Waiting for your review" }).waitFor();
  await page.getByRole("group", { name: "Add “Pay the rent” to the list" }).getByRole("button", { name: "Approve", exact: true }).click();
  await says(page, "Approved:");
  await page.getByRole("button", { name: "Undo" }).first().click();
  // It is decided about again.
  await page.goto(`${world.base}/review`);
  await page.getByRole("group", { name: "Add “Pay the rent” to the list" }).getByRole("button", { name: "Approve", exact: true }).click();
  await says(page, "Approved:");
  assert.deepEqual(statuses("emil", "z-rent").p1, ["awaiting-review", "approved", "staged"]);
  const second = page.getByRole("group", { name: "Add “Pay the electricity” to the list" });
  await second.getByText("Reject", { exact: true }).first().click();
  await second.getByLabel("Reason").fill("No");
  await second.getByRole("button", { name: "Reject", exact: true }).click();
  await heading(page, "A green balcony");
  await page.getByRole("link", { name: "Later" }).click();
  await page.getByText("Tick off what is done.").waitFor();
  await page.goto(`${world.base}/review/all`);
  await page.getByRole("checkbox").first().check();
  await page.getByLabel("Reason").fill("Not now");
  await page.getByRole("button", { name: "Reject checked" }).click();
  await page.getByText("1 plan rejected.").waitFor();
  assert.deepEqual(statuses("emil", "a-balcony").p2, ["rejected", "rejected"]);
  await page.context().close();
});

test("how it looks", async () => {
  for (const [locale, name] of [["en", ""], ["de", "-de"]]) {
    const page = await signIn(browser, world, "fred");
    await page.context().setExtraHTTPHeaders({ "accept-language": locale });
    await page.reload();
    await look(page, `overview-waiting${name}`, { fullPage: false });
    await page.goto(`${world.base}/review`);
    await page.locator(".step.open").first().waitFor();
    await look(page, `review${name}`, { fullPage: false });
    await page.locator("summary.button").nth(1).click();
    await look(page, `review-edit${name}`, { fullPage: false });
    await page.goto(`${world.base}/missions/a-balcony`);
    await look(page, `mission-waiting${name}`, { fullPage: false });
    await page.goto(`${world.base}/review?mission=a-balcony&plan=p2&since=0`);
    await page.locator(".step.open").first().waitFor();
    await look(page, `review-change${name}`, { fullPage: false });
    assert.deepEqual(page.troubles, []);
    await page.context().close();
  }
});

test("a decision that is pressed while another one is on its way is taken too", async () => {
  const page = await signIn(browser, world, "gina");
  let sent = 0;
  await page.route("**/*", async (route) => {
    if (route.request().method() === "POST") {
      sent += 1;
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
    await route.continue();
  });
  await page.goto(`${world.base}/missions/z-rent`);
  const plan = page.getByRole("article").filter({ has: page.getByRole("button", { name: "Approve", exact: true }) });
  await decide(plan, "Pay the rent", "Approve");
  await decide(plan, "Pay the rent", "Approve");
  await decide(plan, "Pay the electricity", "Reject", "next month");
  await eventually("both decisions", () => !statuses("gina", "z-rent").p1.includes("staged"));
  assert.equal(statuses("gina", "z-rent").p1[2], "rejected");
  assert.equal(found("gina", "z-rent", "p1").plan[1].reason ?? "next month", "next month");
  assert.equal(sent, 2, "what is pressed twice is sent once");
  await page.close();
});
