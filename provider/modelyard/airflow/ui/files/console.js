// The console: one section for each place, each table asked for by itself, so that a slow one keeps no other waiting.

import { address, ask, badge, digits, fill, kindOf, make, moment, number, problem, row, stateBadge, table, took, waiting } from "./elements.js";

const wanted = new URLSearchParams(location.hash.slice(1));
const sections = new Map();

function aliases(found) {
  return Object.entries(found).map(([alias, version]) => badge(`${alias} → ${version}`, alias === "champion" ? "good" : "lead"));
}

function metrics(found) {
  const all = Object.entries(found);
  const shown = all.slice(0, 3).map(([name, value]) => badge(`${name} ${digits(value)}`));
  return all.length > 3 ? [...shown, badge(`and ${all.length - 3} more`, "", false, all.map(([name, value]) => `${name} ${digits(value)}`).join("\n"))] : shown;
}

function versionRow(version) {
  const isWanted = wanted.get("version") === String(version.version) && wanted.get("model") === version.name;
  const made = row(
    make("b", {}, String(version.version)),
    version.aliases.map((alias) => badge(alias, alias === "champion" ? "good" : "lead")),
    metrics(version.metrics),
    moment(version.created / 1000),
    make("code", { cls: "whole", title: version.run_id }, version.run_id.slice(0, 8)),
  );
  if (isWanted) made.classList.add("chosen");
  return made;
}

function modelRows(place, model, opened, cells) {
  // The cell outlives a refresh, which shows what was there until the new answer is.
  if (!cells.has(model.name)) cells.set(model.name, make("td", { colspan: 5, cls: "inside" }));
  const inside = cells.get(model.name);
  const below = make("tr", { hidden: true }, inside);
  const show = () =>
    fill(inside, "Reading the versions…", () => ask("versions", { place, model: model.name }), (found) =>
      table(["version", "aliases", "metrics", "registered", "run"], found.map(versionRow), "It has no version."));
  const button = make("button", { type: "button", cls: "plain", "aria-expanded": "false" }, model.name);
  const open = (isOpen) => {
    below.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    opened[isOpen ? "add" : "delete"](model.name);
    if (isOpen) show();
  };
  button.addEventListener("click", () => open(below.hidden));
  const above = row(button, aliases(model.aliases), number(String(model.versions)), moment(model.updated / 1000), model.description);
  if (opened.has(model.name)) open(true);
  return [above, below];
}

function modelTable(place, opened, cells, found) {
  const columns = ["model", "aliases", { name: "versions", number: true }, "changed", "description"];
  return table(columns, found.flatMap((model) => modelRows(place, model, opened, cells)), "No model is registered yet.");
}

function endpointTable(found) {
  const rows = found.map((each) =>
    row(
      make("b", {}, each.name),
      [stateBadge(each.state), each.rollout && ["canary", "shadow"].includes(each.rollout.state) ? badge(each.rollout.state, "warn") : ""],
      stateBadge(each.health),
      Object.entries(each.models).map(([step, model]) => badge(model.replace("models:/", ""), "lead", false, `step ${step}`)),
      address(each.url),
      moment(each.since),
    ));
  return table(["endpoint", "state", "health", "models", "address", "since"], rows, "Nothing is deployed.");
}

// What an orchestrator runs has a name of it and of its run.
const nameOf = (run) => run.workflow || (run.run.includes("/") ? run.run.split("/")[0] : run.steps[0]?.operation ?? "run");

function runTable(found) {
  const rows = found.map((run) =>
    row(
      [make("b", {}, nameOf(run)), make("div", { cls: "soft small" }, make("code", {}, run.run))],
      stateBadge(run.state, true),
      make("span", { cls: "steps" }, run.steps.map((step) =>
        make("i", { cls: kindOf(step.state, true), title: `${step.step}: ${step.state}${step.error ? `\n${step.error}` : ""}` }))),
      moment(run.began),
      took(run.began, run.ended),
      run.state === "succeeded" ? "" : make("span", { cls: "error" }, run.error),
    ));
  return table(["run", "state", "steps", "began", "took", ""], rows, "Nothing ran yet.");
}

