import { chmodSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import type { Job } from "#src/runtime/runtime.ts";
import { takeAwaited, takePending } from "#src/snapshots/stored-snapshots.ts";
import type { SnapshotInput } from "#src/snapshots/repository.ts";
import { takeSnapshot } from "#src/snapshots/take-snapshot.ts";
import { undoFiles, writePlanned, type UndoInput, type WriteInput } from "#src/snapshots/undo-files.ts";
import { anotherClaude, type Claude } from "./claude.ts";
import { anUndoRig } from "./cli-rigs.ts";
import { git } from "./git-project.ts";
import { withSteps } from "./project-steps.ts";
import { isContent, make, pathOf, type Change } from "./undo-acts.ts";
import {
  changedFolder,
  differing,
  sourceOf,
  stateIn,
  treeOf,
  UndoTruth,
  type Chat,
  type Entry,
  type Expected,
  type State,
  type Tree,
} from "./undo-truth.ts";

export interface Call {
  /** Edit: one call for each change. */
  readonly tool: "Bash" | "Edit";
  readonly changes: readonly Change[];
  /** What the person does before it. */
  readonly before: readonly Change[];
  /** What a command of the other chat does meanwhile. */
  readonly other: "nothing" | "runs" | "waits for leave";
  /** The event of its end is lost. */
  readonly isEndLost: boolean;
}

export type Move =
  | { readonly is: "turn"; readonly chat: Chat; readonly calls: readonly Call[]; readonly hooks: Hooks }
  | { readonly is: "person"; readonly changes: readonly Change[] }
  | Undo
  | { readonly is: "redo" };

/** Which of a turn's events and readings come. */
export type Hooks = "all" | "end is read late" | "end is lost" | "start is lost" | "stop is lost";

export interface Undo {
  readonly is: "undo";
  readonly chat: Chat;
  /** Turns of the chat; 0: the newest that can be undone. */
  readonly turns: number;
  /** Named path; null: all. */
  readonly named: Pick<Change, "folder" | "path"> | null;
  /** Killed before this step, and called again; 0: never. */
  readonly killedAt: number;
  /** What the person does to a file before a step with it, at the earliest this one. */
  readonly writer: { readonly step: number; readonly to: string } | null;
  /** A redo and the same undo follow. */
  readonly isRepeated: boolean;
}

export interface History {
  readonly isGit: boolean;
  readonly moves: readonly Move[];
}

/** What an undo may not do, of which docs/laws.md has the laws. */
export type Fault =
  | "loses what another wrote"
  | "deletes what was there"
  | "leaves the chat's"
  | "takes more without an event"
  | "is not taken back"
  | "is not completed"
  | "opens a file"
  | "names wrongly";

export interface Breach {
  readonly fault: Fault;
  readonly what: string;
}

/** A path that an undo has changed. */
interface Undone {
  readonly from: State;
  readonly to: State;
  /** Changes that it took back. */
  readonly entries: readonly Entry[];
}

const folders = ["a", "b", "d/c", "d/e"];
const isFolder: ReadonlySet<string> = new Set(["d", "e", "n", "n/deep"]);
const firstMode = 0o640;

/** A project whose files have known authors, and what its undos did to them. */
export class UndoModel {
  readonly breaches: Breach[] = [];
  readonly #rig;
  readonly #isGit: boolean;
  readonly #claudes: Record<Chat, Claude>;
  readonly #truth = new UndoTruth();
  readonly #undone: ReadonlyMap<string, Undone>[] = [];
  #at = 0;
  #isInTurn = false;
  #waiting: Chat | null = null;

  constructor(count: number, isGit: boolean) {
    const names = Array.from({ length: count }, (_, at) => folders.map((name) => `${at}/${name}`)).flat();
    const ignores = isGit ? { ".gitignore": "*.log\n" } : {};
    this.#rig = anUndoRig({ ...ignores, ...Object.fromEntries(names.map((name) => [name, name])) }, { isGit });
    this.#isGit = isGit;
    const { claude, runtime, project } = this.#rig;
    this.#claudes = { A: claude, B: anotherClaude(runtime, claude, { cwd: project }) };
    this.#claudes.B.start();
    for (const name of names) chmodSync(join(project, name), firstMode);
    if (isGit) for (let at = 0; at < count; at++) writeFileSync(join(project, `${at}/x.log`), "mine");
    this.#rig.byHand(() => undefined);
  }

  async play({ moves }: History): Promise<readonly Breach[]> {
    for (const move of moves) {
      this.#at += 1;
      if (move.is === "turn") await this.#turn(move);
      else if (move.is === "person") this.#byHand(move.changes);
      else if (move.is === "undo") await this.#undo(move);
      else await this.#redo();
      // What follows is no longer what the model knows.
      if (this.breaches.length > 0) break;
    }
    return this.breaches;
  }

  remove(): void {
    rmSync(dirname(this.#rig.project), { recursive: true });
  }

  #byHand(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.#rig.byHand(() => undefined);
    this.#rig.byHand(() => this.#act("person", 0, changes));
  }

  /** Does the changes, and notes whose they are. */
  #act(by: Entry["by"], turn: number, changes: readonly Change[], isDoubtful = false, hasImage = false): void {
    const { project } = this.#rig;
    for (const change of changes) {
      const before = treeOf(project);
      make(project, change, this.#isGit);
      const after = treeOf(project);
      const written = isContent(change.to) && after.has(pathOf(change)) ? [pathOf(change)] : [];
      for (const path of new Set([...differing(before, after), ...written])) {
        const [from, to] = [stateIn(before, path), stateIn(after, path)];
        const mode = before.get(path)?.mode ?? null;
        const source = this.#carried(path, change);
        const isCarried = source !== undefined && source.by !== by;
        const isLimit = isCarried || (by === "person" && to === null && this.#isUnseen());
        const isShared = isDoubtful || source?.isDoubtful === true;
        const folder = changedFolder(path, [before, after]);
        const entry = { at: this.#at, by, turn, from, to, mode, isDoubtful: isShared, hasImage, isLimit, folder };
        this.#truth.note(path, entry);
        this.#truth.move(sourceOf(path, change.to), path);
      }
    }
  }

  /** What a moved folder has brought has the time of its last change. */
  #carried(path: string, { to }: Change): Entry | undefined {
    const from = to === "folder moved" ? sourceOf(path, to) : null;
    return from === null ? undefined : this.#truth.entriesOf(from).findLast((each) => each.to !== null);
  }

  /** Whether a path that is gone now is not seen to go. */
  #isUnseen(): boolean {
    return this.#isInTurn || !this.#truth.isComplete;
  }

  async #turn({ chat, calls, hooks }: Extract<Move, { readonly is: "turn" }>): Promise<void> {
    const claude = this.#claudes[chat];
    if (hooks !== "all") this.#truth.isComplete = false;
    this.#prompt(chat);
    this.#isInTurn = true;
    let isStartLost = hooks === "start is lost";
    let isFirst = true;
    for (const call of calls) {
      this.#byHand(call.before);
      const edits = call.changes.filter(({ to }) => isContent(to)).map((one) => [one]);
      for (const changes of call.tool === "Bash" ? [call.changes] : edits) {
        await this.#call(chat, { ...call, changes }, { isFirst, isStartLost });
        [isFirst, isStartLost] = [false, false];
      }
    }
    this.#isInTurn = false;
    if (hooks === "stop is lost") return;
    claude.stop();
    if (hooks === "end is lost") this.#loseNewest();
    const { signal } = new AbortController();
    if (hooks !== "end is read late") await takePending(this.#rig.runtime, [claude.session], signal);
  }

  #prompt(chat: Chat): void {
    // A call that waited has an end now, and may have run.
    if (this.#waiting === chat) this.#truth.isVague = true;
    const turns = this.#truth.turns[chat];
    turns.push({ at: this.#at, ignored: new Set() });
    this.#claudes[chat].prompt(`prompt ${turns.length} of ${chat}`);
  }

  async #call(
    chat: Chat,
    call: Call,
    { isFirst, isStartLost }: { readonly isFirst: boolean; readonly isStartLost: boolean },
  ): Promise<void> {
    const { runtime, project } = this.#rig;
    const claude = this.#claudes[chat];
    const turns = this.#truth.turns[chat];
    const [edited] = call.tool === "Edit" ? call.changes : [];
    const input = edited === undefined ? { command: "do" } : { file_path: join(project, pathOf(edited)) };
    this.#at += 1;
    const endOther = await this.#beginOther(chat === "A" ? "B" : "A", call.other);
    const id = claude.begin(call.tool, input);
    if (isStartLost) this.#loseNewest();
    await takeAwaited(runtime, 60_000);
    if (isFirst) turns.splice(-1, 1, { at: this.#at, ignored: this.#ignored() });
    this.#at += 1;
    const isEdit = edited !== undefined;
    if (call.other === "runs") this.#truth.commands.push({ at: this.#at, by: chat === "A" ? "B" : "A" });
    this.#act(chat, turns.length, call.changes, call.other === "runs", isEdit && !call.isEndLost);
    if (call.isEndLost) this.#truth.isComplete = false;
    else claude.done(id, call.tool, input, edited === undefined ? undefined : { type: "update" });
    endOther();
  }

  /** @returns ends its command. One that waits gets no end: events may be a second late */
  async #beginOther(chat: Chat, does: Call["other"]): Promise<() => void> {
    if (does === "nothing") return () => undefined;
    const other = this.#claudes[chat];
    // A change in the tick of its command may be the command's.
    this.#rig.byHand(() => undefined);
    this.#prompt(chat);
    const id = other.begin("Bash", { command: "do" });
    await takeAwaited(this.#rig.runtime, 60_000);
    if (does === "runs") return () => void other.done(id, "Bash");
    this.#waiting = chat;
    other.tell("Notification", { notification_type: "permission_prompt", message: "needs your permission" });
    return () => undefined;
  }

  #loseNewest(): void {
    const newest = "(SELECT id FROM checkpoints ORDER BY seq DESC LIMIT 1)";
    const lost = `UPDATE snapshots SET state = 'skipped', reason = 'no time' WHERE state = 'pending' AND checkpointId = ${newest}`;
    this.#rig.runtime.store.write((sql) => void sql.run(lost));
  }

  #ignored(): ReadonlySet<string> {
    if (!this.#isGit || !existsSync(join(this.#rig.project, ".git"))) return new Set();
    return new Set(git(this.#rig.project, "ls-files", "-oi", "--exclude-standard", "-z").split("\0"));
  }

  async #undo(move: Undo): Promise<void> {
    const { project } = this.#rig;
    const session = this.#claudes[move.chat].session;
    const count = this.#truth.turns[move.chat].length;
    if (count === 0) return;
    const prompt = move.turns === 0 ? "last" : String(Math.max(1, count - move.turns + 1));
    const files = move.named === null ? [] : [pathOf(move.named)];
    const before = treeOf(project);
    const done = await this.#carryOut(move, { session, prompt, files });
    if (done === null) return;
    const after = treeOf(project);
    this.#judge(move, done, before, after);
    await this.#checkAgain(move, done, before, after);
  }

  /** Killed, it is called again. */
  async #carryOut(move: Pick<Undo, "killedAt" | "writer">, input: Parameters<ReturnType<typeof anUndoRig>["undo"]>[0]) {
    const { runtime, project, preview, undo } = this.#rig;
    let [step, isKilled] = [0, false];
    let { writer } = move;
    const beforeStep = (path: string): void => {
      step += 1;
      isKilled ||= step === move.killedAt;
      if (isKilled) throw new Error("killed");
      const [, folder, name] = /^(\d+)\/(.*[^/])$/.exec(path) ?? [];
      if (writer === null || step < writer.step || name === undefined || isFolder.has(name)) return;
      const change = { folder: Number(folder), path: name, to: writer.to };
      writer = null;
      this.#byHand([change]);
      const last = this.#truth.entriesOf(pathOf(change)).at(-1);
      if (last?.from === last?.to) this.#truth.vague.add(pathOf(change));
    };
    const startJob = async ({ name, input: given }: Job): Promise<unknown> => {
      const job = { ...given, processes: runtime.processes };
      if (name === "undoFiles") return undoFiles(job as unknown as UndoInput);
      if (name !== "writePlanned") return takeSnapshot(job as unknown as SnapshotInput);
      const done = await withSteps(project, beforeStep, () => writePlanned(job as unknown as WriteInput));
      if (isKilled) throw new Error("killed");
      return done;
    };
    const shown = move.killedAt === 0 ? null : await preview(input).catch(() => null);
    Object.assign(runtime, { startJob });
    try {
      return await undo(input);
    } catch (error) {
      if (!isKilled) {
        // A refusal has changed nothing, and says why.
        if (!/Nothing was put back|is stored|has changed files/.test(String(error))) throw error;
        return null;
      }
      leaveAsDead(project);
    } finally {
      Object.assign(runtime, { startJob: undefined });
    }
    const again = await undo(input);
    const [first, second] = [shown?.prompt?.number, again.prompt?.number];
    if (first !== second) this.#broken("is not completed", `of prompt ${first}: the next one is of ${second}`);
    const staging = readdirSync(project).filter((name) => name.startsWith(".shim-undo-"));
    if (staging.length > 0) this.#broken("is not completed", `${staging.join()} stays behind`);
    return again;
  }

  #judge(move: Undo, done: MachineOutput<"undo.apply">, before: Tree, after: Tree): void {
    const since = done.prompt?.number ?? 0;
    const left = [...done.left, ...done.refused].map(({ path }) => path);
    const ignored = this.#ignored();
    const undone = new Map<string, Undone>();
    for (const path of this.#known(before, after)) {
      const [was, is] = [stateIn(before, path), stateIn(after, path)];
      const entries = this.#truth.entriesOf(path);
      const now = entries.length === 0 ? was : (entries.at(-1)?.to ?? null);
      const what = `${path}: ${text(was)} is ${text(is)}, of ${JSON.stringify(entries)}`;
      if (now !== was) {
        this.#judgeWritten(path, now, is, what);
        continue;
      }
      const how = { isNamed: move.named !== null, isIgnored: ignored.has(path) };
      const expected = this.#truth.expected(path, move.chat, since, how);
      const isChosen = move.named === null || path === pathOf(move.named) || path.startsWith(`${pathOf(move.named)}/`);
      if (is !== was) undone.set(path, this.#judgeChange(path, { was, is, expected, isChosen }, move, after));
      else this.#judgeLeft(path, { what, expected, isChosen, since }, move, left);
    }
    if (done.checkpoint !== null) this.#undone.push(undone);
  }

  /** Paths of which the truth has one content. */
  #known(before: Tree, after: Tree): string[] {
    const paths = new Set([...this.#truth.paths(), ...after.keys(), ...before.keys()]);
    return [...paths].filter((path) => !this.#truth.vague.has(path));
  }

  /** A path that the person has written meanwhile. */
  #judgeWritten(path: string, now: State, is: State, what: string): void {
    if (is !== now) this.#broken("loses what another wrote", `${what}, though written meanwhile`);
    // Both have deleted it, so that a redo may bring it back.
    if (is === null) this.#truth.vague.add(path);
  }

  /** A file that an undo has changed. */
  #judgeChange(
    path: string,
    { was, is, expected, isChosen }: Readonly<{ was: State; is: State; expected: Expected; isChosen: boolean }>,
    move: Undo,
    after: Tree,
  ): Undone {
    const entries = this.#truth.entriesOf(path);
    const what = `${path}: ${text(was)} is ${text(is)}, of ${JSON.stringify(entries)}`;
    const fault = isChosen ? this.#faultOf(is, expected, entries, move) : "names wrongly";
    if (fault !== null) this.#broken(fault, what);
    const { mode = 0 } = after.get(path) ?? {};
    const earlier = entries.reduce((all, one) => (one.from === is ? all | (one.mode ?? 0) : all), 0);
    if ((mode & ~earlier & 0o077) !== 0) this.#broken("opens a file", `${mode.toString(8)}, ${what}`);
    const kept = entries.slice(0, expected.first);
    while (kept.length > 0 && kept.at(-1)?.to !== is) kept.pop();
    this.#truth.restored.add(path);
    this.#truth.set(path, kept);
    return { from: was, to: is, entries: entries.slice(kept.length) };
  }

  #faultOf(is: State, { may, isOfOthers }: Expected, entries: readonly Entry[], { named }: Undo): Fault | null {
    // Who names a path takes what may be the chat's.
    const isUnsure = !this.#truth.isComplete || this.#truth.isVague;
    const isTaken = named !== null && (isUnsure || entries.some(({ isDoubtful }) => isDoubtful));
    if (isTaken || may.includes(is) || entries.some(({ isLimit }) => isLimit)) return null;
    if (!this.#truth.isComplete) return "takes more without an event";
    if (!isOfOthers) return "leaves the chat's";
    return is === null ? "deletes what was there" : "loses what another wrote";
  }

  /** A file that an undo has not changed. */
  #judgeLeft(
    path: string,
    {
      what,
      expected,
      isChosen,
      since,
    }: Readonly<{ what: string; expected: Expected; isChosen: boolean; since: number }>,
    { chat, writer }: Undo,
    left: readonly string[],
  ): void {
    const isAll = left.includes("*");
    const isNamed = isAll || left.some((name) => name === path || (name.endsWith("/") && path.startsWith(name)));
    const mustGo = isChosen && expected.must && this.#truth.isComplete && writer === null;
    if (mustGo) this.#broken("leaves the chat's", what);
    if (isChosen && expected.isTouched && !isNamed) this.#broken("names wrongly", `not named: ${what}`);
    const from = this.#truth.startOf(chat, since);
    const isUntouched = !this.#truth.restored.has(path) && this.#truth.entriesOf(path).every(({ at }) => at < from);
    if (isNamed && !isAll && isUntouched && !this.#truth.isVague) this.#broken("names wrongly", `named: ${what}`);
  }

  #broken(fault: Fault, what: string): void {
    this.breaches.push({ fault, what: `move ${this.#at}: ${what}` });
  }

  /** A redo brings back all that the undo took, and an undo after it does the same again. */
  async #checkAgain(move: Undo, done: MachineOutput<"undo.apply">, before: Tree, after: Tree): Promise<void> {
    if (done.checkpoint === null || move.writer !== null || !move.isRepeated) return;
    const { project, undo } = this.#rig;
    const { session } = this.#claudes[move.chat];
    await undo({ session, redo: true });
    this.#compare(before, treeOf(project), "after the redo");
    const files = move.named === null ? [] : [pathOf(move.named)];
    await undo({ session, prompt: String(done.prompt?.number ?? 1), files });
    this.#compare(after, treeOf(project), "after undo, redo, undo");
  }

  #compare(one: Tree, other: Tree, when: string): void {
    for (const path of differing(one, other)) {
      const entries = this.#truth.entriesOf(path);
      const what = `${when} ${path}: ${text(stateIn(one, path))} is ${text(stateIn(other, path))}`;
      const isLimit = entries.some((each) => each.isLimit) || this.#truth.mayComeBack(path);
      if (!isLimit) this.#broken("is not taken back", what);
      // Which of the two it is says the next undo alone.
      this.#truth.vague.add(path);
    }
  }

  async #redo(): Promise<void> {
    const { project, undo } = this.#rig;
    const newest = this.#undone.at(-1);
    if (newest === undefined) return;
    const before = treeOf(project);
    const done = await undo({ redo: true }).catch(() => null);
    const after = treeOf(project);
    for (const path of new Set([...differing(before, after), ...newest.keys()])) {
      const [was, is] = [stateIn(before, path), stateIn(after, path)];
      if (is === was || this.#truth.vague.has(path)) continue;
      const undone = newest.get(path);
      const what = `redo of ${path}: ${text(was)} is ${text(is)}`;
      if (undone === undefined || was !== undone.to)
        this.#broken(is === null ? "deletes what was there" : "loses what another wrote", what);
      else if (is !== undone.from) this.#broken("is not taken back", what);
      this.#truth.restored.add(path);
      this.#truth.set(path, [...this.#truth.entriesOf(path), ...(undone?.entries ?? [])]);
    }
    if (done !== null && done.changes.length > 0) this.#undone.pop();
  }
}

function text(state: State): string {
  return JSON.stringify(state);
}

/** What a process that was killed leaves in the project has its number. */
function leaveAsDead(project: string): void {
  for (const name of readdirSync(project)) {
    const dead = name.replace(`.shim-undo-${process.pid}-`, ".shim-undo-999999999-");
    if (dead !== name) renameSync(join(project, name), join(project, dead));
  }
}
