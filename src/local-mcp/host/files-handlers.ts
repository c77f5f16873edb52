import { existsSync, lstatSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import type { CheckedMachineInput } from "../../contract/machine/operations.ts";
import { err, ok } from "../../shared/result.ts";
import {
  changesOf,
  diffOf,
  replaceFiles,
  withStaging,
  type FileChange,
  type Staged,
} from "../../snapshots/replace-files.ts";
import type { RestoreOutcome } from "../../snapshots/restore-files.ts";
import type { ExcludedFile } from "../../snapshots/selection.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import { findSavedFiles, filesTimeoutMs, type SavedFiles } from "./saved-files.ts";

/** [CL263] [CL13] */
export const fileHandlers: Handlers<"files.diff" | "files.restore"> = {
  "files.diff": (context, input) =>
    compare(context, input, async (saved, { staged, changes, notRestored }) => {
      const { env } = context.site;
      const diff = changes.length === 0 ? "" : await diffOf(staged, changes, { env, timeoutMs: filesTimeoutMs });
      return ok({ ...factsOf(saved), notRestored, changes, diff });
    }),
  "files.restore": async (context, input) => {
    const { into, branch, files } = input;
    if (into === undefined && branch === undefined) return restoreIntoProject(context, input);
    if (into !== undefined && branch !== undefined)
      return err({ code: "bad_input", message: "give either --into or --branch." });
    if (files.length > 0)
      return err({ code: "bad_input", message: "--into and --branch restore all files: leave the names out." });
    const found = await findSavedFiles(context, input);
    if (!found.ok) return found;
    const saved = found.value;
    context.progress?.("Restoring the files ...");
    const target = branch === undefined ? (into ?? "") : { project: saved.project, branch };
    const written = withReason(await saved.write(target));
    return written.ok
      ? ok({ ...factsOf(saved), ...written.value, into: into ?? null, differing: null, backup: null })
      : written;
  },
};

function restoreIntoProject(context: HandlerContext, input: Selection) {
  return compare(context, input, async (saved, { staged, changes, notRestored }) => {
    const replaced = replaceFiles(staged, changes, freeFolder(`${saved.project}-before-${saved.short}`));
    const all = [...notRestored, ...replaced.notRestored];
    const facts = { ...factsOf(saved), into: null, branch: null, differing: changes.length };
    return ok({ ...facts, ...replaced, notRestored: all });
  });
}

type Selection = CheckedMachineInput<"files.diff">;

interface Compared {
  readonly staged: Staged;
  readonly changes: readonly FileChange[];
  readonly notRestored: readonly ExcludedFile[];
}

/** Compares the saved files with those of the project, in a folder of their own. */
async function compare<T>(
  context: HandlerContext,
  input: Selection,
  act: (saved: SavedFiles, compared: Compared) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  const found = await findSavedFiles(context, input);
  if (!found.ok) return found;
  const { project } = found.value;
  if (!existsSync(project))
    return err({ code: "no_project", message: `${project} does not exist. --into names another folder.` });
  const chosen = chosenPaths(project, input);
  if (!chosen.ok) return chosen;
  return withStaging(async (scratch) => {
    context.progress?.("Comparing the files ...");
    const staged = { folder: join(scratch, "files"), project };
    const written = withReason(await found.value.write(staged.folder));
    if (!written.ok) return written;
    const unknown = chosen.value.find((path) => !lstatSync(join(staged.folder, path), { throwIfNoEntry: false }));
    if (unknown !== undefined)
      return err({ code: "not_found", message: `${unknown} is not among the saved files. Nothing was restored.` });
    const changes = changesOf(staged, chosen.value);
    return act(found.value, { staged, changes, notRestored: written.value.notRestored });
  });
}

function withReason(outcome: RestoreOutcome): RestoreOutcome {
  if (outcome.ok) return outcome;
  return err({ code: outcome.error.code, message: `${outcome.error.message}. Nothing was restored.` });
}

function chosenPaths(project: string, { folder, files }: Selection): HostResult<string[]> {
  const paths = files.map((file) => relative(project, resolve(folder, file)).split(sep).join("/"));
  const foreign = paths.findIndex((path) => path === ".." || path.startsWith("../"));
  if (foreign < 0) return ok(paths.filter((path) => path !== ""));
  return err({ code: "bad_input", message: `${files[foreign]} is not in ${project}, whose files were saved.` });
}

function freeFolder(path: string): string {
  let free = path;
  for (let at = 2; existsSync(free); at += 1) free = `${path}-${at}`;
  return free;
}

function factsOf({ checkpoint, project, leftOut, origin }: SavedFiles) {
  return { checkpoint, project, leftOut, origin };
}
