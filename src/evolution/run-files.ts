import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { NewTask } from "../contract/tasks.ts";
import { decisionsFile, evolveFolder, readDecisions, type Decision } from "../platform/evolve-decisions.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import type { RepositoryProject } from "../transform/in-commit.ts";
import { EvolveReport } from "./report.ts";
import { readJsonFile } from "../platform/read-json-file.ts";

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
const maxRunAgeMs = 180 * 86_400_000;

/** This machine's files about the runs in one project. */
export class RunFiles {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, project: RepositoryProject) {
    this.#folder = join(evolveFolder(home), projectId(project));
  }

  get measured(): string {
    return join(this.#folder, "measured");
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
