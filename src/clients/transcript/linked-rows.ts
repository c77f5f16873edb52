import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { Branch } from "./branches.ts";
import { rowState, type LineOrigin, type TranscriptDraft, type WindowMark } from "./transcript-draft.ts";

/** Branches of clients whose rows name the one before them. */

/** Ids of a row and of the one before it. */
export interface RowLink {
  readonly id: string | null;
  readonly parent: string | null;
}

/** The link in a row of Claude Code or Qwen Code. */
export function linkOf(line: JsonObject): RowLink {
  const [id, parent, logical] = ["uuid", "parentUuid", "logicalParentUuid"].map((name) => textAt(line, name, 100));
  return { id: id ?? null, parent: parent ?? logical ?? null };
}

const linksOf = rowState(() => ({
  /** Branch of each row, by its id. */
  branches: new Map<string, Branch | null>(),
  /** Newest prompt after a row, by the row's id; null: after none. */
  promptAfter: new Map<string | null, { readonly branch: Branch; readonly isParentBefore: boolean }>(),
}));

/**
 * The branch of a row is its parent's; of a row that is not linked, that of the row before it. Two
 * windows of a session write one file: a row is of the window that has sent its prompt. What
 * another window adds takes nothing back, and is no second branch.
 *
 * @param prompt null: the row names none
 * @returns whether the row is of another window
 */
export function isForeignRow(
  draft: TranscriptDraft,
  link: RowLink,
  at: number | null,
  prompt: Pick<WindowMark, "id" | "text"> | null,
): boolean {
  followBranch(draft, link);
  if (link.id === null) return false;
  if (prompt === null) return draft.branch?.isForeign === true;
  if (!draft.isForeign({ at, ...prompt })) return false;
  draft.branch = { parent: draft.branch, isWithdrawn: false, isForeign: true };
  linksOf(draft).branches.set(link.id, draft.branch);
  return true;
}

function followBranch(draft: TranscriptDraft, { id, parent }: RowLink): void {
  const { branches } = linksOf(draft);
  const parentsBranch = parent === null ? undefined : branches.get(parent);
  if (parentsBranch !== undefined) draft.branch = parentsBranch;
  if (id === null) return;
  branches.set(id, draft.branch);
  if (draft.branch === null) draft.isPlaced = false;
}

/** A new answer or prompt in a branch that seemed withdrawn: two chats write the file. */
export function goOn(draft: TranscriptDraft): void {
  for (let branch = draft.branch; branch !== null; branch = branch.parent) {
    if (!branch.isWithdrawn) continue;
    branch.isWithdrawn = false;
    draft.isBranched = true;
  }
}

/**
 * A prompt begins a branch. A second one after one row: the user edited the first, or went back to
 * before it. Where the row came after that first prompt the file's links are damaged, and prove
 * nothing.
 *
 * @param parent id of the row that the prompt names; null: none
 */
export function startBranch(draft: TranscriptDraft, parent: string | null, { uuid }: LineOrigin): void {
  goOn(draft);
  const { branches, promptAfter } = linksOf(draft);
  const isParentBefore = parent !== null && branches.has(parent);
  const branch: Branch = { parent: isParentBefore ? draft.branch : null, isWithdrawn: false };
  branches.set(uuid, branch);
  draft.branch = branch;
  const other = promptAfter.get(parent);
  promptAfter.set(parent, { branch, isParentBefore });
  if (parent === null) return;
  if (other?.isParentBefore === isParentBefore) other.branch.isWithdrawn = true;
  if (!isParentBefore) draft.unplaced.push(uuid);
}

/** The client writes that its user went back to a row: the prompt after it is taken back. */
export function goBackTo(draft: TranscriptDraft, row: string | null, { uuid }: LineOrigin): void {
  const prompt = linksOf(draft).promptAfter.get(row);
  if (!prompt) return void draft.unplaced.push(uuid);
  prompt.branch.isWithdrawn = true;
  draft.branch = prompt.branch.parent;
}
