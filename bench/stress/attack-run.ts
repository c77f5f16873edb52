import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { LocalEdge, startEdge, descendantsOf } from "../../scripts/local-edge.ts";
import { ms, ratio, share, sample } from "../measure.ts";
import { attacks, isAttack, type AttackName, attacker, type Tally, type Target } from "./attacks.ts";
import { aChat, type Answer, type Call, type StressChat } from "./wire.ts";

/** An operation that takes longer has not been answered: the coordinator hangs. */
const patienceMs = 5_000;
/** Between two operations. */
const restMs = 5;

/** What the neighbour saw while it was watched. */
export interface Observed {
  /** Of each operation, in ms. */
  readonly times: readonly number[];
  readonly refused: Readonly<Record<string, number>>;
  readonly isHanging: boolean;
}

/** Another chat of the workspace, which does its ordinary work. */
class Neighbour {
  readonly #chat: StressChat;
  #round = 0;

  constructor(chat: StressChat) {
    this.#chat = chat;
  }

  static async join(workspace: string, token: string): Promise<Neighbour> {
    const chat = await aChat(workspace, token, "neighbour", "neighbour");
    await chat.socket.frame([{ method: "messages.subscribe", params: { self: chat.self, pattern: "stress.**" } }]);
    return new Neighbour(chat);
  }

  async work(ms: number): Promise<Observed> {
    const times: number[] = [];
    const refused: Record<string, number> = {};
    const until = performance.now() + ms;
    this.#chat.socket.ping();
    const ask = async (method: string, params: object): Promise<Answer> => {
      const startedAt = performance.now();
      const answer = await this.#ask({ method, params });
      times.push(performance.now() - startedAt);
      if (answer?.error) refused[answer.error.data.code] = (refused[answer.error.data.code] ?? 0) + 1;
      if (!answer) throw hanging;
      await pause(restMs);
      return answer;
    };
    try {
      while (performance.now() < until) await this.#once(ask);
      return { times, refused, isHanging: false };
    } catch (error) {
      if (error !== hanging) throw error;
      return { times, refused, isHanging: true };
    }
  }

  async #once(ask: (method: string, params: object) => Promise<Answer>): Promise<void> {
    const { self } = this.#chat;
    const requestId = `n${(this.#round += 1)}`;
    this.#chat.socket.ping();
    await ask("chats.heartbeat", { self, progress: requestId });
    await ask("state.set", { key: "neighbour", value: requestId });
    await ask("state.get", { key: "neighbour" });
    const acquired = await ask("leases.acquire", { self, resource: "own", requestId, ttlMs: 30_000 });
    const token = (acquired.result?.["lease"] as { token: number } | undefined)?.token ?? 0;
    await ask("leases.release", { self, resource: "own", token });
    await ask("tasks.submit", { tasks: [{ type: "own", payload: 1, priority: 9 }] });
    const claimed = await ask("tasks.claim", { self, requestId, limit: 1 });
    const [claim] = (claimed.result?.["claims"] as { task: number; claim: number }[] | undefined) ?? [];
    if (claim) await ask("tasks.ack", { self, task: claim.task, claim: claim.claim, result: 1 });
  }

  /** Null: no answer. */
  async #ask(call: Call): Promise<Answer | null> {
    const late = new AbortController();
    const answers = await Promise.race([
      this.#chat.socket.frame([call]),
      pause(patienceMs, null, { signal: late.signal }).catch(() => null),
    ]);
    late.abort();
    return answers?.[0] ?? null;
  }

  close(): void {
    this.#chat.socket.close();
  }
}

const hanging = Symbol("hanging");

const run = promisify(execFile);
/** Between two readings of the memory. */
const readEveryMs = 250;

export const targets = { p50Ratio: 1.5, p99Ms: 250, memoryMb: 100 } as const;

