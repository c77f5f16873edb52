import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { readJsonFile } from "./data-files.ts";

/** Stored. Add fields as optional. */
export const Decision = z.object({
  candidate: z.string(),
  isAccepted: z.boolean(),
  /** Absent: a person's. */
  by: z.literal("judge").optional(),
  reason: z.string().nullable(),
  /** `tool rule` of its findings. */
  rules: z.array(z.string()),
  fingerprints: z.array(z.string()),
  at: z.number(),
});
export type Decision = z.infer<typeof Decision>;

const Decisions = z.object({ version: z.literal(1), decisions: z.array(Decision) });

/** In the folder of a project. */
export const decisionsFile = "decisions.json";

/** Has a folder for each project whose code was evolved. @param home SHIM's folder */
export function evolveFolder(home: string): string {
  return join(home, "evolve");
}

/** Decisions on changes of one project. */
export function readDecisions(folder: string): Decision[] {
  return readJsonFile(join(folder, decisionsFile), Decisions)?.decisions ?? [];
}

/** People's decisions on all projects of this machine. */
export function allDecisions(home: string): Decision[] {
  const folder = evolveFolder(home);
  const projects = existsSync(folder) ? readdirSync(folder) : [];
  return projects.flatMap((name) => readDecisions(join(folder, name))).filter(({ by }) => by === undefined);
}
