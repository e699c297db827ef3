// Edits an image pixel by pixel, with the mouse or with the arrow keys and the space bar.
export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.active = false;
    this.ink = 255;
    this.at = [0, 0];
    this.pixels = null;
    let held = false;
    canvas.addEventListener("pointerdown", event => {
      held = this.active;
      if (held) canvas.setPointerCapture(event.pointerId);
      this.touch(event, held);
    });
    canvas.addEventListener("pointermove", event => this.touch(event, held));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = false; });
  }

  open(bitmap) {
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    this.pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
    this.at = [bitmap.width >> 1, bitmap.height >> 1];
    this.changed = false;
    this.set(false);
  }

  set(active) {
    this.active = active && Boolean(this.pixels);
    this.canvas.classList.toggle("painting", this.active);
    this.draw();
  }

  // The pixel under the pointer: the image is centred in its box, with one scale for both axes.
  touch(event, paints) {
    if (!this.active || !paints) return;
    const { width, height } = this.canvas, box = this.canvas.getBoundingClientRect();
    const scale = Math.min(box.width / width, box.height / height);
    const x = Math.floor((event.clientX - box.left - (box.width - width * scale) / 2) / scale);
    const y = Math.floor((event.clientY - box.top - (box.height - height * scale) / 2) / scale);
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    this.at = [x, y];
    this.paint();
  }

  move(across, down) {
    const { width, height } = this.canvas;
    this.at = [(this.at[0] + across + width) % width, (this.at[1] + down + height) % height];
    this.draw();
  }

  paint() {
    const place = 4 * (this.at[1] * this.canvas.width + this.at[0]);
    this.pixels.data.set([this.ink, this.ink, this.ink, 255], place);
    this.changed = true;
    this.draw();
  }

  draw(cursor = true) {
    if (!this.pixels) return;
    const context = this.canvas.getContext("2d");
    context.putImageData(this.pixels, 0, 0);
    if (this.active && cursor) {
      context.fillStyle = "#e0591fb0";
      context.fillRect(...this.at, 1, 1);
    }
  }

  // The edited image without the cursor, as PNG.
  blob() {
    this.draw(false);
    return new Promise(resolve => this.canvas.toBlob(blob => { this.draw(); resolve(blob); }, "image/png"));
  }
}
