// Runs workflows: triggers, calls, typed inputs, jobs in the order of their needs, matrices, permissions, environments.
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import path from "node:path";
import { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } from "@actions/workflow-parser";
import { parse } from "yaml";
import { fill, holds } from "./expressions.mjs";
import { runSteps, values } from "./steps.mjs";

const TYPES = { pull_request: ["opened", "synchronize", "reopened"] };

export async function readWorkflow(file) {
  const content = readFileSync(file, "utf8");
  const parsed = parseWorkflow({ name: file, content }, new NoOperationTraceWriter());
  if (parsed.value) await convertWorkflowTemplate(parsed.context, parsed.value);
  const errors = parsed.context.errors.getErrors();
  if (errors.length) throw new Error(`${file}: ${errors.map((each) => each.message).join("; ")}`);
  return parse(content);
}

// Tells whether an event starts a workflow; `on` may be a name, a list or a mapping.
export function triggers(on, name, event) {
  if (typeof on === "string") return on === name;
  if (Array.isArray(on)) return on.includes(name);
  if (!(name in on)) return false;
  const filter = on[name] ?? {};
  if (name === "schedule") return true;
  const types = filter.types ?? TYPES[name];
  if (types && event.action && !types.includes(event.action)) return false;
  const branch = name === "push" ? (event.ref ?? "").replace("refs/heads/", "") : (event.pull_request?.base?.ref ?? "");
  return !filter.branches || filter.branches.includes(branch);
}

const isLess = (left, right) => ["none", "read", "write"].indexOf(left) < ["none", "read", "write"].indexOf(right);

// A called job never has more than its caller; what a job names replaces what its workflow says.
function permitted(own, ceiling) {
  if (own === undefined) return ceiling;
  return Object.fromEntries(
    Object.entries(own).map(([key, wanted]) => {
      const most = ceiling === null ? wanted : (ceiling[key] ?? "none");
      if (isLess(most, wanted)) throw new Error(`the job wants ${key}: ${wanted}, and is allowed ${most}`);
      return [key, wanted];
    }),
  );
}

const allowed = (job, around) => permitted(job.permissions ?? around.workflow.permissions, around.call.permissions);

function typed(declared, given, what) {
  for (const name of Object.keys(given))
    if (!(name in declared)) throw new Error(`${what} ${name} is not declared; declared are ${Object.keys(declared).join(", ")}`);
  const found = {};
  for (const [name, each] of Object.entries(declared)) {
    if (each?.required && !(name in given)) throw new Error(`${what} ${name} is required`);
    const value = given[name] ?? each?.default ?? { boolean: false, number: 0 }[each?.type] ?? "";
    const kind = each?.type ?? "string";
    if (kind !== typeof value && !(kind === "string" && value === null)) throw new Error(`${what} ${name} is a ${kind}, not ${JSON.stringify(value)}`);
    found[name] = value;
  }
  return found;
}

function combinations(matrix) {
  const { include = [], exclude = [], ...vectors } = matrix;
  let found = Object.keys(vectors).length ? [{}] : [];
  for (const [key, list] of Object.entries(vectors)) found = found.flatMap((each) => list.map((value) => ({ ...each, [key]: value })));
  const fits = (each, other) => Object.entries(other).every(([key, value]) => JSON.stringify(each[key]) === JSON.stringify(value));
  found = found.filter((each) => !exclude.some((other) => fits(each, other)));
  for (const more of include) {
    const shared = Object.fromEntries(Object.entries(more).filter(([key]) => key in vectors));
    const same = Object.keys(vectors).length ? found.filter((each) => fits(each, shared)) : [];
    if (same.length) same.forEach((each) => Object.assign(each, more));
    else found.push(more);
  }
  if (!found.length) throw new Error("a matrix is empty");
  return found;
}

// Runs a workflow file; `call` has the inputs, secrets, permissions and the name of the job that calls it.
export async function runWorkflow(file, world, call) {
  const workflow = await readWorkflow(file);
  const on = workflow.on.workflow_call;
  const inputs = call.called ? typed(on?.inputs ?? {}, call.inputs, "the input") : call.inputs;
  const secrets = call.called ? { ...typed(on?.secrets ?? {}, call.secrets, "the secret") } : call.secrets;
  const contexts = { github: world.github, inputs, vars: world.vars, secrets: { ...secrets, GITHUB_TOKEN: "" } };
  const scope = { contexts, workspace: world.project };
  if (workflow.concurrency) world.concurrency.push(fill(workflow.concurrency, scope));
  const jobs = {};
  const waiting = Object.entries(workflow.jobs);
  while (waiting.length) {
    const at = waiting.findIndex(([, job]) => [job.needs ?? []].flat().every((each) => each in jobs));
    if (at < 0) throw new Error(`the jobs of ${file} need each other`);
    const [[id, job]] = waiting.splice(at, 1);
    jobs[id] = await runJob(id, job, { workflow, world, call, contexts, jobs, file });
  }
  const failed = Object.values(jobs).some((each) => each.result === "failure");
  const outputs = fill(values(on?.outputs), { contexts: { ...contexts, jobs }, workspace: world.project });
  return { result: failed ? "failure" : "success", outputs };
}

