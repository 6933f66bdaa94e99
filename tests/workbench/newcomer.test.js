// A newcomer's stopwatch: from nothing, and from the demo, to the first step that is approved and carried out. It counts taps and
// prints seconds.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, heading, launch, look, Model, open, set, World } from "./support.js";

const PLAN = {
  summary: "Cancel one of two streaming services.",
  steps: [{ summary: "Cancel the music streaming", toolName: "create_task", params: { title: "Cancel music streaming" }, rationale: "Two services cost 23.98 a month." }],
};

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Clicks and counts. */
class Taps {
  constructor(page) {
    Object.assign(this, { page, count: 0, since: Date.now() });
  }

  async tap(locator) {
    await locator.click();
    this.count += 1;
  }

  async type(label, value) {
    await set(this.page, label, value);
    this.count += 1;
  }

  told(what) {
    const seconds = (Date.now() - this.since) / 1000;
    console.log(`${what}: ${this.count} taps and fields, ${seconds.toFixed(1)} s`);
    return seconds;
  }
}

/** Approves the first step that is shown, and waits until it was carried out. */
async function approve(taps, page) {
  const button = page.getByRole("main").getByRole("button", { name: "Approve", exact: true }).first();
  await button.waitFor();
  await taps.tap(button);
  await page.getByText(/^Approved: /).first().waitFor();
}

for (const language of ["en", "de"]) {
  test(`from an empty server to the first step that is done, in ${language}`, async (t) => {
    const word = (en, de) => (language === "de" ? de : en);
    const model = new Model(async () => PLAN);
    const world = new World({ MANA_LLM_URL: "", MANA_LLM_CONTEXT_TOKENS: "16384", TICK_INTERVAL_MS: "60000" });
    t.after(async () => {
      await world.end();
      model.close();
    });
    const address = await model.listen();
    await world.serve();
    const link = world.run(["link"]).trim();
    const page = await open(await browser.newContext({ locale: language, viewport: { width: 390, height: 844 } }));
    const taps = new Taps(page);
    await page.goto(link);
    await taps.tap(page.getByRole("button", { name: word("Sign in", "Anmelden"), exact: true }));
    await taps.type(word("Your name", "Dein Name"), "anna");
    await taps.tap(page.getByRole("button", { name: word("Continue", "Weiter") }));
    await heading(page, word("Welcome", "Willkommen"));
    await look(page, `start-${language}`);

    await taps.type(word("Address of the model server", "Adresse des Modellservers"), address);
    await taps.type(word("Key", "Schlüssel"), "sk-newcomer-secret");
    await taps.type(word("Model name", "Name des Modells"), "scripted");
    await taps.tap(page.getByRole("button", { name: word("Test", "Testen"), exact: true }));
    await page.getByText(word("answered in", "antwortete in")).waitFor();
    assert.ok(!(await page.content()).includes("sk-newcomer-secret"), "a key is never shown again");
    await look(page, `start-tested-${language}`);
    await taps.tap(page.getByRole("button", { name: word("Save and continue", "Speichern und weiter") }));
    await taps.tap(page.getByRole("link", { name: word("Spending review", "Ausgaben im Blick") }));
    await heading(page, word("Spending review", "Ausgaben im Blick"));
    await look(page, `template-${language}`);
    await taps.tap(page.getByRole("button", { name: word("Create and run now", "Anlegen und gleich ausführen") }));
    await page.waitForURL(/\/review\?mission=/);
    await page.getByText(PLAN.summary).first().waitFor();
    if (language === "en") {
      await approve(taps, page);
      const [task] = world.lines("export", "--user", "anna").filter((row) => row.table === "tasks");
      assert.equal(task.data.title, "Cancel music streaming", "it was carried out");
    }
    const seconds = taps.told(`empty server (${language})`);
    assert.ok(taps.count <= 14 && seconds < 120, `${taps.count} taps, ${seconds} s`);
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("link", { name: word("Settings: anna", "Einstellungen: anna") }).click();
    await heading(page, word("Settings", "Einstellungen"));
    await look(page, `settings-${language}`);
    await page.goto(`${world.base}/settings/people`);
    await page.getByLabel(word("Name to sign in with", "Anmeldename"), { exact: true }).fill("ben");
    await page.getByRole("button", { name: word("Create a link", "Link erstellen") }).click();
    await page.getByText("/link?code=").waitFor();
    await look(page, `people-${language}`);
    await page.goto(`${world.base}/settings/people/remove?person=anna`);
    await page.getByLabel(word("Type anna to confirm", "Zur Bestätigung anna eintippen")).fill("anna");
    await page.getByRole("button", { name: word("Remove for good", "Endgültig entfernen") }).click();
    await page.getByText(word("Somebody has to administer the server.", "Jemand muss den Server verwalten.")).waitFor();
    await look(page, `remove-${language}`);
    await page.goto(`${world.base}/templates`);
    await look(page, `templates-${language}`);
    await page.goto(`${world.base}/templates/import`);
    await look(page, `import-template-${language}`);
    assert.deepEqual(page.troubles.filter((text) => !text.includes("422")), []);
  });
}

test("from the demo to the first step that is done", async (t) => {
  const world = new World();
  t.after(() => world.end());
  const link = await world.demo();
  const page = await open(await browser.newContext({ viewport: { width: 390, height: 844 } }));
  const taps = new Taps(page);
  await page.goto(link);
  await taps.tap(page.getByRole("button", { name: "Sign in", exact: true }));
  await taps.tap(page.getByRole("button", { name: "anna", exact: true }));
  await heading(page, "Overview");
  const waiting = page.getByRole("main").getByRole("button", { name: "Approve", exact: true }).first();
  await eventually("a plan to review", async () => {
    if (await waiting.isVisible()) return true;
    await page.reload();
    return false;
  });
  await approve(taps, page);
  const seconds = taps.told("demo");
  assert.ok(taps.count <= 5 && seconds < 60, `${taps.count} taps, ${seconds} s`);
});

test("a first run that fails says why, and can be tried again", async (t) => {
  const world = new World({ MANA_LLM_URL: "http://127.0.0.1:9", TICK_INTERVAL_MS: "60000" });
  t.after(() => world.end());
  await world.serve();
  const page = await open(await browser.newContext({ locale: "en" }));
  await page.goto(`${world.base}/login`);
  await page.getByLabel("Access token").fill(world.token("anna"));
  await page.getByRole("button", { name: "Sign in" }).click();
  await heading(page, "Welcome");
  // By keyboard alone.
  await page.getByRole("link", { name: "Habit coach" }).focus();
  await page.keyboard.press("Enter");
  await heading(page, "Habit coach");
  await page.getByRole("button", { name: "Create and run now" }).focus();
  await page.keyboard.press("Enter");
  await heading(page, "Your first plan");
  await page.getByText("That didn't work.").waitFor();
  await page.getByText("cannot be reached").first().waitFor();
  await look(page, "first-run-failed");
  await page.getByRole("button", { name: "Try again now" }).waitFor();
  await page.getByRole("link", { name: "Settings of the model" }).waitFor();
});
