import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { digest } from "../local-mcp/sessions/entries.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { initial, Restarts } from "./auto-restarter.ts";
import { supervisorFolder } from "./supervisor-lock.ts";
import type { WatchedProgram } from "./supervisor-settings.ts";

/** Stored. Add fields as optional. */
const ProgramState = z.object({
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
export type ProgramState = z.infer<typeof ProgramState>;

export type ProgramChat = ProgramState["chat"];

const State = z.object({ programs: z.record(z.string(), ProgramState) });

export const noChat: ProgramChat = { session: null, before: null, isUnresumable: false };

/** What supervisors of one home know of their programs, over their own ends. A file: the store may be what fails. */
export class SupervisorState {
  readonly #folder: string;
  readonly #programs: Record<string, ProgramState>;

  private constructor(folder: string, programs: Record<string, ProgramState>) {
    this.#folder = folder;
    this.#programs = programs;
  }

  /**
   * @param home SHIM's folder
   * @returns or why not: nothing may begin anew only because nobody knows that it has ended
   */
  static open(home: string): Result<SupervisorState, string> {
    const folder = supervisorFolder(home);
    const programs = readStateFile(stateFile(folder));
    return programs ? ok(new SupervisorState(folder, programs)) : err(`${stateFile(folder)} is damaged`);
  }

  get(name: string): ProgramState | null {
    return this.#programs[name] ?? null;
  }

  /** What is known of a program as it is set now. */
  stateFor(name: string, watched: WatchedProgram, now: number): ProgramState {
    const settings = digest(JSON.stringify(watched));
    const stored = this.get(name);
    if (stored?.settings === settings) return stored;
    return { settings, restarts: initial(now), chat: noChat };
  }

  /** On the disk when it returns: a program is started only after that. */
  save(name: string, state: ProgramState): void {
    this.#programs[name] = state;
    createPrivateFolder(this.#folder);
    writeAtomically(stateFile(this.#folder), `${JSON.stringify({ programs: this.#programs }, null, 2)}\n`);
  }

  /** Another process asks for a program to be started again. */
  requestRestart(name: string): void {
    mkdirSync(join(this.#folder, "again"), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, "again", name), "", { mode: 0o600 });
  }

  /** @returns whether somebody has asked; once for each time */
  takeRestartRequest(name: string): boolean {
    const path = join(this.#folder, "again", name);
    if (!existsSync(path)) return false;
    rmSync(path, { force: true });
    return true;
  }
}

function stateFile(folder: string): string {
  return join(folder, "state.json");
}

/** Null: it is damaged. */
function readStateFile(path: string): Record<string, ProgramState> | null {
  try {
    return State.safeParse(JSON.parse(readFileSync(path, "utf8"))).data?.programs ?? null;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return {};
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
