import type { FileNote } from "../../contract/work-state.ts";
import { absentReason } from "../../snapshots/file-state.ts";

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
      : {
          path,
          hash: null,
          action,
          ...(isWeaker
            ? {}
            : { skipped: action === "deleted" ? absentReason : editedSinceText, ...(stamp ? { stamp } : {}) }),
        };
  return [...files.filter((file) => file !== existing), note].slice(-maxFiles);
}

export function isEdited({ action }: Partial<Pick<FileNote, "action">>): boolean {
  return action === "edited" || action === "created" || action === "deleted";
}
