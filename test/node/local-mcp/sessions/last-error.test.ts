import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import { brief } from "#src/local-mcp/recovery/brief.ts";
import { restore } from "#src/local-mcp/recovery/restoration.ts";
import { emptyState, fold } from "#src/local-mcp/sessions/work-state.ts";
import { aChat, storedSession } from "#harness/machine/claude.ts";

function errorAfter(...entries: JournalEntry[]): string | undefined {
  const rows = entries.map((entry, n) => ({ seq: n + 1, at: n + 1, entry }));
  return fold(emptyState, rows).lastError?.text;
}

function failed(input: string, text = "Exit code 2: the oven is cold"): JournalEntry {
  return { kind: "tool_error", id: input, name: "Bash", input, text };
}

function ended(input: string, name = "Bash"): JournalEntry {
  return { kind: "tool_end", id: input, name, input };
}

function chat(text: string): JournalEntry {
  return { kind: "assistant", text };
}

it("[RE41] a call that was cut off leaves the error before it; the same call ending well solves it", () => {
  const cut = failed("sleep 9", "Exit code 137");
  expect(errorAfter(failed("bake"), cut)).toBe("Bash bake: Exit code 2: the oven is cold");
  expect(errorAfter(failed("bake"), cut, ended("bake"))).toBeUndefined();
  expect(errorAfter(cut)).toContain("137");
});

it.each([
  ["npm run build", "npm run build > out.log 2>&1"],
  ["npm run build", "cd /p && NODE_ENV=test FOO='a b' npm run build"],
  ["cd /p && npm run build 2>&1 | tail -5", "npm run build"],
  ["npm run build", "npm run lint && npm run build && npm test | tail"],
  ["npm run build", "set -o pipefail; npm run build | tail -3"],
  ["npm run build; echo $?", "time npm run build"],
  ["a && b", "a && b && c"],
  ["docker push $IMAGE", `IMAGE=registry.example.com/${"team/".repeat(20)}service:latest; docker push $IMAGE`],
  ["make", String.raw`A="say \"a b\"" B=c\ d E= make`],
  ['grep "a && b" x', 'grep "a && b" x >/dev/null'],
])("[RE130] %s is solved by %s", (before, later) => {
  expect(errorAfter(failed(before), ended(later))).toBeUndefined();
  expect(errorAfter(failed(before), ended(later, "Bash (subagent)"))).toBeUndefined();
});

it.each([
  ["npm test", "npm test -- one.test.ts"],
  ["npm test", "npm test one.test.ts | tail"],
  ["npm test", "echo npm test"],
  ["npm test", "cat out.log | npm test"],
  ["cd a && npm test", "cd b && npm test"],
  ["npm run lint && npm test", "npm test"],
  ["bake bread", "bake"],
  ["cd /p", "cd /p && bake"],
])("[RE130] %s is not solved by %s, whatever the chat says", (before, later) => {
  expect(errorAfter(failed(before), ended(later), chat("All of npm test and bake works."))).toContain(before);
});

it.each(["npm run build 2>&1 | tail -5", "npm run build; date", "npm run build || true", "false || npm run build"])(
  "[RE130] %s ends well whatever the build did: the chat's words decide",
  (later) => {
    const before = failed("npm run build");
    expect(errorAfter(before, ended(later))).toContain("npm run build");
    for (const words of ["The build still fails.", "The build does not work.", "Everything is painted."])
      expect(errorAfter(before, ended(later), chat(words))).toContain("npm run build");
    expect(errorAfter(before, chat("The build works again."), ended(later))).toContain("npm run build");
    const solved = chat("The build works again: the type error in a.ts is fixed.");
    expect(errorAfter(before, ended(later), solved)).toBeUndefined();
  },
);

it("[RE130] what the chat has said of an error since stands beside it", () => {
  const { runtime, claude } = aChat();
  claude.prompt("Bake the bread");
  claude.stop("The oven comes first.");
  claude.fail("Bash", { command: "bake bread" }, "Exit code 2: the oven is cold");
  claude.stop("The oven has no power. I paint the shelf meanwhile.");
  const from = restore(runtime, storedSession(runtime, claude.session));
  const text = from ? brief(from, runtime.now(), "resume") : "";
  expect(text).toContain("Bash bake bread: Exit code 2: the oven is cold [said since: The oven has no power.]");
});
