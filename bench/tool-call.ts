import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { claudeBinary } from "../scripts/install-claude.ts";
import { startClaude, type ClaudeOptions } from "../test/harness/claude/claude-code.ts";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { needed } from "./cannot-measure.ts";
import { ms, ratio, sample, type Row, type Sample } from "./figures.ts";
import { toolHooks } from "./hook-clients.ts";
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
  for (let round = 0; round < rounds; round++)
    for (const [name, setting] of Object.entries(settings)) {
      (times[name] ??= []).push(...(await oneSession(folder, setting())));
    }
  const samples = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, sample(list)]));
  return rows(samples);
}

function bash(command: string): Step {
  return { tools: [{ name: "Bash", input: { command } }] };
}

async function oneSession(folder: string, setting: Setting): Promise<number[]> {
  const root = mkdtempSync(join(folder, "tool-call-"));
  const [home, cwd] = [join(root, "home"), join(root, "project")];
  mkdirSync(home);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "one.ts"), "export {};\n");
  const at: number[] = [];
  const steps = [bash("sleep 1"), ...Array.from({ length: calls }, (_, n) => bash(`echo ${n}`)), { text: "Done." }];
  const model = await startScriptedModel({ threads: [{ steps }], onRequest: () => void at.push(performance.now()) });
  const options = { modelUrl: model.url, home, cwd, ...setting, args: ["--allowedTools", "Bash"] };
  const env = { SHIM_HOME: join(root, "shim"), PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}` };
  const claude = startClaude({ ...options, env, prompt: "count" });
  const { code } = await claude.waitForExit();
  await model.close();
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  if (code !== 0) throw new Error(`Claude Code ended with ${code}: ${JSON.stringify(claude.output)}`);
  return at.slice(1 + warmUp).map((time, n) => time - (at[n + warmUp] ?? NaN));
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
    { group, n, name: "SHIM, p50", figure: ms(p50("shim")), ...against("empty", 1.15) },
    { group, n, name: "SHIM, p50", figure: ms(p50("shim")), ...against("none", 1.5) },
    { group, n, name: "SHIM, p99", figure: ms(samples["shim"]?.p99 ?? NaN) },
  ];
}
