import type { JsonObject } from "../../src/shared/json-fields.ts";

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

/** A turn ends with its last answer, unless calls follow or the user interrupted it. */
export function withTurnEnds(events: readonly SessionEvent[]): SessionEvent[] {
  const turns: SessionEvent[][] = [[]];
  for (const event of events) {
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
