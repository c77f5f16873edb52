import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { failed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import { aTransformHome, varRule, type TransformHome } from "#harness/transform/transform-rig.ts";
import { submit } from "#harness/worker/cli-worker.ts";

interface Task {
  readonly state: string;
  readonly result: Record<string, unknown>;
  readonly attempts: { readonly reason?: string }[];
}

async function submitted(home: TransformHome, payload: object): Promise<string> {
  return submit(home, "transform --payload", JSON.stringify(payload));
}

function set(home: TransformHome, settings: string): void {
  writeFileSync(join(home.other, "worker.yaml"), `types:\n  transform: { repository: ../project, ${settings} }\n`);
}

/** One task. */
async function work(home: TransformHome): Promise<void> {
  set(home, "transform: { trust: true }");
  await home.shim("worker --config ../other/worker.yaml --max-tasks 1");
}

/** By a worker that ends with it. */
async function done(home: TransformHome, payload: object): Promise<Task> {
  const number = await submitted(home, payload);
  await work(home);
  return (await home.json("task show", number)) as unknown as Task;
}

it("a task with a rule leaves a branch with the change, after the repeat and the tests @night", async () => {
  const home = aTransformHome();
  const { state, result } = await done(home, { rule: varRule, paths: ["src"] });
  const output = {
    tool: "ast-grep",
    files: 2,
    insertions: 3,
    deletions: 3,
    tests: { command: "npm test" },
  };
  expect([state, result]).toMatchObject(["done", { output }]);
  expect(home.branches()).toEqual([result["branch"]]);
  expect(git(home.project, "show", `${String(result["branch"])}:src/a.ts`)).toContain("let b = 2");
  expect(home.leftovers()).toEqual(["output"]);
});

it("a codemod of the repository and the fixes of its linter are tasks, too; nothing to change leaves no branch @night", async () => {
  const home = aTransformHome();
  expect((await done(home, { codemod: "codemods/no-var.cjs", paths: ["src"] })).result["output"]).toMatchObject({
    tool: "jscodeshift",
    files: 2,
  });
  expect((await done(home, { lintFix: true, paths: ["check.js"] })).result).toMatchObject({
    branch: null,
    output: { files: 0 },
  });
});

it("a payload that is no transform, or names code elsewhere, fails for good @night", async () => {
  const home = aTransformHome();
  const cases: [object, RegExp][] = [
    [{}, /one of rule, codemod and lintFix/],
    [{ rule: varRule, lintFix: true }, /one of rule, codemod and lintFix/],
    [{ codemod: "../other/x.cjs" }, /has no \.\./],
    [{ codemod: "/etc/passwd" }, /a path in the repository/],
    [{ codemod: "none.cjs" }, /no file or folder in the repository/],
    [{ code: "module.exports = 1" }, /code/],
  ];
  for (const [payload, why] of cases) {
    const { state, attempts } = await done(home, payload);
    expect([payload, state, attempts]).toEqual([
      payload,
      "dead",
      [expect.objectContaining({ reason: expect.stringMatching(why) })],
    ]);
  }
  expect(home.branches()).toEqual([]);
});

it("without trust a worker runs no code of the repository, and its settings say so @night", async () => {
  const home = aTransformHome();
  const once = (): ReturnType<TransformHome["shim"]> => home.shim("worker --config ../other/worker.yaml --once");
  set(home, "transform: {}");
  expect(await once()).toMatchObject(failed(2, "tests run code of the repository"));
  set(home, "transform: { trust: true }, command: [a]");
  expect(await once()).toMatchObject(failed(2, "or by analyze, or by transform"));
  writeFileSync(join(home.other, "worker.yaml"), "types:\n  transform: { folder: ., transform: { tests: false } }\n");
  expect(await once()).toMatchObject(failed(2, "a folder is worked in as it is"));
  set(home, "transform: { trust: true, tests: [no-such-program] }");
  expect(await once()).toMatchObject(failed(2, "there is no program no-such-program"));
  set(home, "transform: { tests: false }");
  const rule = await submitted(home, { rule: varRule });
  const codemod = await submitted(home, { codemod: "codemods/no-var.cjs" });
  await once();
  expect(await home.json("task show", rule)).toMatchObject({ state: "done", result: { output: { tests: null } } });
  expect(await home.json("task show", codemod)).toMatchObject({
    state: "dead",
    detail: expect.stringContaining("would run code"),
  });
});

it("a file that another chat has reserved delays a task at no cost, and the reason names the chat @night", async () => {
  const home = aTransformHome();
  await home.shim("team files reserve src/a.ts");
  const number = await submitted(home, { rule: varRule });
  const reason = expect.stringMatching(/src\/a\.ts is reserved by .*cli-/);
  for (const times of [1, 2]) {
    await work(home);
    const { state, detail, attempts, dueInMs } = await home.json("task show", number);
    expect([state, detail, (attempts as object[]).length, dueInMs]).toEqual(["scheduled", reason, times, 60_000]);
    expect((attempts as object[])[0]).toMatchObject({ end: "released", reason });
    home.now += 60_000;
  }
  await home.shim("team files release");
  await work(home);
  expect(home.branches()).toHaveLength(1);
  expect((await home.shim("team files list")).out).toBe("Nothing is reserved in this project.\n");
});

it("--branch reserves what changes, and releases only that @night", async () => {
  const home = aTransformHome();
  const coordinator = home.coordinator();
  await home.shim("team files reserve src/a.ts");
  expect(await home.transform("rules --branch --no-tests")).toMatchObject({ code: 0 });
  expect(await home.json("team files list")).toMatchObject({ files: [{ path: "src/a.ts" }] });
  const [file] = (await home.json("team files list"))["files"] as [{ resource: string }];
  await home.shim("team files release");
  const chat = { chat: "b-chat", session: "b", process: "somewhere", machine: "m2", client: "test" };
  coordinator.call("chats.register", chat);
  const self = { chat: "b-chat", incarnation: 1 };
  coordinator.call("leases.acquire", { self, resource: file.resource, requestId: "r1", ttlMs: 3_600_000 });
  expect(await home.transform("rules --branch --no-tests")).toMatchObject(
    failed(1, "src/a.ts is reserved by", "b-chat"),
  );
  expect(await home.transform("rules")).toMatchObject({ code: 0 });
  expect(home.leftovers()).toEqual([]);
});

it("more than 200 files are reserved as the folders that were named @night", async () => {
  const many = Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`many/${at}.ts`, "var a = 1;\n"]));
  const home = aTransformHome({ ...many, "many/note.txt": "" });
  const coordinator = home.coordinator();
  await home.shim("team files reserve many/note.txt");
  const [note] = (await home.json("team files list"))["files"] as [{ resource: string }];
  await home.shim("team files release");
  coordinator.call("chats.register", { chat: "b-chat", session: "b", process: "x", machine: "m2", client: "test" });
  const self = { chat: "b-chat", incarnation: 1 };
  coordinator.call("leases.acquire", { self, resource: note.resource, requestId: "r1", ttlMs: 3_600_000 });
  const refusal = failed(1, "many/note.txt is reserved by", "b-chat");
  expect(await home.transform("rules many --branch --no-tests")).toMatchObject(refusal);
  expect(await home.transform("rules --branch --no-tests")).toMatchObject(refusal);
  expect(await home.transform("rules many/1.ts --branch --no-tests")).toMatchObject({ code: 0 });
});
