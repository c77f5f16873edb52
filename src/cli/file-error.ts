import { sep } from "node:path";

const adviceByCode: Record<string, string> = {
  EACCES: "your user has no right to do this here; give it, or name another place",
  EPERM: "your user has no right to do this here; give it, or name another place",
  EROFS: "this place is read-only; name another one",
  ENOENT: "it, or the folder that it should be in, is not there; make the folder, or name another place",
  ENOTDIR: "a file stands where a folder should be; name another place",
  EEXIST: "a file stands where a folder should be; name another place",
  EISDIR: "this is a folder; name a file",
  ENOTEMPTY: "the folder is not empty; name another place",
  ENOSPC: "the disk is full; free some space, then repeat",
  EDQUOT: "your share of the disk is full; free some space, then repeat",
};
const defaultAdvice = "the system does not allow it; look at the place, then repeat";

/**
 * [CL5] Explains a file error of the system, which is no bug.
 *
 * @param home SHIM's folder; a user who cannot write there may move it
 * @returns path, advice and the system's words; null: no file error
 */
export function fileErrorText(error: unknown, home: string): string | null {
  if (!isFileError(error)) return null;
  const { code, path, message } = error;
  const location = path === undefined ? "" : `${intendedPath(path)}: `;
  const isOurs = path === home || path?.startsWith(`${home}${sep}`);
  const homeHint = isOurs ? `. SHIM keeps its files in ${home}; SHIM_HOME moves them` : "";
  return `${location}${adviceByCode[code] ?? defaultAdvice}${homeHint} (${message})`;
}

/** Maps the temporary file of writeWhole to the file that it replaces. */
function intendedPath(path: string): string {
  return path.replace(/\.([^/\\]+)\.shim-\d+\.tmp$/, "$1");
}

interface FileError extends Error {
  readonly code: string;
  readonly path?: string;
}

/** Failed program starts and connections have other syscalls. */
function isFileError(error: unknown): error is FileError {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return false;
  const { code, syscall } = error;
  return typeof code === "string" && typeof syscall === "string" && !/^(spawn|connect|kill)\b/.test(syscall);
}
