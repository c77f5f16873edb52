import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join, sep } from "node:path";
import { createPrivateFolder } from "./private-files.ts";

/** sun_path holds 108 bytes on Linux and 104 on macOS, with the zero at its end. */
const maxSocketBytes = 103;

/**
 * Address of the host of a home: a Unix socket, on Windows a named pipe. Containers that share a
 * home see other processes, so each process namespace (`boot`) has a host of its own.
 */
export function hostSocket(home: string, boot: string): string {
  const name = namespaceOf(boot);
  if (process.platform === "win32") return `\\\\.\\pipe\\shim-${userInfo().username}-${digest(home).slice(0, 16)}`;
  const path = `${home}${sep}host-${name}.sock`;
  if (Buffer.byteLength(path) <= maxSocketBytes) return path;
  return join(tmpdir(), `shim-${userInfo().uid}`, `${digest(home).slice(0, 16)}-${name}.sock`);
}

/** The file whose lock a host of the home holds. */
export function hostLock(home: string, boot: string): string {
  return `${home}${sep}host-${namespaceOf(boot)}.lock`;
}

function namespaceOf(boot: string): string {
  return digest(boot).slice(0, 8);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export class SocketFolderError extends Error {
  override readonly name = "SocketFolderError";
}

/** Makes the home and the folder of the socket, which only this user may enter. */
export function prepareSocketFolder(home: string, socket: string): void {
  createPrivateFolder(home);
  const folder = dirname(socket);
  if (process.platform !== "win32" && folder !== home) mkdirSync(folder, { recursive: true, mode: 0o700 });
  checkSocketFolder(home, socket);
}

/**
 * Another user who makes the folder first would receive what a front sends.
 *
 * @throws {SocketFolderError} if the folder is another user's, is open to others, or is a link
 */
export function checkSocketFolder(home: string, socket: string): void {
  const folder = dirname(socket);
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (process.platform === "win32" || folder === home || !stats) return;
  if (stats.uid === userInfo().uid && (stats.mode & 0o170_077) === 0o040_000) return;
  throw new SocketFolderError(
    `${folder} belongs to another user, or others may enter it. Remove it, or set SHIM_HOME to a shorter path.`,
  );
}

/** [HO72] The name by which programs that compute no digest find the host of a home. */
export function socketLink(home: string): string {
  return `${home}${sep}host.sock`;
}

export function linkSocket(home: string, socket: string): void {
  if (process.platform === "win32") return;
  const link = socketLink(home);
  const next = `${link}.${process.pid}.next`;
  rmSync(next, { force: true });
  symlinkSync(dirname(socket) === home ? basename(socket) : socket, next);
  renameSync(next, link);
}
