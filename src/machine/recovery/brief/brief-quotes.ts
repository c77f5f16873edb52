import { defaults } from "../../../contract/config.ts";
import type { Verification } from "../../../contract/verification.ts";
import type { EffectRun, EndedCall, Life, ToolRun, UserPrompt, WorkState } from "../../../contract/work-state.ts";
import { inBrief, stored } from "../../../contract/limits.ts";
import { formatAgo, age, pluralize } from "../../../shared/format.ts";
import { isKnownTime } from "../../../shared/known-time.ts";
import { effectKey, effectLine } from "../../sessions/effects.ts";
import { failureOf, standingOf } from "../../sessions/life/questions.ts";
import { pathOf } from "../../sessions/entries.ts";
import { shownPrompt } from "../../sessions/prompts.ts";
import { notesOf } from "../../sessions/work-state.ts";
import { bothEnds, excerpt, isNod, tail } from "../../sessions/text/excerpt.ts";
import { neutralize } from "../../sessions/text/neutralize.ts";
import type { Restoration } from "../incomplete/restoration.ts";
import { formatWhen, oneLine } from "./brief-text.ts";

/** Pure: what a brief quotes. */

/**
 * A line, and whether it is needed (rank 0). Others go in from the lowest rank up while there is
 * room; of one rank, the last first. `heading` stands once above the lines that share it.
 * `prompt`: the index of the prompt that it quotes.
 */
export interface BriefLine {
  readonly text: string;
  readonly rank: number;
  /** Stands before the first line of it that goes in. */
  readonly heading?: string;
  readonly prompt?: number;
  readonly growths?: readonly Growth[];
  /** Less of it, in so many characters, where there is no room for the text; "": nothing fits. */
  readonly within?: (chars: number) => string;
  /** Tokens that the brief may have with it, which takes no room of others; absent: by its rank. */
  readonly most?: number;
}

/** More of what a line quotes. Its rank is one among those of lines that are not needed. */
export interface Growth {
  readonly rank: number;
  /** Tokens that the brief may have with it. */
  readonly most: number;
  /** Takes no room of others. */
  readonly isBeside?: true;
  /** Line with a quotation of at most so many characters. */
  readonly text: (chars: number) => string;
}

/** @param scale shrinks quotations until the needed lines fit, 0 to 1 */
export interface BriefContext {
  readonly now: number;
  readonly scale: number;
}

/** After so many later prompts a summary or a plan is mostly history. */
const laterPrompts = 4;
/** A prompt below it may mean nothing alone. */
const leastRequestChars = 60;
/** Ranks by which older facts come after newer ones. */
const laterRanks = 3;
const counts = {
  recent: 6,
  newest: 3,
  /** Newest prompts whose beginnings come early. */
  begun: 16,
  notes: 8,
  answers: 8,
  planLines: 80,
  todos: 8,
  effects: 5,
  runs: 5,
  repaired: 3,
};
/** When more of a quotation goes in, and how full the brief may be with it. */
export const worth = {
  /** Words that the user has approved, or may approve next. */
  approved: { rank: 1.5, most: 1_900 },
  request: { rank: 2.5, most: 1_600 },
  words: { rank: 3.5, most: 1_300 },
};
/**
 * Ranks of older prompts: the beginnings of some before what the user has approved, for a few words
 * say what was wanted; more of them after outcomes, before all that is of less worth.
 */
const olderRanks = { request: 1.3, beginning: 1.4, whole: 1.7, old: 1.8 };
/** Characters that all older prompts share. */
const olderRoom = 3_000;

