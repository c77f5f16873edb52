import type { Finding, FindingText } from "../../contract/machine/learning.ts";
import type { OpportunityPattern } from "../../contract/opportunities.ts";

/** Pure. The subject may be the user's text. */
export function withText(finding: Finding): Finding & FindingText {
  const { title, seen, advice } = texts[finding.pattern](finding);
  return { ...finding, title, text: `${seen}${boundsText(finding)}`, advice: `${stepText(finding)}${advice}` };
}

interface PatternText {
  readonly title: string;
  readonly seen: string;
  readonly advice: string;
}

const texts: Readonly<Record<OpportunityPattern, (finding: Finding) => PatternText>> = {
  old_checkpoint_at_death: (finding) => ({
    title: "Chats die when their checkpoint is old",
    seen: `At ${counted(finding)} deaths something had been unsaved for longer than half of checkpoint.everyMs, at most for ${time(figure(finding, "oldestMs"))}; by the pace of these chats up to ${round(figure(finding, "usual"))} were expected.`,
    advice:
      finding.parameter === null
        ? "A shorter interval would not help: checkpoints did not come when they were due, or nothing more would be saved. See `shim doctor`."
        : "On this machine the journal has the events since; another machine that continues the chat has the checkpoint only.",
  }),
  overdue_checkpoints: (finding) => ({
    title: "Checkpoints do not come when they are due",
    seen: `In ${counted(finding)} chats something had been unsaved for longer than one and a half times checkpoint.everyMs most of the time.`,
    advice:
      "A shorter interval would not help. `shim doctor` says whether hooks, the disk or the process are the cause.",
  }),
  context_full_unseen: (finding) => ({
    title: "Contexts are full before the risk counts it",
    seen: `${counted(finding)} chats that died of a full context were last read at or below risk.thresholds.contextFill.`,
    advice: "A lower threshold makes a checkpoint earlier.",
  }),
  out_of_memory_unseen: (finding) => ({
    title: "Memory runs out before the risk counts it",
    seen: `${counted(finding)} chats that died for want of memory were last read at or below risk.thresholds.memory.`,
    advice: "A lower threshold makes a checkpoint earlier.",
  }),
  reason_without_death: (finding) => ({
    title: `A reason for risk does not come before deaths: ${finding.subject}`,
    seen: `At ${finding.evidence.n} deaths this reason was active in ${figure(finding, "hits")}; chats that had come as far had it so often that ${round(figure(finding, "usual"))} were expected.`,
    advice: "It is found together, which need not be cause and effect; a lower weight makes fewer checkpoints.",
  }),
  reason_before_death: (finding) => ({
    title: `A reason for risk comes before deaths, and raises no alarm: ${finding.subject}`,
    seen: `At ${finding.evidence.n} deaths this reason was active in ${figure(finding, "hits")}, where ${round(figure(finding, "usual"))} were expected; ${figure(finding, "silent")} of these chats were at the level safe.`,
    advice: "A higher weight makes a checkpoint when the reason appears.",
  }),
  unchanged_saves: (finding) => ({
    title: "Checkpoints are made although nothing changed",
    seen: `In ${counted(finding)} sessions more than half of the checkpoints of this timer held nothing new.`,
    advice:
      "An unchanged checkpoint costs milliseconds and no room: a longer interval is worth it only where saves are slow.",
  }),
  large_store: (finding) => ({
    title: "The store is nearly full",
    seen: `It has ${megabytes(figure(finding, "bytes"))} of the ${megabytes(figure(finding, "limit"))} of retention.maxBytes; above it the oldest sessions are deleted.`,
    advice: "Raise retention.maxBytes, or keep less: retention.maxAgeMs, retention.checkpointsPerSession.",
  }),
  offers_dismissed: (finding) => ({
    title: "Offers of dead sessions are dismissed",
    seen: `${counted(finding)} dead sessions that were offered were dismissed.`,
    advice:
      finding.parameter === null
        ? "They were recent ones, so a shorter offerMaxAgeMs changes nothing; `shim config set recovery ask` asks before a brief is given."
        : "With a shorter offerMaxAgeMs old ones are listed, and no longer offered.",
  }),
  offers_ignored: (finding) => ({
    title: "Offers of dead sessions are not answered",
    seen: `${counted(finding)} dead sessions were offered, and a day later neither continued nor dismissed.`,
    advice: "`shim config get recovery` shows how they are offered; `shim sessions` lists them.",
  }),
  brief_cut: (finding) => ({
    title: "A brief does not quote all prompts",
    seen: `${counted(finding)} sessions have more prompts than ${finding.subject} lets a brief quote.`,
    advice: "Whether a longer brief helps the next chat only chats can show.",
  }),
  rediscovery: (finding) => ({
    title: "Chats read again what their brief says",
    seen: `${counted(finding)} chats repeated three or more facts of their brief before their first edit, ${round(figure(finding, "mean"))} on average.`,
    advice: "A longer brief does not help, since it had the facts; try a shorter one (brief.prompts).",
  }),
  task_retries: (finding) => ({
    title: `Tasks of the type ${finding.subject} fail and are tried again`,
    seen: `${counted(finding)} ended tasks had a failed attempt.`,
    advice:
      "`shim task show <task>` and the reasons of the attempts say why; a longer backoff helps only where the cause passes.",
  }),
  task_timeouts: (finding) => ({
    title: `Tasks of the type ${finding.subject} exceed their time`,
    seen: `${counted(finding)} ended tasks had an attempt that timed out.${runText(finding)}`,
    advice: "Submit them with a longer startToCloseMs, or split them.",
  }),
  task_stalls: (finding) => ({
    title: `Tasks of the type ${finding.subject} stall`,
    seen: `${counted(finding)} ended tasks had an attempt without a heartbeat in time.`,
    advice: "Submit them with a longer heartbeatMs, or report progress more often.",
  }),
  task_poison: (finding) => ({
    title: `Tasks of the type ${finding.subject} cost chats`,
    seen: `${counted(finding)} ended tasks died as poison: they lost too many chats or stalled too often.`,
    advice: "`shim task` lists dead tasks; do not replay them before the cause is known.",
  }),
  waits_with_idle_chats: (finding) => ({
    title: `Tasks of the type ${finding.subject} wait while chats are idle`,
    seen: `${counted(finding)} queued tasks have waited for over a minute, the longest ${time(figure(finding, "longestMs"))}, while ${figure(finding, "idleChats")} chats with free capacity take this type.`,
    advice:
      "Seen at one moment. Compare the capabilities that the tasks require with those of the chats: `shim task show <task>`.",
  }),
  uneven_load: (finding) => ({
    title: "One chat does most of the work",
    seen: `Of ${finding.evidence.n} tasks of the last hour one of ${figure(finding, "chats")} chats did ${percent(figure(finding, "share"))}; its capacity is ${percent(figure(finding, "fair"))} of all.`,
    advice: `A shorter balancingIntervalMs (now ${finding.from}) moves waiting tasks sooner; capacities and capabilities may be the cause. \`shim learn replay workspace\` compares values.`,
  }),
  chats_came_back: (finding) => ({
    title: "Chats that were declared gone came back",
    seen: `${counted(finding)} chats that went offline after silence registered again within ten minutes, as the same process.`,
    advice: `A longer chatTtlMs (now ${finding.from}) waits for them, and keeps the tasks of a dead chat as much longer. \`shim learn replay workspace\` compares values.`,
  }),
  cheaper_model: (finding) => ({
    title: `A cheaper model does as well: ${finding.subject}`,
    seen: `Of its tasks ${percent(figure(finding, "share"))} were accepted, of the other's ${percent(figure(finding, "dearShare"))}; a task costs $${(figure(finding, "saved") / 1e6).toFixed(4)} less.`,
    advice: "Route this task type to it, and watch the share.",
  }),
  evolve_rejected: (finding) => ({
    title: `Changes by \`shim code evolve\` are rejected: ${finding.subject}`,
    seen: `People rejected ${counted(finding)} changes that were about this rule.`,
    advice: "It is not proposed any more. If the rule itself is unwanted, switch it off in the project's settings.",
  }),
};

