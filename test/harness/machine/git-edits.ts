import { chmodSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect } from "vitest";
import { git, purge, write, type GitProject } from "./git-project.ts";

const name = fc.constantFrom("a", "b.txt", "d/c", "d/e/f", "g h", "ü", "d.x", ".env", "k.pem", "out.log", "big");
const content = fc.oneof(
  fc.string({ maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(3_000, "x")),
);

export type Edit = (from: GitProject) => void;

function byHand(path: string, work: (path: string) => void): Edit {
  return ({ project }) => {
    try {
      rmSync(join(project, path), { recursive: true, force: true });
      work(join(project, path));
    } catch (error) {
      // A parent is a file or a dangling link in this sequence: the edit is not possible, as for a user.
      expect(["ENOTDIR", "EEXIST", "ENOENT"]).toContain((error as NodeJS.ErrnoException).code);
    }
  };
}

const written = fc.tuple(name, content, fc.boolean()).map(([path, bytes, isExecutable]) =>
  byHand(path, (file) => {
    write("/", { [file]: bytes });
    chmodSync(file, isExecutable ? 0o755 : 0o644);
  }),
);
const removed = name.map((path) => byHand(path, () => undefined));
const linked = name.map((path) => byHand(path, (file) => symlinkSync("b.txt", file)));
const byGit = fc.constantFrom<Edit>(
  ({ project }) => void git(project, "add", "-A"),
  ({ project }) => void git(project, "commit", "--quiet", "--allow-empty", "-a", "-m", "step"),
  ({ project }) => purge(project),
);

export const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: written },
  { weight: 3, arbitrary: fc.oneof(removed, linked) },
  { weight: 1, arbitrary: byGit },
);