export function standingLine(from: Restoration, { now, scale }: BriefContext): string {
  const { session, state, cause, knownUntil } = from;
  const { life, background = [] } = state;
  const { calls, asks } = life;
  const most = Math.ceil(counts.runs * scale);
  const shown = calls.slice(-most);
  const maxCall = Math.max(inBrief.leastCall, inBrief.call * scale);
  const begun = ({ startedAt, ...call }: ToolRun): string =>
    `${callText(call, session.project, maxCall)} (begun ${isKnownTime(knownUntil) ? `${age(knownUntil - startedAt)} before` : "at an unknown time"}`;
  const isOpen = cause === null && session.ending?.how !== "ended";
  const after = (run: ToolRun): string => foundNow(from.running?.get(run.id)) ?? (isOpen ? "" : afterDeath(run));
  const runs = shown.map((run) => `${begun(run)}; no result was seen${after(run)})`);
  const hidden = calls.length - shown.length;
  const asked = calls.find(({ id }) => id === asks?.call);
  const text = {
    asking: askedText(asks, asked && `${begun(asked)})`),
    running: `in mid-turn, running ${runs.join("; ")}${hidden > 0 ? `; and ${pluralize(hidden, "more call")}` : ""}`,
    interrupted: "the user had interrupted the turn",
    failed: "its client had failed in mid-turn",
    waiting: "the turn was over, and the chat waited for the user",
    unanswered: "the user's last prompt had no answer yet",
    working: "no end of its turn was seen; it had answered or made a call since the last prompt",
    unknown: "nothing had been asked yet",
  }[standingOf(life)];
  const beside =
    background.length === 0
      ? ""
      : `; in the background, with no end seen: ${background
          .slice(-most)
          .map((run) => `${begun(run)}${foundNow(from.running?.get(run.id)) ?? ""})`)
          .join("; ")}`;
  // A prompt, or the end of the turn, may be lost behind it.
  const asRead = state.damaged?.isAtEnd === true ? ", where its transcript cannot be read on" : "";
  return `how it stood${from.elsewhere ? " at the last sync" : ""}${formatWhen(now, knownUntil)}${asRead}: ${text}${beside}`;
}

/** A yes in the terminal causes no event. */
function askedText(asks: Life["asks"], call: string | undefined): string {
  if (asks?.for !== "permission") return "in mid-turn, waiting for the user's answer to a question";
  const what = call === undefined ? "a call" : `to run ${call}`;
  return `in mid-turn: it had asked the user for leave ${call === undefined ? `for ${what}` : what}; no answer was seen, nor whether it began`;
}

/** No client ends its commands when it is killed; its other tools end with it. */
function afterDeath({ name }: Pick<EndedCall, "name">): string {
  return name.startsWith("Bash") ? "; it may still run, or have finished" : "; it may have finished";
}

function foundNow(pids: readonly number[] | undefined): string | undefined {
  if (pids === undefined) return undefined;
  return pids.length === 0
    ? "; it may still run, or have finished: no process has that command line"
    : `; it runs now, pid ${pids.join(", ")}`;
}

/** Paths inside of the project stand without its folder. */
function callText({ name, input }: Pick<EndedCall, "name" | "input">, project: string | null, max: number): string {
  const inside = project === null ? input : input.replaceAll(`${project}/`, "");
  return `${oneLine(name, inBrief.tool)} ${oneLine(inside, Math.floor(max))}`;
}

