import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HookClient } from "../../src/contract/clients.ts";
import type { Random } from "../restore/random.ts";
import { chooseCuts, type Cut } from "./cuts.ts";
import { HookSteps } from "./hook-steps.ts";
import { Machine, type Resumed } from "./machine.ts";
import { readSession } from "./read-session.ts";
import type { RecordedSession, SessionClient, SessionEvent } from "./session-events.ts";
import { World } from "./world.ts";

export const ways = ["import", "hooks"] as const;
export type Way = (typeof ways)[number];

/** What one cut gave, and what the bench knows of it. */
export interface PlayedCut {
  readonly session: RecordedSession;
  readonly cut: Cut;
  readonly way: Way;
  readonly before: readonly SessionEvent[];
  readonly after: readonly SessionEvent[];
  readonly resumed: Resumed;
  /** Processor time of the brief alone. */
  readonly briefMs: number;
  readonly bytes: number;
  /** Changed by hand after the death. */
  readonly changedFile: string | null;
  readonly isBranchChanged: boolean;
  readonly branch: string | null;
  readonly has: (path: string) => boolean;
}

/** Clients whose hooks the bench can send. */
export const hookClients: Partial<Record<SessionClient, HookClient>> = { "claude-code": "claude-code", codex: "codex" };
const deadForMs = 300_000;
const otherBranch = "by-hand";

/** Plays a session once, and takes its brief at each cut: from the transcript so far, and from the hook events so far. */
export async function playSession(
  text: string,
  random: Random,
  mostCuts: number,
  onCut: (played: PlayedCut) => void,
): Promise<void> {
  const recorded = readSession(text);
  if (recorded === null) return;
  const world = new World(recorded.cwd);
  try {
    const session = readSession(world.here(text));
    if (session) await new Player(session, world, random, onCut).play(chooseCuts(session, random, mostCuts));
  } finally {
    world.remove();
  }
}

class Player {
  readonly #session: RecordedSession;
  readonly #world: World;
  readonly #random: Random;
  readonly #onCut: (played: PlayedCut) => void;
  readonly #recorder: Machine;
  readonly #steps: HookSteps;
  readonly #transcript: string;
  #written = 0;
  #branch: string | null = null;
  #imports = 0;

  constructor(session: RecordedSession, world: World, random: Random, onCut: (played: PlayedCut) => void) {
    this.#session = session;
    this.#world = world;
    this.#random = random;
    this.#onCut = onCut;
    this.#steps = new HookSteps(session.client);
    const startedAt = session.events.find(({ at }) => at !== null)?.at ?? Date.UTC(2026, 0);
    this.#recorder = new Machine(join(world.root, "shim"), world.project, startedAt);
    this.#transcript = join(world.root, "home", "transcripts", `${session.id}.jsonl`);
    mkdirSync(join(world.root, "home", "transcripts"));
    writeFileSync(this.#transcript, "");
  }

  async play(cuts: readonly Cut[]): Promise<void> {
    const { events } = this.#session;
    this.#send(this.#steps.start());
    let next = 0;
    for (const cut of cuts) {
      for (; next < events.length; next++) {
        const event = events[next] as SessionEvent;
        if (event.unit > cut.unit) break;
        this.#happen(event);
      }
      this.#write(cut.unit);
      await this.#die(cut, next);
    }
    this.#recorder.close();
  }

  #happen(event: SessionEvent): void {
    this.#recorder.now = Math.max(this.#recorder.now, event.at ?? 0);
    this.#world.apply(event);
    if (event.kind === "branch") this.#branch = event.name;
    for (const step of this.#steps.of(event)) this.#send(step);
  }

  #send({ unit, event, fields }: ReturnType<HookSteps["start"]>): void {
    const client = hookClients[this.#session.client];
    if (client === undefined) return;
    this.#write(unit);
    const common = { session_id: this.#session.id, transcript_path: this.#transcript, cwd: this.#world.project };
    this.#recorder.send(client, event, { ...common, hook_event_name: event, ...fields });
  }

  /** The client's own file grows as it works. */
  #write(unit: number): void {
    if (unit <= this.#written || hookClients[this.#session.client] === undefined) return;
    appendFileSync(this.#transcript, this.#session.written(this.#written, unit));
    this.#written = unit;
  }

  async #die(cut: Cut, next: number): Promise<void> {
    const { events, client } = this.#session;
    const before = events.slice(0, next);
    const changedFile = this.#fileToChange(before);
    const branch = this.#branch;
    const isBranchChanged = branch !== null && this.#random.isLucky(0.25);
    const undo = changedFile === null ? null : this.#world.changeByHand(changedFile);
    if (isBranchChanged) this.#world.switchTo(otherBranch);
    const has = (path: string): boolean => this.#world.has(path);
    const about = {
      session: this.#session,
      cut,
      before,
      after: events.slice(next),
      changedFile,
      isBranchChanged,
      branch,
      has,
    };
    this.#onCut({ ...about, way: "import", ...(await this.#import(cut)) });
    if (hookClients[client] !== undefined) this.#onCut({ ...about, way: "hooks", ...(await this.#resume()) });
    undo?.();
    if (isBranchChanged) this.#world.switchTo(branch);
  }

  /** In every second cut somebody changes a file of the chat's after its death. */
  #fileToChange(before: readonly SessionEvent[]): string | null {
    const edited = before.flatMap((event) => (event.kind === "call" ? event.edits : []));
    const there = [...new Set(edited)].filter((path) => this.#world.has(path));
    return there.length > 0 && this.#random.isLucky(0.5) ? this.#random.pick(there) : null;
  }

  async #import(cut: Cut): Promise<Pick<PlayedCut, "resumed" | "briefMs" | "bytes">> {
    const folder = join(this.#world.root, `import-${(this.#imports += 1)}`);
    const { client, id } = this.#session;
    mkdirSync(folder);
    const name = {
      "claude-code": `${id}.jsonl`,
      codex: `rollout-${id}.jsonl`,
      opencode: `${id}.json`,
    }[client];
    const path = join(folder, name);
    const text = this.#session.written(0, cut.unit);
    writeFileSync(path, text);
    const machine = new Machine(join(folder, "shim"), this.#world.project, this.#recorder.now + deadForMs);
    machine.isClientAlive = false;
    const resumed = await machine.resume("--from-transcript", path);
    const briefMs = machine.briefMs(id);
    machine.remove();
    return { resumed, briefMs, bytes: Buffer.byteLength(text) };
  }

  async #resume(): Promise<Pick<PlayedCut, "resumed" | "briefMs" | "bytes">> {
    const machine = this.#recorder.copy(join(this.#world.root, "dead"));
    machine.now += deadForMs;
    const resumed = await machine.resume(this.#session.id);
    const briefMs = machine.briefMs(this.#session.id);
    machine.remove();
    return { resumed, briefMs, bytes: 0 };
  }
}
