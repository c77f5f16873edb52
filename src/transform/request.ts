import type { Failure } from "../shared/failure.ts";
import type { Result } from "../shared/result.ts";
import type { ChangedFile } from "../worker-runner/work-git.ts";
import type { Change } from "./change.ts";
import type { WorktreeSource } from "./throwaway-worktree.ts";
import type { RuleCount } from "./transformers.ts";

/** `script`: the project's own, by its package.json; none: nothing judges the change. */
export type Tests = "script" | "none" | readonly [program: string, ...args: string[]];

export type Release = () => Promise<void>;

export interface TransformRequest {
  readonly source: WorktreeSource;
  readonly change: (tree: string) => Result<Change, Failure>;
  /** Relative to the top, with `/`; empty: everything. */
  readonly paths: readonly string[];
  /** Whether code of the project may run. */
  readonly isTrusted: boolean;
  /** None (null): a dry run, which reserves nothing and runs no tests. */
  readonly offer: {
    readonly tests: Tests;
    readonly allowsRepeat: boolean;
    readonly reserve: (files: readonly string[]) => Promise<Result<Release, Failure>>;
  } | null;
  /** Limit of each start of the tool, and of the tests. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onOutput: (text: string) => void;
}

export interface TransformReport {
  readonly tool: string;
  readonly version: string | null;
  readonly base: string;
  /** On no branch; null where nothing was changed. */
  readonly commit: string | null;
  readonly files: readonly ChangedFile[];
  readonly insertions: number;
  readonly deletions: number;
  /** Empty for a tool that does not count. */
  readonly rules: readonly RuleCount[];
  readonly isIdempotent: boolean;
  readonly tests: { readonly command: string } | null;
  readonly leftOut: readonly { readonly path: string; readonly reason: string }[];
  readonly diff: string;
}
