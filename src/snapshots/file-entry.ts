import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { codeOf } from "../shared/error.ts";

/** Mode, with all rights, and object of a file, as git writes them; null: it was absent. */
export type FileEntry = string | null;

/** Id that git gives this content (gitformat-loose: "blob", the size, a zero byte, the content). */
export function blobId(content: Buffer, format: "sha1" | "sha256"): string {
  return createHash(format).update(blobHeader(content)).update(content).digest("hex");
}

export function blobHeader(content: Buffer): Buffer {
  return Buffer.from(`blob ${content.length}\0`);
}

/**
 * Reads a file or link as it is now.
 *
 * @returns null: nothing is there, or can be
 * @throws {Error} when something else is there, or it cannot be read
 */
export function entryOnDisk(file: Buffer | string, format: "sha1" | "sha256"): FileEntry {
  const stats = statsOf(file);
  if (stats === null) return null;
  if (stats.isSymbolicLink()) return `120000 ${blobId(readlinkSync(file, "buffer"), format)}`;
  if (stats.isDirectory()) throw new Error("there is a folder of this name");
  // Reading a pipe would wait for its writer.
  if (!stats.isFile()) throw new Error("there is a pipe, a socket or a device of this name");
  return entryWith(stats.mode & 0o777, blobId(readFileSync(file), format));
}

export function entryWith(mode: number, id: string): string {
  return `100${mode.toString(8).padStart(3, "0")} ${id}`;
}

/** @returns "": it was absent */
export function objectIn(entry: FileEntry): string {
  return entry?.split(" ")[1] ?? "";
}

/** Rights of a file, as its entry has them; null: it is a link, or absent. */
export function rightsIn(entry: FileEntry): number | null {
  return entry?.startsWith("100") ? Number.parseInt(entry.slice(3, 6), 8) : null;
}

export function statsOf(file: Buffer | string): Stats | null {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    // A folder of the path is a file now.
    if (codeOf(error) === "ENOTDIR") return null;
    throw error;
  }
}

/** Whether both are files or both are links, of the same content; modes may differ. */
export function hasSameContent(one: FileEntry, other: FileEntry): boolean {
  if (one === null || other === null) return one === other;
  return one.slice(0, 3) === other.slice(0, 3) && one.slice(6) === other.slice(6);
}

/** The format of the ids in these entries. */
export function formatOf(...entries: readonly FileEntry[]): "sha1" | "sha256" {
  return entries.some((entry) => (entry?.length ?? 0) > 64) ? "sha256" : "sha1";
}
