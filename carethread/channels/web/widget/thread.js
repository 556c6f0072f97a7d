// The conversation as the patient sees it: every message once, in order, with what became of it.

const LOW = '(max-height: 420px)'; // as in style.css
const NEAR = 120; // px from the end that count as reading the newest
const TOGETHER = 180000; // ms between messages of one speaker that need no heading of their own
const NAMES = { patient: 'from_you', assistant: 'from_assistant', staff: 'from_staff' };
const RANK = { sent: 0, delivered: 1, read: 2 };

/**
 * `words` has `t(key)`, `language` and `numbers` (to call). Calls `events.choose(text)`, `.retry(id)`, `.discard(id)`
 * and `.changed()`.
 */
class Thread {
  constructor(words, events) {
    this.words = words;
    this.events = events;
    this.messages = []; // {entry, node, pending, failed, order}, in the order of the page
    this.byId = new Map(); // by the clinic's id and by ours
    this.online = true;
    this.following = true; // whether new messages are scrolled to
    this.build();
  }

  build() {
    this.list = h('div', { class: 'said' });
    this.greeting = h('div', { class: 'bubble' });
    this.starters = h('div', { class: 'choices starters', role: 'group' });
    this.intro = h('div', { class: 'msg', hidden: true }, this.greeting, this.starters);
    this.typingText = h('span');
    this.typing = h(
      'div', { class: 'typing', hidden: true, 'aria-live': 'off' },
      h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), this.typingText,
    );
    this.log = h(
      'div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-relevant': 'additions', tabindex: '0', onscroll: () => this.scrolled() },
      this.intro, this.list, this.typing,
    );
    this.more = button({ class: 'more', hidden: true, onclick: () => this.toEnd() });
    this.low = window.matchMedia(LOW);
    // What stands above or below it has grown or gone: the newest stays in sight.
    if (window.ResizeObserver) new ResizeObserver(() => this.follow()).observe(this.log);
  }

  /** Show everything in the language of `words`. */
  speak() {
    const { t } = this.words;
    this.log.setAttribute('aria-label', t('log_label'));
    say(this.typingText, t('typing'));
    say(this.more, t('more_below'));
    this.greeting.replaceChildren(h('span', { class: 'quiet' }, `${t('from_assistant')}: `), t('greeting'));
    this.starters.setAttribute('aria-label', t('starters_label'));
    const starters = [1, 2, 3, 4].map((number) => t(`starter_${number}`));
    this.starters.replaceChildren(...starters.map((text) => button({ onclick: () => this.events.choose(text) }, text)));
    for (const message of this.messages) this.render(message);
    this.tidy();
  }

  /** Say hello where nothing has been said yet. */
  greet() {
    if (!this.messages.length) this.intro.hidden = false;
  }

  /** From now on, read new messages aloud. What was there before stays silent. */
  listen() {
    if (this.log.getAttribute('aria-live') === 'off') setTimeout(() => this.log.setAttribute('aria-live', 'polite'), 300);
  }

  setOnline(online) {
    this.online = online;
    if (!online) this.typing.hidden = true;
    this.tidy();
  }

  setTyping(typing) {
    this.typing.hidden = !typing;
    if (typing) this.follow();
  }

  // Messages in

  add(entries) {
    this.scrolled(); // where the patient is reading, before anything moves
    for (const entry of entries) {
      const known = this.byId.get(entry.id) || this.byId.get(entry.client_id);
      if (known) {
        known.pending = false;
        known.failed = undefined;
        known.entry = { ...entry, state: RANK[known.entry.state] > RANK[entry.state] ? known.entry.state : entry.state };
        this.byId.set(entry.id, known);
        this.place(known);
        this.render(known);
      } else this.insert({ entry });
    }
    this.tidy();
    if (!entries.length) return;
    if (this.following) this.toNewest();
    else if (entries.some(({ author }) => author !== 'patient')) this.more.hidden = false;
  }

  /** A message that the clinic does not have yet. */
  addPending({ id, text, at, order, failed }) {
    this.insert({ entry: { id, client_id: id, author: 'patient', text, at, state: 'new' }, pending: true, failed, order });
    this.tidy();
    this.toEnd();
  }

  update(id, { accepted, failed }) {
    const message = this.byId.get(id);
    if (!message) return;
    message.failed = failed;
    if (accepted && message.pending) message.entry.state = 'sent';
    this.render(message);
    this.tidy();
  }

  remove(id) {
    const message = this.byId.get(id);
    this.byId.delete(id);
    this.messages = this.messages.filter((one) => one !== message);
    message.node.remove();
    this.tidy();
  }

  /** Forget all but what was never sent: the clinic has given us another session. */
  forget() {
    const pending = this.messages.filter((message) => message.pending);
    this.messages = [];
    this.byId.clear();
    this.list.replaceChildren();
    for (const message of pending) this.insert(message);
    this.tidy();
  }

  /** What came from the clinic and is not yet in `state`: from now on it is. */
  advance(state) {
    const fresh = this.messages.map(({ entry }) => entry).filter((entry) => entry.author !== 'patient' && RANK[entry.state] < RANK[state]);
    for (const entry of fresh) entry.state = state;
    return fresh.map((entry) => entry.id);
  }

  get unread() {
    return this.messages.filter(({ entry }) => entry.author !== 'patient' && entry.state !== 'read').length;
  }

  insert(message) {
    message.node ??= this.node(message.entry);
    this.byId.set(message.entry.id, message);
    this.place(message);
    this.render(message);
  }

  /** Put a message where it belongs; what is not confirmed yet stays at the end. */
  place(message) {
    const at = this.messages.indexOf(message);
    if (at >= 0) this.messages.splice(at, 1);
    let index = this.messages.length;
    while (index > 0 && before(message, this.messages[index - 1])) index -= 1;
    this.messages.splice(index, 0, message);
    const next = this.messages[index + 1]?.node || null;
    if (message.node.parentNode !== this.list || message.node.nextSibling !== next) this.list.insertBefore(message.node, next);
  }

  // One message

  node({ author, language }) {
    const parts = {
      day: h('p', { class: 'day', hidden: true }),
      who: h('span'),
      time: h('time'),
      bubble: h('div', { class: 'bubble', lang: language }),
      choices: h('div', { class: 'choices', role: 'group', hidden: true }),
      fate: h('p', { class: 'fate', 'aria-live': 'off', hidden: true }),
    };
    parts.by = h('p', { class: 'by' }, parts.who, ' · ', parts.time);
    const node = h('div', { class: `msg ${author === 'patient' ? 'mine' : author}` }, ...['day', 'by', 'bubble', 'choices', 'fate'].map((name) => parts[name]));
    node.parts = parts;
    return node;
  }

  render(message) {
    const { entry, node } = message;
    const { who, time, bubble, choices } = node.parts;
    const { t, language, numbers } = this.words;
    say(who, t(NAMES[entry.author]));
    time.dateTime = entry.at;
    say(time, new Date(entry.at).toLocaleTimeString(locale(language), { hour: 'numeric', minute: '2-digit' }));
    const text = this.shownText(message);
    if (bubble.textContent !== text) bubble.replaceChildren(entry.author === 'patient' ? text : linked(text, numbers));
    const replies = entry.quick_replies || [];
    choices.setAttribute('aria-label', t('choices_label'));
    if (node.scale) node.scale.speak();
    else if (isScale(replies)) {
      node.scale = new Scale(replies, this.words, (value) => this.events.choose(value));
      choices.classList.add('wide');
      choices.append(node.scale.node);
    } else if (replies.length && !choices.children.length) {
      choices.lang = entry.language;
      choices.append(...replies.map(({ title, value }) => button({ onclick: () => this.events.choose(value) }, title)));
    }
    node.classList.toggle('unsent', entry.state === 'new');
    node.classList.toggle('failed', Boolean(message.failed));
  }

  /** What stood on the button, where the message is what pressing it says. */
  shownText(message) {
    const { entry } = message;
    if (entry.author !== 'patient') return entry.text;
    for (let index = this.messages.indexOf(message) - 1; index >= 0; index -= 1) {
      const earlier = this.messages[index].entry;
      if (earlier.author === 'patient') break;
      const reply = (earlier.quick_replies || []).find(({ value }) => value === entry.text);
      if (reply) return reply.title;
    }
    return entry.text;
  }

  /**
   * What depends on the neighbours: days, headings, which buttons still count (those just answered stay, inert, so that
   * nothing jumps under a finger; older ones go), whose state is shown.
   */
  tidy() {
    const last = this.messages.findLastIndex(({ entry }) => entry.author === 'patient');
    const lastButOne = last < 0 ? -1 : this.messages.slice(0, last).findLastIndex(({ entry }) => entry.author === 'patient');
    let previous = null;
    this.messages.forEach((message, index) => {
      const { entry, node } = message;
      const day = this.day(entry.at);
      const sameDay = Boolean(previous) && this.day(previous.at) === day;
      const together = sameDay && previous.author === entry.author && Date.parse(entry.at) - Date.parse(previous.at) < TOGETHER;
      say(node.parts.day, day);
      node.parts.day.hidden = sameDay;
      node.classList.toggle('next', together);
      node.parts.by.classList.toggle('quiet', together);
      if (node.scale) node.scale.able(index >= last);
      else for (const choice of node.parts.choices.children) choice.disabled = index < last;
      node.parts.choices.hidden = !entry.quick_replies?.length || index < lastButOne;
      if (entry.author === 'patient') this.renderFate(message, index === last);
      previous = entry;
    });
    this.starters.hidden = last >= 0;
    this.events.changed();
  }

  renderFate({ entry, node, failed }, isLast) {
    const { fate } = node.parts;
    const { t, language } = this.words;
    const fresh = this.online ? 'sending' : 'waiting';
    const state = failed ? 'failed' : entry.state === 'new' ? fresh : entry.state;
    fate.hidden = !(isLast || entry.state === 'new');
    const key = `${state} ${language}`;
    if (fate.dataset.key === key) return;
    fate.dataset.key = key;
    fate.replaceChildren(h('span', {}, t(`state_${state}`)));
    if (failed) {
      fate.append(
        button({ onclick: () => this.events.retry(entry.id) }, t('retry')),
        button({ onclick: () => this.events.discard(entry.id) }, t('discard')),
      );
    }
  }

  day(at) {
    const { language } = this.words;
    const date = new Date(at);
    const days = Math.round((new Date(date).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86400000);
    if (days < -1 || days > 0) return date.toLocaleDateString(locale(language), { weekday: 'long', month: 'long', day: 'numeric' });
    const word = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(days, 'day');
    return word[0].toUpperCase() + word.slice(1);
  }

  // Where it is scrolled to

  /** In a very low window the whole panel scrolls, not the conversation in it. */
  get scroller() {
    return (this.low.matches && this.log.closest('dialog')) || this.log;
  }

  /** Keep the newest in sight, unless the patient reads elsewhere. */
  follow() {
    this.scrolled();
    if (this.following) this.toNewest();
  }

  scrolled() {
    if (Math.abs(this.scroller.scrollTop - this.goal) < 3) return; // our own doing
    this.following = this.left() < NEAR;
    if (this.following) this.more.hidden = true;
  }

  /** How far the end is below what can be seen. */
  left() {
    const { scrollHeight, clientHeight, scrollTop } = this.scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  scrollTo(top) {
    const { scroller } = this;
    this.goal = Math.max(0, Math.min(top, scroller.scrollHeight - scroller.clientHeight));
    scroller.scrollTop = this.goal;
  }

  toEnd() {
    this.following = true;
    this.more.hidden = true;
    this.scrollTo(this.scroller.scrollHeight);
  }

  /** As far down as possible, but never past the patient's own last message: an answer is read from its beginning. */
  toNewest() {
    const mine = this.messages.findLast(({ entry }) => entry.author === 'patient');
    const top = mine ? mine.node.offsetTop - (this.low.matches ? 0 : this.log.offsetTop) - 8 : Infinity;
    // Never back up: the patient may have read on.
    this.scrollTo(Math.max(top, this.scroller.scrollTop));
    this.more.hidden = this.left() < NEAR;
  }
}

/** How the patient's own device writes times in `language`. */
function locale(language) {
  return navigator.languages.find((code) => code.slice(0, 2) === language) || `${language}-US`;
}

/** Whether `a` comes before `b`: by time, then a question before its answer, then by number. */
function before(a, b) {
  if (a.pending || b.pending) return a.pending ? Boolean(b.pending) && a.order < b.order : true;
  if (a.entry.at !== b.entry.at) return a.entry.at < b.entry.at;
  if (a.entry.id[0] !== b.entry.id[0]) return a.entry.id[0] === 'i';
  return Number(a.entry.id.slice(1)) < Number(b.entry.id.slice(1));
}
