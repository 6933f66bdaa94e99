// The pages without a mouse.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, heading, launch, signIn, World } from "./support.js";

let browser, world, page;
const step = (n, summary) => ({ id: `it-${n}`, summary, rationale: "r", intent: { kind: "toolCall", toolName: "create_task", params: { title: summary } }, status: "staged" });

before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false" });
  world.import([
    { table: "aiMissions", recordId: "m", userId: "anna", data: { title: "By keys", objective: "o", state: "active", cadence: { kind: "manual" }, iterations: [
      { id: "it", startedAt: "2026-04-15T08:00:00.000Z", finishedAt: "2026-04-15T08:00:01.000Z", summary: "The plan", overallStatus: "awaiting-review", source: "server", plan: [step(0, "First"), step(1, "Second")] },
    ] } },
  ]);
  await world.serve();
  page = await signIn(browser, world, "anna");
});
after(async () => {
  await browser.close();
  await world.end();
});

/** What has the focus: its name and role in short, and whether one sees that it has it. */
const focused = () => page.evaluate(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return {
    name: (element.labels?.[0]?.textContent ?? element.getAttribute("aria-label") ?? element.textContent).trim(),
    kind: element.type || element.tagName.toLowerCase(),
    group: document.getElementById(element.closest("[role=group]")?.getAttribute("aria-labelledby"))?.textContent.trim() ?? "",
    inMain: !!element.closest("main"),
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && ((outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none"),
  };
});

async function tabTo(what, matches) {
  const passed = [];
  for (let tabs = 0; tabs < 100; tabs += 1) {
    await page.keyboard.press("Tab");
    const element = await focused();
    passed.push(element.name);
    if (matches(element)) {
      assert.ok(element.seen, `one sees that ${what} has the focus`);
      return;
    }
  }
  assert.fail(`no key leads to ${what}: ${passed}`);
}

test("the first tab stop leads past the navigation", async () => {
  for (const [path, title] of [["/", "Overview"], ["/agents", "Agents"], ["/missions", "Missions"], ["/missions/m", "By keys"]]) {
    await page.goto(world.base + path);
    await heading(page, title);
    await page.keyboard.press("Tab");
    const first = await focused();
    assert.deepEqual([first.name, first.seen], ["Skip to content", true], path);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.ok((await focused()).inMain, `${path}: the next stop is in the main content`);
  }
});

test("a review with the keyboard alone", async () => {
  await page.goto(`${world.base}/missions/m`);
  await heading(page, "By keys");
  await tabTo("the approval of the first step", ({ name, group }) => name === "Approve" && group === "First");
  await page.keyboard.press("Enter");
  await page.getByText("done", { exact: true }).waitFor();
  await tabTo("the feedback", ({ name }) => name === "Tell the agent something");
  await page.keyboard.press("Enter");
  await tabTo("its text", ({ kind, name }) => kind === "textarea" && name.startsWith("Feedback"));
  await page.keyboard.type("Typed blindly.");
  await tabTo("its button", ({ name }) => name === "Save feedback");
  await page.keyboard.press("Enter");
  await eventually("the feedback", () => JSON.stringify(world.record("missions", "m")).includes("Typed blindly."));
  await tabTo("the rejection of the second step", ({ name, group }) => name === "Reject" && group === "Second");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Typed blindly, too.");
  await page.keyboard.press("Enter");
  const plan = page.getByRole("article").filter({ hasText: "The plan" });
  await plan.getByText("approved", { exact: true }).first().waitFor();
  await plan.getByText("rejected", { exact: true }).first().waitFor();
  const [{ plan: steps }] = world.record("missions", "m").iterations;
  assert.deepEqual(steps.map(({ status }) => status), ["approved", "rejected"]);
  assert.ok(JSON.stringify(world.record("missions", "m")).includes("Typed blindly."));
});
