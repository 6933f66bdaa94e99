// The page of a run: each question to the model and what came of it, and its prompt for whoever asks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, heading, launch, look, Model, signIn, World } from "./support.js";

let browser, world, model, anna;
before(async () => {
  browser = await launch();
  const step = (params) => ({ summary: "Dust the shelf", steps: [{ summary: "Dust the shelf", toolName: "create_task", params, rationale: "It is grey." }] });
  model = new Model((n) => step(n === 1 ? {} : { title: "Dust the shelf" }));
  world = new World({ MANA_LLM_URL: await model.listen(), TICK_INTERVAL_MS: "200", MANA_AI_PLANNER: "tools" });
  const row = (table, recordId, data, appId = "ai") => ({ appId, table, recordId, userId: "anna", data });
  world.import([
    row("agents", "greta", { name: "Greta", role: "Keeps things tidy", state: "active" }),
    row("aiMissions", "shelf", {
      title: "A tidy shelf", objective: "No dust.", state: "active", agentId: "greta", nextRunAt: "2026-04-15T08:00:00.000Z",
      cadence: { kind: "interval", everyMinutes: 60 }, iterations: [], inputs: [{ module: "notes", table: "notes", id: "n" }],
    }),
    row("notes", "n", { title: "The shelf", content: "Two metres, oak" }, "notes"),
  ]);
  await world.serve();
  anna = await signIn(browser, world, "anna");
});
after(async () => {
  await browser.close();
  model.close();
  await world.end();
});

test("a run tells each question, and leads to its prompt by the keyboard", async () => {
  await eventually("its run", () => world.lines("runs", "--json").some((run) => run.state === "planned"));
  const id = world.lines("runs", "--json").find((run) => run.state === "planned").id;
  await anna.goto(`${world.base}/runs/${id}`);
  const main = anna.getByRole("main");
  for (const text of ["1 linked record read", "Question 1", "The check found 1 problem:", "Question 2", "The check found nothing wrong.", "Saved in the mission"]) {
    await main.getByText(text).first().waitFor();
  }
  await look(anna, "run", { languages: ["en", "de"] });
  await main.getByRole("link", { name: /^Show the prompt/ }).focus();
  await anna.keyboard.press("Enter");
  await heading(anna, "Prompt of attempt 1");
  for (const message of model.requests[0].messages) {
    assert.ok((await main.locator("pre").allTextContents()).some((shown) => shown === message.content), message.content);
  }
  await main.getByText("as many as were sent").waitFor();
  await look(anna, "prompt", { languages: ["en", "de"] });
});
