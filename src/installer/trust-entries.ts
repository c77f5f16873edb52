import { findRealPath } from "../platform/shim-command.ts";
import { isRecord } from "../shared/json-fields.ts";
import type { FileText } from "./file-edits.ts";
import { ourHooks } from "./settings-edits.ts";
import * as toml from "./toml-text.ts";

/** Codex keeps the trust in a hook in its config.toml, by the position of the hook in its file. */
const statePath = ["hooks", "state"];

/** [IN34] The keys of SHIM's hooks; Codex may have resolved the links of the path. */
export function trustKeys({ path, text }: FileText, events: readonly string[]): string[] {
  const files = [...new Set([path, findRealPath(path) ?? path])];
  return events.flatMap((event) =>
    ourHooks(text, event).flatMap(({ group, handler }) =>
      files.map((file) => `${file}:${snakeCase(event)}:${group}:${handler}`),
    ),
  );
}

/**
 * @param text a sound config.toml
 * @param original the file before SHIM
 */
export function withoutTrust(text: string, keys: readonly string[], original: string): string {
  const known = statesIn(text);
  const found = keys.filter((key) => key in known);
  if (found.length === 0) return text;
  const rest = found.reduce((left, key) => toml.remove(left, [...statePath, key]), text);
  const isShims = toml.valueAt(original, statePath) === undefined && Object.keys(statesIn(rest)).length === 0;
  return isShims ? toml.remove(rest, statePath) : rest;
}

function statesIn(text: string): Readonly<Record<string, unknown>> {
  const states = toml.valueAt(text, statePath);
  return isRecord(states) ? states : {};
}

function snakeCase(name: string): string {
  return name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
