// A local-first client as a browser app would write it: records and pending changes in IndexedDB (Dexie), merged field by
// field, pushed when there is something to push, pulled when the WebSocket says so.
import "fake-indexeddb/auto";
import Dexie from "dexie";
import { EventSource } from "eventsource";
import WebSocket from "ws";

export class Client {
  constructor(base, token, id, app) {
    Object.assign(this, { base, token, id, app });
    this.db = new Dexie(`${id}-${Math.random()}`);
    this.db.version(1).stores({ records: "[table+id]", pending: "++n", facts: "name" });
    this.clock = 0;
  }

  headers() {
    return { authorization: `Bearer ${this.token}`, "x-client-id": this.id };
  }

  /** Every write of this client is later than the one before. */
  now() {
    this.clock = Math.max(Date.now(), this.clock + 1);
    return new Date(this.clock).toISOString();
  }

  async insert(table, id, data) {
    await this.write({ table, id, op: "insert", data });
  }

  async update(table, id, values) {
    const at = this.now();
    await this.write({ table, id, op: "update", fields: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, at }])) });
  }

  async remove(table, id) {
    await this.write({ table, id, op: "delete", deletedAt: this.now() });
  }

  async write(change) {
    await this.db.transaction("rw", this.db.records, this.db.pending, async () => {
      await this.merge(change);
      await this.db.pending.add({ change });
    });
  }

  async merge({ table, id, op, data = {}, fields = {} }) {
    const known = await this.db.records.get([table, id]);
    const record = known ?? { table, id, values: {}, stamps: {}, dead: false };
    record.dead ||= op === "delete";
    const incoming = { ...data, ...Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value])) };
    for (const [name, value] of Object.entries(incoming)) {
      const at = fields[name]?.at ?? fields[name]?.updatedAt;
      const has = record.stamps[name];
      if (!has || (at && Date.parse(at) >= Date.parse(has))) {
        record.values[name] = value;
        if (at) record.stamps[name] = at;
      }
    }
    await this.db.records.put(record);
  }

  /** Pushes what is pending and takes in what others changed. */
  async sync() {
    for (let more = true; more; ) {
      const pending = await this.db.pending.toArray();
      const since = (await this.db.facts.get("since"))?.value ?? "1970-01-01T00:00:00.000Z";
      const response = await fetch(`${this.base}/sync/${this.app}`, {
        method: "POST",
        headers: { ...this.headers(), "content-type": "application/json" },
        body: JSON.stringify({ clientId: this.id, appId: this.app, since, changes: pending.map(({ change }) => change) }),
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      const answer = await response.json();
      await this.db.transaction("rw", this.db.tables, async () => {
        await this.db.pending.bulkDelete(pending.map(({ n }) => n));
        for (const change of answer.serverChanges) await this.merge(change);
        await this.db.facts.put({ name: "since", value: answer.syncedUntil });
      });
      more = answer.hasMore === true || (await this.db.pending.count()) > 0;
    }
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
        if (message.type === "sync-available") this.syncing = (this.syncing ?? Promise.resolve()).then(() => this.sync());
      });
    });
  }

  /** Follows by server-sent events only. */
  follow(collections) {
    const fetchWithToken = (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...this.headers() } });
    this.events = new EventSource(`${this.base}/sync/${this.app}/stream?collections=${collections.join(",")}`, { fetch: fetchWithToken });
    this.events.addEventListener("changes", (event) => {
      const { changes } = JSON.parse(event.data);
      this.syncing = (this.syncing ?? Promise.resolve()).then(async () => {
        for (const change of changes) await this.merge(change);
      });
    });
    return new Promise((resolve) => this.events.addEventListener("open", resolve));
  }

  async state() {
    const records = (await this.db.records.toArray()).filter(({ dead }) => !dead);
    return Object.fromEntries(records.map(({ table, id, values }) => [`${table}:${id}`, values]).sort());
  }

  close() {
    this.socket?.close();
    this.events?.close();
    this.db.close();
  }
}
