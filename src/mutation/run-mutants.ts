import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { err, ok, type Result } from "../shared/result.ts";
import { type Mutant, mutate, sample } from "./mutant.ts";
import type { RunTests, TestCommand, TestOutcome } from "./run-tests.ts";
import { seededRandom } from "../shared/seeded-random.ts";

/** A timeout counts as killed. */
export type MutantStatus = "killed" | "timeout" | "survived" | "invalid" | "not_run";

export interface MutantResult {
  readonly mutant: Mutant;
  readonly status: MutantStatus;
}

export interface MutationLimits {
  readonly maxMutants: number;
  /** For everything, the runs without a mutant included. */
  readonly wallMs: number;
  /** A run may take `factor` times the slowest one without a mutant, plus `extraMs`. */
  readonly factor: number;
  readonly extraMs: number;
}

export const defaultLimits: MutationLimits = { maxMutants: 200, wallMs: 1_800_000, factor: 2, extraMs: 5_000 };

export interface MutationRequest {
  /**
   * Folders with the same content, used by nothing else, which the caller throws away: a killed
   * process leaves a mutant in them. As many mutants are tried at once.
   */
  readonly copies: readonly [string, ...string[]];
  readonly mutants: readonly Mutant[];
  /** All must pass without a mutant. The first that fails kills the mutant. */
  readonly commandsFor: (file: string) => readonly TestCommand[];
  /** A mutant that fails this is invalid. */
  readonly compile?: TestCommand;
  readonly limits: MutationLimits;
  /** Draws the mutants that are tried where there are more than `maxMutants`. */
  readonly seed: number;
  readonly signal: AbortSignal;
}

export interface MutationDeps {
  readonly runTests: RunTests;
  /** Milliseconds. */
  readonly now: () => number;
  /** Aborts after so many milliseconds. */
  readonly timeLimit: (ms: number) => AbortSignal;
  /** Whether the mutated text parses. */
  readonly parses: (mutant: Mutant, source: string) => boolean;
}

export interface MutationReport {
  readonly baselineMs: number;
  /** Mutants that were requested; `results` has those drawn. */
  readonly total: number;
  readonly seed: number;
  readonly results: readonly MutantResult[];
  readonly stoppedBy: "time" | "signal" | null;
}

/** [MU11] Baseline first, then one mutant at a time in each copy. The error: why none was tried. */
export async function runMutants(
  deps: MutationDeps,
  request: MutationRequest,
): Promise<Result<MutationReport, string>> {
  const { limits, mutants, seed, copies } = request;
  const end = deps.now() + limits.wallMs;
  const stop = AbortSignal.any([request.signal, deps.timeLimit(limits.wallMs)]);
  const drawn = sample(mutants, limits.maxMutants, seededRandom(seed));
  const commands = uniqueCommands(drawn.flatMap(({ file }) => request.commandsFor(file)));
  const baseline = await runBaseline(deps, request, commands, { end, stop });
  if (!baseline.ok) return baseline;
  const { limitOf } = baseline.value;
  const statuses = await onEachMutant(deps, { copies, mutants: drawn, stop }, (mutant, folder) =>
    runOnMutant(deps, request, mutant, { folder, stop, limitOf }),
  );
  const results = drawn.map((mutant) => ({ mutant, status: statuses.get(mutant) ?? "not_run" }));
  const ended = request.signal.aborted ? "signal" : "time";
  const isStopped = stop.aborted && results.some(({ status }) => status === "not_run");
  return ok({
    baselineMs: baseline.value.ms,
    total: mutants.length,
    seed,
    results,
    stoppedBy: isStopped ? ended : null,
  });
}

/** [MU5] Those that no test noticed. */
export function survivorsOf(results: readonly MutantResult[]): Mutant[] {
  return results.filter(({ status }) => status === "survived").map(({ mutant }) => mutant);
}

interface Bounds {
  readonly end: number;
  readonly stop: AbortSignal;
}

interface Baseline {
  readonly ms: number;
  readonly limitOf: (command: TestCommand) => number;
}

/** [MU12] Each command passes twice, or nothing is tried. */
async function runBaseline(
  deps: MutationDeps,
  request: MutationRequest,
  commands: readonly TestCommand[],
  { end, stop }: Bounds,
): Promise<Result<Baseline, string>> {
  const slowest = new Map<string, number>();
  for (const command of commands) {
    const outcomes: TestOutcome[] = [];
    for (let round = 0; round < 2; round++) {
      const limitMs = end - deps.now();
      const outcome = await deps.runTests(command, { folder: request.copies[0], limitMs, signal: stop });
      outcomes.push(outcome);
    }
    const refusal = baselineRefusal(command, outcomes, request.signal);
    if (refusal !== null) return err(refusal);
    slowest.set(keyOf(command), Math.max(...outcomes.map(({ ms }) => ms)));
  }
  const { factor, extraMs } = request.limits;
  const limitOf = (command: TestCommand): number => Math.ceil((slowest.get(keyOf(command)) ?? 0) * factor + extraMs);
  return ok({ ms: Math.max(0, ...slowest.values()), limitOf });
}

