import { spawn, type ChildProcess } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { Socket } from "node:net";
import { basename } from "node:path";

/** Reads the numbers of the living runtimes, a line for each change; when the other end of its stdin is gone, it kills those of the last line. */
const script = `while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -9 $pids`;

/**
 * Kills the workerd processes of this process when this process is gone, however it ended: nothing else would after a kill -9. A shell in a
 * session of its own, so that neither Ctrl-C nor a kill of the group ends it. Not on Windows.
 */
export class RuntimeGuard {
  readonly #pids = new Set<number>();
  readonly #shell = process.platform === "win32" ? null : guardian();
  readonly #watch = (message: unknown): void => this.#follow((message as { process: ChildProcess }).process);

  /** From now on each workerd that this process starts is guarded. */
  constructor() {
    // Miniflare does not say which processes it starts, and starts another one after a crash.
    subscribe("child_process", this.#watch);
  }

  #follow(child: ChildProcess): void {
    child.once("spawn", () => {
      if (!basename(child.spawnfile).startsWith("workerd")) return;
      this.#change(() => this.#pids.add(child.pid ?? 0));
      child.once("exit", () => this.#change(() => this.#pids.delete(child.pid ?? 0)));
    });
  }

  #change(change: () => void): void {
    change();
    this.#shell?.stdin?.write(`${[...this.#pids].join(" ")}\n`);
  }

  /** After the runtime's end. */
  async release(): Promise<void> {
    unsubscribe("child_process", this.#watch);
    if (this.#shell?.pid === undefined || this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    this.#shell.ref();
    const ended = once(this.#shell, "exit");
    this.#shell.stdin?.end("\n");
    await ended;
  }
}

function guardian(): ChildProcess {
  const shell = spawn("/bin/sh", ["-c", script], { cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] });
  // Without a shell the runtime is ended by Miniflare alone, which a kill -9 prevents.
  for (const emitter of [shell, shell.stdin]) emitter.on("error", () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return shell;
}
