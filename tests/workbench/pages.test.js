// Each page on a small and a large screen, in light and dark: it fits, nothing complains, and axe finds no barrier.
// MANA_SCREENSHOTS names a directory for the pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, eventually, heading, launch, look, open, World } from "./support.js";

const MISSION = "/missions/mission-spending";
const PAGES = {
  overview: ["/", "Overview"],
  agents: ["/agents", "Agents"],
  agent: ["/agents/agent-penny", "Penny"],
  "new-agent": ["/agents/new", "New agent"],
  missions: ["/missions", "Missions"],
  mission: [MISSION, "Keep spending under control (and still have fun)"],
  "new-mission": ["/missions/new", "New mission"],
  "edit-mission": [MISSION, null, "Edit"],
  history: [`${MISSION}/log`, "History"],
  records: ["/records", "Records"],
  notes: ["/records/notes/notes", "Notes"],
  "edit-note": ["/records/notes/notes/r/note-subs", /.*/],
  events: ["/records/calendar/events", "Events"],
  import: ["/records/notes/notes/import", "Import into Notes"],
  audit: ["/audit", "Data access"],
  delete: [`${MISSION}/delete`, /^Delete /],
  runs: ["/runs", "Runs"],
  "review-list": ["/review/all", "Plans to review"],
};

let browser, world, anna, ben;
before(async () => {
  browser = await launch();
  world = new World();
});
after(async () => {
  await browser.close();
  await world.end();
});

test("who are you", async () => {
  const link = await world.demo();
  const page = await open(await browser.newContext());
  await page.goto(link);
  await look(page, "link");
  // One key is enough.
  await page.keyboard.press("Enter");
  await heading(page, "Who are you?");
  for (const name of ["anna", "ben", "Continue"]) await page.getByRole("button", { name, exact: true }).waitFor();
  await page.getByRole("textbox", { name: "Another name" }).waitFor();
  await look(page, "who");
  await page.getByRole("button", { name: "anna", exact: true }).click();
  await heading(page, "Overview");
  anna = page;
  // Plans, skips and failures have come before the other pictures are taken.
  await eventually("the demo's plans", () => {
    const runs = world.lines("missions", "--json");
    return ["mission-spending", "mission-garden", "mission-sleep"].every((id) =>
      runs.find((line) => line.id === id).record.iterations?.some((iteration) => iteration.overallStatus === "awaiting-review"));
  });
});

test("sign in", async () => {
  const page = await open(await browser.newContext());
  await page.goto(`${world.base}/`);
  assert.equal(new URL(page.url()).pathname, "/login");
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await look(page, "login");
  await page.context().close();
});

for (const [name, [path, title, then]] of Object.entries(PAGES)) {
  test(name, async () => {
    const page = await open(anna.context());
    await page.goto(world.base + path);
    if (then) {
      const link = page.getByRole("link", { name: then, exact: true }).or(page.getByRole("button", { name: then, exact: true }));
      await Promise.all([page.waitForEvent("framenavigated"), link.first().click()]);
      await page.waitForLoadState();
    }
    if (title instanceof RegExp) await page.getByRole("heading", { level: 1, name: title }).waitFor();
    else if (title) await heading(page, title);
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
    for (const link of ["Overview", "Agents", "Missions", "Data access"]) {
      await page.getByRole("navigation").getByRole("link", { name: link, exact: true }).waitFor();
    }
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    await look(page, name);
    await page.close();
  });
}

test("charts have a name, and their words are whole", async () => {
  await anna.goto(`${world.base}/`);
  const charts = anna.locator("main svg[role=img]");
  assert.ok((await charts.count()) > 0);
  for (const width of [390, 1440]) {
    await anna.setViewportSize({ width, height: 900 });
    for (const chart of await charts.all()) {
      const [name, cut] = await chart.evaluate((svg) => {
        const frame = svg.getBoundingClientRect();
        const outside = ({ left, right, top, bottom }) => left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1;
        const words = [...svg.querySelectorAll("text")].filter((text) => outside(text.getBoundingClientRect()));
        return [svg.getAttribute("aria-label") || svg.querySelector("title")?.textContent, words.map((text) => text.textContent)];
      });
      assert.ok(name);
      assert.deepEqual(cut, [], `cut off in “${name}” at ${width}`);
    }
  }
});

test("what was read of someone's encrypted records", async () => {
  const other = new World();
  try {
    ben = await enter(browser, await other.demo(), "ben");
    await eventually("ben's notes to be read", () => other.lines("missions", "--json").find(({ id }) => id === "mission-sleep").record.iterations?.length);
    await ben.goto(`${other.base}/audit`);
    await ben.getByText("note-diary").first().waitFor();
    await look(ben, "audit-with-rows");
  } finally {
    await ben?.context().close();
    await other.end();
  }
});
