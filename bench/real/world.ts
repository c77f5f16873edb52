import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import { textAt } from "../../src/shared/json-fields.ts";
import { git } from "../restore/restore-rig.ts";
import { filesInPatch, type EventOf, type SessionEvent } from "./session-events.ts";

const homePattern = /\/(?:Users|home)\/[^/"\\\s]+/;
const commitCommand = /\bgit\b[^\n|;&]*\bcommit\b/;

/**
 * The user's folders of a recorded session, in a temporary folder: a git repository whose files change when the chat
 * edits them. Contents are invented.
 */
export class World {
  readonly root: string;
  readonly project: string;
  readonly #paths: readonly (readonly [recorded: string, here: string])[];
  readonly #calls = new Map<string, EventOf<"call">>();
  #versions = 0;

  /** @param cwd the session's, on its own machine */
  constructor(cwd: string) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), "shim-cut-")));
    this.project = join(this.root, "project");
    mkdirSync(join(this.root, "home"));
    mkdirSync(this.project);
    const home = homePattern.exec(cwd)?.[0];
    this.#paths = [
      ...(cwd.length > 1 ? [[cwd, this.project] as const] : []),
      ...(home === undefined ? [] : [[home, join(this.root, "home")] as const]),
    ];
    git(this.project, "init", "-q", "-b", "main");
    git(this.project, "config", "user.name", "Bench");
    git(this.project, "config", "user.email", "bench@localhost");
    this.#commit();
  }

  /** The transcript, as a client on this machine would have written it. */
  here(transcript: string): string {
    return this.#paths.reduce((text, [recorded, here]) => text.replaceAll(recorded, here), transcript);
  }

  apply(event: SessionEvent): void {
    if (event.kind === "call") this.#calls.set(event.id, event);
    if (event.kind === "branch") this.switchTo(event.name);
    if (event.kind === "end" && event.error === null) this.#succeed(this.#calls.get(event.id), event.at);
  }

  #succeed(call: EventOf<"call"> | undefined, at: number | null): void {
    for (const path of call?.edits ?? []) this.#edit(path, at);
    const patch = call?.name === "apply_patch" ? (textAt(call.input, "input") ?? "") : "";
    for (const path of filesInPatch(patch, "Delete File")) this.#delete(resolve(this.project, path));
    if (commitCommand.test(textAt(call?.input ?? null, "command") ?? "")) this.#commit();
  }

  has(path: string): boolean {
    return path.startsWith(this.root + sep) && existsSync(path);
  }

  changeByHand(path: string): void {
    appendFileSync(path, "changed by hand\n");
  }

  #edit(path: string, at: number | null): void {
    if (!path.startsWith(this.root + sep) || path.includes(`${sep}..${sep}`)) return;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `version ${(this.#versions += 1)}\n`);
      if (at !== null) utimesSync(path, at / 1_000, at / 1_000);
    } catch {
      // A session may edit a path that is another's folder in the end.
    }
  }

  #delete(path: string): void {
    if (this.has(path)) rmSync(path, { recursive: true });
  }

  switchTo(branch: string): void {
    try {
      git(this.project, "check-ref-format", "--branch", branch);
      git(this.project, "symbolic-ref", "HEAD", `refs/heads/${branch}`);
      git(this.project, "update-ref", "HEAD", this.#head);
    } catch {
      // A name that git refuses here stays unused.
    }
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #head = "";

  #commit(): void {
    git(this.project, "add", "-A");
    git(this.project, "commit", "-q", "--allow-empty", "-m", "work");
    this.#head = git(this.project, "rev-parse", "HEAD").trim();
  }
}
