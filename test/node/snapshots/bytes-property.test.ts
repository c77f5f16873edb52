import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import { restoreWorktree } from "#src/snapshots/restore-worktree.ts";
import { undoFiles, type UndoInput } from "#src/snapshots/undo-files.ts";
import {
  commitAll,
  contents,
  git,
  HOST,
  LIMITS,
  makeProject,
  reasonFor,
  T0,
  taken,
  write,
  type GitProject,
} from "#harness/machine/git-project.ts";

const names = ["a.txt", "d/b.c", "c.dat", "e.utf"];
const ends = ["\n", "\r\n", "\r"];
const words = [
  "one",
  "",
  "$Id$",
  "$Id: 0123456789012345678901234567890123456789 $",
  "\0",
  "é",
  "version https://git-lfs",
];

const content = fc
  .array(fc.tuple(fc.constantFrom(...words), fc.constantFrom(...ends)), { minLength: 1, maxLength: 6 })
  .map((lines) => lines.map((line) => line.join("")).join(""));
const files = fc.dictionary(fc.constantFrom(...names), content, { minKeys: 1 });

const attributes = fc.array(
  fc.tuple(
    fc.constantFrom("*", "*.txt", "*.c", "*.dat", "*.utf"),
    fc.constantFrom(
      "text=auto",
      "text=auto eol=crlf",
      "text eol=crlf",
      "text eol=lf",
      "eol=crlf",
      "crlf=input",
      "-text",
      "ident",
      "filter=lfs diff=lfs merge=lfs -text",
      "working-tree-encoding=UTF-16",
    ),
  ),
  { maxLength: 4 },
);

const undone: Pick<UndoInput, "stamps" | "others" | "chosen"> = { stamps: [], others: [], chosen: [] };
const step = { unsaved: null, isWhole: true, interruptedAt: null, edited: [], isOnlyEdited: false, sharedWith: null };

it(
  "whatever git converts, a snapshot, a fork and an undo have the bytes of the work tree @night",
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          autocrlf: fc.constantFrom("false", "true", "input"),
          attributes,
          inClone: attributes,
          committed: files,
          edited: files,
          changed: files,
          isAdded: fc.boolean(),
        }),
        async ({ autocrlf, committed, edited, changed, isAdded, ...rules }) => {
          const [inTree, inClone] = [rules.attributes, rules.inClone].map((lines) =>
            lines.map((words) => `${words.join(" ")}\n`).join(""),
          );
          const from = makeProject({ "first.txt": "first\n" });
          const { project, root } = from;
          try {
            for (const [key, value] of Object.entries({ "core.autocrlf": autocrlf, "core.safecrlf": "false" }))
              git(project, "config", key, value);
            write(project, { ".gitattributes": inTree ?? "", ".git/info/attributes": inClone ?? "" });
            write(project, committed);
            tolerated(() => commitAll(project, "converted"));
            write(project, edited);
            if (isAdded) tolerated(() => git(project, "add", "-A"));
            const before = contents(project);
            const first = await taken(from, { checkpointId: "first" });
            write(project, changed);
            const after = contents(project);
            const second = await taken(from, { checkpointId: "second" });
            expect([first.leftOut, second.leftOut]).toEqual([[], []]);
            for (const [name, { repository, commit }] of Object.entries({ first, second })) {
              const into = join(root, name);
              await restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000 });
              expect(contents(into)).toEqual(name === "first" ? before : after);
            }
            const { repository, commit, head } = first;
            const fork = { ...HOST, repository, commit, head, project, timeoutMs: 60_000 };
            const folder = join(root, "fork");
            expect(await restoreWorktree({ ...fork, folder, branch: "fork" })).toMatchObject({ ok: true });
            expect(contents(folder)).toEqual(before);
            const what = { steps: [{ ...step, start: commit, end: second.commit, leftOut: [] }] };
            expect(await undo(from, { what })).toMatchObject({ state: "done", left: [] });
            expect(contents(project)).toEqual(before);
          } finally {
            rmSync(root, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: Number(process.env["SHIM_CONVERTED_FILES"] ?? 12) },
    );
  },
);

/** Git does not take every content in another encoding. */
function tolerated(act: () => void): void {
  try {
    act();
  } catch (error) {
    expect(String(error)).toMatch(/failed to encode|encoding|BOM/);
  }
}

function undo({ project, snapshots }: GitProject, more: Pick<UndoInput, "what">): ReturnType<typeof undoFiles> {
  const input = { ...HOST, project, snapshots, checkpointId: "undo", now: T0, limits: LIMITS };
  return undoFiles({ ...input, ...undone, ...more, isApplied: true });
}

it("a file whose line endings alone have changed comes back, which git calls unchanged", async () => {
  const from = makeProject({ "a.txt": "one\ntwo\n", "b.txt": "b\n" });
  const { project } = from;
  git(project, "config", "core.autocrlf", "true");
  write(project, { "a.txt": "one\r\ntwo\r\n" });
  git(project, "add", "-A");
  expect(git(project, "status", "--porcelain")).toBe("");
  const { commit } = await taken(from, { checkpointId: "first" });
  write(project, { "a.txt": "one\ntwo\n" });
  const { commit: end } = await taken(from, { checkpointId: "second" });
  const what = { steps: [{ ...step, start: commit, end, leftOut: [] }] };
  expect(await undo(from, { what })).toMatchObject({ changes: [{ path: "a.txt", now: "changed" }], left: [] });
  expect(readFileSync(join(project, "a.txt"), "utf8")).toBe("one\r\ntwo\r\n");
});

it("converted files beyond the total are named, and an undo takes nothing back between the two forms", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "two\n" });
  git(from.project, "config", "core.autocrlf", "true");
  write(from.project, { "a.txt": "one\r\n", "b.txt": "two\r\n" });
  git(from.project, "add", "-A");
  const limits = { ...LIMITS, maxTotalBytes: 9 };
  const small = await taken(from, { checkpointId: "small", limits });
  expect(small.leftOut.map(({ path }) => path)).toEqual(["a.txt", "b.txt"]);
  expect(reasonFor(small, "a.txt")).toContain("the snapshot has git's form");
  const first = await taken(from, { checkpointId: "first" });
  expect(first.leftOut).toEqual([]);
  const what = { steps: [{ ...step, start: small.commit, end: first.commit, leftOut: [] }] };
  expect(await undo(from, { what })).toMatchObject({ changes: [], left: [{ path: "*" }] });
});
