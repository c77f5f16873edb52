import type { WorkNotes } from "../../contract/checkpoint.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type { ConversationTurn, FileNote, TodoItem, ToolRun, WorkState } from "../../contract/work-state.ts";
import type { JournalRow } from "./journal.ts";
import { omitUndefined as withoutUndefined } from "../../shared/omit-undefined.ts";
import { isDoneBy, isReportedDone } from "../words/completion.ts";
import { closingQuestion } from "../words/decision.ts";
import { joinLines } from "../words/neutralize.ts";
import { findNextStep } from "../words/next-step.ts";
import { isAboutTheSame } from "../words/sentences.ts";
import { planAfterWords } from "./approved-plan.ts";
import { withFile } from "./file-notes.ts";
import { beforePrompt } from "./goal-state.ts";
import { errorAfterCall, errorAfterWords, errorOf, isErrorOf } from "./last-error.ts";
import { earlierRequests, isRequest, withRequest } from "./requests.ts";
import { isSlashCommand, requestOfCommand } from "./slash-command.ts";
import { withChatStatements, withDecisions, withSummary, withUserStatements } from "./statements.ts";

/** Pure: no storage, no clock. */

const maxTurns = 30;
/** More do not run at once: the end of some was never reported. */
const maxRunningTools = 50;
const maxTodos = 200;
const maxListItems = 200;

export const emptyState: WorkState = {
  goal: null,
  firstPrompt: null,
  lastPrompt: null,
  done: [],
  inProgress: [],
  nextStep: null,
  decisions: [],
  openQuestions: [],
  todos: [],
  files: [],
  conversation: [],
  runningTools: [],
  lastError: null,
  compactSummary: null,
  state: null,
};

/** [CP1] Folding in parts gives the same as folding at once. */
export function fold(base: WorkState, rows: readonly JournalRow[]): WorkState {
  return rows.length === 0 ? base : rows.reduce((state, row) => apply(state, row.at, row.entry), upgradeState(base));
}

export function upgradeState(state: WorkState): WorkState {
  if (state.requests !== undefined) return state;
  const userTurns = state.conversation.filter(({ role }) => role === "user");
  const first: WorkState = {
    ...state,
    requests: earlierRequests(state),
    ...timesOf(state),
    ...(state.decisions.length > 0
      ? { decided: state.decisions.map((text) => ({ text, at: null, source: "tool" as const })) }
      : {}),
  };
  const texts = new Set(userTurns.map(({ text }) => text));
  const opening =
    state.firstPrompt !== null && !texts.has(state.firstPrompt) ? [{ text: state.firstPrompt, at: 0 }] : [];
  return [...opening, ...userTurns].reduce((known, turn) => withUserStatements(known, turn.at, turn.text), first);
}

/** Uses the last turn's time, since an earlier version stored none. */
function timesOf(state: WorkState): Pick<WorkState, "said"> {
  const at = state.conversation.at(-1)?.at ?? 0;
  const times = {
    ...(state.goal === null ? {} : { goal: at }),
    ...(state.nextStep === null ? {} : { nextStep: at, nextBy: "tool" as const }),
    ...(state.inProgress.length > 0 ? { inProgress: at } : {}),
  };
  return Object.keys(times).length > 0 ? { said: times } : {};
}

/** [CP2] Keeps what the notes leave out. [CP24] Lists of what was done, settled or asked grow. */
export function withNotes(given: WorkState, notes: WorkNotes, at: number): WorkState {
  const state = upgradeState(given);
  const { files = [], done, decisions = [], openQuestions, replace, ...rest } = notes;
  const appended = (known: readonly string[], more: readonly string[] | undefined): readonly string[] =>
    more === undefined ? known : replace ? more : [...new Set([...known, ...more])].slice(-maxListItems);
  const withFiles = files.reduce<readonly FileNote[]>((list, path) => withFile(list, path, "noted"), state.files);
  const keptDecisions =
    replace && notes.decisions ? (state.decided ?? []).filter((one) => one.source !== "tool") : state.decided;
  const withLists: WorkState = {
    ...state,
    ...withoutUndefined(rest),
    done: appended(state.done, done),
    decisions: appended(state.decisions, notes.decisions),
    openQuestions: appended(state.openQuestions, openQuestions),
    files: withFiles,
    ...(keptDecisions ? { decided: keptDecisions } : {}),
    ...statedTimes(state, notes, at),
  };
  const withDecided = withDecisions(withLists, at, notYetKnown(withLists, decisions), "tool");
  return isStepOver(state, notes) ? withoutNextStep(withDecided) : withDecided;
}

