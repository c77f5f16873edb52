import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve, sep } from "node:path";
import type { HookClient } from "../../src/contract/clients.ts";
import { textAt } from "../../src/shared/json-fields.ts";
import type { Random } from "../measure.ts";
import { git } from "../restore/restore-rig.ts";
import { HookSteps } from "./event-host.ts";
import { Machine, type Resumed } from "./machine.ts";
import { chooseCuts, type Cut, readSession } from "./read-session.ts";
import {
  withoutWithdrawn,
  isKind,
  filesInPatch,
  type EventOf,
  type SessionEvent,
  type RecordedSession,
  type SessionClient,
} from "./session-events.ts";

const homePattern = /\/(?:Users|home)\/[^/"\\\s]+/;
const commitCommand = /\bgit\b[^\n|;&]*\bcommit\b/;

/**
 * The user's folders of a recorded session, in a temporary folder: a git repository whose files change when the chat
 * edits them. Contents are invented.
 */
class World {
  readonly root: string;
  readonly project: string;
  readonly #paths: readonly (readonly [recorded: string, here: string])[];
  readonly #calls = new Map<string, EventOf<"call">>();
  #versions = 0;

  /** @param cwd the session's, on its own machine */
  constructor(cwd: string) {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), "shim-cut-")));
    this.project = join(this.root, "project");
    mkdirSync(join(this.root, "home"));
    mkdirSync(this.project);
    const home = homePattern.exec(cwd)?.[0];
    this.#paths = [
      ...(cwd.length > 1 ? [[cwd, this.project] as const] : []),
      ...(home === undefined ? [] : [[home, join(this.root, "home")] as const]),
    ];
    git(this.project, "init", "-q", "-b", "main");
    git(this.project, "config", "user.name", "Bench");
    git(this.project, "config", "user.email", "bench@localhost");
    this.#commit();
  }

  /** The transcript, as a client on this machine would have written it. */
  here(transcript: string): string {
    return this.#paths.reduce((text, [recorded, here]) => text.replaceAll(recorded, here), transcript);
  }

  apply(event: SessionEvent): void {
    if (event.kind === "call") this.#calls.set(event.id, event);
    if (event.kind === "branch") this.switchTo(event.name);
    if (event.kind === "end" && event.error === null) this.#succeed(this.#calls.get(event.id), event.at);
  }

  #succeed(call: EventOf<"call"> | undefined, at: number | null): void {
    for (const path of call?.edits ?? []) this.#edit(path, at);
    const patch = call?.name === "apply_patch" ? (textAt(call.input, "input") ?? "") : "";
    for (const path of filesInPatch(patch, "Delete File")) this.#delete(resolve(this.project, path));
    if (commitCommand.test(textAt(call?.input ?? null, "command") ?? "")) this.#commit();
  }

  has(path: string): boolean {
    return path.startsWith(this.root + sep) && existsSync(path);
  }

  changeByHand(path: string): void {
    appendFileSync(path, "changed by hand\n");
  }

  #edit(path: string, at: number | null): void {
    if (!path.startsWith(this.root + sep) || path.includes(`${sep}..${sep}`)) return;
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `version ${(this.#versions += 1)}\n`);
      if (at !== null) utimesSync(path, at / 1_000, at / 1_000);
    } catch {
      // A session may edit a path that is another's folder in the end.
    }
  }

  #delete(path: string): void {
    if (this.has(path)) rmSync(path, { recursive: true });
  }

  switchTo(branch: string): void {
    try {
      git(this.project, "check-ref-format", "--branch", branch);
      git(this.project, "symbolic-ref", "HEAD", `refs/heads/${branch}`);
      git(this.project, "update-ref", "HEAD", this.#head);
    } catch {
      // A name that git refuses here stays unused.
    }
  }

  remove(): void {
    // A program that has just been ended may still write.
    rmSync(this.root, { recursive: true, force: true, maxRetries: 10 });
  }

  #head = "";

  #commit(): void {
    git(this.project, "add", "-A");
    git(this.project, "commit", "-q", "--allow-empty", "-m", "work");
    this.#head = git(this.project, "rev-parse", "HEAD").trim();
  }
}

/** What one cut gave, and what the bench knows of it. */
export interface PlayedCut {
  readonly session: RecordedSession;
  readonly cut: Cut;
  readonly before: readonly SessionEvent[];
  readonly after: readonly SessionEvent[];
  readonly resumed: Resumed;
  /** Answers of two recalls: by the user's next words, and by the files changed last. */
  readonly recalled: readonly string[];
  /** Changed by hand after the death. */
  readonly changedFile: string | null;
  readonly isBranchChanged: boolean;
  readonly branch: string | null;
  readonly has: (path: string) => boolean;
}

const questionChars = { short: 60, most: 400 };
const changedFiles = 3;

/** The user's next prompt, with the last longer one where it is short or there is none; then the names of files. */
function questionsAfter(before: readonly SessionEvent[], after: readonly SessionEvent[]): string[] {
  const next = after.find(({ kind }) => kind === "prompt" || kind === "call");
  const asked = next?.kind === "prompt" ? next.text : "";
  const prompts = withoutWithdrawn(before).filter(isKind("prompt"));
  const longer = prompts.findLast(({ text }) => text.length >= questionChars.short) ?? prompts.at(-1);
  const words = asked.length >= questionChars.short ? asked : `${asked} ${longer?.text ?? ""}`;
  const edited = before.filter(isKind("call")).flatMap(({ edits }) => edits);
  const files = [...new Set(edited.toReversed())].slice(0, changedFiles).map((path) => basename(path));
  return [words, files.join(" ")].map((text) => text.trim().slice(0, questionChars.most)).filter((text) => text !== "");
}

