import type { Workflow, WorkflowKind, Workflows } from "../../contract/machine/learning.ts";
import type { CrashCause } from "../../contract/readings.ts";
import { moreOften, type Counted } from "../../learning/experiments/exact-tests.ts";
import { age, firstOf, pluralize } from "../../shared/format.ts";
import { maxStepMs, toChat, type Call, type Chat, type ChatRecord } from "./chat-calls.ts";

/** Pure: where the time of chats went, as folds over their calls. */

/** Loss of one chat. */
interface Loss {
  readonly subject: string;
  /** Epoch ms. */
  readonly at: number;
  readonly ms: number;
}

interface Facts {
  readonly subject: string;
  /** In words, such as "4 times". */
  readonly times: string;
}

interface Kind {
  readonly lossesOf: (chat: Chat) => readonly Loss[];
  readonly what: (facts: Facts) => string;
  /** One thing that can be done. */
  readonly advice: (facts: Facts) => string;
}

const slowMs = 60_000;
const manyEdits = 10;

/** A person's request to a chat, for AGENTS.md or CLAUDE.md. */
function line(text: string): string {
  return `add to AGENTS.md: "${text}"`;
}

const adviceByCause: Readonly<Record<CrashCause, string>> = {
  closed: "end a chat in its client (`/exit`), or continue it: `shim resume`",
  killed: "`shim worker supervise` starts chats again that die",
  out_of_memory: "limit what commands may use: CLAUDE_CODE_TOOL_MEMORY_LIMIT in the client's environment",
  context_full: "begin a new chat for the next task: SHIM's brief gives it what this one knew",
  usage_limit: "`shim resume --in <client>` continues in another client",
  unknown: "`shim doctor` says whether ends of chats can be seen here",
};

export const workflowKinds: Readonly<Record<WorkflowKind, Kind>> = {
  leave: {
    lossesOf: ({ calls }) =>
      calls
        .filter(({ outcome }) => outcome === "passed" || outcome === "failed")
        .flatMap(({ tool, deed, subject, at, waitedMs }) =>
          waitedMs === null ? [] : [{ subject: deed === "runs" ? subject : tool, at, ms: waitedMs }],
        ),
    what: ({ subject, times }) => `\`${subject}\` waited ${times} for your leave, and had it`,
    // No rule is written here: the subject is wider than what the user allowed.
    advice: () => "where you would always allow it, say so when the client asks",
  },
  refused: {
    lossesOf: ({ calls }) => calls.filter(({ outcome, deed }) => outcome === "refused" && deed === "runs").map(toLoss),
    what: ({ subject, times }) => `you refused \`${subject}\` ${times}`,
    advice: ({ subject }) => line(`Do not run ${subject} unless you are asked to.`),
  },
  slow: {
    lossesOf: ({ calls }) =>
      calls.flatMap(({ deed, subject, at, ranMs }) =>
        deed === "runs" && ranMs !== null && ranMs >= slowMs ? [{ subject, at, ms: Math.min(maxStepMs, ranMs) }] : [],
      ),
    what: ({ subject, times }) => `\`${subject}\` took a minute or more ${times}`,
    advice: ({ subject }) =>
      line(`${subject} takes minutes: run the part that a change is about, and the whole once, at the end.`),
  },
  repeated_failure: {
    lossesOf: ({ calls }) => repeats(calls, isFailedRun, (call, { input }) => call.input !== input),
    what: ({ subject, times }) => `\`${subject}\` failed again ${times}, with no edit, other command or prompt between`,
    advice: ({ subject }) => line(`When ${subject} fails, change something before you run it again.`),
  },
  read_again: {
    lossesOf: ({ calls }) =>
      repeats(calls, isRead, ({ deed, subject }, before) => deed !== "edits" || subject === before.subject),
    what: ({ subject, times }) =>
      `${subject} was read again ${times}, in whole or in part, with no edit of it, command or prompt between`,
    advice: ({ subject }) => line(`${subject}: <what chats search for in it>`),
  },
  refill: {
    lossesOf: (chat) =>
      [...chat.compactions, ...rereadsAfterCompactions(chat)].map(({ at, ms }) => ({ subject: chat.project, at, ms })),
    what: ({ times }) => `${times} a compaction ran, or a chat read again what it had read before one`,
    advice: () => "begin a new chat for the next task (`/clear`): SHIM's brief gives it what the last one knew",
  },
  conflict: {
    lossesOf: ({ calls }) => calls.filter(({ outcome, deed }) => outcome === "held" && deed === "edits").map(toLoss),
    what: ({ subject, times }) => `SHIM refused an edit of ${subject} ${times}`,
    advice: () =>
      "where another chat had it, give each chat a work tree of its own: `claude --worktree`, or `git worktree add`",
  },
  death: {
    lossesOf: ({ deaths, meanStepMs }) =>
      deaths.map(({ cause, at, unsavedToolCalls: lost }) => ({ subject: cause, at, ms: lost * meanStepMs })),
    what: ({ subject, times }) => `chats died ${times} (${subject.replaceAll("_", " ")})`,
    advice: ({ subject }) => adviceByCause[subject as CrashCause],
  },
  never_works: {
    lossesOf: ({ calls }) => neverWorked(calls).map(toLoss),
    what: ({ subject, times }) => `\`${subject}\` was called ${times}, and failed each time`,
    advice: ({ subject }) => {
      const [, server] = /^mcp__(.+?)__/.exec(subject) ?? [];
      return server === undefined
        ? line(`${subject} does not work here: do not call it.`)
        : `\`claude mcp remove ${server}\``;
    },
  },
  late_test: {
    lossesOf: ({ calls }) => lateTests(calls),
    what: ({ subject }) => `the chat itself first ran \`${subject}\` after ${manyEdits} edits or more, and it failed`,
    advice: ({ subject }) => line(`Run ${subject} after each change that could break it, not at the end.`),
  },
};

