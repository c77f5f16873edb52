import { expect, it } from "vitest";
import type { WorkState } from "#src/contract/work-state.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import type { Restoration } from "#src/machine/recovery/incomplete/restoration.ts";
import { aRestoration, aSession, prompts } from "#harness/machine/restorations.ts";
import { T0 } from "#harness/store/temp-store.ts";

const hours = 3 * 3_600_000;
const knownUntil = T0 + hours;

function linesOf(state: Partial<WorkState>, overrides: Partial<Restoration> = {}): string[] {
  return brief(aRestoration(state, { knownUntil, ...overrides }), knownUntil + 60_000, "ask").split("\n");
}

it.each([
  ["claude-code", "; 3 tool calls, 1 failed"],
  ["codex", "; 3 tool calls"],
] as const)("failed calls are counted only of a client whose records name each of them: %s", (client, end) => {
  const about = linesOf({}, { session: aSession({ client }) }).find((line) => line.startsWith("client: "));
  expect(about?.slice(-end.length)).toBe(end);
});

const calls = [
  { name: "Bash", input: "git push", at: T0 },
  { name: "Bash", input: "npm test", at: knownUntil - 240_000, error: "Exit code 1" },
  { name: "Bash", input: "npm run lint", at: knownUntil },
];

it("a call of long before the newest event has its own age", () => {
  const lines = linesOf({ calls });
  const start = lines.indexOf("its last calls, as its client recorded them:");
  expect(lines.slice(start, start + 4)).toEqual([
    "its last calls, as its client recorded them:",
    "- 3 h ago: Bash git push",
    "- Bash npm test FAILED: Exit code 1",
    "- Bash npm run lint",
  ]);
});

it("the newest call stands also where files and prompts fill the brief", () => {
  const files = Array.from({ length: 36 }, (_, n) => ({
    path: `/p/${"the folder of the harbour/".repeat(3)}${n}.ts`,
    hash: "h",
    action: "edited" as const,
    now: "same" as const,
  }));
  const asked = prompts(...Array.from({ length: 40 }, (_, n) => `${n}: mend it. ${"The soil is dry. ".repeat(12)}`));
  const both = ["npm test", "npm run lint"].map((input) => ({
    name: "Bash",
    input: `${input} ${"x".repeat(120)}`,
    at: knownUntil,
  }));
  const lines = linesOf({ calls: both, prompts: asked }, { files }).filter((line) => line.startsWith("- Bash "));
  expect(lines.map((line) => line.slice(0, 12))).toEqual(["- Bash npm r"]);
});
