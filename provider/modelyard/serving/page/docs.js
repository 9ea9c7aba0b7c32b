"use strict";
const root = location.pathname.replace(/\/docs\/?$/, "");
const at = (id) => document.getElementById(id);
const METHODS = ["get", "post", "put", "patch", "delete"];
let whole = {};

function make(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function resolved(schema, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 12) return schema;
  if (schema.$ref) return resolved(whole.components.schemas[schema.$ref.split("/").pop()], depth + 1);
  return schema;
}

function sample(given, depth = 0) {
  const schema = resolved(given);
  if (!schema || depth > 6) return null;
  if ("default" in schema) return schema.default;
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  for (const many of ["anyOf", "oneOf"]) if (schema[many]) return sample(schema[many][0], depth + 1);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "object" || schema.properties) {
    const made = {};
    for (const [name, each] of Object.entries(schema.properties || {})) {
      if (!schema.required || schema.required.includes(name) || depth === 0) made[name] = sample(each, depth + 1);
    }
    return made;
  }
  if (type === "array") return [sample(schema.items || {}, depth + 1)];
  return {string: "text", integer: Math.max(0, schema.minimum || 0), number: schema.minimum || 0, boolean: true}[type] ?? null;
}

function shape(given) {
  const schema = resolved(given) || {};
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(shape).join(" or ");
  const name = given && given.$ref ? given.$ref.split("/").pop() : "";
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type || "anything";
  const of = schema.enum ? ` (${schema.enum.join(", ")})` : "";
  return name || type + of;
}

function parametersOf(form, operation) {
  const inputs = [];
  for (const each of operation.parameters || []) {
    const label = make("label", `${each.name} in ${each.in}${each.required ? ", required" : ""}: ${shape(each.schema)}`);
    const input = make("input");
    input.name = each.name;
    input.required = Boolean(each.required);
    if (each.schema && each.schema.default !== undefined) input.placeholder = String(each.schema.default);
    if (each.in === "path") input.value = String(sample(each.schema) ?? "");
    label.append(input);
    form.append(label);
    inputs.push([each, input]);
  }
  return inputs;
}

function bodyOf(form, operation) {
  const content = operation.requestBody && operation.requestBody.content;
  if (!content) return null;
  const label = make("label", `body, application/json: ${shape(content["application/json"].schema)}`);
  const area = make("textarea");
  area.spellcheck = false;
  area.value = JSON.stringify(sample(content["application/json"].schema), null, 2);
  label.append(area);
  form.append(label);
  return area;
}

async function send(path, method, inputs, area, status, answer) {
  const query = new URLSearchParams(), headers = {};
  let address = path;
  for (const [each, input] of inputs) {
    if (each.in === "path") address = address.replace(`{${each.name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (each.in === "query") query.set(each.name, input.value);
    else headers[each.name] = input.value;
  }
  const options = {method: method.toUpperCase(), headers};
  if (area && method !== "get" && area.value.trim()) {
    options.body = area.value;
    headers["content-type"] = "application/json";
  }
  const begun = performance.now();
  try {
    const reply = await fetch(root + address + (query.size ? `?${query}` : ""), options);
    const text = await reply.text();
    status.textContent = `${reply.status} in ${(performance.now() - begun).toFixed(1)} ms`;
    status.className = reply.ok ? "good" : "bad";
    try { answer.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { answer.textContent = text; }
  } catch (error) {
    status.textContent = error.message;
    status.className = "bad";
  }
}

function operationOf(path, method, operation, shared) {
  const box = make("details"), head = make("summary");
  head.append(make("b", method.toUpperCase()), make("code", path), make("span", ` ${operation.summary || ""}`, "soft"));
  box.append(head);
  box.dataset.operation = `${method.toUpperCase()} ${path}`;
  const form = make("form"), status = make("p"), answer = make("pre");
  const inputs = parametersOf(form, {parameters: [...(shared || []), ...(operation.parameters || [])]});
  const area = bodyOf(form, operation);
  form.append(make("button", "Send"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(path, method, inputs, area, status, answer);
  });
  const replies = make("table");
  for (const [code, each] of Object.entries(operation.responses)) {
    const row = replies.insertRow(), kinds = Object.entries(each.content || {});
    row.insertCell().textContent = code;
    row.insertCell().textContent = each.description;
    row.insertCell().textContent = kinds.map(([type, { schema }]) => `${type}: ${shape(schema)}`).join("; ");
  }
  box.append(form, status, answer, make("h2", "Responses"), replies);
  return box;
}

fetch(`${root}/openapi.json`).then((reply) => {
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  return reply.json();
}).then((document_) => {
  whole = document_;
  at("told").textContent = `${whole.info.description} Version ${whole.info.version}.`;
  const groups = new Map();
  for (const [path, operations] of Object.entries(whole.paths)) {
    for (const method of METHODS.filter((each) => operations[each])) {
      const tag = (operations[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationOf(path, method, operations[method], operations.parameters));
    }
  }
  for (const [path, operations] of Object.entries(whole.paths).filter(([, each]) => each["x-websocket"])) {
    const told = make("p");
    told.append(make("code", path), make("span", ` ${operations["x-websocket"].description}`, "soft"));
    groups.set("websockets", [...(groups.get("websockets") || []), told]);
  }
  for (const tag of ["endpoints", "events", "websockets", "chat", "server", "inference"].filter((each) => groups.has(each))) {
    const section = make("section");
    section.append(make("h2", tag), ...groups.get(tag));
    at("operations").append(section);
  }
  at("state").textContent = "";
}).catch((error) => {
  at("state").textContent = `no document: ${error.message}`;
  at("state").className = "bad";
});
at("to-graph").href = `${root}/`;
at("to-openapi").href = `${root}/openapi.json`;
