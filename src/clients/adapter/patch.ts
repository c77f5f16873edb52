import { parseJson } from "../../shared/json-fields.ts";

/** Pure: patches of Codex' form, which other clients take as well. */

/** One file as a patch changes it. */
export interface PatchedFile {
  /** The patch's own words for it. */
  readonly path: string;
  readonly change: "create" | "delete" | "edit";
  /** Lines that the patch removes or keeps, and those that it adds or keeps. */
  readonly before: string;
  readonly after: string;
}

const header = /^\*\*\* (Add File|Update File|Delete File|Move to): (.+)$/;
const changes: Readonly<Record<string, PatchedFile["change"]>> = { "Add File": "create", "Delete File": "delete" };

/** A file that is moved is deleted under its old name. */
export function filesOfPatch(patch: string): PatchedFile[] {
  const files: { path: string; change: PatchedFile["change"]; before: string[]; after: string[] }[] = [];
  for (const line of patch.split("\n")) {
    const [, action = "", path] = header.exec(line.trimEnd()) ?? [];
    const file = files.at(-1);
    if (path !== undefined) {
      if (file && action === "Move to") file.change = "delete";
      files.push({ path: path.trim(), change: changes[action] ?? "edit", before: [], after: [] });
    } else if (file && !line.startsWith("***")) {
      const text = line.startsWith("@@") ? line.slice(2).trim() : line.slice(1);
      if (!line.startsWith("+")) file.before.push(text);
      if (!line.startsWith("-")) file.after.push(text);
    }
  }
  return files.map(({ path, change, before, after }) => {
    return { path, change, before: before.join("\n"), after: after.join("\n") };
  });
}

const begin = "*** Begin Patch";
const end = "*** End Patch";
const maxPatchChars = 200_000;

/** Files of the patches in a text; in a program they stand in a string, with escaped line ends. */
export function patchedFilesIn(text: string): PatchedFile[] {
  const found: PatchedFile[] = [];
  let at = text.indexOf(begin);
  while (at >= 0 && at < maxPatchChars) {
    const stop = text.indexOf(end, at);
    const raw = text.slice(at, stop < 0 ? undefined : stop);
    found.push(...filesOfPatch(raw.slice(0, 200).includes("\n") ? raw : unescaped(raw)));
    at = text.indexOf(begin, at + raw.length + 1);
  }
  return found;
}

function unescaped(text: string): string {
  const whole = parseJson(`"${text.replaceAll(/(?<!\\)"/g, '\\"')}"`);
  return typeof whole === "string" ? whole : text.replaceAll(String.raw`\n`, "\n");
}
