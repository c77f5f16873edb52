import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  objectAt,
  listAt,
  asObject,
  parseObject,
  textAt,
  numberAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { detectTool, outputProblem } from "../analysis/adapter.ts";
import { openProject } from "../tool-runner/project-folder.ts";
import { runTests, runTool, testScript, type Tests } from "../tool-runner/run-tool.ts";
import { inCommit, type RepositoryProject } from "../tool-runner/worktree.ts";
import { describeDefect, type Mutation } from "./candidate.ts";
import { limitMs, type MeasureDeps } from "./measure.ts";
import { parseSource, type AstGrep, type SgNode } from "./silencers.ts";

const swaps: Readonly<Record<string, string>> = {
  "===": "!==",
  "!==": "===",
  "==": "!=",
  "!=": "==",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "&&": "||",
  "||": "&&",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "??": "&&",
  "+=": "-=",
  "-=": "+=",
  "++": "--",
  "--": "++",
  "!": "",
  true: "false",
  false: "true",
};

const withOperator = ["binary_expression", "augmented_assignment_expression", "update_expression", "unary_expression"];
const swapped = [...withOperator, "true", "false"];
const withCondition = ["if_statement", "while_statement", "ternary_expression"];

/** Pure. By the syntax of JavaScript and TypeScript, in the order of the file. */
export function mutationsOf(astGrep: AstGrep, file: string, source: string): Mutation[] {
  const root = parseSource(astGrep, file, source);
  const kinds = [...swapped, ...withCondition].map((kind) => ({ kind }));
  return root.findAll({ rule: { any: kinds } }).flatMap((found): Mutation[] => {
    // A literal of a type is none of the program.
    if (found.parent()?.kind() === "literal_type") return [];
    const condition = withCondition.includes(String(found.kind())) ? conditionOf(found) : null;
    const node = condition ?? found;
    const changed = condition ?? (withOperator.includes(String(found.kind())) ? found.field("operator") : found);
    const to = condition ? `!(${condition.text()})` : swaps[changed?.text() ?? ""];
    if (!changed || to === undefined) return [];
    const { start, end } = changed.range();
    const [from, before] = [node.text(), start.index - node.range().start.index];
    const defect = from.slice(0, before) + to + from.slice(before + end.index - start.index);
    return [{ file, line: start.line + 1, from, to: defect, source: root.commitEdits([changed.replace(to)]) }];
  });
}

/** Null where its operator or truth value is changed. */
function conditionOf(node: SgNode): SgNode | null {
  const written = node.field("condition");
  const condition = written?.kind() === "parenthesized_expression" ? written.child(1) : written;
  return condition && !swapped.includes(String(condition.kind())) ? condition : null;
}

interface Hunt {
  readonly project: RepositoryProject;
  readonly commit: string;
  /** Command; null: `npm test`. */
  readonly tests: Tests | null;
  /** Time of the tests without a defect. */
  readonly testsMs: number;
  readonly signal: AbortSignal;
}

const spareMs = 10_000;

/** Limit of the tests of a defect, in ms: it may be a loop without an end. */
export function defectMs(testsMs: number): number {
  return Math.min(limitMs, Math.ceil(2 * testsMs) + spareMs);
}

/** How the tests of a commit end, with a defect or none. */
type DefectEnd = "passed" | "failed" | "timed_out" | "stopped";

export async function tryDefect(deps: MeasureDeps, hunt: Hunt, mutation: Mutation | null): Promise<DefectEnd> {
  const { project, commit, signal } = hunt;
  return inCommit(deps, project, { commit, signal }, (folder) => testDefect(deps, hunt, folder, mutation));
}

async function testDefect(
  { env }: MeasureDeps,
  { tests, testsMs, signal }: Hunt,
  folder: string,
  mutation: Mutation | null,
): Promise<DefectEnd> {
  if (mutation) writeFileSync(join(folder, mutation.file), mutation.source);
  const timeout = AbortSignal.timeout(defectMs(testsMs));
  // The limit of the tests themselves is later, so that an end by the one of the defect is known.
  const limits = { timeMs: limitMs + spareMs, signal: AbortSignal.any([signal, timeout]) };
  const passed = await runTests(testsOf(tests, folder), { folder, env, ...limits });
  if (signal.aborted) return "stopped";
  if (timeout.aborted) return "timed_out";
  return passed.ok ? "passed" : "failed";
}

