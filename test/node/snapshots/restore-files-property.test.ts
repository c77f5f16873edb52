import { chmodSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { displayPath } from "#src/snapshots/git.ts";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import {
  contents,
  git,
  HOST,
  LIMITS,
  makeProject,
  purge,
  T0,
  taken,
  write,
  type GitProject,
} from "#harness/machine/git-project.ts";

const name = fc.constantFrom("a", "b.txt", "d/c", "d/e/f", "g h", "ü", "d.x", ".env", "k.pem", "out.log", "big");
const content = fc.oneof(
  fc.string({ maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(3_000, "x")),
);
type Edit =
  | { kind: "write"; name: string; content: Buffer; isExecutable: boolean }
  | { kind: "remove" | "link"; name: string }
  | { kind: "add" }
  | { kind: "commit" }
  | { kind: "gc" };

const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("write" as const), name, content, isExecutable: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("remove" as const, "link" as const), name }) },
  { weight: 1, arbitrary: fc.constantFrom<Edit>({ kind: "add" }, { kind: "commit" }, { kind: "gc" }) },
);

function apply({ project }: GitProject, step: Edit): void {
  if (step.kind === "add") git(project, "add", "-A");
  else if (step.kind === "commit") git(project, "commit", "--quiet", "--allow-empty", "-a", "-m", "step");
  else if (step.kind === "gc") purge(project);
  else {
    const path = join(project, step.name);
    try {
      rmSync(path, { recursive: true, force: true });
      if (step.kind === "write") {
        write(project, { [step.name]: step.content });
        chmodSync(path, step.isExecutable ? 0o755 : 0o644);
      } else if (step.kind === "link") symlinkSync("b.txt", path);
    } catch (error) {
      // A parent is a file or a dangling link in this sequence: the edit is not possible, as for a user.
      expect(["ENOTDIR", "EEXIST", "ENOENT"]).toContain((error as NodeJS.ErrnoException).code);
    }
  }
}

it(
  "[GS4] any sequence of edits comes back byte for byte, but for what is named as left out @night",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 12 }), fc.nat({ max: 11 }), async (steps, at) => {
        const from = makeProject({
          "b.txt": "b\n",
          "d/c": "c\n",
          ".gitignore": "*.log\n",
          big: Buffer.alloc(3_000, "y"),
        });
        try {
          const limits = { ...LIMITS, maxFileBytes: 2_000 };
          for (const [index, step] of steps.entries()) {
            apply(from, step);
            if (index === at) await taken(from, { checkpointId: "before", limits });
          }
          const snapshot = await taken(from, { limits });
          const work = contents(from.project);
          const leftOut = new Set(snapshot.leftOut.map(({ path }) => path));
          rmSync(join(from.project, ".git"), { recursive: true });
          const { repository, commit } = snapshot;
          const into = join(from.root, "into");
          const result = await restoreFiles({ ...HOST, repository, commit, into, now: T0, timeoutMs: 60_000 });
          expect(result).toMatchObject({ ok: true, value: { notRestored: [] } });
          const back = contents(join(from.root, "into"));
          const isExpected = ([path]: [string, string]) => !leftOut.has(displayPath(path));
          const expected = Object.entries(work).filter((each) => isExpected(each) && !each[0].endsWith(".log"));
          expect(Object.fromEntries(Object.entries(back).filter(isExpected))).toEqual(Object.fromEntries(expected));
          for (const path of leftOut) {
            const isSecret = path === ".env" || path === "k.pem";
            expect(isSecret || statSync(join(from.project, path)).size > limits.maxFileBytes).toBe(true);
          }
        } finally {
          rmSync(from.root, { recursive: true, force: true });
        }
      }),
      { numRuns: Number(process.env["SHIM_RESTORED_EDITS"] ?? 8) },
    );
  },
);
