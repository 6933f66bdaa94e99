// Missions: found in a long list, told where they stand, started, cancelled and copied; runs and their history.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, heading, launch, look, Model, signIn, World } from "./support.js";


let browser, world, model, page, release;
const held = new Promise((resolve) => (release = resolve));

const mission = (recordId, data) => ({ table: "aiMissions", recordId, userId: "anna", data: { objective: "o", state: "active", cadence: { kind: "manual" }, iterations: [], ...data } });
const waiting = (n) => ({ id: `w${n}`, startedAt: "2026-04-01T08:00:00.000Z", summary: "s", source: "server", overallStatus: "awaiting-review", plan: [{ id: `w${n}-0`, summary: "Wait", status: "staged" }] });

before(async () => {
  browser = await launch();
  model = new Model(async (number) => {
    if (number === 1) await held;
    return { summary: "Nothing to add.", steps: [] };
  });
  world = new World({ MANA_LLM_URL: await model.listen(), TICK_INTERVAL_MS: "500" });
  const many = Array.from({ length: 320 }, (_, n) => mission(`m-${(n * 7919) % 320}`, { title: `Errand ${String(n).padStart(3, "0")}`, state: n % 40 ? "paused" : "done" }));
  world.import([
    { table: "agents", recordId: "resting", userId: "anna", data: { name: "Rita", state: "paused" } },
    { table: "agents", recordId: "at-work", userId: "anna", data: { name: "Walter", state: "active" } },
    ...many,
    mission("weekly", { title: "Water the balcony", agentId: "at-work", nextRunAt: "2099-01-05T06:00:00.000Z", cadence: { kind: "cron", expression: "0 7 * * 1-5", timeZone: "Europe/Berlin" } }),
    mission("rests", { title: "Rest in peace", agentId: "resting", nextRunAt: "2099-01-05T06:00:00.000Z", cadence: { kind: "daily", atHour: 7 } }),
    mission("unread", { title: "Nobody reads this", agentId: "at-work", iterations: [1, 2, 3, 4, 5].map(waiting) }),
    mission("daily-soon", { title: "Comes soon", agentId: "at-work", nextRunAt: new Date(Date.now() + 20 * 3_600_000).toISOString(), cadence: { kind: "daily", atHour: 7 } }),
    mission("hourly-soon", { title: "Comes often", agentId: "at-work", nextRunAt: new Date(Date.now() + 20 * 3_600_000).toISOString(), cadence: { kind: "interval", everyMinutes: 60 } }),
    mission("now", { title: "Do it now", agentId: "at-work" }),
  ]);
  await world.serve();
  page = await signIn(browser, world, "anna");
});
after(async () => {
  release();
  await browser.close();
  await world.end();
  model.close();
});

const titles = () => page.locator(".card h2 a").allTextContents();

test("a mission is found among hundreds", async () => {
  await page.goto(`${world.base}/missions`);
  assert.deepEqual((await titles()).slice(0, 3), ["Comes often", "Comes soon", "Do it now"]);
  await page.getByRole("link", { name: "More missions" }).click();
  await page.getByText("Errand 060").waitFor();
  await page.getByRole("searchbox", { name: "Search titles" }).fill("BALCONY");
  await page.getByRole("button", { name: "Show" }).first().click();
  await page.getByText("Water the balcony").waitFor();
  assert.deepEqual(await titles(), ["Water the balcony"]);
  await page.goto(`${world.base}/missions`);
  await page.getByText("Filter and sort").click();
  await page.getByLabel("State").selectOption("Done");
  await page.getByLabel("Sort by").selectOption("Last change");
  await page.getByRole("button", { name: "Show" }).last().click();
  await page.getByText("Errand 280").waitFor();
  assert.deepEqual((await titles()).sort(), [0, 40, 80, 120, 160, 200, 240, 280].map((n) => `Errand ${String(n).padStart(3, "0")}`));
  await page.goto(`${world.base}/missions?sort=next&state=active`);
  assert.deepEqual(new Set((await titles()).slice(0, 4)), new Set(["Comes often", "Comes soon", "Rest in peace", "Water the balcony"]));
  await page.goto(`${world.base}/missions?q=no+such+mission`);
  await page.getByText("No mission matches.").waitFor();
});

test("what is blocked looks blocked, and says why", async () => {
  await page.goto(`${world.base}/missions?which=blocked`);
  assert.deepEqual(await titles(), ["Nobody reads this", "Rest in peace"]);
  await page.getByText("Waiting for your review of 5 plans.").waitFor();
  await page.getByText("Agent Rita is paused.").waitFor();
  await look(page, "missions-blocked", { languages: ["en", "de"] });
  await page.goto(`${world.base}/missions?which=review`);
  assert.deepEqual(await titles(), ["Nobody reads this"]);
  await page.goto(`${world.base}/`);
  await page.getByRole("heading", { level: 2, name: "Blocked", exact: true }).waitFor();
});

