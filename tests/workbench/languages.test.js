// The same pages in English and German, an address that nobody knows, and what makes an app of the pages.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, launch, look, Model, open, set, signIn, World } from "./support.js";

let browser, world;
before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false" });
  const row = (table, recordId, data, appId = "ai") => ({ appId, table, recordId, userId: "anna", data });
  world.import([
    row("agents", "greta", { name: "Greta", role: "Hält den Balkon grün", state: "paused", maxTokensPerDay: 50000 }),
    row("aiMissions", "balcony", { title: "Balkon", objective: "Alles blüht.", state: "active", agentId: "greta", cadence: { kind: "daily", atHour: 8, timeZone: "Berlin" }, iterations: [] }),
    row("notes", "soil", { title: "Erde", content: "40 Liter" }, "notes"),
  ]);
  await world.serve();
});
after(async () => {
  await browser.close();
  await world.end();
});

async function german(options = {}) {
  const page = await open(await browser.newContext({ locale: "de-AT", ...options }));
  await page.goto(`${world.base}/login`);
  await page.getByLabel("Zugangstoken").fill(world.token("anna"));
  await page.getByRole("button", { name: "Anmelden" }).click();
  await page.getByRole("navigation").getByRole("link", { name: "Agenten" }).waitFor();
  return page;
}

/** A page, what it says in English, and what in German. */
const SAID = [
  ["/agents", "New agent", "Neuer Agent"],
  ["/agents/greta", "Daily token limit", "Tokens pro Tag"],
  ["/agents/greta", "Asks for everything", "Fragt immer"],
  ["/agents/greta", "0 of 50,000 tokens used in the last 24 hours.", "0 von 50.000 Tokens in den letzten 24 Stunden verbraucht."],
  ["/agents/new", "Create agent", "Agent anlegen"],
  ["/agents/greta/log", "Every change, newest first.", "Jede Änderung, die neueste zuerst."],
  ["/agents/greta/log", "Daily token limit", "Tokens pro Tag"],
  ["/missions", "New mission", "Neue Mission"],
  ["/missions/balcony", "Agent not archived", "Agent nicht archiviert"],
  ["/missions/balcony", "Did you mean Europe/Berlin?", "„Berlin“ ist keine Zeitzone. Meinst du Europe/Berlin?"],
  ["/templates/habit-coach", "Start to track a habit.", "Eine Gewohnheit beginnen."],
  ["/templates/habit-coach", "calm", "ruhig"],
  ["/missions/new", "Only when you start it", "Nur wenn du sie startest"],
  ["/missions/balcony/edit", "Did you mean Europe/Berlin?", "Meinst du Europe/Berlin?"],
  ["/missions/balcony/delete", "Delete “Balkon”?", "„Balkon“ löschen?"],
  ["/records", "Time tracking|Tasks", "Aufgaben"],
  ["/records/notes/notes", "Import", "Importieren"],
  ["/records/notes/notes/import", "Import into Notes", "In Notizen importieren"],
  ["/insights", "What you rejected, and why", "Was du abgelehnt hast, und warum"],
  ["/deleted", "Nothing was deleted.", "Es wurde nichts gelöscht."],
  ["/audit", "No encrypted data was accessed.", "Es wurde nichts Verschlüsseltes gelesen."],
  ["/nonsense", "Page not found", "Seite nicht gefunden"],
  ["/missions/nonsense", "Page not found", "Seite nicht gefunden"],
  ["/offline", "mana-ai can't be reached", "mana-ai ist nicht erreichbar"],
];

test("every page speaks the language of the browser", async () => {
  const pages = { en: await signIn(browser, world, "anna"), de: await german() };
  for (const [path, english, german] of SAID) {
    for (const [language, text] of [["en", english], ["de", german]]) {
      const page = pages[language];
      await page.goto(world.base + path);
      assert.equal(await page.locator("html").getAttribute("lang"), language, path);
      await page.getByText(new RegExp(text.replace(/[.?()]/g, "\\$&"))).first().waitFor({ state: "attached" });
    }
  }
  const { de } = pages;
  for (const path of [...new Set(SAID.map(([path]) => path))]) {
    await de.goto(world.base + path);
    await look(de, `de${path.replaceAll("/", "-")}`);
  }
  assert.deepEqual(de.troubles.filter((text) => !text.includes("404")), []);
});

test("times are spelled as the reader spells them", async () => {
  const page = await german({ timezoneId: "Europe/Vienna" });
  await page.goto(`${world.base}/agents/greta/log`);
  await eventually("the time of the change", async () => /^\d{2}\.\d{2}\.\d{4}, \d{2}:\d{2}$/.test(await page.locator("time").first().textContent()));
});

