// An emulator of GitHub's runner, for tests: a request as JSON on the standard input, what happened as JSON on the output.
//
// It parses and evaluates with GitHub's own packages. It is not GitHub: jobs run one after another on this machine, and
// permissions, environments and actions of other repositories are played.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { runWorkflow, readWorkflow, triggers } from "./workflows.mjs";

const request = JSON.parse(readFileSync(0, "utf8"));
const jobs = {};
const world = {
  ...request,
  concurrency: [],
  artifacts: path.join(request.temp, "artifacts"),
  report: (name, facts) => (jobs[name] = facts),
  token: (permissions) => {
    const may = ["deployments", "pull-requests"].find((each) => permissions[each] === "write" && !request.fork);
    return request.tokens[{ deployments: "write", "pull-requests": "request" }[may] ?? "read"];
  },
  base: (github, temp, permissions) => {
    const event = path.join(temp, "event.json");
    writeFileSync(event, JSON.stringify(request.github.event));
    const given = Object.entries(github).filter(([, value]) => typeof value === "string");
    const known = given.filter(([key]) => key !== "token").map(([key, value]) => [`GITHUB_${key.toUpperCase()}`, value]);
    const machine = Object.entries(request.machine);
    const proves = permissions["id-token"] === "write";
    const own = machine.filter(([key]) => proves || !key.startsWith("ACTIONS_ID_TOKEN_"));
    return {
      PATH: process.env.PATH, HOME: path.join(temp, "home"), LANG: "C.UTF-8", CI: "true", GITHUB_ACTIONS: "true",
      ...Object.fromEntries(known), GITHUB_EVENT_PATH: event, RUNNER_TEMP: temp, RUNNER_OS: "Linux", ...Object.fromEntries(own),
    };
  },
  // Where an action or a workflow is: of another repository, of the one whose file names it ($/), of the project (./).
  locate: (uses, origin, workspace) => {
    const [place] = uses.split("@");
    if (place.startsWith("$/")) return path.join(origin.root, place.slice(2));
    if (place.startsWith("./")) return path.join(workspace, place);
    const [owner, name, ...rest] = place.split("/");
    const root = request.repositories[`${owner}/${name}`];
    if (!root) throw new Error(`the emulator has no ${owner}/${name}`);
    return path.join(root, ...rest);
  },
};

async function main() {
  mkdirSync(world.artifacts, { recursive: true });
  const { event_name: name, event } = request.github;
  const workflow = await readWorkflow(request.workflow);
  if (!triggers(workflow.on, name, event)) return { result: "not started" };
  const call = { called: false, inputs: request.inputs, secrets: request.secrets, permissions: null, prefix: "", depth: 0 };
  return runWorkflow(request.workflow, world, call);
}

try {
  const { result, outputs } = await main();
  process.stdout.write(JSON.stringify({ result, outputs, jobs, concurrency: world.concurrency }));
} catch (error) {
  process.stdout.write(JSON.stringify({ result: "error", message: error.message, jobs, concurrency: world.concurrency }));
}
