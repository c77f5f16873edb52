import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { Front, type Worker } from "#src/local-mcp/front/front.ts";

export interface FakeWorker {
  readonly isRestart: boolean;
  /** Lines that the front has written, parsed. */
  received(): Record<string, unknown>[];
  answer(message: object): Promise<void>;
  readonly signals: string[];
  isEnded(): boolean;
  /** Nobody reads what it writes. */
  isHeld(): boolean;
  die(code?: number): Promise<void>;
}

/** A front between a client and workers that the test plays. */
export interface FrontRig {
  readonly front: Front;
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly workers: FakeWorker[];
  readonly exits: number[];
  /** What is to happen later, with its delay in ms. */
  readonly later: { readonly work: () => void; readonly ms: number }[];
  now: number;
  isClientAlive: boolean;
  /** By the client; all that follows from it has happened when the promise is fulfilled, here as with a worker. */
  say(...messages: (object | string)[]): Promise<void>;
  /** All that the client has read. */
  heard(): Record<string, unknown>[];
}

export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function parsed(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export function aFrontRig(
  onHook: (given: unknown) => Promise<object> = async () => ({ content: [] }),
  onInitialize: (params: unknown) => object | null = () => null,
): FrontRig {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const [workers, exits, later]: [FakeWorker[], number[], FrontRig["later"]] = [[], [], []];
  let written = "";
  stdout.on("data", (data: Buffer) => (written += data.toString()));
  const startWorker = (isRestart: boolean): Worker => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    let received = "";
    input.on("data", (data: Buffer) => (received += data.toString()));
    const exit = new EventEmitter();
    const signals: string[] = [];
    workers.push({
      isRestart,
      signals,
      received: () => parsed(received),
      answer: (message) => {
        output.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
        return settled();
      },
      isEnded: () => input.writableEnded,
      isHeld: () => output.isPaused(),
      die: (code) => {
        exit.emit("exit", code ?? null, code === undefined ? "SIGKILL" : "exit");
        return settled();
      },
    });
    const kill = (signal: string): void => void signals.push(signal);
    return { pid: workers.length, stdin: input, stdout: output, kill, onExit: (take) => void exit.once("exit", take) };
  };
  const rig: FrontRig = {
    front: new Front({
      stdin,
      stdout,
      startWorker,
      onInitialize,
      onHook,
      isClientAlive: () => rig.isClientAlive,
      now: () => rig.now,
      schedule: (work, ms) => void later.push({ work, ms }),
      log: () => {},
      exit: (code) => void exits.push(code),
    }),
    stdin,
    stdout,
    workers,
    exits,
    later,
    now: 1_700_000_000_000,
    isClientAlive: true,
    say: (...messages) => {
      for (const one of messages) stdin.write(typeof one === "string" ? one : `${JSON.stringify(one)}\n`);
      return settled();
    },
    heard: () => parsed(written),
  };
  rig.front.start();
  return rig;
}
