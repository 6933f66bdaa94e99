// Who may see and do what: sessions, forms of others, users of one server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, get, heading, launch, open, signIn, World, redeem } from "./support.js";

let browser, world, anna, ben, paths, writes;
before(async () => {
  browser = await launch();
  world = new World({ TICK_ENABLED: "false" });
  const row = (table, recordId, userId, data) => ({ table, recordId, userId, data });
  world.import([
    row("agents", "agent-anna", "anna", { name: "Agent of Anna", state: "active" }),
    row("aiMissions", "mission-anna", "anna", { title: "Mission of Anna", objective: "Secret of Anna", state: "active", cadence: { kind: "manual" }, agentId: "agent-anna",
      iterations: [{ id: "it", startedAt: "2026-04-15T08:00:00.000Z", finishedAt: "2026-04-15T08:00:01.000Z", summary: "Plan of Anna", overallStatus: "awaiting-review", source: "server",
        plan: [{ id: "it-0", summary: "Step of Anna", rationale: "r", intent: { kind: "toolCall", toolName: "create_task", params: { title: "t" } }, status: "staged" }] }] }),
    row("agents", "agent-ben", "ben", { name: "Agent of Ben", state: "active" }),
    row("aiMissions", "mission-ben", "ben", { title: "Mission of Ben", objective: "o", state: "active", cadence: { kind: "manual" } }),
  ]);
  await world.serve();
  [anna, ben] = [await signIn(browser, world, "anna"), await signIn(browser, world, "ben")];
  paths = await pathsOf(anna);
  writes = await forms(anna, paths);
});
after(async () => {
  await browser.close();
  await world.end();
});

const OWN = ["/", "/agents", "/agents/new", "/agents/agent-anna", "/missions", "/missions/new", "/missions/mission-anna", "/missions/mission-anna/log", "/records", "/records/notes/notes", "/records/notes/notes/import", "/audit", "/review", "/review/all", "/runs", "/insights", "/deleted"];

/** Every form of a user's pages that writes: where it goes and what it sends. */
async function forms(page, paths) {
  const found = [];
  for (const path of paths) {
    await page.goto(world.base + path);
    found.push(...(await page.locator("form").evaluateAll((all) => all.filter((form) => form.method === "post").flatMap((form) => {
      const fields = [...new FormData(form)].filter(([, value]) => typeof value === "string");
      const targets = [form.action, ...[...form.querySelectorAll("button[formaction]")].map((button) => button.formAction)];
      const named = [...form.querySelectorAll("button[name]")].map((button) => [button.name, button.value]);
      return targets.map((action) => ({ action, fields: [...fields, ...named.slice(0, 1)] }));
    }))));
  }
  return found;
}

/** All pages about Anna. */
const pathsOf = async (page) => {
  await page.goto(`${world.base}/missions/mission-anna`);
  const links = await page.getByRole("main").locator("a").evaluateAll((all) => all.map((link) => new URL(link.href)).map((url) => url.pathname));
  return [...new Set([...OWN, ...links.filter((path) => path.startsWith("/missions/mission-anna/")), "/missions/mission-anna/delete"])];
};

const send = (context, { action }, fields) =>
  context.request.post(action, { data: new URLSearchParams(fields).toString(), headers: { "content-type": "application/x-www-form-urlencoded" }, maxRedirects: 0 });

test("without a session, pages lead to the sign-in and the rest is refused", async () => {
  const stranger = await browser.newContext();
  for (const path of paths) {
    const answer = await get(stranger, world.base + path);
    assert.deepEqual([answer.status(), answer.headers().location?.replace(/\?.*/, "")], [303, "/login"], path);
    assert.doesNotMatch(await answer.text(), /Anna/);
  }
  const before = world.lines("export").length;
  for (const form of writes) {
    const answer = await send(stranger, form, form.fields);
    assert.ok([303, 401, 403].includes(answer.status()), `${form.action}: ${answer.status()}`);
    if (answer.status() === 303) assert.match(answer.headers().location, /^\/login/);
  }
  assert.equal(world.lines("export").length, before);
  assert.equal((await get(stranger, `${world.base}/health`)).status(), 200);
  assert.equal((await get(stranger, `${world.base}/sync/ai/pull?collection=agents`)).status(), 401, "the API does not redirect");
  await stranger.close();
});

