// One phone: its thread, kept up to date message by message, and its composer.

const NAMES = { sms: "SMS", whatsapp: "WhatsApp" };
const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)]/g;
const LOST = ["failed", "undelivered"];
// What the ticks of a message of one's own say: the gateway has taken it, or not yet.
const MINE = { sending: ["1", "Sending"], received: ["2", "Delivered"], failed: ["0", "Not delivered"] };

const element = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

export class Phone {
  constructor(channel, lines, send, retry) {
    this.channel = channel;
    this.lines = lines;
    this.send = send;
    this.retry = retry;
    this.nodes = new Map();
    this.delivered = new Set(); // ids of the clinic's messages that nobody has read
    this.atEnd = true;
    this.root = document.getElementById("phone").content.firstElementChild.cloneNode(true);
    this.root.dataset.channel = channel;
    this.thread = this.root.querySelector(".thread");
    this.empty = this.thread.querySelector(".empty");
    this.text = this.root.querySelector("textarea");
    this.file = this.root.querySelector("input[type=file]");
    this.problem = this.root.querySelector(".problem");
    this.button = this.root.querySelector("button[type=submit]");
    this.#label();
    this.#listen();
  }

  get name() {
    return NAMES[this.channel];
  }

  get unread() {
    return this.delivered.size > 0;
  }

  // Another person holds the phone: an empty thread, read out only once it is filled.
  reset() {
    this.nodes.clear();
    this.delivered.clear();
    this.day = null;
    this.thread.replaceChildren(this.empty);
    this.thread.setAttribute("aria-busy", "true");
    this.empty.hidden = false;
    this.problem.textContent = "";
    this.text.value = "";
    this.#grow();
  }

  ready() {
    this.thread.setAttribute("aria-busy", "false");
  }

  enable(enabled) {
    for (const control of [this.text, this.file, this.button]) control.disabled = !enabled;
  }

  // A message that is new here, or that changed. True when it is new and from the clinic.
  show(message) {
    const known = this.nodes.get(message.sid);
    this.delivered[message.status === "delivered" ? "add" : "delete"](message.sid);
    const { atEnd } = this;
    const node = this.#message(message);
    if (known) {
      const focused = known.contains(document.activeElement);
      known.replaceChildren(...node.childNodes);
      known.className = node.className;
      if (focused) this.text.focus();
    } else {
      this.empty.hidden = true;
      this.#startDay(message.at);
      if (this.thread.getAttribute("aria-busy") !== "true") node.classList.add("new");
      this.thread.append(node);
      this.nodes.set(message.sid, node);
    }
    if (atEnd || (!known && message.direction === "to_clinic")) this.thread.scrollTop = this.thread.scrollHeight;
    return !known && message.direction === "to_patient";
  }

