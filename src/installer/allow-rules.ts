import { harmlessTools } from "../contract/own-tools.ts";
import { isRecord } from "../shared/json-fields.ts";
import * as json from "./json-text.ts";
import { removeIfEmptied } from "./settings-edits.ts";

/** [IN81] By these rules a client runs harmless tools without a question. Texts must be sound. */
export interface AllowRules {
  /** Settings of another shape stay. @param server SHIM's name in the client's file */
  add(text: string, server: string): string;
  /** Keeps a rule that the user had before. @param original the file before SHIM */
  remove(text: string, server: string, original: string): string;
}

/** Claude Code's name of the plugin's server. */
export const pluginServer = "plugin:shim:shim";

const listPath = ["permissions", "allow"];

/** Names in a list, which has no order. */
export const listedRules: AllowRules = {
  add(text, server) {
    const [permissions = {}, rules = []] = [["permissions"], listPath].map((path) => json.valueAt(text, path));
    if (!isRecord(permissions) || !Array.isArray(rules)) return text;
    const known = listedIn(text);
    return listedNames(server)
      .filter((rule) => !known.includes(rule))
      .reduce((rest, rule) => json.append(rest, listPath, rule), text);
  },
  remove(text, server, original) {
    const before = listedIn(original);
    const ours = new Set(listedNames(server).filter((rule) => !before.includes(rule)));
    const rest = listedIn(text).reduceRight<string>(
      (without, rule, at) => (ours.has(String(rule)) ? json.remove(without, [...listPath, at]) : without),
      text,
    );
    return rest === text ? text : removeIfEmptied(removeIfEmptied(rest, listPath, original), ["permissions"], original);
  },
};

/** Claude Code and Qwen Code put the server's name before that of the tool. */
function listedNames(server: string): string[] {
  return harmlessTools.map((tool) => `mcp__${server.replaceAll(/[^\w-]/g, "_")}__${tool}`);
}

function listedIn(text: string): readonly unknown[] {
  const rules = json.valueAt(text, listPath);
  return Array.isArray(rules) ? rules : [];
}

/**
 * OpenCode's form: an answer for each pattern of tools, of which the last that matches counts.
 * Without any OpenCode asks before no tool of a server, so rules are added only to those of the
 * user, and none where these name SHIM's tools.
 */
export const keyedRules: AllowRules = {
  add(text, server) {
    const answers = keyedIn(text);
    const names = keyedNames(server);
    const prefix = `${keyedWord(server)}_`;
    const isDecided = Object.keys(answers).some((key) => key.startsWith(prefix) && !names.includes(key));
    if (isDecided || Object.keys(answers).length === 0) return text;
    return names
      .filter((name) => answers[name] === undefined)
      .reduce((rest, name) => json.set(rest, ["permission", name], "allow"), text);
  },
  remove(text, server, original) {
    const [answers, before] = [keyedIn(text), keyedIn(original)];
    return keyedNames(server)
      .filter((name) => answers[name] === "allow" && before[name] === undefined)
      .reduce((rest, name) => json.remove(rest, ["permission", name]), text);
  },
};

function keyedNames(server: string): string[] {
  return harmlessTools.map((tool) => `${keyedWord(server)}_${tool}`);
}

function keyedWord(server: string): string {
  return server.replaceAll(/[^\w-]/g, "_");
}

function keyedIn(text: string): Readonly<Record<string, unknown>> {
  const answers = json.valueAt(text, ["permission"]);
  return isRecord(answers) ? answers : {};
}

/** A line for a person; none where nothing changes. */
export function allowSummary(before: string, after: string): string[] {
  return after === before ? [] : ["allows SHIM's tools that only read or save, without a question"];
}
