import { lstatSync, readFileSync, readlinkSync, rmdirSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { codeOf, messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";

/** Refusal to edit a client's settings. `message` is for people and says what to do. */
export interface ClientRefusal {
  readonly code:
    | "config_unreadable"
    | "config_unsound"
    | "config_ignored"
    | "name_taken"
    | "config_changed"
    | "write_failed";
  readonly path: string;
  readonly message: string;
}

export type ReadText = (path: string) => Result<string | null, ClientRefusal>;

/** Keeps the byte order mark, so that encoding the text again gives the same bytes. */
export function readText(path: string): Result<string | null, ClientRefusal> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return ok(null);
    return err(
      refusal("config_unreadable", path, `cannot be read: ${messageOf(error)}. Allow reading it and try again.`),
    );
  }
  try {
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return err(refusal("config_unreadable", path, "is not UTF-8 text. Save it as UTF-8 and try again."));
  }
}

export function refusal(code: ClientRefusal["code"], path: string, message: string): ClientRefusal {
  return { code, path, message: `${path} ${message}` };
}

/** ENOTDIR: a file has the name of one of the path's folders, so the path does not exist. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

export function statLink(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

export function linkTarget(path: string): string | null {
  return statLink(path)?.isSymbolicLink() === true ? readlinkSync(path) : null;
}

/** Outermost first. */
export function missingFolders(folder: string): string[] {
  if (statLink(folder) !== null) return [];
  return [...missingFolders(dirname(folder)), folder];
}

/** @param folders outermost first; those that hold something else stay */
export function removeEmptied(folders: readonly string[]): void {
  for (const folder of folders.toReversed()) {
    try {
      rmdirSync(folder);
    } catch {
      // Something else has been put there since.
    }
  }
}