/** Prompts in their order, each cut to whole sentences; old nods are left out. */
export function promptLines(
  { session, state, maxPrompts = defaults.brief.prompts }: Restoration,
  context: BriefContext,
): BriefLine[] {
  const earlier = state.continues?.prompts ?? [];
  const { prompts, droppedPrompts } = state;
  const all = [...earlier, ...prompts];
  const newest = all.length - 1;
  const olderCount = Math.max(1, all.length - counts.recent - 1);
  const older = Math.max(inBrief.leastPrompt, Math.min(inBrief.olderPrompt, Math.floor(olderRoom / olderCount)));
  // The newest long one, where shorter ones came after it.
  const assignment = all.findLastIndex(({ text }) => text.length > inBrief.recentPrompt);
  // The newest that can be understood alone.
  const request = all.findLastIndex(({ text }) => text.trim().length >= leastRequestChars);
  const isNear = (index: number): boolean => index > newest - counts.newest || index === request;
  const limitOf = (index: number): number => {
    if (index === newest) return inBrief.newestPrompt;
    if (isNear(index)) return inBrief.recentPrompt;
    return index === 0 || index > newest - counts.recent ? inBrief.olderPrompt : older;
  };
  const isEdge = (index: number): boolean => index === 0 || index > newest - counts.recent;
  const isBegun = (index: number): boolean => index === 0 || index > newest - counts.begun;
  const growthsOf = (index: number, limit: number, text: Growth["text"]): Growth[] => {
    const upTo = (most: number): Growth["text"] => {
      return (room) => text(Math.min(room, most));
    };
    const early = { ...worth.request, rank: olderRanks.request, text: upTo(inBrief.newestPrompt) };
    if (index === request && index < newest) return [early, { ...worth.request, text }];
    if (index === newest || index === assignment) return [{ ...worth.request, text }];
    const rank = isEdge(index) ? olderRanks.whole : olderRanks.old;
    const whole = isBegun(index) ? [{ rank, most: worth.approved.most, text: upTo(limit) }] : [];
    return isEdge(index) ? [...whole, { ...worth.words, text: upTo(2 * inBrief.recentPrompt) }] : whole;
  };
  const rankOf = (index: number): number => {
    if (index === newest) return 0;
    if (isNear(index)) return 1;
    return isBegun(index) ? olderRanks.beginning : olderRanks.old;
  };
  // The words before the newest prompt have a line of their own, unless they are the last ones.
  const before = state.earlierWords.at(-1);
  const areWordsQuoted = before !== undefined && before.at !== state.words.at(-1)?.at;
  const lines = all.flatMap((prompt, index): BriefLine[] => {
    if (!isEdge(index) && (isNod(prompt.text) || index <= newest - maxPrompts)) return [];
    const rank = rankOf(index);
    const { answers: _answers, ...alone } = prompt;
    // The order of many older prompts says enough.
    const ago = isEdge(index) ? `${formatAgo(context.now, prompt.at)}: ` : "";
    const isOrigin = prompt.of !== undefined && all[index - 1]?.of !== prompt.of;
    const when = isOrigin ? `${ago}(to session ${prompt.of?.slice(0, 8)}, which it continues) ` : ago;
    const textOf = (shown: UserPrompt, max: number): string => `- ${when}${promptText(shown, max, session.id)}`;
    const limit = Math.floor(limitOf(index) * context.scale);
    const isBeginning = rank === olderRanks.beginning && index !== assignment;
    const first = isBeginning ? Math.min(limit, inBrief.beginning) : limit;
    const text = textOf(isBeginning || (index === newest && areWordsQuoted) ? alone : prompt, first);
    const own = index - earlier.length;
    const growths = growthsOf(index, limit, (max) => textOf(index === newest && areWordsQuoted ? alone : prompt, max));
    return [{ text, rank, ...(own >= 0 ? { prompt: own } : {}), growths }];
  });
  const dropped = droppedPrompts > 0 ? `; ${droppedPrompts} more are no longer kept` : "";
  return [
    ...headed(`the user's prompts, oldest first${dropped}:`, lines),
    ...takenBackLines(state, context, session.id),
  ];
}

function takenBackLines({ takenBack = [] }: WorkState, { now }: BriefContext, session: string): BriefLine[] {
  const lines = takenBack.map((prompt): BriefLine => {
    return { text: `- ${formatAgo(now, prompt.at)}: ${promptText(prompt, inBrief.beginning, session)}`, rank: 2 };
  });
  return headed("prompts that the user took back in the client, with what followed them: they ask for nothing:", lines);
}

/** Over so many characters nothing short replaces the text. */
const longPromptChars = 1_500;
const storedChars = stored.prompt.head + stored.prompt.tail;

function promptText(prompt: UserPrompt, max: number, session: string): string {
  const { text, from, chars: whole = text.length, answers } = prompt;
  const plain = neutralize(text);
  const stored = whole > storedChars ? `${storedChars} of them are stored` : "all of them";
  const way = ` [${whole} characters; ${stored}: \`shim sessions show ${session} --stored\`]`;
  const isLong = whole > longPromptChars;
  // The way would take the room of what is left out.
  const isWhole = whole === text.length && oneLine(plain, Infinity).length <= max + (isLong ? way.length : 0);
  const shown = excerpt(plain, isWhole ? Infinity : max);
  const question =
    answers === undefined ? "" : `(after "${tail(neutralize(answers), Math.min(inBrief.answered, max))}") `;
  return `${question}${shownPrompt({ text: shown, from: from && neutralize(from) })}${isLong && !isWhole ? way : ""}`;
}

