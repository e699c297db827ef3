// Edits a grey image with a round brush or a filled rectangle, by pointer or by keys; whole strokes can be undone.
import { element } from "./viewer.js";

const MOST_STROKES = 200;
export const LARGEST = 64; // brush, in pixels

export class Painter {
  // `canvas` shows the image and lies under the SVG `view`; `changed` is called after every change.
  constructor(canvas, view, viewer, changed = () => {}) {
    Object.assign(this, { canvas, view, viewer, changed });
    Object.assign(this, { active: false, shape: "brush", ink: 255, size: 3, at: [0, 0], pixels: null });
    this.forget();
  }

  forget() {
    this.strokes = []; // what each stroke replaced
    this.undone = [];
    this.before = null; // pixels before the stroke that is being drawn
    this.corner = null; // of a rectangle that is being drawn
    this.saved = 0; // number of strokes when the image was saved last
  }

  get unsaved() {
    return this.strokes.length !== this.saved;
  }

  open(bitmap) {
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    this.pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
    this.at = [bitmap.width >> 1, bitmap.height >> 1];
    this.forget();
    this.set(false);
  }

  set(active) {
    this.cancel();
    this.active = active && Boolean(this.pixels);
    this.viewer.tool = this.active ? this : null;
    this.view.classList.toggle("painting", this.active);
    this.draw();
    this.changed();
  }

  // ---- what the viewer reports of the pointer, positions in pixels of the image

  start(at) {
    this.begin();
    this.to(at);
    if (this.shape === "brush") this.dab(this.at, this.at);
    else this.corner = this.at;
    this.draw();
  }

  move(at) {
    const from = this.at;
    this.to(at);
    if (this.shape === "brush") this.dab(from, this.at);
    this.draw();
  }

  hover(at) {
    this.to(at);
    this.cursor();
  }

  end() {
    if (!this.before) return;
    if (this.corner) this.fill();
    this.corner = null;
    this.commit();
  }

  cancel() {
    if (this.before) this.pixels.data.set(this.before);
    this.before = this.corner = null;
    this.draw();
  }

  // ---- keys

  step(across, down) {
    const { width, height } = this.canvas;
    this.at = [(this.at[0] + across + width) % width, (this.at[1] + down + height) % height];
    this.viewer.show(this.at);
    this.draw();
  }

  // Paint at the cursor; in the rectangle's shape the first press sets a corner and the second one fills.
  press() {
    if (this.corner) return this.end();
    this.begin();
    if (this.shape === "rectangle") this.corner = this.at;
    else this.dab(this.at, this.at);
    if (this.shape === "brush") this.commit();
    this.draw();
  }

  // ---- strokes

  begin() {
    this.before = this.pixels.data.slice();
  }

  to([x, y]) {
    const { width, height } = this.canvas;
    const inside = (value, side) => Math.min(side - 1, Math.max(0, Math.floor(value)));
    this.at = [inside(x, width), inside(y, height)];
  }

  dot(x, y) {
    const { width, height } = this.canvas;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    this.pixels.data.set([this.ink, this.ink, this.ink, 255], 4 * (y * width + x));
  }

  // A line of the brush's width from one pixel to another.
  dab([x0, y0], [x1, y1]) {
    const steps = Math.max(1, Math.abs(x1 - x0), Math.abs(y1 - y0));
    const low = -((this.size - 1) >> 1), middle = (this.size - 1) / 2;
    for (let step = 0; step <= steps; step++) {
      const x = Math.round(x0 + ((x1 - x0) * step) / steps), y = Math.round(y0 + ((y1 - y0) * step) / steps);
      for (let j = 0; j < this.size; j++)
        for (let i = 0; i < this.size; i++)
          if ((i - middle) ** 2 + (j - middle) ** 2 <= (this.size / 2) ** 2) this.dot(x + low + i, y + low + j);
    }
  }

  fill() {
    const [left, right] = [this.corner[0], this.at[0]].sort((a, b) => a - b);
    const [top, bottom] = [this.corner[1], this.at[1]].sort((a, b) => a - b);
    for (let y = top; y <= bottom; y++) for (let x = left; x <= right; x++) this.dot(x, y);
  }

  // Keep the rows that the stroke changed, so that it can be undone.
  commit() {
    const now = this.pixels.data, row = 4 * this.canvas.width;
    let first = 0, last = now.length;
    while (first < last && now[first] === this.before[first]) first++;
    while (last > first && now[last - 1] === this.before[last - 1]) last--;
    if (first < last) {
      const start = first - (first % row), end = Math.ceil(last / row) * row;
      this.strokes.push({ start, bytes: this.before.slice(start, end) });
      this.undone = [];
      if (this.strokes.length > MOST_STROKES) {
        this.strokes.shift();
        this.saved--; // below 0: the saved image cannot be reached by undoing
      }
    }
    this.before = null;
    this.draw();
    this.changed();
  }

  undo() { this.swap(this.strokes, this.undone); }

  redo() { this.swap(this.undone, this.strokes); }

  swap(from, to) {
    this.cancel();
    const stroke = from.pop();
    if (!stroke) return;
    const { start, bytes } = stroke, present = this.pixels.data.slice(start, start + bytes.length);
    this.pixels.data.set(bytes, start);
    to.push({ start, bytes: present });
    this.draw();
    this.changed();
  }

  // Take the grey value under the cursor as ink.
  pick() {
    this.ink = this.pixels.data[4 * (this.at[1] * this.canvas.width + this.at[0])];
    this.changed();
  }

  // ---- drawing

  draw() {
    if (!this.pixels) return;
    this.canvas.getContext("2d").putImageData(this.pixels, 0, 0);
    this.cursor();
  }

  // What the next stroke will cover.
  cursor() {
    this.view.querySelector(".cursor")?.remove();
    if (!this.active) return;
    const [x, y] = this.at, low = (this.size - 1) >> 1;
    const [x0, y0] = this.corner ?? this.at, around = this.shape === "brush";
    const box = around ? { x: x - low, y: y - low, width: this.size, height: this.size }
      : { x: Math.min(x, x0), y: Math.min(y, y0), width: Math.abs(x - x0) + 1, height: Math.abs(y - y0) + 1 };
    const round = around && this.size > 2 ? this.size / 2 : 0;
    this.view.append(element("rect", { ...box, rx: round, class: "cursor" }));
  }

  // The edited image as PNG.
  blob() {
    return new Promise(resolve => this.canvas.toBlob(resolve, "image/png"));
  }
}
