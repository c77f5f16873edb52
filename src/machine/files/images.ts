import { basename, dirname, isAbsolute } from "node:path";
import { readFileSync, readlinkSync } from "node:fs";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Sql } from "../../shared/sql.ts";
import { messageOf } from "../../shared/error.ts";
import { blobId, entryWith, objectIn, statsOf, type FileEntry } from "../../snapshots/file-entry.ts";
import { stateOf, type FileImage, type PathState } from "../../snapshots/path-state.ts";
import { SecretContent } from "../../snapshots/secret-content.ts";
import { exclusionReason, toRaw, type SnapshotLimits } from "../../snapshots/selection.ts";
import { fileImages } from "../../store/session-tables.ts";

export interface NamedFile {
  readonly session: string;
  /** Id of the call that names it. */
  readonly call: string;
  readonly side: "before" | "after";
  /** Absolute. */
  readonly path: string;
}

/**
 * Stores a file as it is before or after a call that names it. Of a secret, and of what is no file
 * or too large for a snapshot, only the reason is stored.
 */
export function takeImage(sql: Sql, at: number, limits: SnapshotLimits, { path, ...named }: NamedFile): void {
  if (!isAbsolute(path)) return;
  const row = { ...named, at, path };
  try {
    const stats = statsOf(path);
    const top = { top: dirname(path), limits, content: new SecretContent() };
    const isFile = stats !== null && !stats.isSymbolicLink();
    const reason = isFile ? exclusionReason(top, toRaw(basename(path)), stats) : null;
    if (stats === null || reason !== null) return void fileImages.insert(sql, { ...row, reason });
    const content = isFile ? readFileSync(path) : readlinkSync(path, "buffer");
    const object = blobId(content, "sha1");
    const entry = isFile ? entryWith(stats.mode & 0o777, object) : `120000 ${object}`;
    const isHeld = fileImages.has(sql, { session: named.session, object });
    fileImages.insert(sql, { ...row, entry, object, content: isHeld ? null : zstdCompressSync(content) });
  } catch (error) {
    fileImages.insert(sql, { ...row, reason: messageOf(error) });
  }
}

/** Files that calls of a session named and saw before and after, by the call. */
export function imagesByCall(sql: Sql, session: string): ReadonlyMap<string, readonly FileImage[]> {
  const images = new Map<string, FileImage[]>();
  const begun = new Map<string, PathState>();
  for (const { call, side, path, entry, reason } of fileImages.select(sql, "WHERE session = ? ORDER BY seq", session)) {
    const state: PathState = reason === null ? stateOf(entry) : { is: "unknown", reason };
    const key = `${call}\0${path}`;
    const before = begun.get(key);
    if (side === "before") begun.set(key, state);
    else if (before) images.set(call, [...(images.get(call) ?? []), { path, before, after: state }]);
  }
  return images;
}

/** Bytes that one undo gets at most. */
const maxBytes = 67_108_864;

/** Contents of images, by their objects, as base64. */
export function contentsOf(sql: Sql, session: string, entries: Iterable<FileEntry>): readonly [string, string][] {
  const contents: [string, string][] = [];
  let bytes = 0;
  for (const object of new Set([...entries].map(objectIn))) {
    const held = "WHERE session = ? AND object = ? AND content IS NOT NULL LIMIT 1";
    const [row] = fileImages.select(sql, held, session, object);
    if (!row?.content) continue;
    const content = zstdDecompressSync(row.content, { maxOutputLength: maxBytes });
    bytes += content.length;
    if (bytes > maxBytes) return contents;
    contents.push([object, content.toString("base64")]);
  }
  return contents;
}
