// Verdicts on their way to the store. One stays here, also across a reload, until the server says that it is on
// the disk; sending it twice is harmless, because it carries its own id.
const PAUSE = 1000;
const LATER = [401, 408, 429]; // a token is missing, or it took too long: the same may be accepted later

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
        this.waiting("the server does not answer");
      }
      if (answer?.ok) {
        const saved = await answer.json();
        this.queue.shift();
        this.keep();
        this.acknowledged(event, saved);
      } else if (answer && answer.status < 500 && !LATER.includes(answer.status)) {
        this.queue.shift(); // asking again would not help; say so instead
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
