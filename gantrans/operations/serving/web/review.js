// The review page: one item at a time, usable by keyboard. Metrics are sent with the acknowledgement of a verdict.
import { reason } from "./api.js";
import { $, keep, kept, legend, make, say } from "./dom.js";
import { greyOf } from "./measure.js";
import { Outbox } from "./outbox.js";
import { Probe } from "./probe.js";
import { element, Viewer } from "./viewer.js";

const VIEWS = ["input", "output", "reference"];
const LABELS = {
  epe: "EPE", epe_p95: "EPE p95", iou: "IoU", opens: "Opens", bridges: "Bridges", missing: "Missing", extra: "Extra",
  l1: "L1", ssim: "SSIM", psnr: "PSNR", mean_iou: "Mean IoU", accuracy: "Accuracy",
};
const UNITS = { psnr: "dB" };
const DIGITS = { iou: 3, mean_iou: 3, accuracy: 3, l1: 3, ssim: 3, psnr: 1, epe: 2, epe_p95: 2 };
const WORDS = { accept: "Accepted", minor: "Minor fault", reject: "Rejected" };

const about = await (await fetch("/api/review")).json();
const HINT = about.measurable ? "Click an image to measure a width." : "";
const OUTLINED = ["show-output", "show-reference", "measure"];
const items = about.items;
const shown = { output: true, reference: true, difference: false };
const made = []; // indices in the order in which they were judged, for undo
const drafts = {}; // notes that wait for a verdict
let index = 0; // of the item that is shown
let wanted = 0; // of the one that is asked for
let current = null;
let saving = null; // the timer that clears "Saved"
let grey = []; // grey values of the item's images, for measuring

const viewer = new Viewer(VIEWS.map(name => $(`view-${name}`)), {
  changed: scale => { $("zoom").textContent = `${scale < 10 ? Math.round(scale * 10) / 10 : Math.round(scale)}×`; },
  tapped: (view, at) => { if (current && about.measurable) probe.set(at); },
});
const probe = new Probe(viewer, () => grey, text => {
  $("reading").textContent = text || HINT;
  $("measure").setAttribute("aria-pressed", probe.keys);
});

const deliver = event => fetch("/api/verdicts", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(event),
});
const outbox = new Outbox(`gantrans-review-${about.review}`, deliver, {
  acknowledged(event, saved) {
    const place = items.findIndex(other => other.item === event.item);
    if (place >= 0) items[place].verdict = saved.verdict;
    if (current?.item === event.item && !outbox.pending(event.item)) Object.assign(current, saved);
    say(saved.verdict ? `Saved: ${WORDS[saved.verdict].toLowerCase()}.` : "Verdict withdrawn.");
    clearTimeout(saving);
    saving = setTimeout(() => say(""), 4000);
    drawVerdict();
  },
  waiting(why) { say(`Not saved yet: ${why}. Retrying …`, true); },
  refused(event, why) { say(`Not saved: ${why}`, true); drawVerdict(); },
});

async function go(to) {
  if (to < 0 || to >= items.length) return;
  wanted = to;
  const answer = await fetch(`/api/items/${to}`).catch(() => null);
  if (wanted !== to) return; // a later key was faster
  if (!answer?.ok) {
    wanted = index;
    return say(answer ? await reason(answer) : "The server does not respond; start it again.", true);
  }
  const item = await answer.json();
  if (wanted !== to) return;
  index = to;
  current = item;
  const waiting = outbox.pending(item.item);
  if (waiting) Object.assign(current, { verdict: waiting.verdict, note: waiting.note, measured: null });
  probe.clear();
  grey = [];
  viewer.open(item.width, item.height, about.pixel_nm ?? null);
  drawPictures();
  measurable(item);
  $("note").value = drafts[item.item] ?? current.note;
  $("note").blur();
  drawVerdict();
  if (to + 1 < items.length) fetch(`/api/items/${to + 1}`).catch(() => null); // computed ahead on the server
}

// The grey values of the images between which widths are compared, the right one first.
async function measurable(item) {
  if (!about.measurable) return;
  const names = about.read_back ? ["input", "output"] : ["reference", "output"];
  const found = await Promise.all(names.map(async name => {
    const picture = Object.assign(new Image(), { src: item.pictures[name] });
    await picture.decode();
    return { name, image: greyOf(picture) };
  }));
  if (current === item) grey = found;
  if (current === item && probe.at) probe.draw();
}

function drawPictures() {
  const { width, height, pictures, outlines } = current;
  for (const name of VIEWS) {
    const source = name === "output" && shown.difference ? "difference" : name;
    const layers = [element("image", { href: pictures[source], width, height })];
    if (name === "input")
      for (const line of ["reference", "output"])
        if (shown[line])
          for (const kind of ["rim", line]) layers.push(element("path", { d: outlines[line], class: kind }));
    $(`view-${name}`).replaceChildren(...layers);
  }
  const kinds = about.kinds;
  $("caption-input").textContent = `Input: ${kinds.input}, ${width} × ${height} px`;
  $("caption-output").textContent = shown.difference
    ? `Difference: orange ${about.classes.length ? "where the class is another" : "more, blue less"}` : `Output: ${kinds.output}`;
  $("caption-reference").textContent = `Reference: ${kinds.reference}`;
  if (probe.at) probe.draw(); // above the new layers
  for (const name of Object.keys(shown)) $(`show-${name}`).setAttribute("aria-pressed", shown[name]);
}

