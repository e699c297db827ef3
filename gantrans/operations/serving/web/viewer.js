// Several images with one viewport: they zoom and move together, by wheel, drag, pinch or keys.
import { barLength } from "./measure.js";

const NS = "http://www.w3.org/2000/svg";
const MOST = 32;
const STILL = 5; // a pointer that moved less, in CSS pixels, was a click

export function element(name, attributes = {}) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export class Viewer {
  // `views` are SVG elements. A canvas just before one of them is kept under its viewport, and an element of class
  // "scale" in the same figure shows a scale bar. `tool`, if set, gets the drags of its own view: start, move, end,
  // cancel. `tapped` is called with the view and the position of a click, in pixels of the image.
  constructor(views, { changed = () => {}, tapped = () => {} } = {}) {
    Object.assign(this, { views, changed, tapped, tool: null, size: [1, 1], pixelNm: null });
    this.fit();
    for (const view of views) this.listen(view);
    new ResizeObserver(() => this.apply()).observe(views[0]);
  }

  // Show an image of this size in pixels; the viewport is kept if the size is unchanged.
  open(width, height, pixelNm = null) {
    const same = this.size[0] === width && this.size[1] === height;
    this.size = [width, height];
    this.pixelNm = pixelNm;
    if (same) this.apply();
    else this.fit();
  }

  fit() {
    this.scale = 1;
    this.centre = [this.size[0] / 2, this.size[1] / 2];
    this.apply();
  }

  // Zoom by a factor about the point `at`, in pixels of the image.
  zoom(factor, at = this.centre) {
    const scale = Math.min(MOST, Math.max(1, this.scale * factor));
    const shrink = this.scale / scale;
    this.centre = this.centre.map((value, axis) => at[axis] + (value - at[axis]) * shrink);
    this.scale = scale;
    this.apply();
  }

  // Move the viewport by a fraction of its size.
  move(across, down) {
    this.centre = [
      this.centre[0] + (across * this.size[0]) / this.scale,
      this.centre[1] + (down * this.size[1]) / this.scale,
    ];
    this.apply();
  }

  // Move the viewport as little as is needed to show the pixel at [x, y].
  show(at) {
    const half = this.size.map(side => side / this.scale / 2);
    this.centre = this.centre.map((value, axis) =>
      Math.min(at[axis] + 0.5 + 0.9 * half[axis], Math.max(at[axis] + 0.5 - 0.9 * half[axis], value)));
    this.apply();
  }

  apply() {
    const half = this.size.map(side => side / this.scale / 2);
    this.centre = this.centre.map((value, axis) =>
      Math.min(this.size[axis] - half[axis], Math.max(half[axis], value)));
    const [x, y] = this.centre.map((value, axis) => value - half[axis]);
    for (const view of this.views) {
      view.setAttribute("viewBox", `${x} ${y} ${2 * half[0]} ${2 * half[1]}`);
      view.classList.toggle("zoomed", this.scale > 1); // then a finger moves the image, not the page
      this.align(view);
    }
    this.changed(this.scale);
  }

  // Put the canvas under the view where the view shows the image, and set the length of the scale bar.
  align(view) {
    const way = view.getScreenCTM(), box = view.getBoundingClientRect();
    if (!way || !box.width) return; // not on the screen
    const under = view.previousElementSibling;
    if (under?.matches("canvas"))
      under.style.transform = `matrix(${way.a}, 0, 0, ${way.d}, ${way.e - box.left}, ${way.f - box.top})`;
    const bar = view.parentElement.querySelector(".scale");
    if (!bar) return;
    const unit = this.pixelNm ?? 1, length = barLength((0.3 * box.width * unit) / way.a);
    bar.style.width = `${(length / unit) * way.a}px`;
    bar.textContent = `${length} ${this.pixelNm ? "nm" : "px"}`;
    bar.hidden = this.size[0] < 2;
  }

  // A position of the screen in pixels of the image.
  point(view, { clientX, clientY }) {
    const at = new DOMPoint(clientX, clientY).matrixTransform(view.getScreenCTM().inverse());
    return [at.x, at.y];
  }

  listen(view) {
    view.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.point(view, event));
    }, { passive: false });
    const fingers = new Map(); // pointers that touch this view
    let held = null, apart = 0, from = null, tooling = false;
    const middle = () => {
      const all = [...fingers.values()], clientX = all.reduce((sum, one) => sum + one.clientX, 0) / all.length;
      return { clientX, clientY: all.reduce((sum, one) => sum + one.clientY, 0) / all.length };
    };
    const spread = () => {
      const [a, b] = fingers.values();
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    const hold = () => {
      held = fingers.size ? this.point(view, middle()) : null;
      apart = fingers.size === 2 ? spread() : 0;
    };
    view.addEventListener("pointerdown", event => {
      if (event.button !== 0 || fingers.size === 2) return;
      view.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      from = fingers.size === 1 ? event : null; // two fingers are no click
      if (tooling) this.tool?.cancel();
      tooling = fingers.size === 1 && this.tool?.view === view;
      if (tooling) this.tool.start(this.point(view, event), event);
      hold();
    });
    view.addEventListener("pointermove", event => {
      if (!fingers.has(event.pointerId)) return this.tool?.view === view && this.tool.hover(this.point(view, event));
      fingers.set(event.pointerId, event);
      if (tooling) return this.tool?.move(this.point(view, event));
      if (from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) < STILL) return;
      from = null;
      if (fingers.size === 2) {
        const now = spread();
        this.zoom(now / Math.max(apart, 1), this.point(view, middle()));
        apart = now;
      }
      const at = this.point(view, middle());
      this.centre = this.centre.map((value, axis) => value + held[axis] - at[axis]);
      this.apply();
    });
    const release = event => {
      if (!fingers.delete(event.pointerId)) return;
      if (tooling) this.tool?.[event.type === "pointerup" ? "end" : "cancel"]();
      else if (from && event.type === "pointerup") this.tapped(view, this.point(view, event));
      tooling = false;
      from = null;
      hold();
    };
    view.addEventListener("pointerup", release);
    view.addEventListener("pointercancel", release);
  }
}
