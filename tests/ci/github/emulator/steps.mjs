// Runs steps: scripts, composite actions, and stand-ins for actions of other repositories.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { NoOperationTraceWriter } from "@actions/workflow-parser";
import { convertActionTemplate, parseAction } from "@actions/workflow-parser/actions/index";
import { parse } from "yaml";
import { fill, fillText, holds } from "./expressions.mjs";

const SHELLS = {
  "": ["bash", "-e"],
  bash: ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"],
  sh: ["sh", "-e"],
  python: ["python3"],
};
const FILES = ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"];

const texts = (values, scope) => Object.fromEntries(Object.entries(fill(values ?? {}, scope)).map(([key, each]) => [key, String(each ?? "")]));

// Runs steps in order. `scope` has the contexts, the job and where the text of action files is; returns its outputs.
export function runSteps(steps, scope) {
  const { job } = scope;
  scope.contexts.steps = {};
  scope.failed = scope.failed ?? false;
  for (const step of steps) {
    const env = { ...scope.env, ...job.env };
    scope.contexts.env = env;
    const own = { ...scope, contexts: { ...scope.contexts } };
    let outcome = "skipped";
    let outputs = {};
    if (holds(step.if, own)) {
      own.contexts.env = own.env = { ...env, ...texts(step.env, own) };
      job.steps.push(step.id ?? step.name ?? step.uses ?? String(step.run).split("\n")[0]);
      ({ outcome, outputs } = step.uses ? runAction(step, own) : runScript(step, own));
    }
    const tolerated = outcome === "failure" && fill(step["continue-on-error"] ?? false, own) === true;
    const conclusion = tolerated ? "success" : outcome;
    if (conclusion === "failure") scope.failed = true;
    if (step.id) scope.contexts.steps[step.id] = { outcome, conclusion, outputs };
  }
}

function runScript(step, scope) {
  const { job } = scope;
  const files = mkdtempSync(path.join(job.temp, "step-"));
  const paths = Object.fromEntries(FILES.map((name) => [name, path.join(files, name.toLowerCase())]));
  Object.values(paths).forEach((each) => writeFileSync(each, ""));
  const script = path.join(files, "script");
  writeFileSync(script, fillText(step.run, scope));
  const shell = SHELLS[step.shell ?? ""];
  if (!shell) throw new Error(`the emulator knows no shell ${step.shell}`);
  const env = { ...job.base, ...scope.env, ...scope.action, ...paths };
  env.PATH = [...job.path, job.base.PATH].join(":");
  const cwd = path.resolve(job.workspace, fillText(step["working-directory"], scope) || ".");
  const timeout = 60_000 * Number(fill(step["timeout-minutes"] ?? 5, scope));
  const ended = spawnSync(shell[0], [...shell.slice(1), script], { cwd, env, timeout, encoding: "utf8", maxBuffer: 1e8, input: "" });
  if (ended.error && ended.error.code !== "ETIMEDOUT") throw ended.error;
  listen(job, `${ended.stdout}\n${ended.stderr}`);
  const read = (name) => readFileSync(paths[name], "utf8");
  job.summary += read("GITHUB_STEP_SUMMARY");
  job.path.unshift(...read("GITHUB_PATH").split("\n").filter(Boolean));
  for (const [name, value] of Object.entries(pairs(read("GITHUB_ENV")))) {
    if (/^(GITHUB_|RUNNER_|NODE_OPTIONS$)/.test(name)) throw new Error(`GITHUB_ENV may not set ${name}`);
    job.env[name] = value;
  }
  job.codes.push(ended.status);
  return { outcome: ended.status === 0 ? "success" : "failure", outputs: pairs(read("GITHUB_OUTPUT")) };
}

// What a step's output tells the runner; values that are to be masked are hidden from there on.
function listen(job, output) {
  for (const line of output.split("\n")) {
    const command = /^::([\w-]+)(?: ([^:]*(?::(?!:)[^:]*)*))?::(.*)$/.exec(line);
    if (command?.[1] === "add-mask") job.masks.push(command[3]);
    else if (["error", "warning", "notice"].includes(command?.[1])) {
      const facts = (command[2] ?? "").split(",").filter(Boolean).map((each) => each.split(/=(.*)/s).slice(0, 2));
      job.annotations.push({ level: command[1], ...Object.fromEntries(facts), message: command[3] });
    }
    job.log += `${job.masks.reduce((text, mask) => (mask ? text.replaceAll(mask, "***") : text), line)}\n`;
  }
}