/** A chat may pass in the user's words what was found in them already. */
function notYetKnown({ decided = [], orders = [] }: WorkState, texts: readonly string[]): string[] {
  const known = new Set([...decided, ...orders].map(({ text }) => text));
  return texts.filter((one) => !known.has(one));
}

function isStepOver(state: WorkState, { nextStep, done = [] }: WorkNotes): boolean {
  return nextStep === undefined && done.some((one) => isStepDone(state, one));
}

function statedTimes(state: WorkState, notes: WorkNotes, at: number): Pick<WorkState, "said"> {
  const { said = {}, requests = [] } = state;
  // A repetition with nothing new in between keeps its age.
  const isGoalAgain = notes.goal === state.goal && (requests.at(-1)?.at ?? 0) <= (said.goal ?? 0);
  const isStepAgain = notes.nextStep === state.nextStep && said.nextBy === "tool";
  const fresh = {
    ...timesIf(notes.goal, isGoalAgain, { goal: at }),
    ...timesIf(notes.inProgress, isEqual(notes.inProgress, state.inProgress), { inProgress: at }),
    ...timesIf(notes.nextStep, isStepAgain, { nextStep: at, nextBy: "tool" as const }),
    ...timesIf(notes.todos, isEqual(notes.todos, state.todos), { todos: at }),
  };
  return Object.keys(fresh).length === 0 ? {} : { said: { ...said, ...fresh } };
}

