/**
 * A small process between a worker and a program of a task. It is the first of the program's group, and sits at one end of a pipe: when the
 * other end closes, for whatever reason the worker is gone (kill -9 too), it kills the whole group, itself included. [WK15]
 *
 * Arguments: the program and its arguments. On descriptor 3 it tells how the program ended, as one line of JSON (`Told`).
 */
export const keeperScript = `"use strict";
const { spawn } = require("node:child_process");
const worker = new (require("node:net").Socket)({ fd: 3 });
const [command, ...args] = process.argv.slice(1);
const heard = ["SIGTERM", "SIGINT", "SIGHUP"];
for (const signal of heard) process.on(signal, () => undefined);
const program = spawn(command, args, { stdio: "inherit", windowsHide: true });
function killAll() {
  try {
    process.kill(process.platform === "win32" ? program.pid : -process.pid, "SIGKILL");
  } finally {
    process.exit(1);
  }
}
function tell(ended) {
  worker.end(JSON.stringify(ended) + "\\n", () => process.exit(0));
}
for (const event of ["end", "close", "error"]) worker.once(event, killAll);
worker.resume();
program.once("error", ({ code, message }) => tell({ problem: code ?? "unknown", message }));
program.once("exit", (code, signal) => tell({ code, signal }));
`;

/** What a keeper tells. */
export type Told =
  | { readonly code: number | null; readonly signal: NodeJS.Signals | null }
  /** It could not be started. */
  | { readonly problem: string; readonly message: string };