test("a session of the pages opens no door of the API", async () => {
  for (const path of ["/sync/ai/pull?collection=agents", "/api/v1/me/ai-audit"]) {
    assert.equal((await get(anna.context(), world.base + path)).status(), 401, path);
  }
});

test("a wrong token signs nobody in", async () => {
  const page = await open(await browser.newContext());
  const token = world.token("anna");
  for (const wrong of ["nonsense", `${token.slice(0, -4)}AAAA`, ""]) {
    await page.goto(`${world.base}/login`);
    await page.getByLabel("Access token").evaluate((field) => field.removeAttribute("required"));
    await page.getByLabel("Access token").fill(wrong);
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === "POST"), page.getByRole("button", { name: "Sign in" }).click(),
    ]);
    assert.equal(answer.status(), 401);
    await page.getByRole("alert").waitFor();
    assert.equal((await get(page.context(), `${world.base}/`)).status(), 303);
  }
  for (const origin of ["http://elsewhere.example", "null"]) {
    const answer = await page.context().request.post(`${world.base}/login`, { form: { token }, headers: { origin }, maxRedirects: 0 });
    assert.equal(answer.status(), 403, `a form of ${origin} signs nobody in`);
  }
  await page.context().close();
});

test("the cookie of the session is for the server alone; a script knows no more than the zone", async () => {
  const cookies = await anna.context().cookies();
  assert.ok(cookies.some((cookie) => cookie.name !== "zone"));
  for (const cookie of cookies) {
    assert.ok(["Lax", "Strict"].includes(cookie.sameSite) && cookie.path === "/", JSON.stringify(cookie));
    assert.ok(cookie.httpOnly || cookie.name === "zone", JSON.stringify(cookie));
    assert.ok(!cookie.value.includes("anna"));
  }
  assert.match(await anna.evaluate(() => document.cookie), /^(zone=[\w/+-]+)?$/);
});

test("every page has its guards", async () => {
  for (const path of [...paths, "/login", "/missions/nowhere"]) {
    const answer = await get(anna.context(), world.base + path);
    const headers = answer.headers();
    const policy = headers["content-security-policy"] ?? "";
    assert.match(policy, /default-src '(none|self)'/, path);
    assert.doesNotMatch(policy, /unsafe|\*|data:.*script/, path);
    for (const part of ["frame-ancestors 'none'", "form-action 'self'", "base-uri"]) assert.ok(policy.includes(part), `${path}: ${part} in ${policy}`);
    assert.equal(headers["x-content-type-options"], "nosniff", path);
    assert.match(headers["referrer-policy"] ?? "", /no-referrer|same-origin/, path);
    assert.match(headers["cache-control"] ?? "", /no-store/, path);
    if (path === "/missions/nowhere") assert.equal(answer.status(), 404, path);
  }
});

test("a form without its csrf, or with another's, is refused and writes nothing", async () => {
  const [{ fields: bens }] = await forms(ben, ["/agents/new"]);
  const foreign = new URLSearchParams(bens).get("csrf");
  assert.ok(foreign, "forms have a csrf");
  assert.ok(writes.length >= 8, `the forms are found: ${writes.map(({ action }) => action)}`);
  const before = world.lines("export").length;
  for (const form of writes) {
    const own = form.fields.find(([name]) => name === "csrf")?.[1];
    assert.ok(own && own !== foreign, `${form.action} has a csrf of its own session`);
    const rest = form.fields.filter(([name]) => name !== "csrf");
    for (const csrf of [[], [["csrf", ""]], [["csrf", "x".repeat(own.length)]], [["csrf", foreign]]]) {
      assert.equal((await send(anna.context(), form, [...csrf, ...rest])).status(), 403, `${form.action} with ${csrf}`);
    }
  }
  assert.equal(world.lines("export").length, before);
  assert.equal((await get(anna.context(), `${world.base}/`)).status(), 200, "nor does it sign out");
});

