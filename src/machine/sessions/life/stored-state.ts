import type { JournalEntry } from "../../../contract/journal.ts";
import type { ToolRun, WorkState } from "../../../contract/work-state.ts";
import { life, newLife } from "./life.ts";

/** Fields of a checkpoint that was stored before the store's third migration. */
interface EarlierFields {
  readonly runningTools?: readonly ToolRun[];
  readonly failure?: { readonly text: string; readonly at: number } | null;
  readonly turnEndedAt?: number | null;
  readonly interruptedAt?: number | null;
}

/** Pure. A state as any version has stored it. */
export function toState(stored: unknown): WorkState {
  const state = stored as Omit<WorkState, "life"> & Partial<Pick<WorkState, "life">> & EarlierFields;
  if (state.life !== undefined) return stored as WorkState;
  const { runningTools = [], failure = null, turnEndedAt = null, interruptedAt = null, ...rest } = state;
  const seen: (readonly [at: number | null | undefined, entry: JournalEntry])[] = [
    [rest.prompts.at(-1)?.at, { kind: "prompt", text: "" }],
    [rest.words.at(-1)?.at, { kind: "assistant", text: "" }],
    [turnEndedAt, { kind: "turn_end" }],
    [interruptedAt, { kind: "interrupted" }],
    [failure?.at, { kind: "failure", text: failure?.text ?? "" }],
    ...runningTools.map(({ startedAt, ...call }) => [startedAt, { kind: "tool_start", ...call }] as const),
  ];
  const facts = seen.flatMap(([at, entry], seq) => (typeof at === "number" ? [{ at, seq, entry }] : []));
  return { ...rest, life: life(newLife, facts) };
}
