import { redact } from "../redaction/redact.ts";
import type { ProgramExit, Program } from "../worker-runner/run-program.ts";
import { classifyEnd, type ProgramEnding } from "./program-end.ts";
import type { ProgramState, ProgramChat } from "./supervisor-state.ts";

export type ProgramStart = Pick<Program, "command" | "args" | "cwd" | "env" | "input" | "maxLineChars">;

export interface ProgramRun {
  readonly start: ProgramStart;
  /** Done before the start; absent: nothing. Gives what is done after the end. */
  readonly prepare?: () => Promise<() => Promise<void>>;
  readonly how: string;
  readonly chat: ProgramChat;
  readonly onLine: (line: string) => string | null;
  readonly onEnd: (exit: ProgramExit, wasAskedToEnd: boolean) => Promise<RunEnd>;
}

export interface RunEnd {
  readonly ending: ProgramEnding;
  readonly chat: ProgramChat;
}

export interface Supervised {
  next(state: ProgramState): ProgramRun | NotRun;
}

export type NotRun = { readonly kind: "finished" | "held"; readonly reason: string };

export function isProgramRun(nextRun: ProgramRun | NotRun): nextRun is ProgramRun {
  return "start" in nextRun;
}

export function supervisedCommand(start: Omit<ProgramStart, "input">): Supervised {
  return {
    next: ({ chat }) => ({
      start: { ...start, input: "" },
      how: redact([start.command, ...start.args].join(" ")).text,
      chat,
      onLine: (line) => redact(line).text,
      onEnd: async (exit, wasAskedToEnd) => ({
        ending: classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null }),
        chat,
      }),
    }),
  };
}