test("what belongs to another user is not there", async () => {
  const foreign = paths.filter((path) => path.includes("-anna"));
  assert.ok(foreign.length >= 4, `${foreign}`);
  for (const path of foreign) {
    const answer = await get(ben.context(), world.base + path);
    assert.equal(answer.status(), 404, path);
    assert.doesNotMatch(await answer.text(), /(Mission|Secret|Plan|Step|Agent) of Anna/);
  }
  for (const path of ["/", "/agents", "/missions", "/missions/new", "/records/notes/notes", "/audit", "/review", "/review/all", "/runs"]) {
    assert.doesNotMatch(await (await get(ben.context(), world.base + path)).text(), /of Anna/, path);
  }
  // Anna's forms with Ben's session and csrf.
  const [{ fields }] = await forms(ben, ["/agents/new"]);
  const csrf = new URLSearchParams(fields).get("csrf");
  const before = world.lines("export").length;
  for (const form of writes.filter(({ action }) => action.includes("-anna"))) {
    const answer = await send(ben.context(), form, [["csrf", csrf], ...form.fields.filter(([name]) => name !== "csrf")]);
    assert.equal(answer.status(), 404, form.action);
  }
  assert.equal(world.lines("export").length, before);
});

test("signing out ends the session on the server", async () => {
  const page = await signIn(browser, world, "anna");
  const [kept, other] = [await page.context().cookies(), await signIn(browser, world, "anna")];
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  const thief = await browser.newContext();
  await thief.addCookies(kept);
  assert.equal((await get(thief, `${world.base}/`)).status(), 303);
  assert.equal((await get(other.context(), `${world.base}/`)).status(), 200, "another session of the user goes on");
  await page.goBack().catch(() => {});
  assert.equal(await page.getByText("Mission of Anna").count(), 0, "nor does the browser keep the page");
  await Promise.all([thief.close(), page.context().close(), other.context().close()]);
});

test("the link of the demo works once, and a session outlives the server", async (t) => {
  const demo = new World();
  t.after(() => demo.end());
  const link = await demo.demo();
  const nobody = await browser.newContext();
  const wrong = await get(nobody, link.replace(/code=.*/, "code=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
  assert.ok([401, 403].includes(wrong.status()), `${wrong.status()}`);
  const page = await enter(browser, link, "ben");
  const late = await open(await browser.newContext());
  const answer = await late.goto(link);
  assert.ok([401, 403].includes(answer.status()), `${answer.status()}`);
  await late.getByRole("button", { name: "Sign in" }).waitFor();
  await late.getByText(/used/).first().waitFor();
  assert.equal(await late.getByRole("button", { name: "anna" }).count(), 0);
  await page.goto(`${demo.base}/missions`);
  await page.getByRole("link", { name: "Sleep better" }).first().waitFor();
  // An open page does not keep the server from stopping.
  await demo.stop();
  const next = await demo.demo();
  assert.notEqual(next, link);
  await page.goto(`${demo.base}/missions`);
  await page.getByRole("link", { name: "Sleep better" }).first().waitFor();
  assert.ok([401, 403].includes((await get(nobody, `${demo.base}/link?${link.split("?")[1]}`)).status()), "nor does an old link work after a restart");
  // Somebody new.
  const guest = await open(await browser.newContext());
  await redeem(guest, next);
  await guest.getByRole("textbox", { name: "Another name" }).fill("Carla");
  await guest.getByRole("button", { name: "Continue" }).click();
  await heading(guest, "Welcome");
  assert.equal(await guest.getByText("Sleep better").count(), 0);
});
