import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { join } from "node:path";
import { McpConnection } from "../src/platform/mcp-connection.ts";
import * as recoveries from "../src/machine/sessions/recoveries.ts";
import { servingHost } from "../test/harness/machine/process-tree.ts";
import { range, sample, type Row } from "./figures.ts";
import { scaled, share } from "./size.ts";
import { savedBy, storeOf, SyncRig, type Machine } from "./sync-rig.ts";

const rounds = scaled(5);
const group = "elsewhere";
/** Interval at which it is asked whether an offer is there, in ms. */
const pollMs = 50;
/** Longer than every grace of the coordinator and the time after which it gives up a silent chat. */
const maxOfferMs = 120_000;
/** How long a living chat is watched; a false offer came after 29 s. */
const livingMs = scaled(60_000, 500);
/** An open chat asks by itself so often: the end comes at any moment of that. */
const askEveryMs = scaled(15_000);

/** A chat, in a client that is a process of its own. */
interface BenchChat {
  readonly session: string;
  readonly client: McpConnection;
  readonly front: number;
  /** SHIM's, of its machine. */
  readonly home: string;
}

interface Kind {
  readonly name: string;
  /** Without them the client has no session ids. */
  readonly hasHooks: boolean;
  /** Another chat of the machine lives, and can attest the death. */
  readonly hasNeighbor?: boolean;
  /** The chat must not be offered. */
  readonly isLiving?: boolean;
  readonly isCut?: boolean;
  readonly isOfSmallest?: boolean;
  readonly goalS?: number;
  readonly end: (chat: BenchChat) => unknown;
}

const killClient = ({ client }: BenchChat): unknown => client.process.kill("SIGKILL");
const killFront = ({ front }: BenchChat): unknown => process.kill(front, "SIGKILL");
const killHost = ({ home }: BenchChat): unknown => process.kill(servingHost(home).pid, "SIGKILL");
const killChat = (chat: BenchChat): unknown => [killFront(chat), killClient(chat)];
const killAll = (chat: BenchChat): unknown => [killHost(chat), killChat(chat)];
const endFront = ({ front }: BenchChat): unknown => process.kill(front, "SIGTERM");
const endClient = ({ client }: BenchChat): unknown => client.process.kill("SIGTERM");
const closeStdin = ({ client }: BenchChat): unknown => client.request("bench/close");

function kindsOf(hasHooks: boolean): Kind[] {
  const kind = hasHooks ? "a client with hooks" : "a client without hooks";
  const living = { hasHooks, isLiving: true };
  // Where the client has no session ids, its front is the session's owner.
  const front = hasHooks ? living : { hasHooks, goalS: 5 };
  const neighbor = "another chat of the machine lives";
  return [
    { name: `${kind}: killed`, hasHooks, goalS: 5, isOfSmallest: hasHooks, end: killClient },
    { name: `${kind}: ended by TERM`, hasHooks, goalS: 5, end: endClient },
    { name: `${kind}: killed with its front`, hasHooks, goalS: 5, end: killChat },
    { name: `${kind}: killed with front and host, ${neighbor}`, hasHooks, hasNeighbor: true, goalS: 5, end: killAll },
    // Nobody is left who saw it.
    { name: `${kind}: killed with front and host`, hasHooks, goalS: 30, end: killAll },
    { name: `${kind}: the machine vanished`, hasHooks, isCut: true, goalS: 30, end: killAll },
    { ...front, name: `${kind}: its front killed`, end: killFront },
    { ...front, name: `${kind}: its front ended by TERM`, end: endFront },
    { ...front, name: `${kind}: stdin of its front closed`, end: closeStdin },
    { ...living, name: `${kind}: the host killed`, isOfSmallest: hasHooks, end: killHost },
  ];
}

const all: readonly Kind[] = [
  ...kindsOf(true),
  {
    name: "a client with hooks: front and host killed, another chat of the machine lives",
    hasHooks: true,
    hasNeighbor: true,
    isLiving: true,
    end: (chat) => [killHost(chat), killFront(chat)],
  },
  ...kindsOf(false),
];
/** Each takes seconds. */
const kinds = share === 0 ? all.filter(({ isOfSmallest }) => isOfSmallest === true) : all;

/** A chat of one machine dies, or lives on, and an open chat of another machine is offered its session, or not. */
export async function benchElsewhere(folder: string): Promise<Row[]> {
  const rig = await SyncRig.open(join(folder, "elsewhere"));
  try {
    const rows: Row[] = [];
    for (const kind of kinds) {
      const name = (round: number): string => `${kinds.indexOf(kind)}-${round}`;
      // Rounds at once: each waits nearly all of its time.
      const times = await Promise.all(range(rounds, (round) => offeredAfter(rig, kind, name(round))));
      rows.push(toRow(kind, times));
      console.error(`${kind.name}: ${rows.at(-1)?.figure}`);
    }
    return rows;
  } finally {
    await rig.close();
  }
}

