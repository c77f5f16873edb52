import type { HookClient } from "../../contract/clients.ts";

export interface TranscriptHead {
  readonly client: HookClient;
  readonly session: string;
  readonly cwd: string | null;
  /** Gemini CLI: SHA-256 of its folder, or a name of its own for it. */
  readonly folderHash?: string | null;
  /** Session whose subagent it is; null: none. */
  readonly parent: string | null;
}
