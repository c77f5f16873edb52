import { markName } from "./marked-processes.ts";

/**
 * A small process between a worker and a program of a task. It is the first of the program's group, and sits at one end of a pipe: when the
 * other end closes, the worker is gone for whatever reason (kill -9 too): then TERM goes to the whole group, so that a program can end what it has
 * put outside of it, and 2 s later, or when the program has ended, KILL, itself included, and what has left the group, where that can be found (Linux). [WK15]
 *
 * Arguments: the program and its arguments. To the mark in its environment it adds its own number. On descriptor 3 it tells how the program ended, as one line of JSON (`WatchdogReport`).
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
    // It has ended in the same moment.
  }
}
function endMarked() {
  const { readdirSync, readFileSync } = require("node:fs");
  const mark = "${markName}=" + env.${markName};
  for (const pid of readdirSync("/proc").filter((name) => /^\\d+$/.test(name))) {
    try {
      if (readFileSync("/proc/" + pid + "/environ", "utf8").split("\\0").includes(mark)) process.kill(pid, "SIGKILL");
    } catch {
      // It has ended in the same moment, or is another user's.
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

/** What a keeper tells. */
export type WatchdogReport =
  | { readonly code: number | null; readonly signal: NodeJS.Signals | null }
  /** It could not be started. */
  | { readonly problem: string; readonly message: string };
