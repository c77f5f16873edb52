import type { HookClient } from "../../contract/clients.ts";
import { codexOutput } from "./codex-output.ts";
import { geminiOutput } from "./gemini-output.ts";
import type { OutputFormat } from "./output-event.ts";
import { qwenOutput } from "./qwen-output.ts";

/**
 * Clients whose result can be read. Not Copilot CLI, which prints no tokens, and not OpenCode,
 * whose sessions have ids that no checkpoint holds.
 */
const formats: Partial<Readonly<Record<HookClient, OutputFormat>>> = {
  codex: codexOutput,
  gemini: geminiOutput,
  qwen: qwenOutput,
};

export function outputFormat(client: HookClient): OutputFormat | null {
  return formats[client] ?? null;
}
