import type { HookClient } from "../../contract/clients.ts";
import { readCodexLine } from "./codex-lines.ts";
import { readCopilotLine } from "./copilot-lines.ts";
import { readGeminiLine } from "./gemini-lines.ts";
import { readQwenLine } from "./qwen-lines.ts";
import type { LineFormat } from "./transcript-lines.ts";

const formats: Partial<Record<HookClient, LineFormat>> = {
  codex: readCodexLine,
  copilot: readCopilotLine,
  qwen: readQwenLine,
  gemini: readGeminiLine,
  tabnine: readGeminiLine,
};

/** Undefined for Claude Code, and for a client whose files have its format. */
export function transcriptFormat(client: string): LineFormat | undefined {
  return new Map<string, LineFormat>(Object.entries(formats)).get(client);
}