class Section {
  constructor(place) {
    this.place = place;
    this.opened = new Set(wanted.get("place") === place.name && wanted.get("model") ? [wanted.get("model")] : []);
    this.cells = new Map();
    this.name = make("h2", {}, place.name.replace(/^[a-z]+:/, ""));
    this.about = make("span", { cls: "soft small" });
    this.figures = make("div", { cls: "figures" });
    this.parts = {};
    const panel = (name, title, wide) => {
      this.parts[name] = make("div");
      return make("section", { cls: wide ? "wide" : null, "aria-label": title }, make("h3", {}, title), this.parts[name]);
    };
    this.panels = place.problem
      ? problem({ kind: "invalid", message: place.problem })
      : make("div", { cls: "panels" }, panel("models", "Models"), panel("endpoints", "Endpoints"), panel("runs", "Last runs", true));
    this.element = make("article", { cls: "place" }, make("div", { cls: "head" }, this.name, this.about, this.figures), this.panels);
    this.counts = {};
  }

  count(name, text) {
    this.counts[name] = text;
    this.figures.replaceChildren(
      ...["models", "endpoints ready", "runs failed"].filter((each) => each in this.counts)
        .map((each) => make("div", {}, make("b", {}, this.counts[each]), make("span", {}, each))));
  }

  async project() {
    const facts = await ask("project", { place: this.place.name });
    if (facts.name) this.name.textContent = facts.name;
    this.about.replaceChildren(
      ...(facts.environment ? [badge(facts.environment)] : []), make("code", {}, facts.tracking), ` · ${this.place.name.replace(":", " ")}`);
  }

  async show() {
    if (this.place.problem) return;
    const place = this.place.name;
    await Promise.all([
      this.project().catch(() => {}),
      fill(this.parts.models, "Reading the registry…", () => ask("models", { place }), (found) => {
        this.count("models", String(found.length));
        return modelTable(place, this.opened, this.cells, found);
      }),
      fill(this.parts.endpoints, "Asking the endpoints…", () => ask("endpoints", { place }), (found) => {
        const ready = found.filter((each) => each.health === "ready" || each.health === "idle").length;
        this.count("endpoints ready", `${ready}/${found.length}`);
        return endpointTable(found);
      }),
      fill(this.parts.runs, "Reading the journal…", () => ask("runs", { place }), (found) => {
        this.count("runs failed", `${found.filter((each) => ["failed", "lost"].includes(each.state)).length}/${found.length}`);
        return runTable(found);
      }),
    ]);
  }
}

async function show() {
  const main = document.getElementById("places");
  let places;
  try {
    places = await ask("places");
  } catch (error) {
    main.replaceChildren(problem(error));
    return;
  }
  if (!places.length) {
    main.replaceChildren(make("p", { cls: "empty" },
      "There is nothing to show yet. Add a connection of the type modelyard under Admin, Connections, or name projects in [modelyard] projects."));
    return;
  }
  for (const place of places) if (!sections.has(place.name)) sections.set(place.name, new Section(place));
  main.replaceChildren(...places.map((place) => sections.get(place.name).element));
  await Promise.all(places.map((place) => sections.get(place.name).show()));
  document.getElementById("moment").textContent = `as of ${new Date().toLocaleTimeString()}`;
  document.documentElement.dataset.shown = "true";
  document.querySelector("tr.chosen")?.scrollIntoView({ block: "center" });
}

document.getElementById("places").replaceChildren(waiting("Looking for projects…"));
document.getElementById("again").addEventListener("click", show);

// Not an interval: a refresh that takes long is waited for.
async function keep() {
  if (document.visibilityState === "visible") await show();
  setTimeout(keep, 30000);
}
keep();
