// A local-first web client: records in IndexedDB (Dexie), each with the time of every field, a queue of changes to push and
// a cursor per table. It sends and merges as the existing web client does (docs/design.md, sections 3, 9 and 13).
import "fake-indexeddb/auto";
import Dexie from "dexie";
import { EventSource } from "eventsource";
import WebSocket from "ws";
import { ENDED, canonical, diff, merge } from "./merge.js";

const EPOCH = "1970-01-01T00:00:00.000Z";
/** Changes that one push carries. */
const BATCH = 200;
/** How far a device whose clock is behind goes past a stamp that it has to beat. */
const CATCH_UP_MS = 60_000;

/** The tables of the app of missions. Lists go by `createdAt`, so a record without it is not seen. */
export const AI = { aiMissions: "id, createdAt, state", agents: "id, createdAt, name", agentKontextDocs: "id, createdAt" };

export class Client {
  /** `tables` are those of the app with their indexes; `slot` (0 to 99) are the last digits of all stamps of this device. */
  constructor({ base, token, id, app, tables, slot = 0, clock = Date.now }) {
    Object.assign(this, { base, token, id, app, slot, clock, latest: 0 });
    this.tables = Object.keys(tables);
    this.db = new Dexie(`${id}-${Math.random()}`);
    this.db.version(1).stores({ ...tables, pending: "++n", cursors: "table", marks: "iterationId", ended: "[table+id]" });
    /** What this device carried out, in order: `{ mission, iteration, step }`. */
    this.carriedOut = [];
    /** Ids of all iterations of servers that were ever received, by mission. */
    this.received = new Map();
  }

  // Writing.

  /** A whole new record, without stamps. */
  async insert(table, data) {
    const at = this.stamp([]);
    await this.write(table, data.id, { op: "insert", data: { ...data, createdAt: at, updatedAt: at } });
  }

  /** What `change` does to a copy of the record, as a difference; one time for all of its fields. */
  async edit(table, id, change) {
    const { __fieldMeta: stamps, ...record } = await this.db[table].get(id);
    const after = structuredClone(record);
    change(after);
    const values = Object.entries(diff(record, after));
    if (values.length === 0) return;
    const at = this.stamp(values.map(([name]) => stamps[name]));
    await this.write(table, id, { op: "update", fields: Object.fromEntries(values.map(([name, value]) => [name, { value, at }])) });
  }

  /** The record stays, as a tombstone. */
  async remove(table, id) {
    const { __fieldMeta: stamps } = await this.db[table].get(id);
    const at = this.stamp([stamps.deletedAt]);
    await this.write(table, id, { op: "delete", deletedAt: at, fields: { deletedAt: { value: at, at } } });
  }

  async undoRemoval(table, id) {
    await this.edit(table, id, (record) => (record.deletedAt = null));
  }

  async write(table, id, change) {
    const row = { table, id, ...change };
    await this.db.transaction("rw", [this.db[table], this.db.ended, this.db.pending], async () => {
      await this.#merge([row]);
      await this.db.pending.add({ change: row });
    });
  }

  /** A time later than all that this device wrote, and than those that it has to beat. No two devices have the same. */
  stamp(beaten) {
    const newest = Math.max(...beaten.filter(Boolean).map((at) => Date.parse(at)), 0);
    const now = Math.max(this.clock(), this.latest + 1);
    const at = now > newest ? now : newest + CATCH_UP_MS;
    this.latest = Math.ceil(at / 100) * 100 + this.slot;
    return new Date(this.latest).toISOString();
  }

  // Merging.

