import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { NewTask } from "../contract/tasks.ts";
import { createPrivateFolder, writeAtomically } from "../platform/private-files.ts";
import type { EvolvedProject } from "./measure.ts";
import { EvolveReport } from "./report.ts";

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

/** Stored. Add fields as optional. */
export const Decision = z.object({
  task: z.int(),
  candidate: z.string(),
  isAccepted: z.boolean(),
  reason: z.string().nullable(),
  /** `tool rule` of its findings. */
  rules: z.array(z.string()),
  fingerprints: z.array(z.string()),
  at: z.number(),
});
export type Decision = z.infer<typeof Decision>;

const Decisions = z.object({ version: z.literal(1), decisions: z.array(Decision) });

const maxDecisions = 5_000;
const maxRuns = 100;
const maxRunAgeMs = 180 * 86_400_000;

/** This machine's files about the runs in one project. */
export class RunFiles {
  readonly #folder: string;

  /** @param home SHIM's folder */
  constructor(home: string, project: EvolvedProject) {
    this.#folder = join(evolveFolder(home), projectId(project));
  }

  get measured(): string {
    return join(this.#folder, "measured");
  }

  /** Newest first. */
  runs(): RunFile[] {
    const folder = join(this.#folder, "runs");
    const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
    const runs = files.flatMap((name) => readJson(join(folder, name), RunFile) ?? []);
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
    return readJson(join(this.#folder, decisionsName), Decisions)?.decisions ?? [];
  }

  addDecision(decision: Decision): void {
    const decisions = [...this.decisions(), decision].slice(-maxDecisions);
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, decisionsName), JSON.stringify({ version: 1, decisions }));
  }
}

const decisionsName = "decisions.json";

/** Decisions on all projects of this machine. */
export function allDecisions(home: string): Decision[] {
  const folder = evolveFolder(home);
  const projects = existsSync(folder) ? readdirSync(folder) : [];
  return projects.flatMap((name) => readJson(join(folder, name, decisionsName), Decisions)?.decisions ?? []);
}

function evolveFolder(home: string): string {
  return join(home, "evolve");
}

export function projectId({ repository, prefix }: EvolvedProject): string {
  return createHash("sha256")
    .update(JSON.stringify([repository, prefix]))
    .digest("hex")
    .slice(0, 12);
}

function readJson<T>(path: string, schema: z.ZodType<T>): T | null {
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}
