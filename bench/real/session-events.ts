import { type JsonObject, asObject, parseObject, textAt } from "../../src/shared/json-fields.ts";

const textTypes: ReadonlySet<unknown> = new Set(["text", "input_text", "output_text"]);

export function blocksOf(content: unknown): JsonObject[] {
  return Array.isArray(content)
    ? content.map((block: unknown) => asObject(block)).filter((block) => block !== null)
    : [];
}

export function textsOf(content: unknown): string[] {
  if (typeof content === "string") return [content];
  return blocksOf(content).flatMap((block) => (textTypes.has(block["type"]) ? (textAt(block, "text") ?? []) : []));
}

export function textOf(content: unknown): string {
  return textsOf(content).join("\n").trim();
}

/** Lines that Codex puts before a command's output. */
const codexHead = /^(?:[^\n]*\n){0,8}?Output:(?:\n|$)/;

/** Claude Code writes it below the errors of a command. */
const folderNote = /^Shell cwd was reset to .*$/m;

/** What a command has printed, in each client's form of a result. */
export function outputOf(response: unknown): string {
  const fields = asObject(response);
  const printed = [fields?.["stdout"], fields?.["stderr"]].filter((one) => typeof one === "string").join("\n");
  if (fields !== null && printed !== "") return printed.replace(folderNote, "");
  const text = textOf(response).replace(codexHead, "").trim();
  const last = text.slice(text.lastIndexOf("\n") + 1);
  return resultObject.test(last) ? (textAt(parseObject(last), "output") ?? "") : text;
}

