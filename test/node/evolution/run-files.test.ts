import { expect, it } from "vitest";
import { RunFile, RunFiles } from "#src/evolution/run-files.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const project = { top: "/p", repository: "/p/.git", prefix: "" };
const dayMs = 86_400_000;
const now = 1_000 * dayMs;

function aRun(requestId: string, at: number, isEnded = true): RunFile {
  const counts = { survivedBefore: 0, survivedAfter: 0 };
  const used = { wallMs: 0, tokens: 0, costMicros: 0 };
  const findings = { before: null, afterAllKept: null };
  const rest = { version: 1, job: 1, stopped: null, facts: null, tried: [], findings, mutants: counts, used };
  const report = isEnded ? { ...rest, isEnded, ageMs: 0 } : null;
  return RunFile.parse({
    version: 1,
    requestId,
    type: "evolve",
    base: "c",
    at,
    tasks: [],
    job: 1,
    tests: null,
    report,
  });
}

it("[EV19] old runs are deleted when one is saved, by number and by age, but none that has not ended", () => {
  const files = new RunFiles(temporaryFolder(), project);
  files.saveRun(aRun("open", now - 400 * dayMs, false));
  files.saveRun(aRun("old", now - 181 * dayMs));
  for (let n = 0; n < 100; n++) files.saveRun(aRun(`run-${n}`, now - n * dayMs));
  const names = (): string[] => files.runs().map(({ requestId }) => requestId);
  expect([names().length, names().includes("old")]).toEqual([101, false]);
  files.saveRun(aRun("newest", now + dayMs));
  expect(names()).toEqual(["newest", ...Array.from({ length: 99 }, (_, n) => `run-${n}`), "open"]);
});
