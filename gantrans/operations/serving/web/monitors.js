// The monitors: operation, input drift, quality, each with its history; alarms and the strangest images.
import { picture, read, reason, send } from "./api.js";
import { chart } from "./chart.js";
import { $, askReason, make, number, quiet, redraw, rows, say, share, short, table, when } from "./dom.js";

const GROUPS = {
  operation: {
    volume: "Translations", errors: "Server errors", refused: "Refused",
    latency_p50: "Latency, median", latency_p95: "Latency, 95 %",
  },
  drift: { drift_score: "Window score", drift_chart: "Control chart", outliers: "Outliers" },
  performance: { quality: "Quality", accepted: "Accepted", rejected: "Rejected" },
};
const METRICS = {
  iou: ["IoU", 3], ssim: ["SSIM", 3], epe_px: ["EPE [px]", 2], l1: ["L1", 3], psnr: ["PSNR [dB]", 1],
  mean_iou: ["Mean IoU", 3], accuracy: ["Accuracy", 3],
};
const NOT_WATCHED = "Not watched: make a file with `python -m gantrans drift fit ...` and start with " +
  "`--drift DIRECTION=FILE`.";
const NO_PREDICTION = "No prediction yet, so nothing to judge: translate an image first.";
const NO_LABEL = "No true label yet. Send one with `PUT /predictions/ID/labels/LABEL?kind=truth`; a correction (C) " +
  "says how much a person changed, not how good the output is.";
const NO_HISTORY = "No history yet: one value a minute is kept, also across restarts.";
const SIGN = { drift: "bad", warning: "warn" };

let openImage = () => {}; // shows a prediction at the desk
let known = null; // the newest report

export function start(show) {
  openImage = show;
  $("hours").addEventListener("change", history);
}


// Load the report and draw it; the tab shows whether an alarm waits.
export async function watch() {
  const report = await read("/monitors");
  if (!report) {
    if (!known) redraw($("operational"), { Service: "no response" }, pairs => rows(Object.entries(pairs)));
    return;
  }
  known = report;
  const waiting = Object.values(report.drift ?? {}).some(one => one.status === "drift");
  $("alarm").hidden = !waiting;
  if ($("monitors").hidden) return;
  redraw($("operational"), [report.operational, report.store, report.problems], drawOperation);
  redraw($("drift"), report.drift, drawDrift);
  redraw($("performance"), [report.performance, report.notes, report.reference], drawPerformance);
}

function drawOperation([operational, store, problems]) {
  const latency = Object.values(operational.latency_ms).map(value => number(value, 0)).join(" / ");
  return rows([
    ["Translations since the start", operational.translations], ["Server errors", share(operational.error_rate)],
    ["Latency p50 / p95 / p99", `${latency} ms`], ["Predictions stored", store.predictions],
    ["Labels", store.labels], ["Labels without prediction", store.waiting_labels],
    ...Object.entries(problems).map(([name, text]) => [`Problem: ${name}`, text]),
  ]);
}

// ---- input drift

function drawDrift(drift) {
  if (!drift) return quiet(NOT_WATCHED);
  return Object.entries(drift).map(([direction, one]) => {
    const part = make("div", { className: "part" });
    const state = make("span", { className: `state ${SIGN[one.status] ?? "good"}`, textContent: one.status });
    part.append(make("h3", {}, `${direction}: `, state));
    if (one.problem) part.append(make("p", { className: "bad", textContent: one.problem }));
    part.append(make("dl", {}, ...rows([
      ["Images seen", one.seen], ["Outliers", share(one.outlier_rate)],
      ["Window score / limit", `${number(one.score, 2)} / ${number(one.threshold, 2)}`],
      ["Control chart / limit", `${number(one.chart, 2)} / ${number(one.limit, 2)}`],
      ...(one.unmeasured ? [["Too small to measure", one.unmeasured]] : []),
    ])));
    part.append(alarms(direction, one));
    if (one.features?.length) part.append(features(direction, one.features));
    return part;
  });
}

const measured = one =>
  `${one.feature} ${short(one.value)} instead of ${short(one.reference)} (${deviation(one.deviations)})`;
const deviation = value =>
  (value === null ? "not known" : `${value < 0 ? "−" : "+"}${short(Math.abs(value))} spreads`);
