// The desk: input and output of one prediction with outlines, zoom and measurement; verdicts and corrections.
import { ask, picture, read, reason, send } from "./api.js";
import { $, keep, kept, legend, say, uuid } from "./dom.js";
import { List, WORDS } from "./list.js";
import { greyOf, outline, twoLevels } from "./measure.js";
import { Outbox } from "./outbox.js";
import { LARGEST, Painter } from "./painter.js";
import { Probe } from "./probe.js";
import { element, Viewer } from "./viewer.js";

let chosen = null; // id of the prediction that is shown
let present = null; // its record
let loading = null; // promise of its images
const grey = { input: null, output: null }; // the grey values of both images
const shown = { output: true, input: true }; // outlines
export const classes = new Map(); // by direction, of the model that serves it
const BY_FILE = "Colour and classes are corrected by a file.";

export const list = new List(() => chosen, show);
export const viewer = new Viewer([$("view-input"), $("view-output")], {
  changed: scale => { $("zoom").textContent = `${scale < 10 ? Math.round(scale * 10) / 10 : Math.round(scale)}×`; },
  tapped: (view, at) => { if (present) probe.set(at); },
});
export const painter = new Painter($("output"), $("view-output"), viewer, () => {
  drawPainter();
  if (grey.input) changed();
});
export const probe = new Probe(viewer,
  () => ["output", "input"].filter(name => grey[name]).map(name => ({ name, image: grey[name] })),
  text => {
    $("reading").textContent = text || "Click the image to measure a width.";
    $("measure").setAttribute("aria-pressed", probe.keys);
  });

// ---- verdicts

const deliver = ({ item, id, verdict, reviewer }) =>
  send(`/predictions/${item}/verdicts/${id}`, { verdict, ...(reviewer ? { reviewer } : {}) }, "PUT");
const outbox = new Outbox("gantrans-serve", deliver, {
  acknowledged({ item, verdict }) {
    for (const one of [list.find(item), present]) if (one?.id === item) one.verdict = verdict;
    say(verdict ? `Saved: ${WORDS[verdict]}.` : "Verdict withdrawn.");
    drawVerdict();
  },
  waiting(why) { say(`Not saved yet: ${why}. Retrying …`, true); },
  refused(event, why) { say(`Not saved: ${why}`, true); drawVerdict(); },
});
export const sendWaiting = () => outbox.send();

export function judge(verdict) {
  if (!present) return;
  say("Saving …");
  outbox.put({ item: chosen, verdict, reviewer: $("reviewer").value.trim() });
  drawVerdict();
}

function drawVerdict() {
  list.draw();
  const pending = outbox.pending(chosen);
  for (const button of document.querySelectorAll(".verdict")) {
    button.setAttribute("aria-pressed", !pending && present?.verdict === button.dataset.verdict);
    button.toggleAttribute("data-pending", pending?.verdict === button.dataset.verdict);
  }
  for (const button of document.querySelectorAll(".verdict, #withdraw, #correct, #measure")) button.disabled = !present;
  const plain = !present || !grey.output?.colour; // a brush of black and white suits grey
  $("correct").disabled ||= !plain;
  $("correct").title = plain ? "" : BY_FILE;
}

// ---- images

export function show(id) {
  loading = load(id);
  return loading;
}

export const settled = () => loading;

async function load(id) {
  if (painter.unsaved && id !== chosen) {
    list.draw();
    return say("Save the correction (S), undo it (Z) or discard it first.", true);
  }
  if (id !== chosen) present = null;
  chosen = id;
  $("views").ariaBusy = "true";
  drawVerdict();
  if (!id) return blank("Nothing is translated yet: choose an image on this page, or send one with POST /translate.");
  const record = await read(`/predictions/${id}`);
  if (chosen !== id) return;
  try {
    const [given, made] = await Promise.all(["input", "output"].map(name => picture(`/predictions/${id}/${name}.png`)));
    if (chosen !== id) return;
    open(record, given, made);
  } catch (error) { // no answer, or a picture that is damaged on the disk
    if (chosen === id) blank(error.message);
  }
}

function blank(text) {
  present = grey.input = grey.output = painter.pixels = null;
  for (const name of ["input", "output"]) {
    Object.assign($(name), { width: 1, height: 1 });
    $(`view-${name}`).replaceChildren();
  }
  $("views").ariaBusy = "false";
  probe.clear();
  painter.set(false);
  viewer.open(1, 1);
  $("caption-input").textContent = "Input";
  $("caption-output").textContent = "Output";
  $("reading").textContent = text;
  drawVerdict();
}

