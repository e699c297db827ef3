// The predictions beside the images: the newest ones, or those that are worth a label.
import { read } from "./api.js";
import { $, make, when } from "./dom.js";

const MARKS = { accept: "✓", minor: "~", reject: "✕" };
export const WORDS = { accept: "accepted", minor: "minor fault", reject: "rejected" };
const EMPTY = "No predictions yet: choose an image above, or send one with POST /translate.";

export class List {
  // `chosen()` gives the id of the prediction that is shown, `show` shows another one.
  constructor(chosen, show) {
    Object.assign(this, { chosen, show, rows: [], queue: false, asked: 0, drawn: 0 });
  }

  get place() {
    return this.rows.findIndex(one => one.id === this.chosen());
  }

  find(id) {
    return this.rows.find(one => one.id === id) ?? null;
  }

  step(by) {
    const to = this.rows[this.place + by];
    if (to) return this.show(to.id);
  }

  async switch(queue) {
    this.queue = queue;
    $("newest").setAttribute("aria-pressed", !queue);
    $("queue").setAttribute("aria-pressed", queue);
    this.rows = [];
    await this.refresh(null, true);
  }

  // Load the rows again. The queue is loaded when it is opened only, so that nothing moves while it is worked through.
  async refresh(select = null, open = false) {
    if (this.queue && !open) return select ? this.show(select) : this.draw();
    const turn = ++this.asked, direction = encodeURIComponent($("direction").value);
    const found = await read(this.queue ? `/queue?direction=${direction}&count=20` : "/predictions?last=50");
    if (found && turn > this.drawn) { // responses may arrive out of order
      this.drawn = turn;
      this.rows = this.queue ? found.images.map(one => ({ ...one, direction: found.direction })) : found;
      $("list-text").textContent = this.rows.length ? (this.queue ? found.text : "")
        : this.queue ? "Every recent prediction has a label or a verdict." : EMPTY;
    }
    const first = this.rows[0]?.id ?? null;
    if (select || open || !this.chosen()) await this.show(select ?? first ?? this.chosen());
    else this.draw();
  }

  draw() {
    $("list").replaceChildren(...this.rows.map(one => this.row(one)));
    const chosen = document.getElementById(`item-${this.chosen()}`);
    if (chosen) $("list").setAttribute("aria-activedescendant", chosen.id);
    else $("list").removeAttribute("aria-activedescendant");
    // Only the list scrolls: on a narrow page scrollIntoView would take the page away from the images.
    if (chosen) {
      const box = $("list"), top = chosen.offsetTop - box.offsetTop, bottom = top + chosen.offsetHeight;
      box.scrollTop = Math.min(top, Math.max(box.scrollTop, bottom - box.clientHeight));
    }
  }

  row(one) {
    const about = !this.queue ? one.direction : one.why === "strange" ? `strange: ${one.feature ?? ""}` : "random";
    const cells = [MARKS[one.verdict] ?? (one.done ? "✓" : "·"), about, when(one.made_at)];
    const made = make("li", { id: `item-${one.id}`, role: "option", "aria-selected": one.id === this.chosen() },
      ...cells.map(textContent => make("span", { textContent })));
    made.ariaLabel = `${about}, ${when(one.made_at)}, ${one.done ? "corrected" : WORDS[one.verdict] ?? "no verdict"}`;
    made.addEventListener("click", () => this.show(one.id));
    return made;
  }
}
