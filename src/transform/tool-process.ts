import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, extname, join, posix, sep } from "node:path";
import type { InstalledTool, ProjectView, ToolOutput } from "../analysis/adapter.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { diskPath, displayPath, rawList, type Git } from "../snapshots/git.ts";
import { indexEntries } from "../snapshots/work-tree.ts";
import { hasTrackedFiles } from "../tool-runner/history.ts";
import { modulesOf, openCopy, openProject } from "../tool-runner/project-folder.ts";
import { runTool } from "../tool-runner/run-tool.ts";
import { type ChangedFile, gitInFolder } from "../worker-runner/work-git.ts";
import type { WorkDeps } from "../worker-runner/worktrees.ts";
import type { Change } from "./change.ts";
import {
  transformersFor,
  type RuleCount,
  type TransformCommand,
  type TransformContext,
  type Transformer,
} from "./transformers.ts";
import { linkModulesBeside, type ThrowawayWorktree, type WorktreeSource } from "./worktree.ts";

/** `script`: the project's own, by its package.json; none: nothing judges the change. */
export type Tests = "script" | "none" | readonly [program: string, ...args: string[]];

export type Release = () => Promise<void>;

export interface TransformRequest {
  readonly source: WorktreeSource;
  readonly change: (tree: string) => Result<Change, Failure>;
  /** Relative to the top, with `/`; empty: everything. */
  readonly paths: readonly string[];
  /** Whether code of the project may run. */
  readonly isTrusted: boolean;
  /** None (null): a dry run, which reserves nothing and runs no tests. */
  readonly offer: {
    readonly tests: Tests;
    readonly allowsRepeat: boolean;
    readonly reserve: (files: readonly string[]) => Promise<Result<Release, Failure>>;
  } | null;
  /** Limit of each start of the tool, and of the tests. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onOutput: (text: string) => void;
}

export interface TransformReport {
  readonly tool: string;
  readonly version: string | null;
  readonly base: string;
  /** On no branch; null where nothing was changed. */
  readonly commit: string | null;
  readonly files: readonly ChangedFile[];
  readonly insertions: number;
  readonly deletions: number;
  /** Empty for a tool that does not count. */
  readonly rules: readonly RuleCount[];
  readonly isIdempotent: boolean;
  readonly tests: { readonly command: string } | null;
  readonly leftOut: readonly { readonly path: string; readonly reason: string }[];
  readonly diff: string;
}

/** Finds the tool; it is installed, and trusted as far as it needs to be. */
export async function prepareTool(
  deps: WorkDeps,
  request: TransformRequest,
  worktree: ThrowawayWorktree,
): Promise<Result<PreparedTool, Failure>> {
  const { source, paths } = request;
  const { tree } = worktree;
  const change = request.change(tree);
  if (!change.ok) return change;
  const missing = paths.find((path) => !existsSync(join(tree, path)));
  if (missing !== undefined) return fail("bad_input", `${missing} is not in the commit that the worktree starts from.`);
  const project = findProject(tree, paths);
  // Settings are those of the commit, tools are where they are installed.
  const installed = openProject(join(source.top, project));
  const view = openCopy(installed, join(tree, project));
  const chosen = chooseTool(transformersFor(change.value), view, installed.root);
  if (!chosen.ok) return chosen;
  const { transformer, tool } = chosen.value;
  const risk = request.isTrusted ? null : await findRisk(deps, source.top, chosen.value);
  if (risk !== null) return fail("not_trusted", `${transformer.name} would run code of the project: ${risk}.`);
  linkModulesBeside({ top: source.top, tree }, project);
  const subject = subjectOf(change.value, transformer);
  return ok(new PreparedTool(deps, request, worktree, { transformer, tool, view, project, subject }));
}

function subjectOf(change: Change, { name }: Transformer): string {
  if (change.kind === "codemod") return `${basename(change.path)}, by ${name}`;
  if (change.kind === "lint-fix") return `fixes of ${name}`;
  const ids = [...change.text.matchAll(/^id: *([\w-]{1,60})/gm)].map(([, id]) => id);
  return `${ids.slice(0, maxNamedRules).join(", ") || "rules"}, by ${name}`;
}

const maxNamedRules = 3;

/** The nearest folder with a package.json above all paths, else the top. */
function findProject(tree: string, paths: readonly string[]): string {
  let folder = paths.length === 0 ? "." : commonFolder(tree, paths);
  while (folder !== "." && !existsSync(join(tree, folder, "package.json"))) folder = dirname(folder);
  return folder;
}