  #label() {
    const [line] = this.lines;
    const contact = this.root.querySelector(".contact");
    this.root.setAttribute("aria-label", `${this.name} phone`);
    this.root.querySelector(".channel").textContent = this.name;
    this.root.querySelector(".write .hidden").textContent = `Your ${this.name} message`;
    this.text.placeholder = this.channel === "sms" ? "Text message" : "Message";
    this.thread.setAttribute("aria-label", `${this.name} messages`);
    contact.querySelector("h2").textContent = line ? line.name : "No clinic";
    contact.querySelector(".line").textContent = line ? line.clinic : `No clinic has a ${this.name} number`;
    this.root.querySelector(".avatar").textContent = line ? line.name.slice(0, 1) : "–";
    if (this.lines.length > 1) {
      this.choice = element("select", { "aria-label": "Clinic to write to" });
      this.choice.append(...this.lines.map((each) => element("option", { value: each.clinic }, `${each.name} ${each.clinic}`)));
      contact.querySelector(".line").replaceChildren(this.choice);
    }
  }

  #listen() {
    this.root.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#submit();
      }
    });
    // The newest message stays in sight when a keyboard opens or the window changes.
    this.thread.addEventListener("scroll", () => this.#noteEnd());
    new ResizeObserver(() => {
      if (this.atEnd) this.thread.scrollTop = this.thread.scrollHeight;
    }).observe(this.thread);
    this.text.addEventListener("input", () => this.#grow());
    this.file.addEventListener("change", () => this.#attach());
  }

  #noteEnd() {
    this.atEnd = this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight < 80;
  }

  #grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight + 2, 144)}px`;
  }

  #submit() {
    const text = this.text.value;
    if (!text.trim()) return;
    this.text.value = "";
    this.#grow();
    this.#try({ text: text.toWellFormed?.() ?? text }, () => {
      this.text.value = this.text.value || text;
      this.#grow();
    });
  }

  #attach() {
    const [file] = this.file.files;
    if (!file) return;
    this.file.value = "";
    const reader = new FileReader();
    reader.onload = () => {
      const data = String(reader.result).split(",", 2)[1] ?? "";
      this.#try({ media: [{ content_type: file.type || "application/octet-stream", data }] }, () => {});
    };
    reader.readAsDataURL(file);
  }

  async #try(content, restore) {
    this.problem.textContent = "";
    try {
      const clinic = this.choice?.value;
      await this.send({ channel: this.channel, ...content, ...(clinic && { clinic }) });
    } catch (error) {
      this.problem.textContent = `It was not sent: ${error.message}`;
      restore();
    }
  }

  #startDay(at) {
    const day = new Date(at).toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
    if (day === this.day) return;
    this.day = day;
    this.thread.append(element("p", { class: "day" }, day));
  }

  #message(message) {
    const mine = message.direction === "to_clinic";
    const lost = LOST.includes(message.status);
    const node = element("div", { class: `message ${mine ? "mine" : "theirs"}${lost ? " lost" : ""}` });
    node.append(element("span", { class: "hidden" }, mine ? "You: " : "The clinic: "));
    for (const media of message.media) node.append(this.#media(media));
    if (message.text) node.append(this.#text(message.text));
    const meta = element("div", { class: "meta" });
    if (this.channel === "sms" && message.segments > 1) meta.append(element("span", {}, `${message.segments} SMS parts`));
    const time = new Date(message.at).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
    meta.append(element("time", { datetime: message.at }, time));
    if (mine) meta.append(this.#ticks(message));
    else if (lost) meta.append(element("span", {}, message.error ?? "It never arrived"));
    node.append(meta);
    if (mine && lost) node.append(this.#again(message));
    return node;
  }

  #media(media) {
    if (media.content_type.startsWith("image/")) return element("img", { src: media.url, alt: "Picture" });
    return element("a", { href: media.url, target: "_blank", rel: "noopener" }, `File (${media.content_type})`);
  }

  // Texts are only ever text; addresses in them become links, as phones do it.
  #text(text) {
    const node = element("div", { class: "text" });
    let end = 0;
    for (const match of text.matchAll(LINK)) {
      node.append(text.slice(end, match.index));
      node.append(element("a", { href: match[0], target: "_blank", rel: "noopener noreferrer" }, match[0]));
      end = match.index + match[0].length;
    }
    node.append(text.slice(end));
    return node;
  }

  #ticks(message) {
    const [count, label] = MINE[message.status] ?? MINE.sending;
    const paths = { 0: "M7 2v6M7 11v.5", 1: "M3 7l3 3 6-8", 2: "M2 7l3 3 6-8M10 10l6-8" };
    const node = element("span", { class: "ticks", title: label }, element("span", { class: "hidden" }, label));
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 18 12");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", paths[count]);
    svg.append(path);
    node.append(svg);
    return node;
  }

  #again(message) {
    const button = element("button", { type: "button", class: "again" }, "Try again");
    button.addEventListener("click", () => this.retry(message));
    return element("div", { class: "meta" }, element("span", {}, message.error ?? "Not delivered"), button);
  }
}
