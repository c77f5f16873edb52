/**
 * What a session planted. Each `words` is a list of invented words (and numbers) that all have to stand in one line for the
 * fact to count as found.
 */
export type Fact =
  | { readonly kind: "goal"; readonly words: readonly string[] }
  | { readonly kind: "finished-goal"; readonly words: readonly string[] }
  | { readonly kind: "order"; readonly words: readonly string[]; readonly isBan: boolean; readonly isEnglish: boolean }
  | { readonly kind: "decision"; readonly words: readonly string[] }
  /** `newValue` is in force and also planted as a decision. */
  | { readonly kind: "reversed"; readonly subject: string; readonly oldValue: string; readonly newValue: string }
  /** An option of a dialog that the user did not choose. */
  | { readonly kind: "rejected"; readonly value: string; readonly chosen: string }
  | { readonly kind: "next"; readonly words: readonly string[] }
  | { readonly kind: "done-step"; readonly words: readonly string[] }
  | { readonly kind: "changed-file"; readonly path: string; readonly by: string }
  | { readonly kind: "unchanged-file"; readonly path: string }
  /** Edited by hand, or deleted, after the death of the session. */
  | { readonly kind: "hand-edited"; readonly path: string; readonly wasChangedBefore: boolean }
  | { readonly kind: "error"; readonly words: readonly string[] }
  | { readonly kind: "solved-error"; readonly words: readonly string[] }
  | { readonly kind: "name"; readonly words: readonly string[] }
  /** The branch of the session, where another one was checked out after its death. */
  | { readonly kind: "left-branch"; readonly words: readonly string[] }
  /** A word of another chat, of a subagent's task, or of what `/clear` has put away. */
  | { readonly kind: "foreign"; readonly words: readonly string[]; readonly of: "other chat" | "cleared" }
  | { readonly kind: "not-the-goal"; readonly words: readonly string[] };

export type FactKind = Fact["kind"];
export type FactOf<Kind extends FactKind> = Extract<Fact, { readonly kind: Kind }>;

/** How much a fact weighs in the recall. What is not named here must only not be stated falsely. */
export const weights: Partial<Record<FactKind, number>> = {
  goal: 3,
  order: 3,
  decision: 2,
  next: 2,
  "changed-file": 2,
  "hand-edited": 2,
  error: 1,
  name: 1,
  "left-branch": 1,
};

/** The fact in a few words, for the list of what was missed. */
export function describe(fact: Fact): string {
  if (fact.kind === "reversed") return `reversed: ${fact.subject} ${fact.oldValue} -> ${fact.newValue}`;
  if (fact.kind === "rejected") return `rejected: ${fact.value} (chosen: ${fact.chosen})`;
  if (fact.kind === "changed-file") return `changed-file: ${fact.path} (${fact.by})`;
  if ("path" in fact) return `${fact.kind}: ${fact.path}`;
  return `${fact.kind}: ${fact.words.join(" ")}`;
}
