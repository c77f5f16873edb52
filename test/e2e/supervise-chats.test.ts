import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { built } from "#harness/machine/mcp-process.ts";
import { EventProcess } from "#harness/machine/programs.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";

const session = "aaaa1111-0000-4000-8000-000000000001";

/** Stands for Claude Code in a terminal: it starts SHIM's server, its hooks run, and it works until it is killed. */
const chat = `const { spawn, spawnSync } = require("node:child_process");
const [, launcher, hookScript] = process.argv;
const env = { ...process.env, CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: "${session}" };
const server = spawn(process.execPath, [launcher, "mcp"], { env, stdio: ["pipe", "pipe", "inherit"] });
const clientInfo = { name: "claude-code", version: "2.1.328" };
const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
server.stdin.write(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }) + "\\n");
function hook(hook_event_name, more) {
  const input = JSON.stringify({ session_id: "${session}", cwd: process.cwd(), hook_event_name, ...more });
  spawnSync(process.execPath, [hookScript, hook_event_name], { input, env });
}
server.stdout.once("data", () => {
  hook("SessionStart", { source: "startup" });
  hook("UserPromptSubmit", { prompt: "make the parser accept empty input" });
  console.log('{"event":"works"}');
});
`;

it("the host sees a killed chat, and the supervisor opens a terminal for it @night", async () => {
  const home = new MachineHome();
  const terminal = join(home.home, "bin", "terminal");
  writeFileSync(terminal, "#!/bin/sh\n", { mode: 0o755 });
  mkdirSync(home.paths.home, { recursive: true });
  // Each of its starts is a round of the supervisor.
  const rounds = { kind: "claude", folder: home.project, prompt: "x", program: "false" };
  const watch = { chats: { kind: "sessions", restartWith: [terminal, "{cwd}"] }, rounds };
  const restarts = { firstMs: 500, mostMs: 500, loopCrashes: 1_000_000 };
  writeFileSync(join(home.paths.home, "supervisor.json"), JSON.stringify({ watch, restarts }));
  const supervisor = home.start("worker", "supervise", "--json");
  await supervisor.until("supervising");
  const { project: cwd, env } = home;
  const claude = new EventProcess(
    spawn(process.execPath, ["-e", chat, built.launcher, built.hook], { cwd, env, stdio: ["ignore", "pipe", "pipe"] }),
  );
  await claude.until("works");
  await supervisor.until("started", supervisor.named("started").length + 3);
  claude.kill("SIGKILL");
  await supervisor.until("restarting");
  expect(supervisor.named("died")).toMatchObject([{ name: "chats", session, cause: "killed" }]);
  expect(supervisor.named("restarting")).toMatchObject([{ name: "chats", session }]);
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});
