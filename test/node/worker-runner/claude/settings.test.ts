import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome } from "#harness/machine/cli-home.ts";

it("[CX19] bypassed permissions are reported at the start of the worker", async () => {
  const home = aCliHome();
  const types = { fix: { folder: "gone", claude: { allowAll: true } }, test: { folder: "gone", claude: {} } };
  writeFileSync(join(home.project, "worker.json"), JSON.stringify({ types }));
  const { err } = await home.shim("worker --config worker.json");
  expect(err.match(/.*allowAll.*/g)).toEqual([
    "fix: Claude Code may use every tool and asks for no permission (allowAll).",
  ]);
});

it("[CX15] settings that cannot be meant are refused with their line, before anything is taken", async () => {
  const home = aCliHome();
  const told = async (...lines: string[]): Promise<string> => {
    const text = ["types:", "  fix:", "    folder: .", ...lines.map((line) => `    ${line}`)].join("\n");
    writeFileSync(join(home.project, "worker.yaml"), text);
    const { code, err } = await home.shim("worker --config worker.yaml");
    expect(code).toBe(2);
    return err;
  };
  expect(await told()).toContain("say how it is done: by a command, or by claude");
  expect(await told("claude: {}", "command: [make]")).toContain("say how it is done: by a command, or by claude");
  expect(await told("claude:", "  allowedTool: [Read]")).toMatch(/line 5: .*allowedTool/);
  for (const rule of ["--dangerously-skip-permissions", "Bash(", "Read Edit", "Bash (npm test)", '"Bash(a\\nb)"']) {
    expect(await told("claude:", `  allowedTools: [Read, ${rule}]`)).toMatch(/line 5: .*the name of a tool/);
  }
  const good = 'allowedTools: [Read, "Bash(npm test *)", mcp__my-docs__search, mcp__docs__*]';
  expect(await told("claude:", `  ${good}`, "  maxTurns: none")).toMatch(/line 6: [^;]*$/);
  expect(await told("claude:", "  settingSources: [everything]")).toMatch(/line 5: /);
  expect(await told("claude:", "  allowAll: sure")).toMatch(/line 5: /);
  expect(await told("claude:", "  env: [A=B]")).toMatch(/line 5: .*the name of a variable/);
  expect(await told("claude:", "  maxTurns: 0")).toMatch(/line 5: /);
  expect(await told("claude:", "  prices: {opus: {input: 5}}")).toMatch(/line 5: /);
});
