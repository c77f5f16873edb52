import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { recording } from "#harness/clients/recorded-client.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { built, envOf, homeWithoutRetention, integrityOf, nextStepOf, setAside } from "#harness/machine/mcp-process.ts";
import { setting, spawnServer, storeOf } from "#harness/machine/mcp-process.ts";
import { familyOf, hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { column } from "#harness/store/store-test.ts";
import type { McpConnection } from "#harness/machine/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import * as notices from "#src/store/notices.ts";
import * as spool from "#src/store/spool.ts";
import type { Store } from "#src/store/store.ts";

/** `npm run stress -- host-kills --rounds 10000 --seed 7`. */
const rounds = setting("SHIM_HOST_KILL_ROUNDS", 100);
const seed = setting("SHIM_HOST_KILL_SEED", 1);

/** A home's store stays small enough to be checked after each round. */
const roundsOfHome = 100;
const polling = { ...patience, interval: 5 };
const script = join(dirname(built.hook), "shim-hook");
const kinds = ["host", "front", "hook", "client"] as const;

type Kind = (typeof kinds)[number];

const combinations = Array.from({ length: 2 ** kinds.length - 1 }, (_, n) =>
  kinds.filter((_kind, bit) => ((n + 1) >> bit) % 2 === 1),
);

/** What clients were answered in one home. */
interface Answers extends Record<"ends" | "commands" | "refused", string[]> {
  readonly steps: { readonly checkpoint: string; readonly step: string }[];
}

/** A chat that works as fast as it is answered, until its front ends. The shell is its client. */
class WorkingChat {
  readonly server: McpConnection;
  readonly life: Promise<void>;
  readonly #name: string;
  readonly #answers: Answers;
  count = 0;
  isOver = false;

  constructor(paths: Paths, name: string, answers: Answers) {
    this.#name = name;
    this.#answers = answers;
    this.server = spawnServer(paths, { node: "/bin/sh", args: ["-c", '"$0" "$1"; exit', process.execPath, built.mcp] });
    this.life = this.#work().catch(() => void (this.isOver = true));
  }

  async #work(): Promise<never> {
    await this.server.initialize("kills");
    for (;;) {
      const id = `${this.#name}-${this.count}`;
      const tool = { session_id: this.#name, prompt_id: "p1", tool_name: "Bash", tool_use_id: id };
      for (const event of ["PreToolUse", "PostToolUse"]) {
        const given = { event, ...tool, "tool_input.command": `echo ${id}` };
        await this.server.request("tools/call", { name: "shim_hook", arguments: given });
      }
      this.#answers.ends.push(`end:${id}`);
      this.count += 1;
      if (this.count % 5 === 0) await this.#save(`step ${id}`);
    }
  }

  async #save(step: string): Promise<void> {
    const given = { goal: "survive", nextStep: step };
    const { isError, text, data } = await this.server.callTool("shim_force_checkpoint", given);
    if (!isError) this.#answers.steps.push({ checkpoint: String(data["checkpoint"]), step });
    else if (!text.includes("outcome_unknown")) this.#answers.refused.push(`${step}: ${text}`);
  }
}

/** An event for which the client starts a process, and gives no id. */
function startHook(paths: Paths, name: string, answers: Answers) {
  const { env, payload } = recording("gemini", "BeforeTool");
  const child = spawn("/bin/sh", [script, process.execPath, "BeforeTool", "--client", "gemini"], {
    env: { ...envOf(paths), NODE_NO_WARNINGS: "1", ...env },
    stdio: ["pipe", "ignore", "inherit"],
  });
  const command = `echo ${name}`;
  child.stdin
    ?.on("error", () => undefined)
    .end(JSON.stringify({ ...payload, cwd: paths.home, tool_input: { command } }));
  const end = async (): Promise<void> => {
    const [code] = (await once(child, "exit")) as [number | null];
    if (code === 0) answers.commands.push(command);
    else if (code !== null) answers.refused.push(`${name}: exit code ${code}`);
  };
  return { child, ended: end() };
}

function victimsOf(kind: Kind, chat: WorkingChat, hook: ReturnType<typeof startHook>, paths: Paths): { pid: number }[] {
  if (kind === "host") return hostsOf(paths.home);
  if (kind === "hook") return familyOf(hook.child.pid ?? -1);
  if (kind === "client") return [chat.server];
  return familyOf(chat.server.pid).filter(({ pid }) => pid !== chat.server.pid);
}

/** What the events that were set aside are of. */
function namesAside(paths: Paths): string[] {
  return setAside(paths).flatMap((text) => {
    const { command = "", id = "" } = /(?<command>echo (?<id>r[\w-]+))/.exec(text)?.groups ?? {};
    return [command, `end:${id}`];
  });
}

