import { toPredecessor } from "#src/machine/sessions/checkpoints/capture.ts";
import { noteCall } from "#src/machine/sessions/call-notes.ts";
import { reasonToAsk } from "#src/machine/sessions/effects/repeat-guard.ts";
import { emptyState, fold } from "#src/machine/sessions/work-state.ts";
import type { Config } from "#src/contract/config.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { EffectNote, WorkState } from "#src/contract/work-state.ts";
import { seededRandom } from "#harness/clock/seeded-random.ts";

/** Chats that work off a plan, are killed at any moment and continued, against what truly happened. */

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

const pick = <T>(draw: Draw, all: readonly T[]): T => all[Math.floor(draw() * all.length)] as T;

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

/** One chat after the other, until the plan is done. */
function runHistory(draw: Draw, { guard, outlives }: KillSetting, figures: typeof none, maxKills: number): void {
  const plan = planOf(draw);
  /** What truly happened, and in which life first. */
  const done = new Map<string, number>();
  let state: WorkState = emptyState;
  let isDirty = false;
  let [commit, life, calls, now] = [1, 0, 0, 1_700_000_000_000];

  const append = (entry: JournalEntry): void => {
    calls += 1;
    state = fold(state, [{ seq: calls, at: now, entry }]);
  };

  const keyOf = (command: string): string => {
    if (pushes.includes(command)) return `push ${commit}`;
    const isDeployment = /deploy$|deploy:|kubectl|workflow/.test(command) && !command.includes("migrate");
    return isDeployment ? `${command} ${commit}` : command;
  };

  const notesOf = (command: string): EffectNote[] => {
    const subject = String(commit).padStart(40, "0");
    return noteCall({ tool_name: "Bash", tool_input: { command } }).effects.map((note) => {
      if (note.kind === "push") return Object.assign(note, { subject, branch: "main" });
      return note.kind === "deployment" ? Object.assign(note, { subject }) : note;
    });
  };

  const happen = (step: Step, key: string, isDoneBefore: boolean): void => {
    if (step.does === "edit" && !step.isOver) isDirty = true;
    if (step.does === "commit" && isDirty) [commit, isDirty] = [commit + 1, false];
    step.isOver = true;
    if (step.does !== "effect") return;
    if (isDoneBefore && !once.test(step.command)) figures.repeated += 1;
    done.set(key, done.get(key) ?? life);
  };

  /** @returns false: the chat was killed before its end was recorded */
  const perform = (step: Step, dies: number): boolean => {
    now += thinkingMs;
    if (now >= dies) return false;
    const call = { id: `call-${(calls += 1)}`, name: "Bash", input: step.command };
    const effects = notesOf(step.command);
    const reason = reasonToAsk(state, effects, { guard, commands: [] }, true, now);
    const key = keyOf(step.command);
    const isDoneBefore = (done.get(key) ?? life) < life;
    append({ kind: "tool_start", ...call, ...(effects.length === 0 ? {} : { effects }) });
    if (step.does === "effect" && life > 0) figures.calls += 1;
    if (reason !== null) {
      figures.asked += 1;
      // The user knows, or finds out.
      if (isDoneBefore) return true;
      figures.needless += 1;
    }
    const isFailing = step.does === "effect" && draw() < failureShare;
    const happensAt = now + step.ms * draw();
    now += step.ms;
    // A client that is killed does not end its commands; a machine that goes down does.
    if (!isFailing && (happensAt < dies || draw() < outlives)) happen(step, key, isDoneBefore);
    if (now >= dies) return false;
    append(isFailing ? { kind: "tool_error", ...call, text: "Exit code 1\nfatal" } : { kind: "tool_end", ...call });
    // It tries a failed call again.
    return !isFailing || perform(step, dies);
  };

  for (let from = 0; from < plan.length; life += 1) {
    const left = plan.slice(from).reduce((sum, { ms }) => sum + ms + thinkingMs, 0);
    const isKilled = life < 4 && figures.kills < maxKills;
    const dies = isKilled ? now + draw() * left : Number.POSITIVE_INFINITY;
    append({ kind: "prompt", text: "continue" });
    let at = from;
    while (at < plan.length && perform(plan[at] as Step, dies)) at += 1;
    if (at >= plan.length) return;
    figures.kills += 1;
    state = { ...emptyState, continues: toPredecessor({ session: `life-${life}`, state }) };
    // A successor may do some of the last steps again.
    from = Math.max(0, at - pick(draw, [0, 0, 0, 1, 1, 2, 3, 5]));
  }
}

interface KillSetting {
  readonly guard: Config["effects"]["guard"];
  /** Share of kills that a running command outlives, 0 to 1. */
  readonly outlives: number;
}

/** `calls`: of recovered chats that could repeat something; `needless`: asked, and no earlier chat had done it. */
const none = { kills: 0, calls: 0, repeated: 0, asked: 0, needless: 0 };

export function killFigures(setting: KillSetting, kills: number, seed: number) {
  const draw = seededRandom(seed);
  const figures = { ...none };
  while (figures.kills < kills) runHistory(draw, setting, figures, kills);
  return figures;
}
