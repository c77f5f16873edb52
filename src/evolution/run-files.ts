import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { NewTask } from "../contract/tasks.ts";
import { decisionsFile, evolveFolder, readDecisions, type Decision } from "../platform/evolve-decisions.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import { readJsonFile } from "../platform/read-json-file.ts";
import { ok, type Result } from "../shared/result.ts";
import type { RepositoryProject } from "../transform/worktree.ts";
import { Measured } from "./measure.ts";
import { EvolveReport } from "./run.ts";

/** Stored. Add fields as optional. */
export const RunFile = z.object({
  version: z.literal(1),
  requestId: z.string(),
  type: z.string(),
  base: z.string(),
  /** Epoch ms. */
  at: z.number(),
  tasks: z.array(NewTask),
  /** Null until the coordinator has answered; a repeat of the request gets the same answer. */
  job: z.int().nullable(),
  tests: z.tuple([z.string()], z.string()).nullable(),
  report: EvolveReport.nullable(),
});
export type RunFile = z.infer<typeof RunFile>;

const maxDecisions = 5_000;
const maxRuns = 100;
const maxMeasured = 20;
const maxRunAgeMs = 180 * 86_400_000;

/** This machine's files about the runs in one project. */
export class RunFiles {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, project: RepositoryProject) {
    this.#folder = join(evolveFolder(home), projectId(project));
  }

  /**
   * What was measured on a commit is kept for all changes that start from it. What cannot judge is
   * not: tests that fail for want of a package may pass once it is there.
   *
   * @param settings all that has an effect on the result
   */
  async measured(
    settings: readonly unknown[],
    measure: () => Promise<Result<Measured, string>>,
    { isRenewed = false } = {},
  ): Promise<Result<Measured, string>> {
    const folder = join(this.#folder, "measured");
    const name = createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 32);
    const path = join(folder, `${name}.json`);
    const stored = isRenewed ? null : readJsonFile(path, Measured);
    if (stored) return ok(stored);
    const measured = await measure();
    if (!measured.ok || !measured.value.tests.passed || measured.value.tests.flaky !== null) return measured;
    createPrivateFolder(folder);
    writeAtomically(path, JSON.stringify(measured.value));
    const files = readdirSync(folder).map((one) => join(folder, one));
    const ages = files.map((file) => ({ file, at: statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0 }));
    for (const { file } of ages.toSorted((one, other) => other.at - one.at).slice(maxMeasured))
      rmSync(file, { force: true });
    return measured;
  }

  /** Newest first. */
  runs(): RunFile[] {
    const folder = join(this.#folder, "runs");
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
    const runs = files.flatMap((name) => readJsonFile(join(folder, name), RunFile) ?? []);
    return runs.toSorted((a, b) => b.at - a.at);
  }

  saveRun(run: RunFile): void {
    const folder = join(this.#folder, "runs");
    createPrivateFolder(folder);
    writeAtomically(join(folder, `${run.requestId}.json`), JSON.stringify(run));
    this.#prune(folder, run.at);
  }

  /** [EV19] A run that has not ended is continued, however old it is. */
  #prune(folder: string, now: number): void {
    const isOld = ({ at, report }: RunFile, index: number): boolean =>
      report?.isEnded === true && (index >= maxRuns || at < now - maxRunAgeMs);
    for (const { requestId } of this.runs().filter(isOld)) rmSync(join(folder, `${requestId}.json`), { force: true });
  }

  decisions(): Decision[] {
    return readDecisions(this.#folder);
  }

  addDecision(decision: Decision): void {
    const decisions = [...this.decisions(), decision].slice(-maxDecisions);
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, decisionsFile), JSON.stringify({ version: 1, decisions }));
  }
}

export function projectId({ repository, prefix }: RepositoryProject): string {
  return createHash("sha256")
    .update(JSON.stringify([repository, prefix]))
    .digest("hex")
    .slice(0, 12);
}
