import { dirname, join } from "node:path";
import { objectAt, textAt } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { type HookLaunch, jsonExtensions } from "../adapter/client-form.ts";
import { headOf } from "../transcript/transcript-head.ts";
import { openCodeContents, openCodeParts } from "./opencode-contents.ts";
import { isDatabase, openCodeStore, readDatabase } from "./opencode-database.ts";
import { readOpenCodeMessage } from "./opencode-lines.ts";
import { toFirstVersion } from "./opencode-messages.ts";
import { openCodeModel, openCodeProgram } from "./opencode-program.ts";
import { openCodeWriter } from "./opencode-writer.ts";

export const openCodeDetails: ClientDetails = {
  readRow: readOpenCodeMessage,
  partsOf: openCodeParts,
  contentsOf: openCodeContents,
  writer: openCodeWriter,
  modelOf: openCodeModel,
  documentOf(document) {
    const info = objectAt(document, "info");
    const head = headOf(info, "id");
    const messages = document["messages"];
    if (!head || !Array.isArray(messages)) return null;
    const [cwd, parent] = [textAt(info, "directory", 4_096), textAt(info, "parentID", 200)];
    return { head: { client: "opencode", ...head, cwd, parent }, messages };
  },
  rowOf: toFirstVersion,
  readDatabase: (path, driver) => (isDatabase(path) ? readDatabase(path, driver) : null),
  database: openCodeStore,
  program: openCodeProgram,
  form: {
    program: "opencode",
    reads: jsonExtensions,
    base: { variable: "XDG_CONFIG_HOME", folder: ".config" },
    hooks: { file: ".config/opencode/plugin/shim.js", form: "own", text: openCodePluginFile },
    servers: {
      file: ".config/opencode/opencode.json",
      key: "mcp",
      entry: (command, args) => ({ type: "local", command: [command, ...args], enabled: true }),
    },
  },
};

/** OpenCode calls every export of the file as a plugin. */
function openCodePluginFile({ node, hookScript }: HookLaunch): string {
  const plugin = join(dirname(hookScript), "opencode-plugin.mjs");
  return `// Written by shim init; shim init --remove removes it.
import { openCodePlugin } from ${JSON.stringify(plugin)};

export const Shim = openCodePlugin(${JSON.stringify([node, hookScript])});
`;
}