function baselineRefusal(command: TestCommand, outcomes: readonly TestOutcome[], signal: AbortSignal): string | null {
  const bad = outcomes.find(({ kind }) => kind !== "passed");
  if (bad === undefined) return null;
  if (signal.aborted) return "it was stopped before the tests had passed without a mutant";
  const name = [basename(command.tool.path), ...command.args].join(" ");
  const output = bad.output.trim() === "" ? "" : `: ${bad.output.trim()}`;
  if (bad.kind === "not_started") return `${name} cannot be started${output}`;
  if (bad.kind !== "failed") return `${name} did not end within the time for all, without any mutant`;
  if (outcomes.some(({ kind }) => kind === "passed"))
    return `${name} is flaky: without any mutant it passed in one of two runs${output}`;
  return `${name} fails without any mutant${output}`;
}

interface Attempt {
  readonly folder: string;
  readonly stop: AbortSignal;
  readonly limitOf: Baseline["limitOf"];
}

export interface EachMutant {
  readonly copies: readonly string[];
  readonly mutants: readonly Mutant[];
  readonly stop: AbortSignal;
}

/** Runs `body` on each mutant, one at a time in each copy; leaves out those after `stop`. */
export async function onEachMutant<Outcome>(
  deps: Pick<MutationDeps, "parses">,
  { copies, mutants, stop }: EachMutant,
  body: (mutant: Mutant, folder: string) => Promise<Outcome>,
): Promise<Map<Mutant, Outcome | "invalid">> {
  const outcomes = new Map<Mutant, Outcome | "invalid">();
  const queue = [...mutants];
  const work = async (folder: string): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined && !stop.aborted; mutant = queue.shift()) {
      outcomes.set(mutant, await withMutant(deps, mutant, folder, body));
    }
  };
  await Promise.all(copies.map(work));
  return outcomes;
}

/** [MU13] The file has its former bytes afterwards. */
async function withMutant<Outcome>(
  { parses }: Pick<MutationDeps, "parses">,
  mutant: Mutant,
  folder: string,
  body: (mutant: Mutant, folder: string) => Promise<Outcome>,
): Promise<Outcome | "invalid"> {
  const path = pathInside(folder, mutant.file);
  const bytes = readFileSync(path);
  const source = bytes.toString("utf8");
  const isSame = Buffer.from(source, "utf8").equals(bytes) && source.slice(mutant.start, mutant.end) === mutant.before;
  if (!isSame || !parses(mutant, source)) return "invalid";
  try {
    writeFileSync(path, mutate(source, mutant));
    return await body(mutant, folder);
  } finally {
    writeFileSync(path, bytes);
  }
}

interface Attempt {
  readonly folder: string;
  readonly stop: AbortSignal;
  readonly limitOf: Baseline["limitOf"];
}

async function runOnMutant(
  deps: MutationDeps,
  { compile, commandsFor, limits }: MutationRequest,
  { file }: Mutant,
  { folder, stop, limitOf }: Attempt,
): Promise<MutantStatus> {
  if (compile !== undefined) {
    const outcome = await deps.runTests(compile, { folder, limitMs: limits.wallMs, signal: stop });
    if (outcome.kind === "failed") return "invalid";
  }
  for (const command of commandsFor(file)) {
    const { kind } = await deps.runTests(command, { folder, limitMs: limitOf(command), signal: stop });
    if (kind === "timeout") return "timeout";
    if (kind === "failed") return "killed";
    if (kind !== "passed") return "not_run";
  }
  return "survived";
}

/** @throws {Error} for a path that leads out of the folder, also through links */
function pathInside(folder: string, file: string): string {
  const path = realpathSync(join(folder, file));
  if (!path.startsWith(realpathSync(folder) + sep)) throw new Error(`${file} is not inside the folder`);
  return path;
}

function keyOf(command: TestCommand): string {
  return JSON.stringify(command);
}

function uniqueCommands(commands: readonly TestCommand[]): TestCommand[] {
  return [...new Map(commands.map((command) => [keyOf(command), command])).values()];
}