function open(record, given, made) {
  present = record;
  $("views").ariaBusy = "false";
  grey.input = grey.output = null;
  Object.assign($("input"), { width: given.width, height: given.height });
  $("input").getContext("2d", { willReadFrequently: true }).drawImage(given, 0, 0);
  painter.open(made);
  viewer.open(given.width, given.height, record?.pixel_nm ?? null);
  grey.input = greyOf($("input"));
  probe.clear();
  changed();
  const size = record?.pixel_nm ? `, ${record.pixel_nm} nm per px` : "";
  $("caption-input").textContent = `Input, ${given.width} × ${given.height} px${size}`;
  legend($("legend"), classes.get(record?.direction) ?? []);
  $("caption-output").textContent = `Output of ${record?.model ?? "?"}`;
  drawVerdict();
}

// The output's pixels are new: measure and outline them again.
function changed() {
  grey.output = greyOf($("output"));
  if (classes.get(present?.direction)?.length) grey.output.colour = true; // edges between classes have no level
  drawOutlines();
  if (probe.at) probe.draw();
}

// An outline is drawn on the other image, and only of an image with two levels: a grey one has no clear edges.
function drawOutlines() {
  for (const [name, other] of [["output", "input"], ["input", "output"]]) {
    const view = $(`view-${other}`), button = $(`show-${name}`);
    view.querySelector(".outline")?.remove();
    const drawable = Boolean(grey[name]) && twoLevels(grey[name]);
    button.disabled = !drawable;
    button.title = drawable || !grey[name] ? "" : `The ${name} has grey values or colours, and no clear edges.`;
    button.setAttribute("aria-pressed", shown[name] && drawable);
    const path = drawable && shown[name] ? outline(grey[name]) : "";
    if (path === null) say(`The ${name} has too many edges for an outline.`, true);
    if (!path) continue;
    const kinds = ["rim", name === "output" ? "output" : "reference"], lines = element("g", { class: "outline" });
    lines.append(...kinds.map(kind => element("path", { d: path, class: kind })));
    view.prepend(lines);
  }
}

export function toggle(name) {
  shown[name] = !shown[name];
  drawOutlines();
}

export async function translate(file) {
  say(`Translating ${file.name ?? "the image"} …`);
  const body = new FormData();
  body.append("image", file);
  const parameters = new URLSearchParams({ direction: $("direction").value, format: "json" });
  if ($("bits").value) parameters.set("bits", $("bits").value);
  const answer = await ask(`/translate?${parameters}`, { method: "POST", body }).catch(() => null);
  if (!answer?.ok) return say(await reason(answer), true);
  const made = await answer.json();
  say(`Translated in ${Math.round(made.milliseconds.forward ?? 0)} ms.`);
  await list.refresh(made.id);
}

// ---- corrections

export async function correct(blob) {
  const id = chosen, strokes = painter.strokes.length;
  if (!present || !blob) return;
  const body = new FormData();
  body.append("image", blob);
  const path = `/predictions/${id}/labels/${uuid()}?kind=corrected`;
  const answer = await ask(path, { method: "PUT", body }).catch(() => null);
  if (!answer?.ok) return say(`Not saved: ${await reason(answer)}`, true);
  const row = list.find(id);
  if (row) row.done = true;
  if (chosen === id) painter.saved = strokes;
  painter.set(false);
  drawVerdict();
  say("Correction saved.");
}

function drawPainter() {
  $("correct").setAttribute("aria-pressed", painter.active);
  $("paint").hidden = !painter.active;
  for (const name of ["brush", "rectangle"]) $(name).setAttribute("aria-pressed", painter.shape === name);
  $("size").value = painter.size;
  $("size-text").textContent = `${painter.size} px`;
  $("ink").querySelector("span").textContent = { 0: "black", 255: "white" }[painter.ink] ?? `grey ${painter.ink}`;
  $("undo").disabled = !painter.strokes.length;
  $("redo").disabled = !painter.undone.length;
  $("save").disabled = $("discard").disabled = !painter.unsaved;
}

export async function paint() {
  await loading;
  if (!present) return;
  if (grey.output?.colour) return say(BY_FILE, true);
  probe.clear();
  painter.set(!painter.active);
}

export function brush(shape, size = painter.size) {
  painter.cancel();
  Object.assign(painter, { shape, size: Math.min(LARGEST, Math.max(1, size)) });
  painter.draw();
  drawPainter();
}

export function ink() {
  painter.ink = painter.ink === 255 ? 0 : 255;
  drawPainter();
}

export async function save() {
  if (painter.active && painter.unsaved) await correct(await painter.blob());
  else if (painter.active) say("Nothing is painted yet.", true);
}

export function discard() {
  const id = chosen;
  painter.forget();
  chosen = null; // load it again
  return show(id);
}

$("reviewer").value = kept("gantrans-name");
$("reviewer").addEventListener("change", () => keep("gantrans-name", $("reviewer").value.trim()));
