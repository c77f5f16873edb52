/** `shim mcp`: loads only what the connection needs until the worker is started. */
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { messageOf } from "../../shared/error.ts";
import { fileLog } from "../../platform/log-file.ts";
import { homeFrom, pathsIn } from "../../platform/paths.ts";
import { clientPidOf, identify, isAlive, systemProcesses } from "../../platform/processes.ts";
import { frontVariables } from "./control.ts";
import { Front, type Worker } from "./front.ts";

const log = fileLog(pathsIn(homeOrEnd()).log, Date.now);

function homeOrEnd(): string {
  try {
    return homeFrom(process.env);
  } catch (error) {
    writeSync(2, `shim mcp: ${messageOf(error)}\n`);
    return process.exit(1);
  }
}

/** Most worker objects are short-lived: saves 5 MB at no measured cost in time. */
const workerFlags = ["--max-semi-space-size=1"];

const clientPid = clientPidOf(systemProcesses, process.env, process.ppid);
const client = identify(systemProcesses, clientPid);

function startWorker(isRestart: boolean): Worker {
  const child = spawn(process.execPath, [...workerFlags, join(__dirname, "mcp-worker.cjs")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...frontVariables({ pid: process.pid, clientPid, isRestart }) },
  });
  return {
    pid: child.pid ?? 0,
    stdin: child.stdin,
    stdout: child.stdout,
    kill: (signal) => void child.kill(signal),
    onExit(listener) {
      child.once("error", (error) => listener(null, messageOf(error)));
      child.once("close", (code, signal) => listener(code, signal ?? "exit"));
    },
  };
}

/** Loaded once the worker is started. */
const loadHooks = (): typeof import("./hook-channel.ts") =>
  createRequire(__filename)("./mcp-hooks.cjs") as typeof import("./hook-channel.ts");

const front: Front = new Front({
  stdin: process.stdin,
  stdout: process.stdout,
  startWorker,
  onInitialize: (params) => loadHooks().answerInitialize(params),
  onInitialized: () => void setImmediate(() => loadHooks().systemHookChannel(front, clientPid).replaceDead()),
  onHook: (given) => loadHooks().systemHookChannel(front, clientPid).answer(given),
  isClientAlive: () => client !== null && isAlive(systemProcesses, client),
  now: Date.now,
  schedule: (work, ms) => void setTimeout(work, ms),
  log,
  exit: (code) => process.exit(code),
});
front.start();
setImmediate(loadHooks);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => front.end(signal));
