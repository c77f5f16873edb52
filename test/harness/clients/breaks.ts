import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { contents, type InventedSession } from "./broken-sessions.ts";

const clientFolders = [".claude", ".codex", ".copilot", ".qwen", ".gemini"];

/** Files of all clients below the home. */
export function filesOf({ folder }: CliHome): Map<string, string | null> {
  return new Map(
    clientFolders.flatMap((name) => [...contents(join(folder, name))].map(([k, v]) => [`${name}/${k}`, v])),
  );
}

/** A session that SHIM knows, whose client wrote it, and whose process is gone. */
export function known(
  home: CliHome,
  session: InventedSession,
  path: string | null = join(home.folder, session.file),
): void {
  const { id, client } = session;
  addSession(home, { id, client, pid: 77, ...(path === null ? {} : { transcriptPath: path }) });
}

export type Break = (path: string, session: InventedSession) => void;

export const lines = (path: string): string[] => readFileSync(path, "utf8").trimEnd().split("\n");
const put = (path: string, all: readonly string[]): void => writeFileSync(path, `${all.join("\n")}\n`);
export const edit =
  (change: (all: string[]) => string[]): Break =>
  (path) =>
    put(path, change(lines(path)));

export const refuse =
  (...statuses: readonly number[]): Break =>
  (path, session) =>
    put(path, [
      ...lines(path),
      ...statuses.flatMap((status, number) => session.refused(number, status)).map((row) => JSON.stringify(row)),
    ]);

export const zeroed: Break = (path) => writeFileSync(path, Buffer.alloc(statSync(path).size));
export const empty: Break = (path) => writeFileSync(path, "");
export const gone: Break = (path) => rmSync(path);
export const folder: Break = (path) => {
  rmSync(path);
  mkdirSync(path);
};
export const deadLink: Break = (path) => {
  rmSync(path);
  symlinkSync(join(dirname(path), "nowhere"), path);
};
export const cut: Break = (path) => truncateSync(path, statSync(path).size - 9);
type Fields = Record<string, unknown>;
export const rows =
  (change: (row: Fields, at: number, all: readonly Fields[]) => object): Break =>
  (path) =>
    put(
      path,
      lines(path)
        .map((line) => JSON.parse(line) as Fields)
        .map((row, at, all) => JSON.stringify(change(row, at, all))),
    );
