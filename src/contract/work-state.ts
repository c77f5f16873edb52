import * as z from "zod";
import { effectKindNames, effectOutcomes } from "./effects.ts";

/**
 * Schemas of what is stored, for bodies from elsewhere. Fields of later versions pass, and no type
 * knows them. A hook imports the types alone.
 */
export function stored<Fields extends z.ZodRawShape>(fields: Fields): z.ZodObject<Fields> {
  return z.looseObject(fields);
}

const text = z.string();
const maybeText = z.nullable(text);
const texts = z.array(text).readonly();
const number = z.number();

export const GitPosition = stored({ branch: maybeText, commit: maybeText });
export type GitPosition = Readonly<z.infer<typeof GitPosition>>;

export const TodoItem = stored({
  id: z.exactOptional(text),
  text,
  status: z.enum(["pending", "in_progress", "completed"]),
});
export type TodoItem = Readonly<z.infer<typeof TodoItem>>;

export const FileStamp = stored({ bytes: number, modifiedMs: number });
export type FileStamp = Readonly<z.infer<typeof FileStamp>>;

export const FileNote = stored({
  path: text,
  /** SHA-256 at the checkpoint; null: absent, or not read (see `skipped`). */
  hash: maybeText,
  /** Reason not to hash: too large, looks secret, unreadable. */
  skipped: z.exactOptional(text),
  action: z.enum(["read", "edited", "created", "deleted", "noted"]),
  /** A command of the chat was to take it away. */
  isRemoved: z.exactOptional(z.literal(true)),
  /** State right after the chat's last edit, until a checkpoint hashes it. */
  stamp: z.exactOptional(FileStamp),
});
export type FileNote = Readonly<z.infer<typeof FileNote>>;

/** A text of someone at a time (epoch ms). */
const Remark = stored({ text, at: number });
export type Remark = Readonly<z.infer<typeof Remark>>;
const remarks = z.array(Remark).readonly();

/** A prompt of the user. Older ones are shortened. */
const UserPrompt = stored({
  ...Remark.shape,
  /** Surface that it came from; absent: the chat's own terminal. */
  from: z.exactOptional(text),
  /** Characters of the whole prompt; absent: the text is whole. */
  chars: z.exactOptional(number),
  /** End of the chat's words that a short prompt answers. */
  answers: z.exactOptional(text),
  /** Session that it was sent to; absent: the one whose state it is in. */
  of: z.exactOptional(text),
});
export type UserPrompt = Readonly<z.infer<typeof UserPrompt>>;

const DialogAnswer = stored({ question: text, answer: text, at: number });
export type DialogAnswer = Readonly<z.infer<typeof DialogAnswer>>;

const ApprovedPlan = stored({ ...Remark.shape, path: z.exactOptional(text) });
export type ApprovedPlan = Readonly<z.infer<typeof ApprovedPlan>>;

const ToolRun = stored({ id: text, name: text, input: text, startedAt: number });
export type ToolRun = Readonly<z.infer<typeof ToolRun>>;

/** A call that has ended. */
const EndedCall = stored({
  name: text,
  input: text,
  at: number,
  /** Output of a call that failed. */
  error: z.exactOptional(text),
  /** Last lines that a command printed. */
  output: z.exactOptional(text),
});
export type EndedCall = Readonly<z.infer<typeof EndedCall>>;

/** A command that failed, and the files that were edited since. */
export const FailedCommand = stored({
  input: text,
  /** Line of its output. */
  error: text,
  at: number,
  files: texts,
  /** Time of the same command's success; absent: none was seen. */
  passedAt: z.exactOptional(number),
});
export type FailedCommand = Readonly<z.infer<typeof FailedCommand>>;

const flag = z.exactOptional(z.literal(true));

/** A call of which no end was seen. `isLost`: the client that made it runs no more. */
const OpenCall = stored({ ...ToolRun.shape, isLost: flag });
export type OpenCall = Readonly<z.infer<typeof OpenCall>>;

