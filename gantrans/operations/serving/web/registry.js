// The registry: versions of every direction, why each serves or not, promotion and rollback after confirmation.
import { read, reason, send } from "./api.js";
import { $, askReason, make, quiet, redraw, say, short, table, when } from "./dom.js";

const NO_REGISTRY = "No registry is served, and run folders cannot be promoted: make one with " +
  "`python -m gantrans registry init` and start with `--registry FOLDER`.";
const NO_VERSION = "Nothing is registered yet: add a run with `python -m gantrans registry register`.";
const DONE = {
  register: "registered", promote: "promoted", rollback: "rolled back to", refuse: "refused", retire: "regime retired",
  reference: "reference set",
};

export async function versions() {
  if ($("registry").hidden) return;
  const found = await read("/registry");
  if (found) redraw($("registry"), found, draw);
}

function draw({ served, directions }) {
  if (!served || !directions.length)
    return make("article", {}, make("h2", { textContent: "Versions" }), quiet(served ? NO_VERSION : NO_REGISTRY));
  return directions.map(one => {
    const card = make("article", {}, make("h2", { textContent: one.direction }));
    if (one.problem) card.append(make("p", { className: "bad", textContent: one.problem }));
    card.append(make("p", {}, "Champion ", make("b", { textContent: one.champion ?? "none" }),
      `, challenger ${one.challenger ?? "none"}, previous ${one.previous ?? "none"}; in use ${one.serving ?? "none"}.`));
    if (one.regime) card.append(regime(one.regime));
    card.append(table(["Version", "Role", "Made", "From", "Measured", "Why", "Change"],
      one.versions.map(version => row(one, version)), { className: "stack" }));
    card.append(make("h3", { textContent: "Log" }), log(one.log));
    return card;
  });
}

function regime({ name, since, why }) {
  return quiet([`Conditions: ${name}${since ? ` since ${when(since)}` : ""}`, why].filter(Boolean).join(", "));
}

function row(one, version) {
  const metrics = Object.entries(version.metrics ?? {}).filter(([, value]) => typeof value === "number");
  return [version.version, version.aliases.join(", ") || null, when(version.created), version.parent,
    metrics.map(([name, value]) => `${name} ${short(value)}`).join(", ") || null,
    why(one, version), actions(one, version)];
}

// The last line of the log about this version, else the note that it was registered with.
function why(one, version) {
  const last = one.log.find(event => event.version === version.version && event.why);
  return last ? `${DONE[last.action] ?? last.action}: ${last.why}` : version.note || null;
}

function actions(one, version) {
  const name = `${one.direction} ${version.version}`;
  if (version.version === one.champion) return "serves";
  const cell = make("span", { className: "bar" });
  const add = (text, key, kind) => cell.append(button(`${text} ${version.version} …`, `${key} ${name}`, () => change(one, version, kind)));
  if (version.version === one.previous) add("Roll back to", "rollback", "rollbacks");
  if (version.can_promote) add("Promote", "promote", "promotions");
  return cell.childElementCount ? cell : null;
}

function button(textContent, key, action) {
  const made = make("button", { type: "button", textContent, "data-key": key });
  made.addEventListener("click", action);
  return made;
}

async function change(one, version, kind) {
  const back = kind === "rollbacks", verb = back ? "Roll back" : "Promote";
  const given = await askReason({
    title: back ? `Roll ${one.direction} back to ${version.version}` : `Promote ${version.version} of ${one.direction}`,
    text: `${version.version} then answers every request in place of ${one.champion ?? "nothing"}, from the next one on.${
      !back && !judged(one, version) ? " The gate has not compared it with the champion." : ""}`,
    action: verb,
  });
  if (!given) return;
  const { digest } = version, who = given.by, why = given.reason;
  const body = { version: version.version, digest, over: one.champion, who, why };
  const answer = await send(`/registry/${encodeURIComponent(one.direction)}/${kind}`, body).catch(() => null);
  if (answer?.ok) {
    say(`${version.version} serves ${one.direction} now.`);
    document.dispatchEvent(new Event("models"));
  } else say(`Nothing was changed: ${await reason(answer)}`, true);
  await versions();
}

const judged = (one, version) =>
  one.log.some(event => event.version === version.version && ["refuse", "promote"].includes(event.action));

function log(events) {
  if (!events.length) return quiet("No change so far.");
  return make("ol", { className: "log" }, ...events.map(event => make("li", {},
    `${when(event.time)}: `, make("b", { textContent: `${DONE[event.action] ?? event.action} ${event.version ?? ""}` }),
    event.who ? ` by ${event.who}` : "", event.why ? `: ${event.why}` : "")));
}
