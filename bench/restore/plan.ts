import type { Step } from "../../test/harness/claude/scripted-model.ts";
import type { Fact } from "./facts.ts";
import type { Answers } from "./stream-chat.ts";

export interface Turn {
  readonly prompt: string;
  readonly steps: readonly Step[];
  /** The chat's last words in it. */
  readonly reply: string;
  readonly answers?: Answers;
}

export type Part =
  | { readonly do: "turn"; readonly turn: Turn }
  /** `/clear` of the user; needs the terminal. */
  | { readonly do: "clear" }
  /** The process dies or is closed, and the user opens the session again. */
  | { readonly do: "restart"; readonly isKilled: boolean; readonly flag: "--resume" | "--continue" };

/** Claude Code without a screen and with one. */
export type Driver = "stream" | "terminal";

export type EndsBy = "kill client" | "kill client and MCP process" | "power lost" | "SIGTERM" | "closed terminal";
/** Between two turns, in a tool that runs, or while the model answers. */
export type EndsIn = "idle" | "tool" | "answer";

export type AfterDeath =
  | { readonly do: "lose-transcript" }
  | { readonly do: "write"; readonly path: string; readonly content: string }
  | { readonly do: "delete"; readonly path: string }
  | { readonly do: "checkout"; readonly branch: string };

export interface Chat {
  readonly parts: readonly Part[];
}

export interface SessionPlan {
  readonly name: string;
  readonly kind: string;
  readonly files: Readonly<Record<string, string>>;
  readonly branch: string;
  readonly main: Chat;
  /** Runs in the same project, in turn with the main chat. */
  readonly other: { readonly chat: Chat; readonly fate: "lives on" | "finished" } | null;
  readonly driver: Driver;
  readonly env: Readonly<Record<string, string>>;
  readonly endsBy: EndsBy;
  readonly endsIn: EndsIn;
  readonly after: readonly AfterDeath[];
  readonly isOnOtherMachine: boolean;
  readonly facts: readonly Fact[];
}

/** Stands for the project's folder in the steps of a plan. */
export const projectSlot = "@project@";
