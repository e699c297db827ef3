// Requests of the service's page: with the token, and with one sentence for everything that goes wrong.
import { $ } from "./dom.js";

// fetch with the token; the login dialog opens if it is missing or wrong.
export async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401 && !$("login").open) $("login").showModal();
  return answer;
}

// Why a request failed, in the server's words.
export async function reason(answer) {
  if (!answer) return "The service does not respond.";
  const { detail } = await answer.json().catch(() => ({}));
  return typeof detail === "string" ? detail : `status ${answer.status}`;
}

// The JSON of a GET, or null if the service does not respond or has no such route.
export async function read(path) {
  const answer = await ask(path).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

export function send(path, body, method = "POST") {
  return ask(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

// An image of the service as a bitmap.
export async function picture(path) {
  const answer = await ask(path);
  if (!answer.ok) throw new Error(await reason(answer));
  return createImageBitmap(await answer.blob());
}
