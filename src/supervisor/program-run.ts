import type { ProgramExit } from "../worker-runner/run-program.ts";
import type { ProgramEnding } from "./program-end.ts";
import type { ProgramState, ProgramChat } from "./supervisor-state.ts";

/** What is started, without a shell. */
export interface ProgramStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Written to its stdin. */
  readonly input: string;
  /** See `Program`. */
  readonly maxLineChars?: number;
}

/** One run of a program, from its start to its end. */
export interface ProgramRun {
  readonly start: ProgramStart;
  /** How it begins, for people. */
  readonly how: string;
  readonly chat: ProgramChat;
  /** What of this line of stdout is for people; null: nothing. */
  readonly onLine: (line: string) => string | null;
  /** Does what is to be done after its end, and tells what that means. */
  readonly onEnd: (exit: ProgramExit, wasAskedToEnd: boolean) => Promise<RunEnd>;
}

export interface RunEnd {
  readonly ending: ProgramEnding;
  readonly chat: ProgramChat;
}

/** A way to run a program again and again. */
export interface Supervised {
  /** The next run, or why there is none: it is finished, or somebody else is at it. */
  next(state: ProgramState): ProgramRun | NotRun;
}

export type NotRun = { readonly kind: "finished" | "held"; readonly reason: string };

export function isProgramRun(nextRun: ProgramRun | NotRun): nextRun is ProgramRun {
  return "start" in nextRun;
}