test("a mission says when it runs, for whom, and what is in its way", async () => {
  await page.goto(`${world.base}/missions/weekly`);
  await page.getByText("Every weekday at 07:00, Europe/Berlin").first().waitFor();
  await page.getByRole("link", { name: "Walter" }).waitFor();
  assert.match(await page.locator("time.zoned").first().textContent(), /2099.*(UTC|GMT|CE?S?T|[A-Z]{2,})/);
  await look(page, "mission-weekly", { languages: ["en", "de"] });
  await page.goto(`${world.base}/missions/unread`);
  await page.getByText("Waiting for your review of 5 plans.").waitFor();
  await page.locator(".status").getByRole("link", { name: "Review" }).click();
  await heading(page, "Nobody reads this");
});

test("starting a mission of a paused agent says so, and moves nothing", async () => {
  await page.goto(`${world.base}/missions/rests`);
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("alert").filter({ hasText: "Not started. Agent Rita is paused." }).waitFor();
  assert.equal(world.record("missions", "rests").nextRunAt, "2099-01-05T06:00:00.000Z");
  assert.equal(world.written("anna").length, 0);
  await look(page, "mission-refused", { languages: ["en", "de"] });
});

test("a run is cancelled, and the next one is told as a timeline", async () => {
  await page.goto(`${world.base}/missions/now`);
  await page.getByRole("button", { name: "Run now" }).click();
  await eventually("the model to be asked", () => model.requests.length === 1);
  await page.goto(`${world.base}/missions/now`);
  await page.getByText("Running now.").waitFor();
  await page.getByRole("button", { name: "Cancel run" }).click();
  await page.getByText("Cancelled.").waitFor();
  release();
  await eventually("the run to end", () => world.lines("runs", "--user", "anna", "--json")[0]?.outcome === "dropped");
  assert.deepEqual(world.record("missions", "now").iterations, []);
  await page.goto(`${world.base}/missions/now`);
  await page.getByRole("button", { name: "Run now" }).click();
  await page.getByRole("article").filter({ hasText: "Nothing to add." }).waitFor();
  await page.getByRole("article").getByText("Nothing to do").waitFor();
  await page.getByRole("main").locator("a[href^='/runs/']").first().click();
  await page.getByRole("heading", { level: 1, name: "Run of Do it now" }).waitFor();
  for (const text of ["Due", "Started", "Attempt 1", "Plan", "Saved in the mission"]) await page.locator(".timeline").getByText(text, { exact: true }).waitFor();
  await page.getByText(/^Show the prompt \([\d,]+ characters\)$/).waitFor();
  await page.getByText("700 input tokens, 50 output").first().waitFor();
  await look(page, "run", { languages: ["en", "de"] });
  await page.goto(`${world.base}/runs`);
  const badges = () => page.locator("main .plain .badge").allTextContents();
  assert.deepEqual(await badges(), ["plan made", "dropped"]);
  await page.getByText("Filter and sort").click();
  await page.getByLabel("State").selectOption("Dropped");
  await page.getByRole("button", { name: "Show" }).last().click();
  await page.waitForURL(/state=dropped/);
  assert.deepEqual(await badges(), ["dropped"]);
  await look(page, "runs", { languages: ["en", "de"] });
});

test("a copy, a state, and the history in words", async () => {
  const act = async (name) => {
    await page.getByText("More", { exact: true }).click();
    await page.getByRole("button", { name }).or(page.getByRole("link", { name })).click();
  };
  await page.goto(`${world.base}/missions/weekly`);
  await act("Duplicate");
  await heading(page, "Edit mission");
  assert.equal(await page.getByLabel("Title", { exact: true }).inputValue(), "Water the balcony (copy)");
  await page.goto(`${world.base}/missions/weekly`);
  await act("Archive");
  await page.getByText("Archived; it does not run.").waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  await page.getByLabel("Title", { exact: true }).fill("Water the balcony twice");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await heading(page, "Water the balcony twice");
  await act("History");
  await heading(page, "History");
  const first = page.getByRole("article").first();
  await first.getByText("anna changed it").waitFor();
  assert.equal(await first.locator("dd").first().textContent(), "Water the balcony → Water the balcony twice");
  await page.getByText("Every weekday at 07:00, Europe/Berlin").first().waitFor();
  await look(page, "history", { languages: ["en", "de"] });
});

test("the calendar tells what comes", async () => {
  await page.goto(`${world.base}/missions/daily-soon`);
  await heading(page, "Comes soon");
  await page.goto(`${world.base}/`);
  await page.getByRole("link", { name: "Coming runs" }).click();
  await heading(page, "Coming runs");
  assert.ok((await page.getByRole("link", { name: "Comes soon" }).count()) >= 12, "once a day");
  await page.getByText("24 times that day").first().waitFor();
  await look(page, "calendar", { languages: ["en", "de"] });
});

test("the overview counts runs, and knows whether the model answers", async () => {
  await page.goto(`${world.base}/`);
  await page.getByText(/Running normally\. The model answered/).waitFor();
  await page.getByRole("img", { name: "Runs, last 24 hours: dropped 1, plan made 1" }).waitFor();
  await look(page, "overview", { languages: ["en", "de"] });
});
