import type { Run } from "../contract/machine/runs.ts";
import type { Program, ProgramExit, runProgram } from "../platform/run-program.ts";
import { messageOf } from "../shared/error.ts";

/** A client that works without a terminal, for one prompt. */
export interface HostedRun extends Readonly<Omit<Run, "run" | "text" | "ageMs">> {
  readonly id: string;
  readonly startedAt: number;
  /** Process group; null: it has not begun. */
  readonly group: number | null;
  /** Last words that it printed; as they are. */
  readonly text: string;
}

export type RunCommand = Pick<Program, "command" | "args" | "cwd" | "env" | "input">;

interface Kept {
  readonly run: HostedRun;
  readonly stop: AbortController;
  readonly ended: Promise<unknown>;
}

/** Runs that have ended are known so long that their outcome can be read. */
const maxKept = 100;
/** More than is shown, so that a key of many lines that ends in what is shown is known as one. */
const maxTextChars = 20_000;
/** Times after the interrupt and after TERM, in ms: a client saves its transcript. */
const interruptMs = 5_000;
const graceMs = 5_000;

/** Clients that the host has started. They are children of the host, and end with it. */
export class HostedRuns {
  readonly #runProgram: typeof runProgram | null;
  readonly #runs = new Map<string, Kept>();

  /** @param run null: this process may start no program, as in Claude Desktop */
  constructor(run: typeof runProgram | null) {
    this.#runProgram = run;
  }

  get areAllowed(): boolean {
    return this.#runProgram !== null;
  }

  /** @param onEnd gets the run as it ended */
  start(run: Omit<HostedRun, "state" | "group" | "text">, command: RunCommand, onEnd: (run: HostedRun) => void): void {
    const stop = new AbortController();
    const change = (changed: Partial<HostedRun>): void => this.change(run.id, changed);
    const print = (text: string): void => change({ text: `${this.#textOf(run.id)}${text}`.slice(-maxTextChars) });
    const runIt = this.#runProgram;
    if (runIt === null) throw new TypeError("this process may start no program");
    const work = async (): Promise<void> => {
      const exit = await runIt({
        ...command,
        signal: stop.signal,
        graceMs,
        interruptMs,
        onLine: (line) => print(`${line}\n`),
        onStderr: print,
        onStart: (group) => change({ group }),
      }).catch((error: unknown): ProgramExit => ({ kind: "not_started", message: messageOf(error) }));
      if (exit.kind === "not_started") print(exit.message);
      change({ state: stop.signal.aborted ? "stopped" : stateOf(exit) });
      const over = this.#runs.get(run.id);
      if (over) onEnd(over.run);
    };
    const kept: HostedRun = { ...run, state: "runs", group: null, text: "" };
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#runs.set(run.id, { run: kept, stop, ended });
    for (const [id, { run: old }] of this.#runs)
      if (this.#runs.size > maxKept && old.state !== "runs") this.#runs.delete(id);
    void work().finally(resolve);
  }

  /** Oldest first. */
  list(): HostedRun[] {
    return [...this.#runs.values()].map(({ run }) => run);
  }

  /** Number of those that have not ended. */
  get working(): number {
    return this.list().filter(({ state }) => state === "runs").length;
  }

  change(id: string, changed: Partial<HostedRun>): void {
    const kept = this.#runs.get(id);
    if (kept) this.#runs.set(id, { ...kept, run: { ...kept.run, ...changed } });
  }

  /** Resolves when its processes are gone. */
  async stop(id: string): Promise<void> {
    const kept = this.#runs.get(id);
    kept?.stop.abort();
    await kept?.ended;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#runs.keys()].map((id) => this.stop(id)));
  }

  #textOf(id: string): string {
    return this.#runs.get(id)?.run.text ?? "";
  }
}

function stateOf(exit: ProgramExit): "done" | "failed" {
  return exit.kind === "exited" && exit.code === 0 ? "done" : "failed";
}
