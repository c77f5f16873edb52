import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "../platform/process-lock.ts";
import { parseObject } from "../shared/json-fields.ts";
import { displayPath, withTimeLimit, type RawPath } from "./git.ts";
import { readBase, repositoryFor, writeBase, writeRef, type OpenRepository } from "./repository.ts";
import { scanFiles } from "./scan-files.ts";
import { rulesIn, settingsSeen } from "./settings-seen.ts";
import type { DoneSnapshot, SeenProject, Snapshot, SnapshotInput } from "./snapshot.ts";
import { listUnsaved } from "./unsaved-files.ts";
import type { WorkTree } from "./work-tree.ts";

/** Entries of a project that the host scans itself, between the messages of chats. */
const mostInHost = 5_000;
/** Above it a scan costs about as much as git. */
const mostEntries = 50_000;
/** A change within this time before git read the files may have the time of the one before it. */
const tickMs = 20;
/** The same where times are whole seconds. */
const coarseTickMs = 2_000;

/**
 * Gives a checkpoint the newest snapshot where nothing has changed since, and starts no
 * process.
 *
 * @param size projects to scan: those with few entries, which the host does itself, or the others
 * @returns null: git has to find out
 */
export async function takeUnchanged(input: SnapshotInput, size: "small" | "large"): Promise<Snapshot | null> {
  const settings = settingsSeen(input);
  if (settings === null) return null;
  const { commonDir, digest } = settings;
  const repository = ["sha1", "sha256"]
    .map((format) => repositoryFor(input.snapshots, { format, commonDir }))
    .find((path) => existsSync(path));
  if (repository === undefined) return null;
  const opened = { repository, owned: join(repository, "objects") };
  const known = () => {
    const base = readBase(opened);
    const { seen = null } = base ?? {};
    const isLarge = (seen?.entries ?? 0) > mostInHost;
    return base && seen && seen.settings === digest && isLarge === (size === "large") ? { base, seen } : null;
  };
  if (known() === null) return null;
  return withTimeLimit<Snapshot | null>(
    { timeoutMs: input.limits.timeoutMs, signal: input.signal },
    (signal) =>
      withLock(`${repository}.lock`, input.processes, signal, async () => {
        const found = known();
        if (found === null || !(await isAsSeen(found.seen, found.base.about, input.snapshots))) return null;
        if (signal.aborted) return null;
        const { base, seen } = found;
        writeRef(repository, input.checkpointId, base.commit);
        writeBase(opened, { ...base, checkpointId: input.checkpointId }, null);
        return seen.snapshot;
      }),
    (reason) => ({ state: "failed", reason }),
  );
}

async function isAsSeen(seen: SeenProject, about: string, snapshots: string): Promise<boolean> {
  const { top, files, ignored, snapshot } = seen;
  if ((await scanFiles({ ...seen, snapshots }, mostEntries))?.digest !== files) return false;
  const raw = ignored.map((path) => Buffer.from(path).toString("latin1"));
  const unsaved = await listUnsaved(top, raw, snapshot.leftOut);
  return JSON.stringify(parseObject(about)?.["unsaved"]) === JSON.stringify(unsaved);
}

interface Taken {
  readonly snapshot: DoneSnapshot;
  /** {@link settingsSeen} before git read them. */
  readonly settings: string | undefined;
  readonly ignored: readonly RawPath[];
}

/** Keeps with the newest snapshot what its project is like, unless that has changed meanwhile. */
export async function rememberProject(
  opened: OpenRepository,
  { top, config }: WorkTree,
  { snapshot, settings, ignored }: Taken,
  { snapshots, env }: Pick<SnapshotInput, "snapshots" | "env">,
): Promise<void> {
  const base = readBase(opened);
  if (settings === undefined || base?.commit !== snapshot.commit || snapshot.files > mostEntries) return;
  // Written before git read the files.
  const { ctimeMs: readAtMs } = statSync(join(opened.scratch, "HEAD"));
  const project = { top, ignored: ignored.map(displayPath), rules: rulesIn(config, env) };
  const found = await scanFiles({ ...project, snapshots }, mostEntries);
  if (found === null) return;
  const { digest: files, entries, newestMs } = found;
  if (newestMs > readAtMs - (newestMs % 1_000 === 0 ? coarseTickMs : tickMs)) return;
  const seen = { ...project, settings, files, entries, snapshot };
  writeBase(opened, { ...base, seen }, null);
}
