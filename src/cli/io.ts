import { spawn } from "node:child_process";
import { createInterface } from "node:readline/promises";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hostClientOf } from "../local-mcp/host-client/host-client.ts";
import { systemSite } from "../local-mcp/host/system-site.ts";
import { endSignals } from "../platform/processes.ts";
import { programStart } from "../platform/program-path.ts";

export interface ProcessStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

export type Io = Readonly<ReturnType<typeof systemIo>>;

/**
 * @param bundle URL of dist/cli.cjs: dist/hook.cjs lies beside it, bin/shim.mjs above it
 * @param env of the command: names the home
 */
export function systemIo(bundle: string, env: NodeJS.ProcessEnv) {
  const { stdin, stdout, stderr } = process;
  const bundlePath = (path: string): string => fileURLToPath(new URL(path, bundle));
  const launch = {
    node: process.execPath,
    script: bundlePath("../bin/shim.mjs"),
    hookScript: bundlePath("./hook.cjs"),
  };
  return {
    ...systemSite(launch, env),
    stdout: (text: string): void => void stdout.write(text),
    stderr: (text: string): void => void stderr.write(text),
    /** Ends this process after `ms`, even if stdout still has unread output. */
    leaveWithin: (ms: number): void => void setTimeout(() => process.exit(), ms).unref(),
    isTty: stdout.isTTY,
    isInteractive: stdin.isTTY && stderr.isTTY,
    size: () => ({ columns: stdout.columns || 120, rows: stdout.rows || 40 }),
    cwd: process.cwd(),
    ask,
    readInput: async (): Promise<string> => (stdin.isTTY ? "" : readAll(stdin)),
    interrupted,
    /** Ctrl-C, SIGTERM and SIGHUP then do not end the process. @returns undoes that */
    onInterrupt: (listener: () => void) => onSignals(endSignals, listener),
    onEnter,
    onReaderGone,
    /** Pid of the parent; changes when the parent is gone. */
    parentPid: () => process.ppid,
    /** Resolves after `ms`, or at once when the signal is aborted. */
    wait: (ms: number, signal: AbortSignal): Promise<void> => pause(ms, undefined, { signal }).catch(() => undefined),
    startProcess,
    hostClient: hostClientOf,
    /** Loads SQLite, so only for commands that need the store. */
    makeRuntime: async () => (await import("../local-mcp/host-client/reading-runtime.ts")).makeRuntime(env),
  };
}

/** Uses stderr: stdout holds answers only. @returns null at Ctrl-C and at the end of stdin */
async function ask(question: string): Promise<string | null> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const { promise: closed, resolve } = Promise.withResolvers<null>();
  lines.once("close", () => resolve(null));
  lines.once("SIGINT", () => {
    process.stderr.write("\n");
    lines.close();
  });
  try {
    return await Promise.race([lines.question(question).catch(() => null), closed]);
  } finally {
    lines.close();
  }
}

/**
 * Aborted by Ctrl-C or SIGTERM, which after the first call no longer end the process; a second
 * Ctrl-C ends it the hard way.
 */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of endSignals) process.once(signal, () => controller.abort());
  return controller.signal;
}

/** @returns undoes that */
function onSignals(signals: readonly NodeJS.Signals[], listener: () => void): () => void {
  for (const signal of signals) process.on(signal, listener);
  return () => {
    for (const signal of signals) process.off(signal, listener);
  };
}

/** A terminal gives a line at Enter; Ctrl-C stays a signal. @returns undoes that */
function onEnter(listener: () => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  stdin.on("data", listener);
  return () => {
    stdin.off("data", listener);
    stdin.pause();
  };
}

/** A lost reader of stdout then does not end the process. @returns undoes that */
function onReaderGone(listener: () => void): () => void {
  const outputs = [process.stdout, process.stderr];
  for (const output of outputs) output.on("error", listener);
  return () => {
    for (const output of outputs) output.off("error", listener);
  };
}

/** @returns the exit code; rejects with the system's error when the start fails */
export function startProcess({ command, args, cwd, env }: ProcessStart): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const listen = onSignals(["SIGINT"], () => undefined);
  const start = programStart(command, args, process.env);
  const child = spawn(start.file, start.args, {
    cwd,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  child.on("error", reject);
  child.on("close", (code, signal) => resolve(code ?? (signal ? 1 : 0)));
  return promise.finally(listen);
}

const maxChars = 4_000_000;

async function readAll(stream: Readable): Promise<string> {
  stream.setEncoding("utf8");
  let text = "";
  for await (const part of stream) {
    text += String(part);
    if (text.length > maxChars) break;
  }
  return text.slice(0, maxChars);
}
