import { toPredecessor } from "#src/machine/checkpoints/capture.ts";
import { noteEffects } from "#src/machine/sessions/effects.ts";
import { reasonToAsk } from "#src/machine/effects/repeat-guard.ts";
import { emptyState, fold } from "#src/machine/sessions/work-state.ts";
import type { Config } from "#src/contract/config.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { EffectNote, WorkState } from "#src/contract/work-state.ts";
import { seededRandom } from "#src/shared/seeded-random.ts";

/** Chats that work off a plan, are killed at any moment and continued, against what truly happened. */

export interface KillFigures {
  kills: number;
  /** Calls of recovered chats that could repeat something. */
  calls: number;
  repeated: number;
  asked: number;
  /** Asked, and no earlier chat had done it. */
  needless: number;
}

interface Step {
  readonly command: string;
  /** Milliseconds that the call takes. */
  readonly ms: number;
  /** What it does besides. */
  readonly does: "edit" | "commit" | "effect" | "nothing";
  isOver: boolean;
}

const pushes = ["git push", "git push origin main", "git push -u origin HEAD", "git push 2>&1 | tail -3"];
const others = [
  "npx wrangler deploy",
  "fly deploy",
  "npm run deploy:prod",
  "npx prisma migrate deploy",
  "alembic upgrade head",
  "kubectl apply -f prod.yaml",
  "gh pr create --fill",
  "gh release create v1",
  "gh pr comment 7 --body done",
  "gh api repos/a/b/issues/7/comments -f body=done",
  "gh workflow run release.yml",
  "docker push r.example/a:1 && echo pushed",
  "./bin/rails db:migrate && echo migrated",
];
/** Harmless again: a remote has a commit already; a name is taken; a database has a list of its migrations. */
const once = /^git push|^gh (?:pr|release) create|migrate deploy|upgrade head|db:migrate/;
const harmless = ["npm test", "ls -la", "git status", "echo git push", "git push --dry-run", "cat deploy.sh"];

type Draw = () => number;

function pick<T>(draw: Draw, all: readonly T[]): T {
  return all[Math.floor(draw() * all.length)] as T;
}

function planOf(draw: Draw): Step[] {
  const step = (command: string, ms: number, does: Step["does"]): Step => ({ command, ms, does, isOver: false });
  const rounds = 2 + Math.floor(draw() * 4);
  const used = new Set<string>();
  return Array.from({ length: rounds }, () => {
    const work = Array.from({ length: 2 + Math.floor(draw() * 6) }, () =>
      draw() < 0.5
        ? step("sed -i s/a/b/ x.ts", 50, "edit")
        : step(pick(draw, harmless), 200 + 20_000 * draw() ** 3, "nothing"),
    );
    const other = pick(draw, others);
    const isNew = !used.has(other) && draw() < 0.6;
    used.add(other);
    return [
      ...work,
      step("sed -i s/b/c/ x.ts", 50, "edit"),
      step("git commit -am x", 100, "commit"),
      step(pick(draw, pushes), 1_500, "effect"),
      ...(isNew ? [step(other, 3_000 + 5_000 * draw(), "effect")] : []),
    ];
  }).flat();
}

/** Between two calls: the model. */
const thinkingMs = 8_000;
const failureShare = 0.05;

class History {
  readonly #draw: Draw;
  readonly #plan: Step[];
  readonly #setting: KillSetting;
  readonly #figures: KillFigures;
  /** What truly happened, and in which life first. */
  readonly #done = new Map<string, number>();
  #commit = 1;
  #isDirty = false;
  #now = 1_700_000_000_000;
  #state: WorkState = emptyState;
  #life = 0;
  #calls = 0;

  constructor(draw: Draw, setting: KillSetting, figures: KillFigures) {
    this.#draw = draw;
    this.#plan = planOf(draw);
    this.#setting = setting;
    this.#figures = figures;
  }