/** Notes that the chat saved, the plan, `/goal` and dialogs: events, each with its age. */
export function statedLines({ state }: Restoration, { now, scale }: BriefContext): BriefLine[] {
  const note = Math.floor(inBrief.note * scale);
  const { statedAt, clientGoal, continues } = state;
  const plan = state.plan ?? continues?.plan;
  const one = (name: string, text: string | null, at: number | undefined): BriefLine[] =>
    text === null || text === "" ? [] : [{ text: `- ${name}${formatWhen(now, at)}: ${oneLine(text, note)}`, rank: 1 }];
  const list = (name: string, texts: readonly string[], at: number | undefined): BriefLine[] =>
    one(
      name,
      texts
        .slice(-counts.notes)
        .map((text) => oneLine(text, 200))
        .join(" | "),
      at,
    );
  const known = notesOf(state);
  const notes = [
    ...one("goal", known.goal, statedAt.goal),
    ...list("done", state.done, statedAt.done),
    ...list("in progress", state.inProgress, statedAt.inProgress),
    ...one("next step", known.nextStep, statedAt.nextStep),
    ...list("decisions", known.decisions, statedAt.decisions),
    ...list("open questions", known.openQuestions, statedAt.openQuestions),
    ...one("state", state.state === null ? null : JSON.stringify(state.state), statedAt.state),
  ];
  const given = [...(continues?.answers ?? []), ...state.answers];
  const answers = given.slice(-counts.answers).map(({ question, answer, at }): BriefLine => ({
    text: `- ${oneLine(question, note)} -> ${oneLine(answer, note)}${formatWhen(now, at)}`,
    rank: 1,
  }));
  return [
    ...(clientGoal
      ? [{ text: `/goal${formatWhen(now, clientGoal.at)}: ${oneLine(clientGoal.text, note)}`, rank: 1 }]
      : []),
    ...headed("saved by the chat with SHIM's tools:", notes),
    ...(plan
      ? planLines(
          plan.text,
          isOld(state, plan.at) ? 3 : 1,
          `${plan.path ? `${oneLine(pathOf(plan.path), inBrief.plan)}, ` : ""}approved ${formatAgo(now, plan.at)}${state.plan ? "" : ", in a session that it continues"}`,
        )
      : []),
    ...headed("the user's answers to questions of the chat:", answers),
  ];
}

function isOld({ prompts }: WorkState, at: number): boolean {
  return laterThan(prompts, at) >= laterPrompts;
}

export function laterThan(prompts: readonly UserPrompt[], at: number): number {
  return prompts.filter((prompt) => prompt.at > at).length;
}

function planLines(text: string, rank: number, about: string): BriefLine[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const shown = lines.slice(0, counts.planLines).map((line, index): BriefLine => ({
    text: `  ${oneLine(line, inBrief.planLine)}`,
    rank: (index < 3 ? rank : rank + 0.55) + index / 1_000,
  }));
  return headed(`plan (${about}; ${lines.length} lines):`, shown);
}

export function headed(heading: string, lines: readonly BriefLine[]): BriefLine[] {
  return lines.map(({ ...line }) => Object.assign(line, { heading }));
}

export function workLines(from: Restoration, { now }: BriefContext): BriefLine[] {
  const { todos, statedAt, life } = from.state;
  const failure = failureOf(life);
  const open = todos.filter(({ status }) => status !== "completed");
  // Prompts since then are newer than the list.
  const later = laterThan(from.state.prompts, statedAt.todos ?? 0) > 1 ? laterRanks : 0;
  const shownTodos = open.slice(0, counts.todos).map(({ text, status }, index) => ({
    text: `- ${status === "in_progress" ? "in progress: " : ""}${oneLine(text, 200)}`,
    rank: later + (status === "in_progress" ? 1 : 2) + index / 100,
  }));
  return [
    ...headed(
      `open to-dos of the chat's list${formatWhen(now, statedAt.todos)}, ${open.length} of ${todos.length} are open:`,
      shownTodos,
    ),
    ...droppedTodoLines(from.state, now),
    ...headed("its last calls, as its client recorded them:", callLines(from, now)),
    ...repairedLines(from, now),
    ...resultLines(from, now),
    ...(failure !== null
      ? [{ text: `the client failed${formatWhen(now, failure.at)}: ${oneLine(failure.text, inBrief.error)}`, rank: 1 }]
      : []),
  ];
}

function droppedTodoLines({ droppedTodos = [] }: WorkState, now: number): BriefLine[] {
  const shown = droppedTodos.slice(-counts.todos).toReversed();
  const lines = shown.map(({ text, at }, index) => ({
    text: `- ${oneLine(text, 200)}${formatWhen(now, at)}`,
    rank: laterRanks + index / 100,
  }));
  return headed("to-dos that were open when the chat dropped them from its list:", lines);
}

