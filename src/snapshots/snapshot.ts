import type { Processes } from "../platform/processes.ts";
import type { ExcludedFile, SnapshotLimits } from "./selection.ts";

export interface SnapshotDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly processes: Processes;
}

export interface SnapshotInput extends SnapshotDeps {
  readonly project: string;
  readonly snapshots: string;
  readonly checkpointId: string;
  readonly now: number;
  readonly limits: SnapshotLimits & { readonly timeoutMs: number };
  readonly signal?: AbortSignal;
}

export interface DoneSnapshot {
  readonly state: "done";
  readonly head: string | null;
  readonly branch: string | null;
  /** Commit without a parent; `head` is its base. */
  readonly commit: string;
  readonly repository: string;
  readonly leftOut: readonly ExcludedFile[];
  readonly files: number;
  readonly bytes: number;
  /** Unchanged files whose content is still only in the project's objects. */
  readonly borrowed: number;
}

export type Snapshot =
  | DoneSnapshot
  | { readonly state: "skipped"; readonly reason: string }
  | { readonly state: "failed"; readonly reason: string };

/** Stored. The project of the newest snapshot, by what the next one can see without git. */
export interface SeenProject {
  /** Digest of what git reads beside the work tree. */
  readonly settings: string;
  /** Digest of the names, sizes and times of the files. */
  readonly files: string;
  readonly entries: number;
  readonly top: string;
  /** Names as displayed; a folder has a slash at the end. */
  readonly ignored: readonly string[];
  /** Files beside the project that say what is ignored and converted. */
  readonly rules: readonly string[];
  readonly snapshot: DoneSnapshot;
}
