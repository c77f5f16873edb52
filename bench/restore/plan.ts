import type { Step } from "../../test/harness/claude/scripted-model.ts";
import type { Answers } from "./stream-chat.ts";

/** What a session planted. All of `words`, which are invented, have to stand in one line of the brief. */
export type Fact =
  | { readonly kind: "prompt"; readonly words: readonly string[] }
  /** What the chat said last. */
  | { readonly kind: "last words"; readonly words: readonly string[] }
  /** What the chat saved by SHIM's tool. */
  | { readonly kind: "note"; readonly words: readonly string[] }
  /** Subject and chosen option of a dialog. */
  | { readonly kind: "answer"; readonly words: readonly string[]; readonly rejected: string }
  | { readonly kind: "to-do"; readonly words: readonly string[]; readonly isDone: boolean }
  | { readonly kind: "standing"; readonly is: Standing }
  | { readonly kind: "running"; readonly words: readonly string[] }
  | { readonly kind: "changed file"; readonly path: string; readonly by: string; readonly isElsewhere: boolean }
  | { readonly kind: "unchanged file"; readonly path: string }
  /** Edited by hand, or deleted, after the death of the session. */
  | { readonly kind: "edited by hand"; readonly path: string; readonly wasChangedBefore: boolean }
  /** The branch of the session, where another one was checked out after its death. */
  | { readonly kind: "left branch"; readonly words: readonly string[] }
  /** A word of another chat, or of what `/clear` has put away. */
  | { readonly kind: "foreign"; readonly words: readonly string[]; readonly of: "other chat" | "cleared" };

export type Standing = "waiting" | "running" | "unanswered";
export type FactKind = Fact["kind"];

/** How much a fact weighs in the recall. What is not named here must only not be stated falsely. */
export const weights: Partial<Record<FactKind, number>> = {
  prompt: 2,
  "last words": 3,
  note: 2,
  answer: 2,
  "to-do": 1,
  standing: 2,
  running: 2,
  "changed file": 2,
  "edited by hand": 2,
  "left branch": 1,
};

/** The fact in a few words, for the list of what was missed. */
export function describe(fact: Fact): string {
  if (fact.kind === "standing") return `standing: ${fact.is}`;
  if (fact.kind === "changed file") return `changed file: ${fact.path} (${fact.by})`;
  return `${fact.kind}: ${"path" in fact ? fact.path : fact.words.join(" ")}`;
}

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
