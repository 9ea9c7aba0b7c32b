// What both pages share: elements, badges, moments, questions to the server, and Airflow's theme.

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name === "cls" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const KINDS = {
  succeeded: "good", success: "good", running: "good", ready: "good", true: "good",
  failed: "bad", stopped: "bad", lost: "bad", "no answer": "bad", upstream_failed: "bad",
  cancelled: "warn", "not ready": "warn", starting: "warn", up_for_retry: "warn", queued: "lead",
};

export const kindOf = (state, work = false) => (work && state === "running" ? "lead" : KINDS[state] ?? "");

export function badge(text, kind = "", dot = false, title = "") {
  return make("span", { cls: `badge ${kind}${dot ? " dot" : ""}`, title: title || null }, text);
}

export function stateBadge(state, work = false) {
  const busy = work && state === "running" ? " busy" : "";
  return badge(state, kindOf(state, work) + busy, true);
}

export function table(columns, rows, empty) {
  if (!rows.length) return make("p", { cls: "empty" }, empty);
  const head = columns.map((each) => make("th", { cls: each.number ? "number" : null, scope: "col" }, each.name ?? each));
  return make("div", { cls: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows)));
}

export const row = (...cells) =>
  make("tr", {}, cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : make("td", {}, cell))));

export const number = (text) => make("td", { cls: "number" }, text);

export function moment(seconds) {
  if (!seconds) return "";
  const date = new Date(seconds * 1000);
  const ago = (Date.now() - date) / 1000;
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const [size, unit] = ago < 60 ? [1, "second"] : ago < 3600 ? [60, "minute"] : ago < 86400 ? [3600, "hour"] : [86400, "day"];
  const text = ago < 5 ? "now" : words.format(-Math.floor(ago / size), unit);
  return make("time", { datetime: date.toISOString(), title: date.toLocaleString() }, text);
}

export function took(began, ended) {
  const seconds = (ended ?? Date.now() / 1000) - began;
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const digits = (value) =>
  typeof value === "number" ? (Number.isInteger(value) ? String(value) : Number(value.toPrecision(5)).toString()) : String(value);

export const waiting = (text) => make("p", { cls: "waiting", role: "status" }, text);

export function problem(error) {
  const soft = error.kind === "unavailable" || error.kind === "timeout";
  return make("p", { cls: soft ? "problem soft-problem" : "problem", role: "alert" }, `${error.message}. `.replace(/\.\. $/, ". "), error.mend ?? "");
}

// Airflow shows us in a frame that may not open windows: there an address is told, elsewhere it is a link.
export function address(url, text = url) {
  const safe = /^https?:\/\//.test(url);
  return safe && window.top === window ? make("a", { href: url, rel: "noreferrer", target: "_blank" }, text) : make("code", {}, url);
}

export async function ask(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  let reply;
  try {
    reply = await fetch(`api/${path}?${query}`, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  } catch {
    throw { kind: "unavailable", message: "Airflow does not answer", mend: "Try again." };
  }
  const body = await reply.json().catch(() => null);
  if (reply.ok) return body;
  if (body?.error) throw body.error;
  const signIn = reply.status === 401 ? "Sign in to Airflow again." : "";
  throw { kind: "denied", message: typeof body?.detail === "string" ? body.detail : `status ${reply.status}`, mend: signIn };
}

export async function fill(element, text, question, shown) {
  if (!element.childElementCount) element.replaceChildren(waiting(text));
  try {
    element.replaceChildren(...[shown(await question())].flat());
  } catch (error) {
    if (error instanceof Error) throw error;
    element.replaceChildren(problem(error));
  }
}

// Airflow keeps the chosen theme in this storage, and says it on its own document.
const dark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  const chosen = localStorage.getItem("theme");
  const isDark = chosen === "dark" || (chosen !== "light" && dark.matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

theme();
dark.addEventListener("change", theme);
addEventListener("storage", theme);
