import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import type { ProjectView } from "#src/code/analysis/adapter.ts";
import { readChange, TransformTask, type Change } from "#src/code/transform/change.ts";
import { transformersFor, type TransformCommand, type TransformContext } from "#src/code/transform/transformers.ts";

const files = ["src/a.ts", "src/b.tsx", "src/c.js"];

function aContext(read: Readonly<Record<string, string>> = {}, isTrusted = true): TransformContext {
  const project: ProjectView = { root: "/p", read: (path) => read[path] ?? null, findTool: () => null };
  return {
    project,
    isTrusted,
    paths: ["./src"],
    writeScratch: (name) => `/scratch/${name}`,
    listFiles: (endings) => Promise.resolve(files.filter((file) => endings.some((ending) => file.endsWith(ending)))),
  };
}

async function commands(change: Change, context = aContext()): Promise<(readonly string[])[]> {
  const [transformer] = transformersFor(change);
  const applied: readonly TransformCommand[] = (await transformer?.apply(context)) ?? [];
  return applied.map(({ args }) => args);
}

it("each tool gets the paths, or the files for its parser", async () => {
  const scan = ["scan", "--config", "/scratch/sgconfig.yml", "--rule", "/scratch/rules.yml", "--update-all", "./src"];
  expect(await commands({ kind: "rules", text: "id: a" })).toEqual([scan]);
  const jscodeshift = await commands({ kind: "codemod", path: "/p/mod.js", tool: "jscodeshift" });
  expect(jscodeshift.map(([list, codemod, parser]) => [list, codemod, parser])).toEqual([
    ["/scratch/files-ts", "--transform=/p/mod.js", "--parser=ts"],
    ["/scratch/files-tsx", "--transform=/p/mod.js", "--parser=tsx"],
    ["/scratch/files-babel", "--transform=/p/mod.js", "--parser=babel"],
  ]);
  const change: Change = { kind: "codemod", path: "/p/mod.ts", tool: "ts-morph" };
  expect(await commands(change)).toEqual([["/scratch/files", "/p/mod.ts", ""]]);
  const configured = await commands(change, aContext({ "tsconfig.json": "{}" }));
  expect(configured).toEqual([["/scratch/files", "/p/mod.ts", "/p/tsconfig.json"]]);
});

function permissionsOf(change: Change): (readonly string[] | null)[] {
  return transformersFor(change).map(({ permissions }) => permissions);
}

it("codemods and ESLint run in Node's permission model, in which only plugins of ESLint have native code", () => {
  expect(permissionsOf({ kind: "codemod", path: "/p/mod.js", tool: "jscodeshift" })).toEqual([[]]);
  expect(permissionsOf({ kind: "codemod", path: "/p/mod.ts", tool: "ts-morph" })).toEqual([[]]);
  expect(permissionsOf({ kind: "lint-fix" })).toEqual([null, null, ["--allow-addons"]]);
});

it("lint-fix is the first linter that the project uses", async () => {
  const linters = transformersFor({ kind: "lint-fix" });
  const args = async (isTrusted: boolean): Promise<unknown[]> =>
    Promise.all(linters.map(async ({ name, apply }) => [name, (await apply(aContext({}, isTrusted)))[0]?.args]));
  expect(await args(true)).toEqual([
    ["oxlint", ["--fix", "./src"]],
    ["biome", ["lint", "--write", "./src"]],
    ["eslint", ["--fix", "./src"]],
  ]);
  expect((await args(false))[0]).toEqual(["oxlint", ["--fix", "--disable-nested-config", "./src"]]);
});

it("a folder's rules are one set, in the order of their names, and have a size limit", () => {
  const folder = temporaryFolder();
  write(folder, { "b.yaml": "id: b", "a.yml": "id: a", "note.txt": "" });
  expect(readChange(folder)).toEqual({ ok: true, value: { kind: "rules", text: "id: a\n---\nid: b" } });
  write(folder, { "c.yml": " ".repeat(1_048_577) });
  expect(readChange(join(folder, "c.yml"))).toMatchObject({ ok: false, error: { code: "bad_input" } });
});

function isAccepted(payload: object): boolean {
  return TransformTask.safeParse(payload).success;
}

it("a payload names no path out of the repository", () => {
  expect(isAccepted({ codemod: "codemods/a.cjs", paths: ["src/ü b", "..a/b"] })).toBe(true);
  for (const path of ["/etc", "..", "a/../../b", "a/..", "a\nb", ""])
    expect([path, isAccepted({ codemod: path }), isAccepted({ lintFix: true, paths: [path] })]).toEqual([
      path,
      false,
      false,
    ]);
});
