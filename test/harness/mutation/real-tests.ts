import { astGrep, nodeTool } from "#harness/mutation/fake-tests.ts";
import { copyOf } from "#harness/mutation/tiny-project.ts";
import { parses } from "#src/mutation/find-mutants.ts";
import { findFramework } from "#src/mutation/framework.ts";
import type { GenerateRequest } from "#src/mutation/generate/generate-tests.ts";
import type { Mutant } from "#src/mutation/mutant.ts";
import { readProject } from "#src/mutation/project.ts";
import { testRunner, timeLimit } from "#src/mutation/run-tests.ts";
import { probeIsolation } from "#src/tool-runner/isolation.ts";
import { openProject } from "#src/tool-runner/project-folder.ts";
import { systemPath } from "#src/tool-runner/run-tool.ts";

const now = (): number => performance.now();

/** Tests of real processes, as isolated as this machine allows. */
export const runTests = testRunner({
  env: { ...process.env, SHIM_EDGE_TOKEN: "secret" },
  isolation: probeIsolation(systemPath(process.env)),
  memoryMb: 4_096,
  now,
});

export const realDeps = {
  runTests,
  now,
  timeLimit,
  astGrep,
  parses: (mutant: Mutant, source: string): boolean => parses(astGrep, mutant, source),
};

export const realLimits = { maxMutants: 100, wallMs: 600_000, factor: 4, extraMs: 4_000 };

/** Two copies of the project, the first being the project itself. */
export function generateRequest(root: string, file: string, survivors: readonly Mutant[]): GenerateRequest {
  const project = readProject(openProject(root));
  const framework = findFramework(project, nodeTool);
  if (!framework.ok) throw new Error(framework.error);
  const { signal } = new AbortController();
  const common = { framework: framework.value, survivors, limits: realLimits, signal, project, file };
  return { ...common, copies: [root, copyOf(root)], seed: 7, maxCalls: 30, probeMs: 6_000 };
}
