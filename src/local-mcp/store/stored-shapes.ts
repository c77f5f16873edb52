import * as z from "zod";
import type { JournalEntry } from "../../contract/journal.ts";
import type { WorkState } from "../../contract/work-state.ts";

/**
 * What SHIM itself writes into the bodies of journal and checkpoints, checked where it comes from elsewhere: the rest of the
 * program trusts these rows. Loose: fields of a later version pass. The annotations keep these in step with the contract.
 */
const text = z.string();
const maybeText = z.nullable(text);
const texts = z.array(text);
const number = z.number();

const status = z.enum(["pending", "in_progress", "completed"]);
const action = z.enum(["read", "edited", "created", "noted"]);
const todo = z.looseObject({ id: z.exactOptional(text), text, status });

export const StoredState: z.ZodType<WorkState> = z.looseObject({
  goal: maybeText,
  firstPrompt: maybeText,
  lastPrompt: maybeText,
  done: texts,
  inProgress: texts,
  nextStep: maybeText,
  decisions: texts,
  openQuestions: texts,
  todos: z.array(todo),
  files: z.array(z.looseObject({ path: text, hash: maybeText, skipped: z.exactOptional(text), action })),
  conversation: z.array(z.looseObject({ role: z.enum(["user", "assistant"]), text, at: number })),
  runningTools: z.array(z.looseObject({ id: text, name: text, input: text, startedAt: number })),
  lastError: z.nullable(z.looseObject({ at: number, text })),
  compactSummary: maybeText,
  git: z.exactOptional(z.looseObject({ branch: maybeText, commit: maybeText })),
  continues: z.exactOptional(z.looseObject({ session: text, goal: maybeText, nextStep: maybeText })),
  state: z.unknown(),
});

const tool = { id: text, name: text, input: text };
const durationMs = z.exactOptional(number);
const kind = <K extends JournalEntry["kind"]>(name: K) => ({ kind: z.literal(name) });

export const StoredEntry: z.ZodType<JournalEntry> = z.discriminatedUnion("kind", [
  z.looseObject({ ...kind("start"), source: text, isUntold: z.exactOptional(z.literal(true)) }),
  z.looseObject({ ...kind("prompt"), text }),
  z.looseObject({ ...kind("assistant"), text }),
  z.looseObject({ ...kind("tool_start"), ...tool }),
  z.looseObject({
    ...kind("tool_end"),
    ...tool,
    durationMs,
    path: z.exactOptional(text),
    action: z.exactOptional(action),
  }),
  z.looseObject({ ...kind("tool_error"), ...tool, text, durationMs }),
  z.looseObject({ ...kind("todos"), todos: z.array(todo) }),
  z.looseObject({
    ...kind("todo"),
    todo: z.looseObject({ id: text, text: z.exactOptional(text), status: z.exactOptional(status) }),
  }),
  z.looseObject({ ...kind("todo_removed"), id: text }),
  z.looseObject({ ...kind("compacting"), trigger: text }),
  z.looseObject({ ...kind("compacted"), summary: text }),
  z.looseObject({ ...kind("turn_end") }),
  z.looseObject({ ...kind("continues"), session: text, goal: maybeText, nextStep: maybeText }),
  z.looseObject({ ...kind("subagent_end"), text }),
  z.looseObject({ ...kind("failure"), text }),
  z.looseObject({ ...kind("detached"), reason: text }),
  z.looseObject({ ...kind("end"), reason: text }),
]);
