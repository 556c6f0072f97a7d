// The line to the clinic: a WebSocket, plain requests where sockets do not get through, and a queue that loses nothing.

const SOCKET_READY = 6000; // ms until a socket that does not answer counts as blocked
const SOCKET_SILENT = 50000; // ms without a word (the server speaks every 20 s) until it counts as dead
const SOCKET_SHORT = 3000; // ms; a socket that ends sooner did not really work
const SOCKET_AGAIN = 300000; // ms on plain requests before a socket is tried again
const ACCEPT = 12000; // ms until a message that was sent but not accepted is sent again
const POLL_WAIT = 20; // seconds that a request for news may stay open
const PAUSES = [500, 1000, 2000, 4000, 8000, 15000]; // ms between attempts, a little more or less

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

class HttpError extends Error {
  constructor(status, body) {
    super(body.error || `HTTP ${status}`);
    this.status = status;
    this.code = body.error || '';
    this.retryAfter = body.retry_after || 1;
  }
}

/**
 * Calls `events.about(info)`, `.status(online)`, `.entries(list)`, `.state(state)`, `.accepted(id)`, `.failed(id, code)`,
 * `.restarted()` when the clinic no longer knows this session.
 */
class Connection {
  constructor(server, account, store, events) {
    this.server = server;
    this.account = account;
    this.store = store;
    this.events = events;
    this.queue = new Queue(store);
    this.token = store.get('token');
    this.cursor = '';
    this.running = false;
    this.attempts = 0;
    this.shortCalls = 0;
    this.plainUntil = 0;
    this.sending = null;
    window.addEventListener('online', () => this.hurry());
    window.addEventListener('offline', () => this.drop());
    document.addEventListener('visibilitychange', () => document.hidden || this.hurry());
  }

  /** What the widget needs to draw itself; no session yet, so nothing is known about who looks at the page. */
  async about() {
    const about = await this.request('GET', `/web/${encodeURIComponent(this.account)}/about`);
    this.learn(about);
  }

  /** Open the session and keep the line up until `stop`. */
  start() {
    if (this.running) return;
    this.running = true;
    this.run();
  }

  stop() {
    this.running = false;
    this.drop();
  }

  send(text) {
    const item = this.queue.add(text);
    this.flush();
    return item;
  }

  retry(id) {
    this.queue.mark(id, undefined);
    this.flush();
  }

  seen(ids, state) {
    if (!ids.length) return;
    if (this.ready) this.socket.send(JSON.stringify({ type: 'seen', ids, state }));
    else if (this.token) this.request('POST', '/web/messages/seen', { ids, state }).catch(() => {});
  }

  async run() {
    while (this.running) {
      try {
        if (!this.opened) await this.open();
        await (Date.now() < this.plainUntil ? this.overRequests() : this.overSocket());
      } catch (error) {
        this.fault(error);
      }
      if (!this.running) return;
      if (this.attempts) this.events.status(false);
      await this.pause(this.attempts ? PAUSES[Math.min(this.attempts, PAUSES.length) - 1] * (0.7 + Math.random() * 0.6) : 0);
    }
  }

  fault(error) {
    this.attempts += 1;
    if (error instanceof HttpError) {
      if (error.status === 401) this.forget();
      if (error.status === 429) this.attempts = PAUSES.length;
    }
    // Neither way works: try the better one first next time.
    this.plainUntil = 0;
  }

  /** The session is unknown to the clinic (it ran out): start another; what is queued goes to the new one. */
  forget() {
    this.token = null;
    this.opened = false;
    this.cursor = '';
    this.store.remove('token');
    this.events.restarted();
  }

  async open() {
    const token = this.store.get('token') || this.token;
    const session = await this.request('POST', `/web/${encodeURIComponent(this.account)}/session`, {}, token);
    if (token && !session.resumed) this.events.restarted();
    this.token = session.token;
    this.opened = true;
    this.store.set('token', session.token);
    this.learn(session);
  }

  learn({ clinic, call, languages, texts, max_text }) {
    const about = { clinic, call, languages, texts, max_text };
    this.store.set('about', about);
    this.events.about(about);
  }

