import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Report } from "#src/code/analysis/report.ts";
import { anAnalysedProject, install } from "#harness/analysis/project.ts";
import { aCliHome, failed, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { submit } from "#harness/worker/cli-worker.ts";

function aHome(settings = "{}"): CliHome {
  const home = aCliHome();
  home.alive.add(process.pid);
  anAnalysedProject(home);
  writeFileSync(
    join(home.other, "worker.yaml"),
    `types:\n  analyze:\n    folder: ../project\n    analyze: ${settings}\n`,
  );
  return home;
}

async function work(home: CliHome, payload: object): Promise<Record<string, unknown>> {
  const number = await submit(home, "analyze --payload", JSON.stringify(payload));
  await home.shim("worker --config ../other/worker.yaml --once");
  return await home.json("task show", number);
}

it("a worker does a task by an analysis: the result is a summary, the whole report a file @night", async () => {
  const home = aHome();
  const { state, result } = await work(home, { only: ["oxlint"] });
  const output = result as { report: string };
  expect(state).toBe("done");
  expect(output).toMatchObject({
    totals: { error: 1, warning: 0, note: 0, new: null },
    findings: [{ tool: "oxlint", rule: "eslint(no-debugger)", file: "src/a.js", line: 2, level: "error" }],
    omitted: 0,
    tools: [{ name: "oxlint", status: "ran" }],
  });
  expect(Report.parse(JSON.parse(readFileSync(output.report, "utf8"))).findings).toHaveLength(1);
});

it("with a commit the new findings come first @night", async () => {
  const home = aHome();
  write(home.project, { "src/z.js": "debugger;\n" });
  const { result } = await work(home, { since: "HEAD", only: ["oxlint"] });
  const output = result as { findings: { file: string; isNew: boolean }[] };
  expect(output.findings.map(({ file, isNew }) => [file, isNew])).toEqual([
    ["src/z.js", true],
    ["src/a.js", false],
  ]);
});

it("only the worker's settings give trust; a payload that is none fails for good @night", async () => {
  const evil = "require('node:fs').writeFileSync('ran', '');";
  const state = async (settings: string, payload: object): Promise<unknown> => {
    const home = aHome(settings);
    install(home.project, "knip", `${evil} console.log('{"issues":[]}')`);
    const { state: end, reason } = await work(home, payload);
    return [end, reason];
  };
  expect(await state("{}", { only: ["knip"] })).toEqual(["dead", "failed"]);
  expect(await state("{}", { only: ["knip"], trust: true })).toEqual(["dead", "failed"]);
  expect(await state("{}", { since: "gone" })).toEqual(["dead", "failed"]);
  expect(await state("{ trust: true }", { only: ["knip"] })).toEqual(["done", null]);
});

it("the settings name the folder, and one way to do a type", async () => {
  const home = aHome();
  const told = async (text: string): Promise<unknown> => {
    writeFileSync(join(home.other, "worker.yaml"), `types:\n  analyze:\n${text}`);
    return await home.shim("worker --config ../other/worker.yaml --once");
  };
  expect(await told("    analyze: {}\n")).toMatchObject(failed(2, "name the folder"));
  expect(await told("    analyze: {}\n    folder: .\n    command: [make]\n")).toMatchObject(failed(2, "or by analyze"));
});
