import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { claudeBinary } from "../scripts/install-claude.ts";
import { startClaude, type ClaudeOptions } from "../test/harness/claude/claude-code.ts";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { familyOf, hostsOf } from "../test/harness/machine/process-tree.ts";
import { needed } from "./cannot-measure.ts";
import { mean, ms, ratio, sample, type Row, type Sample } from "./figures.ts";
import { toolHooks } from "./hook-clients.ts";
import { cpuMs } from "./proc.ts";
import { scaled } from "./size.ts";

const rounds = scaled(5);
const calls = scaled(30, 4);
/** Calls that fill caches: the first `sleep` lets the servers connect. */
const warmUp = 3;

type Setting = Pick<ClaudeOptions, "pluginDir" | "mcpServers" | "settings">;

/** The time of one tool call as the user has it: from the model's answer to the client's next request. */
export async function benchToolCall(folder: string, hookServer: string): Promise<Row[]> {
  needed(claudeBinary);
  const settings: Record<string, () => Setting> = {
    none: () => ({}),
    empty: () => ({
      mcpServers: { shim: { type: "stdio", command: process.execPath, args: [hookServer] } },
      settings: { hooks: toolHooks("shim") },
    }),
    shim: () => ({ pluginDir: join(import.meta.dirname, "..", "plugin") }),
  };
  const times: Record<string, number[]> = {};
  const costs: Cost[] = [];
  for (let round = 0; round < rounds; round++)
    for (const [name, setting] of Object.entries(settings)) {
      const { waits, cost } = await oneSession(folder, setting());
      (times[name] ??= []).push(...waits);
      if (cost !== null) costs.push(cost);
    }
  const samples = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, sample(list)]));
  return [...rows(samples), ...costRows(costs)];
}

function bash(command: string): Step {
  return { tools: [{ name: "Bash", input: { command } }] };
}

/** Of a tool call, in ms of the processor. */
interface Cost {
  readonly host: number;
  readonly below: number;
}

/** The host, or the processes that it has started and that run. */
function spentBy(shimHome: string): Cost | null {
  const [host] = hostsOf(shimHome);
  if (!host) return null;
  const below = familyOf(host.pid).filter(({ pid }) => pid !== host.pid);
  return { host: cpuMs([host]), below: cpuMs(below) + endedChildrenMs(host.pid) };
}

/** proc(5): "cutime" and "cstime", in hundredths of a second. */
function endedChildrenMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return 10 * (Number(fields[13]) + Number(fields[14]));
}

interface Session {
  readonly waits: readonly number[];
  readonly cost: Cost | null;
}

async function oneSession(folder: string, setting: Setting): Promise<Session> {
  const root = mkdtempSync(join(folder, "tool-call-"));
  const [home, cwd] = [join(root, "home"), join(root, "project")];
  mkdirSync(home);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "one.ts"), "export {};\n");
  const shimHome = join(root, "shim");
  const at: number[] = [];
  const spent: (Cost | null)[] = [];
  const steps = [bash("sleep 1"), ...Array.from({ length: calls }, (_, n) => bash(`echo ${n}`)), { text: "Done." }];
  const model = await startScriptedModel({
    threads: [{ steps }],
    onRequest: () => {
      at.push(performance.now());
      if (at.length === 2 + warmUp || at.length === steps.length) spent.push(spentBy(shimHome));
    },
  });
  const options = { modelUrl: model.url, home, cwd, ...setting, args: ["--allowedTools", "Bash"] };
  // A machine on which SHIM has run before has its compiled code.
  const env = {
    SHIM_HOME: shimHome,
    XDG_CACHE_HOME: join(folder, "cache"),
    PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}`,
  };
  const claude = startClaude({ ...options, env, prompt: "count" });
  const { code } = await claude.waitForExit();
  await model.close();
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  if (code !== 0) throw new Error(`Claude Code ended with ${code}: ${JSON.stringify(claude.output)}`);
  const waits = at.slice(1 + warmUp).map((time, n) => time - (at[n + warmUp] ?? NaN));
  const [before, after] = spent;
  const measured = steps.length - 2 - warmUp;
  const cost = before && after && { host: after.host - before.host, below: after.below - before.below };
  return { waits, cost: cost ? { host: cost.host / measured, below: cost.below / measured } : null };
}

function rows(samples: Record<string, Sample>): Row[] {
  const group = `one tool call of Claude Code (${claudeBinary().match(/\d+\.\d+\.\d+/)?.[0]})`;
  const p50 = (name: string): number => samples[name]?.p50 ?? NaN;
  const n = samples["shim"]?.n ?? 0;
  const against = (name: string, goal: number): Pick<Row, "against" | "goal" | "isReached"> => {
    const growth = p50("shim") / p50(name);
    const peer = name === "none" ? "no hooks" : "the empty server";
    return { against: `${ratio(growth)} ${peer}`, goal: `at most ${goal} x`, isReached: growth <= goal };
  };
  return [
    { group, n, name: "no hooks", figure: ms(p50("none")) },
    { group, n, name: "mcp_tool hooks of an empty server", figure: ms(p50("empty")) },
    { group, n, name: "SHIM, p50", figure: ms(p50("shim")), ...against("empty", 1.1) },
    { group, n, name: "SHIM, p50", figure: ms(p50("shim")), ...against("none", 1.4) },
    { group, n, name: "SHIM, p99", figure: ms(samples["shim"]?.p99 ?? NaN) },
  ];
}

function costRows(costs: readonly Cost[]): Row[] {
  const group = "processor of a tool call of Claude Code";
  const [host, below] = [mean(costs.map((one) => one.host)), mean(costs.map((one) => one.below))];
  return [
    { group, n: costs.length, name: "the host", figure: ms(host), goal: "at most 4 ms", isReached: host <= 4 },
    { group, n: costs.length, name: "processes that the host starts", figure: ms(below) },
  ];
}
