import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import type { Branch } from "./branches.ts";
import { rowState, type LineOrigin, type TranscriptDraft } from "./transcript-draft.ts";

/** Branches of clients whose rows name the one before them by `parentUuid`. */

const linksOf = rowState(() => ({
  /** Branch of each row, by its id. */
  branches: new Map<string, Branch | null>(),
  /** Newest prompt after a row, by the row's id; null: after none. */
  promptAfter: new Map<string | null, { readonly branch: Branch; readonly isParentBefore: boolean }>(),
}));

/**
 * The branch of a row that names the one before it by `parentUuid`: its parent's; of a row that is
 * not linked, that of the row before it.
 */
export function followBranch(draft: TranscriptDraft, line: JsonObject): void {
  const id = textAt(line, "uuid", 100);
  const parent = textAt(line, "parentUuid", 100) ?? textAt(line, "logicalParentUuid", 100);
  const { branches } = linksOf(draft);
  const parentsBranch = parent === null ? undefined : branches.get(parent);
  if (parentsBranch !== undefined) draft.branch = parentsBranch;
  if (id === null) return;
  branches.set(id, draft.branch);
  if (draft.branch === null) draft.isPlaced = false;
}

/**
 * Two windows of a session write one file: a row is of the window that has sent its prompt. What
 * another window adds takes nothing back, and is no second branch.
 */
export function isForeignRow(draft: TranscriptDraft, line: JsonObject, { at }: LineOrigin): boolean {
  const [id, prompt] = [textAt(line, "uuid", 100), textAt(line, "promptId", 100)];
  if (id === null) return false;
  if (prompt === null) return draft.branch?.isForeign === true;
  if (!draft.isForeign(prompt, at ?? 0)) return false;
  draft.branch = { parent: draft.branch, isWithdrawn: false, isForeign: true };
  linksOf(draft).branches.set(id, draft.branch);
  return true;
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
