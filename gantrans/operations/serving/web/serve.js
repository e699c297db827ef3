// The service's page: tabs, keys, and what is asked of the service again and again.
import { ask } from "./api.js";
import { $, say } from "./dom.js";
import { history, start as startMonitors, strangest, watch } from "./monitors.js";
import { versions } from "./registry.js";
import * as desk from "./work.js";

const { list, painter, probe, viewer } = desk;
const TABS = ["work", "monitors", "registry"];
const EVERY = 5000, RARELY = 12; // every 5 s the list and the state, every minute the history

// ---- tabs

async function open(tab) {
  for (const name of TABS) {
    $(name).hidden = name !== tab;
    $(`tab-${name}`).setAttribute("aria-selected", name === tab);
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  remember(tab);
  if (tab === "monitors") await Promise.all([watch(), history(), strangest()]);
  if (tab === "registry") await versions();
}

const remember = tab => { if (location.hash !== `#${tab}`) window.history.replaceState(null, "", `#${tab}`); };
const tabOfAddress = () => (TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "work");

async function look(id) {
  await open("work");
  await desk.show(id);
}

// ---- keys

const KEYS = {
  t: () => open("work"), m: () => open("monitors"), v: () => open("registry"), "?": () => $("keys").showModal(),
};
const DESK = {
  1: () => desk.judge("accept"), 2: () => desk.judge("minor"), 3: () => desk.judge("reject"), u: () => desk.judge(null),
  f: () => $("file").click(), q: () => list.switch(!list.queue), c: desk.paint, k: measure,
  o: () => desk.toggle("output"), i: () => desk.toggle("input"),
  "+": () => viewer.zoom(1.5), "=": () => viewer.zoom(1.5), "-": () => viewer.zoom(1 / 1.5), 0: () => viewer.fit(),
  ArrowUp: () => list.step(-1), ArrowDown: () => list.step(1),
};
const PAINT = {
  b: () => desk.brush("brush"), r: () => desk.brush("rectangle"), x: desk.ink, g: () => painter.pick(), s: desk.save,
  z: () => painter.undo(), y: () => painter.redo(), " ": () => painter.press(), Escape: () => painter.cancel(),
  "[": () => desk.brush("brush", painter.size - 1), "]": () => desk.brush("brush", painter.size + 1),
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

async function measure() {
  await desk.settled();
  if (painter.active) await desk.paint();
  probe.toggle();
}

function actionOf(event, key) {
  const move = MOVES[key];
  if ($("work").hidden) return KEYS[key];
  if (event.shiftKey && move) return () => viewer.move(0.15 * move[0], 0.15 * move[1]);
  if (painter.active && move) return () => painter.step(...move);
  if (painter.active && PAINT[key]) return PAINT[key];
  if (probe.keys && move) return () => probe.step(...move);
  if (probe.keys && key === "Escape") return () => probe.clear();
  return DESK[key] ?? KEYS[key];
}

document.addEventListener("keydown", event => {
  if (document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, control = event.ctrlKey || event.metaKey;
  const undoes = control && painter.active && (key === "z" || key === "y");
  if ((control && !undoes) || event.altKey || event.target.matches("select, input, textarea")) return;
  if (event.target.closest("[role=tablist]") && (key === "ArrowLeft" || key === "ArrowRight")) return turn(event);
  if ((key === " " || key === "Enter") && event.target.closest("button, a, summary")) return; // presses what has the focus
  const action = actionOf(event, key);
  if (!action || (event.repeat && !key.startsWith("Arrow"))) return;
  event.preventDefault();
  action();
});

// Arrow keys on the tabs open the neighbour.
function turn(event) {
  event.preventDefault();
  const at = TABS.findIndex(name => $(`tab-${name}`) === event.target);
  const to = TABS[(at + (event.key === "ArrowRight" ? 1 : TABS.length - 1)) % TABS.length];
  open(to);
  $(`tab-${to}`).focus();
}

// ---- pointer

const CLICKS = {
  "tab-work": KEYS.t, "tab-monitors": KEYS.m, "tab-registry": KEYS.v, help: KEYS["?"],
  newest: () => list.switch(false), queue: () => list.switch(true), withdraw: DESK.u, correct: desk.paint, measure,
  "show-output": DESK.o, "show-input": DESK.i, "zoom-in": DESK["+"], "zoom-out": DESK["-"], fit: DESK[0],
  brush: PAINT.b, rectangle: PAINT.r, ink: desk.ink, pick: PAINT.g, undo: PAINT.z, redo: PAINT.y, save: desk.save,
  discard: desk.discard,
};
for (const [id, action] of Object.entries(CLICKS)) $(id).addEventListener("click", () => action());
for (const button of document.querySelectorAll(".verdict"))
  button.addEventListener("click", () => desk.judge(button.dataset.verdict));
$("size").addEventListener("input", () => desk.brush("brush", Number($("size").value)));
for (const [id, action] of Object.entries({ file: desk.translate, corrected: desk.correct }))
  $(id).addEventListener("change", () => {
    const [chosen] = $(id).files;
    $(id).value = ""; // the same file can be chosen again
    if (chosen) action(chosen);
  });
$("direction").addEventListener("change", () => { if (list.queue) list.switch(true); });
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) desk.translate(event.dataTransfer.files[0]);
  });
document.addEventListener("paste", event => {
  if (event.clipboardData.files[0]) desk.translate(event.clipboardData.files[0]);
});
window.addEventListener("beforeunload", event => { if (painter.unsaved) event.preventDefault(); });
window.addEventListener("hashchange", () => open(tabOfAddress()));
$("login").addEventListener("close", () => { sessionStorage.setItem("token", $("token").value); start(); });

// The directions to choose from, and the versions that serve them; false if the service does not tell.
async function models() {
  const answer = await ask("/v2/models").catch(() => null);
  if (!answer) say("The service does not respond.", true);
  if (!answer?.ok) return false;
  const found = await answer.json(), names = found.map(({ name }) => name);
  const there = [...$("direction").options].map(option => option.value);
  if (names.join() !== there.join()) $("direction").replaceChildren(...names.map(name => new Option(name)));
  for (const model of found) desk.classes.set(model.name, model.classes ?? []);
  $("models").textContent = found.map(model => `${model.name}: ${model.versions[0]}`).join(", ");
  return true;
}
document.addEventListener("models", models);

async function start() {
  if (!await models()) return;
  desk.sendWaiting();
  await Promise.all([list.refresh(), watch(), open(tabOfAddress())]);
}

let turns = 0;
startMonitors(look);
await start();
setInterval(() => {
  if (document.hidden) return;
  watch();
  versions();
  if (!painter.active) list.refresh();
  if (++turns % RARELY === 0) Promise.all([models(), history(), strangest()]);
}, EVERY);
