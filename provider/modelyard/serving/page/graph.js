"use strict";
const root = location.pathname.replace(/\/$/, "");
const at = (id) => document.getElementById(id);
const rates = [];
let before = null;

function seconds(value) {
  if (!value) return "–";
  return value < 1 ? `${+(value * 1000).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
}

function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text;
  if (kind) made.className = kind;
}

function table(id, rows) {
  const body = at(id);
  body.replaceChildren();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const [text, kind] of cells) cell(row, text, kind);
  }
  if (!rows.length) cell(body.insertRow(), "none", "soft");
}

function draw(rate) {
  rates.push(rate);
  if (rates.length > 120) rates.shift();
  const most = Math.max(1, ...rates);
  const points = rates.map((each, index) => `${120 - rates.length + index + 1},${(38 - (each / most) * 34).toFixed(2)}`);
  at("curve").setAttribute("d", points.length > 1 ? `M${points.join(" L")}` : "");
}

function show(told) {
  const graph = told.graphs[0], now = performance.now();
  const protocols = Object.entries(graph.protocols).filter(([name]) => name !== "info").map(([, each]) => each);
  const busiest = protocols.sort((one, other) => other.count - one.count)[0];
  if (before && graph.requests >= before.requests) {
    const rate = (graph.requests - before.requests) / ((now - before.now) / 1000);
    at("rate").textContent = rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
    draw(rate);
  }
  before = {requests: graph.requests, now};
  at("p50").textContent = busiest ? seconds(busiest.p50) : "–";
  at("p99").textContent = busiest ? seconds(busiest.p99) : "–";
  at("requests").textContent = graph.requests;
  at("errors").textContent = graph.errors;
  at("errors").className = graph.errors ? "bad" : "";
  at("in-flight").textContent = graph.in_flight;
  at("revision").textContent = graph.revision ? `revision ${graph.revision}` : "";
  at("whose").textContent = `Counted by ${graph.processes.map((each) => `process ${each.pid}`).join(", ")} since it began.`;
  table("steps", Object.entries(graph.steps).map(([name, each]) => [
    [name], [each.count, "number"], [each.errors, each.errors ? "number bad" : "number"],
    [seconds(each.p50), "number"], [seconds(each.p99), "number"]]));
  table("models", Object.entries(graph.models).map(([step, each]) => [
    [step], [each.model], [each.digest ? each.digest.slice(0, 12) : "–"]]));
}

async function look() {
  try {
    const reply = await fetch(`${root}/v2/statistics`, {cache: "no-store"});
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    show(await reply.json());
    at("state").textContent = "serving";
    at("state").className = "good";
  } catch (error) {
    at("state").textContent = `no figures: ${error.message}`;
    at("state").className = "bad";
  }
  setTimeout(look, 1000);
}

at("method").addEventListener("change", () => { at("body").disabled = at("method").value === "GET"; });
at("try").addEventListener("submit", async (event) => {
  event.preventDefault();
  const method = at("method").value, begun = performance.now();
  const options = {method, headers: {}};
  if (method !== "GET" && at("body").value.trim()) {
    options.body = at("body").value;
    options.headers["content-type"] = "application/json";
  }
  at("answer-status").textContent = "…";
  at("answer").textContent = "";
  try {
    const path = at("path").value;
    const reply = await fetch(root + (path.startsWith("/") ? path : `/${path}`), options);
    const text = await reply.text();
    at("answer-status").textContent = `${reply.status} in ${(performance.now() - begun).toFixed(1)} ms`;
    at("answer-status").className = reply.ok ? "good" : "bad";
    try { at("answer").textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { at("answer").textContent = text; }
  } catch (error) {
    at("answer-status").textContent = error.message;
    at("answer-status").className = "bad";
  }
});

for (const [id, path] of [["to-docs", "/docs"], ["to-openapi", "/openapi.json"]]) at(id).href = root + path;
fetch(`${root}/openapi.json`).then((reply) => reply.json()).then((document_) => {
  const own = Object.entries(document_.paths).filter(([path]) => !path.startsWith("/v2") && path !== "/");
  for (const [path, operations] of own) {
    const method = Object.keys(operations).find((each) => ["post", "get", "put", "patch", "delete"].includes(each));
    if (method) { at("path").value = path; at("method").value = method.toUpperCase(); at("body").disabled = method === "get"; break; }
  }
}).catch(() => {});
look();
