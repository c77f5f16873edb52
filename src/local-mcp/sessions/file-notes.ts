import type { FileNote } from "../../contract/work-state.ts";

const maxFiles = 200;

const editedSinceText = "no checkpoint since its last edit";

/** [CP10] Adds a file, newest last. An edited file stays edited when it is read again. */
export function withFile(
  files: readonly FileNote[],
  path: string,
  action: FileNote["action"],
  stamp?: FileNote["stamp"],
): readonly FileNote[] {
  const existing = files.find((file) => file.path === path);
  const isWeaker = action === "read" || action === "noted";
  const note: FileNote =
    existing && isWeaker
      ? existing
      : { path, hash: null, action, ...(isWeaker ? {} : { skipped: editedSinceText, ...(stamp ? { stamp } : {}) }) };
  return [...files.filter((file) => file !== existing), note].slice(-maxFiles);
}

export function isEdited({ action }: FileNote): boolean {
  return action === "edited" || action === "created";
}
