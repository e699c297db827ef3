// Queue of verdicts that the store has not acknowledged yet. It survives a reload; sending an event twice has no
// effect, because each has its own id.
const PAUSE = 1000;
const LATER = [401, 408, 429]; // a token is missing, or the request timed out: it may be accepted later

export class Outbox {
  // `deliver` sends one event and returns fetch's promise.
  constructor(name, deliver, { acknowledged, waiting, refused }) {
    Object.assign(this, { name, deliver, acknowledged, waiting, refused });
    this.queue = JSON.parse(localStorage.getItem(name) ?? "[]");
    this.busy = false;
  }

  pending(item) {
    return this.queue.findLast(event => event.item === item) ?? null;
  }

  put(event) {
    this.queue.push({ id: crypto.randomUUID(), ...event });
    this.keep();
    this.send();
  }

  keep() {
    localStorage.setItem(this.name, JSON.stringify(this.queue));
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
      if (answer?.ok) {
        const saved = await answer.json();
        this.queue.shift();
        this.keep();
        this.acknowledged(event, saved);
      } else if (answer && answer.status < 500 && !LATER.includes(answer.status)) {
        this.queue.shift(); // a retry would fail in the same way
        this.keep();
        this.refused(event, (await answer.json()).detail);
      } else {
        if (answer) this.waiting((await answer.json()).detail);
        await new Promise(resolve => setTimeout(resolve, PAUSE));
      }
    }
    this.busy = false;
  }
}
