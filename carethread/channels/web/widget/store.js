// What survives a reload: the session's token, the language, and messages that are not sent yet, each under its own key
// so that two tabs never overwrite each other's. Where the browser keeps nothing, all of it lives in memory.

class Store {
  constructor(account) {
    this.prefix = `carethread:${account}:`;
    this.memory = new Map();
    try {
      this.disk = window.localStorage;
      this.disk.setItem(`${this.prefix}probe`, '1');
      this.disk.removeItem(`${this.prefix}probe`);
    } catch {
      this.disk = null;
    }
  }

  get(key) {
    try {
      const text = this.disk ? this.disk.getItem(this.prefix + key) : this.memory.get(key);
      return text == null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  set(key, value) {
    const text = JSON.stringify(value);
    try {
      if (this.disk) this.disk.setItem(this.prefix + key, text);
      else this.memory.set(key, text);
    } catch {
      // The browser's storage is full: what is in memory still goes out, it only does not survive a reload.
    }
  }

  remove(key) {
    try {
      if (this.disk) this.disk.removeItem(this.prefix + key);
    } catch {
      // Nothing to remove then.
    }
    this.memory.delete(key);
  }

  keys(start) {
    const all = this.disk ? Object.keys(this.disk) : [...this.memory.keys()].map((key) => this.prefix + key);
    return all.filter((key) => key.startsWith(this.prefix + start)).map((key) => key.slice(this.prefix.length));
  }

  clear() {
    for (const key of this.keys('')) this.remove(key);
  }
}

/** Messages that the clinic does not have yet, oldest first. */
class Queue {
  constructor(store) {
    this.store = store;
    this.items = store
      .keys('out:')
      .map((key) => store.get(key))
      .filter((item) => item && item.id)
      .sort((a, b) => a.order - b.order);
  }

  add(text) {
    const last = this.items.at(-1);
    const now = Date.now();
    const item = { id: randomId(), text, order: Math.max(now, last ? last.order + 1 : 0), at: new Date(now).toISOString() };
    this.items.push(item);
    this.store.set(`out:${item.id}`, item);
    return item;
  }

  /** The next to send: those that were refused wait for the patient to decide. */
  next() {
    return this.items.find((item) => !item.failed);
  }

  remove(id) {
    const item = this.items.find((one) => one.id === id);
    if (!item) return null;
    this.items = this.items.filter((one) => one !== item);
    this.store.remove(`out:${id}`);
    return item;
  }

  mark(id, failed) {
    const item = this.items.find((one) => one.id === id);
    if (!item) return;
    item.failed = failed;
    this.store.set(`out:${id}`, item);
  }
}

function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  // Pages without https have no randomUUID.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
