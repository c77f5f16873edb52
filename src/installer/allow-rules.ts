import { harmlessTools } from "../contract/own-tools.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import { listIn, objectAt, objectIn, valueAt, type Settings } from "./settings.ts";

/** [IN81] By these rules a client runs harmless tools without a question. */
export interface AllowRules {
  /** Settings of another shape stay. @param server SHIM's name in the client's file */
  add(root: Settings, server: string): void;
  /** Keeps a rule that the user had before. @param original the file before SHIM */
  remove(root: Settings, server: string, original: JsonObject): void;
}

/** Claude Code's name of the plugin's server. */
export const pluginServer = "plugin:shim:shim";

/** A list without an order. Claude Code and Qwen Code put the server's name before the tool's. */
const listedRules: AllowRules = {
  add(root, server) {
    const { permissions = {} } = root;
    if (!isRecord(permissions) || !Array.isArray(permissions["allow"] ?? [])) return;
    const rules = listIn(objectIn(root, "permissions"), "allow");
    rules.push(...listedNames(server).filter((rule) => !rules.includes(rule)));
  },
  remove(root, server, original) {
    const [rules, before] = [root, original].map((one) => valueAt(one, ["permissions", "allow"]));
    if (!Array.isArray(rules)) return;
    const kept: readonly unknown[] = Array.isArray(before) ? before : [];
    const ours = new Set<unknown>(listedNames(server).filter((rule) => !kept.includes(rule)));
    rules.splice(0, Infinity, ...(rules as unknown[]).filter((rule) => !ours.has(rule)));
  },
};

function listedNames(server: string): string[] {
  return harmlessTools.map((tool) => `mcp__${keyedWord(server)}__${tool}`);
}

/**
 * OpenCode's form: an answer for each pattern of tools, of which the last that matches counts.
 * Without any OpenCode asks before no tool of a server, so rules are added only to those of the
 * user, and none where these name SHIM's tools.
 */
const keyedRules: AllowRules = {
  add(root, server) {
    const known = Object.keys(objectAt(root, ["permission"]));
    const names = keyedNames(server);
    const isDecided = known.some((key) => key.startsWith(`${keyedWord(server)}_`) && !names.includes(key));
    if (isDecided || known.length === 0) return;
    const answers = objectIn(root, "permission");
    for (const name of names) answers[name] ??= "allow";
  },
  remove(root, server, original) {
    const [answers, before] = [root, original].map((one) => objectAt(one, ["permission"]));
    for (const name of keyedNames(server))
      if (answers?.[name] === "allow" && before?.[name] === undefined) delete objectIn(root, "permission")[name];
  },
};

export const allowRules = { list: listedRules, keys: keyedRules };

function keyedNames(server: string): string[] {
  return harmlessTools.map((tool) => `${keyedWord(server)}_${tool}`);
}

function keyedWord(server: string): string {
  return server.replaceAll(/[^\w-]/g, "_");
}
