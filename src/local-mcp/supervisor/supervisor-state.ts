import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { digest } from "../sessions/entries.ts";
import { createPrivateFolder, writeAtomically } from "../store/store-files.ts";
import { begun, Restarts } from "./auto-restarter.ts";
import { supervisorFolder } from "./only-supervisor.ts";
import type { WatchedProgram } from "./settings.ts";

/** Stored. Add fields as optional. */
const Kept = z.object({
  /** A hash of the settings that this is of: what was changed is begun anew. */
  settings: z.string(),
  restarts: Restarts,
  chat: z.object({
    /** In which Claude Code works; null: in none yet. */
    session: z.string().nullable(),
    /** The one that it goes on with, in case it never begins. */
    before: z.string().nullable(),
    /** Claude Code does not take it up again: a new one gets its brief. */
    isUnresumable: z.boolean(),
  }),
});
export type Kept = z.infer<typeof Kept>;

export type KeptChat = Kept["chat"];

const State = z.object({ programs: z.record(z.string(), Kept) });

export const noChat: KeptChat = { session: null, before: null, isUnresumable: false };

/** What supervisors of one home know of their programs, over their own ends. A file: the store may be what fails. */
export class SupervisorState {
  readonly #folder: string;
  readonly #programs: Record<string, Kept>;

  private constructor(folder: string, programs: Record<string, Kept>) {
    this.#folder = folder;
    this.#programs = programs;
  }

  /**
   * @param home SHIM's folder
   * @returns or why not: nothing may begin anew only because nobody knows that it has ended
   */
  static open(home: string): Result<SupervisorState, string> {
    const folder = supervisorFolder(home);
    const programs = read(fileIn(folder));
    return programs ? ok(new SupervisorState(folder, programs)) : err(`${fileIn(folder)} is damaged`);
  }

  get(name: string): Kept | null {
    return this.#programs[name] ?? null;
  }

  /** What is known of a program as it is set now. */
  of(name: string, watched: WatchedProgram, now: number): Kept {
    const settings = digest(JSON.stringify(watched));
    const known = this.get(name);
    if (known?.settings === settings) return known;
    return { settings, restarts: begun(now), chat: noChat };
  }

  /** On the disk when it returns: a program is started only after that. */
  keep(name: string, kept: Kept): void {
    this.#programs[name] = kept;
    createPrivateFolder(this.#folder);
    writeAtomically(fileIn(this.#folder), `${JSON.stringify({ programs: this.#programs }, null, 2)}\n`);
  }

  /** Another process asks for a program to be started again. */
  askAgain(name: string): void {
    mkdirSync(join(this.#folder, "again"), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, "again", name), "", { mode: 0o600 });
  }

  /** @returns whether somebody has asked; once for each time */
  isAskedAgain(name: string): boolean {
    const path = join(this.#folder, "again", name);
    if (!existsSync(path)) return false;
    rmSync(path, { force: true });
    return true;
  }
}

function fileIn(folder: string): string {
  return join(folder, "state.json");
}

/** Null: it is damaged. */
function read(path: string): Record<string, Kept> | null {
  try {
    return State.safeParse(JSON.parse(readFileSync(path, "utf8"))).data?.programs ?? null;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return {};
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
