import { readCodexLine } from "./codex-lines.ts";
import type { LineFormat } from "./transcript-lines.ts";

const formats: Readonly<Record<string, LineFormat>> = { codex: readCodexLine };

/** Undefined for Claude Code, and for a client whose files have its format. */
export function transcriptFormat(client: string): LineFormat | undefined {
  return formats[client];
}
