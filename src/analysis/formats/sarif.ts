import { conceptOf } from "../equivalences.ts";
import type { Finding, Position } from "../finding.ts";
import type { Report, ToolRun } from "../report.ts";

const schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
const homepages: Readonly<Record<ToolRun["name"], string>> = {
  tsc: "https://www.typescriptlang.org",
  eslint: "https://eslint.org",
  xo: "https://github.com/xojs/xo",
  oxlint: "https://oxc.rs",
  biome: "https://biomejs.dev",
  complexity: "https://eslint.org/docs/latest/rules/complexity",
  knip: "https://knip.dev",
  fallow: "https://fallow.tools",
  jscpd: "https://jscpd.dev",
};

/** [AN7] A report as SARIF 2.1.0: a run for each tool that ran or failed. */
export function toSarif({ tools, findings, comparedWith }: Report): object {
  const started = tools.filter(({ status }) => status === "ran" || status === "failed");
  const runs = started.map((tool) => {
    const results = findings.filter((finding) => finding.tool === tool.name);
    return toRun(tool, results, comparedWith !== null);
  });
  return { $schema: schema, version: "2.1.0", runs };
}

function toRun(tool: ToolRun, findings: readonly Finding[], isCompared: boolean): object {
  const rules = [...new Set(findings.map(({ rule }) => rule))];
  const driver = {
    name: tool.name,
    informationUri: homepages[tool.name],
    ...(tool.version === null ? {} : { version: tool.version }),
    rules: rules.map((id) => ({ id, properties: { concept: conceptOf(tool.name, id) } })),
  };
  const failure = { level: "error", message: { text: tool.why ?? "" } };
  const isFailed = tool.status === "failed";
  return {
    tool: { driver },
    invocations: [{ executionSuccessful: !isFailed, ...(isFailed ? { toolExecutionNotifications: [failure] } : {}) }],
    columnKind: "utf16CodeUnits",
    results: findings.map((finding) => toResult(finding, rules.indexOf(finding.rule), isCompared)),
  };
}

function toResult(finding: Finding, ruleIndex: number, isCompared: boolean): object {
  const { rule, level, message, related, others, fingerprint, content, isNew } = finding;
  return {
    ruleId: rule,
    ruleIndex,
    level,
    message: { text: message },
    locations: [toLocation(finding)],
    ...(related ? { relatedLocations: related.map(toLocation) } : {}),
    partialFingerprints: { "shimFinding/v1": fingerprint, "shimContent/v1": content },
    ...(isCompared ? { baselineState: isNew === false ? "unchanged" : "new" } : {}),
    ...(others ? { properties: { alsoReportedBy: others } } : {}),
  };
}

function toLocation({ file, range }: Position): object {
  const uri = file.split("/").map(encodeURIComponent).join("/");
  const artifactLocation = { uri, uriBaseId: "%SRCROOT%" };
  if (range === null) return { physicalLocation: { artifactLocation } };
  const region = {
    startLine: range.line,
    ...(range.column === undefined ? {} : { startColumn: range.column }),
    ...(range.endLine === undefined ? {} : { endLine: range.endLine }),
    ...(range.endColumn === undefined ? {} : { endColumn: range.endColumn }),
  };
  return { physicalLocation: { artifactLocation, region } };
}
