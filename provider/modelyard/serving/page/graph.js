"use strict";
const root = location.pathname.replace(/\/$/, "");
const at = (id) => document.getElementById(id);
const KEPT = 120;
const rates = [], faults = [];
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
    for (const [content, kind] of cells) {
      if (content instanceof Node) {
        cell(row, "", kind);
        row.lastChild.append(content);
      } else cell(row, content, kind);
    }
  }
  if (!rows.length) cell(body.insertRow(), "none", "soft");
}

function shown(rate) {
  return rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
}

function draw(rate, wrong) {
  for (const [kept, value] of [[rates, rate], [faults, wrong]]) {
    kept.push(value);
    if (kept.length > KEPT) kept.shift();
  }
  const most = Math.max(1, ...rates);
  const line = (values) => values.map((each, index) => `${KEPT - values.length + index + 1},${(39 - (each / most) * 36).toFixed(2)}`).join(" L");
  if (rates.length < 2) return;
  at("curve").setAttribute("d", `M${line(rates)}`);
  at("area").setAttribute("d", `M${KEPT - rates.length + 1},40 L${line(rates)} L${KEPT},40 Z`);
  at("wrong").setAttribute("d", faults.some(Boolean) ? `M${line(faults)}` : "");
  at("most").textContent = `at most ${shown(most)}/s`;
}

function bar(part) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg"), made = document.createElementNS(drawing.namespaceURI, "rect");
  for (const [name, value] of [["viewBox", "0 0 100 8"], ["preserveAspectRatio", "none"], ["class", "bar"]]) drawing.setAttribute(name, value);
  for (const [name, value] of [["width", Math.max(part * 100, 0.5)], ["height", 8]]) made.setAttribute(name, value);
  drawing.append(made);
  return drawing;
}

function mark(steps) {
  for (const each of document.querySelectorAll(".scroll svg g")) {
    const named = each.querySelector("text");
    const step = named && steps[named.textContent];
    each.classList.toggle("ill", Boolean(step && step.errors));
  }
}

function workers(told) {
  at("workers-part").hidden = !told.workers;
  if (!told.workers) return;
  const used = new Map(told.graphs.flatMap((each) => each.processes).map((each) => [each.pid, each]));
  table("workers", told.workers.map((each) => {
    const process = used.get(each.pid);
    return [[each.pid], [each.state], [each.revision.slice(0, 8)],
      [process ? `${process.cpu.toFixed(1)} s` : "–", "number"], [process ? `${(process.memory / 1048576).toFixed(0)} MB` : "–", "number"]];
  }));
}

function show(told) {
  const graph = told.graphs.find((each) => each.processes.length) || told.graphs[0], now = performance.now();
  if (!graph) return;
  const protocols = Object.entries(graph.protocols).filter(([name]) => name !== "info").map(([, each]) => each);
  const busiest = protocols.sort((one, other) => other.count - one.count)[0];
  if (before && before.revision === graph.revision && graph.requests >= before.requests) {
    const passed = (now - before.now) / 1000, rate = (graph.requests - before.requests) / passed;
    at("rate").textContent = shown(rate);
    draw(rate, Math.max(0, graph.errors - before.errors) / passed);
  }
  before = {requests: graph.requests, errors: graph.errors, revision: graph.revision, now};
  at("p50").textContent = busiest ? seconds(busiest.p50) : "–";
  at("p99").textContent = busiest ? seconds(busiest.p99) : "–";
  at("requests").textContent = graph.requests;
  at("errors").textContent = graph.errors;
  at("errors").className = graph.errors ? "bad" : "";
  at("in-flight").textContent = graph.in_flight;
  at("revision").textContent = graph.revision ? `revision ${graph.revision}` : "";
  const own = graph.processes.map((each) => `process ${each.pid}`).join(", ");
  at("whose").textContent = told.workers ? `Counted by all workers of this revision: ${own}.` : `Counted by ${own} since it began.`;
  workers(told);
  mark(graph.steps);
  const longest = Math.max(1e-9, ...Object.values(graph.steps).map((each) => each.mean * each.count));
  table("steps", Object.entries(graph.steps).map(([name, each]) => [
    [name], [each.count, "number"], [each.errors, each.errors ? "number bad" : "number"],
    [seconds(each.p50), "number"], [seconds(each.p99), "number"], [bar(each.mean * each.count / longest), "share"]]));
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
  for (const [path, operations] of Object.entries(document_.paths)) {
    const methods = ["post", "get", "put", "patch", "delete"].filter((each) => operations[each]);
    const method = methods.find((each) => ["events", "endpoints"].includes(operations[each].tags[0]) && operations[each].responses["200"]);
    if (method) { at("path").value = path; at("method").value = method.toUpperCase(); at("body").disabled = method === "get"; break; }
  }
}).catch(() => {});
look();