const alarmsOf = open => (open === 1 ? "the alarm" : `${open} alarms`);

function alarms(direction, one) {
  const part = make("div");
  if (!one.alarms.length) return quiet("No alarm so far.");
  part.append(make("ul", { className: "alarms" }, ...one.alarms.toReversed().map(alarm => {
    const cause = alarm.values?.length ? alarm.values.map(measured).join("; ") : alarm.features.join(", ");
    const level = { chart: "control chart", windows: "window test" }[alarm.level] ?? alarm.level;
    const words = [level, `image ${alarm.image}`, alarm.made_at && when(alarm.made_at), alarm.acknowledged && "acknowledged"];
    return make("li", { className: alarm.acknowledged ? "" : "open" },
      make("b", { textContent: cause }), ` – ${words.filter(Boolean).join(", ")}`);
  })));
  const open = one.alarm_count - one.acknowledged;
  if (open > 0) {
    const button = make("button", {
      type: "button", "data-key": `acknowledge ${direction}`, textContent: `Acknowledge ${alarmsOf(open)} …`,
    });
    button.addEventListener("click", () => acknowledge(direction, one.alarm_count, open));
    part.append(button);
  }
  for (const event of (one.acknowledgements ?? []).toReversed())
    part.append(quiet(`${when(event.made_at)}, ${event.who || "somebody"} acknowledged: ${event.why}`));
  return part;
}

async function acknowledge(direction, count, open) {
  const given = await askReason({
    title: `Acknowledge ${alarmsOf(open)} of ${direction}`, action: "Acknowledge",
    text: "What was found? The reason is kept with the detector. Later images can raise a new alarm.",
  });
  if (!given) return;
  const body = { who: given.by, why: given.reason, alarms: count };
  const path = `/monitors/drift/${encodeURIComponent(direction)}/acknowledgements`;
  const answer = await send(path, body).catch(() => null);
  say(answer?.ok ? "Acknowledged." : `Not acknowledged: ${await reason(answer)}`, !answer?.ok);
  await watch();
}

function features(direction, list) {
  const body = list.map(one => [
    one.feature, short(one.value), short(one.reference), deviation(one.deviations), one.beyond ? "beyond the limit" : null,
  ]);
  return make("details", { "data-key": `features ${direction}` }, make("summary", { textContent: "All features" }),
    table(["feature", "last images", "reference", "deviation", "chart"], body, { className: "stack" }));
}

// ---- quality

const mean = (value, digits) => (value?.count ? `${number(value.mean, digits)}` : null);

function drawPerformance([list, notes, reference]) {
  if (!list.length) return quiet(NO_PREDICTION);
  const used = Object.keys(METRICS).filter(name => list.some(row => row[name]?.count));
  const head = ["Version", "True labels", ...used.map(name => METRICS[name][0]), "Corrected", "Accepted", "Rejected", "Reference"];
  const of = one => (one?.count ? `${share(one.share)} (${share(one.low)} to ${share(one.high)})` : null);
  const body = list.map(row => {
    const { corrected, verdicts } = row, damaged = row.damaged ? `, ${row.damaged} damaged` : "";
    const waits = row.waiting ? `, ${row.waiting} being measured` : "";
    const changed = corrected?.count ? `${corrected.count}, ${share(corrected.changed_pixels.mean)} of px` : null;
    return [`${row.model} (${row.direction})`, `${row.labelled} of ${row.predictions}${waits}${damaged}`,
      ...used.map(name => mean(row[name], METRICS[name][1])), changed,
      verdicts?.count ? of({ count: verdicts.count, ...verdicts.accept }) : null,
      verdicts?.count ? of({ count: verdicts.count, ...verdicts.reject }) : null, row.reference ? "yes" : choice(row)];
  });
  const parts = [table(head, body, { className: "stack" })];
  if (list.every(row => !row.labelled))
    parts.push(quiet(NO_LABEL));
  for (const [direction, one] of Object.entries(reference ?? {}))
    parts.push(quiet(`${direction} is compared with ${one.model}, ${
      one.chosen ? `chosen: ${one.why}` : "the first version with true labels; nobody chose it"}.`));
  if (notes)
    parts.push(make("details", { "data-key": "notes" },
      make("summary", { textContent: "What these numbers mean" }), ...Object.values(notes).map(quiet)));
  return parts;
}

