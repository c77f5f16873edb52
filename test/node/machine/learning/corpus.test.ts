import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { configSchema } from "#src/contract/config.ts";
import type { ReplaySession } from "#src/contract/replay.ts";
import { replay } from "#src/learning/experiments/replay/replay.ts";
import { pastSessions } from "#src/machine/learning/corpus.ts";
import { latestSettings } from "#src/machine/sessions/session-settings.ts";
import { forget } from "#src/machine/keeping/forget.ts";
import { aChat, aProject, Claude, rowCount } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

function recorded(runtime: TempRuntime): ReplaySession[] {
  const past = runtime.store.read((sql) => pastSessions(sql, { since: 0, limit: 1_000 }), []);
  return past.map(({ session }) => session);
}

it("a session has the settings, the model and the effort that were in force", () => {
  const config = { checkpoint: { everyToolCalls: 3 }, notify: { webhook: null } };
  const { runtime, claude } = aChat({ config });
  claude.start("startup", { model: "claude-opus-5-5" });
  claude.prompt("Write the parser");
  claude.tell("Stop", { stop_hook_active: false, last_assistant_message: "Done.", effort: { level: "high" } });
  const settings = runtime.store.read((sql) => latestSettings(sql, claude.session), null);
  const changed = { "checkpoint.everyToolCalls": 3 };
  expect(settings).toMatchObject({ model: "claude-opus-5-5", effort: "high", changed });
});

it("unchanged settings are written once, and leave with their session", () => {
  const { runtime, claude } = aChat();
  claude.start();
  for (let turn = 0; turn < 5; turn++) claude.turn(`Step ${turn}: write the next part of the parser`);
  expect(rowCount(runtime, "session_settings")).toBe(1);
  runtime.store.write((sql) => forget(sql, { session: claude.session }));
  expect(rowCount(runtime, "session_settings")).toBe(0);
  expect(rowCount(runtime, "session_durations")).toBe(0);
});

it("events have the order, the kinds and the durations of the journal; a death has its cause", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("Write the parser");
  claude.write(join(claude.cwd, "parser.ts"), "export {};");
  claude.fail("Bash", { command: "npm test" }, "exit 1");
  claude.kill();
  runtime.wait(60_000);
  new Claude(runtime, { cwd: claude.cwd, pid: 2_000, session: "30487890-04b4-4fe0-bbd5-6aa531354563" }).start();
  const [dead] = recorded(runtime);
  expect(dead?.events.map(({ kind }) => kind)).toEqual(["other", "prompt", "other", "tool_end", "other", "tool_error"]);
  expect(dead?.events[3]).toMatchObject({ tool: "Write", durationMs: 12 });
  expect(dead?.events[5]).toMatchObject({ tool: "Bash", durationMs: 9 });
  expect(dead).toMatchObject({ end: { kind: "died", cause: "killed" }, isComplete: true });
});

type Step = readonly [kind: "write" | "bash" | "fail" | "turn" | "compact" | "prompt", seconds: number];

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("write", "bash", "fail", "turn", "compact", "prompt"),
  fc.integer({ min: 0, max: 14 }),
);

function act(claude: Claude, [kind]: Step, index: number): void {
  if (kind === "write") claude.write(join(claude.cwd, `file-${index}.ts`), `export const x = ${index};`);
  if (kind === "bash") claude.use("Bash", { command: `npm run step-${index}` });
  if (kind === "fail") claude.fail("Bash", { command: `npm run step-${index}` }, `exit ${index}`);
  if (kind === "turn") claude.stop(`Step ${index} is done; next I will write part ${index + 1}.`);
  if (kind === "compact") claude.compact(`The work until step ${index}`);
  if (kind === "prompt") claude.prompt(`Write part ${index} of the parser`);
}

it("the replay of a session's own settings makes the checkpoints that were made @night", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.constantFrom({}, { everyToolCalls: 3 }, { everyMs: 20_000 }, { everyMs: 45_000, everyToolCalls: 25 }),
      (steps, checkpoint) => {
        const runtime = tempRuntime({ config: { checkpoint } });
        const claude = new Claude(runtime, { cwd: aProject() });
        claude.start();
        claude.prompt("Write the parser");
        steps.forEach((one, index) => {
          runtime.wait(one[1] * 1_000);
          act(claude, one, index);
        });
        const [session] = recorded(runtime);
        if (!session) throw new Error("nothing was recorded");
        const config = configSchema().parse({ checkpoint });
        const made = session.saves.map(({ at, trigger }) => ({ at, trigger }));
        expect(
          replay(session, config)
            .filter(({ isNew }) => isNew)
            .map(({ at, trigger }) => ({ at, trigger })),
        ).toEqual(made);
      },
    ),
    { numRuns: 30, seed: 17 },
  );
});
