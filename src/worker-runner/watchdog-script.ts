import { markName } from "./marked-processes.ts";

/**
 * [WK15] Leads a program's group and holds one end of a pipe. When the pipe closes the worker is
 * gone (even by kill -9): TERM to the group, then KILL 2 s later or at the program's end, also to
 * itself and (Linux) to processes that left the group. Writes a `WatchdogReport` to descriptor 3 as
 * one line of JSON.
 */
export const watchdogScript = `"use strict";
const { spawn } = require("node:child_process");
const worker = new (require("node:net").Socket)({ fd: 3 });
const [command, ...args] = process.argv.slice(1);
const heard = ["SIGTERM", "SIGINT", "SIGHUP"];
for (const signal of heard) process.on(signal, () => undefined);
const env = { ...process.env, ${markName}: process.env.${markName} + "-" + process.pid };
const program = spawn(command, args, { env, stdio: "inherit", windowsHide: true });
const all = process.platform === "win32" ? program.pid : -process.pid;
let isAlone = false;
function send(signal) {
  try {
    process.kill(all, signal);
  } catch {
    // The program has ended in the same moment.
  }
}
function endMarked() {
  const { readdirSync, readFileSync } = require("node:fs");
  const mark = "${markName}=" + env.${markName};
  for (const pid of readdirSync("/proc").filter((name) => /^\\d+$/.test(name))) {
    try {
      if (readFileSync("/proc/" + pid + "/environ", "utf8").split("\\0").includes(mark)) process.kill(pid, "SIGKILL");
    } catch {
      // The process has ended in the same moment, or is another user's.
    }
  }
}
function kill() {
  if (process.platform === "linux") endMarked();
  send("SIGKILL");
  process.exit(1);
}
function endAll() {
  if (isAlone) return;
  isAlone = true;
  send("SIGTERM");
  setTimeout(kill, 2_000);
}
function tell(ended) {
  if (isAlone) kill();
  isAlone = true;
  worker.end(JSON.stringify(ended) + "\\n", () => process.exit(0));
}
for (const event of ["end", "close", "error"]) worker.once(event, endAll);
worker.resume();
program.once("error", ({ code, message }) => tell({ problem: code ?? "unknown", message }));
program.once("exit", (code, signal) => tell({ code, signal }));
`;

export type WatchdogReport =
  | { readonly code: number | null; readonly signal: NodeJS.Signals | null }
  | { readonly problem: string; readonly message: string };
