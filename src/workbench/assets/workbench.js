// Keeps the page up to date, spells times in the reader's zone, shows the next times of a schedule while it is edited, and
// sends the decisions of a review without leaving it.
"use strict";

const main = () => document.getElementById("content");
const dirty = new WeakSet();

// The reader's own spelling of the page's language, such as de-AT.
function locale() {
  const language = document.documentElement.lang;
  return navigator.languages.find((own) => own.split("-")[0] === language) ?? language;
}

function spellTimes(within) {
  const language = locale();
  const spell = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: document.body.dataset.zone });
  const day = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: "short", timeZone: document.body.dataset.zone });
  const zoned = new Intl.DateTimeFormat(language, { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short", timeZone: document.body.dataset.zone });
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      // A day is the same everywhere.
      const way = time.dateTime.length === 10 ? day : time.matches(".zoned") ? zoned : time.matches(".clock") ? clock : spell;
      time.textContent = way.format(at);
      time.title = time.dateTime;
    }
  }
}

function schedule(form) {
  const kind = form.elements.kind.value;
  for (const part of form.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(kind);
}

let asked = 0;
async function nextTimes(form) {
  schedule(form);
  const query = new URLSearchParams();
  for (const name of ["kind", "everyMinutes", "dayOfWeek", "atHour", "atMinute", "expression", "timeZone"]) {
    query.append(name, form.elements[name].value);
  }
  const mine = ++asked;
  const answer = await fetch(form.dataset.times + "?" + query);
  if (answer.ok && mine === asked) {
    const times = document.getElementById("times");
    times.innerHTML = await answer.text();
    spellTimes(times);
  }
}

function prepare(within) {
  spellTimes(within);
  // What is under way may end without a word in the log.
  if (within.querySelector("[data-poll]")) setTimeout(() => refresh().catch(() => {}), 1500);
  for (const form of within.querySelectorAll("form[data-times]")) {
    const zone = form.querySelector("[data-own-zone]");
    if (zone && !zone.value) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
    nextTimes(form).catch(() => {});
  }
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form) return;
  dirty.add(form);
  if (form.dataset.times) nextTimes(form).catch(() => {});
});
// A chosen file becomes the text of its form.
document.addEventListener("change", async (event) => {
  const { files, form, dataset } = event.target;
  if (!dataset.into || !files[0]) return;
  form.elements[dataset.into].value = await files[0].text();
});
// A value that is offered goes into its field.
document.addEventListener("click", ({ target }) => {
  const field = target.dataset?.fills && target.form?.elements[target.dataset.fills];
  if (!field || field.readOnly) return;
  field.value = target.value;
  field.focus();
});
document.addEventListener("submit", (event) => dirty.delete(event.target));

function edited() {
  // A form that was not taken stands on a page of its own, and is still being written.
  return !!main().querySelector("form [role=alert]") || [...main().querySelectorAll("form")].some((form) => dirty.has(form));
}

// A press that is not over yet belongs to what lies under it now, and so does a field that is being filled in.
let held = false;
let late = false;
const busy = () => held || (main().contains(document.activeElement) && document.activeElement.matches("input, textarea, select"));
function free() {
  held = false;
  if (!late || busy()) return;
  late = false;
  refresh().catch(() => {});
}
addEventListener("pointerdown", () => (held = true), true);
// After a touch, the click comes a little later.
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(free, 400), true);
for (const end of ["click", "dragend", "focusout", "blur"]) addEventListener(end, () => setTimeout(free), true);

function wait() {
  late = true;
  if (!held) say(document.getElementById("notice").dataset.changed);
}

function say(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
}

// What tells an element from the others of its page, so that it is found in the next state of the page.
function sign(element) {
  if (element.id) return `#${element.id}`;
  const form = element.form ?? element.closest("form");
  // Numbers in its text may change.
  const value = element.type === "hidden" || element.matches("button, a, input, summary") ? element.value || element.textContent.replace(/\d+/g, "").trim() : "";
  const place = element.closest("[id]:not(main)")?.id ?? "";
  return [element.tagName, element.name, element.getAttribute("href"), form?.getAttribute("action"), value, place].join(" ");
}

const reachable = "a[href], button, input, select, textarea, summary, [tabindex]";

// Puts a content in the place of the old one, with the focus, what is folded open, and what is being written.
function put(fresh) {
  const old = main();
  const open = new Map([...old.querySelectorAll("details")].map((details) => [sign(details.querySelector("summary")), details.open]));
  for (const details of fresh.querySelectorAll("details")) details.open = open.get(sign(details.querySelector("summary"))) ?? details.open;
  for (const form of old.querySelectorAll("form")) {
    if (!dirty.has(form)) continue;
    for (const { id, value, type, checked } of form.elements) {
      const field = id && fresh.querySelector(`#${CSS.escape(id)}`);
      if (!field) continue;
      if (type === "checkbox" || type === "radio") field.checked = checked;
      else field.value = value;
      field.closest("details")?.setAttribute("open", "");
      dirty.add(field.form);
    }
  }
  const focused = document.activeElement && document.activeElement !== old && old.contains(document.activeElement) ? document.activeElement : null;
  const wanted = focused && sign(focused);
  const { selectionStart, selectionEnd } = focused ?? {};
  prepare(fresh);
  old.replaceWith(fresh);
  if (!wanted) return;
  const again = [...fresh.querySelectorAll(reachable)].find((element) => sign(element) === wanted);
  again?.focus({ preventScroll: true });
  if (again && typeof selectionStart === "number") again.setSelectionRange?.(selectionStart, selectionEnd);
}

