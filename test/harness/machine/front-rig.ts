import { setImmediate as nextTurn } from "node:timers/promises";
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { Front, type Worker } from "#src/local-mcp/front/front.ts";

/** All that follows from an event has happened by then. */
export async function settled(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

export type FrontRig = ReturnType<typeof aFrontRig>;

function parsed(text: string): Record<string, unknown>[] {
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A worker that the test plays. */
function aFakeWorker(isRestart: boolean) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  let received = "";
  input.on("data", (data: Buffer) => (received += data.toString()));
  const exit = new EventEmitter();
  const signals: string[] = [];
  return {
    isRestart,
    signals,
    /** Lines that the front has written, parsed. */
    received: () => parsed(received),
    answer: (message: object) => {
      output.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
      return settled();
    },
    isEnded: () => input.writableEnded,
    /** Its output is not read. */
    isHeld: () => output.isPaused(),
    die: (code?: number) => {
      exit.emit("exit", code ?? null, code === undefined ? "SIGKILL" : "exit");
      return settled();
    },
    worker: (pid: number): Worker => ({
      pid,
      stdin: input,
      stdout: output,
      kill: (signal) => void signals.push(signal),
      onExit: (listener) => void exit.once("exit", listener),
    }),
  };
}

/** A front between a client and workers that the test plays. */
export function aFrontRig(
  onHook: (given: unknown) => Promise<object> = async () => ({ content: [] }),
  onInitialize: (params: unknown) => object | null = () => null,
) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const workers: ReturnType<typeof aFakeWorker>[] = [];
  const exits: number[] = [];
  /** Number of lines that the client had read when it said that it is ready. */
  const initialized: number[] = [];
  /** With the delay in ms. */
  const later: { readonly work: () => void; readonly ms: number }[] = [];
  let written = "";
  stdout.on("data", (data: Buffer) => (written += data.toString()));
  const state = { now: 1_700_000_000_000, isClientAlive: true };
  const front = new Front({
    stdin,
    stdout,
    startWorker: (isRestart) => {
      const made = aFakeWorker(isRestart);
      return made.worker(workers.push(made));
    },
    onInitialize,
    onInitialized: () => void initialized.push(parsed(written).length),
    onHook,
    isClientAlive: () => state.isClientAlive,
    now: () => state.now,
    schedule: (work, ms) => void later.push({ work, ms }),
    log: () => {},
    exit: (code) => void exits.push(code),
  });
  front.start();
  const say = (...messages: (object | string)[]): Promise<void> => {
    for (const one of messages) stdin.write(typeof one === "string" ? one : `${JSON.stringify(one)}\n`);
    return settled();
  };
  /** @returns all that the client has read */
  const heard = (): Record<string, unknown>[] => parsed(written);
  return Object.assign(state, { front, stdin, stdout, workers, exits, initialized, later, say, heard });
}
