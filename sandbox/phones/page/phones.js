// The page: who holds the phones, and one stream of events that keeps both threads up to date.

import { Phone } from "./thread.js";

const OTHER = "other";
const CHANNELS = ["sms", "whatsapp"];
const LANGUAGES = { en: "English", es: "Spanish" };
const E164 = /^\+[1-9]\d{6,14}$/;

const $ = (id) => document.getElementById(id);
const phones = new Map();
const unread = new Map(CHANNELS.map((channel) => [channel, 0]));
let directory = { lines: [], people: [] };
let holder = null; // the phone number
let stream = null;
let shown = "sms";

const post = async (path, body) => {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error("the simulator is not running.");
  }
  const result = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(result.error ?? `the simulator answered ${answer.status}.`);
  return result;
};

const path = (rest) => `/api/phones/${encodeURIComponent(holder)}/${rest}`;

function listPeople() {
  const names = directory.people.map((person) => person.name);
  const options = directory.people.map((person) => {
    const language = LANGUAGES[person.language] ?? person.language;
    const namesake = names.filter((name) => name === person.name).length > 1;
    const born = namesake ? `, born ${person.people[0].born}` : "";
    return new Option(`${person.name} (${language}${born})`, person.phone);
  });
  options.push(new Option("Another number…", OTHER));
  $("person").replaceChildren(...options);
}

function describe() {
  const known = directory.people.find((person) => person.phone === holder);
  const box = $("who");
  box.hidden = !known;
  if (!known) return;
  const list = document.createElement("ul");
  const shared = known.people.length > 1;
  for (const person of known.people) {
    const item = document.createElement("li");
    const name = document.createElement("strong");
    name.textContent = person.name;
    const notes = document.createElement("span");
    notes.className = "notes";
    notes.textContent = person.notes;
    item.append(name, ` · born ${person.born} · ${shared ? "" : `${holder} · `}`, notes);
    list.append(item);
  }
  box.replaceChildren(list);
  if (shared) {
    const line = document.createElement("p");
    line.textContent = `${known.people.length} people share ${holder}:`;
    box.prepend(line);
  }
}

function hold(number) {
  holder = number;
  history.replaceState(null, "", `?phone=${encodeURIComponent(number)}`);
  describe();
  for (const phone of phones.values()) {
    phone.reset();
    phone.enable(phone.lines.length > 0);
  }
  for (const channel of CHANNELS) unread.set(channel, 0);
  drawSwitch();
  listen();
}

// Nobody holds the phones until a number is given.
function putDown() {
  stream?.close();
  holder = null;
  describe();
  for (const phone of phones.values()) {
    phone.reset();
    phone.enable(false);
  }
  $("number").focus();
}

function listen() {
  stream?.close();
  let current = false;
  stream = new EventSource(path("events"));
  stream.onmessage = (event) => {
    const message = JSON.parse(event.data);
    const isNew = phones.get(message.channel)?.show(message);
    if (isNew && current) arrived(message.channel);
  };
  stream.addEventListener("current", () => {
    $("offline").textContent = "";
    if (!current) for (const phone of phones.values()) phone.ready();
    current = true;
    markRead();
  });
  stream.onerror = () => {
    $("offline").textContent = "The simulator does not answer. Messages appear here again as soon as it does.";
  };
}

const visible = (channel) => phones.get(channel).root.offsetParent !== null && document.visibilityState === "visible";

function arrived(channel) {
  if (visible(channel)) return;
  unread.set(channel, unread.get(channel) + 1);
  drawSwitch();
}

// A person who has the thread open has read it: WhatsApp says so to the clinic.
function markRead() {
  if (holder && visible("whatsapp") && phones.get("whatsapp").unread) post(path("read"), { channel: "whatsapp" }).catch(() => {});
}

function drawSwitch() {
  $("phones").dataset.shown = shown;
  for (const button of $("switch").children) {
    const channel = button.dataset.channel;
    const count = unread.get(channel);
    button.setAttribute("aria-pressed", String(channel === shown));
    button.textContent = phones.get(channel).name + (count ? ` (${count} new)` : "");
  }
}

function showPhone(channel) {
  shown = channel;
  unread.set(channel, 0);
  drawSwitch();
  const { thread } = phones.get(channel);
  thread.scrollTop = thread.scrollHeight;
  markRead();
}

function useNumber() {
  const number = $("number").value.replace(/[\s().-]/g, "");
  const right = E164.test(number);
  $("number").setAttribute("aria-invalid", String(!right));
  $("number-problem").textContent = right ? "" : "Start with + and the country code, like +13125550199.";
  if (right) hold(number);
}

async function start() {
  directory = await (await fetch("/api/directory")).json();
  listPeople();
  for (const channel of CHANNELS) {
    const lines = directory.lines.filter((line) => line.channel === channel);
    const phone = new Phone(
      channel,
      lines,
      (content) => post(path("messages"), content),
      (message) => post(`/api/messages/${message.sid}/retry`, {}).catch(() => {}),
    );
    phone.enable(false);
    phones.set(channel, phone);
    $("phones").append(phone.root);
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.channel = channel;
    button.addEventListener("click", () => showPhone(channel));
    $("switch").append(button);
  }
  $("person").addEventListener("change", () => {
    const other = $("person").value === OTHER;
    $("other").hidden = !other;
    if (other) putDown();
    else hold($("person").value);
  });
  $("holder").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!$("other").hidden) useNumber();
  });
  document.addEventListener("visibilitychange", markRead);
  begin(new URLSearchParams(location.search).get("phone"));
}

// The number in the address, so that a reload or a bookmark opens the same phone; else the first person's.
function begin(asked) {
  const known = directory.people.some((person) => person.phone === asked);
  if (asked && !known && E164.test(asked)) {
    $("person").value = OTHER;
    $("other").hidden = false;
    $("number").value = asked;
    hold(asked);
    return;
  }
  const first = known ? asked : directory.people[0]?.phone;
  $("person").value = first ?? OTHER;
  $("other").hidden = Boolean(first);
  if (first) hold(first);
  else drawSwitch();
}

start().catch(() => {
  $("offline").textContent = "The page could not load its data. Is the simulator running? Reload to try again.";
});