  run(maxKills: number): void {
    for (let from = 0; from < this.#plan.length; this.#life += 1) {
      const left = this.#plan.slice(from).reduce((sum, { ms }) => sum + ms + thinkingMs, 0);
      const isKilled = this.#life < 4 && this.#figures.kills < maxKills;
      const dies = isKilled ? this.#now + this.#draw() * left : Number.POSITIVE_INFINITY;
      this.#append({ kind: "prompt", text: "continue" });
      let at = from;
      while (at < this.#plan.length && this.#step(this.#plan[at] as Step, dies)) at += 1;
      if (at >= this.#plan.length) return;
      this.#figures.kills += 1;
      const session = `life-${this.#life}`;
      this.#state = { ...emptyState, continues: toPredecessor({ session, state: this.#state }) };
      // A successor may do some of the last steps again.
      from = Math.max(0, at - pick(this.#draw, [0, 0, 0, 1, 1, 2, 3, 5]));
    }
  }

  #append(entry: JournalEntry): void {
    this.#calls += 1;
    this.#state = fold(this.#state, [{ seq: this.#calls, at: this.#now, entry }]);
  }

  /** @returns false: the chat was killed before its end was recorded */
  #step(step: Step, dies: number): boolean {
    this.#now += thinkingMs;
    if (this.#now >= dies) return false;
    const id = `call-${(this.#calls += 1)}`;
    const call = { id, name: "Bash", input: step.command };
    const effects = this.#notesOf(step);
    const setting = { guard: this.#setting.guard, commands: [] };
    const reason = reasonToAsk(this.#state, effects, setting, true, this.#now);
    const key = this.#keyOf(step);
    const isDoneBefore = (this.#done.get(key) ?? this.#life) < this.#life;
    this.#append({ kind: "tool_start", ...call, ...(effects.length === 0 ? {} : { effects }) });
    if (step.does === "effect" && this.#life > 0) this.#figures.calls += 1;
    if (reason !== null) {
      this.#figures.asked += 1;
      // The user knows, or finds out.
      if (isDoneBefore) return true;
      this.#figures.needless += 1;
    }
    const isFailing = step.does === "effect" && this.#draw() < failureShare;
    const happensAt = this.#now + step.ms * this.#draw();
    this.#now += step.ms;
    // A client that is killed does not end its commands; a machine that goes down does.
    if (!isFailing && (happensAt < dies || this.#draw() < this.#setting.outlives))
      this.#happen(step, key, isDoneBefore);
    if (this.#now >= dies) return false;
    if (!isFailing) {
      this.#append({ kind: "tool_end", ...call });
      return true;
    }
    this.#append({ kind: "tool_error", ...call, text: "Exit code 1\nfatal: unable to access" });
    // It tries a failed call again.
    return this.#step(step, dies);
  }

  #happen(step: Step, key: string, isDoneBefore: boolean): void {
    if (step.does === "edit" && !step.isOver) this.#isDirty = true;
    if (step.does === "commit" && this.#isDirty) [this.#commit, this.#isDirty] = [this.#commit + 1, false];
    step.isOver = true;
    if (step.does !== "effect") return;
    if (isDoneBefore && !once.test(step.command)) this.#figures.repeated += 1;
    this.#done.set(key, this.#done.get(key) ?? this.#life);
  }

  #keyOf({ command }: Step): string {
    if (pushes.includes(command)) return `push ${this.#commit}`;
    return /deploy$|deploy:|kubectl|workflow/.test(command) && !command.includes("migrate")
      ? `${command} ${this.#commit}`
      : command;
  }

  #notesOf({ command }: Step): EffectNote[] {
    const commit = String(this.#commit).padStart(40, "0");
    return noteEffects({ tool_name: "Bash", tool_input: { command } }).map((note) => {
      if (note.kind === "push") return Object.assign(note, { subject: commit, branch: "main" });
      return note.kind === "deployment" ? Object.assign(note, { subject: commit }) : note;
    });
  }
}

export interface KillSetting {
  readonly guard: Config["effects"]["guard"];
  /** Share of kills that a running command outlives, 0 to 1. */
  readonly outlives: number;
}

export function killFigures(setting: KillSetting, kills: number, seed: number): KillFigures {
  const draw = seededRandom(seed);
  const figures: KillFigures = { kills: 0, calls: 0, repeated: 0, asked: 0, needless: 0 };
  while (figures.kills < kills) new History(draw, setting, figures).run(kills);
  return figures;
}
