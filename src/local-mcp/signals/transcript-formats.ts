import type { LineFormat } from "./transcript-lines.ts";

const formats: Readonly<Record<string, LineFormat>> = {};

/** Undefined for Claude Code, and for a client whose files have its format. */
export function transcriptFormat(client: string): LineFormat | undefined {
  return formats[client];
}