function pairs(text) {
  const found = {};
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const several = /^([^=]+?)<<(.+)$/.exec(lines[at]);
    if (several) {
      const end = lines.indexOf(several[2], at + 1);
      if (end < 0) throw new Error(`no end of the value of ${several[1]}`);
      found[several[1]] = lines.slice(at + 1, end).join("\n");
      at = end;
    } else if (lines[at]) {
      const [name, value] = lines[at].split(/=(.*)/s);
      if (value === undefined) throw new Error(`an output's line is not NAME=VALUE: ${lines[at]}`);
      found[name] = value;
    }
  }
  return found;
}

function runAction(step, scope) {
  const { job } = scope;
  const given = texts(step.with, scope);
  job.uses.push({ uses: step.uses, with: given });
  const name = step.uses.replace(/@.*$/, "");
  const own = job.world.standIns[name];
  if (own) return standIn(own, given, job);
  const folder = job.world.locate(step.uses, scope.origin, job.workspace);
  const file = path.join(folder, "action.yml");
  const action = readAction(file);
  const inputs = {};
  const known = Object.keys(action.inputs ?? {});
  for (const each of Object.keys(given))
    if (!known.includes(each)) throw new Error(`${name} has no input ${each}; it has ${known.join(", ")}`);
  for (const each of known) {
    if (action.inputs[each].required && !(each in given)) throw new Error(`${name} needs the input ${each}`);
    inputs[each] = given[each] ?? fillText(action.inputs[each].default, scope);
  }
  const { secrets, matrix, needs, ...contexts } = scope.contexts;
  const inner = {
    ...scope,
    contexts: { ...contexts, inputs },
    action: { GITHUB_ACTION_PATH: folder, GITHUB_ACTION_REF: "v1" },
    origin: { ...scope.origin },
    failed: false,
  };
  runSteps(action.runs.steps, inner);
  return { outcome: inner.failed ? "failure" : "success", outputs: texts(values(action.outputs), inner) };
}

export const values = (outputs) => Object.fromEntries(Object.entries(outputs ?? {}).map(([key, each]) => [key, each.value]));

export function readAction(file) {
  const content = readFileSync(file, "utf8");
  const parsed = parseAction({ name: file, content }, new NoOperationTraceWriter());
  if (parsed.value) convertActionTemplate(parsed.context, parsed.value);
  const errors = parsed.context.errors.getErrors();
  if (errors.length) throw new Error(`${file}: ${errors.map((each) => each.message).join("; ")}`);
  return parse(content);
}

// Actions of other repositories: what they do for a job, as far as the jobs here need it.
const STAND_INS = {
  checkout({ ref }, job) {
    // The folder itself stays: it is the one where later steps run.
    readdirSync(job.workspace).forEach((each) => rmSync(path.join(job.workspace, each), { recursive: true }));
    const git = (...words) => {
      const ended = spawnSync("git", words, { cwd: job.workspace, encoding: "utf8", env: job.base });
      if (ended.status) throw new Error(`git ${words.join(" ")}: ${ended.stderr}`);
    };
    git("clone", "--quiet", job.world.project, ".");
    const commit = ref || job.world.commit;
    git("checkout", "--quiet", "--detach", /^[0-9a-f]{40}$/.test(commit) ? commit : `origin/${commit}`);
  },
  path({ folders, extras }, job) {
    job.path.unshift(...(folders[extras] ?? folders[""]));
    return { version: "0.0.0" };
  },
  "upload-artifact"(given, job) {
    const from = path.resolve(job.workspace, given.path.trim());
    if (!existsSync(from)) {
      if (given["if-no-files-found"] === "error") throw new Error(`no files at ${given.path}`);
      return {};
    }
    const to = path.join(job.world.artifacts, given.name);
    if (existsSync(to) && given.overwrite !== "true") throw new Error(`there is an artifact ${given.name} already`);
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to, { recursive: true });
    cpSync(from, to, { recursive: true });
    return { "artifact-url": `https://github.com/artifacts/${given.name}`, "artifact-id": "1" };
  },
  "download-artifact"(given, job) {
    if (given.pattern) {
      // Those whose names fit, each into a folder of its name.
      const fits = new RegExp(`^${given.pattern.replaceAll("*", ".*")}$`);
      for (const each of readdirSync(job.world.artifacts).filter((name) => fits.test(name)))
        cpSync(path.join(job.world.artifacts, each), path.resolve(job.workspace, given.path, each), { recursive: true });
      return;
    }
    const from = path.join(job.world.artifacts, given.name);
    if (!existsSync(from)) throw new Error(`there is no artifact ${given.name}`);
    cpSync(from, path.resolve(job.workspace, given.path), { recursive: true });
  },
  nothing() {},
};

function standIn(own, given, job) {
  try {
    return { outcome: "success", outputs: { ...STAND_INS[own.kind]({ ...given, ...own }, job) } };
  } catch (error) {
    listen(job, `::error::${error.message}`);
    return { outcome: "failure", outputs: {} };
  }
}