async function runJob(id, job, around) {
  const needs = Object.fromEntries([job.needs ?? []].flat().map((each) => [each, around.jobs[each]]));
  const results = Object.values(needs).map((each) => each.result);
  const contexts = { ...around.contexts, needs };
  const scope = { contexts, failed: results.some((each) => each !== "success"), workspace: around.world.project };
  const name = `${around.call.prefix}${id}`;
  if (name in around.world.played) return around.world.played[name];
  if (!holds(job.if, { ...scope, failed: scope.failed })) {
    around.world.report(name, { result: "skipped" });
    return { result: "skipped", outputs: {} };
  }
  const matrices = job.strategy?.matrix ? combinations(fill(job.strategy.matrix, scope)) : [{}];
  const ended = [];
  for (const [index, matrix] of matrices.entries()) {
    const own = { ...scope, failed: false, contexts: { ...contexts, matrix, strategy: { "job-index": index, "job-total": matrices.length } } };
    const label = matrices.length > 1 ? `${name} (${Object.values(matrix).join(", ")})` : name;
    ended.push(job.uses ? await callWorkflow(job, own, around, label) : execute(id, job, own, around, label));
  }
  const outputs = Object.assign({}, ...ended.map((each) => each.outputs));
  return { result: ended.some((each) => each.result === "failure") ? "failure" : "success", outputs };
}

async function callWorkflow(job, scope, around, name) {
  if (around.call.depth >= 4) throw new Error("reusable workflows call each other more than four deep");
  const { world } = around;
  const secrets = job.secrets === "inherit" ? around.contexts.secrets : fill(job.secrets ?? {}, scope);
  const call = {
    called: true,
    inputs: fill(job.with ?? {}, scope),
    secrets: Object.fromEntries(Object.entries(secrets).filter(([key]) => key !== "GITHUB_TOKEN")),
    permissions: allowed(job, around),
    prefix: `${name} / `,
    depth: around.call.depth + 1,
  };
  if (job.concurrency) world.concurrency.push(fill(job.concurrency, scope));
  return runWorkflow(world.locate(job.uses, origin(around.file), world.project), world, call);
}

const origin = (file) => ({ root: file.includes("/.github/") ? file.slice(0, file.indexOf("/.github/")) : path.dirname(file) });

function execute(id, job, scope, around, name) {
  const { world, workflow } = around;
  const permissions = allowed(job, around) ?? {};
  const temp = mkdtempSync(path.join(world.temp, `${id}-`));
  const workspace = path.join(temp, "workspace");
  [workspace, path.join(temp, "home")].forEach((each) => mkdirSync(each));
  const token = world.token(permissions);
  const environment = { name: fill(job.environment?.name ?? job.environment ?? "", scope), url: "" };
  const state = {
    world, temp, workspace, env: {}, path: [], masks: [...world.masks, token], summary: "", log: "", annotations: [],
    steps: [], uses: [], codes: [],
  };
  const facts = { permissions, environment, "runs-on": fill(job["runs-on"], scope), container: fill(job.container ?? "", scope) };
  if (job.concurrency) world.concurrency.push(fill(job.concurrency, scope));
  if (world.rejected.includes(environment.name)) {
    world.report(name, { ...facts, result: "failure", rejected: true });
    return { result: "failure", outputs: {} };
  }
  const github = { ...world.github, token, workspace, job: id };
  state.base = { ...world.base(github, temp, permissions) };
  const contexts = {
    ...scope.contexts, github, job: { status: "success" }, env: {},
    secrets: { ...scope.contexts.secrets, GITHUB_TOKEN: token },
    runner: { os: "Linux", arch: "X64", temp, name: "emulator" },
  };
  const own = { ...scope, contexts, job: state, workspace, origin: origin(around.file), failed: false };
  own.env = { ...textsOf(fill(workflow.env ?? {}, own)) };
  contexts.env = own.env;
  own.env = { ...own.env, ...textsOf(fill(job.env ?? {}, own)) };
  const defaults = { ...workflow.defaults?.run, ...job.defaults?.run };
  runSteps(job.steps.map((step) => (step.run ? { ...defaults, ...step } : step)), own);
  const outputs = textsOf(fill(job.outputs ?? {}, own));
  environment.url = fill(job.environment?.url ?? "", own); // known only now
  const { log, summary, annotations, steps, uses, codes } = state;
  const result = own.failed ? "failure" : "success";
  world.report(name, { ...facts, result, outputs, log, summary, annotations, steps, uses, codes, workspace });
  return { result, outputs };
}

const textsOf = (found) => Object.fromEntries(Object.entries(found).map(([key, each]) => [key, String(each ?? "")]));
