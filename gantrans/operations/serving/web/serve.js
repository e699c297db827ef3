// The service's page: three monitors, translation of dropped images, verdicts and corrections.
import { Outbox } from "./outbox.js";
import { Painter } from "./painter.js";

const $ = id => document.getElementById(id);
const MARKS = { accept: "✓", minor: "~", reject: "✕" };
const WORDS = { accept: "accepted", minor: "minor fault", reject: "rejected" };
const EVERY = 5000;
const painter = new Painter($("output"));
let list = [];
let asked = 0, drawn = 0; // requests for the list, and the one whose response is shown
let chosen = null; // id of the prediction that is shown
let loading = null; // promise of its images

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

// fetch with the token; the login dialog opens if it is missing or wrong.
async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401 && !$("login").open) $("login").showModal();
  return answer;
}

async function reason(answer) {
  return (await answer.json().catch(() => ({}))).detail ?? `status ${answer.status}`;
}

const deliver = ({ item, id, verdict }) => ask(`/predictions/${item}/verdicts/${id}`, {
  method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ verdict }),
});
const outbox = new Outbox("gantrans-serve", deliver, {
  acknowledged({ item, verdict }) {
    const one = list.find(other => other.id === item);
    if (one) one.verdict = verdict;
    say(verdict ? `Saved: ${WORDS[verdict]}.` : "Verdict withdrawn.");
    drawList();
  },
  waiting(why) { say(`Not saved yet: ${why}. Retrying …`, true); },
  refused(event, why) { say(`Not saved: ${why}`, true); drawList(); },
});

function judge(verdict) {
  if (!chosen) return;
  say("Saving …");
  outbox.put({ item: chosen, verdict });
  drawList();
}

