import * as z from "zod";
import type { JournalEntry } from "../contract/journal.ts";
import type { WorkState } from "../contract/work-state.ts";

/** Validates bodies from elsewhere, which the rest trusts. Fields of later versions pass. */
const text = z.string();
const maybeText = z.nullable(text);
const texts = z.array(text);
const number = z.number();

const status = z.enum(["pending", "in_progress", "completed"]);
const runsOn = z.exactOptional(z.literal(true));
const action = z.enum(["read", "edited", "created", "deleted", "noted"]);
const todo = z.looseObject({ id: z.exactOptional(text), text, status });

const remark = { text, at: number };
const git = z.looseObject({ branch: maybeText, commit: maybeText });
const toolRun = z.looseObject({ id: text, name: text, input: text, startedAt: number });
const stamp = z.looseObject({ bytes: number, modifiedMs: number });
const prompt = z.looseObject({ ...remark, chars: z.exactOptional(number), answers: z.exactOptional(text) });
const predecessor = { session: text, prompts: z.array(prompt) };

export const StoredState: z.ZodType<WorkState> = z.looseObject({
  goal: maybeText,
  done: texts,
  inProgress: texts,
  nextStep: maybeText,
  decisions: texts,
  openQuestions: texts,
  state: z.unknown(),
  todos: z.array(todo),
  statedAt: z.looseObject({
    goal: z.exactOptional(number),
    done: z.exactOptional(number),
    inProgress: z.exactOptional(number),
    nextStep: z.exactOptional(number),
    decisions: z.exactOptional(number),
    openQuestions: z.exactOptional(number),
    state: z.exactOptional(number),
    todos: z.exactOptional(number),
    summary: z.exactOptional(number),
    compaction: z.exactOptional(number),
  }),
  prompts: z.array(prompt),
  droppedPrompts: number,
  words: z.array(z.looseObject(remark)),
  earlierWords: z.array(z.looseObject(remark)),
  firstWords: z.array(z.looseObject(remark)),
  answers: z.array(z.looseObject({ question: text, answer: text, at: number })),
  files: z.array(
    z.looseObject({
      path: text,
      hash: maybeText,
      skipped: z.exactOptional(text),
      action,
      stamp: z.exactOptional(stamp),
    }),
  ),
  runningTools: z.array(toolRun),
  calls: z.array(z.looseObject({ name: text, input: text, at: number, error: z.exactOptional(text), runsOn })),
  cutOff: z.array(toolRun.extend({ cutOffAt: number })),
  failure: z.nullable(z.looseObject(remark)),
  turnEndedAt: z.nullable(number),
  interruptedAt: z.nullable(number),
  compactSummary: maybeText,
  compactions: number,
  plan: z.nullable(z.looseObject({ ...remark, path: z.exactOptional(text) })),
  clientGoal: z.nullable(z.looseObject(remark)),
  git: z.exactOptional(git),
  firstGit: z.exactOptional(git),
  writtenGit: z.exactOptional(git),
  continues: z.exactOptional(z.looseObject(predecessor)),
});

const tool = { id: text, name: text, input: text };
const durationMs = z.exactOptional(number);
const kind = <K extends JournalEntry["kind"]>(name: K) => ({ kind: z.literal(name) });

export const StoredEntry: z.ZodType<JournalEntry> = z.discriminatedUnion("kind", [
  z.looseObject({
    ...kind("start"),
    source: text,
    isUndelivered: z.exactOptional(z.literal(true)),
    git: z.exactOptional(git),
    writtenGit: z.exactOptional(git),
  }),
  z.looseObject({ ...kind("prompt"), text }),
  z.looseObject({ ...kind("assistant"), text }),
  z.looseObject({ ...kind("tool_start"), ...tool }),
  z.looseObject({
    ...kind("tool_end"),
    ...tool,
    durationMs,
    path: z.exactOptional(text),
    action: z.exactOptional(action),
    stamp: z.exactOptional(stamp),
    runsOn,
  }),
  z.looseObject({ ...kind("tool_error"), ...tool, text, durationMs }),
  z.looseObject({ ...kind("todos"), todos: z.array(todo) }),
  z.looseObject({
    ...kind("todo"),
    todo: z.looseObject({ id: text, text: z.exactOptional(text), status: z.exactOptional(status) }),
  }),
  z.looseObject({ ...kind("todo_removed"), id: text }),
  z.looseObject({ ...kind("answers"), answers: z.array(z.looseObject({ question: text, answer: text })) }),
  z.looseObject({ ...kind("plan"), text, path: z.exactOptional(text) }),
  z.looseObject({ ...kind("compacting"), trigger: text }),
  z.looseObject({ ...kind("compacted"), summary: text }),
  z.looseObject({ ...kind("given_back"), text }),
  z.looseObject(kind("turn_end")),
  z.looseObject(kind("interrupted")),
  z.looseObject({ ...kind("continues"), ...predecessor }),
  z.looseObject({ ...kind("subagent_end"), text }),
  z.looseObject({ ...kind("failure"), text }),
  z.looseObject({ ...kind("unread"), of: text, text }),
  z.looseObject({ ...kind("detached"), reason: text }),
  z.looseObject({ ...kind("end"), reason: text }),
]);
