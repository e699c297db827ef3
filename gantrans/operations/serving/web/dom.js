// Small helpers of every page. Text from outside (names, reasons, notes) is set as text, never parsed as markup.
export const $ = id => document.getElementById(id);

// An element with properties (`className`, `textContent`, ...), attributes (names with a dash, `role`) and children.
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name === "data" || name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

export function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

export const number = (value, digits = 3) => (value === null || value === undefined ? "–" : value.toFixed(digits));
export const share = value =>
  (value === null || value === undefined ? "–" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`);

// Three significant digits without an exponent: 0.0123, 4.56, 12,300.
export function short(value) {
  if (value === null || value === undefined) return "–";
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

// A moment in the person's own time zone; the date only where it is not today's.
export function when(iso) {
  const moment = new Date(iso);
  if (!iso || Number.isNaN(moment.getTime())) return "–";
  const two = value => String(value).padStart(2, "0");
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}`;
  const date = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return moment.toDateString() === new Date().toDateString() ? time : `${date} ${time}`;
}

// Random id of an event. `crypto.randomUUID` exists on https and localhost only; this works on every address.
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// Values that this browser keeps, such as the person's name; without them the page still works.
export function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* storage is full or switched off */ }
}

export function kept(name) {
  try { return localStorage.getItem(name) ?? ""; } catch { return ""; }
}

// Asks for a reason and a name before a change that others notice: {reason, by}, or null if cancelled.
export function askReason({ title, text, action }) {
  const dialog = $("confirm"), form = dialog.querySelector("form");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-go").textContent = action;
  $("reason").value = "";
  $("by").value = kept("gantrans-name");
  dialog.returnValue = "";
  dialog.showModal();
  $("reason").focus();
  return new Promise(resolve => {
    form.onsubmit = event => { // the cancel button is no submit button, so the reason is always checked
      if (!$("reason").value.trim()) {
        event.preventDefault();
        $("reason").focus();
      }
    };
    $("confirm-cancel").onclick = () => dialog.close("");
    dialog.onclose = () => {
      if (dialog.open) return; // the event of an earlier question, which was cancelled a moment ago
      if (dialog.returnValue !== "go") return resolve(null);
      const by = $("by").value.trim();
      keep("gantrans-name", by);
      resolve({ reason: $("reason").value.trim(), by });
    };
  });
}

// Replace what `container` shows, but only if `data` has changed since; the focus and opened details are kept by
// their data-key, so that a page that refreshes itself can be used by keyboard.
const drawn = new WeakMap();
export function redraw(container, data, build) {
  const text = JSON.stringify(data);
  if (drawn.get(container) === text) return;
  drawn.set(container, text);
  const focused = container.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const opened = new Set([...container.querySelectorAll("details[open]")].map(one => one.dataset.key));
  container.replaceChildren(...[build(data)].flat());
  for (const one of container.querySelectorAll("[data-key]")) {
    if (one.matches("details") && opened.has(one.dataset.key)) one.open = true;
    if (focused && one.dataset.key === focused) one.focus();
  }
}

// Which colour stands for which class, by its stored value; hidden where there are no classes.
export function legend(container, classes) {
  container.hidden = !classes.length;
  container.replaceChildren(...classes.map(({ value, colour }) => {
    const swatch = make("i", { className: "swatch" });
    swatch.style.background = colour;
    return make("span", {}, swatch, value);
  }));
}

// A paragraph in small type; what stands between backticks is a command.
export function quiet(text) {
  const parts = text.split("`").map((part, place) => (place % 2 ? make("code", { textContent: part }) : part));
  return make("p", { className: "quiet" }, ...parts);
}

// Pairs of a name and a value for a <dl>.
export function rows(pairs) {
  return pairs.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value })));
}

// A table whose cells keep the name of their column, so that a narrow page can stack them.
export function table(head, body, properties = {}) {
  const line = (cells, tag) => make("tr", {}, ...cells.map((cell, place) => {
    const made = make(tag, { "data-label": head[place], className: cell === null ? "none" : "" });
    made.append(cell ?? "–");
    return made;
  }));
  return make("table", properties,
    make("thead", {}, line(head, "th")), make("tbody", {}, ...body.map(cells => line(cells, "td"))));
}
