import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";

export interface LineOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A client that is driven without a screen: JSON in lines over its standard input and output. */
export class LineProcess {
  readonly exit: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  #stderr = "";

  constructor({ command: [program = "", ...args], cwd, env }: LineOptions, onLine: (line: string) => void) {
    this.#child = spawn(program, args, { cwd, env });
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    createInterface({ input: this.#child.stdout }).on("line", onLine);
    this.exit = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  write(message: object): void {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  async finish(): Promise<void> {
    this.#child.stdin.end();
    await this.exit;
  }
}
