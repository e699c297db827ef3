// Queue of verdicts that the store has not acknowledged yet. It survives a reload; sending an event twice has no
// effect, because each has its own id. Every event has its own entry in the browser's storage, so that two tabs of
// one page do not overwrite each other's.
import { uuid } from "./dom.js";

const PAUSE = 1000;
const LATER = [401, 408, 429]; // a token is missing, or the request timed out: it may be accepted later

function stored(prefix) {
  const events = [];
  try {
    for (const name of Object.keys(localStorage).filter(key => key.startsWith(prefix))) {
      try { events.push(JSON.parse(localStorage.getItem(name))); } catch { localStorage.removeItem(name); }
    }
  } catch { /* storage is switched off */ }
  return events.filter(event => event?.id).sort((a, b) => a.put - b.put);
}

export class Outbox {
  // `deliver` sends one event and returns fetch's promise.
  constructor(name, deliver, { acknowledged, waiting, refused }) {
    Object.assign(this, { prefix: `${name}/`, deliver, acknowledged, waiting, refused });
    this.queue = stored(this.prefix);
    this.busy = false;
  }

  pending(item) {
    return this.queue.findLast(event => event.item === item) ?? null;
  }

  put(content) {
    const event = { id: uuid(), put: Date.now() + this.queue.length / 1000, ...content };
    this.queue.push(event);
    try { localStorage.setItem(this.prefix + event.id, JSON.stringify(event)); } catch { /* kept in this tab only */ }
    this.send();
  }

  done(event) {
    this.queue.shift();
    try { localStorage.removeItem(this.prefix + event.id); } catch { /* nothing was stored */ }
  }

  async send() {
    if (this.busy) return;
    this.busy = true;
    while (this.queue.length) {
      const event = this.queue[0];
      let answer = null;
      try {
        answer = await this.deliver(event);
      } catch {
        this.waiting("the server does not respond");
      }
      const body = await answer?.json().catch(() => null); // an answer may break off
      if (answer?.ok && body) {
        this.done(event);
        this.acknowledged(event, body);
      } else if (answer && !answer.ok && answer.status < 500 && !LATER.includes(answer.status)) {
        this.done(event); // a retry would fail in the same way
        this.refused(event, typeof body?.detail === "string" ? body.detail : `status ${answer.status}`);
      } else {
        if (answer) this.waiting(body?.detail ?? `status ${answer.status}`);
        await new Promise(resolve => setTimeout(resolve, PAUSE));
      }
    }
    this.busy = false;
  }
}
