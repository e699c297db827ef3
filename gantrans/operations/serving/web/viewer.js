// Three images with one viewport: they zoom and move together.
const NS = "http://www.w3.org/2000/svg";
const MOST = 32;

export function element(name, attributes = {}) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export class Viewer {
  constructor(views, changed) {
    this.views = views;
    this.changed = changed;
    this.size = [1, 1];
    this.fit();
    for (const view of views) this.listen(view);
  }

  // Show an image of this size in pixels; the viewport is kept if the size is unchanged.
  open(width, height) {
    const same = this.size[0] === width && this.size[1] === height;
    this.size = [width, height];
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

  apply() {
    const half = this.size.map(side => side / this.scale / 2);
    this.centre = this.centre.map((value, axis) =>
      Math.min(this.size[axis] - half[axis], Math.max(half[axis], value)));
    const [x, y] = this.centre.map((value, axis) => value - half[axis]);
    for (const view of this.views) view.setAttribute("viewBox", `${x} ${y} ${2 * half[0]} ${2 * half[1]}`);
    this.changed(this.scale);
  }

  listen(view) {
    const point = event => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.getScreenCTM().inverse());
      return [at.x, at.y];
    };
    view.addEventListener("wheel", event => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, point(event));
    }, { passive: false });
    let held = null;
    view.addEventListener("pointerdown", event => {
      held = point(event);
      view.setPointerCapture(event.pointerId);
    });
    view.addEventListener("pointermove", event => {
      if (!held) return;
      const now = point(event);
      this.centre = this.centre.map((value, axis) => value + held[axis] - now[axis]);
      this.apply();
    });
    for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => { held = null; });
  }
}
