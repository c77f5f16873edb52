import type { BenchName, Result } from "./benches.ts";
import { ms, perSecond, ratio, whole } from "./measure.ts";

/** How a value is written. It is compared with its goal as it is written. */
const units = {
  x: ratio,
  ms,
  s: (value: number) => `${value.toFixed(2)} s`,
  /** Of a share from 0 to 1. */
  "%": percent,
  MB: (value: number) => `${whole(value)} MB`,
  rows: (value: number) => `${value.toFixed(1)} rows`,
  "per s": perSecond,
  "": whole,
} as const;
type Unit = keyof typeof units;

/** What stands on the page of one figure, but for its date. */
export interface Reading {
  /** With its unit. */
  readonly figure: string;
  readonly beside: string;
}

export interface Figure {
  readonly text: string;
  readonly bench: BenchName;
  /** Arguments of the bench that only the user has, as the page names them. */
  readonly given: string;
  readonly goal: string;
  readonly read: (result: never) => Reading;
  /** Null: it has no goal. @param figure as {@link Reading} has it, also one of an earlier run */
  readonly isMet: (figure: string) => boolean | null;
}

interface Declared<Name extends BenchName> {
  readonly text: string;
  readonly given?: string;
  readonly unit: Unit;
  readonly value: (of: Result<Name>) => number;
  /** The peer or floor of the same run, or what else the figure needs to be understood. */
  readonly beside: (of: Result<Name>) => string;
  readonly most?: number;
  readonly least?: number;
}

function figure<Name extends BenchName>(bench: Name, declared: Declared<Name>): Figure {
  const { text, given = "", unit, value, beside, most, least } = declared;
  const limit = most ?? least;
  const end = unit === "" ? "" : ` ${unit}`;
  const sign = limit === 0 ? "" : most === undefined ? "≥ " : "≤ ";
  return {
    text,
    bench,
    given,
    goal: limit === undefined ? "none" : `${sign}${limit.toLocaleString("en")}${end}`,
    read: (result: Result<Name>) => ({ figure: units[unit](value(result)), beside: beside(result) }),
    isMet: (written) => {
      const number = numberOf(written);
      if (limit === undefined) return null;
      return most === undefined ? number >= limit : number <= limit;
    },
  };
}

/** @param figure as {@link Reading} has it */
export function numberOf(figure: string): number {
  return Number.parseFloat(figure.replaceAll(",", ""));
}

function percent(value: number): string {
  return `${Number((100 * value).toFixed(1))} %`;
}

const share = (part: number, all: number): string => `${whole(part)} of ${whole(all)}`;
/** Of what not every run has. */
const shareOrNone = (value: number): string => (Number.isNaN(value) ? "none" : percent(value));

