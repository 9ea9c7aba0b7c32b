// Lets Node take GitHub's packages from a folder elsewhere (MODELYARD_NODE_MODULES), and their JSON files as modules:
// they import JSON without saying so, which Node refuses.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const parent = pathToFileURL(`${process.env.MODELYARD_NODE_MODULES}/here.mjs`).href;

registerHooks({
  resolve(specifier, context, next) {
    const bare = !/^([./]|node:|file:|data:)/.test(specifier) && !context.parentURL?.includes("/node_modules/");
    return next(specifier, bare ? { ...context, parentURL: parent } : context);
  },
  load(url, context, next) {
    if (!url.endsWith(".json")) return next(url, context);
    const source = `export default ${readFileSync(fileURLToPath(url), "utf8")}`;
    return { format: "module", shortCircuit: true, source };
  },
});
