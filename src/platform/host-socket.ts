import { lstatSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import { parseObject } from "../shared/json-fields.ts";
import { createPrivateFolder, inodeOf } from "./private-files.ts";
import { asProcessIdentity, isAlive, isSameProcess, systemProcesses, type ProcessIdentity } from "./processes.ts";

/** sun_path holds 108 bytes on Linux and 104 on macOS, with the zero at its end. */
const maxSocketBytes = 103;

/**
 * Address of the host of a home: a Unix socket, on Windows a named pipe. Containers that share a
 * home see other processes, so each process namespace (`boot`) has a host of its own.
 *
 * @returns what the last host has stated, whatever its TMPDIR; before the first one the address
 *   that it would have here
 */
export function hostSocket(home: string, boot: string): string {
  const own = newHostSocket(home, boot);
  try {
    const stated = resolve(home, readlinkSync(socketLink(home)));
    // Another name is that of a copied home, or of another container.
    return basename(stated) === basename(own) ? stated : own;
  } catch {
    return own;
  }
}

/** The address of a host that starts in this process. */
export function newHostSocket(home: string, boot: string): string {
  const name = namespaceOf(boot);
  if (process.platform === "win32") return `${pipes}shim-${userInfo().username}-${digest(home)}`;
  const path = `${home}${sep}host-${name}.sock`;
  if (Buffer.byteLength(path) <= maxSocketBytes) return path;
  return join(tmpdir(), `shim-${userInfo().uid}`, `${digest(home)}-${name}.sock`);
}

/** The file whose lock a host of the home holds. */
export function hostLock(home: string, boot: string): string {
  return `${home}${sep}host-${namespaceOf(boot)}.lock`;
}

/** The file that names the process of the host of a home, so that it can be ended when it hangs. */
function hostMark(home: string, boot: string): string {
  return `${home}${sep}host-${namespaceOf(boot)}.pid`;
}

export function markHost(home: string, host: ProcessIdentity): void {
  writeFileSync(hostMark(home, host.boot), JSON.stringify({ ...host, home: String(inodeOf(home)) }), { mode: 0o600 });
}

/** While it is at long work no command may end the host, and when it ends none may wait for it. */
export function unmarkHost(home: string, host: ProcessIdentity): void {
  if (isSameProcess(host, markedHost(home, host.boot))) rmSync(hostMark(home, host.boot), { force: true });
}

export function markedHost(home: string, boot: string): ProcessIdentity | null {
  try {
    const mark = parseObject(readFileSync(hostMark(home, boot), "utf8"));
    // The mark of a copied home is that of the other home.
    return mark?.["home"] === String(inodeOf(home)) ? asProcessIdentity(mark) : null;
  } catch {
    return null;
  }
}

/** By default it does nothing: a host that does not know it lives on. */
export const recallSignal = "SIGCONT";

/** Has the living host of a home state its address again. @returns false: none is known to live */
export function recallHost(home: string): boolean {
  const host = markedHost(home, systemProcesses.boot());
  if (host === null || !isAlive(systemProcesses, host)) return false;
  try {
    return process.kill(host.pid, recallSignal);
  } catch {
    // Another user's, or a system without the signal.
    return false;
  }
}

function namespaceOf(boot: string): string {
  return digest(boot).slice(0, 8);
}

/** FNV-1a of 64 bits (Fowler, Noll and Vo), in 16 digits: to load node:crypto takes a hook 5 ms. */
function digest(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}

const pipes = "\\\\.\\pipe\\";

/** Pure. A named pipe of Windows is in no folder: to look at one fails. */
export function isPipe(socket: string): boolean {
  return socket.startsWith(pipes);
}

export class SocketFolderError extends Error {
  override readonly name = "SocketFolderError";
}

/** Makes the home and the folder of the socket, which only this user may enter. */
export function prepareSocketFolder(home: string, socket: string): void {
  createPrivateFolder(home);
  const folder = dirname(socket);
  if (!isPipe(socket) && folder !== home) createPrivateFolder(folder);
  checkSocketFolder(home, socket);
}

/**
 * Another user who makes the folder first would receive what a front sends.
 *
 * @throws {SocketFolderError} if the folder is another user's, is open to others, or is a link
 */
export function checkSocketFolder(home: string, socket: string): void {
  const folder = dirname(socket);
  if (isPipe(socket) || folder === home) return;
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (!stats) return;
  if (stats.uid === userInfo().uid && (stats.mode & 0o170_077) === 0o040_000) return;
  throw new SocketFolderError(
    `${folder} belongs to another user, or others may enter it. Remove it, or set SHIM_HOME to a shorter path.`,
  );
}

/** The name by which programs that compute no digest find the host of a home. */
function socketLink(home: string): string {
  return `${home}${sep}host.sock`;
}

export function linkSocket(home: string, socket: string): void {
  if (isPipe(socket)) return;
  const link = socketLink(home);
  const next = `${link}.${process.pid}.next`;
  rmSync(next, { force: true });
  symlinkSync(dirname(socket) === home ? basename(socket) : socket, next);
  renameSync(next, link);
}