test("an address that nobody knows is a page for people and JSON for programs", async () => {
  const ask = (accept) => fetch(`${world.base}/nonsense`, { headers: { accept, "accept-language": "de" } });
  const page = await ask("text/html,application/xhtml+xml");
  assert.deepEqual([page.status, page.headers.get("content-type")], [404, "text/html; charset=utf-8"]);
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
  assert.match(await page.text(), /<h1>Seite nicht gefunden<\/h1>/);
  for (const accept of ["*/*", "application/json"]) {
    const answer = await ask(accept);
    assert.deepEqual([answer.status, (await answer.json()).error.code], [404, "not-found"]);
  }
});

test("an agent's presets, by keyboard alone, and then one module", async () => {
  const page = await german();
  await page.goto(`${world.base}/agents/greta`);
  await page.getByRole("radio", { name: /^Fragt immer/ }).focus();
  await page.keyboard.press("ArrowDown");
  assert.ok(await page.getByRole("radio", { name: /^Liest selbst/ }).isChecked());
  await page.getByText("Dieser Server hat noch keine").waitFor();
  await page.keyboard.press("ArrowDown");
  assert.ok(await page.getByRole("radio", { name: /^Handelt selbst/ }).isChecked());
  await page.keyboard.press("Enter");
  await eventually("the policy", () => world.record("agents", "greta").policy);
  const { tools } = world.record("agents", "greta").policy;
  assert.deepEqual([tools.create_note, tools.create_task, tools.undo_drink], ["auto", "auto", "propose"]);
  await eventually("the page to show it", () => page.getByRole("radio", { name: /^Handelt selbst/ }).isChecked());
  await page.getByText("Nach Modul und Werkzeug").click();
  await set(page, "Notizen", "Verbieten");
  await page.locator(".module", { hasText: "create_task" }).locator("summary").click();
  await page.getByText("Eine Aufgabe anlegen.").waitFor();
  await page.getByRole("button", { name: "Speichern" }).click();
  await eventually("the module's decision", () => world.record("agents", "greta").policy.tools.create_note === "deny");
  const after = world.record("agents", "greta").policy.tools;
  assert.deepEqual([after.update_note, after.create_task, after.undo_drink], ["deny", "auto", "propose"]);
  await eventually("the page to show that it is an own choice", () => page.getByRole("radio", { name: /^Eigene Auswahl/ }).isChecked());
});

test("an agent is tried on a mission before it is saved", async () => {
  const plan = { summary: "Wasser für die Palmen.", steps: [{ summary: "Gießen", toolName: "create_task", params: { title: "Gießen" }, rationale: "Es ist trocken." }] };
  const model = new Model(() => plan);
  const own = new World({ TICK_ENABLED: "false", MANA_LLM_URL: await model.listen() });
  try {
    const row = (table, recordId, data) => ({ table, recordId, userId: "anna", data });
    own.import([row("agents", "greta", { name: "Greta", systemPrompt: "Sei ausführlich." }), row("aiMissions", "balcony", { title: "Balkon", objective: "Alles blüht.", state: "active", agentId: "greta", cadence: { kind: "manual" } })]);
    await own.serve();
    const page = await signIn(browser, own, "anna", { viewport: { width: 390, height: 844 } });
    await page.goto(`${own.base}/agents/greta`);
    await set(page, "System prompt", "Sei knapp.");
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByRole("heading", { name: "Trial with “Balkon”" }).waitFor();
    await page.getByText("Gießen").first().waitFor();
    await page.getByText(/^750 tokens, \d+ s\. Nothing was saved\.$/).waitFor();
    assert.match(model.prompt(1), /Sei knapp\./);
    assert.equal(own.record("agents", "greta").systemPrompt, "Sei ausführlich.");
    assert.deepEqual([own.written("anna").length, own.lines("runs", "--json").length], [0, 0]);
    await look(page, "trial");
    await page.getByRole("button", { name: "Save" }).click();
    await eventually("the prompt", () => own.record("agents", "greta").systemPrompt === "Sei knapp.");
  } finally {
    await own.end();
    model.close();
  }
});

test("the pages can be installed, and say when the server is away", async () => {
  const page = await german();
  const manifest = await (await fetch(`${world.base}/assets/app.webmanifest`, { headers: { "accept-language": "de" } })).json();
  assert.deepEqual([manifest.lang, manifest.start_url, manifest.display], ["de", "/", "standalone"]);
  for (const { src, type } of manifest.icons) {
    const icon = await fetch(world.base + src);
    assert.deepEqual([icon.status, icon.headers.get("content-type")], [200, type], src);
  }
  await page.goto(`${world.base}/agents`);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  await eventually("the worker to act for the page", () => page.evaluate(() => !!navigator.serviceWorker.controller));
  await world.stop();
  await page.goto(`${world.base}/agents/greta`);
  await page.getByRole("heading", { level: 1, name: "mana-ai ist nicht erreichbar" }).waitFor();
  assert.equal(await page.getByText("Greta").count(), 0, "no page of a user is kept");
  await world.serve();
  await page.getByRole("link", { name: "Noch einmal versuchen" }).click();
  await page.getByRole("heading", { level: 1, name: /Greta/ }).waitFor();
});
