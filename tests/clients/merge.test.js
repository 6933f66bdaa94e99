// The rules by which the test client merges are those of the existing web client: every case that its own code made.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ENDED, diff, merge } from "./merge.js";

const cases = JSON.parse(readFileSync(new URL("../vectors/client-merge.json", import.meta.url)));

test("every case of the existing client", () => {
  assert.ok(cases.length >= 60);
  for (const { id, changes, expected } of cases) {
    const step = (state, { op, recordId, data, fieldMeta, createdAt }) => merge(state, { op, id: recordId, data, stamps: fieldMeta ?? {}, at: createdAt });
    const state = changes.reduce(step, undefined);
    const gone = !state || state === ENDED || state.record.deletedAt;
    assert.deepEqual(gone ? null : { record: state.record, fieldMeta: state.stamps }, expected, id);
  }
});

test("an edit is told by the paths that it changed, and arrays whole", () => {
  const before = { title: "a", cadence: { kind: "daily", atHour: 8 }, inputs: [1, 2], grant: { expiresAt: "x" } };
  const after = { title: "a", cadence: { kind: "interval", everyMinutes: 5 }, inputs: [1], grant: null };
  const changed = { "cadence.kind": "interval", "cadence.atHour": undefined, "cadence.everyMinutes": 5, inputs: [1], grant: null };
  assert.deepEqual(diff(before, after), changed);
});
