import { isUtf8 } from "node:buffer";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { asObject } from "../../shared/json-fields.ts";
import type { StoreHabits } from "../adapter/store-habits.ts";
import { problemOf, readBytes } from "../transcript/transcript-bytes.ts";

/**
 * Seen with 1.0.102: it ends at once, without a word, where the file is empty, cut within a key,
 * filled with zeros, no mapping, or lacks the id; it makes a new one where there is none.
 */
async function workspaceProblem(path: string): Promise<string | null> {
  // Loaded here: most programs that know the clients read no YAML.
  const { readYaml } = await import("../../platform/read-yaml.ts");
  try {
    const { bytes } = readBytes(path);
    const read = readYaml(bytes.toString("utf8"));
    const value = read.ok ? read.value.value : undefined;
    if (!isUtf8(bytes) || (value !== null && asObject(value) === null)) return "is no YAML";
    return (asObject(value)?.["id"] ?? null) === null ? "names no session" : null;
  } catch (error) {
    return `cannot be used: ${problemOf(error)}`;
  }
}

export const copilotStore: StoreHabits = {
  async blockedBy(file) {
    const path = join(dirname(file), "workspace.yaml");
    const why = existsSync(path) ? await workspaceProblem(path) : null;
    return why === null ? null : { path, why };
  },
};
