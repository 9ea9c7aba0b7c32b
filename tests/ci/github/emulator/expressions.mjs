// Values for ${{ … }}, by GitHub's own lexer, parser and evaluator.
import { createHash } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";

const CONTEXTS = ["github", "inputs", "env", "vars", "secrets", "needs", "matrix", "strategy", "runner", "job", "steps", "jobs"];
const STATUS = ["success", "failure", "always", "cancelled"];

export function toData(value) {
  if (value === null || value === undefined) return new data.Null();
  if (typeof value === "string") return new data.StringData(value);
  if (typeof value === "boolean") return new data.BooleanData(value);
  if (typeof value === "number") return new data.NumberData(value);
  if (Array.isArray(value)) return new data.Array(...value.map(toData));
  return new data.Dictionary(...Object.entries(value).map(([key, each]) => ({ key, value: toData(each) })));
}

export const fromData = (value) => JSON.parse(JSON.stringify(value, data.replacer) ?? "null");

// What a status function says: `failed` is whether an earlier step (or a needed job) has failed.
function functions(scope) {
  const says = { success: !scope.failed, failure: !!scope.failed, always: true, cancelled: false };
  const found = STATUS.map((name) => ({ name, minArgs: 0, maxArgs: 99, call: () => new data.BooleanData(says[name]) }));
  const hash = (...patterns) => new data.StringData(hashFiles(scope.workspace, patterns.map((each) => each.coerceString())));
  return [...found, { name: "hashFiles", minArgs: 1, maxArgs: 255, call: hash }];
}

function hashFiles(folder, patterns) {
  const files = patterns.flatMap((each) => (each ? globSync(each, { cwd: folder }) : [])).sort();
  const whole = createHash("sha256");
  const real = files.map((each) => path.join(folder, each)).filter((each) => statSync(each).isFile());
  real.forEach((each) => whole.update(createHash("sha256").update(readFileSync(each)).digest()));
  return real.length ? whole.digest("hex") : "";
}

// Evaluates one expression; a context that is not in the scope is an error, as it is on GitHub.
export function evaluate(text, scope) {
  const names = CONTEXTS.filter((name) => name in scope.contexts);
  const own = functions(scope);
  const expression = new Parser(new Lexer(text).lex().tokens, names, own).parse();
  const context = toData(Object.fromEntries(names.map((name) => [name, scope.contexts[name]])));
  return new Evaluator(expression, context, new Map(own.map((each) => [each.name.toLowerCase(), each]))).evaluate();
}

// Splits text at ${{ … }}; quotes inside may hold the end's characters.
function parts(text) {
  const found = [];
  let at = 0;
  for (;;) {
    const start = text.indexOf("${{", at);
    if (start < 0) return [...found, { text: text.slice(at) }];
    found.push({ text: text.slice(at, start) });
    let end = start + 3;
    for (let quoted = false; quoted || !text.startsWith("}}", end); end++) {
      if (end >= text.length) throw new Error(`an expression has no end: ${text}`);
      if (text[end] === "'") quoted = !quoted;
    }
    found.push({ expression: text.slice(start + 3, end).trim() });
    at = end + 2;
  }
}

// Fills in a value of YAML; one that is an expression alone keeps the expression's type.
export function fill(value, scope) {
  if (Array.isArray(value)) return value.map((each) => fill(each, scope));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, scope)]));
  if (typeof value !== "string" || !value.includes("${{")) return value;
  const found = parts(value).filter((each) => each.expression !== undefined || each.text);
  if (found.length === 1) return fromData(evaluate(found[0].expression, scope));
  return found.map((each) => (each.expression === undefined ? each.text : evaluate(each.expression, scope).coerceString())).join("");
}

export const fillText = (value, scope) => toData(fill(value ?? "", scope)).coerceString();

// `if:` of a step or a job; without a status function it means: and nothing has failed.
export function holds(condition, scope) {
  if (condition === undefined || condition === null) return !scope.failed;
  let text = String(condition).trim();
  if (text.startsWith("${{") && text.endsWith("}}")) text = text.slice(3, -2);
  if (!/\b(success|failure|always|cancelled)\s*\(/i.test(text)) text = `success() && (${text})`;
  const found = evaluate(text, scope);
  const value = fromData(found);
  return !(value === null || value === false || value === 0 || value === "");
}