async function read(answer) {
  if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign("/login");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("content");
  if (!fresh) return undefined;
  const nav = [document, page].map((of) => of.querySelector("body > header nav"));
  // The count of what waits.
  if (nav[0] && nav[1] && nav[0].innerHTML !== nav[1].innerHTML && !nav[0].contains(document.activeElement)) nav[0].replaceWith(nav[1]);
  return { fresh, title: page.title };
}

// Asks for this page anew and puts its content in place, unless that would lose what somebody is writing.
async function refresh() {
  if (edited()) return say(document.getElementById("notice").dataset.changed);
  if (busy()) return wait();
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // What was waited for is there.
  if (answer.redirected && main().querySelector("[data-poll]")) return location.assign(answer.url);
  if (!answer.ok || edited()) return;
  // What a form was answered with is shown once, and stands under an address that shows another page.
  if (answer.redirected) return say(document.getElementById("notice").dataset.changed);
  const found = await read(answer);
  if (!found) return;
  if (busy() || edited()) return wait();
  put(found.fresh);
  say("");
}

// A decision is sent from where it stands, and the next thing to decide about takes its place.
const told = document.body.appendChild(Object.assign(document.createElement("p"), { className: "aside", role: "status" }));
// One after the other, in the order of the presses: each answer is the whole page. What is on its way already is not sent twice.
let sending = Promise.resolve();
const underWay = new Set();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("swap" in form.dataset)) return;
  event.preventDefault();
  const fields = new URLSearchParams([...new FormData(form)]);
  if (event.submitter?.name) fields.append(event.submitter.name, event.submitter.value);
  const decision = `${form.action} ${fields}`;
  if (underWay.has(decision)) return;
  underWay.add(decision);
  sending = sending.then(() => decide(form, fields)).finally(() => underWay.delete(decision));
});

async function decide(form, fields) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: fields, headers: { accept: "text/html" } });
    const found = await read(answer);
    if (!found) throw new Error("no page");
    dirty.delete(form);
    const place = form.closest(".plan")?.id;
    document.activeElement?.blur();
    put(found.fresh);
    if (answer.redirected) history.replaceState(null, "", answer.url);
    document.title = found.title;
    told.textContent = main().querySelector(".toast span")?.textContent ?? main().querySelector("h1").textContent;
    onwards(place);
  } catch {
    say(form.dataset.failed ?? "Not saved: the server can't be reached. Try again.");
  }
}

const steps = () => [...main().querySelectorAll(".step.open")];
const current = () => document.activeElement?.closest?.(".step.open");

// The focus goes to what is wrong, else to the next step to decide about, else to the top of what is there now.
function onwards(place) {
  const wrong = main().querySelector("form [role=alert]");
  const plan = place ? document.getElementById(place) : main();
  const next = wrong?.closest(".step") ?? (plan ?? main()).querySelector(".step.open");
  if (!next) main().focus({ preventScroll: true });
  if (!next || next === steps()[0]) scrollTo(0, 0);
  next?.focus({ preventScroll: next === steps()[0] });
}

function unfold(step, key) {
  const details = step.querySelector(`details[data-key="${key}"]`);
  if (!details) return;
  details.open = true;
  details.querySelector("input:not([type=hidden]), textarea, select")?.focus();
}

// An edit that is open is what is approved.
const approval = (step) => step?.querySelector('details[data-key="e"][open] button.primary') ?? step?.querySelector('button[data-key="a"]');

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  a: () => approval(current() ?? steps()[0])?.click(),
  r: () => unfold(current() ?? steps()[0], "r"),
  e: () => unfold(current() ?? steps()[0], "e"),
  u: () => main().querySelector('form[data-key="u"] button')?.click(),
  "?": () => {
    const help = main().querySelector('details[data-key="?"]');
    help.open = !help.open;
    if (help.open) help.querySelector("summary").focus();
  },
};

function move(by) {
  const all = steps();
  const at = all.indexOf(current());
  all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
}

document.addEventListener("keydown", (event) => {
  const { target, key, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || target.matches?.("input, textarea, select") || !main().querySelector('details[data-key="?"]')) return;
  if (!KEYS[key] || ((key === "r" || key === "e") && !steps().length)) return;
  event.preventDefault();
  KEYS[key]();
});
// What is unfolded is there to be written into.
document.addEventListener("toggle", (event) => {
  const { target } = event;
  if (target.matches?.(".folded[open]") && target.contains(document.activeElement)) target.querySelector("input:not([type=hidden]), textarea, select")?.focus();
}, true);

// What is shown once is there to be copied.
const choose = (element) => element?.matches?.("textarea[readonly]") && element.select();
document.addEventListener("focusin", ({ target }) => choose(target));
choose(document.activeElement);

function follow() {
  let waiting;
  let seen = Number(document.body.dataset.seen);
  const hear = (latest) => {
    if (latest <= seen) return;
    seen = latest;
    clearTimeout(waiting);
    waiting = setTimeout(() => refresh().catch(() => {}), 120);
  };
  if (window.SharedWorker) {
    // Its name keeps the lines of two users of one browser apart.
    const worker = new SharedWorker("/assets/live.js", { name: document.body.dataset.live });
    worker.port.onmessage = (event) => hear(event.data);
    return;
  }
  new EventSource("/live").addEventListener("changed", (event) => hear(Number(event.data)));
}

// Forms show times in this zone, where the user chose no other.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`zone=${zone}`)) document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
prepare(document);
// A plan that is looked at stays in its place, whatever else comes in.
const shown = location.pathname === "/review" && document.querySelector("[data-place]");
if (shown && !location.search.includes("plan=")) history.replaceState(null, "", shown.dataset.place + location.search.replace("?", "&"));
if (document.body.dataset.live) follow();
navigator.serviceWorker?.register("/assets/worker.js", { scope: "/" }).catch(() => {});
