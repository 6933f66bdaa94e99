// Keeps the page up to date, spells times in the reader's zone, and shows the next times of a schedule while it is edited.
"use strict";

const main = () => document.getElementById("content");
const dirty = new WeakSet();

function spellTimes(within) {
  const spell = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.textContent = spell.format(at);
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
document.addEventListener("submit", (event) => dirty.delete(event.target));

function edited() {
  // A form that was not taken stands on a page of its own, and is still being written.
  return !!main().querySelector("form [role=alert]") || [...main().querySelectorAll("form")].some((form) => dirty.has(form));
}

function say(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
}

// Asks for this page anew and puts its content in place, unless that would lose what somebody is writing.
async function refresh() {
  if (edited()) return say("This changed elsewhere. What you are writing is kept; reload the page to see the change.");
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign("/login");
  if (!answer.ok || edited()) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("content");
  if (!fresh) return;
  const old = main();
  const before = [...old.querySelectorAll("details")].map((details) => details.open);
  const sections = old.querySelectorAll("details").length === fresh.querySelectorAll("details").length;
  if (sections) [...fresh.querySelectorAll("details")].forEach((details, n) => { details.open = before[n]; });
  const focused = document.activeElement && old.contains(document.activeElement) ? document.activeElement.id : "";
  prepare(fresh);
  old.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  say("");
}

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

prepare(document);
if (document.body.dataset.live) follow();