/** `unseen`: something else shows that the turn is over. `text`: of a failure. */
const TurnEnd = stored({
  at: number,
  how: z.enum(["done", "interrupted", "failed", "unseen"]),
  text: z.exactOptional(text),
  limit: z.exactOptional(stored({ resetsAtMs: z.nullable(number) })),
});

/** The user is asked for leave for a call, for an answer, or for the next prompt. */
const Ask = stored({
  for: z.enum(["permission", "dialog", "prompt"]),
  at: number,
  /** Id of the call that waits. */
  call: z.exactOptional(text),
});

/** Where a chat stands: its turn, the calls of it, and what it waits for. Times are epoch ms. */
export const Life = stored({
  turn: z.nullable(
    stored({
      /** Time of its prompt, or of the first work where no prompt began it. */
      beganAt: number,
      /** Whether the chat has said or called anything since the newest prompt. */
      isAnswered: z.boolean(),
      over: z.nullable(TurnEnd),
    }),
  ),
  calls: z.array(OpenCall).readonly(),
  /** Calls of this turn that were interrupted, oldest first. */
  stopped: z.array(stored({ ...ToolRun.shape, stoppedAt: number })).readonly(),
  asks: z.nullable(Ask),
});
export type Life = Readonly<z.infer<typeof Life>>;

/** One command of a call that cannot be undone. */
export const EffectNote = stored({
  kind: z.enum(effectKindNames),
  /** Text of it as it ran, redacted and cut. */
  command: text,
  /** Outcomes that the end of its call shows; absent: none, since others decide the exit status. */
  shows: z.exactOptional(z.enum(["all", "success", "failure"])),
  /** Relative to the project; absent: its root. */
  folder: z.exactOptional(text),
  /** Commit of the branch at a push or a deployment; of a package `name@version`. */
  subject: z.exactOptional(text),
  branch: z.exactOptional(text),
  /** Its target does it only once. */
  isOnce: flag,
  /** Command by which a person finds out. */
  check: z.exactOptional(text),
});
export type EffectNote = Readonly<z.infer<typeof EffectNote>>;

/** Outcome of all commands of a kind in a call, by what they printed. */
export const EffectProof = stored({ kind: z.enum(effectKindNames), outcome: z.enum(["done", "failed"]) });
export type EffectProof = Readonly<z.infer<typeof EffectProof>>;

/** A note with what the journal has of its call. */
const EffectRun = stored({
  ...EffectNote.shape,
  /** Id of its call. */
  call: text,
  at: number,
  /** Absent: no end was seen. `refused`: SHIM did not let it run. */
  outcome: z.exactOptional(z.enum(effectOutcomes)),
  /** Output of a call that failed, cut. */
  error: z.exactOptional(text),
  /** Id of what runs on in the background. */
  background: z.exactOptional(text),
  /** The guard had the user asked before it. */
  asked: flag,
  /** The session was resumed after it. */
  isEarlier: flag,
});
export type EffectRun = Readonly<z.infer<typeof EffectRun>>;
const effects = z.exactOptional(z.array(EffectRun).readonly());

/** Parts that could not be read of a transcript, or are missing from it. */
export const DamagedParts = stored({
  /** `at`: of the newest row before it, epoch ms. `bytes`: 0 for rows that are missing. */
  parts: z.array(stored({ at: z.nullable(number), bytes: number })).readonly(),
  /** Number of all parts; `parts` may have fewer. */
  count: number,
  isAtEnd: flag,
  /** Two branches of the conversation went on, as when two chats write one file. */
  isBranched: flag,
});
export type DamagedParts = Readonly<z.infer<typeof DamagedParts>>;

