// The card of one task instance: what it has published, then the model version behind it.

import { address, ask, badge, digits, fill, make, moment, number, problem, row, stateBadge, table, waiting } from "./elements.js";

const task = Object.fromEntries(new URLSearchParams(location.search));
const main = document.getElementById("card");

function shown(value) {
  if (value === null || value === "") return make("span", { cls: "soft" }, "none");
  if (typeof value === "boolean") return badge(value ? "yes" : "no", value ? "good" : "");
  if (typeof value === "number") return digits(value);
  if (typeof value === "string") return /^https?:/.test(value) ? address(value) : make("code", {}, value);
  if (Array.isArray(value)) return value.length ? value.map((each) => badge(digits(each))) : make("span", { cls: "soft" }, "none");
  const all = Object.entries(value);
  if (!all.length) return make("span", { cls: "soft" }, "none");
  if (all.some(([, each]) => each !== null && typeof each === "object")) return make("code", {}, JSON.stringify(value));
  if (all.some(([, each]) => String(each).length > 24)) return make("ul", {}, all.map(([name, each]) => make("li", {}, `${name}: ${each}`)));
  return all.map(([name, each]) => badge(`${name} ${digits(each)}`, typeof each === "boolean" ? (each ? "good" : "bad") : ""));
}

function result(card) {
  const facts = card.result.flatMap((each) => [make("dt", { title: each.doc }, each.name.replaceAll("_", " ")), make("dd", {}, shown(each.value))]);
  // A link to this card leads nowhere else.
  const links = Object.entries(card.links).filter(([, url]) => !url.includes("/modelyard/card?")).map(([name, url]) => [make("dt", {}, name.replace(/Link$/, "")), make("dd", {}, address(url))]);
  return make("section", { cls: "sheet" }, make("h2", {}, card.operation, " ", stateBadge(card.state, true)),
    make("p", { cls: "soft" }, card.summary), make("dl", {}, facts, links.flat()));
}

function compared(mine, theirs) {
  const names = [...new Set([...Object.keys(mine), ...Object.keys(theirs ?? {})])];
  const rows = names.map((name) => {
    const cells = [name, number(name in mine ? digits(mine[name]) : "–")];
    if (theirs) {
      const change = name in mine && name in theirs ? mine[name] - theirs[name] : null;
      const sign = change > 0 ? "+" : change < 0 ? "−" : "±";
      cells.push(number(name in theirs ? digits(theirs[name]) : "–"), number(change === null ? "" : `${sign}${digits(Math.abs(change))}`));
    }
    return row(...cells);
  });
  const columns = ["metric", { name: "this version", number: true }];
  if (theirs) columns.push({ name: "champion", number: true }, { name: "difference", number: true });
  return table(columns, rows, "The run that made it has no metrics.");
}

function model(found) {
  const version = found?.version;
  if (!version) return make("section", { cls: "sheet" }, make("h2", {}, found.uri), make("p", { cls: "soft" }, "It is not among the newest versions of the registry."));
  const fact = (name, value) => [make("dt", {}, name), make("dd", {}, value)];
  const tags = Object.entries(version.tags).filter(([name]) => !name.startsWith("mlflow.") && name !== "modelyard.digest");
  return [
    make("section", { cls: "sheet" }, make("h2", {}, "Metrics"),
      make("p", { cls: "soft" }, found.champion ? `beside the champion, version ${found.champion.version}` : version.aliases.includes("champion") ? "it is the champion" : "there is no champion to compare with"),
      compared(version.metrics, found.champion?.metrics)),
    make("section", { cls: "sheet" },
      make("h2", {}, `${version.name}, version ${version.version} `, version.aliases.map((each) => badge(each, each === "champion" ? "good" : "lead"))),
      make("p", { cls: "soft" }, version.description),
      make("dl", {},
        fact("registered", moment(version.created / 1000)), fact("run", make("code", {}, version.run_id || "unknown")),
        fact("answers at", found.endpoints.length ? found.endpoints.map((each) => badge(each, "good", true)) : make("span", { cls: "soft" }, "no endpoint")),
        fact("registry", make("code", {}, found.tracking)), fact("digest", make("code", {}, version.digest || "none"))),
      tags.length ? make("details", {}, make("summary", {}, `${tags.length} tags`),
        make("dl", {}, tags.flatMap(([name, value]) => fact(name.replace("modelyard.", "").replaceAll("_", " "), make("code", {}, value))))) : ""),
  ];
}

async function show() {
  main.replaceChildren(waiting("Reading what the task has published…"));
  let card;
  try {
    card = await ask("card", task);
  } catch (error) {
    main.replaceChildren(problem(error));
    return;
  }
  if (!card.operation) {
    main.replaceChildren(make("p", { cls: "empty whole" }, card.state === "success"
      ? "This task has published no result of modelyard."
      : `This task has no result of modelyard yet: it is ${card.state || "not started"}.`));
  } else {
    main.replaceChildren(result(card));
    if (card.has_model) {
      const part = make("div", { cls: "whole" });
      main.append(part);
      await fill(part, "Reading the registry…", () => ask("card/model", task), model);
      if (!part.querySelector(".problem, .waiting")) part.replaceWith(...part.childNodes);
    }
  }
  document.documentElement.dataset.shown = "true";
}

show();
