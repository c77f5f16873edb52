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
