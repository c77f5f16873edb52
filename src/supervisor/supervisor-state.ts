import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codeOf } from "../shared/error.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { digest } from "../local-mcp/sessions/entries.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { initial, Restarts } from "./auto-restarter.ts";
import { supervisorFolder } from "../platform/supervisor-mark.ts";
import type { WatchedProgram } from "./supervisor-settings.ts";

/** Stored. Add fields as optional. */
const ProgramState = z.object({
  /** Hash of its settings: changed settings start fresh. */
  settings: z.string(),
  restarts: Restarts,
  chat: z.object({
    /** Claude Code's current session; null: none yet. */
    session: z.string().nullable(),
    /** Session that it continues, in case it never begins. */
    before: z.string().nullable(),
    /** True: Claude Code cannot resume it; a new session gets its brief. */
    isUnresumable: z.boolean(),
    /** Client that runs next instead of Claude Code, which has reached a usage limit. */
    instead: z.string().nullish(),
    /** Epoch ms of the end of that limit, where it is known. */
    resetsAtMs: z.number().nullish(),
  }),
});
export type ProgramState = z.infer<typeof ProgramState>;

export type ProgramChat = ProgramState["chat"];

const State = z.object({ programs: z.record(z.string(), ProgramState) });

export const noChat: ProgramChat = { session: null, before: null, isUnresumable: false };

/** Program states across supervisors of one home. A file, since the store may be what fails. */
export class SupervisorState {
  readonly #folder: string;
  readonly #programs: Record<string, ProgramState>;

  private constructor(folder: string, programs: Record<string, ProgramState>) {
    this.#folder = folder;
    this.#programs = programs;
  }

  /** Refuses an unreadable file: programs must not start fresh because their state is unknown. */
  static open(home: string): Result<SupervisorState, Failure> {
    const folder = supervisorFolder(home);
    const file = join(folder, "state.json");
    const programs = readStateFile(file);
    if (programs) return ok(new SupervisorState(folder, programs));
    const advice = "remove it, and every program starts again, even those that had ended";
    return fail("state_damaged", `${file} is damaged: ${advice}.`);
  }

  stateFor(name: string, watched: WatchedProgram, now: number): ProgramState {
    const settings = digest(JSON.stringify(watched));
    const stored = this.#programs[name];
    return stored?.settings === settings ? stored : { settings, restarts: initial(now), chat: noChat };
  }

  /** Durable when it returns: a program starts only after that. */
  save(name: string, state: ProgramState): void {
    this.#programs[name] = state;
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, "state.json"), `${JSON.stringify({ programs: this.#programs }, null, 2)}\n`);
  }

  requestRestart(name: string): void {
    mkdirSync(join(this.#folder, "again"), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, "again", name), "", { mode: 0o600 });
  }

  /** @returns whether a restart was requested; true once per request */
  takeRestartRequest(name: string): boolean {
    const path = join(this.#folder, "again", name);
    if (!existsSync(path)) return false;
    rmSync(path, { force: true });
    return true;
  }
}

function readStateFile(path: string): Record<string, ProgramState> | null {
  try {
    return State.safeParse(JSON.parse(readFileSync(path, "utf8"))).data?.programs ?? null;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return {};
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
