import { spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished, type TestContext } from "vitest";
import { temporaryFolder } from "./git-project.ts";
import { untilFound } from "#harness/claude/claude-code.ts";

export interface Output {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * What a process prints until its end.
 *
 * @param input null: its stdin stays open
 */
export async function outputOf(child: ChildProcess, input: string | Uint8Array | null = ""): Promise<Output> {
  const printed = { out: "", err: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (printed.out += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (printed.err += text));
  // A process that does not read its input may have closed it.
  if (input !== null) child.stdin?.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...printed };
}

interface Event {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A process that prints its events as lines of JSON; it is killed with the test. */
export class EventProcess {
  readonly events: Event[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #errors = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error("the process has no pipe");
    createInterface({ input: child.stdout }).on("line", (line) => this.events.push(JSON.parse(line) as Event));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
    this.ended = new Promise((resolve) => void child.once("close", resolve));
    onTestFinished(async () => {
      this.kill("SIGKILL");
      await this.ended;
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The events of this name. */
  named(name: string): Event[] {
    return this.events.filter(({ event }) => event === name);
  }

  /** The first event of this name, or the one of this number, once it is printed. */
  until(name: string, number = 1): Promise<Event> {
    return untilFound(() => this.named(name)[number - 1], `event ${number} "${name}"`).catch((error: unknown) => {
      throw new Error(`${String(error)} Instead: ${JSON.stringify(this.events)} ${this.#errors}`);
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** A shared library made of a C file; without a compiler the test is skipped with the reason. @returns its path */
export function compiled(test: TestContext, source: string, ...libraries: readonly string[]): string {
  const library = join(temporaryFolder(), "library.so");
  const flags = ["-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library];
  const { error, status, stderr } = spawnSync("cc", [...flags, source, ...libraries], { encoding: "utf8" });
  if (error) test.skip(`no C compiler here: ${error.message}`);
  if (status !== 0) throw new Error(`${source}: ${stderr}`);
  return library;
}
