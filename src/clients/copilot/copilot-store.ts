import { existsSync } from "node:fs";
import { isUtf8 } from "node:buffer";
import { dirname, join } from "node:path";
import type { StoreHabits } from "../adapter/store-habits.ts";
import { problemOf, readBytes } from "../transcript/transcript-bytes.ts";

/** A line of a mapping, of a list in it, of a text that continues, or of no content. */
const yamlLine = /^(?:[\w-]+:(?:\s|$)|- |\s|#|---|\.\.\.|$)/;

/**
 * Seen with 1.0.102: it ends at once, without a word, where the file is empty, cut within a key,
 * filled with zeros, no mapping, or lacks the id; it makes a new one where there is none.
 */
function workspaceProblem(path: string): string | null {
  try {
    const { bytes } = readBytes(path);
    const lines = bytes.toString("utf8").split("\n");
    if (bytes.includes(0) || !isUtf8(bytes) || !lines.every((line) => yamlLine.test(line))) return "is no YAML";
    return lines.some((line) => line.startsWith("id: ")) ? null : "names no session";
  } catch (error) {
    return `cannot be used: ${problemOf(error)}`;
  }
}

export const copilotStore: StoreHabits = {
  blockedBy(file) {
    const path = join(dirname(file), "workspace.yaml");
    const why = existsSync(path) ? workspaceProblem(path) : null;
    return why === null ? null : { path, why };
  },
};
