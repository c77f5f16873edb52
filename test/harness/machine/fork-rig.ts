import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Trigger } from "#src/contract/checkpoint.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { capture } from "#src/machine/checkpoints/capture.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { takeAwaited, takePending } from "#src/snapshots/stored-snapshots.ts";
import { addSession, aCliHome, ids, type CliHome } from "./cli-home.ts";
import { commitAll, git, write } from "./git-project.ts";

/** A chat in a repository, as hooks leave it in the store. */
export class ForkRig {
  readonly home: CliHome;
  readonly id = ids.dead;
  #rows = 0;

  /** @param isGit false: the project is a plain folder */
  constructor(isGit = true) {
    this.home = aCliHome();
    Object.assign(this.home.runtime.env, { PATH: `${join(this.home.folder, "path")}:${process.env["PATH"]}` });
    this.home.alive.add(process.pid);
    if (isGit) {
      git(this.home.project, "init", "-q", "-b", "main");
      write(this.home.project, { "a.txt": "0\n", ".gitignore": "*.log\n" });
      commitAll(this.home.project, "first");
    }
    addSession(this.home, { id: this.id, pid: 200, entries: [] });
  }

  path(name: string): string {
    return join(this.home.project, name);
  }

  entry(entry: JournalEntry): void {
    const { store } = this.home.runtime;
    this.home.now += 1_000;
    store.write((sql) => journal.append(sql, this.id, this.home.now, `row${(this.#rows += 1)}`, entry));
  }

  prompt(text: string): void {
    this.entry({ kind: "prompt", text });
  }

  say(text: string): void {
    this.entry({ kind: "assistant", text });
  }

  /** A checkpoint; its files are read at once, or later by `saveFiles`. */
  async checkpoint(trigger: Trigger): Promise<void> {
    capture(this.home.runtime, { sessionId: this.id, trigger });
    if (trigger === "before_tool" || trigger === "turn") await takeAwaited(this.home.runtime);
  }

  async saveFiles(): Promise<void> {
    await takePending(this.home.runtime, [this.id], new AbortController().signal);
  }

  /** A call that writes a file. @param trigger of the checkpoint before it */
  async edit(name: string, content: string, trigger?: Trigger): Promise<void> {
    const call = { id: `t${this.#rows}`, name: "Write", input: this.path(name) };
    this.entry({ kind: "tool_start", ...call });
    if (trigger) await this.checkpoint(trigger);
    write(this.home.project, { [name]: content });
    this.entry({ kind: "tool_end", ...call, path: this.path(name), action: "edited" });
  }

  async shell(command: string, act: () => void): Promise<void> {
    const call = { id: `t${this.#rows}`, name: "Bash", input: command };
    this.entry({ kind: "tool_start", ...call });
    act();
    this.entry({ kind: "tool_end", ...call });
  }

  /** The end of a turn, with its checkpoint and its files. */
  async turnEnd(saves = true): Promise<void> {
    this.entry({ kind: "turn_end" });
    if (!saves) return;
    await this.checkpoint("turn_end");
    await this.saveFiles();
  }

  /** Forgets the events before a prompt, as retention does. */
  prune(beforePrompt: number): void {
    this.home.runtime.store.write((sql) => {
      const [row] = sql.all<{ seq: number }>(
        "SELECT seq FROM journal WHERE session = ? AND kind = 'prompt' ORDER BY seq LIMIT 1 OFFSET ?",
        this.id,
        beforePrompt - 1,
      );
      sql.run("DELETE FROM journal WHERE session = ? AND seq < ?", this.id, row?.seq ?? 0);
    });
  }

  remove(name: string): void {
    rmSync(this.path(name));
  }
}