function drawList() {
  $("list").replaceChildren(...list.map(one => {
    const row = document.createElement("li");
    row.id = `item-${one.id}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", one.id === chosen);
    const cells = [MARKS[one.verdict] ?? "·", one.direction, one.made_at.slice(11, 19)];
    row.ariaLabel = `${one.direction} of ${one.made_at.slice(0, 19)}, ${WORDS[one.verdict] ?? "no verdict"}`;
    row.append(...cells.map(text => Object.assign(document.createElement("span"), { textContent: text })));
    row.addEventListener("click", () => show(one.id));
    return row;
  }));
  if (chosen) $("list").setAttribute("aria-activedescendant", `item-${chosen}`);
  document.getElementById(`item-${chosen}`)?.scrollIntoView({ block: "nearest" });
  const present = list.find(one => one.id === chosen), pending = outbox.pending(chosen);
  for (const button of document.querySelectorAll(".verdict")) {
    button.setAttribute("aria-pressed", !pending && present?.verdict === button.dataset.verdict);
    button.toggleAttribute("data-pending", pending?.verdict === button.dataset.verdict);
    button.disabled = !present;
  }
}

async function refresh(select = null) {
  const turn = ++asked;
  const answer = await ask("/predictions?last=50").catch(() => null);
  if (!answer?.ok) return;
  const found = await answer.json();
  if (turn > drawn) { // responses may arrive out of order
    drawn = turn;
    list = found;
  }
  if (select || !list.some(one => one.id === chosen)) await show(select ?? list[0]?.id ?? null);
  else drawList();
}

async function picture(path) {
  const answer = await ask(path);
  return createImageBitmap(await answer.blob());
}

function show(id) {
  loading = load(id);
  return loading;
}

async function load(id) {
  if (painter.active && painter.changed && id !== chosen) return say("Save the correction (S) or leave painting (C) first.", true);
  chosen = id;
  drawList();
  if (!id) return;
  const [given, made] = await Promise.all(["input", "output"].map(name => picture(`/predictions/${id}/${name}.png`)));
  if (chosen !== id) return;
  Object.assign($("input"), { width: given.width, height: given.height });
  $("input").getContext("2d").drawImage(given, 0, 0);
  painter.open(made);
  const one = list.find(other => other.id === id);
  $("caption-input").textContent = `Input, ${given.width} × ${given.height} px`;
  $("caption-output").textContent = `Output of ${one?.model ?? "?"}`;
  drawPainter();
}

async function translate(file) {
  say(`Translating ${file.name ?? "the image"} …`);
  const body = new FormData();
  body.append("image", file);
  const parameters = new URLSearchParams({ direction: $("direction").value, format: "json" });
  if ($("bits").value) parameters.set("bits", $("bits").value);
  const answer = await ask(`/translate?${parameters}`, { method: "POST", body }).catch(() => null);
  if (!answer) return say("The service does not respond.", true);
  if (!answer.ok) return say(await reason(answer), true);
  const made = await answer.json();
  say(`Translated in ${Math.round(made.milliseconds.forward)} ms.`);
  await refresh(made.id);
  await watch();
}

async function correct(blob) {
  if (!chosen || !blob) return;
  const body = new FormData();
  body.append("image", blob);
  const path = `/predictions/${chosen}/labels/${crypto.randomUUID()}?kind=corrected`;
  const answer = await ask(path, { method: "PUT", body }).catch(() => null);
  if (!answer) return say("Not saved: the service does not respond.", true);
  if (!answer.ok) return say(`Not saved: ${await reason(answer)}`, true);
  painter.changed = false;
  painter.set(false);
  drawPainter();
  say("Correction saved.");
  await watch();
}

function drawPainter() {
  $("correct").setAttribute("aria-pressed", painter.active);
  $("ink").querySelector("span").textContent = painter.ink ? "white" : "black";
  $("ink").disabled = $("save").disabled = !painter.active;
}

function fill(id, pairs) {
  $(id).replaceChildren(...pairs.flatMap(([name, value]) => [
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: value }),
  ]));
}

const share = value => (value === null ? "–" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`);
const number = (value, digits = 3) => (value === null || value === undefined ? "–" : value.toFixed(digits));

async function watch() {
  const answer = await ask("/monitors").catch(() => null);
  if (!answer) fill("operational", [["Service", "no response"]]);
  if (!answer?.ok) return;
  const { operational, drift, performance, store, problems } = await answer.json();
  const milliseconds = Object.values(operational.latency_ms).map(value => number(value, 0)).join("/");
  fill("operational", [
    ["Translations", operational.translations], ["Server errors", share(operational.error_rate)],
    ["ms p50 / 95 / 99", milliseconds], ["Waiting labels", store.waiting_labels],
    ...Object.values(problems).map(text => ["Problem", text]),
  ]);
  fill("drift", drift ? Object.entries(drift).flatMap(([direction, one]) => [
    [direction, one.status], ["Images seen", one.seen], ["Outliers", share(one.outlier_rate)],
    ["Window score / limit", `${number(one.score, 2)} / ${number(one.threshold, 2)}`],
  ]) : [["Not monitored", "see serve --drift"]]);
  const head = ["model", "labelled", "SSIM", "IoU", "EPE [px]", "L1"];
  const rows = performance.map(one => [
    one.model, `${share(one.coverage)} of ${one.predictions}`, number(one.ssim.mean), number(one.iou.mean),
    number(one.epe_px.mean, 2), number(one.l1.mean),
  ]);
  $("performance").replaceChildren(...[head, ...rows].map((cells, place) => {
    const row = document.createElement("tr");
    row.append(...cells.map(text => Object.assign(document.createElement(place ? "td" : "th"), { textContent: text })));
    return row;
  }));
}

const step = by => {
  const to = list.findIndex(one => one.id === chosen) + by;
  if (to >= 0 && to < list.length) show(list[to].id);
};
const paint = async () => { await loading; painter.set(!painter.active); drawPainter(); };
const ink = () => { painter.ink = 255 - painter.ink; drawPainter(); };
const save = async () => { if (painter.active) correct(await painter.blob()); };
const KEYS = {
  1: () => judge("accept"), 2: () => judge("minor"), 3: () => judge("reject"), u: () => judge(null),
  f: () => $("file").click(), c: paint, x: ink, s: save, "?": () => $("keys").showModal(),
  ArrowUp: () => step(-1), ArrowDown: () => step(1),
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("select, input")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = painter.active && MOVES[key] ? () => painter.move(...MOVES[key])
    : painter.active && key === " " ? () => painter.paint() : KEYS[key];
  if (!action) return;
  event.preventDefault();
  action();
});

for (const [id, action] of Object.entries({ correct: paint, ink, save, undo: KEYS.u, help: KEYS["?"] }))
  $(id).addEventListener("click", event => { action(); event.currentTarget.blur(); });
for (const button of document.querySelectorAll(".verdict"))
  button.addEventListener("click", () => judge(button.dataset.verdict));
$("file").addEventListener("change", () => { if ($("file").files[0]) translate($("file").files[0]); $("file").value = ""; });
$("corrected").addEventListener("change", () => { correct($("corrected").files[0]); $("corrected").value = ""; });
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, event => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) translate(event.dataTransfer.files[0]);
  });
document.addEventListener("paste", event => { if (event.clipboardData.files[0]) translate(event.clipboardData.files[0]); });
$("login").addEventListener("close", () => { sessionStorage.setItem("token", $("token").value); start(); });

async function start() {
  const answer = await ask("/v2/models").catch(() => null);
  if (!answer?.ok) return;
  const models = await answer.json();
  $("direction").replaceChildren(...models.map(({ name }) => new Option(name)));
  $("models").textContent = models.map(model => `${model.name}: ${model.versions[0]}`).join(", ");
  outbox.send();
  await Promise.all([refresh(), watch()]);
}

drawPainter();
await start();
setInterval(() => { if (!document.hidden) { watch(); if (!painter.active) refresh(); } }, EVERY);
