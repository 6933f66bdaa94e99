// One seeded schedule: two devices of one user, a person at the workbench, a stranger, and runs of the server.
import { AI, Client } from "./client.js";
import { canonical } from "./merge.js";
import { Person } from "./world.js";

export const PHASES = 4;
/** Rounds after which all must be quiet. */
const ROUNDS = 12;
/** Pauses for runs that wait, a quarter of a second each. */
const PAUSES = 400;
const OPERATIONS = 6;
/** The tool of all plans, and those whose policy changes. */
const PLANNED = "create_task";
const TOOLS = [PLANNED, "create_note", "create_event"];
const decisions = (tool) => (tool === PLANNED ? ["propose", "auto"] : ["propose", "auto", "deny"]);
const OPEN = "awaiting-review";

/** A generator of numbers from 0 to 1 (mulberry32). */
export function random(...seed) {
  let state = seed.reduce((sum, part) => Math.imul(sum ^ (part + 0x9e3779b9), 0x85ebca6b) ^ (sum >>> 13), 0x243f6a88);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class Schedule {
  constructor(world, seed) {
    Object.assign(this, { world, seed, user: `user-${seed}`, trace: [], wrong: [], missions: 0, agents: 0, titles: 0 });
    this.random = random(seed, 1);
    /** Steps that somebody said yes to. */
    this.approved = new Set();
    /** What is done while a plan of this schedule is being made. */
    this.meanwhile = [];
    this.turn = Promise.resolve();
  }

  // Chance.

  chance(share) {
    return this.random() < share;
  }

  below(count) {
    return Math.floor(this.random() * count);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  say(text) {
    this.trace.push(text);
  }

  fail(text) {
    this.wrong.push(text);
    this.say(`WRONG: ${text}`);
  }

  // The course of events.

  async begin() {
    const token = this.world.token(this.user);
    this.devices = ["phone", "laptop"].map((name, n) => {
      const skew = (this.chance(0.5) ? 1 : -1) * (60 + this.below(540)) * 1000;
      this.say(`the clock of the ${name} is off by ${skew / 1000} s`);
      const device = new Client({
        base: this.world.base, token, id: `${name}-${this.seed}`, app: "ai", tables: AI, slot: 33 * (n + 1), clock: () => Date.now() + skew,
      });
      return Object.assign(device, { name, offline: false });
    });
    this.person = new Person(this.world, this.user);
    this.stranger = new Client({ base: this.world.base, token: this.world.token(`stranger-${this.seed}`), id: `stranger-${this.seed}`, app: "ai", tables: AI, slot: 99 });
    const [phone, laptop] = this.devices;
    if (this.chance(0.7)) await this.newAgent(phone);
    for (let n = 1 + this.below(2); n > 0; n -= 1) await this.newMission(phone);
    await phone.sync();
    await laptop.sync();
  }

  /** What happens before the next pass of the server. */
  async phase() {
    for (const device of this.devices) device.offline = this.chance(0.3);
    this.say(`phase; offline: ${this.devices.filter(({ offline }) => offline).map(({ name }) => name).join() || "nobody"}`);
    for (let n = 1 + this.below(OPERATIONS); n > 0; n -= 1) await this.operation(this.pick(this.devices));
    for (const device of this.devices.filter(({ offline }) => !offline)) {
      if (this.chance(0.6)) await this.makeDue(device);
      if (this.chance(0.8)) await this.sync(device);
    }
    // While a plan is made, the devices go on.
    this.meanwhile = Array.from({ length: this.chance(0.4) ? 1 + this.below(3) : 0 }, () => this.pick(this.devices));
  }

  async operation(device) {
    const operations = [
      [3, () => this.sync(device)],
      [1, () => this.syncInVain(device)],
      [1, () => this.syncReordered(device)],
      [2, () => this.editTitle(device)],
      [2, () => this.editSchedule(device)],
      [2, () => this.editPolicy(device)],
      [1, () => this.editInputs(device)],
      [1, () => this.setState(device)],
      [1, () => this.remove(device)],
      [2, () => this.undo(device)],
      [1, () => this.newMission(device)],
      [2, () => this.feedback(device)],
      [1, () => this.browserRun(device)],
      [1, () => this.reviewOnDevice(device)],
      [3, () => this.reviewAtWorkbench()],
      [1, () => this.stateAtWorkbench()],
      [1, () => this.editAtWorkbench()],
      [1, () => this.intrude()],
    ];
    let left = this.random() * operations.reduce((sum, [weight]) => sum + weight, 0);
    await operations.find(([weight]) => (left -= weight) < 0)[1]();
  }

  /** What the model says about a mission; devices go on before it answers. */
  plan(mission) {
    const answer = this.turn.then(async () => {
      for (const device of this.meanwhile.splice(0)) {
        this.say("while a plan is made:");
        await this.operation(device);
        if (!device.offline) await this.sync(device);
      }
      // A refused plan would be asked for again when the schedule is over, so it proposes what no policy here denies.
      const steps = Array.from({ length: this.below(4) }, (_, n) => {
        return { summary: `Step ${n}`, toolName: PLANNED, params: { title: `Task ${n}` }, rationale: "Because." };
      });
      this.say(`the model plans ${steps.length} steps for mission ${mission}`);
      return { summary: `Plan ${mission}`, steps };
    });
    this.turn = answer.catch((error) => this.fail(`while a plan was made: ${error.stack}`));
    return answer;
  }

  // What devices do.

  async mission(device, keep = () => true) {
    const missions = (await device.list("aiMissions")).filter(keep);
    return missions.length > 0 ? this.pick(missions) : undefined;
  }

  async sync(device) {
    if (device.offline) return;
    this.say(`${device.name} syncs`);
    await device.sync();
    this.judge(device);
  }

  /** Every step that a device carries out must have been said yes to. */
  judge(device) {
    for (const { mission, step } of device.carriedOut.slice(device.judged ?? 0)) {
      this.say(`${device.name} carries out ${step} of ${mission}`);
      if (!this.approved.has(step)) this.fail(`${device.name} carried out the step ${step}, which nobody approved`);
    }
    device.judged = device.carriedOut.length;
  }

  /** The server takes it in, but the answer is lost. */
  async syncInVain(device) {
    if (device.offline) return;
    this.say(`${device.name} pushes, and the answer is lost`);
    await device.push();
  }

  /** Two requests under way at once, whose answers are taken in the wrong order. */
  async syncReordered(device) {
    if (device.offline) return;
    const table = this.pick(device.tables);
    this.say(`${device.name} syncs while it pulls ${table}; the older answer comes last`);
    const old = await device.pull(table);
    await device.sync();
    await device.receive(old, [table]);
    this.judge(device);
  }

  async newAgent(device) {
    const id = `agent-${this.seed}-${this.agents++}`;
    const tools = Object.fromEntries(TOOLS.map((tool) => [tool, this.pick(["propose", "propose", "auto"])]));
    this.say(`${device.name} creates ${id}`);
    await device.insert("agents", {
      id, name: `Agent ${id}`, role: "Helper", avatar: "x", policy: { tools, defaultForAi: "propose" },
      maxConcurrentMissions: 1 + this.below(2), state: "active",
    });
  }

  async newMission(device) {
    const id = `mission-${this.seed}-${this.missions++}`;
    const agents = await device.list("agents");
    const cadence = this.pick(SCHEDULES);
    const due = !["manual", "cron"].includes(cadence.kind) && this.chance(0.5) ? { nextRunAt: past() } : {};
    this.say(`${device.name} creates ${id} (${cadence.kind}${due.nextRunAt ? ", due" : ""})`);
    await device.insert("aiMissions", {
      id, title: `Mission ${id}`, conceptMarkdown: "", objective: `As ${id} says.`, inputs: [], cadence, state: "active", iterations: [], ...due,
      ...(agents.length > 0 && this.chance(0.7) ? { agentId: this.pick(agents).id } : {}),
    });
  }

  async editMission(device, what, change, keep) {
    const mission = await this.mission(device, keep);
    if (!mission) return;
    this.say(`${device.name} ${what} of ${mission.id}`);
    await device.edit("aiMissions", mission.id, change);
    return mission;
  }

  async editTitle(device) {
    const text = `${device.name} ${this.titles++}`;
    const field = this.pick(["title", "conceptMarkdown"]);
    await this.editMission(device, `writes ${field} "${text}"`, (record) => (record[field] = text));
  }

  /** With the schedule goes the next time. */
  async editSchedule(device) {
    const cadence = this.pick(SCHEDULES);
    await this.editMission(device, `writes cadence ${JSON.stringify(cadence)}`, (record) => {
      record.cadence = structuredClone(cadence);
      if (["manual", "cron"].includes(cadence.kind)) delete record.nextRunAt;
      else record.nextRunAt = future(device);
    });
  }

  async editInputs(device) {
    const inputs = Array.from({ length: this.below(3) }, (_, n) => ({ module: "notes", table: "notes", id: `note-${n}` }));
    await this.editMission(device, `links ${inputs.length} inputs`, (record) => (record.inputs = inputs));
  }

  async makeDue(device) {
    await this.editMission(device, "makes due the runs", (record) => (record.nextRunAt = past()), ({ state }) => state === "active");
  }

  async setState(device) {
    const state = this.pick(["paused", "active", "active", "archived", "done"]);
    await this.editMission(device, `sets state ${state}`, (record) => {
      record.state = state;
      if (state === "active") record.nextRunAt = future(device);
      if (state === "done") delete record.nextRunAt;
    });
  }

  async editPolicy(device) {
    const agents = await device.list("agents");
    if (agents.length === 0) return;
    const { id } = this.pick(agents);
    const tool = this.pick(TOOLS);
    const decision = this.pick(decisions(tool));
    this.say(`${device.name} sets ${tool} of ${id} to ${decision}`);
    await device.edit("agents", id, ({ policy }) => (policy.tools[tool] = decision));
  }

  async remove(device) {
    const table = this.pick(["aiMissions", "aiMissions", "agents"]);
    const records = await device.list(table);
    if (records.length === 0) return;
    const { id } = this.pick(records);
    this.say(`${device.name} deletes ${id}`);
    await device.remove(table, id);
  }

  async undo(device) {
    for (const table of ["aiMissions", "agents"]) {
      const gone = (await device.db[table].toArray()).filter(({ deletedAt }) => deletedAt);
      if (gone.length === 0) continue;
      const { id } = this.pick(gone);
      this.say(`${device.name} brings back ${id}`);
      await device.undoRemoval(table, id);
      if (table === "aiMissions") await device.carryOut(id);
      this.judge(device);
      return;
    }
  }

  /** Rewrites the whole array, with what a device that was away knows of it. */
  async feedback(device) {
    await this.editMission(device, "tells what it thinks of a plan", ({ iterations }) => {
      this.pick(iterations).userFeedback = `Thoughts ${this.titles++}`;
    }, ({ iterations }) => iterations.length > 0);
  }

  /** A run in the browser: begun, or finished where one is under way. */
  async browserRun(device) {
    const at = new Date(device.clock()).toISOString();
    const id = `browser-${this.seed}-${this.titles++}`;
    await this.editMission(device, "runs in the browser", (record) => {
      const running = record.iterations.find(({ overallStatus }) => overallStatus === "running");
      if (running) {
        Object.assign(running, { overallStatus: "approved", finishedAt: at, summary: "Done here." });
        for (const field of ["currentPhase", "phaseStartedAt"]) delete running[field];
        record.nextRunAt = future(device);
      } else {
        record.iterations.push({ id, startedAt: at, plan: [], overallStatus: "running", currentPhase: "calling-llm", phaseStartedAt: at });
      }
    }, ({ state }) => state === "active");
  }

  /** Ends what still runs in the browser, since the server takes over a run that falls silent. */
  async finishRuns() {
    const isRunning = ({ iterations }) => iterations.some(({ overallStatus }) => overallStatus === "running");
    const [device] = this.devices;
    const at = new Date(device.clock()).toISOString();
    while (await this.mission(device, isRunning)) {
      await this.editMission(device, "ends its run", (record) => {
        for (const running of record.iterations.filter(({ overallStatus }) => overallStatus === "running")) {
          Object.assign(running, { overallStatus: "approved", finishedAt: at, summary: "Done here." });
          for (const field of ["currentPhase", "phaseStartedAt"]) delete running[field];
        }
      }, isRunning);
    }
  }

  async reviewOnDevice(device) {
    const open = (iteration) => iteration.source === "server" && iteration.overallStatus === OPEN && iteration.plan.some(({ status }) => status === "staged");
    const mission = await this.mission(device, ({ iterations }) => iterations.some(open));
    if (!mission) return;
    const { id } = this.pick(mission.iterations.filter(open));
    this.say(`${device.name} reviews ${id} of ${mission.id}`);
    await device.review(mission.id, id, (step) => this.chance(0.5) && this.approved.add(step));
    this.judge(device);
  }

  // What the person does at the workbench.

  async reviewAtWorkbench() {
    const mission = await this.mission(this.devices[0], ({ iterations }) => iterations.some(({ source }) => source === "server"));
    if (!mission) return;
    const path = `/missions/${mission.id}`;
    const forms = await this.person.forms(path).catch(() => []);
    const reviews = forms.filter(({ action, fields }) => action === `${path}/review` && Object.keys(fields).some((name) => name.startsWith("step:")));
    if (reviews.length === 0) return;
    const form = this.pick(reviews);
    const steps = Object.keys(form.fields).filter((name) => name.startsWith("step:"));
    const all = this.pick(["approve", "reject", undefined, undefined]);
    const yes = [];
    if (all) {
      form.fields.all = all;
      if (all === "approve") yes.push(...steps.filter((name) => form.fields[name] !== "reject"));
    } else {
      for (const name of steps) form.fields[name] = this.pick(["approve", "reject", "approve", "reject", form.fields[name]]);
      yes.push(...steps.filter((name) => form.fields[name] === "approve"));
    }
    for (const name of yes) this.approved.add(name.slice("step:".length));
    const status = await this.person.send(form);
    this.say(`review of ${form.fields.iteration}: ${all ?? steps.map((name) => form.fields[name]).join()} (${status})`);
  }

  async stateAtWorkbench() {
    const mission = await this.mission(this.devices[0]);
    if (!mission) return;
    const path = `/missions/${mission.id}/state`;
    const forms = (await this.person.forms(`/missions/${mission.id}`).catch(() => [])).filter(({ action }) => action === path);
    if (forms.length === 0) return;
    const form = this.pick(forms);
    this.say(`workbench: ${mission.id} to ${JSON.stringify(form.fields.state)} (${await this.person.send(form)})`);
  }

  /** A title, a time of day or a policy, by the forms of the workbench. */
  async editAtWorkbench() {
    const [device] = this.devices;
    const agents = await device.list("agents");
    const mission = await this.mission(device);
    const ofAgent = agents.length > 0 && (!mission || this.chance(0.5));
    if (!ofAgent && !mission) return;
    const path = ofAgent ? `/agents/${this.pick(agents).id}` : `/missions/${mission.id}`;
    const forms = await this.person.forms(ofAgent ? path : `${path}/edit`).catch(() => []);
    const form = forms.find(({ action, fields }) => action === path && ("title" in fields || "name" in fields));
    if (!form) return;
    const choices = ofAgent
      ? { role: `Role ${this.titles++}`, memory: `Memory ${this.titles++}`, ...Object.fromEntries(TOOLS.map((tool) => [`tool:${tool}`, this.pick(decisions(tool))])) }
      : { title: `Workbench ${this.titles++}`, kind: this.pick(["daily", "interval", "weekly"]), atHour: `${this.below(24)}`, everyMinutes: "500" };
    const names = Object.keys(choices).filter((name) => name in form.fields && this.chance(0.5));
    for (const name of names) form.fields[name] = choices[name];
    this.say(`workbench: ${path} with ${names.map((name) => `${name} ${choices[name]}`).join()} (${await this.person.send(form)})`);
  }

  /** Somebody else who knows the ids. */
  async intrude() {
    const mission = await this.mission(this.devices[0]);
    if (!mission) return;
    this.say(`a stranger writes to ${mission.id}`);
    const at = new Date(Date.now() + 3_600_000).toISOString();
    const { stranger } = this;
    const write = (row) => stranger.db.pending.add({ change: { table: "aiMissions", id: mission.id, ...row } });
    await write({ op: "update", fields: { title: { value: "Mine now", at }, iterations: { value: [], at } } });
    await write({ op: "delete", deletedAt: at });
    const { answer, pushed } = await stranger.push();
    await stranger.receive(answer, stranger.tables, pushed);
    const person = new Person(this.world, `stranger-${this.seed}`);
    const forms = await person.forms(`/missions/${mission.id}`).catch(() => []);
    if (answer.serverChanges.length > 0 || forms.some(({ action }) => action.endsWith("/review"))) this.fail("a stranger sees what is not theirs");
  }

  // The end.

  /** One round of syncs; answers whether anything moved. */
  async settle() {
    let moved = 0;
    for (const device of this.devices) {
      device.offline = false;
      moved += await device.sync();
      this.judge(device);
    }
    return moved > 0;
  }

  /** What must hold when all is quiet; the records of the server are compared later, all at once. */
  async check() {
    const [phone, laptop] = this.devices;
    const [here, there] = [await phone.dump(), await laptop.dump()];
    for (const key of new Set([...Object.keys(here), ...Object.keys(there)])) {
      if (here[key] !== there[key]) this.fail(`${key} differs between the devices:${differing(here[key], there[key])}`);
    }
    for (const device of this.devices) {
      for (const { id } of await device.list("agents")) await device.toolsOf(id);
      for (const [table, cursor] of Object.entries(await device.cursors())) if (cursor < "2020") this.fail(`${device.name} starts anew with ${table}`);
      const steps = device.carriedOut.map(({ step }) => step);
      for (const step of new Set(steps)) if (steps.filter((other) => other === step).length > 1) this.fail(`${device.name} carried out ${step} twice`);
    }
    const missions = await phone.list("aiMissions");
    for (const { id, iterations } of missions) {
      for (const { plan } of iterations.filter(({ source }) => source === "server")) {
        for (const step of plan) if (step.status === "planned") this.fail(`the step ${step.id} of ${id} was released, and no device carried it out`);
      }
      const kept = new Set(iterations.map((iteration) => iteration.id));
      for (const iteration of new Set(this.devices.flatMap((device) => [...(device.received.get(id) ?? [])]))) {
        if (!kept.has(iteration)) this.fail(`the iteration ${iteration} of ${id} is lost`);
      }
    }
    this.expected = { missions: await listed(phone, "aiMissions"), agents: await listed(phone, "agents") };
  }

  /** Compares with what the server has: `actual[kind]` maps the ids of this user's records to their lines. */
  compare(actual) {
    for (const kind of ["missions", "agents"]) {
      const [mine, theirs] = [this.expected[kind], actual[kind] ?? new Map()];
      for (const id of new Set([...mine.keys(), ...theirs.keys()])) {
        const line = theirs.get(id);
        const server = line && canonical({ ...line.record, __fieldMeta: line.fieldMeta });
        if (server !== mine.get(id)) this.fail(`${id} differs between the devices and the server:${differing(mine.get(id), server)}`);
      }
    }
  }

  async end() {
    await Promise.all([...this.devices, this.stranger].map((device) => device.close()));
  }
}

const SCHEDULES = [
  { kind: "manual" },
  { kind: "interval", everyMinutes: 600 },
  { kind: "daily", atHour: 8, atMinute: 30 },
  { kind: "daily", atHour: 21, atMinute: 0, timeZone: "Europe/Berlin" },
  { kind: "weekly", dayOfWeek: 1, atHour: 7 },
  { kind: "cron", expression: "0 6 * * 1-5" },
];

const past = () => new Date(Date.now() - 3_600_000).toISOString();
const future = (device) => new Date(device.clock() + 86_400_000).toISOString();

/** The fields in which two records differ, in short. */
function differing(left, right) {
  if (!left || !right) return ` only ${left ? "the first" : "the second"} has it`;
  const [a, b] = [JSON.parse(left), JSON.parse(right)];
  const flat = ({ __fieldMeta, ...record }) => ({ ...record, ...Object.fromEntries(Object.entries(__fieldMeta).map(([name, at]) => [`time of ${name}`, at])) });
  const [x, y] = [flat(a), flat(b)];
  const told = (value) => (JSON.stringify(value) ?? "absent").slice(0, 600);
  const names = [...new Set([...Object.keys(x), ...Object.keys(y)])].filter((name) => canonical(x[name]) !== canonical(y[name]));
  return names.map((name) => `\n    ${name}: ${told(x[name])} / ${told(y[name])}`).join("");
}

async function listed(device, table) {
  return new Map((await device.list(table)).map((record) => [record.id, canonical(record)]));
}

/** Runs schedules side by side: each phase of all of them, then one pass of the server, and so on until all is quiet. */
export async function together(world, schedules) {
  const all = (act) => Promise.all(schedules.map((schedule) => act(schedule).catch((error) => schedule.fail(error.stack))));
  await all((schedule) => schedule.begin());
  for (let phase = 0; phase < PHASES; phase += 1) {
    await all((schedule) => schedule.phase());
    await world.tick();
    for (const schedule of schedules) schedule.say("the server made a pass");
  }
  let restless = [];
  let waits = true;
  for (let round = 0, pauses = 0; round < ROUNDS; round += 1) {
    restless = [];
    await all(async (schedule) => void ((await schedule.settle()) && restless.push(schedule)));
    if (round > 0 && restless.length === 0 && !waits) break;
    // What one device brings back, the other knows a round later.
    if (round < 2) await all((schedule) => schedule.finishRuns());
    const { plansProduced, deferred, inFlight, decisions } = await world.tick();
    waits = plansProduced + deferred + inFlight + (decisions["skipped-concurrency"] ?? 0) > 0;
    // What waits for its next attempt takes its time, and is no restlessness of the devices.
    if (deferred + inFlight > 0 && (pauses += 1) < PAUSES) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      if (round > 0) round -= 1;
    }
  }
  for (const schedule of restless) schedule.fail(`not quiet after ${ROUNDS} rounds`);
  await all((schedule) => schedule.check());
  await all((schedule) => schedule.end());
}
