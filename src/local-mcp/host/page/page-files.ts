import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";

export interface PageFile {
  readonly type: string;
  readonly body: Buffer<ArrayBuffer>;
  /** Its name has the hash of its content. */
  readonly isForever: boolean;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Reads the built page. A request names an entry of this table, never a path of the disk.
 * @throws the system's error when the folder cannot be read
 */
export function readPageFiles(folder: string): ReadonlyMap<string, PageFile> {
  const files = readdirSync(folder).flatMap((name) => {
    const type = types[extname(name)];
    if (type === undefined) return [];
    const file = { type, body: readFileSync(join(folder, name)), isForever: name.startsWith("app-") };
    return [[name === "index.html" ? "/" : `/${name}`, file] as const];
  });
  return new Map(files);
}