function figure({ evidence }: Finding, name: string): number {
  return evidence.figures[name] ?? 0;
}

function counted(finding: Finding): string {
  return `${figure(finding, "hits")} of ${finding.evidence.n}`;
}

/** A share also has its interval, and the usual one. */
function boundsText(finding: Finding): string {
  const { share, low, high, usual } = finding.evidence.figures;
  if (share === undefined || low === undefined || high === undefined || usual === undefined) return "";
  return ` That is ${percent(share)} (95 % interval ${percent(low)} to ${percent(high)}); up to ${percent(usual)} is usual.`;
}

function stepText(finding: Finding): string {
  const { parameter, from, to, direction, test } = finding;
  if (parameter === null || direction === null) return "";
  const suggested = finding.evidence.figures["suggested"];
  if (to !== null) return `Try ${parameter} ${from} -> ${to}, judged by ${tests[test]}${expectedText(finding)}. `;
  if (suggested === undefined) return `${parameter} is ${from}, at the bound of what SHIM would try. `;
  return `You decide: ${parameter} ${from} -> ${suggested} may cost safety, so SHIM does not try it${expectedText(finding)}. `;
}

const tests: Readonly<Record<Finding["test"], string>> = {
  replay: "replay of your sessions",
  simulation: "simulation",
  live: "chats that run with it",
  person: "you",
};

function expectedText({ expected }: Finding): string {
  if (expected === null) return "";
  const { figure: name, value, low, high } = expected;
  const format = name === "sharePrevented" ? percent : round;
  return `; expected ${expectedFigures[name]}: ${format(value)} (${format(low)} to ${format(high)})`;
}

const expectedFigures: Readonly<Record<NonNullable<Finding["expected"]>["figure"], string>> = {
  sharePrevented: "share of these cases that it would have changed",
  toolCallsLost: "change of the tool calls that a death loses",
  savesPerSession: "change of the checkpoints of a session",
};

function runText(finding: Finding): string {
  const ms = finding.evidence.figures["runP95Ms"];
  return ms === undefined ? "" : ` Of those that were done, 95 % ran for at most ${time(ms)}.`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function round(value: number): string {
  return value.toFixed(1);
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function time(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}
