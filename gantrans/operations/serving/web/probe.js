// Measures the width (CD) of what lies under a click, or under a cross that is moved by keys.
import { runAt, twoLevels, widthAt } from "./measure.js";
import { element } from "./viewer.js";

export class Probe {
  // `images()` gives [{name, image}], `image` grey values as in measure.js. `say` gets the reading as text.
  constructor(viewer, images, say) {
    Object.assign(this, { viewer, images, say, at: null, keys: false });
  }

  // Put the cross on a pixel of the image.
  set([x, y]) {
    const [width, height] = this.viewer.size;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    this.at = [Math.floor(x), Math.floor(y)];
    this.draw();
  }

  // Switch the keys of the cross on or off; it starts in the middle of the viewport.
  toggle() {
    this.keys = !this.keys;
    if (this.keys && !this.at) this.set(this.viewer.centre);
    if (!this.keys) this.clear();
  }

  clear() {
    this.at = null;
    this.keys = false;
    this.draw();
  }

  step(across, down) {
    const [width, height] = this.viewer.size;
    const inside = (value, side) => Math.min(side - 1, Math.max(0, value));
    this.set([inside(this.at[0] + across, width), inside(this.at[1] + down, height)]);
    this.viewer.show(this.at);
  }

  draw() {
    for (const view of this.viewer.views) for (const old of view.querySelectorAll(".probe")) old.remove();
    if (!this.at) return this.say("");
    const found = this.measure();
    this.say(found.text);
    const [x, y] = this.at, { run } = found;
    for (const view of this.viewer.views) {
      view.append(element("path", { d: `M${x + 0.5} ${y + 0.5}h.001`, class: "probe dot" }));
      if (!run) continue;
      const across = position => (run.axis ? `${x + 0.5} ${position + 0.5}` : `${position + 0.5} ${y + 0.5}`);
      for (const kind of ["rim", "ruler"])
        view.append(element("path", { d: `M${across(run.start)}L${across(run.end)}`, class: `probe ${kind}` }));
    }
  }

  // The first image decides whether the row or the column is measured; the others are measured along the same one.
  measure() {
    const [x, y] = this.at, place = `x ${x}, y ${y} px: `;
    const clear = this.images().filter(({ image }) => twoLevels(image));
    if (!clear.length) return { text: `${place}grey or colour, no clear edges to measure between`, run: null };
    const run = widthAt(clear[0].image, x, y), axis = run?.axis;
    if (!run) return { text: `${place}the ${clear[0].name} runs into the border, not measured`, run };
    const parts = clear.map(({ name, image }) => `${name} ${this.size(runAt(image, x, y, axis))}`);
    return { text: `${place}${parts.join(", ")} (along the ${axis ? "column" : "row"})`, run };
  }

  size(run) {
    const kind = run.line ? "line" : "space", { pixelNm } = this.viewer, pixels = run.end - run.start;
    if (!run.whole) return `${kind} runs into the border`;
    return `${kind} ${pixelNm ? `${(pixels * pixelNm).toFixed(1)} nm` : `${pixels.toFixed(2)} px`}`;
  }
}