function commonFolder(tree: string, paths: readonly string[]): string {
  const folders = paths.map((path) => (lstatSync(join(tree, path)).isDirectory() ? path : posix.dirname(path)));
  const [first = ".", ...rest] = folders.map((folder) => posix.normalize(folder));
  let common = first;
  while (common !== "." && !rest.every((folder) => folder === common || folder.startsWith(`${common}/`)))
    common = posix.dirname(common);
  return common;
}

interface ChosenTool {
  readonly transformer: Transformer;
  readonly tool: InstalledTool;
  readonly risk: string | null;
}

/** [TX5] Names what is missing; nothing is downloaded. */
function chooseTool(
  transformers: readonly Transformer[],
  view: ProjectView,
  from: string,
): Result<ChosenTool, Failure> {
  const reasons: string[] = [];
  for (const transformer of transformers) {
    const detection = transformer.detect(view, from);
    if (detection.kind === "ready") return ok({ transformer, tool: detection.tool, risk: detection.risk });
    reasons.push(detection.why);
  }
  return fail("no_tool", `${reasons.join("; ")}.`);
}

/** [TX5] @returns null: only data of the project takes part */
async function findRisk({ env }: WorkDeps, top: string, { tool, risk }: ChosenTool): Promise<string | null> {
  const repository = { git: gitInFolder(env, top), top, prefix: "" };
  const isTracked = risk === null && (await hasTrackedFiles(repository, modulesOf(tool)));
  return isTracked ? "the repository brings its own node_modules" : risk;
}

interface ReadyTool extends Pick<ChosenTool, "transformer" | "tool"> {
  readonly view: ProjectView;
  /** Folder of the nearest package.json, relative to the top. */
  readonly project: string;
  /** Subject of the commit. */
  readonly subject: string;
}

/** Does the work in a worktree. */
export class PreparedTool {
  readonly ready: ReadyTool;
  readonly #deps: WorkDeps;
  readonly #request: TransformRequest;
  readonly #worktree: ThrowawayWorktree;
  readonly #lineEnds = new Map<string, LineEnds>();

  constructor(deps: WorkDeps, request: TransformRequest, worktree: ThrowawayWorktree, ready: ReadyTool) {
    this.#deps = deps;
    this.#request = request;
    this.#worktree = worktree;
    this.ready = ready;
  }

  async count(): Promise<Result<readonly RuleCount[], Failure>> {
    const { count } = this.ready.transformer;
    if (!count) return ok([]);
    const output = await this.#start(count.command(this.#context()));
    return output.ok ? ok(count.parse(output.value)) : output;
  }