/** What one attack did, and what it did to the others. Times in ms, sizes in bytes. */
export interface Outcome {
  readonly attack: AttackName;
  readonly tally: Pick<Tally, "accepted" | "refused" | "opened" | "closed">;
  readonly undisturbedP50: number;
  readonly p50: number;
  readonly p99: number;
  readonly neighbourRefused: Readonly<Record<string, number>>;
  readonly isHanging: boolean;
  /** How far workerd's memory rose above what it was before the attack. */
  readonly memory: number;
  /** By how much the folder of its state grew. */
  readonly folder: number;
  /** As the object itself measures it; null: it does not answer. */
  readonly storage: { readonly bytes: number; readonly limitBytes: number; readonly state: string } | null;
}

/** One attack on a coordinator of its own, and an ordinary chat beside it. */
export async function underAttack(edge: LocalEdge, state: string, attack: AttackName, ms: number): Promise<Outcome> {
  const workspace = `${edge.url}/v1/workspaces/${edge.workspace}`;
  const tokenOf = async (machine: string, scope: "observe" | "submit" | "work"): Promise<string> =>
    (await edge.call("tokens.create", { machine, scope })).token;
  const neighbour = await Neighbour.join(workspace, await tokenOf("neighbour", "work"));
  const target: Target = {
    workspace,
    adminToken: edge.adminToken,
    tokens: {
      observe: await tokenOf(attacker, "observe"),
      submit: await tokenOf(attacker, "submit"),
      work: await tokenOf(attacker, "work"),
    },
  };
  // The first second opens what the runtime opens once.
  await neighbour.work(1_000);
  const undisturbed = await neighbour.work(ms);
  const memory = new Memory();
  const before = sizeOf(state);
  const program = join(import.meta.dirname, "attacks.ts");
  const attacking = run(process.execPath, [program, JSON.stringify(target), attack, String(ms)], { maxBuffer: 1e7 });
  const disturbed = await neighbour.work(ms);
  const { stdout } = await attacking;
  const rise = memory.stop();
  neighbour.close();
  const health = await edge.call("health", {}).catch(() => null);
  const { p50, p99 } = sample(disturbed.times);
  return {
    attack,
    tally: JSON.parse(stdout) as Tally,
    undisturbedP50: sample(undisturbed.times).p50,
    p50,
    p99,
    neighbourRefused: disturbed.refused,
    isHanging: disturbed.isHanging,
    memory: rise,
    folder: sizeOf(state) - before,
    storage: health?.storage ?? null,
  };
}

/** What missed its target; empty: nothing. */
export function missed({ undisturbedP50, p50, p99, isHanging, memory, storage }: Outcome): string[] {
  return [
    ...(isHanging ? ["the neighbour is not answered"] : []),
    ...(p50 > targets.p50Ratio * undisturbedP50 ? ["p50"] : []),
    ...(p99 > targets.p99Ms ? ["p99"] : []),
    ...(memory > targets.memoryMb * 1e6 ? ["memory"] : []),
    ...(storage === null || storage.bytes > storage.limitBytes ? ["storage"] : []),
  ];
}

/** Of all workerd below this process, read now and then. */
class Memory {
  readonly #before = memoryOfWorkerd();
  #most = this.#before;
  readonly #timer = setInterval(() => (this.#most = Math.max(this.#most, memoryOfWorkerd())), readEveryMs);

  stop(): number {
    clearInterval(this.#timer);
    return Math.max(this.#most, memoryOfWorkerd()) - this.#before;
  }
}

function memoryOfWorkerd(): number {
  const pids = descendantsOf(process.pid).join(",");
  if (pids === "") return 0;
  const lines = psOf(pids).trim().split("\n");
  const sizes = lines.filter((line) => line.includes("workerd")).map((line) => Number(line.trim().split(/\s+/)[0]));
  return 1_024 * sizes.reduce((sum, kilobytes) => sum + kilobytes, 0);
}

/** A process may end while it is read. */
function psOf(pids: string): string {
  try {
    return execFileSync("ps", ["-o", "rss=,comm=", "-p", pids], { encoding: "utf8" });
  } catch {
    return "";
  }
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sum + sizeOf(path);
    // A journal may be gone by now.
    return sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  }, 0);
}

