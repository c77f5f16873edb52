import { fail, type Failure } from "../shared/failure.ts";
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, posix } from "node:path";
import type { InstalledTool, ProjectView, ToolOutput } from "../analysis/adapter.ts";
import { defaultMemoryMb } from "../tool-runner/analyze.ts";
import { hasTrackedFiles } from "../tool-runner/history.ts";
import { probeIsolation, type Isolation } from "../tool-runner/isolation.ts";
import { modulesOf, openCopy, openProject } from "../tool-runner/project-folder.ts";
import { runTool, systemPath } from "../tool-runner/run-tool.ts";
import { ok, type Result } from "../shared/result.ts";
import { displayPath, rawList } from "../snapshots/git.ts";
import { gitInFolder } from "../worker-runner/work-git.ts";
import type { WorkDeps } from "../worker-runner/work-deps.ts";
import type { Change } from "./change.ts";
import { lineEndsOf, withLineEnds, type LineEnds } from "./line-ends.ts";
import { withoutOuterLinks } from "./outer-links.ts";
import { linkModulesBeside } from "./link-modules.ts";
import type { TransformRequest } from "./request.ts";
import type { ThrowawayWorktree } from "./throwaway-worktree.ts";
import {
  transformersFor,
  type RuleCount,
  type TransformCommand,
  type TransformContext,
  type Transformer,
} from "./transformers.ts";

/** A tool that is installed, trusted as far as it needs to be, and ready in a worktree. */
export interface PreparedTool {
  readonly name: string;
  /** Subject of the commit. */
  readonly subject: string;
  readonly version: string | null;
  /** Folder of the nearest package.json, relative to the top. */
  readonly project: string;
  readonly count: () => Promise<Result<readonly RuleCount[], Failure>>;
  readonly apply: () => Promise<Result<null, Failure>>;
}

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
  const risk = request.isTrusted ? null : await findRisk(deps, request, chosen.value);
  if (risk !== null) return fail("not_trusted", `${transformer.name} would run code of the project: ${risk}.`);
  linkModulesBeside({ top: source.top, tree }, project);
  const process = new ToolProcess(deps, request, worktree, { transformer, tool, view, project });
  return ok({
    name: transformer.name,
    subject: subjectOf(change.value, transformer),
    version: tool.version,
    project,
    count: () => process.count(),
    apply: () => process.apply(),
  });
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
async function findRisk(
  { env }: WorkDeps,
  { source: { top } }: TransformRequest,
  { tool, risk }: ChosenTool,
): Promise<string | null> {
  const repository = { git: gitInFolder(env, top), top, prefix: "" };
  const isTracked = risk === null && (await hasTrackedFiles(repository, modulesOf(tool)));
  return isTracked ? "the repository brings its own node_modules" : risk;
}

type ReadyTool = Pick<ChosenTool, "transformer" | "tool"> & { readonly project: string; readonly view: ProjectView };

class ToolProcess {
  readonly #deps: WorkDeps;
  readonly #request: TransformRequest;
  readonly #worktree: ThrowawayWorktree;
  readonly #chosen: ReadyTool;
  readonly #isolation: Isolation;
  readonly #lineEnds = new Map<string, LineEnds>();

  constructor(deps: WorkDeps, request: TransformRequest, worktree: ThrowawayWorktree, chosen: ReadyTool) {
    this.#deps = deps;
    this.#isolation = probeIsolation(systemPath(deps.env));
    this.#request = request;
    this.#worktree = worktree;
    this.#chosen = chosen;
  }

  async count(): Promise<Result<readonly RuleCount[], Failure>> {
    const { count } = this.#chosen.transformer;
    if (!count) return ok([]);
    const output = await this.#start(count.command(this.#context()));
    return output.ok ? ok(count.parse(output.value)) : output;
  }

  apply(): Promise<Result<null, Failure>> {
    const git = this.#worktree.git(this.#request.signal);
    return withoutOuterLinks(git, this.#worktree.tree, () => this.#apply());
  }

  async #apply(): Promise<Result<null, Failure>> {
    for (const command of await this.#chosen.transformer.apply(this.#context())) {
      const output = await this.#start(command);
      if (!output.ok) return output;
      this.#request.onOutput(`${output.value.stdout}${output.value.stderr}`);
    }
    this.#restoreLineEnds();
    return ok(null);
  }

  #context(): TransformContext {
    const { project, view } = this.#chosen;
    const { paths, isTrusted } = this.#request;
    const relativePaths = paths.map((path) => `./${posix.relative(project, path)}`);
    return {
      project: view,
      isTrusted,
      paths: relativePaths.length === 0 ? ["."] : relativePaths,
      writeScratch: (name, text) => this.#writeScratch(name, text),
      listFiles: (endings) => this.#listFiles(endings),
    };
  }

  #writeScratch(name: string, text: string): string {
    const path = join(this.#scratch, name);
    writeFileSync(path, text);
    return path;
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
    for (const path of files) this.#rememberLineEnds(path);
    return files.map((path) => posix.relative(this.#chosen.project, path));
  }

  /** A symbolic link may lead out of the worktree. */
  #isReadable(path: string): boolean {
    const stats = lstatSync(join(this.#worktree.tree, path), { throwIfNoEntry: false });
    return stats?.isFile() === true && !path.includes("\n");
  }

  #rememberLineEnds(path: string): void {
    if (this.#lineEnds.has(path)) return;
    const ends = lineEndsOf(readFileSync(join(this.#worktree.tree, path), "latin1"));
    if (ends !== null) this.#lineEnds.set(path, ends);
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
    const { transformer, tool, view } = this.#chosen;
    const { timeoutMs, signal } = this.#request;
    const { permissions } = transformer;
    const started = await runTool({
      tool: permissions ? { ...tool, path: process.execPath, isScript: false } : tool,
      command: {
        args: permissions ? [...this.#confine(permissions), ...nodeWords(tool, script), ...args] : args,
      },
      folder: view.root,
      scratch: this.#scratch,
      env: this.#deps.env,
      isolation: this.#isolation,
      memoryMb: defaultMemoryMb,
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

function nodeWords({ path }: InstalledTool, script: string | undefined): string[] {
  return script === undefined ? [path] : ["-e", script, "--", path];
}

const maxWords = 600;

function lastWords({ stdout, stderr }: ToolOutput): string {
  const text = stderr.trim() || stdout.trim() || "it printed nothing";
  return text.length > maxWords ? `...${text.slice(-maxWords)}` : text;
}
