import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { MachineInput, MachineOutput } from "#src/contract/machine/operations.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { undoFiles } from "#src/snapshots/undo-files.ts";
import type { Runtime } from "#src/runtime/runtime.ts";
import { takeAwaited, takePending } from "#src/snapshots/stored-snapshots.ts";
import { Claude } from "./claude.ts";
import { GIT_ENV, makeRepository, temporaryFolder, write } from "./git-project.ts";
import type { CliHome } from "./cli-home.ts";
import { callsOf } from "./host-client.ts";
import { tempRuntime, type TempRuntime } from "./temp-runtime.ts";

/** A chat in a project whose tools really change files, and the operations of undo. */
export interface UndoRig {
  readonly runtime: TempRuntime;
  readonly project: string;
  readonly claude: Claude;
  /** A turn of the chat; each work is one call of the tool. */
  turn(prompt: string, ...works: readonly ToolWork[]): Promise<void>;
  /** The beginning of a turn that is not over. */
  begin(prompt: string, ...works: readonly ToolWork[]): Promise<void>;
  end(): Promise<void>;
  preview(input?: Partial<MachineInput<"undo.preview">>): Promise<MachineOutput<"undo.preview">>;
  undo(input?: Partial<MachineInput<"undo.apply">>): Promise<MachineOutput<"undo.apply">>;
  refusal(input: Partial<MachineInput<"undo.apply">>): Promise<string>;
}

export interface ToolWork {
  readonly tool: string;
  readonly path?: string;
  readonly work: () => void;
}

/** Work with git, which locks as a real process. */
const startJob: NonNullable<Runtime["startJob"]> = ({ name, input }, signal) => {
  const work = name === "undoFiles" ? undoFiles : takeSnapshot;
  return work({ ...input, processes: systemProcesses, ...(signal && { signal }) } as never);
};

export function anUndoRig(files: Record<string, string>, { isGit = true } = {}): UndoRig {
  const project = join(temporaryFolder(), "project");
  mkdirSync(project);
  if (isGit) makeRepository(project, files);
  else write(project, files);
  return undoRigOf({ ...tempRuntime({ env: GIT_ENV }), startJob }, project);
}

/** A chat in the project of this home, which becomes a git repository with these files. */
export function undoRigIn(home: CliHome, files: Record<string, string>): UndoRig {
  home.alive.add(process.pid);
  Object.assign(home.runtime.env, { PATH: `${join(home.folder, "path")}:${process.env["PATH"]}` });
  makeRepository(home.project, files);
  const processes = { ...home.runtime.processes, start: (pid: number) => void home.alive.add(pid) };
  const machine = { ...home.runtime, processes, wait: (ms: number) => void (home.now += ms) };
  return undoRigOf(machine as unknown as TempRuntime, home.project);
}

const call = async <T>(done: Promise<{ ok: true; value: T } | { ok: false; error: { message: string } }>) => {
  const answer = await done;
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};

/** A chat in this project of this machine. */
function undoRigOf(runtime: TempRuntime, project: string): UndoRig {
  const claude = new Claude(runtime, { cwd: project });
  const host = callsOf(runtime);
  const never = new AbortController().signal;
  const begin = async (prompt: string, ...works: readonly ToolWork[]): Promise<void> => {
    claude.prompt(prompt);
    for (const { tool, path, work } of works) {
      const input = path === undefined ? { command: "do" } : { file_path: join(project, path) };
      const id = claude.begin(tool, input);
      await takeAwaited(runtime, 60_000);
      work();
      claude.done(id, tool, input, path === undefined ? undefined : { type: "update" });
    }
  };
  const end = async (): Promise<void> => {
    claude.stop();
    await takePending(runtime, [claude.session], never);
  };
  claude.start();
  return {
    runtime,
    project,
    claude,
    begin,
    end,
    turn: async (prompt, ...works) => {
      await begin(prompt, ...works);
      await end();
    },
    preview: (input = {}) => call(host("undo.preview", { folder: project, ...input })),
    undo: (input = {}) => call(host("undo.apply", { folder: project, ...input })),
    refusal: async (input) => {
      const answer = await host("undo.apply", { folder: project, ...input });
      return answer.ok ? "" : answer.error.message;
    },
  };
}
