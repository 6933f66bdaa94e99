// How a device merges what it receives (docs/design.md, section 3): field by field, the later write wins.
//
// A state is `{ record, stamps }`, or nothing for a record that was never seen, or `ENDED`. A change is
// `{ op, id, data, stamps, at }`: `stamps` has the time of each field that has one of its own, `at` the time of the change.

export const ENDED = Symbol("ended");

export function merge(state, { op, id, data, stamps = {}, at }) {
  if (state === ENDED) return ENDED;
  if (op === "delete") {
    const { deletedAt } = data ?? {};
    if (!deletedAt) return ENDED;
    // For a record that was never seen there is nothing to delete.
    return state && write(state, { deletedAt }, () => deletedAt, false);
  }
  if (!data) return state;
  if (op === "update") return write(state ?? { record: { id }, stamps: {} }, data, (name) => time(stamps[name]) || at, true);
  const made = data.updatedAt || data.createdAt;
  if (state) return write(state, data, (name) => time(stamps[name]) || made || at, false);
  const created = { record: { id, ...data }, stamps: {} };
  for (const name of Object.keys(data)) {
    const stamp = time(stamps[name]) || made;
    if (name !== "id" && stamp) created.stamps[name] = stamp;
  }
  return created;
}

/** A stamp may be an object whose `at` counts, and an empty one is none. */
const time = (stamp) => (typeof stamp === "object" ? stamp?.at : stamp);

function write(state, data, stampOf, paths) {
  const next = { record: { ...state.record }, stamps: { ...state.stamps } };
  for (const [name, value] of Object.entries(data)) {
    const stamp = stampOf(name);
    if (name === "id" || (next.stamps[name] && compare(stamp, next.stamps[name]) < 0)) continue;
    next.stamps[name] = stamp;
    const path = paths ? name.split(".") : [name];
    put(next.record, path, value === undefined ? null : value);
  }
  return next;
}

/** Writes along a path and copies what it changes. Through a parent that is neither empty nor an object nothing is written. */
function put(record, [name, ...rest], value) {
  if (rest.length === 0) {
    record[name] = value;
    return;
  }
  const parent = record[name] || {};
  if (!isObject(parent)) return;
  record[name] = { ...parent };
  put(record[name], rest, value);
}

export function compare(a, b) {
  const difference = Date.parse(a) - Date.parse(b);
  return Number.isNaN(difference) ? (a < b ? -1 : Number(a > b)) : difference;
}

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** What an edit sends: changed scalars and whole arrays, inside objects by dotted names. A field that is gone has no value. */
export function diff(before, after, prefix = "") {
  const changed = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (isObject(before[name]) && isObject(after[name])) Object.assign(changed, diff(before[name], after[name], `${prefix}${name}.`));
    else if (canonical(before[name]) !== canonical(after[name])) changed[prefix + name] = after[name];
  }
  return changed;
}

/** JSON in which the order of fields does not matter. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isObject(value)) return JSON.stringify(value ?? null);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}