export const Predecessor = stored({
  session: text,
  /** Prompts of it and of those before it, shortened, oldest first. */
  prompts: z.array(UserPrompt).readonly(),
  /** Effects of it and of the sessions before it. */
  effects,
  /** Newest answers in dialogs of it and of those before it, oldest first; absent: none. */
  answers: z.exactOptional(z.array(DialogAnswer).readonly()),
  /** The newest plan that the user approved in one of them, shortened; absent: none. */
  plan: z.exactOptional(ApprovedPlan),
  /** Newest notes that these chats saved with SHIM's tools; absent: none. */
  notes: z.exactOptional(stored({ goal: maybeText, nextStep: maybeText, decisions: texts, openQuestions: texts })),
});
export type Predecessor = Readonly<z.infer<typeof Predecessor>>;

/** Fields whose time is kept, each with the time (epoch ms) when it last changed. */
const StatedAt = stored({
  goal: z.exactOptional(number),
  done: z.exactOptional(number),
  inProgress: z.exactOptional(number),
  nextStep: z.exactOptional(number),
  decisions: z.exactOptional(number),
  openQuestions: z.exactOptional(number),
  state: z.exactOptional(number),
  todos: z.exactOptional(number),
  summary: z.exactOptional(number),
  /** A compaction whose summary is not known. */
  compaction: z.exactOptional(number),
});
export type StatedField = keyof typeof StatedAt.shape;

/** Everything known of a session at one moment. Stored. */
export const WorkState = stored({
  /** Saved by the chat through a tool, in its words. */
  goal: maybeText,
  done: texts,
  inProgress: texts,
  nextStep: maybeText,
  decisions: texts,
  openQuestions: texts,
  state: z.unknown(),
  todos: z.array(TodoItem).readonly(),
  /** Newest to-dos that were open when a list without them took the place of theirs. */
  droppedTodos: z.exactOptional(remarks),
  statedAt: StatedAt,
  /** In the order of their time; the first and the newest are never dropped. */
  prompts: z.array(UserPrompt).readonly(),
  /** Prompts that made room for newer ones. */
  droppedPrompts: number,
  /** Newest prompts that the user took back, shortened. */
  takenBack: z.exactOptional(z.array(UserPrompt).readonly()),
  /** Session of which it is a fork; absent: it is none, or that is not known. */
  forkedFrom: z.exactOptional(text),
  /** Newest texts of the chat, in the order of their time. */
  words: remarks,
  /** The chat's last words before each of the newest prompts, oldest first. */
  earlierWords: remarks,
  /** First longer texts of the chat since the newest prompt, shortened. */
  firstWords: remarks,
  answers: z.array(DialogAnswer).readonly(),
  files: z.array(FileNote).readonly(),
  /** Newest calls that have ended, and the newest with an output, in the order of their ends. */
  calls: z.array(EndedCall).readonly(),
  /** Newest commands that failed, oldest first. */
  failures: z.exactOptional(z.array(FailedCommand).readonly()),
  /** Commands and sub-agents that run in the background, by what is known. */
  background: z.exactOptional(z.array(ToolRun).readonly()),
  /** Newest answers of sub-agents. */
  results: z.exactOptional(remarks),
  /** Worktrees, sub-agents, pull requests, tasks of a tracker that calls named, newest last. */
  names: z.exactOptional(texts),
  /** The client's newest account of the session for a user who was away. */
  recap: z.exactOptional(Remark),
  life: Life,
  compactSummary: maybeText,
  /** Files that were edited since the newest compaction; absent: none. */
  editedSince: z.exactOptional(texts),
  compactions: number,
  plan: z.nullable(ApprovedPlan),
  clientGoal: z.nullable(Remark),
  /** Absent: the project has no repository. */
  git: z.exactOptional(GitPosition),
  firstGit: z.exactOptional(GitPosition),
  /** Named by an imported transcript: at the start with a commit, at the end without one. */
  writtenGit: z.exactOptional(GitPosition),
  /** Newest commands that cannot be undone, oldest first; absent: none. */
  effects,
  /** Absent: every row of the transcript was read. */
  damaged: z.exactOptional(DamagedParts),
  /** Session that died and that this one continues. */
  continues: z.exactOptional(Predecessor),
});
export type WorkState = Readonly<z.infer<typeof WorkState>>;