/** Clients whose hooks the bench can send. */
export const hookClients: Partial<Record<SessionClient, HookClient>> = { "claude-code": "claude-code", codex: "codex" };
const deadForMs = 300_000;
const otherBranch = "by-hand";

/** Lets a session die at drawn moments, each time in a life of its own, and takes its briefs: from the transcript so far, and from the hook events so far. */
export async function playSession(
  text: string,
  random: Random,
  mostCuts: number,
  onCut: (played: PlayedCut) => void,
): Promise<void> {
  const recorded = readSession(text);
  if (recorded === null) return;
  for (const cut of chooseCuts(recorded, random, mostCuts)) {
    const world = new World(recorded.cwd);
    try {
      const session = readSession(world.here(text));
      if (session) await new Life(session, world, random).dieAt(cut, onCut);
    } finally {
      world.remove();
    }
  }
}

/** One life of a session, up to a cut. */
class Life {
  readonly #session: RecordedSession;
  readonly #world: World;
  readonly #random: Random;
  readonly #machine: Machine;
  readonly #steps: HookSteps;
  readonly #transcript: string;
  #written = 0;
  #branch: string | null = null;

  constructor(session: RecordedSession, world: World, random: Random) {
    this.#session = session;
    this.#world = world;
    this.#random = random;
    this.#steps = new HookSteps(session.client);
    const startedAt = session.events.find(({ at }) => at !== null)?.at ?? Date.UTC(2026, 0);
    this.#machine = new Machine(join(world.root, "machine"), world.project, startedAt);
    this.#transcript = join(world.root, "home", "transcripts", `${session.id}.jsonl`);
    mkdirSync(join(world.root, "home", "transcripts"));
    writeFileSync(this.#transcript, "");
  }

  async dieAt(cut: Cut, onCut: (played: PlayedCut) => void): Promise<void> {
    const { events, client } = this.#session;
    const next = events.findIndex(({ unit }) => unit > cut.unit);
    const count = next === -1 ? events.length : next;
    try {
      await this.#send(this.#steps.start());
      for (const event of events.slice(0, count)) await this.#happen(event);
      this.#write(cut.unit);
      await this.#machine.killClient();
      const before = events.slice(0, count);
      const changedFile = this.#fileToChange(before);
      const branch = this.#branch;
      const isBranchChanged = branch !== null && this.#random.isLucky(0.25);
      if (changedFile !== null) this.#world.changeByHand(changedFile);
      if (isBranchChanged) this.#world.switchTo(otherBranch);
      const has = (path: string): boolean => this.#world.has(path);
      const after = events.slice(count);
      const about = { session: this.#session, cut, before, after, changedFile, isBranchChanged, branch, has };
      const questions = questionsAfter(before, after);
      onCut({ ...about, ...(await this.#import(cut, questions)) });
      if (hookClients[client] !== undefined) onCut({ ...about, ...(await this.#resume(questions)) });
    } finally {
      await this.#machine.remove();
    }
  }

  async #happen(event: SessionEvent): Promise<void> {
    if (event.at !== null) this.#machine.clock.putOnTo(event.at);
    this.#world.apply(event);
    if (event.kind === "branch") this.#branch = event.name;
    for (const step of this.#steps.of(event)) await this.#send(step);
  }

  async #send({ unit, event, fields }: ReturnType<HookSteps["start"]>): Promise<void> {
    const client = hookClients[this.#session.client];
    if (client === undefined) return;
    this.#write(unit);
    const common = { session_id: this.#session.id, transcript_path: this.#transcript, cwd: this.#world.project };
    const { answer } = await this.#machine.send(client, event, { ...common, hook_event_name: event, ...fields });
    if (answer === null) throw new Error(`SHIM gave no answer to ${event} at row ${unit}`);
  }

  /** The client's own file grows as it works. */
  #write(unit: number): void {
    if (unit <= this.#written || hookClients[this.#session.client] === undefined) return;
    appendFileSync(this.#transcript, this.#session.written(this.#written, unit));
    this.#written = unit;
  }

  /** In every second cut a file of the chat is changed by hand after its death. */
  #fileToChange(before: readonly SessionEvent[]): string | null {
    const edited = before.flatMap((event) => (event.kind === "call" ? event.edits : []));
    const there = [...new Set(edited)].filter((path) => this.#world.has(path));
    return there.length > 0 && this.#random.isLucky(0.5) ? this.#random.pick(there) : null;
  }

  /** On a machine of its own, to which the transcript is new. */
  async #import(cut: Cut, questions: readonly string[]): Promise<Answers> {
    const folder = join(this.#world.root, "import");
    const { client, id } = this.#session;
    mkdirSync(folder);
    const name = {
      "claude-code": `${id}.jsonl`,
      codex: `rollout-${id}.jsonl`,
      opencode: `${id}.json`,
    }[client];
    const path = join(folder, name);
    writeFileSync(path, this.#session.written(0, cut.unit));
    const machine = new Machine(join(folder, "machine"), this.#world.project, this.#machine.clock.now() + deadForMs);
    try {
      return await answersOf(machine, id, questions, "--from-transcript", path);
    } finally {
      await machine.remove();
    }
  }

  #resume(questions: readonly string[]): Promise<Answers> {
    this.#machine.clock.putOnTo(this.#machine.clock.now() + deadForMs);
    return answersOf(this.#machine, this.#session.id, questions, this.#session.id);
  }
}

type Answers = Pick<PlayedCut, "resumed" | "recalled">;

async function answersOf(
  machine: Machine,
  session: string,
  questions: readonly string[],
  ...args: readonly string[]
): Promise<Answers> {
  const resumed = await machine.resume(...args);
  const recalled: string[] = [];
  if (resumed.refusal === null) for (const words of questions) recalled.push(await machine.recall(session, words));
  return { resumed, recalled };
}
