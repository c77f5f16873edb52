import { hookClients, type HookClient } from "../contract/clients.ts";
import type { ClientDetails } from "./adapter/client-details.ts";
import { type ClientFiles, type ClientForm, plainServers } from "./adapter/client-form.ts";
import type { SessionFiles } from "./adapter/session-files.ts";
import type { LineFormat } from "./transcript/transcript-draft.ts";
import { adapterOf } from "./adapters.ts";
import { claudeCodeDetails } from "./claude-code/claude-code-details.ts";
import { codexDetails } from "./codex/codex-details.ts";
import { copilotDetails } from "./copilot/copilot-details.ts";
import { geminiDetails } from "./gemini/gemini-details.ts";
import { openCodeDetails } from "./opencode/opencode-details.ts";
import { qwenDetails } from "./qwen/qwen-details.ts";

export const details: Readonly<Record<HookClient, ClientDetails>> = {
  "claude-code": claudeCodeDetails,
  codex: codexDetails,
  copilot: copilotDetails,
  opencode: openCodeDetails,
  qwen: qwenDetails,
  gemini: geminiDetails,
};

/** Rows of Claude Code have the least of their own, and those of Qwen Code resemble them. */
const askedLast: readonly HookClient[] = ["qwen", "claude-code"];
/** Clients in the order in which they are asked whether a transcript is theirs. */
export const askedInOrder: readonly HookClient[] = [
  ...hookClients.filter((client) => !askedLast.includes(client)),
  ...askedLast,
];

export const clientDetails: readonly ClientDetails[] = Object.values(details);

/** Returns null for a client that SHIM does not know. */
export function detailsOf(client: string): ClientDetails | null {
  return Object.hasOwn(details, client) ? details[client as HookClient] : null;
}

/** A client without details has Claude Code's format. */
export function transcriptFormat(client: string): LineFormat {
  return (detailsOf(client) ?? claudeCodeDetails).readRow;
}

/**
 * Reads rows of a sub-agent as those of its main chat.
 *
 * @param agent its id; null: not known
 */
export function subagentFormat(client: HookClient, agent: string | null, format: LineFormat): LineFormat {
  const { subagentRow } = details[client];
  return (draft, row, origin) => {
    const own = subagentRow ? subagentRow(row, agent) : row;
    if (own) format(draft, own, origin);
  };
}

/** Clients that keep their sessions in files. */
export const allSessionFiles: readonly (readonly [HookClient, SessionFiles])[] = hookClients.flatMap((client) => {
  const { sessions } = details[client];
  return sessions ? [[client, sessions] as const] : [];
});

/** Returns null for a client whose files SHIM does not know. */
export function sessionFilesOf(client: string): SessionFiles | null {
  return detailsOf(client)?.sessions ?? null;
}

/** Clients whose files are below the user's home folder. */
export const clientFiles: Readonly<Partial<Record<HookClient, ClientFiles>>> = Object.fromEntries(
  hookClients.flatMap((client) => {
    const { form } = details[client];
    return "program" in form ? [[client, form]] : [];
  }),
);

export function formOf(client: string): ClientForm {
  const form = detailsOf(client)?.form ?? { servers: plainServers, hooks: null };
  return { ...form, events: adapterOf(client)?.events ?? [] };
}
