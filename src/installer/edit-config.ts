import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { parse } from "jsonc-parser";
import type { Config } from "../contract/config.ts";
import { parseConfig, readConfig } from "../platform/config-file.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { codeOf } from "../shared/error.ts";
import { type Result, err, ok } from "../shared/result.ts";
import { settingAt } from "../shared/setting-keys.ts";
import { formatOf, objectIn, update } from "./settings.ts";

/**
 * Changes one setting of config.json; its comments stay. Writes only a file that is valid
 * before and after.
 *
 * @param value undefined: back to the default
 * @returns the new settings, or why nothing was changed
 */
export function editConfig(path: string, key: string, value: unknown): Result<Config, string> {
  const text = textOf(path);
  const before = readConfig(path);
  if (!before.ok) return before;
  // Without a file every setting has its default.
  if (value === undefined && !isConfigured(path, key)) return before;
  const keys = key.split(".");
  const edited = update(formatOf(path), text, (root) => {
    const section = keys.slice(0, -1).reduce((parent, name) => objectIn(parent, name), root);
    section[keys.at(-1) ?? ""] = value;
  });
  const after = parseConfig(withoutBom(edited), path);
  if (!after.ok) return err(after.error.replace(`${path}: `, ""));
  if (edited !== text) {
    createPrivateFolder(dirname(path));
    // The file may be a link to settings kept elsewhere.
    const file = existsSync(path) ? realpathSync(path) : path;
    writeAtomically(file, edited.endsWith("\n") ? edited : `${edited}\n`, { mode: 0o600 });
  }
  return ok(after.value);
}

/** Returns whether the file itself has the setting; false for a file that is not valid. */
export function isConfigured(path: string, key: string): boolean {
  return settingAt(parse(withoutBom(textOf(path))), key) !== undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

function withoutBom(text: string): string {
  return text.replace(/^\uFEFF/, "");
}