function timesIf<Times extends object>(value: unknown, isAgain: boolean, times: Times): Partial<Times> {
  return value === undefined || isAgain ? {} : times;
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

type EntryOf<Kind extends JournalKind> = Extract<JournalEntry, { kind: Kind }>;
type Appliers = { readonly [Kind in JournalKind]: (state: WorkState, at: number, entry: EntryOf<Kind>) => WorkState };

const unchanged = (state: WorkState): WorkState => state;
const withoutRunningTools = ({ cutOff: _cutOff, ...state }: WorkState): WorkState => ({ ...state, runningTools: [] });

const appliers: Appliers = {
  prompt: (state, at, { text }) => applyPrompt(state, at, text),
  assistant: (state, at, { text }) => applyAssistant(state, at, text),
  tool_start: (state, at, tool) => {
    const run = { id: tool.id, name: tool.name, input: tool.input, startedAt: at };
    return { ...state, runningTools: [...withoutTool(state, tool.id), run].slice(-maxRunningTools) };
  },
  tool_end: (state, _at, tool) => {
    const files = tool.path ? withFile(state.files, tool.path, tool.action ?? "noted", tool.stamp) : state.files;
    const lastError = errorAfterCall(state.lastError, tool);
    const ended = { ...state, runningTools: withoutTool(state, tool.id), files, lastError };
    const isStep = state.nextStep !== null && tool.name === "Bash" && isDoneBy(state.nextStep, tool.input);
    if (isStep) return withoutNextStep(ended);
    return isNamedIn(state.nextStep, tool) ? { ...ended, said: { ...ended.said, isBegun: true } } : ended;
  },
  tool_error: (state, at, tool) => {
    const ended = { ...state, runningTools: withoutTool(state, tool.id) };
    const error = errorOf(at, tool, tool.text);
    if (!interruptedOutput.test(tool.text)) return { ...ended, lastError: error };
    const { id, name, input } = tool;
    const { startedAt = at } = state.runningTools.find((one) => one.id === id) ?? {};
    const run = { id, name, input, startedAt, cutOffAt: at };
    const cutOff = [...(state.cutOff ?? []), run].slice(-maxRunningTools);
    // An interrupted call says nothing of the work: the error before it stays.
    return { ...ended, cutOff, lastError: state.lastError ?? error };
  },
  todos: (state, at, { todos }) => afterTodoChange({ ...state, todos }, at),
  todo: (state, at, { todo }) => afterTodoChange({ ...state, todos: changeTodo(state.todos, todo) }, at),
  todo_removed: (state, _at, { id }) => ({ ...state, todos: state.todos.filter((todo) => todo.id !== id) }),
  compacted: (state, at, { summary }) =>
    withSummary({ ...state, compactSummary: summary, said: { ...state.said, summary: at } }, at, summary),
  failure: (state, at, { text }) => ({ ...state, lastError: { at, text } }),
  turn_end: (state, at) => {
    const { said, ...ended } = withoutRunningTools(withoutStaleNextStep(state));
    return { ...ended, said: { ...said, turnEnd: at } };
  },
  continues: (state, _at, { kind: _kind, ...continues }) => ({ ...state, continues }),
  answers: (state, at, { answers }) =>
    withDecisions(
      state,
      at,
      answers.map(({ question, answer }) => `${question} -> ${answer}`),
      "dialog",
    ),
  plan: (state, at, { text, path }) => ({ ...state, plan: { text, at, ...(path ? { path } : {}) } }),
  end: withoutRunningTools,
  start: (state, _at, { git }) => (git && !state.firstGit ? { ...state, firstGit: git } : state),
  compacting: unchanged,
  subagent_end: unchanged,
  unread: unchanged,
  detached: withCutOffTools,
};

function apply(state: WorkState, at: number, entry: JournalEntry): WorkState {
  // TypeScript cannot follow the table through an index. Kinds of a newer program are ignored.
  const applier = appliers[entry.kind] as
    | ((state: WorkState, at: number, entry: JournalEntry) => WorkState)
    | undefined;
  return applier ? applier(state, at, entry) : state;
}

/** 144 is what Claude Code reports of a command that SIGTERM has ended. */
const interruptedOutput =
  /^\W*(?:error: )?(?:exit code (?:129|130|137|143|144)(?!\d)|(?:\[request )?interrupted|aborted|cancell?ed)/i;

/** A client that is asked to end stops its tools first, and may report them. */
const maxEndMs = 3_000;

/** [RE120] Calls that were stopped as the client ended are unfinished work, not errors. */
function withCutOffTools({ cutOff = [], ...state }: WorkState, at: number): WorkState {
  const runs = cutOff.filter(({ cutOffAt }) => at - cutOffAt <= maxEndMs);
  const { lastError } = state;
  const isOfRun = runs.some((run) => run.cutOffAt === lastError?.at && isErrorOf(lastError, run));
  return { ...state, runningTools: [...state.runningTools, ...runs], lastError: isOfRun ? null : lastError };
}

function withoutTool(state: WorkState, toolId: string): ToolRun[] {
  return state.runningTools.filter((tool) => tool.id !== toolId);
}

/** [CP8] Neither slash commands nor words that only let the work continue are requests. */
function applyPrompt(state: WorkState, at: number, text: string): WorkState {
  const turn = addTurn(withoutRunningTools(state), { role: "user", text, at });
  if (isSlashCommand(text)) return withClientGoal(turn, at, text);
  const before = state.conversation.at(-1);
  const lastQuestion = before?.role === "assistant" ? before.text : "";
  const withAnswered = withAnswer(turn, at, lastQuestion, text);
  return isRequest(text) ? applyRequest(withAnswered, at, text, lastQuestion) : withAnswered;
}

function applyRequest(state: WorkState, at: number, text: string, lastQuestion: string): WorkState {
  const before = beforePrompt(state, lastQuestion, text);
  const said = requestOfCommand(text) ?? text;
  const withRequested = withUserStatements(withRequest(state, at, text, before), at, said);
  const next = withRequested.requests?.at(-1)?.kind === undefined ? withoutNextStep(withRequested) : withRequested;
  return { ...next, firstPrompt: state.firstPrompt ?? text, lastPrompt: text };
}

/** [CP22] A short prompt after a question settles it. */
function withAnswer(state: WorkState, at: number, lastQuestion: string, text: string): WorkState {
  const question = closingQuestion(lastQuestion);
  const isAnswer = text.trim() !== "" && text.length <= maxAnswerChars && !text.includes("\n");
  return question && isAnswer ? withDecisions(state, at, [`${question} -> ${text}`], "user") : state;
}

const maxAnswerChars = 120;

function withClientGoal(state: WorkState, at: number, text: string): WorkState {
  const condition = /^\/goal\s+([\s\S]+)$/.exec(text)?.[1]?.trim();
  if (condition === undefined) return state;
  const { clientGoal: _before, ...rest } = state;
  const isOver = /^(?:clear|off|stop|done|none|reset|cancel)$/i.test(condition);
  return isOver ? rest : { ...rest, clientGoal: { text: joinLines(condition).slice(0, 500), at } };
}

/** [CP25] Takes the next step and its completion from the chat's closing words. */
function applyAssistant(before: WorkState, at: number, text: string): WorkState {
  if (isEarlier(before.conversation.at(-1), at)) return withEarlierText(before, at, text);
  const reported = {
    lastError: errorAfterWords(before.lastError, text),
    ...(before.plan ? { plan: planAfterWords(before.plan, text, at) } : {}),
  };
  const turn = addTurn({ ...before, ...reported }, { role: "assistant", text, at });
  const state = withChatStatements(turn, at, text);
  const nextStep = findNextStep(text);
  if (nextStep !== null) {
    const { isBegun: _begun, ...fresh } = state.said ?? {};
    return { ...state, nextStep: nextStep.slice(0, 600), said: { ...fresh, nextStep: at, nextBy: "chat" } };
  }
  return state.nextStep !== null && isReportedDone(state.nextStep, text) ? withoutNextStep(state) : state;
}

/** Some transcripts give whole seconds, so that an answer may seem to precede its prompt. */
const clockStepMs = 1_000;

function isEarlier(last: ConversationTurn | undefined, at: number): boolean {
  return last !== undefined && at < last.at - (last.role === "user" ? clockStepMs : 0);
}

/**
 * [CP111] A transcript may be read after the end of its turn: what was said earlier is neither the
 * last word nor the next step, which the later words have decided.
 */
function withEarlierText(state: WorkState, at: number, text: string): WorkState {
  const { conversation } = state;
  const position = conversation.findLastIndex((turn) => turn.at <= at) + 1;
  const turns = conversation.toSpliced(position, 0, { role: "assistant", text, at }).slice(-maxTurns);
  return withChatStatements({ ...state, conversation: turns }, at, text);
}

function withoutStaleNextStep(state: WorkState): WorkState {
  const last = state.conversation.at(-1);
  const isOld = state.said?.nextBy === "chat" && last?.role === "assistant" && last.at !== state.said.nextStep;
  return isOld ? withoutNextStep(state) : state;
}

function withoutNextStep(state: WorkState): WorkState {
  if (state.nextStep === null) return state;
  const { nextStep: _at, nextBy: _by, isBegun: _begun, ...said } = state.said ?? {};
  return { ...state, nextStep: null, said };
}

function isNamedIn(step: string | null, { path, action }: EntryOf<"tool_end">): boolean {
  const name = path?.split(/[\\/]/).at(-1);
  return step !== null && action !== "read" && name !== undefined && name.length > 2 && step.includes(name);
}

function isStepDone({ nextStep }: WorkState, done: string): boolean {
  return nextStep !== null && isAboutTheSame(nextStep, done);
}

function afterTodoChange(state: WorkState, at: number): WorkState {
  const isDone = state.todos.some((todo) => todo.status === "completed" && isStepDone(state, todo.text));
  const next = isDone ? withoutNextStep(state) : state;
  return { ...next, said: { ...next.said, todos: at } };
}

function addTurn(state: WorkState, turn: ConversationTurn): WorkState {
  return { ...state, conversation: [...state.conversation, turn].slice(-maxTurns) };
}

function changeTodo(todos: readonly TodoItem[], change: Partial<TodoItem> & { readonly id: string }): TodoItem[] {
  const known = todos.find((todo) => todo.id === change.id);
  const changed: TodoItem = { text: `task ${change.id}`, status: "pending", ...known, ...change };
  return known ? todos.map((todo) => (todo === known ? changed : todo)) : [...todos, changed].slice(-maxTodos);
}