/** A program of Codex may print a command's result as it is. */
const resultObject = /^\{(?=.*"output":)(?:"output":|.*"(?:exit_code|session_id|chunk_id)":)/;

const patchLine = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/gm;

/** @param only of this kind of change; absent: of all */
export function filesInPatch(patch: string, only?: "Delete File"): string[] {
  const lines = [...patch.matchAll(patchLine)].filter(([, change]) => only === undefined || change === only);
  return lines.map(([, , path = ""]) => path.trim());
}

export const sessionClients = ["claude-code", "codex", "opencode"] as const;
export type SessionClient = (typeof sessionClients)[number];

export type EventBody =
  /** `typed` has the name of a command, whose arguments are `text`. Queued: typed while the chat worked. */
  | { readonly kind: "prompt"; readonly text: string; readonly typed?: string; readonly isQueued?: true }
  /** What the client, a hook or a wrapper wrote as the user. */
  | { readonly kind: "harness"; readonly text: string }
  | { readonly kind: "answer"; readonly text: string; readonly isPlan?: true }
  | {
      readonly kind: "call";
      readonly id: string;
      readonly name: string;
      readonly input: JsonObject;
      readonly edits: readonly string[];
    }
  | { readonly kind: "end"; readonly id: string; readonly error: string | null; readonly response: unknown }
  | { readonly kind: "turnEnd" }
  | { readonly kind: "interruption" }
  /** The user has withdrawn so many of the last prompts, with what was answered to them. */
  | { readonly kind: "rollback"; readonly turns: number }
  | { readonly kind: "compacting" }
  | { readonly kind: "compaction"; readonly summary: string }
  | { readonly kind: "branch"; readonly name: string };

export type BodyOf<Kind extends EventBody["kind"]> = Extract<EventBody, { kind: Kind }>;

export type SessionEvent = EventBody & {
  /** Units of the transcript up to here: rows, or two for each part of a document. */
  readonly unit: number;
  /** Epoch ms; null where the client writes no time. */
  readonly at: number | null;
};

export type EventOf<Kind extends SessionEvent["kind"]> = Extract<SessionEvent, { kind: Kind }>;

/** A transcript as this bench understands it. It shares nothing with the readers in src, which it judges. */
export interface RecordedSession {
  readonly client: SessionClient;
  readonly id: string;
  readonly cwd: string;
  readonly events: readonly SessionEvent[];
  /** What the client writes between two units; of a document always all that it holds at `to`. */
  readonly written: (from: number, to: number) => string;
}

export function isKind<Kind extends SessionEvent["kind"]>(kind: Kind): (event: SessionEvent) => event is EventOf<Kind> {
  return (event): event is EventOf<Kind> => event.kind === kind;
}

/** What was said, without what the user has withdrawn. */
export function withoutWithdrawn(events: readonly SessionEvent[]): readonly SessionEvent[] {
  let kept = events;
  for (const event of events) {
    if (event.kind !== "rollback") continue;
    const before = kept.slice(0, kept.indexOf(event));
    const from = before.filter(isKind("prompt")).slice(-event.turns)[0];
    const withdrawn = new Set(event.turns === 0 || !from ? [] : before.slice(before.indexOf(from)));
    kept = kept.filter((one) => !withdrawn.has(one) || (one.kind !== "prompt" && one.kind !== "answer"));
  }
  return kept;
}

const goesOn: ReadonlySet<SessionEvent["kind"]> = new Set(["prompt", "answer", "call", "interruption"]);

/** A turn ends once: where its client says so, else with its last answer, unless calls follow or the user interrupted it. */
export function withTurnEnds(events: readonly SessionEvent[]): SessionEvent[] {
  const turns: SessionEvent[][] = [[]];
  let isOver = false;
  for (const event of events) {
    // Two rows may tell of one end.
    if (event.kind === "turnEnd" && isOver) continue;
    isOver = event.kind === "turnEnd" || (isOver && !goesOn.has(event.kind));
    if (event.kind === "prompt" && event.isQueued === undefined) turns.push([]);
    turns.at(-1)?.push(event);
  }
  return turns.flatMap((turn) => {
    const at = turn.findLastIndex(({ kind }) => kind === "answer" || kind === "call" || kind === "interruption");
    const last = turn[at];
    if (last?.kind !== "answer" || turn.slice(at).some(({ kind }) => kind === "turnEnd")) return turn;
    return turn.toSpliced(at + 1, 0, { kind: "turnEnd", unit: last.unit, at: last.at });
  });
}

export function isSessionClient(name: string): name is SessionClient {
  return sessionClients.some((client) => client === name);
}

/** Pure: what clients write instead of the user's words. */

const tags = [
  "heartbeat",
  "command-name",
  "command-message",
  "command-args",
  "local-command-stdout",
  "local-command-stderr",
  "local-command-caveat",
  "bash-input",
  "bash-stdout",
  "bash-stderr",
  "task-notification",
  "subagent_notification",
  "teammate-message",
  "agent-message",
  "system-reminder",
  "user-prompt-submit-hook",
  "session-start-hook",
  "environment_context",
  "user_instructions",
  "recommended_plugins",
  "turn_aborted",
  "permissions",
  "skills_instructions",
  "INSTRUCTIONS",
  "ide_opened_file",
  "ide_selection",
];
const beginnings = [
  "Caveat: The messages below",
  "This session is being continued from a previous",
  "Base directory for this skill",
  "Stop hook feedback",
  "Another Claude session sent a message:",
  "# AGENTS.md instructions",
  "[Image: source",
  "Operation stopped by hook",
];
const interruption = "[Request interrupted by user";

const noteAfterPlan = /\n+If you need specific details from before exiting plan mode \([^\n]*\s*$/;

const startsAsHarness = new RegExp(`^\\s*(?:<(?:${tags.join("|")})\\b|${beginnings.map(literal).join("|")})`);
/** A brief shows a tag without its bracket. */
const harnessForm = new RegExp(
  `(?:<|‹)/?(?:${tags.join("|")})\\b|${[...beginnings.slice(0, 5), interruption].map(literal).join("|")}`,
);

const ownCommands =
  /^\/?(?:compact|clear|model|exit|quit|cost|status|config|login|logout|resume|context|mcp|help|usage|plugins?|effort|fast|memory|hooks|ide|permissions|agents|upgrade|terminal-setup|rename|export|rewind|doctor|bug|vim|theme|add-dir|statusline|output-style|skills|tasks|todos|remote-control|reload-plugins|sandbox|stats|color|btw)$/;

export function isHarnessText(text: string): boolean {
  return startsAsHarness.test(text);
}

export function isInterruption(text: string): boolean {
  return text.trimStart().startsWith(interruption);
}

/** The known forms that stand in this text. */
export function harnessFormIn(text: string): string | null {
  return harnessForm.exec(text)?.[0] ?? null;
}

/** The user's words in a text to which the client has added its own. */
export function withoutClientText(text: string): string {
  return text
    .replaceAll(/<system-reminder>[^]*?<\/system-reminder>/g, "")
    .replace(noteAfterPlan, "")
    .trim();
}

export interface TypedCommand {
  readonly name: string;
  readonly args: string;
  /** The client does it itself, without the model. */
  readonly isOwn: boolean;
}

export function commandIn(text: string): TypedCommand | null {
  const name = /<command-name>([^<]*)/.exec(text)?.[1]?.trim();
  if (name === undefined) return null;
  const args = /<command-args>([^]*?)<\/command-args>/.exec(text)?.[1]?.trim() ?? "";
  return { name, args, isOwn: ownCommands.test(name) };
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