/** A measured commit has some. */
function testsOf(given: Tests | null, folder: string): Tests {
  return given ?? testScript(folder) ?? ["npm", "test"];
}

/** More take too long; they are drawn evenly from the file. */
const maxPlanted = 40;

/** The file in which defects are planted. */
export interface Search extends Hunt {
  readonly file: string;
  /** Epoch ms: no defect is planted after it. */
  readonly until: number;
  readonly onNote: (note: string) => void;
}

interface Survivors {
  /** Defects that no test holds. */
  readonly survivors: readonly Mutation[];
  readonly planted: number;
  /** Defects for which there was no time. */
  readonly left: number;
  readonly by: string;
}

/**
 * Defects of a file that the tests of a commit do not hold: by the project's own Stryker, else by
 * planting them one after the other.
 */
export async function findSurvivors(
  deps: MeasureDeps,
  search: Search,
  astGrep: AstGrep,
): Promise<Result<Survivors, string>> {
  const { project, commit, file, until, signal } = search;
  return inCommit(deps, project, { commit, signal }, async (folder, worktree) => {
    const source = readFileSync(join(folder, file), "utf8");
    const installed = openProject(join(project.top, project.prefix));
    const stryker = detectTool(installed, { packageName: "@stryker-mutator/core", program: "stryker", setUp: null });
    if (stryker?.kind === "ready") {
      const report = join(folder, "reports", "mutation", "mutation.json");
      // A file of that name in the commit is no report of this run.
      rmSync(report, { recursive: true, force: true });
      const args = ["run", "--mutate", file, "--reporters", "json"];
      const timeMs = Math.min(limitMs, Math.max(0, until - deps.now()));
      const options = { folder, scratch: worktree.folder, env: deps.env, timeMs, signal };
      const ran = await runTool({ ...options, tool: stryker.tool, command: { args }, hasLoopback: true });
      if (!ran.ok) return err(`stryker ${ran.error}`);
      return existsSync(report) ? readStryker(report, file, source) : err(`stryker: ${outputProblem(ran.value)}`);
    }
    const all = mutationsOf(astGrep, file, source);
    const step = Math.max(1, all.length / maxPlanted);
    const planted = all.filter((_, at) => Math.floor(at / step) > Math.floor((at - 1) / step));
    const survivors: Mutation[] = [];
    let tried = 0;
    for (const one of planted) {
      if (deps.now() >= until) break;
      tried += 1;
      search.onNote(`Defect ${tried} of ${planted.length}: ${describeDefect(one)}`);
      const end = await testDefect(deps, search, folder, one);
      if (end === "stopped") return err("stopped before it was done");
      if (end === "passed") survivors.push(one);
    }
    return ok({ survivors, planted: tried, left: planted.length - tried, by: "ast-grep" });
  });
}

/** A report in the mutation testing report schema. */
export function readStryker(path: string, file: string, source: string): Result<Survivors, string> {
  const report = parseObject(readFileSync(path, "utf8"));
  const mutants = listAt(objectAt(objectAt(report, "files"), file), "mutants").map(asObject);
  let end = 0;
  const starts = source.split("\n").map((line) => (end += line.length + 1) - line.length - 1);
  const indexOf = (position: JsonObject | null): number =>
    (starts[(numberAt(position, "line") ?? 1) - 1] ?? 0) + (numberAt(position, "column") ?? 1) - 1;
  const survivors = mutants.flatMap((mutant): Mutation[] => {
    const [to, location] = [textAt(mutant, "replacement"), objectAt(mutant, "location")];
    if (to === null || !["Survived", "NoCoverage"].includes(textAt(mutant, "status") ?? "")) return [];
    const start = objectAt(location, "start");
    const [from, until] = [indexOf(start), indexOf(objectAt(location, "end"))];
    const line = numberAt(start, "line") ?? 1;
    return [
      { file, line, from: source.slice(from, until), to, source: source.slice(0, from) + to + source.slice(until) },
    ];
  });
  return ok({ survivors, planted: mutants.length, left: 0, by: "stryker" });
}
