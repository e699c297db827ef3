// Geometry of an image {width, height, values}, `values` grey from 0 to 255, row by row. The same definitions as in
// `gantrans.metrics`: an edge lies where the grey value crosses half, with linear interpolation between pixels.
const LEVEL = 127.5;
const MOST_SEGMENTS = 60000; // an outline of noise is no use, and it would freeze the page

// The grey values of a canvas, a bitmap or an <img>, of colour its luma; `colour`: whether a pixel is no grey.
export function greyOf(source) {
  const width = source.naturalWidth || source.width, height = source.naturalHeight || source.height;
  let context = source.getContext?.("2d", { willReadFrequently: true });
  if (!context) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(source, 0, 0);
  }
  const pixels = context.getImageData(0, 0, width, height).data;
  const values = new Uint8Array(width * height);
  let colour = false;
  for (let place = 0; place < values.length; place++) {
    const [red, green, blue] = [pixels[4 * place], pixels[4 * place + 1], pixels[4 * place + 2]];
    colour ||= red !== green || green !== blue;
    values[place] = (299 * red + 587 * green + 114 * blue + 500) / 1000;
  }
  return { width, height, values, colour };
}

// Whether nearly all pixels are close to black or to white, as in a layout. Widths are measured in such images only.
export function twoLevels({ values, colour = false }) {
  if (colour) return false;
  let clear = 0;
  for (const value of values) clear += value < 32 || value > 223;
  return clear >= 0.8 * values.length;
}

// The run through pixel (x, y) along a row (axis 0) or a column (axis 1): {start, end} in px, pixel centres at whole
// numbers, `line` whether it is a feature (bright) or a space, `whole` whether both edges lie inside the image.
export function runAt({ width, height, values }, x, y, axis) {
  const length = axis ? height : width;
  const at = axis ? place => values[place * width + x] : place => values[y * width + place];
  let first = axis ? y : x, last = first;
  const line = at(first) > LEVEL;
  while (first > 0 && at(first - 1) > LEVEL === line) first--;
  while (last < length - 1 && at(last + 1) > LEVEL === line) last++;
  const edge = (outer, inner) => {
    if (outer < 0 || outer >= length) return inner + 0.5 * (outer - inner);
    return inner + ((outer - inner) * (LEVEL - at(inner))) / (at(outer) - at(inner));
  };
  const whole = first > 0 && last < length - 1;
  return { axis, line, whole, start: edge(first - 1, first), end: edge(last + 1, last) };
}

// The critical dimension through a pixel: the shorter of the runs along its row and its column that lie inside the
// image; null if both run into the border.
export function widthAt(image, x, y) {
  const whole = [0, 1].map(axis => runAt(image, x, y, axis)).filter(run => run.whole);
  if (!whole.length) return null;
  return whole.reduce((a, b) => (b.end - b.start < a.end - a.start ? b : a));
}

// Sides of a marching-squares cell (0 top, 1 bottom, 2 left, 3 right) that the contour crosses, by the sum of 1, 2, 4,
// 8 for a bright upper left, upper right, lower left, lower right pixel. Two bright pixels in diagonal stay apart.
const SIDES = [
  [], [[0, 2]], [[3, 0]], [[3, 2]], [[2, 1]], [[0, 1]], [[3, 0], [2, 1]], [[3, 1]],
  [[1, 3]], [[0, 2], [1, 3]], [[1, 0]], [[1, 2]], [[2, 3]], [[0, 3]], [[2, 0]], [],
];

// The contours as the `d` of an SVG path, pixel (0, 0) from 0 to 1; null if there are too many.
export function outline({ width, height, values }) {
  const parts = [];
  for (let y = 0; y < height - 1; y++) {
    for (let x = 0, place = y * width; x < width - 1; x++, place++) {
      const corners = [values[place], values[place + 1], values[place + width], values[place + width + 1]];
      const kind = corners.reduce((sum, value, bit) => sum + (value > LEVEL ? 1 << bit : 0), 0);
      if (kind === 0 || kind === 15) continue;
      const [a, b, c, d] = corners, part = (one, two) => (LEVEL - one) / (two - one);
      const crossing = side => {
        const [across, down] = [[part(a, b), 0], [part(c, d), 1], [0, part(a, c)], [1, part(b, d)]][side];
        return `${(x + across + 0.5).toFixed(2)} ${(y + down + 0.5).toFixed(2)}`;
      };
      for (const [from, to] of SIDES[kind]) parts.push(`M${crossing(from)}L${crossing(to)}`);
      if (parts.length > MOST_SEGMENTS) return null;
    }
  }
  return parts.join("");
}

// The largest of 1, 2, 5, 10, 20, 50, ... that is at most `most`; lengths below 1 are allowed.
export function barLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return Number((power * [5, 2, 1].find(step => step * power <= most * (1 + 1e-9))).toPrecision(1));
}