function drawVerdict() {
  const judged = items.filter(item => item.verdict).length;
  $("title").textContent = about.title;
  document.title = `${judged}/${items.length} ${about.title}`;
  $("progress").value = judged;
  $("progress").max = items.length;
  $("judged").textContent = `${judged} of ${items.length} reviewed`;
  $("place").textContent = `${index + 1} / ${items.length}`;
  $("previous").disabled = index === 0;
  $("next").disabled = index === items.length - 1;
  if (!current) return;
  const pending = outbox.pending(current.item);
  for (const button of document.querySelectorAll(".verdict")) {
    const word = button.dataset.verdict;
    button.setAttribute("aria-pressed", current.verdict === word && !pending);
    button.toggleAttribute("data-pending", pending?.verdict === word);
  }
  const rows = Object.entries(current.measured ?? {}).map(([name, value]) => {
    const unit = name.startsWith("epe") ? about.unit : UNITS[name];
    const text = value?.toFixed(DIGITS[name] ?? 0);
    return row(LABELS[name] ?? name, value === null ? "not defined" : unit ? `${text} ${unit}` : text);
  });
  if (rows.length) rows.unshift(row("Family", current.family));
  if (rows.length && about.read_back) rows.push(row("Edges", `read back from the ${about.kinds.output}`));
  $("measured").replaceChildren(...(rows.length ? rows : [row("Measured", "shown after the verdict")]));
}

function row(name, value) {
  return make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }));
}

function judge(verdict, note = $("note").value.trim()) {
  if (!current) return;
  if (verdict && !made.includes(index)) made.push(index);
  delete drafts[current.item];
  Object.assign(current, { verdict, note, measured: null });
  say("Saving …");
  const reviewer = $("reviewer").value.trim();
  outbox.put({ item: current.item, verdict, note, ...(reviewer ? { reviewer } : {}) });
  drawVerdict();
}

async function undo() {
  const last = made.pop();
  if (last !== undefined && last !== index) await go(last);
  if (current?.verdict) {
    const note = current.note;
    judge(null, "");
    drafts[current.item] = note; // the note stays in the field
  }
}

function saveNote() {
  const note = $("note").value.trim();
  $("note").blur();
  if (!current || note === current.note) return;
  if (current.verdict) judge(current.verdict, note);
  else {
    drafts[current.item] = note;
    say("The note will be saved with your verdict.");
  }
}

function nextOpen() {
  for (let step = 1; step <= items.length; step++) {
    const to = (index + step) % items.length;
    if (!items[to].verdict && !outbox.pending(items[to].item)) return go(to);
  }
  say("All items have a verdict.");
}

function toggle(name) {
  shown[name] = !shown[name];
  if (current) drawPictures();
}

const KEYS = {
  1: () => judge("accept"), 2: () => judge("minor"), 3: () => judge("reject"), u: undo,
  n: () => $("note").focus(), ArrowLeft: () => go(wanted - 1), ArrowRight: () => go(wanted + 1), Enter: nextOpen,
  o: () => toggle("output"), r: () => toggle("reference"), d: () => toggle("difference"),
  "+": () => viewer.zoom(1.5), "=": () => viewer.zoom(1.5), "-": () => viewer.zoom(1 / 1.5), 0: () => viewer.fit(),
  k: () => { if (about.measurable) probe.toggle(); }, "?": () => $("keys").showModal(),
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function actionOf(event) {
  const move = MOVES[event.key];
  if (move && event.shiftKey) return () => viewer.move(0.15 * move[0], 0.15 * move[1]);
  if (move && probe.keys) return () => probe.step(...move);
  if (event.key === "Escape" && probe.at) return () => probe.clear();
  return KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target === $("note")) {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); saveNote(); }
    if (event.key === "Escape") { $("note").value = drafts[current?.item] ?? current?.note ?? ""; $("note").blur(); }
    return;
  }
  if (event.target === $("reviewer")) return;
  if (event.key === "Enter" && event.target.closest("button, a")) return; // presses what has the focus
  const action = actionOf(event);
  if (!action || (event.repeat && !event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  action();
});

const CLICKS = {
  "show-output": () => toggle("output"), "show-reference": () => toggle("reference"),
  "show-difference": () => toggle("difference"),
  "zoom-in": KEYS["+"], "zoom-out": KEYS["-"], fit: KEYS[0], previous: KEYS.ArrowLeft, next: KEYS.ArrowRight,
  undo, jump: nextOpen, help: KEYS["?"], measure: KEYS.k,
};
for (const [id, action] of Object.entries(CLICKS)) $(id).addEventListener("click", () => action());
for (const button of document.querySelectorAll(".verdict"))
  button.addEventListener("click", () => judge(button.dataset.verdict));
$("note").addEventListener("change", saveNote);
$("reviewer").value = kept("gantrans-name");
$("reviewer").addEventListener("change", () => keep("gantrans-name", $("reviewer").value.trim()));

for (const id of OUTLINED) $(id).disabled = !about.measurable; // colour and classes have no level to follow
legend($("legend"), about.classes);
outbox.send(); // events that an earlier visit could not send
const open = items.findIndex(item => !item.verdict && !outbox.pending(item.item));
await go(open < 0 ? 0 : open);
