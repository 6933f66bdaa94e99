// Thousands of seeded schedules against one server. MANA_SCHEDULES: how many (300); MANA_SEED: this one alone, with its trace.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Schedule, together } from "./schedule.js";
import { World } from "./world.js";

/** Schedules that run side by side, and those that share a server. */
const SIDE_BY_SIDE = 50;
const PER_SERVER = 500;
/** Failures that are told in full. */
const TOLD = Number(process.env.MANA_TOLD ?? 3);

const alone = process.env.MANA_SEED;
const first = Number(alone ?? process.env.MANA_FIRST_SEED ?? 0);
const count = alone === undefined ? Number(process.env.MANA_SCHEDULES ?? 300) : 1;

test(`${count} schedules of two devices from seed ${first} on`, { timeout: 3_600_000 }, async () => {
  const failed = [];
  for (let from = first; from < first + count; from += PER_SERVER) failed.push(...(await onOneServer(from, Math.min(from + PER_SERVER, first + count))));
  for (const { seed, trace } of failed.slice(0, TOLD)) console.error(`seed ${seed}\n${trace.join("\n")}\n`);
  const told = failed.map(({ seed, wrong }) => `seed ${seed}: ${wrong[0].split("\n")[0]}`).slice(0, 40);
  assert.equal(failed.length, 0, `${failed.length} of ${count} schedules failed (rerun one with MANA_SEED=…):\n${told.join("\n")}`);
});

async function onOneServer(from, to) {
  const schedules = new Map();
  const plan = (prompt) => {
    const [, seed, mission] = prompt.match(/mission-(\d+)-(\d+)/);
    return schedules.get(Number(seed)).plan(mission);
  };
  const world = await World.start({ plan, settings: { MAX_PARALLEL_PLANS: "32" } });
  try {
    for (let seed = from; seed < to; seed += 1) schedules.set(seed, new Schedule(world, seed));
    const all = [...schedules.values()];
    for (let n = 0; n < all.length; n += SIDE_BY_SIDE) await together(world, all.slice(n, n + SIDE_BY_SIDE));
    const records = new Map();
    for (const kind of ["missions", "agents"]) {
      for (const line of await world.lines(kind, "--json")) {
        if (!records.has(line.userId)) records.set(line.userId, {});
        (records.get(line.userId)[kind] ??= new Map()).set(line.id, line);
      }
    }
    for (const schedule of all) {
      if (schedule.expected) schedule.compare(records.get(schedule.user) ?? {});
      else schedule.fail("it did not come to its end");
    }
    if (alone !== undefined && all[0].wrong.length === 0) console.error(all[0].trace.join("\n"));
    return all.filter(({ wrong }) => wrong.length > 0);
  } finally {
    await world.end();
  }
}
