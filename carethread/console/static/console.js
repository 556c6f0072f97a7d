// Makes the staff pages live. Everything works without it: links, forms, and a page that reloads itself.
"use strict";

const REFRESH = 20000; // ms between looks, for the countdowns, while nothing is announced
const GRACE = 4000; // ms without a connection before the page says so

const byId = (id) => document.getElementById(id);

// ---- What the nurse has typed, opened and focused survives every refresh -------------------------------------

function keep(region) {
  const kept = { values: [], open: [], focus: null };
  for (const field of region.querySelectorAll("textarea[id], input[id]:not([type=hidden])")) {
    const typed = field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
    if (typed) kept.values.push([field.id, field.type === "checkbox" ? field.checked : field.value]);
  }
  for (const part of region.querySelectorAll("details[id][open]")) kept.open.push(part.id);
  const active = document.activeElement;
  if (active && active.id && region.contains(active)) {
    kept.focus = { id: active.id, start: active.selectionStart, end: active.selectionEnd };
  }
  return kept;
}

function restore(kept) {
  for (const [id, value] of kept.values) {
    const field = byId(id);
    if (!field) continue;
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
  }
  for (const id of kept.open) {
    const part = byId(id);
    if (part) part.open = true;
  }
  const field = kept.focus && byId(kept.focus.id);
  if (field && document.activeElement !== field) {
    field.focus({ preventScroll: true });
    if (field.setSelectionRange && kept.focus.start !== null && kept.focus.start !== undefined) {
      field.setSelectionRange(kept.focus.start, kept.focus.end);
    }
  }
}

// Children with ids are matched one by one, so that only what changed is touched (and read out).
function morph(region, fresh) {
  const keyed = [...fresh.children].length > 0 && [...fresh.children].every((child) => child.id);
  const both = keyed && [...region.children].every((child) => child.id);
  if (!both) {
    if (region.innerHTML !== fresh.innerHTML) region.innerHTML = fresh.innerHTML;
    return;
  }
  const wanted = new Set([...fresh.children].map((child) => child.id));
  for (const child of [...region.children]) if (!wanted.has(child.id)) child.remove();
  let place = region.firstElementChild;
  for (const child of [...fresh.children]) {
    const here = [...region.children].find((other) => other.id === child.id);
    if (!here) {
      region.insertBefore(document.importNode(child, true), place);
      continue;
    }
    if (here !== place) region.insertBefore(here, place);
    if (!here.isEqualNode(child)) here.replaceWith(document.importNode(child, true));
    place = byId(child.id).nextElementSibling;
  }
}

function swap(region, fresh) {
  const kept = keep(region);
  const list = region.querySelector(":scope > ol");
  const freshList = fresh.querySelector(":scope > ol");
  if (region.tagName !== fresh.tagName) region.replaceWith(document.importNode(fresh, true));
  else if (list && freshList && region.children.length === 1) morph(list, freshList);
  else morph(region, fresh);
  restore(kept);
}

// ---- Refresh ---------------------------------------------------------------------------------------------

let busy = false;
let again = false;

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Background": "1" }, redirect: "manual" });
    if (answer.status === 401 || answer.type === "opaqueredirect") return ended();
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    renew(page);
    const log = byId("log");
    const atEnd = log && log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    const before = log && log.querySelectorAll(".said").length;
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(region.id);
      if (fresh) swap(region, fresh);
    }
    document.title = page.title;
    if (log && log.querySelectorAll(".said").length > before) atEnd ? toEnd() : (byId("newer").hidden = false);
    document.body.dataset.refreshed = String(Number(document.body.dataset.refreshed || 0) + 1);
  } catch {
    // The stream's own error handling tells the nurse.
  } finally {
    busy = false;
    if (again) {
      again = false;
      refresh();
    }
  }
}

let stream = null;
let over = false;

function ended() {
  over = true;
  if (stream) stream.close();
  byId("ended").hidden = false;
}

// A new login has new form tokens; a page that was open before it goes on with them.
function renew(page) {
  const token = page.querySelector("input[name=csrf]");
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = token.value;
  if (!over) return;
  over = false;
  byId("ended").hidden = true;
  listen(document.body.dataset.events);
}

function listen(address) {
  let lost = null;
  stream = new EventSource(address);
  stream.addEventListener("open", () => {
    clearTimeout(lost);
    lost = null;
    byId("offline").hidden = true;
  });
  stream.addEventListener("change", refresh);
  stream.addEventListener("ended", ended);
  stream.addEventListener("error", () => {
    if (over) return;
    if (!lost) lost = setTimeout(() => (byId("offline").hidden = false), GRACE);
    // Refused for good (logged out, or a proxy's answer): look at the page itself, and try again later.
    if (stream.readyState === EventSource.CLOSED) {
      refresh();
      setTimeout(() => over || listen(address), REFRESH / 4);
    }
  });
}

// ---- The thread --------------------------------------------------------------------------------------------

function toEnd() {
  const log = byId("log");
  log.scrollTop = log.scrollHeight;
  byId("newer").hidden = true;
}

function thread() {
  const log = byId("log");
  if (!log) return;
  toEnd();
  byId("newer").addEventListener("click", toEnd);
  log.addEventListener("scroll", () => {
    if (log.scrollHeight - log.scrollTop - log.clientHeight < 60) byId("newer").hidden = true;
  });
}

function reply() {
  const text = byId("text");
  if (!text) return;
  const limit = Number(text.dataset.limit);
  const left = byId("left");
  const count = () => {
    const rest = limit - [...text.value].length;
    left.textContent = rest < 200 ? String(rest) : "";
    left.classList.toggle("over", rest < 0);
  };
  text.addEventListener("input", count);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      text.form.requestSubmit(byId("send"));
    }
  });
  count();
}

// Drafts of this tab: kept when the nurse looks at another thread and comes back, gone when they were sent, and
// never shown to whoever logs in next.
function drafts() {
  const staff = document.body.dataset.staff;
  if (!staff) return;
  if (sessionStorage.getItem("staff") !== staff) sessionStorage.clear();
  sessionStorage.setItem("staff", staff);
  const done = new URLSearchParams(location.search).get("done");
  const here = `draft ${location.pathname} `;
  if (done === "said") sessionStorage.removeItem(`${here}text`);
  if (done === "resolved") {
    const notes = Object.keys(sessionStorage).filter((name) => name.startsWith(`${here}resolution-`));
    for (const name of notes) if (!byId(name.slice(here.length))) sessionStorage.removeItem(name);
  }
  for (const field of document.querySelectorAll("[data-draft]")) {
    const saved = sessionStorage.getItem(here + field.id);
    if (saved && !field.value) {
      field.value = saved;
      const folded = field.closest("details");
      if (folded) folded.open = true;
    }
  }
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-draft]")) return;
    if (event.target.value) sessionStorage.setItem(here + event.target.id, event.target.value);
    else sessionStorage.removeItem(here + event.target.id);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-leave]")) sessionStorage.clear();
  });
}

// One click is one deed, however often it is clicked.
function once() {
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) {
      event.preventDefault();
      return;
    }
    event.target.dataset.sent = "yes";
    for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
    }
    refresh();
  });
}

once();
drafts();
thread();
reply();

// What a deed had to say is said once, not again on every reload.
if (new URLSearchParams(location.search).has("done")) {
  const address = new URL(location.href);
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}

if (document.body.dataset.events) {
  listen(document.body.dataset.events);
  setInterval(() => document.hidden || over || refresh(), REFRESH);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}