/** @returns what is wrong with the store */
function faultsOf(store: Store, paths: Paths, answers: Answers): string[] {
  const { ends, commands, steps } = answers;
  const isDrained = spool.isEmpty(paths.spool);
  const stored = store.read((sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_end'"), []).map(String);
  const bodies = store
    .read((sql) => column(sql, "SELECT body FROM journal WHERE kind = 'tool_start'"), [])
    .map((body) => /echo r[\w-]+/.exec(String(body))?.[0] ?? "")
    .filter((command) => command.includes("hook"));
  const doubled = [stored, bodies].flatMap((list) => list.filter((one, n) => list.indexOf(one, n + 1) >= 0));
  const has = new Set([...stored, ...bodies, ...namesAside(paths)]);
  const lost = isDrained ? [...ends, ...commands].filter((one) => !has.has(one)) : [];
  const lostSteps = steps.filter(({ checkpoint, step }) => nextStepOf(store, checkpoint) !== step);
  const integrity = integrityOf(store).filter((text) => text !== "ok");
  return [
    ...doubled.map((one) => `doubled: ${one}`),
    ...lost.map((one) => `lost: ${one}`),
    ...lostSteps.map(({ step }) => `lost: ${step}`),
    ...integrity.map((text) => `damaged: ${String(text)}`),
    ...store.read(notices.list, []).map(({ text }) => `reported: ${text}`),
    ...answers.refused.splice(0).map((text) => `refused: ${text}`),
  ];
}

/** Starts for a round what the one before it has killed. */
function startChats(chats: WorkingChat[], round: number, paths: Paths, answers: Answers): [WorkingChat, WorkingChat] {
  const at = (n: number): WorkingChat =>
    chats[n]?.isOver === false ? chats[n] : (chats[n] = new WorkingChat(paths, `r${round}-${n}`, answers));
  return [at(0), at(1)];
}

/** Kills in one home, from a round to another one. */
async function killInHome(from: number, to: number, random: () => number) {
  const faults: string[] = [];
  const paths = homeWithoutRetention();
  const answers: Answers = { ends: [], commands: [], steps: [], refused: [] };
  const store = storeOf(paths);
  const chats: WorkingChat[] = [];
  for (let round = from; round < to; round++) {
    const killed = combinations[Math.floor(random() * combinations.length)] ?? [];
    const where = `seed ${seed}, round ${round}, ${killed.join(" and ")}`;
    const both = startChats(chats, round, paths, answers);
    const [chat, other] = random() < 0.5 ? both : [both[1], both[0]];
    const hook = startHook(paths, `r${round}-hook`, answers);
    await pause(random() * (random() < 0.5 ? 20 : 250));
    killEvery(killed.flatMap((kind) => victimsOf(kind, chat, hook, paths)));
    if (killed.includes("client")) chat.server.process.stdin.destroy();
    if (random() < 0.3) {
      await pause(random() * 300);
      killEvery(hostsOf(paths.home));
    }
    await hook.ended;
    const { count } = other;
    // Otherwise the next kill comes while all start.
    if (random() < 0.6) await vi.waitUntil(() => other.isOver || other.count > count, polling);
    faults.push(...faultsOf(store, paths, answers).map((fault) => `${where}: ${fault}`));
  }
  const last = new WorkingChat(paths, `r${to}-last`, answers);
  await vi.waitUntil(() => last.count > 0 && spool.isEmpty(paths.spool), polling);
  faults.push(...faultsOf(store, paths, answers).map((fault) => `seed ${seed}, before round ${to}: ${fault}`));
  chats.push(last);
  for (const one of chats) killEvery(one.isOver ? [] : familyOf(one.server.pid));
  killEvery(hostsOf(paths.home));
  await Promise.all(chats.map(({ life }) => life));
  store.close();
  return { faults, acknowledged: answers.ends.length + answers.commands.length + answers.steps.length };
}

it(
  `kill -9 of host, front, hook and client in all combinations, ${rounds} times: nothing acknowledged is lost or stored twice @night`,
  { timeout: 240_000 + rounds * 10_000 },
  async () => {
    const random = seededRandom(seed);
    const faults: string[] = [];
    let acknowledged = 0;
    for (let from = 0; from < rounds; from += roundsOfHome) {
      const to = Math.min(rounds, from + roundsOfHome);
      const home = await killInHome(from, to, random);
      faults.push(...home.faults);
      acknowledged += home.acknowledged;
      const found = `${to} rounds, ${acknowledged} acknowledged, ${faults.length} faults`;
      process.stdout.write(`kills: seed ${seed}, ${found}\n`);
    }
    expect(faults).toEqual([]);
    expect(acknowledged).toBeGreaterThan(rounds);
  },
);
