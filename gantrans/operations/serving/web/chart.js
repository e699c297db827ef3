// A quantity over time with both axes: the newest value in words, a line, its limit, and the value at the pointer.
import { make, quiet, short, when } from "./dom.js";
import { element } from "./viewer.js";

const WIDTH = 300, HEIGHT = 60; // of the drawing; the page stretches it to the column
const clock = seconds => when(new Date(1000 * seconds).toISOString());

// Positions in the drawing of times (seconds since 1970) and of values.
function axesOf({ points, limit, start, end }) {
  const all = points.map(([, value]) => value).concat(limit ?? []);
  let low = Math.min(...all), high = Math.max(...all);
  if (low >= 0 && low < 0.7 * high) low = 0; // an axis from 0 where it costs little
  if (low === high) [low, high] = low < 0 ? [low, 0] : [0, high || 1];
  return {
    low, high,
    x: at => (WIDTH * (at - start)) / Math.max(1, end - start),
    y: value => HEIGHT - (HEIGHT * (value - low)) / (high - low),
  };
}

// Line and dots: the line breaks where no value was kept for longer than `step` seconds; a value that stands alone
// is a dot.
function trace({ points, step }, { x, y }) {
  const near = index => index >= 0 && index + 1 < points.length && points[index + 1][0] - points[index][0] <= 1.5 * step;
  const place = ([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  return {
    line: points.map((point, index) => `${near(index - 1) ? "L" : "M"}${place(point)}`).join(""),
    dots: points.map((point, index) => (near(index - 1) || near(index) ? "" : `M${place(point)}h.01`)).join(""),
  };
}

function drawing(series, axes, said) {
  const plot = element("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: 0, "aria-label": said,
  });
  if (series.limit !== null)
    plot.append(element("path", { class: "limit", d: `M0 ${axes.y(series.limit).toFixed(1)}H${WIDTH}` }));
  const { line, dots } = trace(series, axes);
  plot.append(element("path", { class: "trace", d: line }), element("path", { class: "dots", d: dots }));
  return plot;
}

// The value at the pointer, or at a mark that the arrow keys move.
function readable(plot, points, axes, show) {
  const mark = plot.appendChild(element("path", { class: "mark", d: "" }));
  let chosen = points.length;
  const read = index => {
    chosen = Math.min(points.length - 1, Math.max(0, index));
    mark.setAttribute("d", `M${axes.x(points[chosen][0]).toFixed(1)} 0V${HEIGHT}`);
    show(points[chosen]);
  };
  const follow = event => {
    const box = plot.getBoundingClientRect(), at = (WIDTH * (event.clientX - box.left)) / box.width;
    const away = index => Math.abs(axes.x(points[index][0]) - at);
    read(points.reduce((best, _, index) => (away(index) < away(best) ? index : best), 0));
  };
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    read(chosen + by);
  });
}

// What stands behind a value, from the sentence that the service sends: shares are shown in per cent.
function symbolOf(unit) {
  if (unit.startsWith("share")) return "%";
  return unit.startsWith("ms") ? "ms" : unit.endsWith("per minute") ? "/min" : "";
}

// `series`: {title, unit: a sentence, limit or null, points: [[seconds since 1970, value, number behind it], ...] oldest first,
// start, end, step: of the time axis in seconds}.
export function chart(series) {
  const { title, unit, limit, points, start, end } = series;
  const symbol = symbolOf(unit), text = value => `${short(symbol === "%" ? 100 * value : value)} ${symbol}`.trim();
  const figure = make("figure", { className: "chart" });
  const newest = make("strong", { textContent: points.length ? text(points.at(-1)[1]) : "–" });
  figure.append(make("figcaption", {}, make("span", { textContent: title }), newest));
  if (unit !== symbol) figure.append(make("p", { className: "quiet", textContent: unit }));
  if (!points.length) {
    figure.append(quiet("No value in this time."));
    return figure;
  }
  const axes = axesOf(series), values = points.map(([, value]) => value);
  const bound = limit === null ? "" : `limit ${text(limit)}`;
  const range = `${text(Math.min(...values))} to ${text(Math.max(...values))} from ${clock(start)} to ${clock(end)}`;
  const newestAt = `${text(values.at(-1))} at ${clock(points.at(-1)[0])}`;
  const plot = drawing(series, axes, [`${title}: ${newestAt}`, range, bound].filter(Boolean).join("; "));
  const label = textContent => make("span", { textContent }), reading = label(bound);
  figure.append(
    make("div", { className: "plot" },
      make("div", { className: "y" }, label(text(axes.high)), label(text(axes.low))), plot),
    make("div", { className: "x" }, label(clock(start)), reading, label(clock(end))),
  );
  readable(plot, points, axes, ([at, value, count]) => {
    reading.textContent = `${clock(at)}: ${text(value)}${count === undefined || count === null ? "" : ` of ${count}`}`;
  });
  return figure;
}
