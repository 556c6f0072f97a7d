// <carethread-chat account="…" server="https://…">: the button, the panel, and what the patient does with them.

// Only for a page that has never reached the clinic: everything else is said in the clinic's own words.
const CANNOT_CONNECT = {
  launcher: 'Chat', close: 'Close', title: 'Chat',
  offline: 'The chat cannot connect. Please try again later, or call the clinic.',
};
const SHEET = '(max-width: 640px), (max-height: 560px)'; // as in style.css
const TIGHT = 500; // px of height below which the on-screen keyboard has taken the rest

class CarethreadChat extends HTMLElement {
  connectedCallback() {
    if (this.connection) return;
    if (!this.shadowRoot) {
      this.attachShadow({ mode: 'open' });
      style(this.shadowRoot);
      this.build();
    }
    this.begin();
    const about = this.store.get('about');
    if (about) this.learn(about);
    if (this.store.get('token')) this.connection.start();
    else this.connection.about().catch(() => about || this.setStatus(false));
  }

  disconnectedCallback() {
    this.connection?.stop();
    this.connection = null;
  }

  get account() {
    return this.getAttribute('account') || '';
  }

  get server() {
    return (this.getAttribute('server') || location.origin).replace(/\/+$/, '');
  }

  /** A conversation that this page knows nothing about yet. */
  begin() {
    this.store = new Store(this.account);
    this.state = { typing: false, owner: 'assistant', language: '', level: '' };
    const words = { t: (key) => this.t(key) };
    Object.defineProperty(words, 'language', { get: () => this.language || 'en' });
    Object.defineProperty(words, 'numbers', { get: () => this.about?.call || [] });
    this.thread = new Thread(words, {
      choose: (text) => this.choose(text),
      retry: (id) => this.retry(id),
      discard: (id) => this.discard(id),
      changed: () => this.count(),
    });
    this.middle.replaceChildren(this.thread.log, this.thread.more);
    this.connection = new Connection(this.server, this.account, this.store, {
      about: (about) => this.learn(about),
      status: (online) => this.setStatus(online),
      entries: (entries) => (this.thread.add(entries), this.read()),
      state: (state) => this.setState(state),
      accepted: ({ id }) => this.thread.update(id, { accepted: true }),
      failed: (id, code) => (this.thread.update(id, { failed: code }), this.announce(this.t('state_failed'))),
      restarted: () => this.thread.forget(),
    });
    for (const item of this.connection.queue.items) this.thread.addPending(item);
  }

  build() {
    this.badge = h('span', { class: 'badge', hidden: true, 'aria-hidden': 'true' });
    this.launchText = h('span');
    this.launcher = button(
      { class: 'launcher', hidden: true, part: 'launcher', 'aria-haspopup': 'dialog', 'aria-expanded': 'false', onclick: () => this.open() },
      icon('chat'), this.launchText, this.badge,
    );
    this.titleLine = h('h2', { id: 'title', tabindex: '-1' });
    this.whoLine = h('p', { id: 'who' });
    this.languages = h('span', { class: 'languages' });
    this.closer = button({ class: 'close', onclick: () => this.close() }, icon('close'));
    this.notice = h('p', { class: 'notice', id: 'notice' });
    this.offline = h('p', { class: 'offline', hidden: true });
    this.middle = h('div', { class: 'middle' });
    this.problem = h('p', { class: 'problem', role: 'alert', hidden: true });
    this.fieldLabel = h('label', { class: 'quiet', for: 'field' });
    this.field = h('textarea', {
      id: 'field', rows: '1', autocomplete: 'off', 'aria-describedby': 'notice',
      oninput: () => this.grow(), onkeydown: (event) => this.typed(event),
    });
    this.sender = h('button', { type: 'submit' });
    this.form = h(
      'form', { class: 'write', hidden: true, onsubmit: (event) => (event.preventDefault(), this.submit()) },
      this.fieldLabel, this.field, this.sender,
    );
    this.clearer = button({ onclick: () => this.ask(true) });
    this.foot = h('div', { class: 'foot', hidden: true }, this.clearer);
    this.question = h('p', { id: 'question' });
    this.no = button({ onclick: () => this.ask(false) });
    this.yes = button({ onclick: () => this.clear() });
    this.asking = h('div', { class: 'ask', role: 'group', 'aria-labelledby': 'question', hidden: true }, this.question, h('div', {}, this.no, this.yes));
    this.voice = h('div', { class: 'quiet', role: 'status' });
    this.panel = h(
      'dialog', { class: 'panel', part: 'panel', 'aria-labelledby': 'title', 'aria-describedby': 'who', onscroll: () => this.thread.scrolled() },
      h('div', { class: 'top' }, this.titleLine, this.languages, this.closer, this.whoLine),
      this.notice, this.offline, this.middle, this.problem, this.form, this.foot, this.asking, this.voice,
    );
    this.panel.addEventListener('keydown', (event) => event.key === 'Escape' && (event.preventDefault(), this.close()));
    this.panel.addEventListener('cancel', (event) => (event.preventDefault(), this.close()));
    this.shadowRoot.append(this.launcher, this.panel);
    this.sheet = window.matchMedia(SHEET);
    this.sheet.addEventListener('change', () => this.isOpen && this.show());
    window.visualViewport?.addEventListener('resize', () => this.fit());
    document.addEventListener('visibilitychange', () => this.read());
  }

