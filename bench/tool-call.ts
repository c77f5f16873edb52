import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claudeBinary } from "../scripts/install-claude.ts";
import { hookEvents } from "../src/contract/hooks.ts";
import { hookToolGroups, isHookToolEvent } from "../src/contract/hook-tool.ts";
import { startClaude, type ClaudeOptions } from "../test/harness/claude/claude-code.ts";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { needed, range, sample, scaled } from "./measure.ts";
import { emptyServer } from "./stdio-client.ts";

const rounds = scaled(5);
const calls = scaled(30, 4);
/** Calls that fill caches: the first `sleep` lets the servers connect. */
const warmUp = 3;

type Setting = Pick<ClaudeOptions, "pluginDir" | "mcpServers" | "settings">;

/** One tool call as the user has it, from the model's answer to the client's next request: p50 in ms. */
export async function toolCall() {
  needed(claudeBinary);
  const hookServer = await emptyServer();
  // The plugin's hooks, but for those that are processes.
  const hooks = Object.fromEntries(
    hookEvents.filter(isHookToolEvent).map((event) => [event, hookToolGroups(event, "shim")]),
  );
  const settings = {
    none: {},
    empty: {
      mcpServers: { shim: { type: "stdio", command: process.execPath, args: [hookServer, "hooks"] } },
      settings: { hooks },
    },
    shim: { pluginDir: join(import.meta.dirname, "..", "plugin") },
  } satisfies Record<string, Setting>;
  const times: Record<keyof typeof settings, number[]> = { none: [], empty: [], shim: [] };
  for (let round = 0; round < rounds; round++)
    for (const name of ["none", "empty", "shim"] as const) times[name].push(...(await oneSession(settings[name])));
  return { none: sample(times.none).p50, empty: sample(times.empty).p50, shim: sample(times.shim).p50 };
}

function bash(command: string): Step {
  return { tools: [{ name: "Bash", input: { command } }] };
}

async function oneSession(setting: Setting): Promise<number[]> {
  const root = mkdtempSync(join(tmpdir(), "tool-call-"));
  const [home, cwd] = [join(root, "home"), join(root, "project")];
  mkdirSync(home);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "one.ts"), "export {};\n");
  const at: number[] = [];
  const steps = [bash("sleep 1"), ...range(calls, (n) => bash(`echo ${n}`)), { text: "Done." }];
  const model = await startScriptedModel({ threads: [{ steps }], onRequest: () => void at.push(performance.now()) });
  const options = { modelUrl: model.url, home, cwd, ...setting, args: ["--allowedTools", "Bash"] };
  // A machine on which SHIM has run before has its compiled code.
  const env = {
    SHIM_HOME: join(root, "shim"),
    XDG_CACHE_HOME: join(tmpdir(), "cache"),
    PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}`,
  };
  const claude = startClaude({ ...options, env, prompt: "count" });
  const { code } = await claude.waitForExit();
  await model.close();
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  if (code !== 0) throw new Error(`Claude Code ended with ${code}: ${JSON.stringify(claude.output)}`);
  return at.slice(1 + warmUp).map((time, n) => time - (at[n + warmUp] ?? NaN));
}