  async #merge(changes) {
    const at = new Date(this.clock()).toISOString();
    for (const table of new Set(changes.map(({ table }) => table))) {
      const rows = changes.filter((change) => change.table === table);
      const ids = [...new Set(rows.map(({ id }) => id))];
      const ended = await this.db.ended.bulkGet(ids.map((id) => [table, id]));
      const states = new Map((await this.db[table].bulkGet(ids)).map((kept, n) => [ids[n], ended[n] ? ENDED : kept && stateOf(kept)]));
      for (const row of rows) states.set(row.id, merge(states.get(row.id), { ...changeOf(row), at }));
      const gone = ids.filter((id) => states.get(id) === ENDED);
      await this.db[table].bulkDelete(gone);
      await this.db.ended.bulkPut(gone.map((id) => ({ table, id })));
      const there = ids.map((id) => states.get(id)).filter((state) => state && state !== ENDED);
      await this.db[table].bulkPut(there.map(({ record, stamps }) => ({ ...record, __fieldMeta: stamps })));
    }
  }

  /** Takes in rows of the server, and moves the cursors of `tables`, which never go back. */
  async receive({ serverChanges, syncedUntil }, tables, pushed = []) {
    const ours = serverChanges.filter(({ table }) => this.tables.includes(table));
    const cursors = await this.cursors();
    const behind = tables.filter((table) => cursors[table] < syncedUntil).map((table) => ({ table, value: syncedUntil }));
    if (ours.length + behind.length + pushed.length === 0) return 0;
    await this.db.transaction("rw", this.db.tables, async () => {
      await this.db.pending.bulkDelete(pushed);
      await this.#merge(ours);
      await this.db.cursors.bulkPut(behind);
    });
    for (const { table, id, fields, data } of ours) {
      if (table === "aiMissions") this.#remember(id, fields?.iterations?.value ?? data?.iterations ?? []);
    }
    for (const id of new Set(ours.filter(({ table }) => table === "aiMissions").map(({ id }) => id))) await this.carryOut(id);
    return ours.length;
  }

  #remember(mission, iterations) {
    const known = this.received.get(mission) ?? new Set();
    for (const { id, source } of iterations) if (source === "server") known.add(id);
    this.received.set(mission, known);
  }

  // Syncing.

  /** Where each table continues. */
  async cursors() {
    const cursors = Object.fromEntries(this.tables.map((table) => [table, EPOCH]));
    for (const { table, value } of await this.db.cursors.toArray()) cursors[table] = value;
    return cursors;
  }

  /** Pushes what is pending and takes in what others changed. Answers how many rows went and came. */
  async sync() {
    let moved = 0;
    for (let more = true; more; ) {
      const { answer, pushed } = await this.push();
      moved += pushed.length + (await this.receive(answer, this.tables, pushed));
      more = answer.hasMore === true || (await this.db.pending.count()) > 0;
    }
    return moved;
  }

  /** One request. Who does not hand its answer to `receive` pushes the same again. */
  async push() {
    const pending = await this.db.pending.limit(BATCH).toArray();
    const [since] = Object.values(await this.cursors()).sort();
    const body = { clientId: this.id, appId: this.app, since, changes: pending.map(({ change }) => change) };
    const answer = await this.#ask(`/sync/${this.app}`, { method: "POST", body: JSON.stringify(body) });
    return { answer, pushed: pending.map(({ n }) => n) };
  }

  /** One page of one table. */
  async pull(table) {
    const { [table]: since } = await this.cursors();
    return this.#ask(`/sync/${this.app}/pull?${new URLSearchParams({ collection: table, since })}`, {});
  }

  #headers() {
    return { authorization: `Bearer ${this.token}`, "x-client-id": this.id, "content-type": "application/json", "accept-encoding": "identity" };
  }

  async #ask(path, init) {
    const response = await fetch(this.base + path, { ...init, headers: this.#headers() });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Does something after all that was heard before. A socket that is closing may still bring a message. */
  #next(work) {
    if (!this.closed) this.syncing = (this.syncing ?? Promise.resolve()).then(work);
  }

  /** Syncs whenever the server says that there is something. */
  listen() {
    return new Promise((resolve, reject) => {
      this.socket = new WebSocket(`${this.base.replace("http", "ws")}/ws/${this.app}`);
      this.socket.on("open", () => this.socket.send(JSON.stringify({ type: "auth", token: this.token, clientId: this.id })));
      this.socket.on("error", reject);
      this.socket.on("message", (text) => {
        const message = JSON.parse(text);
        if (message.type === "auth-ok") resolve();
        if (message.type === "sync-available") this.#next(() => this.sync());
      });
    });
  }

  /** Follows by server-sent events only. */
  follow() {
    const withToken = (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...this.#headers() } });
    this.events = new EventSource(`${this.base}/sync/${this.app}/stream?collections=${this.tables.join()}`, { fetch: withToken });
    this.events.addEventListener("changes", (event) => {
      const { table, changes, syncedUntil } = JSON.parse(event.data);
      this.#next(() => this.receive({ serverChanges: changes, syncedUntil }, [table]));
    });
    return new Promise((resolve) => this.events.addEventListener("open", resolve));
  }

  // Missions.

  /** What a page lists: by the index, without tombstones. */
  async list(table) {
    const records = await this.db[table].orderBy("createdAt").toArray();
    return records.filter(({ deletedAt }) => !deletedAt);
  }

  /** The tools of an agent as its page reads them, which takes for granted that the policy has them. */
  async toolsOf(id) {
    const { policy } = await this.db.agents.get(id);
    return Object.entries(policy.tools).sort();
  }

  /**
   * Carries out every step of a server's iteration that says `planned`, once per iteration on this device, and rewrites the
   * whole array. All other states of a step are left alone.
   */
  async carryOut(mission) {
    const record = await this.db.aiMissions.get(mission);
    if (!record || record.deletedAt) return;
    const { iterations } = record;
    if (!Array.isArray(iterations)) return;
    const done = [];
    for (const { id, source, plan } of iterations) {
      const steps = plan?.filter(({ status }) => status === "planned") ?? [];
      if (source !== "server" || steps.length === 0 || (await this.db.marks.get(id))) continue;
      await this.db.marks.add({ iterationId: id });
      for (const { id: step, intent } of steps) if (intent.kind === "toolCall") this.carriedOut.push({ mission, iteration: id, step });
      done.push(id);
    }
    if (done.length === 0) return;
    await this.edit("aiMissions", mission, (copy) => {
      for (const iteration of copy.iterations.filter(({ id }) => done.includes(id))) {
        for (const step of iteration.plan.filter(({ status }) => status === "planned")) step.status = step.intent.kind === "note" ? "skipped" : "approved";
        iteration.overallStatus = "approved";
      }
    });
  }

  /** A client with a review of its own: what is approved is carried out on this device at once, and what was decided is said. */
  async review(mission, iteration, decide) {
    const isNew = !(await this.db.marks.get(iteration));
    await this.db.marks.put({ iterationId: iteration });
    await this.edit("aiMissions", mission, ({ iterations }) => {
      const reviewed = iterations.find(({ id }) => id === iteration);
      for (const step of reviewed.plan.filter(({ status }) => status === "staged")) {
        step.status = decide(step.id) ? "approved" : "rejected";
        if (isNew && step.status === "approved") this.carriedOut.push({ mission, iteration, step: step.id });
      }
      reviewed.overallStatus = reviewed.plan.some(({ status }) => status === "approved") ? "approved" : "rejected";
    });
  }

  /** All records and their stamps, tombstones too, as texts to compare. */
  async dump() {
    const all = {};
    for (const table of this.tables) for (const record of await this.db[table].toArray()) all[`${table}/${record.id}`] = canonical(record);
    return all;
  }

  async close() {
    this.closed = true;
    this.socket?.close();
    this.events?.close();
    await this.syncing;
    await this.db.delete();
  }
}

const stateOf = ({ __fieldMeta, ...record }) => ({ record, stamps: __fieldMeta });

/** A row of the wire as the rules of merging take it. */
function changeOf({ id, op, data, fields = {}, deletedAt }) {
  const each = (of) => Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, of(field)]));
  const stamps = each(({ at, updatedAt }) => at ?? updatedAt);
  if (op === "insert") return { op, id, data, stamps };
  return { op, id, data: op === "update" ? each(({ value }) => value) : deletedAt && { deletedAt }, stamps };
}