  // Words

  t(key, values = {}) {
    const text = this.about?.texts[this.language]?.[key] ?? CANNOT_CONNECT[key] ?? '';
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  learn(about) {
    this.about = about;
    const codes = about.languages.map(({ code }) => code);
    const wished = [this.store.get('language'), this.language, this.getAttribute('lang'), ...navigator.languages];
    const found = wished.map((code) => String(code || '').slice(0, 2).toLowerCase()).find((code) => codes.includes(code));
    this.speak(found || codes[0]);
    this.launcher.hidden = this.isOpen;
    this.form.hidden = !this.asking.hidden;
    if (!this.store.get('token')) this.thread.greet();
  }

  /** Show everything in `language`. */
  speak(language) {
    this.language = language;
    this.panel.lang = this.launcher.lang = language;
    this.titles();
    say(this.fieldLabel, this.t('message_label'));
    this.field.placeholder = this.t('message_placeholder');
    say(this.sender, this.t('send'));
    say(this.clearer, this.t('clear'));
    say(this.question, this.t('clear_confirm'));
    say(this.yes, this.t('clear_yes'));
    say(this.no, this.t('clear_no'));
    this.languages.replaceChildren(
      ...this.about.languages
        .filter(({ code }) => code !== language)
        .map(({ code, name }) => button({ lang: code, onclick: () => this.choose(name, code) }, name)),
    );
    this.renderOwner();
    this.thread.speak();
  }

  titles() {
    say(this.titleLine, this.t('title'));
    this.closer.setAttribute('aria-label', this.t('close'));
    this.offline.replaceChildren(linked(this.t('offline'), []));
    this.count();
  }

  // What the clinic tells

  setStatus(online) {
    if (!this.about) {
      this.titles();
      this.launcher.hidden = this.isOpen;
    }
    if (this.offline.hidden !== online) this.announce(this.t(online ? 'back_online' : 'offline'));
    this.offline.hidden = online;
    this.thread.setOnline(online);
  }

  setState(state) {
    const { language: before } = this.state;
    this.state = { ...state, language: state.language || before };
    this.thread.setTyping(state.typing);
    this.renderOwner();
    // The patient changed it by writing: follow. The first word is only where the conversation stands.
    if (before && state.language !== before && state.language !== this.language && this.about?.texts[state.language]) this.speak(state.language);
    this.thread.greet();
    this.thread.listen();
  }

  /** Who answers, and the emergency line. */
  renderOwner() {
    if (!this.about) return;
    const { owner, level } = this.state;
    say(this.whoLine, this.t(owner === 'assistant' ? 'assistant_line' : 'human_line'));
    const now = owner === 'emergency';
    const crisis = now && level === 'crisis';
    const key = [this.language, now, crisis].join();
    if (this.notice.dataset.key === key) return;
    this.notice.dataset.key = key;
    this.notice.classList.toggle('now', now);
    const [emergency, crisisLine] = this.about.call;
    const call = (number, words) => h('a', { class: 'call', href: `tel:${number}` }, this.t(words));
    if (crisis) this.notice.replaceChildren(this.t('crisis_now'), call(crisisLine, 'crisis_call'), linked(this.t('emergency_line'), [emergency]));
    else if (now) this.notice.replaceChildren(this.t('emergency_now'), call(emergency, 'emergency_call'));
    else this.notice.replaceChildren(linked(this.t('emergency_line'), [emergency]));
    if (now) this.announce(this.t(crisis ? 'crisis_now' : 'emergency_now'));
  }

  // What the patient does

  submit() {
    const text = this.field.value.trim();
    const tooLong = text.length > (this.about?.max_text || Infinity);
    this.problem.hidden = !tooLong;
    say(this.problem, tooLong ? this.t('too_long') : '');
    this.field.focus();
    if (!text || tooLong) return;
    this.field.value = '';
    this.grow();
    this.post(text);
  }

  /** Say what a button says; in another language, once the chat itself has changed to it. */
  choose(text, language = null) {
    if (language) {
      this.store.set('language', language);
      this.speak(language);
    }
    this.post(text);
    // The pressed button no longer counts; the keyboard's place is the conversation.
    this.thread.log.focus({ preventScroll: true });
  }

  post(text) {
    this.thread.addPending(this.connection.send(text));
  }

  retry(id) {
    this.thread.update(id, {});
    this.connection.retry(id);
    this.thread.log.focus();
  }

  discard(id) {
    this.connection.queue.remove(id);
    this.thread.remove(id);
    this.field.focus();
  }

  typed(event) {
    const newLine = event.shiftKey || event.isComposing || window.matchMedia('(pointer: coarse)').matches;
    if (event.key !== 'Enter' || newLine) return;
    event.preventDefault();
    this.submit();
  }

  grow() {
    this.field.style.height = 'auto';
    this.field.style.height = `${this.field.scrollHeight + 4}px`;
  }

  ask(asking) {
    this.asking.hidden = !asking;
    this.form.hidden = asking;
    this.count();
    (asking ? this.no : this.clearer).focus();
  }

  /** Leave nothing of this conversation on this device. */
  clear() {
    this.connection.stop();
    this.store.clear();
    this.begin();
    this.store.set('language', this.language);
    this.asking.hidden = true;
    this.form.hidden = false;
    this.learn(this.about);
    this.connection.start();
    this.field.focus();
  }

  // Open and closed

  get isOpen() {
    return this.panel.hasAttribute('open');
  }

  open() {
    if (this.isOpen) return;
    this.show();
    this.connection.start();
    this.launcher.hidden = true;
    this.launcher.setAttribute('aria-expanded', 'true');
    this.thread.toEnd();
    this.read();
    // On a phone the field would bring up the keyboard over what is to be read first.
    (this.sheet.matches || this.form.hidden ? this.titleLine : this.field).focus();
  }

  close() {
    if (!this.isOpen) return;
    this.panel.close();
    this.holdPage(false);
    this.launcher.hidden = false;
    this.launcher.setAttribute('aria-expanded', 'false');
    this.launcher.focus();
  }

  /** Over the whole screen it is a modal dialog (the page behind is out of reach), else a panel beside the page. */
  show() {
    const focused = this.shadowRoot.activeElement;
    if (this.isOpen) this.panel.close();
    if (this.sheet.matches) this.panel.showModal();
    else this.panel.show();
    this.holdPage(this.sheet.matches);
    this.fit();
    focused?.focus();
  }

  /** Keep the page behind from scrolling. */
  holdPage(held) {
    const page = document.documentElement.style;
    if (held === (this.pageOverflow !== undefined)) return;
    if (held) this.pageOverflow = page.overflow;
    page.overflow = held ? 'hidden' : this.pageOverflow;
    if (!held) this.pageOverflow = undefined;
  }

  /** Stay above the on-screen keyboard. */
  fit() {
    const view = window.visualViewport;
    const covered = Boolean(this.isOpen && this.sheet.matches && view && view.scale === 1);
    this.panel.style.height = covered ? `${view.height}px` : '';
    this.panel.style.top = covered ? `${view.offsetTop}px` : '';
    this.panel.classList.toggle('tight', covered && view.height < TIGHT);
  }

  /** Tell the clinic what has come, and what has been seen. */
  read() {
    const state = this.isOpen && !document.hidden ? 'read' : 'delivered';
    const ids = this.thread.advance(state);
    for (let start = 0; start < ids.length; start += 100) this.connection?.seen(ids.slice(start, start + 100), state);
    this.count();
  }

  /** The button's words, and what depends on whether there are messages. */
  count() {
    const { unread, messages } = this.thread;
    this.foot.hidden = !messages.length || !this.asking.hidden;
    this.badge.hidden = !unread;
    say(this.badge, unread ? String(unread) : '');
    say(this.launchText, this.t('launcher'));
    if (unread) this.launcher.setAttribute('aria-label', this.t('launcher_unread', { count: unread }));
    else this.launcher.removeAttribute('aria-label');
  }

  /** For those who listen; gone again before they come across it while reading. */
  announce(text) {
    clearTimeout(this.spoken);
    this.voice.textContent = '';
    setTimeout(() => say(this.voice, text), 50);
    this.spoken = setTimeout(() => say(this.voice, ''), 5000);
  }
}
