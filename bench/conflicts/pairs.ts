import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../random.ts";
import { scaled } from "../measure.ts";

/** The text of a file after each of its edits; null: the file is not there. */
export interface Edit {
  readonly path: string;
  readonly text: string | null;
}

/** Two chats that begin at one commit. */
export interface Pair {
  readonly name: string;
  readonly edits: readonly [readonly Edit[], readonly Edit[]];
}

export interface Task {
  /** Git folder that has the commit. */
  readonly repository: string;
  readonly base: string;
  readonly pairs: readonly Pair[];
}

export function git(folder: string, ...args: string[]): string {
  const identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"];
  return execFileSync("git", ["-C", folder, ...identity, ...args], {
    encoding: "utf8",
    maxBuffer: 268_435_456,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** Tasks of a clone of CooperBench, for whose base commits a repository is in the folder of clones. */
export function* readTasks(dataset: string, clones: string): Generator<Task> {
  const files = git(dataset, "ls-tree", "-r", "--name-only", "HEAD", "dataset/").split("\n");
  const repositories = readdirSync(clones)
    .flatMap((name) => [join(clones, name), join(clones, name, "repo")])
    .filter((path) => existsSync(join(path, "HEAD")) || existsSync(join(path, ".git")));
  for (const setUp of files.filter((path) => path.endsWith("/setup.sh"))) {
    const folder = setUp.slice(0, -"/setup.sh".length);
    const base = /BASE_COMMIT="?([0-9a-f]{40})/.exec(git(dataset, "show", `HEAD:${setUp}`))?.[1] ?? "";
    const repository = repositories.find((path) => has(path, base));
    if (repository === undefined) continue;
    const patches = files.filter((path) => path.startsWith(`${folder}/`) && path.endsWith("/feature.patch"));
    const features = patches.map((path) => readEdits(git(dataset, "show", `HEAD:${path}`), repository, base));
    const pairs = features.flatMap((one, at) =>
      features.slice(at + 1).flatMap((two, more) => {
        const name = `${folder.slice("dataset/".length)} ${at + 1} ${at + more + 2}`;
        return one && two ? { name, edits: [one, two] as const } : [];
      }),
    );
    yield { repository, base, pairs };
  }
}

function has(repository: string, commit: string): boolean {
  try {
    git(repository, "cat-file", "-e", `${commit}^{tree}`);
    return true;
  } catch {
    return false;
  }
}

/** Each hunk of a patch is an edit. @returns null where it does not fit */
function readEdits(patch: string, repository: string, base: string): Edit[] | null {
  const edits: Edit[] = [];
  for (const part of patch.split(/^diff --git /m).slice(1)) {
    const [head = "", ...hunks] = part.split(/^(?=@@ )/m);
    const [, before] = /^--- a\/(.*)$/m.exec(head) ?? [];
    const [, path = before] = /^\+\+\+ b\/(.*)$/m.exec(head) ?? [];
    if (path === undefined || /^(rename|copy|GIT binary)/m.test(head)) return null;
    if (head.includes("\ndeleted file")) edits.push({ path, text: null });
    else {
      const texts = applied(before === undefined ? "" : textAt(repository, base, before), hunks);
      if (texts === null) return null;
      edits.push(...texts.map((text) => ({ path, text })));
    }
  }
  return edits;
}

function textAt(repository: string, commit: string, path: string): string {
  return git(repository, "cat-file", "blob", `${commit}:${path}`);
}

/** The text after each hunk; null where one does not fit. */
function applied(text: string, hunks: readonly string[]): string[] | null {
  let lines = text.split("\n");
  let shift = 0;
  const texts: string[] = [];
  for (const hunk of hunks) {
    const [header = "", ...body] = hunk.replace(/\n$/, "").split("\n");
    const [, start = "0", count = "1"] = /^@@ -(\d+)(?:,(\d+))? /.exec(header) ?? [];
    const changes = body.filter((line) => /^[ +-]/.test(line) || line === "");
    const kept = changes.filter((line) => !line.startsWith("+")).map((line) => line.slice(1));
    const made = changes.filter((line) => !line.startsWith("-")).map((line) => line.slice(1));
    const at = (count === "0" ? Number(start) : Number(start) - 1) + shift;
    const found = lines.slice(at, at + Number(count));
    if (found.join("\n") !== kept.slice(0, Number(count)).join("\n")) return null;
    const written = made.slice(0, made.length - (kept.length - Number(count)));
    lines = [...lines.slice(0, at), ...written, ...lines.slice(at + Number(count))];
    shift += written.length - Number(count);
    texts.push(lines.join("\n"));
  }
  return texts;
}

const [files, linesOfFile, edits] = [4, 40, scaled(6, 2)];

/** Pairs of chats that change drawn lines of drawn files; about half of them meet. */
export function generatePairs(repository: string, count: number, random: Random): Task {
  const base = git(repository, "rev-parse", "HEAD").trim();
  const chat = (name: string): Edit[] => {
    const texts = new Map<string, string[]>();
    return Array.from({ length: edits }, (_, at) => {
      const path = `file${random.between(0, files - 1)}.txt`;
      const lines = texts.get(path) ?? textAt(repository, base, path).split("\n");
      texts.set(path, lines);
      lines[random.between(0, linesOfFile - 1)] = `${name} ${at}`;
      return { path, text: lines.join("\n") };
    });
  };
  const pairs = Array.from({ length: count }, (_, at) => ({
    name: `pair ${at}`,
    edits: [chat("a"), chat("b")] as const,
  }));
  return { repository, base, pairs };
}

export function generatedFiles(): Record<string, string> {
  const text = Array.from({ length: linesOfFile }, (_, at) => `line ${at}\n`).join("");
  return Object.fromEntries(Array.from({ length: files }, (_, at) => [`file${at}.txt`, text]));
}
