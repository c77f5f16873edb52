import * as z from "zod";
import type { JournalEntry } from "../contract/journal.ts";
import type { WorkState } from "../contract/work-state.ts";

/** Validates bodies from elsewhere, which the rest trusts. Fields of later versions pass. */
const text = z.string();
const maybeText = z.nullable(text);
const texts = z.array(text);
const number = z.number();

const status = z.enum(["pending", "in_progress", "completed"]);
const action = z.enum(["read", "edited", "created", "noted"]);
const todo = z.looseObject({ id: z.exactOptional(text), text, status });

const remark = { text, at: number };
const git = z.looseObject({ branch: maybeText, commit: maybeText });
const toolRun = z.looseObject({ id: text, name: text, input: text, startedAt: number });
const stamp = z.looseObject({ bytes: number, modifiedMs: number });
const statement = z.looseObject({
  text,
  at: z.nullable(number),
  source: z.enum(["user", "chat", "dialog", "plan", "tool", "summary"]),
  takenBack: z.exactOptional(z.looseObject(remark)),
  followedBy: z.exactOptional(z.looseObject(remark)),
});
const request = z.looseObject({
  text,
  at: z.nullable(number),
  kind: z.exactOptional(z.enum(["follow_up", "question", "answer", "rule"])),
  isKept: z.exactOptional(z.literal(true)),
});
const said = z.looseObject({
  goal: z.exactOptional(number),
  inProgress: z.exactOptional(number),
  nextStep: z.exactOptional(number),
  nextBy: z.exactOptional(z.enum(["tool", "chat"])),
  isBegun: z.exactOptional(z.literal(true)),
  todos: z.exactOptional(number),
  summary: z.exactOptional(number),
  turnEnd: z.exactOptional(number),
});

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
  files: z.array(
    z.looseObject({
      path: text,
      hash: maybeText,
      skipped: z.exactOptional(text),
      action,
      stamp: z.exactOptional(stamp),
    }),
  ),
  conversation: z.array(z.looseObject({ role: z.enum(["user", "assistant"]), text, at: number })),
  runningTools: z.array(toolRun),
  lastError: z.nullable(
    z.looseObject({
      at: number,
      text,
      call: z.exactOptional(z.looseObject({ name: text, input: text })),
      isRunAgain: z.exactOptional(z.literal(true)),
    }),
  ),
  cutOff: z.exactOptional(z.array(toolRun.extend({ cutOffAt: number }))),
  compactSummary: maybeText,
  git: z.exactOptional(git),
  continues: z.exactOptional(
    z.looseObject({ session: text, goal: maybeText, nextStep: maybeText, orders: z.exactOptional(texts) }),
  ),
  requests: z.exactOptional(z.array(request)),
  thinned: z.exactOptional(z.looseObject({ plain: number, kept: number })),
  orders: z.exactOptional(z.array(statement)),
  decided: z.exactOptional(z.array(statement)),
  takenBack: z.exactOptional(z.array(z.looseObject({ ...remark, terms: texts }))),
  missing: z.exactOptional(number),
  plan: z.exactOptional(
    z.looseObject({
      ...remark,
      path: z.exactOptional(text),
      done: z.exactOptional(z.looseObject(remark)),
      doneSteps: z.exactOptional(texts),
    }),
  ),
  clientGoal: z.exactOptional(z.looseObject(remark)),
  said: z.exactOptional(said),
  firstGit: z.exactOptional(git),
  state: z.unknown(),
});

const tool = { id: text, name: text, input: text };
const durationMs = z.exactOptional(number);
const kind = <K extends JournalEntry["kind"]>(name: K) => ({ kind: z.literal(name) });

export const StoredEntry: z.ZodType<JournalEntry> = z.discriminatedUnion("kind", [
  z.looseObject({
    ...kind("start"),
    source: text,
    isUntold: z.exactOptional(z.literal(true)),
    git: z.exactOptional(git),
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
  z.looseObject({ ...kind("turn_end"), isInterrupted: z.exactOptional(z.literal(true)) }),
  z.looseObject({
    ...kind("continues"),
    session: text,
    goal: maybeText,
    nextStep: maybeText,
    orders: z.exactOptional(texts),
  }),
  z.looseObject({ ...kind("subagent_end"), text }),
  z.looseObject({ ...kind("failure"), text }),
  z.looseObject({ ...kind("unread"), of: text, text }),
  z.looseObject({ ...kind("detached"), reason: text }),
  z.looseObject({ ...kind("end"), reason: text }),
]);