/** The figures of docs/benchmarks.md, in its order. */
export const figures: Readonly<Record<string, Figure>> = {
  "hook-event": figure("start", {
    text: "hook event of a tool, turns 2 to 5 of a chat, a process of `shim-hook`, p50",
    unit: "x",
    most: 0.4,
    value: ({ script, node }) => script / node,
    beside: ({ first, program, node }) =>
      `\`node -e 0\`; first turn of a new host ${ratio(first / node)}; \`hook.cjs\`, where there is no perl: ${ratio(program / node)}`,
  }),
  "status-line": figure("start", {
    text: "status line of Claude Code, as its client starts it, p50",
    unit: "x",
    most: 0.5,
    value: ({ statusLine, node }) => statusLine / node,
    beside: () => "`node -e 0`",
  }),
  "command-start": figure("start", {
    text: "`shim sessions` where a host runs, p50",
    unit: "x",
    most: 4,
    value: ({ sessions, node }) => sessions / node,
    beside: ({ help, firstSessions, node }) =>
      `\`node -e 0\`; the first command of a host ${ratio(firstSessions / node)}; \`shim --help\` ${ratio(help / node)} (goal 2.5 x)`,
  }),
  "tool-call": figure("tool-call", {
    text: "tool call of Claude Code, p50",
    unit: "x",
    most: 1.12,
    value: ({ shim, empty }) => shim / empty,
    beside: ({ shim, empty, none, script, node }) =>
      `${ms(empty)} with empty hooks; without hooks ${ms(none)}: ${ratio(shim / none)}; with the script of \`init\` ${ratio(script / empty)}, with a process of Node for each event ${ratio(node / empty)}`,
  }),
  "host-processor": figure("tool-call-parts", {
    text: "processor time of the host for a tool call of Claude Code, 1,000 calls",
    unit: "ms",
    most: 3,
    value: ({ hostProcessor }) => hostProcessor,
    beside: ({ call, p99, none, empty, client, frontAndPipes, hostBeforeAnswer, frontProcessor }) =>
      `a call ${ms(call)}: ${ms(none)} without hooks, ${ms(client)} of the client for hooks (empty ones: ${ms(empty - none)}), ${ms(frontAndPipes)} front, pipes and socket, ${ms(hostBeforeAnswer)} host until its answer; p99 ${ratio(p99 / call)} p50 (goal 2 x); processor time of the front ${ms(frontProcessor)}`,
  }),
  save: figure("save", {
    text: "save of 2 KB, p50",
    unit: "x",
    most: 1,
    value: ({ p50, bound50 }) => p50 / bound50,
    beside: ({ p50, bound50, p99, bound99 }) =>
      `${ms(p50)}; floor ${ms(bound50)}: 1.5 x (bare insert + its steps) + an empty call; p99 ${ratio(p99 / bound99)} its floor (goal 1 x)`,
  }),
  brief: figure("brief", {
    text: "briefs after `kill -9` that hold the last acknowledged save",
    unit: "%",
    least: 100,
    value: ({ held, rounds }) => held / rounds,
    beside: ({ rounds, death, brief }) => `${rounds} kills; death recorded after ${ms(death)}, brief in ${ms(brief)}`,
  }),
  "mcp-start": figure("start", {
    text: "start of the MCP server to its first answer, no host runs, p50",
    unit: "x",
    most: 2,
    value: ({ alone, empty }) => alone / empty,
    beside: ({ host, empty }) =>
      `an empty server of the same SDK; where a host runs ${ratio(host / empty)} (goal 1.2 x)`,
  }),
  memory: figure("chats", {
    text: "memory of 15 idle chats and their host",
    unit: "MB",
    most: 220,
    value: ({ megabytes }) => megabytes,
    beside: ({ ofOne, first, later }) =>
      `one chat ${whole(ofOne)} MB; wake-ups a second ${first.toFixed(2)}, after a minute ${later.toFixed(2)}`,
  }),
  restore: figure("restore", {
    text: "facts of scripted sessions in the next brief",
    unit: "%",
    least: 95,
    value: ({ recall }) => recall,
    beside: ({ sessions, falseStatements, tokens }) =>
      `${sessions} sessions, ${falseStatements} false statements, ${whole(tokens)} tokens`,
  }),
  "real-request": figure("real", {
    text: "real sessions: the last substantial request is in the brief",
    given: "<folder>",
    unit: "%",
    least: 99,
    value: ({ lastRequest }) => lastRequest,
    beside: ({ briefs, lastWords, olderPrompts }) =>
      `${briefs} briefs; last words ${shareOrNone(lastWords)}, older prompts ${shareOrNone(olderPrompts)}`,
  }),
  "real-files": figure("real", {
    text: "real sessions: the files edited next are in the brief",
    given: "<folder>",
    unit: "%",
    least: 95,
    value: ({ filesNext }) => filesNext,
    beside: ({ outcomes, tokens }) => `outcomes of commands ${shareOrNone(outcomes)}; ${whole(tokens)} tokens`,
  }),
  "real-names": figure("real", {
    text: "real sessions: names of the next 20 calls are in the brief",
    given: "<folder>",
    unit: "%",
    least: 45,
    value: ({ names }) => names.all,
    beside: ({ names, namesCompacted, tokensP90 }) =>
      `own ${shareOrNone(names.own)}, with their file ${shareOrNone(names.bound)}; after a compaction own ${shareOrNone(namesCompacted.own)}; tokens p90 ${whole(tokensP90)}`,
  }),
  "real-recall": figure("real", {
    text: "real sessions: known names of the next 20 calls after two recalls",
    given: "<folder>",
    unit: "%",
    least: 88,
    value: ({ namesAfterTwoRecalls }) => namesAfterTwoRecalls.known,
    beside: ({ namesAfterTwoRecalls, names }) =>
      `own ${shareOrNone(namesAfterTwoRecalls.own)}; without recall ${shareOrNone(names.known)}`,
  }),
  "real-summary": figure("real", {
    text: "real sessions: briefs with as many of these names as the client's own summary",
    given: "<folder>",
    unit: "%",
    least: 80,
    value: ({ briefAsGoodAsSummary }) => briefAsGoodAsSummary,
    beside: ({ summaries, namesInSummary, namesBesideSummary }) =>
      `${summaries} summaries; names ${shareOrNone(namesBesideSummary.all)} beside ${shareOrNone(namesInSummary.all)}`,
  }),
  "real-false": figure("real", {
    text: "real sessions: briefs with a false statement",
    given: "<folder>",
    unit: "%",
    most: 0,
    value: ({ falseBriefs }) => falseBriefs,
    beside: ({ briefs, harnessText }) => `${briefs} briefs; with text of the client ${percent(harnessText)}`,
  }),
  "real-events": figure("real", {
    text: "events of real sessions lost, hung or failed",
    given: "<folder>",
    unit: "",
    most: 0,
    value: ({ eventsFailed }) => eventsFailed,
    beside: ({ events, event50, event99 }) => `${whole(events)} events, p50 ${ms(event50)}, p99 ${ms(event99)}`,
  }),
  damaged: figure("damaged", {
    text: "damaged transcripts that `shim sessions check` names",
    given: "[folder]",
    unit: "%",
    value: (of) => of.named / of.damaged,
    beside: (of) => `${share(of.named, of.damaged)}; ${share(of.wronglyNamed, of.whole)} whole ones named`,
  }),
  secrets: figure("secrets", {
    text: "secrets found, of families that no rule was made with",
    unit: "%",
    least: 95,
    value: ({ heldOut, heldOutFound }) => heldOutFound / heldOut,
    beside: (of) =>
      `${share(of.heldOutFound, of.heldOut)}; of the others ${share(of.knownFound, of.known)}; look-alikes changed: ${share(of.changed, of.lookAlikes)} (goal 0)`,
  }),
  page: figure("page", {
    text: "live page with 500 chats and 50,000 tasks: an interaction",
    unit: "ms",
    most: 100,
    value: ({ search, view }) => Math.max(search, view),
    beside: ({ paint, fleet }) => `first paint ${ms(paint)} (goal 500 ms), all chats ${ms(fleet)}`,
  }),
  chat: figure("chat", {
    text: "a chat of 2,000 rows over 400 kbit/s and 400 ms, with a quarter of a processor, until its end can be read",
    unit: "ms",
    most: 3_000,
    value: ({ chat }) => chat,
    beside: ({ paint }) => `first paint ${ms(paint)} (goal 1,200 ms)`,
  }),
  "chat-list": figure("chat", {
    text: "500 chats of the list scrolled to the end, with a quarter of a processor: frames",
    unit: "per s",
    least: 60,
    value: ({ frames }) => frames,
    beside: ({ slowest }) => `the longest time between two ${ms(slowest)}`,
  }),
  operation: figure("clients", {
    text: "one client, p50: the slowest of a lease taken and released, a heartbeat, a state write that is notified",
    unit: "x",
    most: 1.7,
    value: ({ one }) => Math.max(one.lease / one.redlock, one.heartbeat / one.redisHeartbeat, one.state / one.hset),
    beside: ({ one }) =>
      `on Redis; lease ${ratio(one.lease / one.redlock)} redlock, heartbeat ${ratio(one.heartbeat / one.redisHeartbeat)} HSET and EXPIRE, state ${ratio(one.state / one.hset)} HSET and PUBLISH`,
  }),
  "fifty-clients": figure("clients", {
    text: "heartbeat, 50 clients at once, p50",
    unit: "x",
    most: 1,
    value: ({ fifty }) => fifty.heartbeat / fifty.row,
    beside: ({ fifty }) => `a bare durable row over the same sockets ${ms(fifty.row)}`,
  }),
  "lease-rows": figure("rows", {
    text: "rows written to acquire a lease",
    unit: "rows",
    most: 4,
    value: ({ acquire }) => acquire,
    beside: ({ renew, release, message, messageAck, session, idle }) =>
      `renew ${renew}, release ${release}; message ${message}, its acknowledgement ${messageAck}; synced session ${session}; idle chat ${idle}`,
  }),
  "task-rows": figure("cost", {
    text: "rows written for a task, submit to pruned, batches of 10",
    unit: "rows",
    most: 7.2,
    value: ({ notified }) => notified.rows,
    beside: ({ notified, asking, single }) =>
      `${asking.rows.toFixed(1)} where workers ask, ${single.rows.toFixed(1)} one at a time; a million tasks $${asking.dollars.toFixed(2)}, $${notified.dollars.toFixed(2)}, $${single.dollars.toFixed(2)}`,
  }),
  "task-cycle": figure("tasks", {
    text: "tasks submitted, claimed and acknowledged",
    unit: "x",
    least: 1.2,
    value: ({ cycle, cycleBull }) => cycle / cycleBull,
    beside: ({ cycleBull }) => `durable BullMQ ${perSecond(cycleBull)}`,
  }),
  "task-bulk": figure("tasks", {
    text: "tasks submitted in frames of 500",
    unit: "x",
    least: 3.5,
    value: ({ bulk, bulkBull }) => bulk / bulkBull,
    beside: ({ bulkBull }) => `durable BullMQ ${perSecond(bulkBull)}`,
  }),
  "task-latency": figure("tasks", {
    text: "task submitted to received by an idle worker, p99",
    unit: "ms",
    most: 100,
    value: ({ latency99 }) => latency99,
    beside: ({ latency50, bull50, bull99 }) => `p50 ${ms(latency50)}; durable BullMQ ${ms(bull50)}, ${ms(bull99)}`,
  }),
  silent: figure("detection", {
    text: "silent holder of a lease noticed, ttl 30 s, slowest of 5",
    unit: "s",
    most: 30,
    value: ({ silent }) => silent,
    beside: ({ worker, attested }) =>
      `killed, grace 5 s: ${worker.toFixed(2)} s; killed and attested: ${attested.toFixed(2)} s (goal 2 s)`,
  }),
  sync: figure("sync", {
    text: "save readable on another machine, p50",
    unit: "ms",
    most: 10,
    value: ({ p50 }) => p50,
    beside: ({ p50, bare, changesPerSecond }) =>
      `${ratio(p50 / bare)} a bare HTTP round trip; waiting changes ${perSecond(changesPerSecond)} (goal 4,000)`,
  }),
  phone: figure("phone", {
    text: "permission request of a chat, until the phone's page shows it",
    unit: "ms",
    most: 1_000,
    value: ({ request }) => request,
    beside: ({ answer, pairing }) =>
      `its answer back at the held hook: ${ms(answer)} (goal 1 s); pairing, from the opened link to the first view: ${ms(pairing)} (goal 10 s)`,
  }),
  handover: figure("handover", {
    text: "session with 8 MB of uncommitted files given and taken, two homes on loopback, p50",
    unit: "s",
    most: 5,
    value: ({ both }) => both,
    beside: ({ give, take }) => `\`shim give\` ${give.toFixed(2)} s, \`shim take\` ${take.toFixed(2)} s`,
  }),
  capacity: figure("capacity", {
    text: "one workspace of 50,000 chats and 1,000,000 tasks: events of tasks, processor time",
    unit: "per s",
    value: ({ eventsPerSecond }) => eventsPerSecond,
    beside: ({ growth, megabytes }) =>
      `p50 ${ratio(growth)} that with 1,000 chats and 10,000 tasks; ${whole(megabytes)} MB`,
  }),
  neighbour: figure("neighbour", {
    text: "neighbour of an attacking token, p50, the worst attack",
    unit: "x",
    most: 1.5,
    value: (of) => of.ratio,
    beside: ({ attacks, p99, memory }) =>
      `the same without attack; ${attacks} attacks, p99 ${ms(p99)}, ${whole(memory)} MB`,
  }),
  flood: figure("flood", {
    text: "hook event while the machine's coordinator floods it, p50",
    unit: "x",
    most: 2,
    value: ({ p50, before }) => p50 / before,
    beside: ({ before, more, frames, connections }) =>
      `${ms(before)} before; ${whole(frames)} frames on ${whole(connections)} connections, ${whole(more)} MB more (goal 30 MB)`,
  }),
  conflicts: figure("conflicts", {
    text: "files in conflict foreseen before the second commit",
    given: "<CooperBench> <clones>",
    unit: "%",
    value: ({ files, filesBeforeSecond }) => filesBeforeSecond / files,
    beside: (of) =>
      `${share(of.filesBeforeSecond, of.files)}; before the first commit ${share(of.pairsBeforeFirst, of.pairs)} pairs; ${of.falseFiles} false alarms`,
  }),
  effects: figure("effects", {
    text: "calls that the guard asks about needlessly after kills",
    unit: "%",
    most: 2,
    value: ({ askedNeedlessly }) => askedNeedlessly,
    beside: ({ kills, repeated, repeatedOff }) =>
      `${whole(kills)} kills; ${repeated} effects repeated, ${repeatedOff} without the guard`,
  }),
};
