import type { Ended } from "../automation/run-program.ts";
import type { Ending } from "./program-end.ts";
import type { Kept, KeptChat } from "./supervisor-state.ts";

/** What is started, without a shell. */
export interface Start {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Written to its stdin. */
  readonly input: string;
  /** See `Program`. */
  readonly mostLineChars?: number;
}

/** One run of a program, from its start to its end. */
export interface Attempt {
  readonly start: Start;
  /** How it begins, for people. */
  readonly how: string;
  readonly chat: KeptChat;
  /** What of this line of stdout is for people; null: nothing. */
  readonly hear: (line: string) => string | null;
  /** Does what is to be done after its end, and tells what that means. */
  readonly over: (ended: Ended, isAsked: boolean) => Promise<Over>;
}

export interface Over {
  readonly ending: Ending;
  readonly chat: KeptChat;
}

/** A way to run a program again and again. */
export interface Supervised {
  /** The next run, or why there is none: it is finished, or somebody else is at it. */
  next(kept: Kept): Attempt | Unstarted;
}

export type Unstarted = { readonly kind: "finished" | "held"; readonly reason: string };

export function isAttempt(next: Attempt | Unstarted): next is Attempt {
  return "start" in next;
}