  async request(method, path, body, token = this.token, signal = undefined) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body) headers['Content-Type'] = 'application/json';
    const answer = await fetch(this.server + path, {
      method, headers, signal, body: body && JSON.stringify(body), credentials: 'omit', cache: 'no-store',
    });
    if (answer.status === 204) return null;
    const data = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new HttpError(answer.status, data);
    return data;
  }

  // Over a socket

  /** Resolves when a socket that worked has ended; rejects when none was to be had and requests do not work either. */
  async overSocket() {
    const since = Date.now();
    const ended = await this.dial();
    if (ended.ready) {
      // One that ends at once, again and again, must not be dialled without a pause.
      if (Date.now() - since < SOCKET_SHORT) this.shortCalls += 1;
      else this.shortCalls = 0;
      if (this.shortCalls) await this.pause(PAUSES[Math.min(this.shortCalls, PAUSES.length) - 1]);
      return;
    }
    if (ended.code === 4401) throw new HttpError(401, {});
    // Blocked on the way, by a proxy perhaps: plain requests may get through.
    this.plainUntil = Date.now() + SOCKET_AGAIN;
    await this.overRequests();
  }

  dial() {
    return new Promise((done) => {
      let socket;
      try {
        socket = new WebSocket(`${this.server.replace(/^http/, 'ws')}/web/ws`);
      } catch {
        done({ ready: false, code: 0 });
        return;
      }
      let ready = false;
      let silence;
      const end = (code) => {
        clearTimeout(silence);
        socket.onclose = socket.onmessage = socket.onopen = null;
        socket.close();
        if (this.socket === socket) {
          this.socket = null;
          this.ready = false;
          this.release();
        }
        done({ ready, code });
      };
      const listen = (ms) => {
        clearTimeout(silence);
        silence = setTimeout(() => end(0), ms);
      };
      this.socket = socket;
      this.hangUp = () => end(0);
      listen(SOCKET_READY);
      socket.onopen = () => socket.send(JSON.stringify({ type: 'hello', token: this.token, after: this.cursor }));
      socket.onclose = (event) => end(event.code);
      socket.onmessage = (event) => {
        listen(SOCKET_SILENT);
        const message = JSON.parse(event.data);
        if (message.type === 'ready') {
          ready = this.ready = true;
          this.online();
        } else this.hear(message);
      };
    });
  }

  hear(message) {
    if (message.type === 'entries') this.take(message);
    else if (message.type === 'state') this.events.state(message);
    else if (message.type === 'accepted') this.accepted(message.id);
    else if (message.type === 'error' && message.id) this.refused(message.id, message.code, message.retry_after);
  }

  // Over plain requests

  async overRequests() {
    this.plain = true;
    try {
      // The first answer comes at once and says that this way works.
      let wait = 0;
      while (this.running && Date.now() < this.plainUntil) {
        this.poll = new AbortController();
        const after = encodeURIComponent(this.cursor);
        const news = await this.request('GET', `/web/messages?after=${after}&wait=${wait}`, null, this.token, this.poll.signal);
        if (!wait) this.online();
        wait = POLL_WAIT;
        this.take(news);
        this.events.state(news.state);
      }
    } finally {
      this.plain = false;
      this.release();
    }
  }

  // Both

  online() {
    this.attempts = 0;
    this.events.status(true);
    this.flush();
  }

  take({ entries, cursor }) {
    this.cursor = cursor;
    // One that came back is in the ledger, whether or not its receipt reached us.
    for (const entry of entries) if (entry.client_id) this.accepted(entry.client_id, false);
    this.events.entries(entries);
  }

  /** One message at a time, so that they arrive in the order they were written. */
  async flush() {
    const item = this.queue.next();
    if (!item || this.sending || !(this.ready || this.plain)) return;
    this.sending = item.id;
    if (this.ready) {
      this.receipt = setTimeout(() => this.hangUp(), ACCEPT);
      this.socket.send(JSON.stringify({ type: 'send', id: item.id, text: item.text }));
      return;
    }
    try {
      await this.request('POST', '/web/messages', { id: item.id, text: item.text });
      this.accepted(item.id);
    } catch (error) {
      if (error instanceof HttpError && error.code) this.refused(item.id, error.code, error.retryAfter);
      else {
        this.release();
        this.poll?.abort();
      }
    }
  }

  accepted(id, tell = true) {
    const item = this.queue.remove(id);
    if (this.sending === id) this.release();
    if (item && tell) this.events.accepted(item);
    this.flush();
  }

  async refused(id, code, retryAfter) {
    if (code === 'bad_token') {
      this.forget();
      this.drop();
    } else if (code === 'too_fast' || code === 'too_many' || code === 'unavailable') {
      clearTimeout(this.receipt);
      await sleep(Math.max(retryAfter || 1, 0.5) * 1000);
    } else {
      this.queue.mark(id, code);
      this.events.failed(id, code);
    }
    if (this.sending === id) this.release();
    this.flush();
  }

  release() {
    clearTimeout(this.receipt);
    this.sending = null;
  }

  // Waiting

  drop() {
    this.hangUp?.();
    this.poll?.abort();
    if (!navigator.onLine) this.events.status(false);
  }

  pause(ms) {
    return new Promise((done) => {
      this.wake = done;
      setTimeout(done, ms);
    });
  }

  /** The browser says that the network is back, or the patient is: do not wait out a pause. */
  hurry() {
    this.wake?.();
  }
}