  apply(): Promise<Result<null, Failure>> {
    const git = this.#worktree.git(this.#request.signal);
    return withoutOuterLinks(git, this.#worktree.tree, () => this.#apply());
  }

  async #apply(): Promise<Result<null, Failure>> {
    for (const command of await this.ready.transformer.apply(this.#context())) {
      const output = await this.#start(command);
      if (!output.ok) return output;
      this.#request.onOutput(`${output.value.stdout}${output.value.stderr}`);
    }
    this.#restoreLineEnds();
    return ok(null);
  }

  #context(): TransformContext {
    const { project, view } = this.ready;
    const { paths, isTrusted } = this.#request;
    const relativePaths = paths.map((path) => `./${posix.relative(project, path)}`);
    return {
      project: view,
      isTrusted,
      paths: relativePaths.length === 0 ? ["."] : relativePaths,
      writeScratch: (name, text) => {
        const path = join(this.#scratch, name);
        writeFileSync(path, text);
        return path;
      },
      listFiles: (endings) => this.#listFiles(endings),
    };
  }

  get #scratch(): string {
    const folder = join(this.#worktree.folder, "scratch");
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** [TX9] Remembers the line ends of the files that a codemod gets. */
  async #listFiles(endings: readonly string[]): Promise<string[]> {
    const { paths } = this.#request;
    const git = this.#worktree.git(this.#request.signal);
    const literal = { ...git, before: [...git.before, "--literal-pathspecs"] };
    const listed = await rawList(literal, ["ls-files", "-z", "--", ...(paths.length === 0 ? ["."] : paths)]);
    const files = listed.map(displayPath).filter((path) => endings.includes(extname(path)) && this.#isReadable(path));
    for (const path of files) {
      const ends = lineEndsOf(readFileSync(join(this.#worktree.tree, path), "latin1"));
      if (ends !== null && !this.#lineEnds.has(path)) this.#lineEnds.set(path, ends);
    }
    return files.map((path) => posix.relative(this.ready.project, path));
  }

  /** A symbolic link may lead out of the worktree. */
  #isReadable(path: string): boolean {
    const stats = lstatSync(join(this.#worktree.tree, path), { throwIfNoEntry: false });
    return stats?.isFile() === true && !path.includes("\n");
  }

  #restoreLineEnds(): void {
    for (const [path, ends] of this.#lineEnds) {
      if (!this.#isReadable(path)) continue;
      const file = join(this.#worktree.tree, path);
      const text = readFileSync(file, "latin1");
      const restored = withLineEnds(text, ends);
      if (restored !== text) writeFileSync(file, restored, "latin1");
    }
  }

  async #start({ args, script, codes }: TransformCommand): Promise<Result<ToolOutput, Failure>> {
    const { transformer, tool, view } = this.ready;
    const { timeoutMs, signal } = this.#request;
    const { permissions } = transformer;
    const words = script === undefined ? [tool.path] : ["-e", script, "--", tool.path];
    const started = await runTool({
      tool: permissions ? { ...tool, path: process.execPath, isScript: false } : tool,
      command: { args: permissions ? [...this.#confine(permissions), ...words, ...args] : args },
      folder: view.root,
      scratch: this.#scratch,
      env: this.#deps.env,
      timeMs: timeoutMs,
      signal,
    });
    if (signal.aborted) return fail("stopped", "the transform was stopped.");
    if (!started.ok) return fail("tool_failed", `${transformer.name} ${started.error}.`);
    const { code } = started.value;
    if (codes.includes(code)) return started;
    return fail("tool_failed", `${transformer.name} ended with exit code ${code}: ${lastWords(started.value)}`);
  }

  /** [TX6] Node then writes only here, and starts no other program. */
  #confine(permissions: readonly string[]): string[] {
    const writable = [this.#worktree.tree, this.#scratch];
    return ["--permission", "--allow-fs-read=*", ...writable.map((path) => `--allow-fs-write=${path}`), ...permissions];
  }
}

const maxWords = 600;

function lastWords({ stdout, stderr }: ToolOutput): string {
  const text = stderr.trim() || stdout.trim() || "it printed nothing";
  return text.length > maxWords ? `...${text.slice(-maxWords)}` : text;
}

export type LineEnds = "\n" | "\r\n";

/** Pure. @returns null for a text with no line end, or with both kinds */
export function lineEndsOf(text: string): LineEnds | null {
  const lf = text.split("\n").length - 1;
  const crlf = text.split("\r\n").length - 1;
  if (lf === 0 || (crlf > 0 && crlf < lf)) return null;
  return crlf > 0 ? "\r\n" : "\n";
}

/** Pure. */
export function withLineEnds(text: string, ends: LineEnds): string {
  return text.replaceAll(/\r?\n/g, ends);
}

const linkMode = "120000";

/** [TX6] While the work is done no tracked symbolic link leads out of the worktree. */
async function withoutOuterLinks<T>(git: Git, tree: string, work: () => Promise<T>): Promise<T> {
  const links = (await indexEntries(git)).filter(({ mode }) => mode === linkMode);
  const top = `${realpathSync(tree)}${sep}`;
  const outer = links.map(({ path }) => diskPath(tree, path)).filter((path) => isOuter(path, top));
  const targets = outer.map((path) => readlinkSync(path, "buffer"));
  for (const path of outer) unlinkSync(path);
  try {
    return await work();
  } finally {
    for (const [index, path] of outer.entries()) restore(path, targets[index]);
  }
}

/** A link without a target counts as one: a file could be made there. */
function isOuter(path: Buffer, top: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return false;
  try {
    return !`${realpathSync(path)}${sep}`.startsWith(top);
  } catch {
    return true;
  }
}

/** A file that the tool has made there stays, and so does a deleted folder. */
function restore(path: Buffer, target: Buffer | undefined): void {
  const folder = path.subarray(0, path.lastIndexOf(sep));
  const isFree = lstatSync(path, { throwIfNoEntry: false }) === undefined;
  const hasFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  if (target !== undefined && isFree && hasFolder) symlinkSync(target, path);
}
