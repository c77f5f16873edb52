import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { diskPath, displayPath, joinRaw, run, type Git, type RawPath } from "./git.ts";
import { baseIndex, copyIndex, describe, readBase, type OpenRepository } from "./repository.ts";
import { exclusionReason, type LeftOut, type Selection, type SnapshotLimits } from "./selection.ts";
import { SecretContent } from "./secret-content.ts";
import { indexEntries, updateIndex, type Attributes, type IndexEntry, type WorkTree } from "./work-tree.ts";

/** Index of the files that git would store in another form, in the scratch. */
export const bytesIndex = "bytes-index";

export interface ConvertedFiles {
  readonly selection: Selection;
  /** Entries of the project's index that are as the work tree has them, but for the form. */
  readonly unchanged: readonly IndexEntry[];
  readonly attributes: Pick<Attributes, "converted" | "filter">;
}

/**
 * Puts the files that git would store in another form into the index of the snapshot as
 * bytes. Only those are read that have changed since the newest snapshot.
 *
 * @param reader sees the project's objects
 * @param writer runs with {@link useBytes}
 * @returns the files of which the snapshot has git's form
 */
export async function stageBytes(
  opened: OpenRepository,
  { top, config }: WorkTree,
  { reader, writer }: { readonly reader: Git; readonly writer: Git },
  files: ConvertedFiles,
  limits: SnapshotLimits,
): Promise<readonly LeftOut[]> {
  const { converted } = files.attributes;
  const taken = files.selection.taken.map(({ path }) => path).filter((path) => converted.has(path));
  const { wanted, leftOut } = await unchangedBytes(reader, top, files, limits);
  const paths = [...taken, ...wanted];
  if (paths.length > 0) await addBytes(opened, writer, paths, modesOf(config, files.unchanged));
  return leftOut;
}

/** Files whose bytes may differ from what git has stored, while there is room for them. */
async function unchangedBytes(
  reader: Git,
  top: string,
  { unchanged, attributes: { converted, filter } }: ConvertedFiles,
  limits: SnapshotLimits,
): Promise<{ readonly wanted: readonly RawPath[]; readonly leftOut: readonly LeftOut[] }> {
  const candidates = unchanged.filter(({ path, mode }) => mode.startsWith("100") && converted.has(path));
  const objects = await describe(
    reader,
    candidates.map(({ id }) => id),
  );
  const sizes = new Map(objects.map(({ id, size }) => [id, size]));
  const context = { top, limits, content: new SecretContent() };
  const wanted: RawPath[] = [];
  const leftOut: LeftOut[] = [];
  let bytes = 0;
  for (const { path, id } of candidates) {
    const stats = lstatSync(diskPath(top, path), { throwIfNoEntry: false });
    // Line endings and ids only become shorter on their way into git.
    if (!stats?.isFile() || (converted.get(path) === false && stats.size === sizes.get(id))) continue;
    const driver = filter.get(path);
    const full = `the snapshot is full (${limits.maxTotalBytes} bytes)`;
    const isRead = driver !== undefined || stats.size > limits.maxFileBytes;
    const excluded = isRead ? exclusionReason(context, path, stats) : null;
    const reason = excluded ?? (bytes + stats.size > limits.maxTotalBytes ? full : null);
    if (reason !== null) {
      const form = driver === undefined ? "git" : `the filter ${displayPath(driver)}`;
      leftOut.push([path, `${reason}; it is kept as ${form} stored it`]);
      continue;
    }
    bytes += stats.size;
    wanted.push(path);
  }
  return { wanted, leftOut };
}

/** Modes that count instead of those of the files, by path. */
function modesOf(config: readonly string[], entries: readonly IndexEntry[]): ReadonlyMap<RawPath, string> {
  const isUnreliable = config.some((setting) => /^core\.filemode=(false|no|off|0)$/i.test(setting));
  return new Map(isUnreliable ? entries.map(({ path, mode }) => [path, mode]) : []);
}

async function addBytes(
  opened: OpenRepository,
  writer: Git,
  paths: readonly RawPath[],
  modes: ReadonlyMap<RawPath, string>,
): Promise<void> {
  const known = join(opened.repository, baseIndex);
  if (readBase(opened) !== null && existsSync(known)) copyIndex(known, opened.scratch, bytesIndex);
  const git = { ...writer, env: { ...writer.env, GIT_INDEX_FILE: join(opened.scratch, bytesIndex) } };
  const wanted = new Set(paths);
  const stale = (await indexEntries(git)).filter(({ path }) => !wanted.has(path));
  await updateIndex(git, ["--force-remove"], stale);
  await updateIndex(
    git,
    ["--add", "--remove", "--replace"],
    paths.map((path) => ({ path })),
  );
  const entries = new Map((await indexEntries(git)).map((entry) => [entry.path, entry]));
  const changes = paths.map((path) => {
    const entry = entries.get(path);
    // A file that was deleted meanwhile is not in the snapshot either.
    return entry ? `${modes.get(path) ?? entry.mode} ${entry.id}\t${path}` : `0 ${"0".repeat(40)}\t${path}`;
  });
  await run(writer, ["update-index", "--replace", "-z", "--index-info"], joinRaw(changes));
}
