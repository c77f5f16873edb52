import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { quotedTitle } from "#src/local-mcp/recovery/user-lines.ts";
import { aDeadClaude, aProject, anotherClaude, Claude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it.each([
  ["ask", "Claude asks whether to continue it."],
  ["brief", "Claude has its brief."],
  ["resume", "Claude continues it."],
])(
  "[RE54] with the setting %s the user reads what died, when, why, what Claude does and how to say no",
  (recovery, does) => {
    const runtime = tempRuntime({ config: { recovery } });
    const dead = aDeadClaude(runtime, "Make the parser faster\nand smaller");
    runtime.wait(150_000);
    expect(anotherClaude(runtime, dead).tell("SessionStart", { source: "startup" }).systemMessage).toBe(
      `SHIM: "Make the parser faster" died 2 min ago (killed); ${does} Not this one? Tell Claude, or: \`shim resume --dismiss 20487890\``,
    );
  },
);

it("[RE54] in the plugin its command says no; others that died are counted; the id is as long as it must be", () => {
  const runtime = tempRuntime({ env: { CLAUDE_PLUGIN_ROOT: "/plugin" } });
  const dead = aDeadClaude(runtime);
  const second = anotherClaude(runtime, dead, { session: `${dead.session.slice(0, 10)}-another` });
  second.turn("the lexer");
  second.kill();
  const third = anotherClaude(runtime, dead, { pid: 3_000, session: "third-session" });
  expect(third.tell("SessionStart", { source: "startup" }).systemMessage).toMatch(
    /^SHIM: "the lexer" died \d+ s ago \(killed\); Claude has its brief\. 1 more died unfinished\. Not this one\? \/shim:dismiss$/,
  );
  const plain = tempRuntime({ beside: runtime });
  third.kill();
  const fourth = new Claude(plain, { cwd: dead.cwd, pid: 4_000, session: "fourth-session" });
  expect(fourth.tell("SessionStart", { source: "startup" }).systemMessage).toContain(
    `--dismiss ${dead.session.slice(0, 10)}-`,
  );
});

it("[RE115] a run of a script has no line, only the hint for its model", () => {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  const dead = aDeadClaude(runtime);
  const printed = anotherClaude(runtime, dead).tell("SessionStart", { source: "startup" });
  expect(printed.systemMessage).toBeUndefined();
  expect(printed.hookSpecificOutput?.additionalContext).toContain(dead.session);
});

it("[RE114] a resumed chat has a line where a tool was running or files have changed, and none otherwise", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  const path = join(claude.cwd, "a.ts");
  const reopen = (): string | undefined => {
    claude.kill();
    runtime.wait(200_000);
    claude.pid += 10;
    runtime.processes.start(claude.pid);
    return claude.tell("SessionStart", { source: "resume" }).systemMessage;
  };
  claude.prompt("fix the parser");
  claude.write(path, "old");
  claude.stop();
  expect(reopen()).toBeUndefined();
  claude.prompt("build it");
  claude.begin("Bash", { command: "make" });
  writeFileSync(path, "new");
  expect(reopen()).toBe(
    "SHIM: this chat died 3 min ago (killed); Bash was running, 1 file changed since. Claude knows.",
  );
});

it("[RE113] a title is one short line without control characters, escape sequences, marks of direction and quotes", () => {
  expect(quotedTitle('\u001b[31mred\u001b[0m "one"\r\n\u0007two\u202e three\u2028four')).toBe(
    "\"red 'one' two three four\"",
  );
  expect(quotedTitle("long ".repeat(40))).toMatch(/^"long long .{40,50} \.\.\."$/);
  expect(Array.from(quotedTitle("\u{1F600}".repeat(100)))).toHaveLength(62);
  expect(quotedTitle(" \u0000 ")).toBe("an untitled chat");
  expect(quotedTitle(null)).toBe("an untitled chat");
});
