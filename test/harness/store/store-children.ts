import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import type { ChildTask } from "./store-child.ts";

const SCRIPT = join(import.meta.dirname, "store-child.ts");

export class StoreChild {
  readonly process: ChildProcess;
  readonly acknowledged: string[] = [];
  readonly refused: string[] = [];
  readonly ended: Promise<void>;
  #waiting: { count: number; resolve: () => void }[] = [];

  constructor(task: ChildTask) {
    this.process = spawn(process.execPath, [SCRIPT, JSON.stringify(task)], { stdio: ["ignore", "pipe", "inherit"] });
    const { stdout } = this.process;
    if (!stdout) throw new Error("the child has no pipe");
    createInterface({ input: stdout }).on("line", (line) => this.#take(line));
    this.ended = once(this.process, "close").then(() => this.#waiting.forEach(({ resolve }) => resolve()));
    onTestFinished(() => void this.process.kill("SIGKILL"));
  }

  /** Settles when that many rows are acknowledged, or the child has ended. */
  async acknowledges(count: number): Promise<void> {
    if (this.acknowledged.length >= count || this.process.exitCode !== null) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** kill -9; settles when it is gone and all that it said was read. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  #take(line: string): void {
    if (line.startsWith("+")) this.acknowledged.push(line.slice(1));
    if (line.startsWith("!")) this.refused.push(line.slice(1));
    this.#waiting.filter(({ count }) => this.acknowledged.length >= count).forEach(({ resolve }) => resolve());
    this.#waiting = this.#waiting.filter(({ count }) => this.acknowledged.length < count);
  }
}
