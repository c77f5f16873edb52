import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Provider } from "@openfeature/server-sdk";
import { Assignments } from "../../experiments/assignment/assignments.ts";
import { toName, type Unit } from "../../experiments/assignment/names.ts";
import { openFeatureAssigner } from "../../experiments/assignment/open-feature.ts";
import type { Assigner, Assignment } from "../../experiments/assignment/port.ts";
import { statsigAssigner } from "../../experiments/assignment/statsig.ts";
import { messageOf } from "../../shared/error.ts";
import { toExperiment } from "../recording/exposures.ts";
import type { AskedTrial, SentUnit, ServiceAnswer, ServiceRequest } from "./service-request.ts";

/** For work that no chat waits for, in ms. */
const patientMs = 8_000;

interface ServiceDeps {
  readonly env: NodeJS.ProcessEnv;
  /** Calls `work` once after `ms`. @returns cancels */
  readonly setTimer: (work: () => void, ms: number) => () => void;
}

/** Never rejects: what went wrong is in the answer. */
export async function answerRequest(request: ServiceRequest, deps: ServiceDeps): Promise<ServiceAnswer> {
  const problems: string[] = [];
  const report = (problem: string): void => void problems.push(problem);
  try {
    const { work, settings } = request;
    const waitMs = work.kind === "choose" ? settings.waitMs : patientMs;
    const assigner = await loadAssigner(request, deps.env, waitMs);
    const port = new Assignments({
      assigner,
      // The machine's own store has kept both before.
      sink: { insertExposure: () => true, insertOutcome: () => {} },
      setTimer: deps.setTimer,
      waitMs,
      onProblem: report,
    });
    if (work.kind === "choose")
      return { arms: await Promise.all(work.trials.map((trial) => choose(port, trial))), problems };
    if (work.kind === "send") await send(port, assigner, work.name, work.units);
  } catch (error) {
    report(messageOf(error));
  }
  return { arms: [], problems };
}

async function choose(port: Assignments, { name, salt, share, unit }: AskedTrial): Promise<string | null> {
  const { arm, reason } = await port.assign(toExperiment(name, salt, share), unit as Unit);
  return reason === "assigned" ? arm : null;
}

async function send(port: Assignments, assigner: Assigner, name: string, units: readonly SentUnit[]): Promise<void> {
  const experiment = toName(name);
  for (const { unit: text, arm, measured } of units) {
    const unit = text as Unit;
    const exposed: Assignment = { experiment, unit, arm: toName(arm), reason: "assigned" };
    await port.expose(exposed);
    for (const [metric, value] of Object.entries(measured))
      await port.record({ experiment, unit, metric: toName(metric), value });
  }
  await port.flush();
  await assigner.close?.();
}

async function loadAssigner(
  { settings, home }: ServiceRequest,
  env: NodeJS.ProcessEnv,
  waitMs: number,
): Promise<Assigner> {
  const { provider, statsigRules, statsigKeyEnv, openFeatureModule } = settings;
  const inHome = createRequire(join(home, "package.json"));
  const resolve = (name: string): string => resolveIn(inHome, name) ?? name;
  if (provider === "openfeature") return openFeatureAssigner(await loadProvider(openFeatureModule, inHome), resolve);
  if (provider === "local") throw new Error("experiments.provider is local: no service is configured.");
  if (statsigRules !== null) {
    const path = isAbsolute(statsigRules) ? statsigRules : join(home, statsigRules);
    return statsigAssigner({ kind: "rules", rules: readFileSync(path, "utf8") }, resolve);
  }
  if (statsigKeyEnv === null) throw new Error("Set experiments.statsigRules or experiments.statsigKeyEnv.");
  const key = env[statsigKeyEnv];
  if (key === undefined || key === "") throw new Error(`The environment has no ${statsigKeyEnv}.`);
  return statsigAssigner({ kind: "live", key, waitMs }, resolve);
}

/** Packages beside the user's settings first, then those beside SHIM. */
function resolveIn(inHome: NodeJS.Require, name: string): string | null {
  try {
    return pathToFileURL(inHome.resolve(name)).href;
  } catch {
    return null;
  }
}

/** [EX72] A module that the user's own settings name; nothing is resolved from a project. */
async function loadProvider(name: string | null, inHome: NodeJS.Require): Promise<Provider> {
  if (name === null) throw new Error("Set experiments.openFeatureModule.");
  const path = pathToFileURL(inHome.resolve(name)).href;
  const loaded = (await import(path)) as { readonly default?: unknown };
  const made: unknown =
    typeof loaded.default === "function" ? await (loaded.default as () => unknown)() : loaded.default;
  if (!isProvider(made)) throw new Error(`The default export of ${name} is no OpenFeature provider.`);
  return made;
}

function isProvider(value: unknown): value is Provider {
  return typeof value === "object" && value !== null && "resolveStringEvaluation" in value;
}
