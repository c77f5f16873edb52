/** `shim mcp`: passes a client's messages on to the host of the machine. */
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { hookTool } from "../../contract/hook-tool.ts";
import { messageOf } from "../../shared/error.ts";
import { fileLog } from "../../platform/log-file.ts";
import { homeFrom, pathsIn } from "../../platform/paths.ts";
import { clientPidOf, identify, isAlive, systemProcesses } from "../../platform/processes.ts";
import { builtAt, version } from "../../platform/version.ts";
import { Front } from "./front.ts";
import { openHostLink } from "./host-link.ts";

const { env } = process;
const home = homeOrEnd();
const log = fileLog(pathsIn(home).log, Date.now);

function homeOrEnd(): string {
  try {
    return homeFrom(env);
  } catch (error) {
    writeSync(2, `shim mcp: ${messageOf(error)}\n`);
    return process.exit(1);
  }
}

const clientPid = clientPidOf(systemProcesses, env, process.ppid);
const client = identify(systemProcesses, clientPid);
const self = identify(systemProcesses, process.pid);
if (!self) throw new Error("this process is not in the process table");
const hostProgram = join(__dirname, "mcp-host.cjs");
const program = { version, builtAt };

/** The program of hooks stores the event in this process's place. */
function storeEvent(given: unknown): Promise<object> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(__dirname, "hook.cjs"), hookTool], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...env, CLAUDE_PID: `${clientPid}` },
    });
    let answer = "";
    child.stdout.on("data", (data: Buffer) => (answer += data.toString()));
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify(given ?? null));
    const end = (): void => resolve({ content: answer === "" ? [] : [{ type: "text", text: answer }] });
    child.once("error", (error) => {
      log("error", "an event is lost", { error: messageOf(error) });
      end();
    });
    child.once("close", end);
  });
}

const front = new Front({
  stdin: process.stdin,
  stdout: process.stdout,
  program,
  connect: (isRestart, events) =>
    openHostLink(
      { home, boot: self.boot, program: hostProgram, env },
      { program, front: self, client, isRestart, env },
      events,
    ),
  storeEvent,
  endHost: (host) => {
    if (isAlive(systemProcesses, host)) process.kill(host.pid, "SIGKILL");
  },
  isClientAlive: () => client !== null && isAlive(systemProcesses, client),
  now: Date.now,
  schedule: (work, ms) => void setTimeout(work, ms).unref(),
  log,
  exit: (code) => process.exit(code),
});
front.start();
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => front.end(signal));