function toLoss({ subject, at, stepMs: ms }: Call): Loss {
  return { subject, at, ms };
}

function isFailedRun({ deed, outcome }: Call): boolean {
  return deed === "runs" && outcome === "failed";
}

function isRead({ deed, outcome }: Call): boolean {
  return deed === "reads" && outcome === "passed";
}

/** Calls that ask for what an earlier one did, without a reason between them. */
function repeats(
  calls: readonly Call[],
  isOne: (call: Call) => boolean,
  isReason: (call: Call, before: Call) => boolean,
): Loss[] {
  const known = new Map<string, Call>();
  return calls.flatMap((call) => {
    if (call.deed !== "reads" && call.deed !== "plans")
      for (const [input, before] of known) if (isReason(call, before)) known.delete(input);
    if (!isOne(call)) {
      known.delete(call.input);
      return [];
    }
    const before = known.get(call.input);
    known.set(call.input, call);
    return before?.fromOthers === call.fromOthers ? [toLoss(call)] : [];
  });
}

function rereadsAfterCompactions({ calls, compactions }: Chat): Loss[] {
  const seen = new Map<string, number>();
  const again = calls.filter(isRead).filter(({ subject, at }) => {
    const last = seen.get(subject) ?? at;
    seen.set(subject, at);
    return compactions.some((one) => one.at > last && one.at <= at);
  });
  return again.map(toLoss);
}

function neverWorked(calls: readonly Call[]): Call[] {
  const known = calls.filter(
    ({ deed, outcome }) => (deed === "runs" || deed === "unknown") && (outcome === "passed" || outcome === "failed"),
  );
  const worked = new Set(known.filter(({ outcome }) => outcome === "passed").map(({ subject }) => subject));
  return known.filter(({ subject }) => !worked.has(subject));
}

/** The repair after a first run of tests that came late, until one passes. */
function lateTests(calls: readonly Call[]): Loss[] {
  const first = calls.findIndex(({ isTest }) => isTest);
  const test = calls[first];
  const edits = calls.slice(0, first).filter(({ deed }) => deed === "edits").length;
  if (test?.outcome !== "failed" || edits < manyEdits) return [];
  const after = calls.slice(first);
  const passed = after.findIndex(({ isTest, outcome }) => isTest && outcome === "passed");
  const repair = after.slice(0, passed === -1 ? undefined : passed + 1);
  return [{ subject: test.subject, at: test.at, ms: repair.reduce((sum, { stepMs }) => sum + stepMs, 0) }];
}

const dayMs = 86_400_000;
const windowMs = 28 * dayMs;
const weekMs = 7 * dayMs;
/** Records of so many ms are read. */
export const workflowMs = windowMs + weekMs;
const most = 5;
const mostOfKind = 2;
/** Less is no habit, or not worth a change. */
const least = { chats: 3, ms: 300_000 } as const;

interface Found extends Workflow {
  /** Chats of them all, and those in which it was. */
  readonly counted: Counted;
}

/** Calls and losses of a chat in a time, however long it lives. */
interface Part {
  readonly calls: readonly Pick<Call, "at" | "subject" | "outcome">[];
  readonly losses: readonly (Loss & { readonly kind: WorkflowKind; readonly chat: string })[];
}

/**
 * At most five, the largest loss first; and what became, in the last week, of those that were found
 * a week ago.
 *
 * @param unread chats of the time that are not among the records
 */