// A version of the registry with true labels can be made the reference, which a promotion never does.
function choice(row) {
  if (!row.labelled || !/^v[0-9]+$/.test(row.model)) return null;
  const button = make("button", {
    type: "button", "data-key": `reference ${row.direction} ${row.model}`, textContent: "Make it the reference …",
  });
  button.addEventListener("click", async () => {
    const given = await askReason({
      title: `Make ${row.model} the reference of ${row.direction}`, action: "Make it the reference",
      text: "The quality of every later version is compared with this version's, measured on its true labels.",
    });
    if (!given) return;
    const path = `/monitors/reference/${encodeURIComponent(row.direction)}`;
    const body = { model: row.model, who: given.by, why: given.reason };
    const answer = await send(path, body, "PUT").catch(() => null);
    say(answer?.ok ? `${row.model} is the reference now.` : `Not changed: ${await reason(answer)}`, !answer?.ok);
    await watch();
  });
  return button;
}

// ---- history

export async function history() {
  if ($("monitors").hidden) return;
  const kept = await read(`/monitors/history?hours=${$("hours").value}`);
  if (!kept) return;
  const axis = { start: Date.parse(kept.start) / 1000, end: Date.parse(kept.end) / 1000, step: kept.step_s };
  $("history-text").textContent = `${when(kept.start)} to ${when(kept.end)}, one value per ${length(kept.step_s)}`;
  for (const [group, names] of Object.entries(GROUPS)) {
    const series = kept.series.filter(one => one.name in names)
      .map(one => ({ ...one, ...axis, ...labelled(one, names[one.name]) }));
    redraw($(`charts-${group}`), series, all => (all.length ? all.map(chart) : quiet(NO_HISTORY)));
  }
}

// The line's title; the unit of quality is the name of a metric, which belongs there.
function labelled({ unit, direction, model }, name) {
  const metric = METRICS[unit]?.[0], title = [name, metric, direction, model].filter(Boolean).join(", ");
  return { title, unit: metric ? "" : unit };
}

function length(seconds) {
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

// ---- strangest images

const urls = new Map(); // thumbnails, by prediction

async function thumbnail(id, canvas) {
  try {
    if (!urls.has(id)) urls.set(id, await picture(`/predictions/${id}/input.png`));
    const bitmap = urls.get(id);
    Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  } catch {
    canvas.replaceWith(quiet("The picture cannot be read."));
  }
}

export async function strangest() {
  if ($("monitors").hidden) return;
  const names = [...$("direction").options].map(option => option.value), found = [];
  for (const direction of names) {
    const one = await read(`/strangest?direction=${encodeURIComponent(direction)}&count=12`);
    if (one) found.push(one);
  }
  redraw($("strangest"), found, drawStrangest);
  if (found.some(one => one.waiting)) setTimeout(strangest, 1000); // the service measures a part at a time
  const shown = new Set(found.flatMap(one => one.images.map(image => image.id)));
  for (const id of urls.keys()) if (!shown.has(id)) urls.delete(id);
}

const NOT_RANKED = "Nothing to rank yet: without `--drift` ten images of a direction are compared with each other.";

function drawStrangest(found) {
  const parts = found.filter(one => one.images.length).flatMap(one => [
    quiet(`${one.direction}: of the last ${one.considered} images the furthest from ${
      one.against === "reference" ? "the reference" : "the others"}. Choose one to look at it and to label it.`),
    make("div", { className: "thumbs" }, ...one.images.map(image => {
      const canvas = make("canvas", { "aria-hidden": "true", width: 1, height: 1 });
      const state = image.labelled ? "labelled" : image.verdict;
      const button = make("button", { type: "button", "data-key": `image ${image.id}` }, canvas,
        make("span", { textContent: `${image.feature}: ${short(image.distance)} spreads` }),
        make("span", { className: "quiet", textContent: [when(image.made_at), state].filter(Boolean).join(", ") }));
      button.addEventListener("click", () => openImage(image.id));
      thumbnail(image.id, canvas);
      return button;
    })),
  ]);
  return parts.length ? parts : quiet(NOT_RANKED);
}
