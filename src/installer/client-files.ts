import { readFileSync } from "node:fs";
import { codeOf, messageOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";

/** Why a client's settings were left alone. `message` is for people and says what to do. */
export interface ClientRefusal {
  readonly code: "config_unreadable" | "config_unsound" | "name_taken" | "config_changed" | "write_failed";
  readonly path: string;
  readonly message: string;
}

export type ReadText = (path: string) => Result<string | null, ClientRefusal>;

/** The file's text, byte order mark included, so that encoding it again gives the same bytes; null when it is not there. */
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

/** ENOENT; ENOTDIR: a file stands where a folder of the path should be, so there is no such file either. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
