import { lstatSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { codeOf, messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";

/** Refusal to edit a client's settings. `message` is for people and says what to do. */
export interface ClientRefusal {
  readonly code: "config_unreadable" | "config_unsound" | "name_taken" | "config_changed" | "write_failed";
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
