import type { HookClient } from "../../contract/clients.ts";
import { readCodexLine } from "./codex-lines.ts";
import { readCopilotLine } from "./copilot-lines.ts";
import { readGeminiLine } from "./gemini-lines.ts";
import { readOpenCodeMessage } from "./opencode-lines.ts";
import { readPiLine } from "./pi-lines.ts";
import { readQwenLine } from "./qwen-lines.ts";
import type { LineFormat } from "./transcript-draft.ts";

/** Pi has no hooks: its chats come from their files alone. */
export type TranscriptClient = HookClient | "pi";

const formats: Partial<Record<TranscriptClient, LineFormat>> = {
  codex: readCodexLine,
  copilot: readCopilotLine,
  qwen: readQwenLine,
  gemini: readGeminiLine,
  tabnine: readGeminiLine,
  opencode: readOpenCodeMessage,
  pi: readPiLine,
};

/** Undefined for Claude Code, and for a client whose files have its format. */
export function transcriptFormat(client: string): LineFormat | undefined {
  return new Map<string, LineFormat>(Object.entries(formats)).get(client);
}