export function findWorkflows(records: Iterable<ChatRecord>, now: number, unread = 0): Workflows {
  // One record after another: with all of their rows they would fill the memory.
  const whole = Array.from(records, (record) => wholeOf(toChat(record)));
  const inTime = (all: readonly Part[], from: number, until: number): Part[] => {
    const isIn = ({ at }: { readonly at: number }): boolean => at > now - from && at <= now - until;
    const parts = all.map(({ calls, losses }) => ({ calls: calls.filter(isIn), losses: losses.filter(isIn) }));
    return parts.filter(({ calls, losses }) => calls.length + losses.length > 0);
  };
  // A chat of both times counts in that of its begin: in both it would be compared with itself.
  const isBegun = ({ calls, losses }: Part): boolean => [...calls, ...losses].every(({ at }) => at > now - weekMs);
  const recent = inTime(whole.filter(isBegun), weekMs, 0);
  const before = topOf(inTime(whole, workflowMs, weekMs));
  const earlier = before.map((found) => {
    const hits = recent.filter(({ losses }) => losses.some((loss) => isOf(loss, found)));
    return changeOf(found, { hits: hits.length, n: recent.length });
  });
  // A loss that has become rarer counts in the last week alone: its advice has helped.
  const helped = before.filter((_, at) => earlier[at]?.change === "rarer");
  const known = inTime(whole, windowMs, 0).map(({ calls, losses }) => ({
    calls,
    losses: losses.filter((loss) => loss.at > now - weekMs || !helped.some((one) => isOf(loss, one))),
  }));
  return { found: topOf(known).map(({ counted: _counted, ...found }) => found), earlier, unread };
}

function isOf(loss: Pick<Workflow, "kind" | "subject">, { kind, subject }: Workflow): boolean {
  return loss.kind === kind && loss.subject === subject;
}

function wholeOf(chat: Chat): Part {
  const losses = Object.entries(workflowKinds).flatMap(([kind, { lossesOf }]) =>
    lossesOf(chat).map(({ subject, at, ms }) => ({ subject, at, ms, kind: kind as WorkflowKind, chat: chat.id })),
  );
  const calls = chat.calls.map(({ at, subject, outcome }) => ({ at, subject, outcome }));
  return { calls, losses: losses.filter(({ subject }) => subject !== "") };
}

/** Error of a comparison of two weeks. */
const alpha = 0.05;

function changeOf({ what, counted: before }: Found, since: Counted): Workflows["earlier"][number] {
  const isRarer = moreOften(since, before) <= alpha;
  const canTell = moreOften({ hits: 0, n: since.n }, before) <= alpha;
  const isMore = moreOften(before, since) <= alpha;
  const change = isRarer ? "rarer" : isMore ? "more often" : canTell ? "no difference" : "too few chats to tell";
  return { what, change, before, since };
}

function topOf(parts: readonly Part[]): Found[] {
  const calls = parts.flatMap((part) => part.calls);
  const worked = new Set(calls.filter(({ outcome }) => outcome === "passed").map(({ subject }) => subject));
  const losses = parts.flatMap((part) => part.losses);
  return [...Map.groupBy(losses, ({ kind, subject }) => `${kind} ${subject}`).values()]
    .flatMap((own) => foundOf(own, parts.length))
    .filter(({ kind, subject }) => kind !== "never_works" || !worked.has(subject))
    .toSorted((a, b) => b.ms - a.ms)
    .filter(({ kind }, at, all) => all.slice(0, at).filter((one) => one.kind === kind).length < mostOfKind)
    .slice(0, most);
}

function foundOf(losses: Part["losses"], n: number): Found[] {
  const sessions = [...new Set(losses.map(({ chat }) => chat))];
  const ms = Math.round(losses.reduce((sum, loss) => sum + loss.ms, 0));
  const [first] = losses;
  if (!first || sessions.length < least.chats || ms < least.ms) return [];
  const { kind, subject } = first;
  const { what, advice } = workflowKinds[kind];
  const times = losses.length;
  const facts = { subject, times: times === 1 ? "once" : `${times} times` };
  const text = `${age(ms)} in ${pluralize(sessions.length, "chat")}: ${what(facts)}`;
  const counted = { hits: sessions.length, n };
  return [{ kind, subject, times, ms, sessions, what: text, advice: advice(facts), counted }];
}

const shownSessions = 3;

/** Sentences for a person. */
export function workflowTexts({ found, earlier, unread }: Workflows): string[] {
  return [
    ...found.map(({ what, advice, sessions }) => `${what} (${shortIds(sessions)}). What to do: ${advice}`),
    ...earlier.flatMap(({ what, change, before, since }) =>
      since.n === 0
        ? []
        : `A week ago: ${what}. Since then ${change}: in ${since.hits} of ${since.n} chats, before in ${before.hits} of ${before.n}.`,
    ),
    ...(unread === 0
      ? []
      : [`Of the newest chats alone: ${pluralize(unread, "older one")} of these weeks were not read.`]),
  ];
}

function shortIds(sessions: readonly string[]): string {
  return firstOf(
    sessions.map((id) => id.slice(0, 8)),
    shownSessions,
  );
}