/** @returns ms from the end to the offer; null: none came in its time */
async function offeredAfter(rig: SyncRig, kind: Kind, name: string): Promise<number | null> {
  const origin = rig.origin(`project-${name}`);
  const link = await rig.cutLink();
  const there = await rig.machine(`there-${name}`, origin, link.url);
  const here = await rig.machine(`here-${name}`, origin);
  const chats: BenchChat[] = [];
  const store = storeOf(here.paths);
  try {
    if (kind.hasNeighbor) chats.push(await open(there, true, "another chat"));
    const chat = await savedChat(rig, kind, there, here);
    chats.push(chat, await open(here, true, "hello"));
    for (const { session } of chats) await untilRegistered(rig, session);
    await pause(Math.random() * askEveryMs);
    const ended = performance.now();
    if (kind.isCut) link.cut();
    await kind.end(chat);
    const isOffered = (): boolean => store.read((sql) => recoveries.noteOf(sql, chat.session) !== null, false);
    return await until(isOffered, ended, kind.isLiving ? livingMs : maxOfferMs);
  } finally {
    for (const { client } of chats) client.process.kill("SIGKILL");
    store.close();
    link.close();
  }
}

/** Another machine can read what it has saved. */
async function savedChat(rig: SyncRig, { hasHooks }: Kind, there: Machine, here: Machine): Promise<BenchChat> {
  const chat = await open(there, hasHooks, "the parser");
  const { data } = await chat.client.callTool("shim_force_checkpoint", { goal: "the parser", nextStep: "the lexer" });
  await rig.untilReadable(here, savedBy(data));
  return chat;
}

/** @returns ms since the start; null after the limit */
async function until(isSo: () => boolean, start: number, limitMs: number): Promise<number | null> {
  while (!isSo()) {
    if (performance.now() - start > limitMs) return null;
    await pause(pollMs);
  }
  return performance.now() - start;
}

async function open(machine: Machine, hasHooks: boolean, prompt: string): Promise<BenchChat> {
  const id = randomUUID();
  const env = {
    PATH: process.env["PATH"],
    ...machine.env,
    ...(hasHooks ? { CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: id } : {}),
  };
  const args = [join(import.meta.dirname, "elsewhere-client.ts")];
  const client = new McpConnection({ command: process.execPath, args, env, cwd: process.cwd() });
  await client.initialize(hasHooks ? "claude-code" : "bench");
  const input = {
    session_id: id,
    cwd: machine.project,
    transcript_path: join(machine.project, `${id}.jsonl`),
    prompt_id: "p1",
  };
  if (hasHooks) {
    await client.request("bench/hook", { ...input, hook_event_name: "SessionStart", source: "startup" });
    await client.request("bench/hook", { ...input, hook_event_name: "UserPromptSubmit", prompt });
  }
  const saved = await client.callTool("shim_force_checkpoint", { goal: prompt, project: machine.project });
  const { pid } = await client.request("bench/server");
  return { session: String(saved.data["session"]), client, front: Number(pid), home: machine.paths.home };
}

async function untilRegistered(rig: SyncRig, chat: string): Promise<void> {
  while ((await rig.edge.call("leases.list", { prefix: `session:${chat}` })).leases.length === 0) await pause(pollMs);
}

function toRow({ name, isLiving = false, goalS }: Kind, times: readonly (number | null)[]): Row {
  if (isLiving) {
    const offers = times.filter((time) => time !== null).length;
    const figure = offers === 0 ? `not offered in ${livingMs / 1_000} s` : `offered after ${seconds(times[0] ?? NaN)}`;
    return {
      group,
      n: times.length,
      name: `${name}, the chat lives`,
      figure,
      goal: "never offered",
      isReached: offers === 0,
    };
  }
  const offered = times.filter((time) => time !== null);
  const { p50, p99 } = sample(offered);
  const missing = times.length - offered.length;
  const figure = `${seconds(p50)} / ${seconds(p99)}${missing > 0 ? `, ${missing} not in ${maxOfferMs / 1_000} s` : ""}`;
  const isReached = missing === 0 && p99 <= (goalS ?? 0) * 1_000;
  return {
    group,
    n: offered.length,
    name: `${name}, offered after, p50 / most`,
    figure,
    goal: `at most ${goalS} s`,
    isReached,
  };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
