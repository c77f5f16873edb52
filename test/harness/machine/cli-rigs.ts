import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Trigger } from "#src/contract/checkpoint.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { MachineInput, MachineOutput } from "#src/contract/machine/operations.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { tickMs } from "#src/snapshots/change-author.ts";
import { takeAwaited, takePending } from "#src/snapshots/stored-snapshots.ts";
import { Claude } from "./claude.ts";
import { aCliHome, addSession, ids, type CliHome } from "./cli-home.ts";
import { makeRepository, write } from "./git-project.ts";
import { callsOf, roundOf } from "./host-rig.ts";
import type { TempRuntime } from "./temp-runtime.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey, createKey } from "#src/machine/sharing/key-ring.ts";
import { given } from "#harness/coordinator/peers.ts";
import { SyncServer, tokenOf } from "#harness/sync/sync-machine.ts";

export function canRunGit({ alive, folder, runtime }: CliHome): void {
  alive.add(process.pid);
  Object.assign(runtime.env, { PATH: `${join(folder, "path")}:${process.env["PATH"]}` });
}

/** A chat in a repository, as hooks leave it in the store. */
export class ForkRig {
  readonly home = aCliHome();
  readonly id = ids.dead;
  #rows = 0;

  constructor(isGit = true) {
    canRunGit(this.home);
    if (isGit) makeRepository(this.home.project, { "a.txt": "0\n", ".gitignore": "*.log\n" });
    addSession(this.home, { id: this.id, pid: 200, entries: [] });
  }

  path(name: string): string {
    return join(this.home.project, name);
  }

  readonly prompt = (text: string): void => this.#add({ kind: "prompt", text });
  readonly say = (text: string): void => this.#add({ kind: "assistant", text });

  #add(entry: JournalEntry): void {
    this.home.now += 1_000;
    const row = `row${(this.#rows += 1)}`;
    this.home.runtime.store.write((sql) => journal.append(sql, this.id, this.home.now, row, entry));
  }

  /** A call that writes a file. @param trigger of the checkpoint before it, whose files are saved */
  async edit(name: string, content: string, trigger?: Trigger): Promise<void> {
    const call = { id: `t${this.#rows}`, name: "Write", input: this.path(name) };
    this.#add({ kind: "tool_start", ...call });
    if (trigger) {
      capture(this.home.runtime, { sessionId: this.id, trigger });
      await takeAwaited(this.home.runtime);
    }
    write(this.home.project, { [name]: content });
    this.#add({ kind: "tool_end", ...call, path: this.path(name), action: "edited" });
  }

  async turnEnd(): Promise<void> {
    this.#add({ kind: "turn_end" });
    capture(this.home.runtime, { sessionId: this.id, trigger: "turn_end" });
    await takePending(this.home.runtime, [this.id], new AbortController().signal);
  }
}

export type ToolWork = Readonly<{ tool: string; path?: string; work: () => void }>;

export type UndoRig = ReturnType<typeof anUndoRig>;

/** Waits until the clock of the file system has passed this one's time. */
function passTick(folder: string, ms = 1): void {
  const [file, now] = [join(folder, "tick"), Date.now()];
  do writeFileSync(file, "");
  while (statSync(file).ctimeMs < now + ms);
}

/**
 * A chat in the project of this home, which becomes a git repository with these files; its tools really change files,
 * and its clock is that of the file system, plus what the test waits.
 */
export function anUndoRig(files: Record<string, string>, { isGit = true, home = aCliHome() } = {}) {
  const { project } = home;
  canRunGit(home);
  mkdirSync(project, { recursive: true });
  if (isGit) makeRepository(project, files);
  else write(project, files);
  // A file that was made in the tick of a call may be the call's.
  const passCallTick = (): void => passTick(home.folder, tickMs + 1);
  passCallTick();
  const processes = { ...home.runtime.processes, start: (pid: number) => void home.alive.add(pid) };
  const since = (home.now = Date.now());
  // An event of the chat waits less.
  const wait = (ms: number): void => (Math.abs(ms) < 1_000 ? passTick(home.folder) : void (home.now += ms));
  const now = (): number => Date.now() + home.now - since;
  const runtime = Object.assign(home.runtime, { processes, wait, now }) as unknown as TempRuntime;
  const claude = new Claude(runtime, { cwd: project });
  const host = callsOf(runtime);
  /** The beginning of a turn that is not over; each work is one call of the tool. */
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
    await takePending(runtime, [claude.session], new AbortController().signal);
  };
  const turn = async (prompt: string, ...works: readonly ToolWork[]): Promise<void> => {
    await begin(prompt, ...works);
    await end();
  };
  const call = async <Name extends "undo.preview" | "undo.apply">(
    name: Name,
    input: Partial<MachineInput<Name>>,
  ): Promise<MachineOutput<Name>> => {
    const answer = await host(name, { folder: project, ...input } as MachineInput<Name>);
    if (!answer.ok) throw new Error(answer.error.message);
    return answer.value;
  };
  const preview = (input: Partial<MachineInput<"undo.preview">> = {}) => call("undo.preview", input);
  const undo = (input: Partial<MachineInput<"undo.apply">> = {}) => call("undo.apply", input);
  /** What a person does, who is never as fast as a call. */
  const byHand = (work: () => void): void => {
    work();
    passCallTick();
  };
  claude.start();
  return { runtime, project, claude, begin, end, turn, byHand, preview, undo };
}

const key = createKey((bytes) => new Uint8Array(bytes).fill(7));
const desk = { machine: "desk", isAdmin: false } as const;

export type CliMachines = Awaited<ReturnType<typeof twoCliHomes>>;

/** Two machines of one workspace that share a key: `there` is "desk", `here` is "laptop". */
export async function twoCliHomes(prepare: (there: CliHome, here: CliHome) => void) {
  const server = await SyncServer.listen();
  const [there, here] = [aCliHome(), aCliHome()];
  prepare(there, here);
  for (const home of [there, here]) {
    const machine = home === there ? "desk" : "laptop";
    const edge = { url: server.url, workspace: "team", machine, token: tokenOf(machine) };
    writeEdgeConfig(home.paths.home, edge);
    addKey(home.paths.home, edge, key);
    home.alive.add(process.pid);
    home.now = server.host.now();
  }
  return { server, there, here };
}

export function aChat(chat: string, machine: string) {
  return { chat, session: chat, process: `boot:${chat}`, client: "test", machine };
}

export async function loseSession({ server, there }: CliMachines, meanwhile: () => Promise<unknown>): Promise<void> {
  addSession(there, { id: ids.dead, pid: 200, title: "fix the parser" });
  const chat = aChat(ids.dead, "desk");
  given(await server.host.call("chats.register", chat, desk));
  await meanwhile();
  given(await server.host.call("chats.attest-death", { chat: ids.dead, machine: "desk", process: chat.process }, desk));
}

export async function sync(home: CliHome): Promise<void> {
  const report = await roundOf(home.runtime);
  expect(report.trouble).toBeNull();
}
