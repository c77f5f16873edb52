import { listAt, objectAt } from "../../shared/json-fields.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Adapter, CommandContext, Detection, FileComplexity, Parsed, ParseContext } from "../adapter.ts";
import type { ProjectView, ToolCommand, ToolOutput } from "../adapter.ts";
import type { RawFinding } from "../finding.ts";
import { detectEslint, eslintConfig, parseEslint } from "./eslint.ts";
import { notPackages, oxlintSettings, parseOxlint } from "./oxlint.ts";

/** Above it a function is a finding, where the project has no rule of its own. */
const maxComplexity = 10;
/** The run reports every function with a branch: hotspots need the sums. */
const rule = { complexity: ["warn", { max: 1 }] };

/** The `complexity` rule of oxlint, or of ESLint where oxlint is not installed. */
export const complexity: Adapter = {
  name: "complexity",
  kinds: ["complexity"],
  detect: detectRule,
  command: (context) => (hasOxlint(context.project) ? oxlintCommand(context) : eslintCommand),
  parse: parseComplexity,
};

function hasOxlint(project: ProjectView): boolean {
  const tool = project.findTool("oxlint", "oxlint");
  return tool !== null && typeof tool !== "string";
}

function detectRule(project: ProjectView): Detection {
  const tool = project.findTool("oxlint", "oxlint");
  if (tool !== null && typeof tool !== "string") return { kind: "ready", tool, risk: null };
  const detected = detectEslint(project);
  return detected.kind === "ready" ? detected : { kind: "unused", why: "neither oxlint nor ESLint can run here" };
}

/** With a configuration of SHIM's own, so nothing of the project's is code here. */
function oxlintCommand({ project, writeScratch }: CommandContext): ToolCommand {
  const config = { plugins: ["typescript"], categories: { correctness: "off" }, rules: rule };
  const ignored = listAt(oxlintSettings(project), "ignorePatterns").filter((one) => typeof one === "string");
  const path = writeScratch("complexity.json", JSON.stringify(config));
  const patterns = ignored.map((pattern) => `--ignore-pattern=${pattern}`);
  return { args: ["-c", path, "--disable-nested-config", "-f", "json", notPackages, ...patterns] };
}

const eslintCommand: ToolCommand = { args: ["--format", "json", "--rule", JSON.stringify(rule), "."] };

const measured = /^(.*?)(?:[`']([^`']*)[`'])? has a complexity of (\d+)/;

function parseComplexity(output: ToolOutput, context: ParseContext): Result<Parsed, string> {
  const isOxlint = hasOxlint(context.project);
  const parsed = isOxlint ? parseOxlint(output, context) : parseEslint(output, context);
  if (!parsed.ok) return parsed;
  const sums = new Map<string, number>();
  const findings = parsed.value.findings.filter((one) => /^(?:eslint\()?complexity\)?$/.test(one.rule));
  const functions = findings.flatMap((one) => toFunction(one));
  for (const { file, value } of functions) sums.set(file, (sums.get(file) ?? 0) + value);
  const complexities: FileComplexity[] = [...sums].map(([file, sum]) => ({ file, complexity: sum }));
  const isReported = hasOwnRule(context, isOxlint);
  const high = functions.filter(({ value }) => value > maxComplexity);
  return ok({ findings: isReported ? [] : high.map(({ finding }) => finding), complexity: complexities });
}

/** The linter's own run reports it, with the project's threshold. */
function hasOwnRule({ project, selected }: ParseContext, isOxlint: boolean): boolean {
  if (!isOxlint) {
    const config = eslintConfig(project);
    return selected.includes("eslint") && config !== null && /\bcomplexity\b/.test(project.read(config) ?? "");
  }
  const own = objectAt(oxlintSettings(project), "rules")?.["complexity"] ?? "off";
  const severity: unknown = Array.isArray(own) ? own[0] : own;
  return selected.includes("oxlint") && !["off", "allow", 0].includes(severity as string);
}

function toFunction(found: RawFinding): { file: string; value: number; finding: RawFinding }[] {
  const [, , symbol, digits] = measured.exec(found.message) ?? [];
  if (digits === undefined || found.range === null) return [];
  const { line, column } = found.range;
  const message = found.message.replace(/Maximum allowed is \d+/, `Maximum allowed is ${maxComplexity}`);
  // The range of oxlint is the whole function: two of them, one in the other, are not the same.
  const range = column === undefined ? { line } : { line, column };
  const finding = { ...found, rule: "complexity", level: "warning" as const, range, message };
  const named = symbol ? { ...finding, symbol } : finding;
  return [{ file: found.file, value: Number(digits), finding: named }];
}