/** Commands that passed once files were edited. */
function repairedLines({ session, state }: Restoration, now: number): BriefLine[] {
  const repaired = (state.failures ?? []).filter(({ passedAt }) => passedAt !== undefined).slice(-counts.repaired);
  const lines = repaired.toReversed().map(({ input, error, files, passedAt }): BriefLine => {
    const command = callText({ name: "", input }, session.project, inBrief.call).trim();
    const paths = files.map((path) => callText({ name: "", input: path }, session.project, inBrief.path).trim());
    const said = error === "" ? "" : ` (${oneLine(`"${error}"`, inBrief.leastCall * 3)})`;
    const after = `passed${formatWhen(now, passedAt)} after changes of ${paths.join(", ")}`;
    return { text: `- \`${command}\` failed${said}, ${after}`, rank: 1.47 };
  });
  return headed("commands that failed, and passed after changes:", lines);
}

/** Newest first; done is what an exit status showed. */
export function effectLines({ state, verification }: Restoration, { now }: BriefContext): BriefLine[] {
  const known = [...(state.continues?.effects ?? []), ...(state.effects ?? [])];
  const alike = Map.groupBy(known.toReversed(), (run) => `${run.outcome} ${effectKey(run)}`);
  const shown = [...alike.values()].slice(0, counts.effects);
  const lines = shown.flatMap(([run, ...older], index) => {
    if (run === undefined) return [];
    const line = oneLine(effectLine(run, now, inBrief.effectCommand), inBrief.effect);
    const times = older.length === 0 ? "" : ` (the newest of ${older.length + 1})`;
    return [{ text: `- ${line}${times}${answerText(run, verification, now)}`, rank: 1 + index / 100 }];
  });
  const more = alike.size > shown.length ? `, of ${known.length}` : "";
  return headed(`what cannot be undone, newest first${more} (done: its call was recorded to end well):`, lines);
}

/** Answer of a remote since the call. */
function answerText(run: EffectRun, verification: Verification | undefined, now: number): string {
  const answer = verification?.remotes.find(({ key }) => key === effectKey(run));
  if (!verification || !answer || verification.at < run.at) return "";
  return `; asked ${formatAgo(now, verification.at)}: ${oneLine(answer.text, inBrief.effect)}`;
}

/** Outputs of the newest commands come before names and the client's summary. */
const outcomeRank = 1.19;

/** Calls so long before the newest event are not what it ended with. */
const earlierMs = 300_000;

function callLines({ session, state, knownUntil }: Restoration, now: number): BriefLine[] {
  return state.calls.map(({ name, input, error, output, at }, index, all) => {
    const when = knownUntil - at < earlierMs || !isKnownTime(at) ? "" : `${formatAgo(now, at)}: `;
    const call = callText({ name, input }, session.project, inBrief.call);
    const failed = error === undefined ? "" : ` FAILED: ${excerpt(neutralize(error), inBrief.error)}`;
    const printed = output === undefined ? "" : ` printed: ${oneLine(output, inBrief.error)}`;
    const isOutcome = index === all.length - 1 || output !== undefined;
    const rank = isOutcome ? outcomeRank : error === undefined ? 3 : 2;
    return { text: `- ${when}${call}${failed}${printed}`, rank };
  });
}

/** The client's account of the session for a user who was away, until the user has asked again. */
export function recapLines({ state }: Restoration, { now, scale }: BriefContext): BriefLine[] {
  const { recap, prompts } = state;
  if (recap === undefined || laterThan(prompts, recap.at) > 0) return [];
  const text = excerpt(neutralize(recap.text), Math.floor(inBrief.recap * scale));
  return [{ text: `the client's own account of it${formatWhen(now, recap.at)}: ${text}`, rank: 2 }];
}

/** Answers of sub-agents, and what calls have named besides files. */
function resultLines({ state }: Restoration, now: number): BriefLine[] {
  const { results = [], names = [] } = state;
  const answers = results.map((one, index): BriefLine => {
    const text = (chars: number): string => `- ${formatAgo(now, one.at)}: ${bothEnds(neutralize(one.text), chars)}`;
    const rank = 2 + (results.length - 1 - index) / 10;
    const growths = [
      { rank: 2.7, most: worth.request.most, text: (most: number) => text(Math.min(most, inBrief.answer)) },
    ];
    return { text: text(inBrief.result), rank, growths };
  });
  const named = names.map((name) => oneLine(name, inBrief.plan)).join(", ");
  return [
    ...headed("answers of its sub-agents:", answers),
    ...(named === "" ? [] : [{ text: `named in its calls, newest last: ${named}`, rank: 1.5 }]),
  ];
}