interface Attacks {
  readonly names: readonly AttackName[];
  /** Length of each attack. */
  readonly ms: number;
}

/** @throws {Error} for an unusable option */
export function chooseAttacks(args: string[]): Attacks {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "10" },
      attacks: { type: "string", default: Object.keys(attacks).join(",") },
    },
  });
  const names = values.attacks.split(",");
  const known = names.filter(isAttack);
  if (!/^[1-9]\d{0,3}$/.test(values.seconds)) throw new Error("--seconds is a number from 1 on, for each attack.");
  if (known.length < names.length) throw new Error(`--attacks takes ${Object.keys(attacks).join(",")}.`);
  return { names: known, ms: Number(values.seconds) * 1_000 };
}

/** What an ordinary chat notices of attacks, each on a new coordinator under workerd; prints a table. */
export async function attackAll({ names, ms: forMs }: Attacks): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const name of names) {
    console.error(`under attack: ${name} ...`);
    outcomes.push(await withEdge((edge, state) => underAttack(edge, state, name, forMs)));
  }
  console.log(table(outcomes));
  return outcomes;
}

/** The worst of all attacks: times beside the undisturbed ones of the same run, in ms, and memory in MB. */
export async function neighbour(args: readonly string[]) {
  const given = args.includes("--seconds") || share === 1 ? args : [...args, "--seconds", "1"];
  const outcomes = await attackAll(chooseAttacks([...given]));
  if (outcomes.some(({ isHanging }) => isHanging)) throw new Error("the neighbour is not answered");
  const most = (of: (outcome: Outcome) => number): number => Math.max(...outcomes.map(of));
  return {
    attacks: outcomes.length,
    ratio: most(({ p50, undisturbedP50 }) => p50 / undisturbedP50),
    p99: most(({ p99 }) => p99),
    memory: most(({ memory }) => memory / 1e6),
  };
}

async function withEdge<T>(work: (edge: LocalEdge, state: string) => Promise<T>): Promise<T> {
  const root = join(import.meta.dirname, "..", "..");
  mkdirSync(join(root, ".scratch"), { recursive: true });
  const folder = mkdtempSync(join(root, ".scratch", "stress-"));
  const entry = join(root, "src", "worker", "worker-entry.ts");
  const edge = new LocalEdge(await startEdge({ entry, folder, log: () => undefined }));
  try {
    return await work(edge, join(folder, "state"));
  } finally {
    await edge.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A Markdown table: one attack to a line. */
function table(outcomes: readonly Outcome[]): string {
  const head = "| attack | accepted | refused, closed | neighbour p50 | p99 | memory | folder | storage | |";
  const lines = outcomes.map((outcome) => {
    const { attack, tally, undisturbedP50, p50, p99, memory, folder, storage } = outcome;
    const refusals = [...Object.entries(tally.refused), ...Object.entries(tally.closed)];
    const refused = refusals.map(([code, count]) => `${code} ${count}`).join(", ") || "none";
    const slower = `${ratio(p50 / undisturbedP50)} (${ms(undisturbedP50)} before)`;
    const stored = storage ? `${mb(storage.bytes)} of ${mb(storage.limitBytes)}, ${storage.state}` : "no answer";
    const failed = missed(outcome);
    const verdict = failed.length === 0 ? "MET" : `MISSED: ${failed.join(", ")}`;
    return `| ${[attack, tally.accepted, refused, slower, ms(p99), mb(memory), mb(folder), stored, verdict].join(" | ")} |`;
  });
  const goal = `Goals: p50 at most ${targets.p50Ratio} x of the same run's undisturbed one, p99 at most ${targets.p99Ms} ms, memory at most ${targets.memoryMb} MB above idle.`;
  return [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", ...lines, "", goal].join("\n");
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
